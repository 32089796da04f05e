//! Work for machines: what may be asked for when, and what a worker's report makes of it.

use super::items::changeable;
use super::{Refusal, not_yet, permit, said, unknown};
use crate::plan::{Action, ItemId, Phase};
use crate::run::command::Report;
use crate::run::event::{Actor, Event};
use crate::run::job::{Facts, Job, JobId, JobKind, JobStatus, Outcome, WorkerId};
use crate::run::permission::Deed;
use crate::run::state::{ItemState, State};

/// What the item's action, or else its check, asks of a machine.
fn kind_of(state: &State, id: &ItemId) -> Result<JobKind, Refusal> {
    let plan = state.plan().ok_or(Refusal::NotOpen)?;
    let (_, item) = plan.item(id).ok_or_else(|| unknown("item", id))?;
    if let Some(action) = &item.action {
        return Ok(match action {
            Action::Backup => JobKind::Backup,
            Action::Migrate { to } => JobKind::MigrateUp { to: *to },
            Action::Deploy => JobKind::Deploy,
            Action::Import => JobKind::Import,
            Action::Sync => JobKind::Sync,
            Action::Announce { message } => JobKind::Announce { message: message.clone(), text: None },
            Action::Rollout { share } => JobKind::Rollout { share: *share },
            Action::Drill { rung } => {
                let found = plan.ladder.iter().find(|step| step.order == *rung);
                let kind = found.ok_or_else(|| unknown("rung", rung))?.kind;
                JobKind::Drill { rung: *rung, kind }
            }
        });
    }
    item.check.clone().map(|check| JobKind::Verify { check }).ok_or_else(|| {
        let because = "no action and no check stands beside it";
        not_yet(format!("{:?} cannot be run", item.text), because, "tick it when it is done")
    })
}

pub(super) fn run_item(state: &State, by: &Actor, id: &ItemId) -> Result<Vec<Event>, Refusal> {
    let (_, item) = changeable(state, by, id)?;
    if let ItemState::Running { job } = state.item(id) {
        return Err(Refusal::Already(format!("job {job} is at {:?}", item.text)));
    }
    let kind = kind_of(state, id)?;
    request(state, by, kind, Some(id.clone()))
}

pub(super) fn request(
    state: &State,
    by: &Actor,
    kind: JobKind,
    item: Option<ItemId>,
) -> Result<Vec<Event>, Refusal> {
    if let JobKind::Rollback { .. } = kind {
        return Err(Refusal::Words("a rollback is asked for by its rung, not as a job".into()));
    }
    // Whoever owns the item may run it; without one the table decides.
    if item.is_none() {
        permit(by, Deed::of_job(&kind))?;
    }
    let worker = kind.worker();
    let alone = !matches!(worker, WorkerId::Verify | WorkerId::Announce);
    if alone && let Some(busy) = state.open_jobs(worker).next() {
        return Err(not_yet(
            format!("{} cannot begin", kind.title()),
            format!("job {} ({}) is not over", busy.id, busy.kind.title()),
            "wait for it, or cancel it",
        ));
    }
    super::upkeep::fits(state, &kind)?;
    if matches!(kind, JobKind::MigrateUp { .. }) {
        backed_up(state, &kind)?;
    }
    Ok(vec![Event::JobRequested { job: next_id(state), kind, item }])
}

/// A backup that the plan asks for comes before the first migration.
fn backed_up(state: &State, kind: &JobKind) -> Result<(), Refusal> {
    let Some(plan) = state.plan() else { return Ok(()) };
    let mut items = plan.checklist.phases.iter().flat_map(Phase::items);
    let wanted = items.find(|item| item.action == Some(Action::Backup));
    match wanted {
        Some(item) if !matches!(state.item(&item.id), ItemState::Done { .. }) => Err(not_yet(
            format!("{} cannot begin", kind.title()),
            format!("{:?} is not done", item.text),
            "run the backup first: without it there is nothing to go back to",
        )),
        _ => Ok(()),
    }
}

pub(super) fn next_id(state: &State) -> JobId {
    JobId(state.jobs.last_key_value().map_or(1, |(id, _)| id.0 + 1))
}

pub(super) fn open_job(state: &State, id: JobId) -> Result<&Job, Refusal> {
    let job = state.jobs.get(&id).ok_or_else(|| unknown("job", &id))?;
    if job.is_over() {
        Err(Refusal::Already(format!("job {id} ({}) is over", job.kind.title())))
    } else {
        Ok(job)
    }
}

pub(super) fn pause(state: &State, by: &Actor, id: JobId) -> Result<Vec<Event>, Refusal> {
    let job = open_job(state, id)?;
    permit(by, Deed::of_job(&job.kind))?;
    match job.status {
        JobStatus::Running(_) => Ok(vec![Event::JobPaused { job: id }]),
        _ => Err(Refusal::Already(format!("job {id} ({}) is not running", job.kind.title()))),
    }
}

pub(super) fn resume(state: &State, by: &Actor, id: JobId) -> Result<Vec<Event>, Refusal> {
    let job = open_job(state, id)?;
    permit(by, Deed::of_job(&job.kind))?;
    match job.status {
        JobStatus::Paused(_) => Ok(vec![Event::JobResumed { job: id }]),
        _ => Err(Refusal::Already(format!("job {id} ({}) is not paused", job.kind.title()))),
    }
}

pub(super) fn cancel(state: &State, by: &Actor, id: JobId) -> Result<Vec<Event>, Refusal> {
    let job = open_job(state, id)?;
    permit(by, Deed::of_job(&job.kind))?;
    Ok(cancelling(state, job))
}

/// The decision that a job which asks goes on. It needs words: what was decided is read again when it turns out badly.
pub(super) fn go_on(state: &State, by: &Actor, id: JobId, reason: &str) -> Result<Vec<Event>, Refusal> {
    let job = open_job(state, id)?;
    permit(by, Deed::of_job(&job.kind))?;
    if job.question().is_none() {
        return Err(Refusal::Already(format!("job {id} ({}) asks nothing", job.kind.title())));
    }
    if let JobStatus::Cancelling(_) = job.status {
        return Err(Refusal::Already(format!("job {id} ({}) is giving up", job.kind.title())));
    }
    let reason = said(reason, "the decision to go on")?;
    Ok(vec![Event::JobAnswered { job: id, reason }])
}

/// What ends a job early: at once if no worker has it, else when its worker obeys.
pub(super) fn cancelling(state: &State, job: &Job) -> Vec<Event> {
    match job.status {
        JobStatus::Requested => {
            let outcome = Outcome::Cancelled { state: "nothing was done".into() };
            ended(state, job, outcome)
        }
        JobStatus::Running(_) | JobStatus::Paused(_) => vec![Event::JobCancelling { job: job.id }],
        JobStatus::Cancelling(_) | JobStatus::Ended { .. } => Vec::new(),
    }
}

pub(super) fn report(state: &State, report: Report) -> Result<Vec<Event>, Refusal> {
    Ok(match report {
        Report::Started { job, cockpit } => {
            let attempt = match &open_job(state, job)?.status {
                JobStatus::Running(last) | JobStatus::Paused(last) | JobStatus::Cancelling(last) => {
                    last.number + 1
                }
                JobStatus::Requested | JobStatus::Ended { .. } => 1,
            };
            vec![Event::JobStarted { job, attempt, cockpit }]
        }
        Report::Planned { job, steps } => {
            open_job(state, job)?;
            vec![Event::JobPlanned { job, steps }]
        }
        Report::StepStarted { job, step } => {
            open_job(state, job)?;
            vec![Event::StepStarted { job, step }]
        }
        Report::StepEnded { job, step, outcome } => {
            open_job(state, job)?;
            vec![Event::StepEnded { job, step, outcome }]
        }
        Report::Answered { job, steer, outcome } => super::steer::answered(state, job, steer, outcome)?,
        Report::Asked { job, question } => {
            let job = open_job(state, job)?;
            if job.question() == Some(&question) {
                return Err(Refusal::Already(format!("job {} asks this", job.id)));
            }
            vec![Event::JobAsked { job: job.id, question }]
        }
        Report::Ended { job, outcome } => ended(state, open_job(state, job)?, outcome),
        Report::Synced { imported, updated, unchanged, failed, conflicts } => {
            super::upkeep::synced(state, Event::Synced { imported, updated, unchanged, failed, conflicts })
        }
        Report::SyncFailed { what } => super::upkeep::sync_failed(state, what)?,
        Report::PulseFailed { job, what } => {
            open_job(state, job)?;
            vec![Event::PulseFailed { job, what }]
        }
        Report::Held { what, why } => super::upkeep::killed(state, what, why)?,
        Report::HistoryRead { contacts, interactions, failed } => {
            vec![Event::HistoryRead { contacts, interactions, failed }]
        }
        Report::Verdict { metric, verdict, reading } => {
            if state.health.get(&metric).is_some_and(|health| health.verdict == verdict) {
                return Err(Refusal::Already(format!("{metric} is {}", verdict.word())));
            }
            vec![Event::VerdictChanged { metric, verdict, reading }]
        }
        Report::AlertFired { metric, reading, since } => {
            if state.alerts.contains_key(&metric) {
                return Err(Refusal::Already(format!("the alert on {metric} is firing")));
            }
            vec![Event::AlertFired { metric, reading, since }]
        }
        Report::AlertCleared { metric } => {
            if !state.alerts.contains_key(&metric) {
                return Err(Refusal::Already(format!("no alert on {metric} is firing")));
            }
            vec![Event::AlertCleared { metric }]
        }
    })
}

/// The end of a job, and what it makes of the item that asked for it.
fn ended(state: &State, job: &Job, outcome: Outcome) -> Vec<Event> {
    let mut events = Vec::with_capacity(3);
    let item = job.item.clone().filter(|item| {
        // The item may have been taken out of the plan, or answered otherwise since.
        *state.item(item) == ItemState::Running { job: job.id }
    });
    let mut then = None;
    if let Some(item) = item {
        events.push(match &outcome {
            Outcome::Succeeded { summary, facts } => {
                then = check_after(state, job, &item);
                Event::ItemDone { item, value: value_of(facts), evidence: Some(summary.clone()) }
            }
            Outcome::Failed { failure } => Event::ItemFailed { item, reason: failure.to_string() },
            Outcome::Cancelled { state } => {
                Event::ItemReopened { item, reason: format!("the job was cancelled: {state}") }
            }
        });
    }
    events.insert(0, Event::JobEnded { job: job.id, outcome });
    if let Some(check) = then {
        events.pop(); // not done before its check says so
        events.push(check);
    }
    events
}

/// An item with an action and a check is done when its check says so.
fn check_after(state: &State, job: &Job, item: &ItemId) -> Option<Event> {
    if matches!(job.kind, JobKind::Verify { .. }) {
        return None;
    }
    let (_, found) = state.plan()?.item(item)?;
    let kind = JobKind::Verify { check: found.check.clone()? };
    Some(Event::JobRequested { job: next_id(state), kind, item: Some(item.clone()) })
}

fn value_of(facts: &Facts) -> Option<String> {
    match facts {
        Facts::Proven { value } => value.clone(),
        Facts::Imported(totals) => Some((totals.imported + totals.updated + totals.unchanged).to_string()),
        Facts::Deployed { version, .. } => version.clone(),
        Facts::Share { percent } => Some(format!("{percent} %")),
        Facts::None | Facts::Migrated { .. } | Facts::Rehearsed { .. } | Facts::Sent { .. } => None,
    }
}
