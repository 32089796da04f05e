//! Proof that what was imported agrees with Pulse: the profiles that Pulse has now, against the mappings in the database.
//!
//! It guarantees that profiles which were set aside are counted, not forgotten, and that a total that nobody can tell is no
//! agreement.

use sqlx::Connection;

use super::{Case, Proof, Proven, failure, source, sql};
use crate::run::job::{Facts, ImportTotals};
use crate::run::{JobKind, Outcome};
use crate::workers::kit;

const MAPPED: &str =
    "SELECT count(*) FROM entity_mappings WHERE entity_type = 'contact' AND pulse_id IS NOT NULL";

pub(super) async fn prove(case: &Case<'_>) -> Proven {
    let answer = case.kit.pulse()?.authorised().await.map_err(|error| kit::failure(&error))?;
    let Some(total) = answer.value else {
        return Err(failure(
            "Pulse does not say how many profiles it has",
            "count them at Pulse, and compare by hand",
        ));
    };
    let mut session = sql::open(case.kit).await?;
    let mapped: Result<i64, _> = sqlx::query_scalar(MAPPED).fetch_one(&mut session).await;
    // The answer is in; a farewell that fails changes nothing.
    let _ = session.close().await;
    let mapped = mapped.map_err(|error| {
        failure(format!("the mappings could not be counted: {error}"), "look whether migration 003 was run")
    })?;
    let mapped = u64::try_from(mapped).unwrap_or_default();
    let aside = set_aside(case);
    compare(total, mapped, aside, &source(&answer.receipt))
}

/// What the last import left to people.
fn set_aside(case: &Case<'_>) -> u64 {
    let state = case.desk.state();
    let last = state.last_job(|kind| matches!(kind, JobKind::Import)).and_then(|job| job.outcome());
    match last {
        Some(Outcome::Succeeded {
            facts: Facts::Imported(ImportTotals { quarantined, conflicts, .. }),
            ..
        }) => quarantined + conflicts,
        _ => 0,
    }
}

fn compare(total: u64, mapped: u64, aside: u64, from: &str) -> Proven {
    let words = format!(
        "Pulse has {total} profiles, {mapped} are mapped to contacts, {aside} were set aside ({from})"
    );
    if mapped + aside == total && total > 0 {
        return Ok(Proof::of(words, mapped.to_string()));
    }
    let missing = total.saturating_sub(mapped + aside);
    Err(failure(
        if missing > 0 { format!("{missing} profiles are missing: {words}") } else { words },
        "run a sync; what Pulse deleted or added since the import is settled by it",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_set_aside_counts_and_who_is_missing_is_said() {
        assert_eq!(compare(3_000, 2_990, 10, "x").unwrap().value.as_deref(), Some("2990"));
        assert!(compare(3_000, 2_990, 0, "x").unwrap_err().what.starts_with("10 profiles are missing"));
        assert!(compare(3_000, 3_001, 0, "x").is_err());
        assert!(compare(0, 0, 0, "x").is_err(), "nothing agrees with nothing");
    }
}
