//! What a run tells, as lines: one per step that ends, and news of waits as they come. With --json, one object a line.

use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::watch;

use crate::plan::Role;
use crate::run::job::Nature;
use crate::run::live::Asks;
use crate::run::{Actor, Failure, Steer, Steered, StepOutcome, StepPlan};
use crate::workers::Edge;
use crate::workers::migrate::checks::Answer;
use crate::workers::migrate::dryrun::{Inverse, Standing as Rehearsed};
use crate::workers::migrate::files::Migration;
use crate::workers::migrate::survey::{PlannedStep, Standing};
use crate::workers::migrate::{Adopted, Foreign, Foreigners, MigrationSet, Moment, Sameness, Watcher};

/// Prints what it is told.
pub(super) struct Told {
    json: bool,
    steps: Mutex<Vec<StepPlan>>,
    last: Mutex<String>,
    stop: watch::Receiver<Stop>,
    said: Said,
    stands: Mutex<Stands>,
}

/// What was said on the command line, before the run.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// The name that goes beyond a point of no return.
    pub(super) database: String,
    /// Whether it was given.
    pub(super) confirmed: Confirmed,
    /// Indexes that are left out.
    pub(super) leave_out: Vec<String>,
    /// The pace of batches, in percent; the usual one where nothing was said.
    pub(super) pace: Option<u16>,
}

/// Whether somebody has typed the database's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// Nobody, or another name.
    #[default]
    No,
    /// Yes.
    Yes,
}

/// Where the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It goes on.
    Moving,
    /// Before a point of no return, without the word that leads beyond.
    Before,
}

/// Whether Ctrl-C was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    Asked,
}

impl Told {
    /// Listens for Ctrl-C from now on.
    pub(super) fn new(json: bool) -> Self {
        let (asked, stop) = watch::channel(Stop::No);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                asked.send_replace(Stop::Asked);
            }
            // Those who wait for it must not take the end of this task for it.
            asked.closed().await;
        });
        let (said, stands) = (Said::default(), Mutex::new(Stands::Moving));
        Self { json, steps: Mutex::default(), last: Mutex::default(), stop, said, stands }
    }

    /// With what was said on the command line.
    pub(super) fn saying(self, said: Said) -> Self {
        Self { said, ..self }
    }

    /// News that belong to no step.
    pub(super) fn doing(&self, what: &str) {
        if self.json {
            Self::line(&json!({ "doing": what }).to_string());
        } else {
            Self::line(&format!("        ...      {what}"));
        }
    }

    fn line(line: &str) {
        // A reader that went away does not stop a migration.
        if let Err(error) = crate::cli::print(&format!("{line}\n")) {
            tracing::debug!(%error, "nobody reads");
        }
    }

    fn name(&self, step: u32) -> (String, usize) {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        (steps.get(step as usize).map_or_else(String::new, |plan| plan.name.to_string()), steps.len())
    }
}

impl Watcher for Told {
    fn planned(&self, steps: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        *self.steps.lock().unwrap_or_else(PoisonError::into_inner) = steps;
        Box::pin(async { Ok(()) })
    }

    fn step_started(&self, _: u32) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn step_ended(&self, step: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        let (name, of) = self.name(step);
        if self.json {
            Self::line(&json!({ "step": step, "of": of, "name": name, "outcome": outcome }).to_string());
        } else {
            let (word, more) = match outcome {
                StepOutcome::Done { note } => ("done", note.unwrap_or_default()),
                StepOutcome::Skipped { why } => ("skipped", why),
                StepOutcome::Failed { failure } => ("FAILED", failure.what),
                StepOutcome::NotRun { because } => ("not run", because),
            };
            Self::line(&format!("{:>3}/{of} {word:<8} {name}  ({more})", step + 1));
        }
        Box::pin(async { Ok(()) })
    }

    fn moment(&self, moment: Moment) {
        if let Asks::NoReturn { .. } = moment.live.asks {
            let mut stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
            if *stands == Stands::Moving {
                *stands = Stands::Before;
                let next = format!("to go beyond, say --confirm {}", self.said.database);
                if self.json {
                    Self::line(
                        &json!({ "step": moment.step, "doing": moment.doing, "next": next }).to_string(),
                    );
                } else {
                    Self::line(&format!("        ...      {}; {next}", moment.doing));
                }
            }
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let who = moment.live.blockers.first().map(|blocker| (blocker.pid, &blocker.holds));
        // A copy tells its progress, and so does whoever waits; a tenth more is news, a row more is not.
        let tenth = moment.total.filter(|total| *total > 0).map(|total| moment.done * 10 / total);
        let counts = moment.source == "pg_stat_progress_copy";
        let news = format!("{who:?} {:?} {:?}", moment.step, tenth.filter(|_| counts));
        if (who.is_none() && !counts) || *last == news {
            return;
        }
        *last = news;
        if self.json {
            Self::line(
                &json!({ "step": moment.step, "doing": moment.doing, "done": moment.done, "total": moment.total,
                         "unit": moment.unit, "source": moment.source, "live": moment.live })
                .to_string(),
            );
        } else {
            Self::line(&format!("        ...      {}", moment.doing));
        }
    }

    fn edge(&self) -> BoxFuture<'_, Edge> {
        let stands = *self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        let edge = match (*self.stop.borrow(), stands) {
            (Stop::No, Stands::Moving) => Edge::GoOn,
            // Nobody can say anything more to a command that runs.
            (Stop::Asked, _) | (_, Stands::Before) => Edge::GiveUp,
        };
        Box::pin(async move { edge })
    }

    fn steered(&self) -> Vec<Steered> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let wish = |steer: Steer| {
            let by = Actor::person(&std::env::var("USER").unwrap_or_else(|_| "gonogo".into()), Role::Dba);
            Steered { by, at: chrono::Utc::now(), steer, answer: None }
        };
        let mut said: Vec<Steered> =
            self.said.pace.map(|percent| wish(Steer::Pace { percent })).into_iter().collect();
        for step in steps.iter() {
            let name = step.name.clone();
            let index = |index: &String| name.split_whitespace().any(|part| part == index);
            match step.nature {
                Nature::NoReturn if self.said.confirmed == Confirmed::Yes => {
                    said.push(wish(Steer::Let { step: name }));
                }
                Nature::Index if self.said.leave_out.iter().any(index) => {
                    said.push(wish(Steer::LeaveOut { step: name }));
                }
                _ => {}
            }
        }
        said
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        let mut stop = self.stop.clone();
        Box::pin(async move {
            if stop.wait_for(|stop| *stop == Stop::Asked).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Each on a line of its own.
fn each(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// What `adopt` did.
pub(super) fn adopted(adopted: &Adopted, by: &str) -> String {
    let lines = each(adopted.titles.iter().map(ToString::to_string));
    let (count, tool) = (adopted.titles.len(), adopted.tool.name());
    format!("{lines}{count} taken over from {tool}, by {by}; their checks are asked by the next migrate up\n")
}

/// What another tool's bookkeeping says beyond the migrations.
pub(super) fn foreigners(foreign: &Foreigners) -> String {
    let tools: Vec<&str> = foreign.tools.iter().map(|tool| tool.name()).collect();
    let of = tools.join(" and ");
    let strangers =
        each(foreign.strangers.iter().map(|stranger| format!("NO FILE for {stranger}, which {of} applied")));
    let trouble =
        foreign.trouble.as_ref().map_or(String::new(), |trouble| format!("NOTHING CAN BE RUN: {trouble}\n"));
    format!("{of} has kept books here; they are read and never written\n{strangers}{trouble}")
}

/// Files that were seen and are not run, and holes in the order.
pub(super) fn asides(set: &MigrationSet) -> String {
    let asides = set.asides.iter().map(|aside| format!("not run: {}: {}", aside.file, aside.why));
    let gap = |(missing, next): (u64, &Migration)| {
        format!("number {missing} is missing: {} is not run before somebody has looked", next.title())
    };
    each(asides.chain(set.gaps().map(gap)))
}

/// What another tool says of one migration.
fn foreign(foreign: &Foreign) -> String {
    let (tool, when) =
        (foreign.tool.name(), foreign.when.as_ref().map_or(String::new(), |when| format!(" {when}")));
    match (&foreign.unfinished, foreign.adopted) {
        (Some(how), _) => format!("  {how}"),
        (None, true) => format!("  (applied by {tool}{when})"),
        (None, false) => {
            let file = match foreign.file {
                Sameness::Same => "",
                Sameness::Differs => "  THE FILE IS NOT WHAT IT RAN",
                Sameness::NotRecorded => "  (it keeps no checksum)",
            };
            format!("  applied by {tool}{when}, not adopted{file}")
        }
    }
}

/// A line of `status`.
pub(super) fn standing(one: &Standing, rehearsed: &Rehearsed, inverse: &Inverse) -> String {
    let unknown = if one.foreign.is_some() { "" } else { "not applied" };
    let state = one.state.map_or(unknown, crate::workers::migrate::book::State::word);
    let theirs = one.foreign.as_ref().map_or(String::new(), foreign);
    let when = one.applied_at.map_or(String::new(), |at| format!("  {}", at.format("%Y-%m-%d %H:%M:%S UTC")));
    let by = one.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
    let file = if one.unchanged == Some(false) { "  THE FILE WAS CHANGED SINCE" } else { "" };
    let back = if one.reversible { "" } else { "  no down file" };
    // Of what is not applied nothing can be recorded yet.
    let inverse = if *inverse == Inverse::NotRecorded { String::new() } else { format!("; {inverse}") };
    let all = format!("{state}{when}{by}{theirs}{file}{back}  {rehearsed}{inverse}");
    format!("{:>3} {:<40} {}\n", one.label, one.name, all.trim_start())
}

/// A line of `verify`.
pub(super) fn answer((number, answer): &(u64, Answer)) -> String {
    format!("{number:03} FAILED {}: {}\n", answer.name, answer.detail)
}

/// A line of `plan`.
pub(super) fn planned(step: &PlannedStep) -> String {
    let locks: Vec<String> = step.locks.iter().map(|(table, mode)| format!("{mode} on {table}")).collect();
    let locks = if locks.is_empty() { String::new() } else { format!("  [{}]", locks.join(", ")) };
    let said = step.findings.iter().fold(String::new(), |said, one| said + "    " + &one.line() + "\n");
    format!("{}:{} {}{locks}\n{said}", step.file, step.line, step.name)
}
