//! Why a worker's work ends before its end: it failed, or somebody asked it to give up. Nothing but that.

use std::future::Future;

use super::{Desk, Edge, End};
use crate::run::Failure;
use crate::services::ServiceError;

/// Why the work does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// It failed.
    Failed(Failure),
    /// It was asked to give up; what was done and what was not.
    GivenUp(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The end of the job, as the crew wants it.
pub(super) fn end(result: Result<End, Stop>) -> Result<End, Failure> {
    match result {
        Ok(end) => Ok(end),
        Err(Stop::Failed(failure)) => Err(failure),
        Err(Stop::GivenUp(state)) => Ok(End::Cancelled { state }),
    }
}

/// At an edge: waits while paused, and stops where somebody asked for it. `state` says what was done so far.
pub(super) async fn go_on(desk: &Desk, state: &str) -> Result<(), Stop> {
    match desk.edge().await {
        Edge::GoOn => Ok(()),
        Edge::GiveUp => Err(Stop::GivenUp(state.to_owned())),
    }
}

/// Work that can be left in its middle; `state` says what leaving it means.
pub(super) async fn unless_given_up<T>(
    desk: &Desk,
    state: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Stop> {
    tokio::select! {
        biased;
        () = desk.given_up() => Err(Stop::GivenUp(state.to_owned())),
        done = work => Ok(done?),
    }
}

/// A service's error, with what it leaves undone.
pub(super) fn failed(error: &ServiceError) -> Failure {
    super::kit::failure(error)
}
