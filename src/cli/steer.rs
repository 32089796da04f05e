//! `gonogo steer`: a word to the migration that runs in somebody's cockpit, from another shell. It goes through the journal and its
//! rules, as a key in the cockpit does.

use clap::{Subcommand, ValueEnum};

use super::headless::{Form, line, say};
use super::{Exit, Files, complain, refuse, runtime, seat};
use crate::clock::Clock;
use crate::plan::RungKind;
use crate::run::decide::may;
use crate::run::job::StepStatus;
use crate::run::live::More;
use crate::run::steer::{Extent, Session, Steer};
use crate::run::{Command, Job, JobKind, Live, State};
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    word: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Pause it at the next edge of a step or batch.
    Pause,
    /// Let it go on.
    Resume,
    /// Ask it to give up.
    Cancel,
    /// Hold it before the next lock that stops clients.
    Hold,
    /// Hold it no longer.
    Release,
    /// Let go on what waits for a person: a held lock, a point of no return.
    Let {
        /// The step's name; the one that waits where none is given.
        step: Option<String>,
    },
    /// Set the pace of its batches.
    Pace {
        /// In percent: 50 rests as long as it works, 200 takes twice as much at a time.
        percent: u16,
    },
    /// Leave out a step that only builds an index.
    LeaveOut {
        /// The step's name, or the index's.
        step: String,
    },
    /// End what a session does that is in the way.
    End {
        /// Its process id, or its application's name.
        session: String,
        /// How much of it.
        #[arg(value_enum, default_value_t = What::Query)]
        what: What,
    },
}

/// How much of another's session is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// What it runs now; it stays connected.
    Query,
    /// All of it; its transaction is rolled back.
    Session,
}

pub(super) fn run(args: &Args, files: &Files, seat: &seat::Args, json: bool) -> color_eyre::Result<Exit> {
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, json),
    };
    let journal = loaded.path(&loaded.config.store.path);
    if !journal.exists() {
        let none = format!("no run was opened here yet: there is no {}", journal.display());
        return complain(&none, json);
    }
    runtime()?.block_on(async {
        let store = match Store::open(&journal, Clock::wall()).await {
            Ok(store) => store,
            Err(error) => return complain(&error, json),
        };
        let live = store.live().borrow().clone();
        let wanted = command(&args.word, &store.now(), &live);
        let submitted = match wanted {
            Ok(command) => store.submit(&seat.actor(), command).await.map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        match submitted {
            Ok(records) => {
                let state = store.now();
                for record in records {
                    say(&line(&record, &state, Form::of(json)));
                }
                Ok(Exit::Go)
            }
            Err(why) => {
                complain(&why, json)?;
                Ok(Exit::NoGo)
            }
        }
    })
}

/// The migration that is not over.
fn migration(state: &State) -> Result<&Job, String> {
    let moves = |job: &&Job| {
        matches!(
            job.kind,
            JobKind::MigrateUp { .. }
                | JobKind::MigrateDown { .. }
                | JobKind::Rollback { kind: RungKind::Database, .. }
        )
    };
    let open = state.jobs.values().filter(|job| !job.is_over()).find(moves);
    open.ok_or_else(|| "no migration is running".to_owned())
}

fn command(word: &Word, state: &State, live: &Live) -> Result<Command, String> {
    let job = migration(state)?;
    let steer = match word {
        Word::Pause => return Ok(Command::Pause(job.id)),
        Word::Resume => return Ok(Command::Resume(job.id)),
        Word::Cancel => return Ok(Command::Cancel(job.id)),
        Word::Hold => Steer::Hold,
        Word::Release => Steer::Release,
        Word::Pace { percent } => Steer::Pace { percent: *percent },
        Word::Let { step: Some(step) } => Steer::Let { step: step.as_str().into() },
        Word::Let { step: None } => waiting(job)?,
        Word::LeaveOut { step } => {
            let named = job.steps.iter().map(|step| &step.plan.name);
            let mut named =
                named.filter(|name| name.split_whitespace().any(|part| part == step) || ***name == **step);
            match (named.next(), named.next()) {
                (Some(one), None) => Steer::LeaveOut { step: one.clone() },
                (None, _) => return Err(format!("no step of {} {} names {step}", job.kind.title(), job.id)),
                (Some(_), Some(_)) => {
                    return Err(format!(
                        "several steps name {step}: give the whole name of one, as the log has it"
                    ));
                }
            }
        }
        Word::End { session, what } => {
            let blockers = match live.progress.get(&job.id).map(|progress| &progress.more) {
                Some(More::Migrate(live)) => live.blockers.as_slice(),
                _ => &[],
            };
            let found = blockers.iter().find(|one| one.pid.to_string() == *session || one.app == *session);
            let found = found.and_then(Session::of);
            let found = found.ok_or_else(|| format!("no session {session} is in the way of {}", job.id))?;
            let what = match what {
                What::Query => Extent::Query,
                What::Session => Extent::Session,
            };
            Steer::End { session: found, what, typed: session.clone() }
        }
    };
    Ok(Command::Steer { job: job.id, steer })
}

/// What waits for a person now: the first step, from the one that runs on, that the rules would let.
fn waiting(job: &Job) -> Result<Steer, String> {
    let from = job.steps.iter().position(|step| matches!(step.status, StepStatus::Running { .. }));
    let steps = job.steps.iter().skip(from.unwrap_or(job.steps.len()));
    let mut wishes = steps.map(|step| Steer::Let { step: step.plan.name.clone() });
    wishes.find(|wish| may(job, wish).is_ok()).ok_or_else(|| format!("{} waits for nobody", job.id))
}
