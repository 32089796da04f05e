//! Pulse's standing work: who may switch it off and on, when it switches itself off, and what mock data rule out.

use super::{Refusal, not_yet, permit, said};
use crate::plan::Check;
use crate::run::event::{Actor, Event, NoteKind};
use crate::run::job::{JobKind, Outcome, WorkerId};
use crate::run::permission::Deed;
use crate::run::state::State;
use crate::run::upkeep::{Settle, Upkeep};

/// Mock profiles: enough to fill lists and to page through them.
const MOCKS: u32 = 200;
/// A pass of the sync with fewer failures than this is never called broken.
const MIN_FAILED: u64 = 3;
/// The slowest that the import may be told to go, in percent.
const SLOWEST: u8 = 10;

const fn deed(what: Upkeep) -> Deed {
    match what {
        Upkeep::Sync => Deed::Work(WorkerId::Import),
        Upkeep::History => Deed::Work(WorkerId::History),
    }
}

pub(super) fn hold(state: &State, by: &Actor, what: Upkeep, why: &str) -> Result<Vec<Event>, Refusal> {
    permit(by, deed(what))?;
    let why = said(why, "switching it off")?;
    off_already(state, what)?;
    Ok(vec![Event::Held { what, why }])
}

pub(super) fn release(state: &State, by: &Actor, what: Upkeep) -> Result<Vec<Event>, Refusal> {
    permit(by, deed(what))?;
    if !state.held.contains_key(&what) {
        return Err(Refusal::Already(format!("{what} is not switched off")));
    }
    Ok(vec![Event::Released { what }])
}

fn off_already(state: &State, what: Upkeep) -> Result<(), Refusal> {
    match state.held.get(&what) {
        Some(hold) => Err(Refusal::Already(format!("{} switched {what} off: {}", hold.by.name, hold.why))),
        None => Ok(()),
    }
}

/// A kill switch that a worker found on.
pub(super) fn killed(state: &State, what: Upkeep, why: String) -> Result<Vec<Event>, Refusal> {
    off_already(state, what)?;
    Ok(vec![Event::Held { what, why }])
}

pub(super) fn pace(state: &State, by: &Actor, share: u8) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Work(WorkerId::Import))?;
    if !(SLOWEST..=100).contains(&share) {
        let what = format!("the import cannot work {share} % of the time");
        return Err(not_yet(what, format!("{SLOWEST} to 100 % can be set"), "pause it to stop it"));
    }
    if state.pace.unwrap_or(100) == share {
        return Err(Refusal::Already(format!("the import works {share} % of the time")));
    }
    Ok(vec![Event::Paced { share }])
}

/// A pass that ended. When more than half of it failed, the sync is off until a person has looked; the UI stays.
/// What waits for a person did not fail.
pub(super) fn synced(state: &State, pass: Event) -> Vec<Event> {
    let Event::Synced { imported, updated, unchanged, failed, .. } = pass else { return vec![pass] };
    let mut events = vec![pass];
    let all = imported + updated + unchanged + failed;
    if failed >= MIN_FAILED && failed * 2 > all && !state.held.contains_key(&Upkeep::Sync) {
        let share = failed * 100 / all;
        let why = format!(
            "{failed} of {all} contacts of this pass failed ({share} %, above 50 %); the application stays as it is"
        );
        events.push(Event::Held { what: Upkeep::Sync, why });
    }
    events
}

pub(super) fn sync_failed(state: &State, what: String) -> Result<Vec<Event>, Refusal> {
    match &state.sync_trouble {
        Some(trouble) => Err(Refusal::Already(format!("the sync does not pass: {}", trouble.what))),
        None => Ok(vec![Event::SyncFailed { what }]),
    }
}

pub(super) fn mock(state: &State, by: &Actor, why: &str) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Mock)?;
    let why = said(why, "going on with mock data")?;
    let kind = JobKind::Mock { profiles: MOCKS };
    let what = "no mock data";
    if let Some(busy) = state.open_jobs(WorkerId::Import).next() {
        let because = format!("job {} ({}) is not over", busy.id, busy.kind.title());
        return Err(not_yet(what, because, "wait for it, or cancel it"));
    }
    if let Some(mock) = state.mocked() {
        if state.last_job(|kind| matches!(kind, JobKind::Mock { .. })).is_some_and(crate::run::Job::succeeded)
        {
            return Err(Refusal::Already(format!("mock data stand since {}", mock.at.format("%H:%M UTC"))));
        }
        // Decided, and not made yet: it is only made again.
        return Ok(vec![Event::JobRequested { job: super::jobs::next_id(state), kind, item: None }]);
    }
    if imported(state) {
        return Err(not_yet(
            what,
            "Pulse's contacts are here, and invented ones must not stand beside them",
            "go on with what is imported; the sync catches up when Pulse is back",
        ));
    }
    if !pulse_failed(state) {
        return Err(not_yet(
            what,
            "it was not Pulse that failed the last that was asked of it, if anything was",
            "try the import first, or the check of Pulse",
        ));
    }
    let text = format!("Pulse is down; the deployment goes on with MOCK data: {why}");
    Ok(vec![
        Event::Mocked { why },
        Event::Noted { item: None, kind: NoteKind::Deviation, text },
        Event::JobRequested { job: super::jobs::next_id(state), kind, item: None },
    ])
}

/// Whether the newest import ended well, and the database was not taken back since.
fn imported(state: &State) -> bool {
    let database = |rung: &u8| {
        let ladder = state.plan().map_or(&[][..], |plan| plan.ladder.as_slice());
        ladder.iter().any(|step| step.order == *rung && step.kind == crate::plan::RungKind::Database)
    };
    state.last_job(|kind| *kind == JobKind::Import).is_some_and(crate::run::Job::succeeded)
        && !state.taken_back.iter().any(database)
}

/// Whether it was Pulse that failed the last that was tried with it. What was cancelled, or failed for another's reason, says
/// nothing of Pulse.
fn pulse_failed(state: &State) -> bool {
    let asks = |kind: &JobKind| match kind {
        JobKind::Import | JobKind::Sync => true,
        JobKind::Verify { check } => *check == Check::Pulse,
        _ => false,
    };
    state.last_job(asks).is_some_and(|job| {
        matches!(job.outcome(), Some(Outcome::Failed { .. })) && state.pulse_failed == Some(job.id)
    })
}

/// Whether a gauge has nothing to say as long as mock data stand: there is nothing to sync, and no pass to count.
pub(super) fn silenced(state: &State, metric: &str) -> bool {
    let source =
        state.plan().and_then(|plan| plan.metric(&metric.into())).map(|metric| metric.source.as_str());
    state.mocked().is_some() && source == Some("sync-success")
}

/// Whether a job may be asked for as Pulse's work stands.
pub(super) fn fits(state: &State, kind: &JobKind) -> Result<(), Refusal> {
    let mocked = state.mocked().is_some();
    let refused =
        |because: &str, next: &str| Err(not_yet(format!("{} cannot begin", kind.title()), because, next));
    match kind {
        JobKind::Mock { .. } if !mocked => {
            refused("nobody decided it, and why", "the lead decides it: M in the import's pane")
        }
        JobKind::MockRemove if !mocked => Err(Refusal::Already("no mock data stand".into())),
        JobKind::Sync if mocked => refused(
            "MOCK data stand in the place of Pulse's, and there is nothing to sync",
            "import from Pulse first",
        ),
        JobKind::Rollout { share } if mocked && *share > first_share(state) => refused(
            "MOCK data stand in the place of Pulse's contacts",
            "import from Pulse before more than the first stage's users see the release",
        ),
        JobKind::Resolve { settle: Settle::Link { contact }, .. } if contact.trim().is_empty() => {
            refused("no contact is named", "choose the contact that it belongs to")
        }
        _ => Ok(()),
    }
}

/// The share of the first stage: what may be seen of a release without Pulse's data.
fn first_share(state: &State) -> u8 {
    state.plan().and_then(|plan| plan.rollout.first()).map_or(0, |stage| stage.share)
}

#[cfg(test)]
#[path = "upkeep_tests.rs"]
mod tests;
