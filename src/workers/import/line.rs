//! Whom a pass answers to: the desk of a job, whoever runs it without a journal, or nobody but the clock when it is one of
//! the sync's own rounds.
//!
//! It guarantees that a pass of any kind stops at the next edge when it is no longer wanted, that steps and progress are
//! told only where somebody listens, and that a question is put to a person and never answered by a machine.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::trouble::Trouble;
use crate::clock::Clock;
use crate::run::command::Report;
use crate::run::job::Question;
use crate::run::state::Sync;
use crate::run::upkeep::Upkeep;
use crate::run::{JobId, Progress, State, StepOutcome, WorkerId};
use crate::store::Store;
use crate::workers::{Desk, Edge};

/// Who runs a pass without a journal: the command line, a test.
pub trait Listener: Send + std::marker::Sync {
    /// The clock.
    fn clock(&self) -> &Clock;

    /// A step began.
    fn step_started(&self, step: u32);

    /// A step ended.
    fn step_ended(&self, step: u32, outcome: &StepOutcome);

    /// How far it is; the latest wins.
    fn tell(&self, progress: &Progress);

    /// Whether to go on.
    fn edge(&self) -> Edge;

    /// Ends when it is to give up.
    fn given_up(&self) -> BoxFuture<'_, ()>;

    /// Puts a question to whoever is there.
    fn ask(&self, question: &Question) -> Edge;
}

/// Whom a pass answers to.
#[derive(Clone, Copy)]
pub(super) enum Line<'a> {
    /// A job.
    Desk(&'a Desk),
    /// A round of the sync by the clock.
    Round(&'a Store),
    /// Somebody without a journal.
    Told(&'a dyn Listener),
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Desk(_) => "Desk",
            Self::Round(_) => "Round",
            Self::Told(_) => "Told",
        })
    }
}

/// Whether the sync may do a round now.
pub(super) fn round_wanted(state: &State) -> bool {
    matches!(state.sync, Sync::On { .. })
        && !state.held.contains_key(&Upkeep::Sync)
        && state.mocked().is_none()
        && state.taken_back.is_empty()
        && state.open_jobs(WorkerId::Import).next().is_none()
        && state.ended().is_none()
}

impl Line<'_> {
    pub(super) fn clock(&self) -> &Clock {
        match self {
            Self::Desk(desk) => desk.clock(),
            Self::Round(store) => store.clock(),
            Self::Told(listener) => listener.clock(),
        }
    }

    /// The job that progress is told of; none where nobody listens.
    pub(super) fn job(&self) -> Option<JobId> {
        match self {
            Self::Desk(desk) => Some(desk.job().id),
            Self::Told(_) => Some(JobId(0)),
            Self::Round(_) => None,
        }
    }

    /// The share of the time that a person lets it work, in percent; nothing where nobody said so.
    pub(super) fn pace(&self) -> Option<u8> {
        match self {
            Self::Desk(desk) => desk.state().pace,
            Self::Round(store) => store.now().pace,
            Self::Told(_) => None,
        }
    }

    pub(super) fn tell(&self, progress: Progress) {
        match self {
            Self::Desk(desk) => desk.tell(progress),
            Self::Told(listener) => listener.tell(&progress),
            Self::Round(_) => {}
        }
    }

    /// Waits while paused; an error when it is to stop here.
    pub(super) async fn edge(&self) -> Result<(), Trouble> {
        let go_on = match self {
            Self::Desk(desk) => desk.edge().await == Edge::GoOn,
            Self::Round(store) => round_wanted(&store.now()),
            Self::Told(listener) => listener.edge() == Edge::GoOn,
        };
        if go_on { Ok(()) } else { Err(Trouble::GivenUp) }
    }

    /// Ends when it is to stop, for waits that can be left in their middle.
    pub(super) async fn given_up(&self) {
        match self {
            Self::Desk(desk) => desk.given_up().await,
            Self::Told(listener) => listener.given_up().await,
            Self::Round(store) => {
                let mut state = store.state();
                if state.wait_for(|state: &Arc<State>| !round_wanted(state)).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Puts a question to a person and waits for the decision; an error when it is to stop.
    pub(super) async fn ask(&self, question: &Question) -> Result<(), Trouble> {
        let desk = match self {
            Self::Desk(desk) => desk,
            Self::Told(listener) => {
                return if listener.ask(question) == Edge::GoOn { Ok(()) } else { Err(Trouble::GivenUp) };
            }
            // A round asks nobody: there is nobody.
            Self::Round(_) => return Err(Trouble::GivenUp),
        };
        let job = desk.job().id;
        let asked = |state: &State| state.jobs.get(&job).is_some_and(|job| job.question() == Some(question));
        // A decision that fell while no worker was there holds.
        let decided = |state: &State| {
            let asked = state.jobs.get(&job).and_then(|job| job.asked.as_ref());
            asked.is_some_and(|asked| asked.question == *question && asked.answer.is_some())
        };
        let now = desk.state();
        if decided(&now) {
            return self.edge().await;
        }
        if !asked(&now) {
            desk.report(Report::Asked { job, question: question.clone() }).await?;
        }
        let mut state = desk.store().state();
        tokio::select! {
            answered = state.wait_for(|state: &Arc<State>| !asked(state)) => {
                if answered.is_err() {
                    return Err(Trouble::GivenUp);
                }
            }
            () = desk.given_up() => {}
        }
        // What was cancelled instead is over.
        self.edge().await
    }

    /// Says that it is Pulse that fails this job, where there is a record. A round of the sync tells its own failure.
    pub(super) async fn pulse_failed(&self, what: &str) -> Result<(), Trouble> {
        if let Self::Desk(desk) = self {
            desk.report(Report::PulseFailed { job: desk.job().id, what: what.to_owned() }).await?;
        }
        Ok(())
    }

    /// Takes a step: reports its begin and its end, where somebody listens.
    pub(super) async fn step<T>(
        &self,
        step: u32,
        work: impl Future<Output = Result<(T, Option<String>), Trouble>>,
    ) -> Result<T, Trouble> {
        self.started(step).await?;
        match work.await {
            Ok((found, note)) => {
                self.ended(step, StepOutcome::Done { note }).await?;
                Ok(found)
            }
            Err(trouble) => {
                match &trouble {
                    Trouble::Failed(failure) => {
                        self.ended(step, StepOutcome::Failed { failure: failure.clone() }).await?;
                    }
                    Trouble::GivenUp => {
                        let because = "somebody asked the job to give up".to_owned();
                        self.ended(step, StepOutcome::NotRun { because }).await?;
                    }
                    // It is begun again as soon as the database is back.
                    Trouble::Lost(_) => {}
                }
                Err(trouble)
            }
        }
    }

    async fn started(&self, step: u32) -> Result<(), Trouble> {
        match self {
            Self::Desk(desk) => desk.step_started(step).await?,
            Self::Told(listener) => listener.step_started(step),
            Self::Round(_) => {}
        }
        Ok(())
    }

    async fn ended(&self, step: u32, outcome: StepOutcome) -> Result<(), Trouble> {
        match self {
            Self::Desk(desk) => desk.step_ended(step, outcome).await?,
            Self::Told(listener) => listener.step_ended(step, &outcome),
            Self::Round(_) => {}
        }
        Ok(())
    }
}
