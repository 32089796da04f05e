//! What an act would ask of the run, and whether the run would take it. The rules are not repeated here: the command is put
//! to `decide` as it stands, so that the footer, the dialogs and the journal can never disagree.

use super::app::App;
use super::keymap::Act;
use super::panes::World;
use super::rows::Spot;
use crate::plan::{Item, ItemKind};
use crate::run::event::{Ending, NoteKind};
use crate::run::job::{Job, JobKind, WorkerId};
use crate::run::next::{Next, next};
use crate::run::state::{Guard, PhaseStatus};
use crate::run::{Command, decide};

/// What stands where words are still to be written, when a rule is asked beforehand.
const SOME: &str = "…";

/// Whether an act can be done now: nothing if it can, else why not.
pub fn hindrance(act: Act, app: &App, world: &World<'_>) -> Option<String> {
    match wish(act, app, world) {
        Ok(None) => None,
        Ok(Some(command)) => {
            decide(world.state, app.seat(), command).err().map(|refusal| refusal.to_string())
        }
        Err(why) => Some(why),
    }
}

/// The command that an act amounts to, as far as it can be known before the dialogs; none for what only looks.
pub fn wish(act: Act, app: &App, world: &World<'_>) -> Result<Option<Command>, String> {
    let item = || app.item(world).ok_or_else(|| "no item is selected".to_owned());
    let reason = || SOME.to_owned();
    Ok(Some(match act {
        Act::Tick => {
            if let Some(Spot::Gate(gate)) = app.spot(world) {
                Command::Sign(gate)
            } else {
                let item = item()?;
                Command::Tick { item: item.id.clone(), value: sample_answer(item) }
            }
        }
        Act::Enter => match app.runnable(world) {
            Some(item) => Command::Run(item.id.clone()),
            None => return Ok(None),
        },
        Act::Skip => Command::Skip { item: item()?.id.clone(), reason: reason() },
        Act::Fail => Command::Fail { item: item()?.id.clone(), reason: reason() },
        Act::Reopen => Command::Reopen { item: item()?.id.clone(), reason: reason() },
        Act::Note | Act::Deviation => Command::Note { item: None, kind: NoteKind::Note, text: reason() },
        Act::Go => go(world)?,
        Act::NoGo => {
            let phase = world.state.current_phase().ok_or("every phase is through its gate")?;
            Command::NoGo { phase: phase.id.clone(), reason: reason() }
        }
        Act::End => Command::Close(likely_ending(world)),
        Act::Arm => match world.state.guard {
            Guard::Closed => Command::Arm,
            Guard::Armed { .. } => Command::Disarm,
        },
        Act::WayOut => {
            let rung = app.rung(world).ok_or("no way out is left")?;
            Command::Rollback { rung: rung.order, confirmed: rung.confirm.clone() }
        }
        Act::Pause => {
            let job = job(world).ok_or("no job is running")?;
            match job.status {
                crate::run::JobStatus::Paused(_) => Command::Resume(job.id),
                _ => Command::Pause(job.id),
            }
        }
        Act::Cancel => Command::Cancel(job(world).ok_or("no job is running")?.id),
        Act::Acknowledge => {
            let unseen = world.state.alerts.iter().find(|(_, alert)| alert.seen.is_none());
            let (metric, _) = unseen.ok_or("no alert waits to be seen")?;
            Command::Acknowledge(metric.clone())
        }
        Act::Announce => Command::Request(JobKind::Announce { message: SOME.into(), text: None }),
        Act::Seat | Act::Faults | Act::Jump if !world.rehearses() => return Err("rehearsals only".into()),
        Act::Faults => Command::Inject { fault: SOME.into() },
        Act::Show(_)
        | Act::NextPane
        | Act::PrevPane
        | Act::Move(_)
        | Act::Filter
        | Act::Palette
        | Act::Help => {
            return Ok(None);
        }
        Act::Seat | Act::Jump | Act::Back | Act::Quit => return Ok(None),
    }))
}

/// GO for the phase that is being worked on, or the start of the one that is next.
pub fn go(world: &World<'_>) -> Result<Command, String> {
    let phase = world.state.current_phase().ok_or("every phase is through its gate; E ends the run")?;
    Ok(match world.state.phase(phase) {
        PhaseStatus::Active | PhaseStatus::Done => Command::Go(phase.id.clone()),
        PhaseStatus::Ready | PhaseStatus::Locked => Command::StartPhase(phase.id.clone()),
    })
}

/// The ending that would be chosen as things stand.
pub fn likely_ending(world: &World<'_>) -> Ending {
    let rungs = world.plan().map_or(0, |plan| plan.ladder.len());
    match world.state.taken_back.len() {
        0 if matches!(next(world.state, world.now), Next::Close) => Ending::Success,
        taken if taken >= rungs => Ending::FullRollback,
        _ => Ending::PartialRollback,
    }
}

/// The job that the keys for jobs mean: the oldest that is not over, verifications last.
pub fn job<'a>(world: &World<'a>) -> Option<&'a Job> {
    let open = || world.state.jobs.values().filter(|job| !job.is_over());
    open().find(|job| job.kind.worker() != WorkerId::Verify).or_else(|| open().next())
}

/// An answer that the item would take, to ask the rules with.
fn sample_answer(item: &Item) -> Option<String> {
    match &item.kind {
        ItemKind::Tick => None,
        ItemKind::Value { .. } => Some(SOME.into()),
        ItemKind::Choice { of } => of.first().cloned(),
    }
}
