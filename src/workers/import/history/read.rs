//! Which contacts are left, in the order of their worth, and how far the reading is: asked of the database each time.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::trouble::Trouble;

/// A contact whose interactions are to be read.
#[derive(Debug, Clone)]
pub(super) struct Left {
    pub(super) profile: String,
    pub(super) contact: Uuid,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) total: u64,
    pub(super) done: u64,
    pub(super) interactions: u64,
    pub(super) failed: u64,
}

impl Figures {
    /// With so many more read that are not written yet.
    pub(super) fn with(self, read: u64) -> Self {
        Self { done: (self.done + read).min(self.total), ..self }
    }
}

/// A contact that Pulse counts no interaction of costs no request. One that changed since it was read is read again, after
/// those that were never read.
const LEFT: &str = "SELECT m.pulse_id, c.id FROM public.entity_mappings m JOIN public.contacts c ON c.id = m.logos_id \
     LEFT JOIN gonogo.interaction_reads h ON h.pulse_id = m.pulse_id \
     WHERE m.entity_type = 'contact' AND m.pulse_id IS NOT NULL AND c.total_interactions > 0 \
       AND (h.pulse_id IS NULL OR h.read_at < m.last_synced_at) \
     ORDER BY h.pulse_id IS NOT NULL, c.total_lifetime_giving DESC NULLS LAST, c.relationship_score DESC NULLS LAST, m.pulse_id \
     LIMIT $1";

const FIGURES: &str = "SELECT count(*) AS total, \
       count(*) FILTER (WHERE h.read_at >= m.last_synced_at) AS done, \
       coalesce(sum(h.interactions), 0)::bigint AS interactions, \
       count(*) FILTER (WHERE h.problem IS NOT NULL) AS failed \
     FROM public.entity_mappings m JOIN public.contacts c ON c.id = m.logos_id \
     LEFT JOIN gonogo.interaction_reads h ON h.pulse_id = m.pulse_id \
     WHERE m.entity_type = 'contact' AND m.pulse_id IS NOT NULL AND c.total_interactions > 0";

/// The next contacts, the most valuable first: by what they gave, then by their score.
pub(super) async fn left(database: &mut PgConnection, most: i64) -> Result<Vec<Left>, Trouble> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(LEFT).bind(most).fetch_all(database).await?;
    Ok(rows.into_iter().map(|(profile, contact)| Left { profile, contact }).collect())
}

/// How far it is.
pub(super) async fn figures(database: &mut PgConnection) -> Result<Figures, Trouble> {
    let row = sqlx::query(FIGURES).fetch_one(database).await?;
    let count = |name: &str| row.try_get::<i64, _>(name).map(i64::unsigned_abs);
    Ok(Figures {
        total: count("total")?,
        done: count("done")?,
        interactions: count("interactions")?,
        failed: count("failed")?,
    })
}
