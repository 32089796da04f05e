//! The way out: the guard, the ladder, alerts. A rollback is armed beforehand, and asked for by its rung.

use super::jobs::{cancelling, next_id};
use super::{Refusal, not_yet, permit, unknown};
use crate::plan::MetricId;
use crate::run::event::{Actor, Event};
use crate::run::job::{JobKind, WorkerId};
use crate::run::permission::Deed;
use crate::run::state::{Guard, State};

pub(super) fn arm(state: &State, by: &Actor) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Guard)?;
    match &state.guard {
        Guard::Closed => Ok(vec![Event::Armed]),
        Guard::Armed { by, .. } => Err(Refusal::Already(format!("{} armed it", by.name))),
    }
}

pub(super) fn disarm(state: &State, by: &Actor) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Guard)?;
    match state.guard {
        Guard::Armed { .. } => Ok(vec![Event::Disarmed]),
        Guard::Closed => Err(Refusal::Already("the guard is closed".into())),
    }
}

pub(super) fn rollback(
    state: &State,
    by: &Actor,
    order: u8,
    confirmed: Option<&str>,
) -> Result<Vec<Event>, Refusal> {
    let plan = state.plan().ok_or(Refusal::NotOpen)?;
    let rung = plan.ladder.iter().find(|rung| rung.order == order).ok_or_else(|| unknown("rung", &order))?;
    permit(by, Deed::Rollback(rung.kind))?;
    let what = || format!("{:?} was not begun", rung.title);
    if state.guard == Guard::Closed {
        return Err(not_yet(what(), "the guard is closed", "the lead arms it first"));
    }
    if let Some(busy) = state.open_jobs(WorkerId::Rollback).next() {
        return Err(not_yet(
            what(),
            format!("job {} ({}) is not over", busy.id, busy.kind.title()),
            "wait for it",
        ));
    }
    // A rung needs the one before it only while the release that stands on it is live.
    let live = state.last_job(|kind| *kind == JobKind::Deploy).is_some();
    if live && let Some(needed) = rung.needs.filter(|needed| !state.taken_back.contains(needed)) {
        let title =
            plan.ladder.iter().find(|rung| rung.order == needed).map_or("", |rung| rung.title.as_str());
        let because =
            format!("it needs rung {needed} ({title}) first: the release that is live needs this schema");
        return Err(not_yet(what(), because, format!("take rung {needed} first")));
    }
    if let Some(word) = &rung.confirm
        && confirmed != Some(word.as_str())
    {
        return Err(not_yet(
            what(),
            format!("it loses {}, and {word:?} was not typed", rung.loses),
            "type the database's name",
        ));
    }
    // What runs against the release is stopped first; a worker obeys at its next edge.
    let mut events: Vec<Event> = state
        .jobs
        .values()
        .filter(|job| {
            let worker = job.kind.worker();
            !job.is_over()
                && matches!(
                    worker,
                    WorkerId::Import | WorkerId::Migrate | WorkerId::Deploy | WorkerId::Rollout
                )
        })
        .flat_map(|job| cancelling(state, job))
        .collect();
    let kind = JobKind::Rollback { rung: order, kind: rung.kind };
    events.push(Event::JobRequested { job: next_id(state), kind, item: None });
    Ok(events)
}

pub(super) fn acknowledge(state: &State, by: &Actor, metric: MetricId) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Speak)?;
    match state.alerts.get(&metric) {
        None => Err(Refusal::Already(format!("no alert on {metric} is firing"))),
        Some(alert) if alert.seen.is_some() => {
            Err(Refusal::Already(format!("the alert on {metric} was seen")))
        }
        Some(_) => Ok(vec![Event::AlertAcknowledged { metric }]),
    }
}
