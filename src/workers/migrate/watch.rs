//! What the engine tells and asks while it runs. Who watches may be a worker with its journal, a command with its terminal, or a
//! test; the engine knows none of them.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnection;

use super::forecast::Forecast;
use super::split::Statement;
use crate::run::job::{Failure, StepOutcome, StepPlan};
use crate::run::live::MigrateLive;
use crate::run::steer::Steered;
pub use crate::workers::Edge;

/// Told what happens, asked at each edge. What is told must be durable before the future ends, except for moments.
pub trait Watcher: Send + Sync {
    /// The steps, before the first.
    fn planned(&self, steps: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>>;
    /// A step begins.
    fn step_started(&self, step: u32) -> BoxFuture<'_, Result<(), Failure>>;
    /// A step ended.
    fn step_ended(&self, step: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>>;
    /// How it stands now; may be lost.
    fn moment(&self, moment: Moment);
    /// Waits while a person holds the work.
    fn edge(&self) -> BoxFuture<'_, Edge>;
    /// Ends when a person wants the running statement cancelled.
    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
    /// What people have said since the run was asked for, oldest first.
    fn steered(&self) -> Vec<Steered> {
        Vec::new()
    }
    /// What came of the wish at that place.
    fn answered(&self, _steer: u32, _outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    /// Who looks at each statement from inside; nobody on the day itself.
    fn probe(&self) -> Option<&dyn Probe> {
        None
    }
}

/// Looks at each statement from inside its session, right before and right after it, in its transaction where it has one. What
/// a rehearsal measures, it measures through this, on the engine that will run on the day.
pub trait Probe: Send + Sync {
    /// The statement comes next.
    fn before<'a>(
        &'a self,
        session: &'a mut PgConnection,
        file: &'a str,
        statement: &'a Statement,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;
    /// The statement has run, in this time, and touched so many rows.
    fn after<'a>(
        &'a self,
        session: &'a mut PgConnection,
        file: &'a str,
        statement: &'a Statement,
        took: Duration,
        rows: u64,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;
}

/// How a run stands between two events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    /// The step's place in the plan.
    pub step: Option<u32>,
    /// What is going on, in words.
    pub doing: String,
    /// How much is done.
    pub done: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: String,
    /// Where the figure comes from.
    pub source: String,
    /// Of the unit in a second, smoothed, where it was measured over some seconds.
    pub rate: Option<f64>,
    /// Seconds still to go in this step, from and to.
    pub left: Option<(u64, u64)>,
    /// Locks, clients, log.
    pub live: MigrateLive,
}

/// Whether a proven backup must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupGate {
    /// Nothing starts without one.
    Required,
    /// Somebody has said that it goes without.
    Waived,
}

/// How patient a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// In whose name it is recorded.
    pub by: String,
    /// How long a lock request that stops clients may wait: the most that one try costs them.
    pub lock_timeout: Duration,
    /// How long to wait in all for a lock, blockers and tries together.
    pub wait_budget: Duration,
    /// How long to wait for another runner to end.
    pub runner_wait: Duration,
    /// The longest that a client may wait before the plan pauses itself.
    pub client_budget: Duration,
    /// How long a batch should take.
    pub batch_target: Duration,
    /// How far a standby may be behind before batches wait for it.
    pub lag_budget: Duration,
    /// How much log the server may write in a second before batches wait, in bytes.
    pub wal_budget: u64,
    /// Whether a proven backup must be there.
    pub backup: BackupGate,
    /// What a rehearsal measured, where there was one.
    pub forecast: Option<std::sync::Arc<Forecast>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            by: "gonogo".into(),
            lock_timeout: Duration::from_millis(100),
            wait_budget: Duration::from_mins(10),
            runner_wait: Duration::from_secs(30),
            client_budget: Duration::from_millis(200),
            batch_target: Duration::from_millis(50),
            lag_budget: Duration::from_secs(5),
            wal_budget: 100_000_000,
            backup: BackupGate::Required,
            forecast: None,
        }
    }
}

/// How a run ended, where nothing failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The numbers that are applied now.
    pub applied: Vec<u64>,
    /// Steps that did something.
    pub done: usize,
    /// Steps that were not needed.
    pub skipped: usize,
    /// The longest wait of a client, where it was measured.
    pub worst_wait_ms: Option<f64>,
    /// What a person should know besides, in words.
    pub remarks: Vec<String>,
    /// Whether it came to its end.
    pub ended: Ended,
}

/// Whether a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All that was asked is done and proven.
    Complete,
    /// A person stopped it.
    GivenUp,
}
