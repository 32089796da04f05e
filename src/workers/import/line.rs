//! Whom a pass answers to: the desk of a job, or nobody but the clock when it is one of the sync's own rounds.
//!
//! It guarantees that a pass of either kind stops at the next edge when it is no longer wanted, and that steps and
//! progress are told only where a job is there to carry them.

use std::future::Future;
use std::sync::Arc;

use super::trouble::Trouble;
use crate::clock::Clock;
use crate::run::state::Sync;
use crate::run::{JobId, Progress, State, StepOutcome, WorkerId};
use crate::store::Store;
use crate::workers::{Desk, Edge};

/// Whom a pass answers to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line<'a> {
    /// A job.
    Desk(&'a Desk),
    /// A round of the sync by the clock.
    Round(&'a Store),
}

/// Whether the sync may do a round now.
pub(super) fn round_wanted(state: &State) -> bool {
    matches!(state.sync, Sync::On { .. })
        && state.taken_back.is_empty()
        && state.open_jobs(WorkerId::Import).next().is_none()
        && state.ended().is_none()
}

impl Line<'_> {
    pub(super) fn clock(&self) -> &Clock {
        match self {
            Self::Desk(desk) => desk.clock(),
            Self::Round(store) => store.clock(),
        }
    }

    pub(super) fn job(&self) -> Option<JobId> {
        match self {
            Self::Desk(desk) => Some(desk.job().id),
            Self::Round(_) => None,
        }
    }

    pub(super) fn tell(&self, progress: Progress) {
        if let Self::Desk(desk) = self {
            desk.tell(progress);
        }
    }

    /// Waits while paused; an error when it is to stop here.
    pub(super) async fn edge(&self) -> Result<(), Trouble> {
        let go_on = match self {
            Self::Desk(desk) => desk.edge().await == Edge::GoOn,
            Self::Round(store) => round_wanted(&store.now()),
        };
        if go_on { Ok(()) } else { Err(Trouble::GivenUp) }
    }

    /// Ends when it is to stop, for waits that can be left in their middle.
    pub(super) async fn given_up(&self) {
        match self {
            Self::Desk(desk) => desk.given_up().await,
            Self::Round(store) => {
                let mut state = store.state();
                if state.wait_for(|state: &Arc<State>| !round_wanted(state)).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Takes a step: reports its begin and its end, where there is a job.
    pub(super) async fn step<T>(
        &self,
        step: u32,
        work: impl Future<Output = Result<(T, Option<String>), Trouble>>,
    ) -> Result<T, Trouble> {
        let Self::Desk(desk) = self else { return work.await.map(|(found, _)| found) };
        desk.step_started(step).await?;
        match work.await {
            Ok((found, note)) => {
                desk.step_ended(step, StepOutcome::Done { note }).await?;
                Ok(found)
            }
            Err(trouble) => {
                match &trouble {
                    Trouble::Failed(failure) => {
                        let outcome = StepOutcome::Failed { failure: failure.clone() };
                        desk.step_ended(step, outcome).await?;
                    }
                    Trouble::GivenUp => {
                        let because = "somebody asked the job to give up".to_owned();
                        desk.step_ended(step, StepOutcome::NotRun { because }).await?;
                    }
                    // It is begun again as soon as the database is back.
                    Trouble::Lost(_) => {}
                }
                Err(trouble)
            }
        }
    }
}
