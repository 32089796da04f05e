//! A run in a few figures: how it ended, how long each phase took, and how fast trouble was seen, decided and over.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::event::{Mode, NoteKind};
use super::job::{Facts, ImportTotals, JobKind, Outcome};
use super::state::{ItemState, State};
use super::upkeep::{History, Mock};
use crate::plan::Phase;

/// The summary that a run ends with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// What was deployed.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it was the day itself.
    pub mode: Option<Mode>,
    /// The ending in words; "OPEN" while the run goes on.
    pub ending: &'static str,
    /// When it was opened.
    pub opened: Option<DateTime<Utc>>,
    /// When it ended.
    pub closed: Option<DateTime<Utc>>,
    /// Phases through their gate, and all.
    pub phases: (usize, usize),
    /// Items done, skipped, failed, and all.
    pub items: Tally,
    /// Deviations written down.
    pub deviations: usize,
    /// The last import that ended well.
    pub import: Option<ImportTotals>,
    /// The mock data in the place of Pulse's, if that was decided: who, when, why, and when they were gone.
    pub mock: Option<Mock>,
    /// The history of interactions, once it was read.
    pub history: Option<History>,
    /// The migrations that are applied.
    pub migrations: Vec<u64>,
    /// The times of the rollback, where there was one.
    pub recovery: Option<Recovery>,
    /// Events in the journal.
    pub events: u64,
}

/// How items stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Done.
    pub done: usize,
    /// Skipped with a reason.
    pub skipped: usize,
    /// Failed.
    pub failed: usize,
    /// All.
    pub all: usize,
}

/// The times of a rollback, in seconds of the run's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// From the fault (in a rehearsal) or the first bad reading to the alert.
    pub detect_s: Option<i64>,
    /// From the alert to the decision.
    pub decide_s: Option<i64>,
    /// From the decision until the rollback was verified from outside.
    pub recover_s: Option<i64>,
    /// Whether the rollback was verified.
    pub verified: bool,
    /// The rungs that were taken, in words.
    pub rungs: Vec<String>,
}

/// Sums a run up.
pub fn summary(state: &State) -> Summary {
    let plan = state.plan();
    let phases = plan.map_or(&[][..], |plan| plan.checklist.phases.as_slice());
    let mut items = Tally::default();
    for item in phases.iter().flat_map(Phase::items) {
        items.all += 1;
        match state.item(&item.id) {
            ItemState::Done { .. } => items.done += 1,
            ItemState::Skipped { .. } => items.skipped += 1,
            ItemState::Failed { .. } => items.failed += 1,
            ItemState::Open | ItemState::Running { .. } => {}
        }
    }
    Summary {
        name: plan.map(|plan| plan.name.clone()).unwrap_or_default(),
        version: plan.map(|plan| plan.version.clone()).unwrap_or_default(),
        mode: state.run.as_ref().map(|run| run.mode),
        ending: state.ended().map_or("OPEN", super::event::Ending::words),
        opened: state.run.as_ref().map(|run| run.opened),
        closed: state.run.as_ref().and_then(|run| run.ended).map(|(at, _)| at),
        phases: (phases.iter().filter(|phase| state.phase_is_go(&phase.id)).count(), phases.len()),
        items,
        deviations: state.notes.iter().filter(|note| note.kind == NoteKind::Deviation).count(),
        import: facts(state, |kind| *kind == JobKind::Import).and_then(|facts| match facts {
            Facts::Imported(totals) => Some(totals.clone()),
            _ => None,
        }),
        mock: state.mock.clone(),
        history: state.history.clone(),
        migrations: facts(state, |kind| {
            matches!(
                kind,
                JobKind::MigrateUp { .. }
                    | JobKind::MigrateDown { .. }
                    | JobKind::Rollback { kind: crate::plan::RungKind::Database, .. }
            )
        })
        .map_or_else(Vec::new, |facts| match facts {
            Facts::Migrated { applied, .. } => applied.clone(),
            _ => Vec::new(),
        }),
        recovery: recovery(state),
        events: state.seq,
    }
}

fn facts(state: &State, which: impl Fn(&JobKind) -> bool) -> Option<&Facts> {
    state.jobs.values().rev().filter(|job| which(&job.kind)).find_map(|job| match job.outcome()? {
        Outcome::Succeeded { facts, .. } => Some(facts),
        _ => None,
    })
}

fn recovery(state: &State) -> Option<Recovery> {
    let marks = &state.marks;
    let decided = marks.decided?;
    let between = |from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>| Some((to? - from?).num_seconds());
    Some(Recovery {
        detect_s: between(marks.fault.or(marks.bad_since), marks.detected),
        decide_s: between(marks.detected, Some(decided)),
        recover_s: between(Some(decided), marks.recovered),
        verified: marks.recovered.is_some(),
        rungs: state
            .jobs
            .values()
            .filter(|job| job.succeeded())
            .filter_map(|job| match job.kind {
                JobKind::Rollback { .. } => Some(job.kind.title()),
                _ => None,
            })
            .collect(),
    })
}
