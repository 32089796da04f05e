//! What a run tells, as lines: one per step that ends, and news of waits as they come. With --json, one object a line.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::watch;

use crate::run::{Failure, StepOutcome, StepPlan};
use crate::workers::Edge;
use crate::workers::migrate::checks::Answer;
use crate::workers::migrate::dryrun::Standing as Rehearsed;
use crate::workers::migrate::survey::{PlannedStep, Standing};
use crate::workers::migrate::{Adopted, Foreign, Foreigners, MigrationSet, Moment, Sameness, Watcher};

/// Prints what it is told.
pub(super) struct Told {
    json: bool,
    steps: Mutex<Vec<StepPlan>>,
    last: Mutex<String>,
    stop: watch::Receiver<Stop>,
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
        Self { json, steps: Mutex::default(), last: Mutex::default(), stop }
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
        let steps = self.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (steps.get(step as usize).map_or_else(String::new, |plan| plan.name.to_string()), steps.len())
    }
}

impl Watcher for Told {
    fn planned(&self, steps: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        *self.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = steps;
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
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let who = moment.live.blockers.first().map(|blocker| blocker.pid);
        let news = format!("{who:?}");
        if who.is_none() || *last == news {
            return;
        }
        *last = news;
        if self.json {
            Self::line(
                &json!({ "step": moment.step, "doing": moment.doing, "live": moment.live }).to_string(),
            );
        } else {
            Self::line(&format!("        ...      {}", moment.doing));
        }
    }

    fn edge(&self) -> BoxFuture<'_, Edge> {
        let edge = match *self.stop.borrow() {
            Stop::No => Edge::GoOn,
            Stop::Asked => Edge::GiveUp,
        };
        Box::pin(async move { edge })
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

/// What `adopt` did.
pub(super) fn adopted(adopted: &Adopted, by: &str) -> String {
    let lines: String = adopted.titles.iter().map(|title| format!("{title}\n")).collect();
    let (count, tool) = (adopted.titles.len(), adopted.tool.name());
    format!("{lines}{count} taken over from {tool}, by {by}; their checks are asked by the next migrate up\n")
}

/// What another tool's bookkeeping says beyond the migrations.
pub(super) fn foreigners(foreign: &Foreigners) -> String {
    let tools: Vec<&str> = foreign.tools.iter().map(|tool| tool.name()).collect();
    let of = tools.join(" and ");
    let strangers: String = foreign
        .strangers
        .iter()
        .map(|stranger| format!("NO FILE for {stranger}, which {of} applied\n"))
        .collect();
    let trouble =
        foreign.trouble.as_ref().map_or(String::new(), |trouble| format!("NOTHING CAN BE RUN: {trouble}\n"));
    format!("{of} has kept books here; they are read and never written\n{strangers}{trouble}")
}

/// Files that were seen and are not run.
pub(super) fn asides(set: &MigrationSet) -> String {
    set.asides.iter().map(|aside| format!("not run: {}: {}\n", aside.file, aside.why)).collect()
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
pub(super) fn standing(one: &Standing, rehearsed: &Rehearsed) -> String {
    let unknown = if one.foreign.is_some() { "" } else { "not applied" };
    let state = one.state.map_or(unknown, crate::workers::migrate::book::State::word);
    let theirs = one.foreign.as_ref().map_or(String::new(), foreign);
    let when = one.applied_at.map_or(String::new(), |at| format!("  {}", at.format("%Y-%m-%d %H:%M:%S UTC")));
    let by = one.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
    let file = if one.unchanged == Some(false) { "  THE FILE WAS CHANGED SINCE" } else { "" };
    let back = if one.reversible { "" } else { "  no way back" };
    format!("{:>3} {:<40} {state}{when}{by}{theirs}{file}{back}  {rehearsed}\n", one.label, one.name)
}

/// A line of `verify`.
pub(super) fn answer((number, answer): &(u64, Answer)) -> String {
    format!("{number:03} FAILED {}: {}\n", answer.name, answer.detail)
}

/// A line of `plan`.
pub(super) fn planned(step: &PlannedStep) -> String {
    let locks: Vec<String> = step.locks.iter().map(|(table, mode)| format!("{mode} on {table}")).collect();
    let locks = if locks.is_empty() { String::new() } else { format!("  [{}]", locks.join(", ")) };
    format!("{}:{} {}{locks}\n", step.file, step.line, step.name)
}
