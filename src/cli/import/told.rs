//! What a pass tells on the command line: a line for each step that ends, and for each wait that begins. With --json, one
//! object a line.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::run::job::Question;
use crate::run::live::More;
use crate::run::{Progress, StepOutcome};
use crate::workers::Edge;
use crate::workers::import::{Listener, Way};

/// Prints what it is told.
pub(super) struct Told {
    json: bool,
    steps: &'static [&'static str],
    clock: Clock,
    /// When the present step began, by the wall's clock.
    began: Mutex<Instant>,
    waiting: Mutex<Option<String>>,
    asked: Mutex<Option<Question>>,
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
    pub(super) fn new(json: bool, way: Way, clock: Clock) -> Self {
        let (asked, stop) = watch::channel(Stop::No);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                asked.send_replace(Stop::Asked);
            }
            // Those who wait for it must not take the end of this task for it.
            asked.closed().await;
        });
        Self {
            json,
            steps: way.steps(),
            clock,
            began: Mutex::new(Instant::now()),
            waiting: Mutex::default(),
            asked: Mutex::default(),
            stop,
        }
    }

    /// What it was asked, if it was.
    pub(super) fn asked(&self) -> Option<Question> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn line(line: &str) {
        // A reader that went away does not stop an import.
        if let Err(error) = crate::cli::print(&format!("{line}\n")) {
            tracing::debug!(%error, "nobody reads");
        }
    }
}

impl Listener for Told {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn step_started(&self, _: u32) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn step_ended(&self, step: u32, outcome: &StepOutcome) {
        let name = self.steps.get(step as usize).copied().unwrap_or_default();
        if self.json {
            let took = self.began.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let line = json!({ "step": step, "of": self.steps.len(), "name": name, "outcome": outcome, "took_ms": took_ms });
            return Self::line(&line.to_string());
        }
        let (word, more) = match outcome {
            StepOutcome::Done { note } => ("done", note.as_deref().unwrap_or_default()),
            StepOutcome::Skipped { why } => ("skipped", why.as_str()),
            StepOutcome::Failed { failure } => ("FAILED", failure.what.as_str()),
            StepOutcome::NotRun { because } => ("not run", because.as_str()),
        };
        let more = if more.is_empty() { String::new() } else { format!("  ({more})") };
        Self::line(&format!("{}/{} {word:<8} {name}{more}", step + 1, self.steps.len()));
    }

    fn tell(&self, progress: &Progress) {
        let More::Import(live) = &progress.more else { return };
        let mut last = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == live.waiting {
            return;
        }
        last.clone_from(&live.waiting);
        let Some(waiting) = &live.waiting else { return };
        if self.json {
            Self::line(&json!({ "step": progress.step, "waiting": waiting, "live": live }).to_string());
        } else {
            Self::line(&format!("    ...      {waiting}"));
        }
    }

    fn edge(&self) -> Edge {
        match *self.stop.borrow() {
            Stop::No => Edge::GoOn,
            Stop::Asked => Edge::GiveUp,
        }
    }

    fn given_up(&self) -> BoxFuture<'_, ()> {
        let mut stop = self.stop.clone();
        Box::pin(async move {
            if stop.wait_for(|stop| *stop == Stop::Asked).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }

    fn ask(&self, question: &Question) -> Edge {
        // Nobody is there to answer: it is said at the end, with what to say to go on.
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(question.clone());
        Edge::GiveUp
    }
}
