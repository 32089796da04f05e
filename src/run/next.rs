//! What comes next: the one thing that the footer names, and that an autopilot would do.

use chrono::{DateTime, TimeDelta, Utc};

use super::decide::obstacles;
use super::job::{JobId, JobKind};
use super::state::{ItemState, PhaseStatus, State};
use crate::plan::{GateId, Item, ItemId, MetricId, Phase, PhaseId, Role, Severity};

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Open the run.
    Open,
    /// An alert is firing that nobody has answered.
    Alert(MetricId),
    /// Wait for a job.
    Job(JobId),
    /// A job asks; decide that it goes on, or cancel it.
    Answer(JobId),
    /// Begin a phase.
    Start(PhaseId),
    /// Settle an item.
    Item(ItemId),
    /// Settle an item, not before that time.
    Wait(ItemId, DateTime<Utc>),
    /// An item failed: try again, skip it with a reason, or go back.
    Failed(ItemId),
    /// Sign a gate.
    Sign(GateId, Role),
    /// Call GO.
    Go(PhaseId),
    /// GO is not possible, for these reasons.
    Held(PhaseId, Vec<String>),
    /// End the run.
    Close,
    /// The release was taken back: end the run, or bring it live again.
    TakenBack,
    /// The run is over.
    Over,
}

/// What comes next.
pub fn next(state: &State, now: DateTime<Utc>) -> Next {
    if state.run.is_none() {
        return Next::Open;
    }
    if state.ended().is_some() {
        return Next::Over;
    }
    let mut open = state.jobs.values().filter(|job| !job.is_over());
    if let Some(job) = open.clone().find(|job| matches!(job.kind, JobKind::Rollback { .. })) {
        return Next::Job(job.id);
    }
    if !state.taken_back.is_empty() {
        return Next::TakenBack;
    }
    // An alert does not wait for a job, and the worst comes first.
    let worst = state.alerts.iter().max_by_key(|(metric, alert)| {
        (
            state.plan().and_then(|plan| plan.metric(metric)).map(|metric| metric.severity),
            alert.seen.is_none(),
        )
    });
    if let Some((metric, alert)) = worst {
        let critical = state.plan().and_then(|plan| plan.metric(metric)).map(|metric| metric.severity);
        if alert.seen.is_none() || critical == Some(Severity::Critical) {
            return Next::Alert(metric.clone());
        }
    }
    if let Some(job) = open.clone().find(|job| job.question().is_some()) {
        return Next::Answer(job.id);
    }
    if let Some(job) = open.next() {
        return Next::Job(job.id);
    }
    let Some(phase) = state.current_phase() else { return Next::Close };
    if state.phase(phase) != PhaseStatus::Active {
        return Next::Start(phase.id.clone());
    }
    in_phase(state, phase, now)
}

fn in_phase(state: &State, phase: &Phase, now: DateTime<Utc>) -> Next {
    let mut waiting: Option<(ItemId, DateTime<Utc>)> = None;
    for section in &phase.sections {
        for item in settle_order(&section.items) {
            match state.item(&item.id) {
                ItemState::Open => {}
                ItemState::Failed { .. } => return Next::Failed(item.id.clone()),
                ItemState::Running { .. } | ItemState::Done { .. } | ItemState::Skipped { .. } => continue,
            }
            match ready_at(state, phase, item) {
                Some(at) if at > now => {
                    if waiting.as_ref().is_none_or(|(_, other)| at < *other) {
                        waiting = Some((item.id.clone(), at));
                    }
                }
                _ => return Next::Item(item.id.clone()),
            }
            if item.wait.is_some() {
                // What follows a wait waits with it.
                return waiting.map_or_else(|| Next::Item(item.id.clone()), |(id, at)| Next::Wait(id, at));
            }
        }
        if waiting.is_none()
            && let Some(gate) = section.gates.iter().find(|gate| !state.gate_is_signed(gate))
        {
            let signed = state.signatures.get(&gate.id).map_or(&[][..], Vec::as_slice);
            let missing =
                gate.roles.iter().find(|role| !signed.iter().any(|signature| signature.by.role == **role));
            let role = missing.copied().or(phase.owner).unwrap_or(Role::Lead);
            return Next::Sign(gate.id.clone(), role);
        }
    }
    if let Some((id, at)) = waiting {
        return Next::Wait(id, at);
    }
    let held = obstacles(state, phase);
    if held.is_empty() { Next::Go(phase.id.clone()) } else { Next::Held(phase.id.clone(), held) }
}

/// When an item can be settled at the earliest, if something other than people decides that.
fn ready_at(state: &State, phase: &Phase, item: &Item) -> Option<DateTime<Utc>> {
    let began = state.phases.get(&phase.id)?.since;
    if let Some(due) = item.due {
        return Some(began + TimeDelta::from_std(due).ok()?);
    }
    let wait = TimeDelta::from_std(item.wait?).ok()?;
    // A wait begins when the item before it in the file was settled.
    let mut last = began;
    for other in phase.items() {
        if other.id == item.id {
            break;
        }
        if let ItemState::Done { at, .. } | ItemState::Skipped { at, .. } = state.item(&other.id) {
            last = last.max(*at);
        }
    }
    Some(last + wait)
}

/// Items in the order in which they can be settled: those under an item before it.
pub fn settle_order(items: &[Item]) -> Vec<&Item> {
    let mut order = Vec::new();
    for item in items {
        order.extend(settle_order(&item.items));
        order.push(item);
    }
    order
}
