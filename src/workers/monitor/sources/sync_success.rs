//! The share of profiles that the import, or the last pass of the sync that had any, settled, in percent: taken over or equal
//! already, of these and those that were refused. A conflict waits for a person and counts neither way.
//!
//! It guarantees that nothing imported, a failed import and a sync that stopped passing are no success. It reads the run's own
//! record, and asks nobody.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{Source, share};
use crate::plan::Metric;
use crate::run::live::Reading;
use crate::run::state::Sync;
use crate::run::{JobKind, Outcome, State};
use crate::store::Store;
use crate::workers::{Kit, import};

pub(super) struct SyncSuccess {
    every: TimeDelta,
}

impl SyncSuccess {
    pub(super) fn new(kit: &Kit) -> Self {
        Self { every: TimeDelta::from_std(kit.config().import.sync_every).unwrap_or(TimeDelta::minutes(15)) }
    }
}

/// The success that the record tells of.
fn success(
    state: &State,
    metric: &Metric,
    sync_every: TimeDelta,
    now: DateTime<Utc>,
    lag: Duration,
) -> Reading {
    let lag = TimeDelta::from_std(lag).unwrap_or_default();
    let mut imports =
        state.jobs.values().rev().filter(|job| matches!(job.kind, JobKind::Import | JobKind::Sync));
    let last = imports.find_map(|job| Some((job, job.outcome()?)));
    match last {
        Some((job, Outcome::Failed { failure })) => {
            let title = job.kind.title();
            return Reading::Failed { why: format!("{title} {} failed: {}", job.id, failure.what) };
        }
        Some((job, Outcome::Cancelled { state })) => {
            return Reading::NoData {
                why: format!("{} {} was cancelled: {state}", job.kind.title(), job.id),
            };
        }
        Some((_, Outcome::Succeeded { .. })) | None => {}
    }
    let Some((good, bad)) = import::success(state) else {
        return Reading::NoData { why: "nothing was imported yet".into() };
    };
    match (&state.sync, last.and_then(|(job, _)| ended_at(job))) {
        // A pass may be late by as long as it takes; two in a row are not late, they are missing.
        (Sync::On { last, passes, .. }, _) if now - *last > sync_every * 2 + lag => {
            let minutes = (now - *last).num_minutes();
            return Reading::Failed {
                why: format!("the sync passed last {minutes} min ago, after {passes} passes"),
            };
        }
        (Sync::Off, Some(ended)) if (now - ended).to_std().unwrap_or_default() > metric.window => {
            let minutes = (now - ended).num_minutes();
            return Reading::NoData {
                why: format!("the last import was {minutes} min ago, and no sync runs"),
            };
        }
        _ => {}
    }
    match share(bad, good + bad) {
        Reading::Value { value, n, bad } => Reading::Value { value: 100.0 - value, n, bad },
        other => other,
    }
}

fn ended_at(job: &crate::run::Job) -> Option<DateTime<Utc>> {
    match &job.status {
        crate::run::JobStatus::Ended { at, .. } => Some(*at),
        _ => None,
    }
}

impl Source for SyncSuccess {
    fn read<'a>(&'a self, metric: &'a Metric, store: &'a Store) -> BoxFuture<'a, Reading> {
        let clock = store.clock();
        let reading = success(&store.now(), metric, self.every, clock.now(), clock.lag());
        Box::pin(std::future::ready(reading))
    }

    fn every(&self) -> Duration {
        Duration::from_secs(15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::config::metrics::defaults;
    use std::sync::Arc;

    use crate::run::job::{Facts, ImportTotals};
    use crate::run::{Actor, Event, Failure, Job, JobId, JobStatus, Record};

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn imported(outcome: Outcome) -> State {
        let status = JobStatus::Ended { at: noon(), outcome };
        let by = Actor::machine("import");
        let job = Job {
            id: JobId(1),
            kind: JobKind::Import,
            item: None,
            by,
            requested: noon(),
            status,
            steps: Vec::new(),
            steered: Vec::new(),
            asked: None,
        };
        State { jobs: [(JobId(1), job)].into(), ..State::default() }
    }

    fn totals(good: u64, bad: u64) -> Outcome {
        let totals = ImportTotals { imported: good, quarantined: bad, ..ImportTotals::default() };
        Outcome::Succeeded { summary: String::new(), facts: Facts::Imported(totals) }
    }

    fn read(state: &State, minute: i64) -> Reading {
        let metric = defaults().into_iter().find(|metric| metric.source == "sync-success").unwrap();
        success(state, &metric, TimeDelta::minutes(15), noon() + TimeDelta::minutes(minute), Duration::ZERO)
    }

    fn passed(state: &mut State, imported: u64, unchanged: u64, failed: u64, conflicts: u64) {
        let event = Event::Synced { imported, updated: 0, unchanged, failed, conflicts };
        let by = Actor::machine("import");
        state.apply(Arc::new(Record { seq: state.seq + 1, at: noon(), by, event }));
    }

    #[test]
    fn a_conflict_is_no_failure_and_a_pass_without_evidence_changes_nothing() {
        let totals = ImportTotals { imported: 990, conflicts: 10, ..ImportTotals::default() };
        let facts = Facts::Imported(totals);
        let mut state = imported(Outcome::Succeeded { summary: String::new(), facts });
        assert_eq!(read(&state, 1), Reading::Value { value: 100.0, n: 990, bad: Some(0) });
        passed(&mut state, 0, 0, 0, 1);
        assert_eq!(read(&state, 1), Reading::Value { value: 100.0, n: 990, bad: Some(0) }, "the import's");
        passed(&mut state, 3, 16, 1, 1);
        let nineteen = Reading::Value { value: 95.0, n: 20, bad: Some(1) };
        assert_eq!(read(&state, 1), nineteen);
        passed(&mut state, 0, 0, 0, 2);
        assert_eq!(read(&state, 1), nineteen, "what only waits for a person says nothing of the sync");
        passed(&mut state, 0, 0, 1, 0);
        assert_eq!(read(&state, 1), Reading::Value { value: 0.0, n: 1, bad: Some(1) });
    }

    #[test]
    fn success_is_what_was_settled_of_what_was_tried() {
        assert!(matches!(read(&State::default(), 0), Reading::NoData { .. }));
        let mut state = imported(totals(980, 20));
        assert_eq!(read(&state, 1), Reading::Value { value: 98.0, n: 1_000, bad: Some(20) });
        assert!(matches!(read(&state, 61), Reading::NoData { .. }), "no sync took over");
        let last = noon() + TimeDelta::minutes(60);
        state.sync = Sync::On { last, passes: 4, good: 0, bad: 1_000 };
        assert_eq!(read(&state, 61), Reading::Value { value: 0.0, n: 1_000, bad: Some(1_000) });
        assert!(matches!(read(&state, 95), Reading::Failed { .. }), "the sync stopped passing");
        let failure = Failure { what: "no Pulse".into(), state: String::new(), next: String::new() };
        assert!(matches!(read(&imported(Outcome::Failed { failure }), 1), Reading::Failed { .. }));
    }
}
