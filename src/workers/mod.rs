//! What acts. A worker reads the state, does one job's work in the outside world, and reports what happened as events.
//!
//! It guarantees that a job is run by one cockpit at a time (the lease), that a job whose cockpit died is taken up again
//! by the next one that can, and that every job ends with an outcome: a worker that panics or loses its lease included.
//! A worker holds no rule: what may be asked for when is `run::decide`'s, and it draws nothing.

pub mod announce;
mod clients;
mod crew;
pub mod deploy;
mod desk;
pub mod import;
pub mod kit;
mod leases;
pub mod migrate;
pub mod monitor;
mod outside;
pub mod rollback;
pub mod rollout;
mod stop;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod verify;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use crew::Crew;
pub use desk::{Desk, Edge};
pub use kit::Kit;

use crate::run::job::Facts;
use crate::run::{Failure, WorkerId};
use crate::store::Store;

/// How a job's work ended, when it did not fail.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It did all it was asked, and proved it.
    Succeeded {
        /// In a line.
        summary: String,
        /// The figures that others need.
        facts: Facts,
    },
    /// It was asked to give up, and did.
    Cancelled {
        /// What was done and what was not.
        state: String,
    },
}

impl End {
    /// Success without figures.
    pub fn succeeded(summary: impl Into<String>) -> Self {
        Self::Succeeded { summary: summary.into(), facts: Facts::None }
    }
}

/// Does the jobs of one kind, one at a time.
pub trait Worker: Send + Sync + 'static {
    /// Whose jobs it does.
    fn id(&self) -> WorkerId;

    /// Does the job on the desk. After a crash it is called again with the steps of the attempt before; whatever it did
    /// then must be found out from the outside world, not remembered.
    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>>;
}

/// Does something all the time, in one cockpit at a time (reads the gauges, syncs every 15 minutes).
pub trait Standing: Send + Sync + 'static {
    /// Whose lease it needs.
    fn id(&self) -> WorkerId;

    /// Runs until the lease is lost or the cockpit is left; it never returns by itself.
    fn stand<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, ()>;
}

/// A place in the crew.
#[derive(Clone)]
pub enum Post {
    /// Someone who does jobs.
    Jobs(Arc<dyn Worker>),
    /// Someone who does something all the time.
    Standing(Arc<dyn Standing>),
}

impl Post {
    /// Whose lease it needs.
    pub fn id(&self) -> WorkerId {
        match self {
            Self::Jobs(worker) => worker.id(),
            Self::Standing(standing) => standing.id(),
        }
    }
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Jobs(_) => "Jobs",
            Self::Standing(_) => "Standing",
        };
        f.debug_tuple(kind).field(&self.id()).finish()
    }
}
