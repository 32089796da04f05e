//! The proof after the import, read anew from both sides: what Pulse says it has, and what became of it here.
//!
//! It guarantees that it trusts nothing the import said of itself but its lists of rejects and conflicts, which a person
//! can read; and that a profile which stands in two places counts once.

use sqlx::{PgConnection, Row};

use super::trouble::words;
use crate::run::Failure;
use crate::services::pulse::Pulse;
use crate::workers::kit::failure;

const COUNTS: &str = "SELECT m.mapped, m.broken, \
     (SELECT count(*) FROM gonogo.import_rejects r WHERE NOT EXISTS \
      (SELECT FROM public.entity_mappings m WHERE m.entity_type = 'contact' AND m.pulse_id = r.pulse_id)) AS rejects, \
     (SELECT count(*) FROM gonogo.import_conflicts f WHERE NOT EXISTS \
      (SELECT FROM public.entity_mappings m WHERE m.entity_type = 'contact' AND m.pulse_id = f.pulse_id) \
      AND NOT EXISTS (SELECT FROM gonogo.import_rejects r WHERE r.pulse_id = f.pulse_id)) AS conflicts \
     FROM (SELECT count(*) FILTER (WHERE c.pulse_profile_id IS NOT DISTINCT FROM m.pulse_id) AS mapped, \
      count(*) FILTER (WHERE c.pulse_profile_id IS DISTINCT FROM m.pulse_id) AS broken \
      FROM public.entity_mappings m LEFT JOIN public.contacts c ON c.id = m.logos_id \
      WHERE m.entity_type = 'contact' AND m.pulse_id IS NOT NULL) m";

/// Whether every profile that Pulse has is accounted for: a sentence for the record, and the number of contacts.
pub async fn reconciled(database: &mut PgConnection, pulse: &Pulse) -> Result<(String, String), Failure> {
    let sql = |error: &sqlx::Error| Failure {
        what: format!("the contacts cannot be counted: {}", words(error)),
        state: "nothing was changed".into(),
        next: "run the import first; if it ran, look at the database".into(),
    };
    let there: bool = sqlx::query_scalar(
        "SELECT to_regclass('gonogo.import_rejects') IS NOT NULL AND to_regclass('gonogo.import_conflicts') IS NOT NULL \
         AND to_regclass('public.entity_mappings') IS NOT NULL",
    )
    .fetch_one(&mut *database)
    .await
    .map_err(|error| sql(&error))?;
    if !there {
        return Err(Failure {
            what: "no import has run in this database".into(),
            state: "nothing was changed".into(),
            next: "run the migrations and the import first".into(),
        });
    }
    let row = sqlx::query(COUNTS).fetch_one(database).await.map_err(|error| sql(&error))?;
    let count = |name: &str| row.try_get::<i64, _>(name).map(i64::unsigned_abs).map_err(|error| sql(&error));
    let (mapped, broken) = (count("mapped")?, count("broken")?);
    let (rejects, conflicts) = (count("rejects")?, count("conflicts")?);
    let answer = pulse.authorised().await.map_err(|error| failure(&error))?;
    let total = answer.value.ok_or_else(|| Failure {
        what: "Pulse does not say how many profiles it has".into(),
        state: format!("{mapped} contacts are mapped here"),
        next: "ask Pulse's side for the number, and compare by hand".into(),
    })?;
    let accounted = mapped + broken + rejects + conflicts;
    let sum = format!("{mapped} contacts + {rejects} set aside + {conflicts} for a person to decide");
    if broken == 0 && accounted == total {
        return Ok((format!("all {total} profiles of Pulse are accounted for: {sum}"), mapped.to_string()));
    }
    let what = if broken > 0 {
        format!("{broken} mappings lead to no contact, or to one that does not name its profile")
    } else {
        format!("Pulse has {total} profiles, and {accounted} are accounted for here: {sum}")
    };
    Err(Failure {
        what,
        state: "nothing was changed".into(),
        next: "run the import, or a sync, again: it brings what is missing and leaves the rest alone".into(),
    })
}
