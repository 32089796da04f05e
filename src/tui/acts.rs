//! What an act would ask of the run, and whether the run would take it. The rules are not repeated here: the command is put
//! to `decide` as it stands, so that the footer, the dialogs and the journal can never disagree.

use super::app::App;
use super::keymap::Act;
use super::panes::{Pane, World, import, migrations};
use super::rows::Spot;
use crate::plan::{Item, ItemKind, RungKind};
use crate::run::event::{Ending, NoteKind};
use crate::run::job::{Job, JobId, JobKind, WorkerId};
use crate::run::live::{Blocker, MigrateLive, More};
use crate::run::next::{Next, next};
use crate::run::state::{Guard, PhaseStatus};
use crate::run::steer::{Extent, Session, Steer, hold, pace};
use crate::run::upkeep::{Settle, Upkeep};
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
        Act::Faster if app.pane() == Pane::Import => {
            Command::Pace(paces(world).1.ok_or("it works all of the time")?)
        }
        Act::Slower if app.pane() == Pane::Import => {
            Command::Pace(paces(world).0.ok_or("it works as little as it may; pause it to stop it")?)
        }
        Act::Hold | Act::LetGo | Act::LeaveOut | Act::Faster | Act::Slower | Act::EndSession => {
            steer(act, app, world)?
        }
        Act::GoOn => {
            let job = asking(world).ok_or("no job asks anything")?;
            Command::GoOn { job: job.id, reason: reason() }
        }
        Act::Settle => {
            let found = import::selected(world, app.pick(Pane::Import));
            let profile = found.ok_or("no profile waits for a person")?.profile.clone();
            Command::Request(JobKind::Resolve { profile, settle: Settle::Keep })
        }
        Act::SyncSwitch => switch(Upkeep::Sync, world),
        Act::HistorySwitch => switch(Upkeep::History, world),
        Act::Mock => Command::Mock { why: reason() },
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

/// What an act says to the migration that runs.
fn steer(act: Act, app: &App, world: &World<'_>) -> Result<Command, String> {
    let job = migration(world).ok_or("no migration is running")?;
    let steer = match act {
        Act::LetGo => {
            let asks = migrate_live(world, job.id).and_then(|live| live.asks.step());
            Steer::Let { step: asks.ok_or("nothing waits for a person")?.clone() }
        }
        Act::LeaveOut => Steer::LeaveOut { step: selected_step(app, world).ok_or("no step is selected")? },
        Act::Faster | Act::Slower => {
            let now = pace(&job.steered);
            let next = match act {
                Act::Faster => PACE_STEPS.iter().find(|pace| **pace > now),
                _ => PACE_STEPS.iter().rev().find(|pace| **pace < now),
            };
            Steer::Pace { percent: *next.ok_or_else(|| format!("the pace is {now} % already"))? }
        }
        Act::EndSession => {
            let first = in_the_way(world, job.id).first().ok_or("nobody is in the way")?;
            let session = Session::of(first).ok_or("it is not known which session is in the way")?;
            let typed = session.pid.to_string();
            let what = if session.state.starts_with("idle") { Extent::Session } else { Extent::Query };
            Steer::End { session, what, typed }
        }
        _ => match hold(&job.steered) {
            Some(_) => Steer::Release,
            None => Steer::Hold,
        },
    };
    Ok(Command::Steer { job: job.id, steer })
}

/// The paces that the keys go through, in percent.
const PACE_STEPS: [u16; 6] = [10, 25, 50, 100, 200, 400];

/// The migration that runs, there or back.
pub fn migration<'a>(world: &World<'a>) -> Option<&'a Job> {
    let moves = |job: &&Job| {
        matches!(
            job.kind,
            JobKind::MigrateUp { .. }
                | JobKind::MigrateDown { .. }
                | JobKind::Rollback { kind: RungKind::Database, .. }
        )
    };
    world.state.jobs.values().filter(|job| !job.is_over()).find(moves)
}

fn migrate_live<'a>(world: &World<'a>, job: JobId) -> Option<&'a MigrateLive> {
    match &world.live.progress.get(&job)?.more {
        More::Migrate(live) => Some(live),
        _ => None,
    }
}

/// Who is in the way of a migration.
pub fn in_the_way<'a>(world: &World<'a>, job: JobId) -> &'a [Blocker] {
    migrate_live(world, job).map_or(&[], |live| live.blockers.as_slice())
}

/// The step under the cursor of the migrations.
fn selected_step(app: &App, world: &World<'_>) -> Option<std::sync::Arc<str>> {
    let rows = migrations::rows(world);
    let at = app.pick(Pane::Migrations).unwrap_or_else(|| migrations::current(world));
    match rows.get(at)? {
        migrations::Line::Step(step) => Some(step.plan.name.clone()),
        migrations::Line::Group(..) | migrations::Line::Ahead(_) | migrations::Line::Statement(_) => None,
    }
}

/// GO for the phase that is being worked on, or the start of the one that is next.
pub fn go(world: &World<'_>) -> Result<Command, String> {
    let phase = world.state.current_phase().ok_or("every phase is through its gate; E ends the run")?;
    Ok(match world.state.phase(phase) {
        PhaseStatus::Active | PhaseStatus::Done => Command::Go(phase.id.clone()),
        PhaseStatus::Ready | PhaseStatus::Locked => Command::StartPhase(phase.id.clone()),
    })
}

/// What a drill does, in a line of the dialog that asks for it.
pub fn drill_words(rung: u8) -> String {
    format!(
        "Rung {rung} of the way out is taken for real, timed, and given back: on staging, or in a rehearsal on itself."
    )
}

/// The ending that would be chosen as things stand.
pub fn likely_ending(world: &World<'_>) -> Ending {
    let rungs = world.plan().map_or(0, |plan| plan.ladder.len());
    match world.state.taken_back.len() {
        0 if matches!(next(world.state, world.now), Next::Close) => Ending::Success,
        0 if world.state.first_change().is_none() => Ending::CalledOff,
        taken if taken >= rungs => Ending::FullRollback,
        _ => Ending::PartialRollback,
    }
}

/// The command that switches standing work off or on again.
fn switch(what: Upkeep, world: &World<'_>) -> Command {
    if world.state.held.contains_key(&what) {
        Command::Release(what)
    } else {
        Command::Hold { what, why: SOME.into() }
    }
}

/// The shares of the time that the import may be told to work.
const PACES: [u8; 6] = [10, 20, 40, 60, 80, 100];

/// The next slower and the next faster pace.
fn paces(world: &World<'_>) -> (Option<u8>, Option<u8>) {
    let now = world.state.pace.unwrap_or(100);
    (PACES.into_iter().rev().find(|pace| *pace < now), PACES.into_iter().find(|pace| *pace > now))
}

/// The job that the keys for jobs mean: the oldest that is not over, verifications last.
pub fn job<'a>(world: &World<'a>) -> Option<&'a Job> {
    let open = || world.state.jobs.values().filter(|job| !job.is_over());
    open().find(|job| job.kind.worker() != WorkerId::Verify).or_else(|| open().next())
}

/// The job that waits for a person's decision.
pub fn asking<'a>(world: &World<'a>) -> Option<&'a Job> {
    world.state.jobs.values().find(|job| job.question().is_some())
}

/// An answer that the item would take, to ask the rules with.
fn sample_answer(item: &Item) -> Option<String> {
    match &item.kind {
        ItemKind::Tick => None,
        ItemKind::Value { .. } => Some(SOME.into()),
        ItemKind::Choice { of } => of.first().cloned(),
    }
}
