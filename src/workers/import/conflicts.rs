//! The profiles that wait for a person, with both sides' values, for the screen; and which of them were decided on.
//!
//! It guarantees that it only reads; that what a person decided to leave as it is comes back only when the profile changes;
//! and that a list which cannot be read says so instead of looking empty.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::database;
use super::trouble::Trouble;
use crate::run::live::{Conflict, Conflicts, Rival};
use crate::run::state::Sync;
use crate::run::{State, WorkerId};
use crate::store::Store;
use crate::workers::{Kit, Standing};

/// How many are listed; all are counted.
const LISTED: i64 = 50;
/// What both sides are compared by: Pulse's name of it in staging, the column here, and the word on the screen.
const COMPARED: [(&str, &str, &str); 7] = [
    ("name", "name", "name"),
    ("email", "email", "email"),
    ("phone", "phone", "phone"),
    ("relationship_score", "relationship_score", "score"),
    ("preferred_channel", "preferred_channel", "channel"),
    ("tags", "pulse_tags", "tags"),
    ("pulse_updated_at", "updated_at", "changed"),
];

/// Keeps the list on the screen as the database has it.
#[derive(Debug)]
pub struct ConflictsStanding {
    kit: Kit,
}

impl ConflictsStanding {
    /// Stands ready; nothing is read before an import or a sync ended.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }

    async fn keep(&self, store: &Store) {
        let mut state = store.state();
        let mut seen = None;
        loop {
            let news = |state: &Arc<State>| mark(state).is_some_and(|mark| Some(mark) != seen);
            let mark = match state.wait_for(news).await {
                Ok(state) => mark(&state),
                Err(_) => return,
            };
            seen = mark;
            let at = store.clock().now();
            let list = match self.read().await {
                Ok((total, first)) => Conflicts { at, total, first, trouble: None },
                Err(trouble) => {
                    let why = match trouble {
                        Trouble::Lost(words) => words,
                        Trouble::Failed(failure) => failure.what,
                        Trouble::GivenUp => "it was given up".into(),
                    };
                    let last = store.live().borrow().conflicts.as_deref().cloned().unwrap_or_default();
                    Conflicts { at, trouble: Some(why), ..last }
                }
            };
            store.conflicts(list);
        }
    }

    async fn read(&self) -> Result<(u64, Vec<Conflict>), Trouble> {
        let mut session = database::connect(&self.kit.database_url()?).await?;
        list(&mut session).await
    }
}

/// What brings or settles conflicts: jobs of the import that are over, and passes of the sync.
fn mark(state: &State) -> Option<(usize, u32)> {
    let over =
        state.jobs.values().filter(|job| job.kind.worker() == WorkerId::Import && job.is_over()).count();
    let passes = match state.sync {
        Sync::On { passes, .. } => passes,
        Sync::Off => 0,
    };
    (over > 0 || passes > 0).then_some((over, passes))
}

const OPEN: &str = "FROM gonogo.import_conflicts f WHERE NOT EXISTS \
     (SELECT FROM gonogo.import_settled s WHERE s.pulse_id = f.pulse_id AND s.data_hash = f.profile ->> 'data_hash')";

/// Makes the table of decisions; nothing where no import has run.
pub(super) async fn prepare(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('gonogo.import_conflicts') IS NOT NULL")
        .fetch_one(&mut *session)
        .await?;
    if there {
        sqlx::raw_sql(include_str!("sql/settled.sql")).execute(session).await?;
    }
    Ok(there)
}

/// The open conflicts: how many, and the first of them with both sides' values.
pub(super) async fn list(session: &mut PgConnection) -> Result<(u64, Vec<Conflict>), Trouble> {
    if !prepare(session).await? {
        return Ok((0, Vec::new()));
    }
    let total: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) {OPEN}")))
        .fetch_one(&mut *session)
        .await?;
    let sql = format!(
        "SELECT f.pulse_id, f.reason, f.profile, coalesce(f.contacts, '{{}}') AS contacts {OPEN} ORDER BY f.email_key, f.pulse_id LIMIT {LISTED}"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *session).await?;
    let mut first = Vec::with_capacity(rows.len());
    for row in rows {
        let profile: Value = row.try_get("profile")?;
        let ids: Vec<Uuid> = row.try_get("contacts")?;
        first.push(Conflict {
            profile: row.try_get("pulse_id")?,
            reason: row.try_get("reason")?,
            pulse: COMPARED
                .iter()
                .map(|(own, _, word)| ((*word).to_owned(), shown(profile.get(own))))
                .collect(),
            contacts: rivals(session, &ids).await?,
        });
    }
    Ok((total.unsigned_abs(), first))
}

async fn rivals(session: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Rival>, Trouble> {
    let rows = sqlx::query(
        "SELECT c.id, to_jsonb(c) AS body, m.pulse_id FROM public.contacts c \
         LEFT JOIN public.entity_mappings m ON m.entity_type = 'contact' AND m.logos_id = c.id \
         WHERE c.id = ANY ($1) ORDER BY c.id",
    )
    .bind(ids)
    .fetch_all(session)
    .await?;
    let rival = |row: &sqlx::postgres::PgRow| -> Result<Rival, sqlx::Error> {
        let body: Value = row.try_get("body")?;
        Ok(Rival {
            contact: row.try_get::<Uuid, _>("id")?.to_string(),
            taken_by: row.try_get("pulse_id")?,
            values: COMPARED.iter().map(|(_, own, _)| shown(body.get(own))).collect(),
        })
    };
    Ok(rows.iter().map(rival).collect::<Result<_, _>>()?)
}

/// A value as a person reads it; nothing where there is none.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
    }
}

impl Standing for ConflictsStanding {
    fn id(&self) -> WorkerId {
        WorkerId::Import
    }

    fn stand<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.keep(store).await;
            // The store is gone, and with it this cockpit.
            std::future::pending::<()>().await;
        })
    }
}
