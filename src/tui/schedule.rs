//! Planned against actual against forecast, phase by phase: pure arithmetic on a plan, a state and a moment.

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};

use crate::plan::{Phase, PhaseKind, Plan};
use crate::run::event::Mode;
use crate::run::state::{PhaseStatus, State};

/// A span of time.
pub type Span = (DateTime<Utc>, DateTime<Utc>);

/// The times of one phase of the day.
#[derive(Debug, Clone)]
pub struct Times<'a> {
    /// The phase.
    pub phase: &'a Phase,
    /// As planned, where the plan says when.
    pub planned: Option<Span>,
    /// When it began, and when it was through its gate.
    pub actual: Option<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    /// When it will begin and end, as things stand; what happened is not forecast but kept.
    pub forecast: Span,
}

/// The day.
#[derive(Debug, Clone)]
pub struct Schedule<'a> {
    /// The phases of the day, in order.
    pub phases: Vec<Times<'a>>,
    /// How far behind (or ahead of) the plan the run is; nothing where the plan names no times.
    pub slip: Option<TimeDelta>,
    /// The moment from which T counts: the first phase's beginning, planned until it has begun.
    pub zero: Option<DateTime<Utc>>,
}

/// A phase without a planned length is taken to last this long in a forecast.
const UNPLANNED: TimeDelta = TimeDelta::minutes(15);

/// The schedule as it stands.
pub fn schedule<'a>(plan: &'a Plan, state: &State, now: DateTime<Utc>) -> Schedule<'a> {
    let day = day(plan, state, now);
    let mut free = now; // when the next phase can begin at the earliest
    let mut phases = Vec::new();
    let mut slip = None;
    let mut ahead = true;
    for phase in plan.checklist.phases.iter().filter(|phase| phase.number().is_some()) {
        let takes = phase.takes.and_then(|takes| TimeDelta::from_std(takes).ok()).unwrap_or(UNPLANNED);
        let planned = phase.starts.and_then(|starts| {
            let from = plan.timezone.from_local_datetime(&day.and_time(starts)).earliest()?.to_utc();
            Some((from, from + takes))
        });
        let known = state.phases.get(&phase.id);
        let actual = known.map(|known| (known.since, known.go.as_ref().map(|go| go.at)));
        let forecast = match actual {
            Some((since, Some(end))) => (since, end),
            Some((since, None)) => (since, (since + takes).max(now)),
            None => {
                let from = planned.map_or(free, |(from, _)| from.max(free)).max(now);
                (from, from + takes)
            }
        };
        free = forecast.1;
        if let Some((from, to)) = planned {
            match state.phase(phase) {
                PhaseStatus::Done | PhaseStatus::Active => slip = Some(forecast.1 - to),
                // The next one: late when it should have begun, early never.
                PhaseStatus::Ready | PhaseStatus::Locked if ahead => {
                    slip = Some(slip.unwrap_or_default().max(forecast.0 - from).max(TimeDelta::zero()));
                }
                _ => {}
            }
        }
        ahead &= actual.is_some();
        phases.push(Times { phase, planned, actual, forecast });
    }
    let zero = phases.first().and_then(|first| {
        first.actual.map(|(since, _)| since).or_else(|| first.planned.map(|(from, _)| from))
    });
    Schedule { phases, slip, zero }
}

/// The day that the plan's times of day belong to.
fn day(plan: &Plan, state: &State, now: DateTime<Utc>) -> NaiveDate {
    let local = |at: DateTime<Utc>| at.with_timezone(&plan.timezone).date_naive();
    let Some(run) = &state.run else { return plan.day.unwrap_or_else(|| local(now)) };
    // A rehearsal is its own day, whatever date the plan names.
    let first = plan.checklist.phases.iter().find(|phase| matches!(phase.kind, PhaseKind::Numbered(_)));
    let began = first.and_then(|phase| state.phases.get(&phase.id)).map(|phase| phase.since);
    match (run.mode, began) {
        (Mode::Rehearsal, Some(began)) => local(began),
        _ => plan.day.unwrap_or_else(|| local(run.opened)),
    }
}
