//! Stands between the engine on a clone and who watches the rehearsal: the engine's steps are part of one of the rehearsal's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use futures_util::future::BoxFuture;

use super::measure::Measure;
use crate::run::job::{Failure, StepOutcome, StepPlan};
use crate::run::steer::all_let;
use crate::run::{Actor, Steered};
use crate::workers::migrate::watch::{BackupGate, Edge, Moment, Options, Probe, Watcher};

/// Nobody waits on a clone, so nothing is paused for anybody.
pub(super) fn options() -> Options {
    Options {
        by: "rehearsal".into(),
        lock_timeout: Duration::from_secs(2),
        wait_budget: Duration::from_secs(30),
        client_budget: Duration::from_hours(24),
        backup: BackupGate::Waived,
        ..Options::default()
    }
}

/// The one in between.
pub(super) struct Inner<'a> {
    outer: &'a dyn Watcher,
    measure: &'a Measure,
    step: u32,
    steps: Mutex<Vec<StepPlan>>,
}

impl<'a> Inner<'a> {
    /// Of that step of the rehearsal.
    pub(super) fn new(outer: &'a dyn Watcher, measure: &'a Measure, step: u32) -> Self {
        Self { outer, measure, step, steps: Mutex::default() }
    }
}

impl Watcher for Inner<'_> {
    fn planned(&self, steps: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        *self.steps.lock().unwrap_or_else(PoisonError::into_inner) = steps;
        Box::pin(async { Ok(()) })
    }

    fn steered(&self) -> Vec<Steered> {
        // On a clone there is a way back from everything.
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        all_let(&steps, &Actor::machine("rehearsal"), Utc::now())
    }

    fn step_started(&self, _: u32) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn step_ended(&self, _: u32, _: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn moment(&self, moment: Moment) {
        self.outer.moment(Moment { step: Some(self.step), ..moment });
    }

    fn edge(&self) -> BoxFuture<'_, Edge> {
        self.outer.edge()
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        self.outer.cancelled()
    }

    fn probe(&self) -> Option<&dyn Probe> {
        Some(self.measure)
    }
}
