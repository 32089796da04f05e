//! Reads the gauges all the time, and says when one changes what it says.
//!
//! It guarantees that each gauge is read by its own source, one reading at a time, so that a source which hangs blinds its own
//! gauge only; that a gauge whose readings stop is judged by the clock as well, and becomes stale instead of staying good;
//! and that nothing is judged here: the rules are `run::judge`'s. What a source asks stands in `sources`, one file each.

mod pace;
pub mod sources;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use self::pace::{Pace, TICK, floored};
use super::{Kit, Standing};
use crate::plan::{Metric, Plan};
use crate::run::command::Report;
use crate::run::judge::{self, Blind, Verdict};
use crate::run::live::Reading;
use crate::run::{Actor, Command, Sample, State, WorkerId};
use crate::store::{Store, SubmitError};

/// Reads the gauges of the plan.
#[derive(Debug, Clone)]
pub struct Monitor {
    kit: Kit,
}

impl Monitor {
    /// A monitor with this kit.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }

    /// Reads every gauge of `plan` until the run ends or has another plan.
    async fn watch(&self, plan: &Plan, store: &Store) {
        let mut gauges: FuturesUnordered<_> =
            plan.metrics.iter().map(|metric| self.read_on(metric, store)).collect();
        let judging = async {
            loop {
                for metric in &plan.metrics {
                    step(metric, store).await;
                }
                floored(store.clock(), TICK).await;
            }
        };
        let mut state = store.state();
        tokio::select! {
            // Neither ends by itself; a plan without gauges has nothing to read.
            () = async { while gauges.next().await.is_some() {} std::future::pending().await } => {}
            () = judging => {}
            _ = state.wait_for(|state| metrics(state) != Some(&plan.metrics)) => {}
        }
    }

    async fn read_on(&self, metric: &Metric, store: &Store) {
        let source = sources::of(metric, &self.kit);
        let mut pace = Pace::new(source.every());
        loop {
            let at = store.clock().now();
            let reading = source.read(metric, store).await;
            pace.went(!matches!(reading, Reading::Failed { .. }));
            store.sample(Sample { metric: metric.id.clone(), at, reading });
            step(metric, store).await;
            pace.rest(store.clock()).await;
        }
    }
}

impl Standing for Monitor {
    fn id(&self) -> WorkerId {
        WorkerId::Monitor
    }

    fn stand<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut state = store.state();
            while let Some(plan) = open_plan(&mut state).await {
                self.watch(&plan, store).await;
            }
            std::future::pending::<()>().await;
        })
    }
}

/// Waits for an open run.
async fn open_plan(state: &mut watch::Receiver<Arc<State>>) -> Option<Arc<Plan>> {
    let state = state.wait_for(|state| metrics(state).is_some()).await.ok()?;
    state.plan().cloned()
}

/// The gauges of an open run.
fn metrics(state: &State) -> Option<&Vec<Metric>> {
    let run = state.run.as_ref()?;
    run.ended.is_none().then_some(&run.plan.metrics)
}

/// Judges a gauge by its latest sample and the time, and reports what changed.
async fn step(metric: &Metric, store: &Store) {
    let latest = store.live().borrow().latest(&metric.id).cloned();
    let verdict = judge::judge(metric, latest.as_ref(), store.clock().now(), store.clock().lag());
    let known = store.now().health.get(&metric.id).map(|health| health.verdict);
    // A gauge that was never read is nothing new.
    if known.unwrap_or(Verdict::CannotTell { why: Blind::NoReading }) != verdict {
        let reading = match (verdict, &latest) {
            (Verdict::CannotTell { why: Blind::Stale }, Some(sample)) => {
                format!(
                    "no reading since {}; it was {}",
                    sample.at.format("%H:%M:%S"),
                    judge::words(metric, sample)
                )
            }
            (_, Some(sample)) => judge::words(metric, sample),
            (_, None) => "no reading".into(),
        };
        report(store, Report::Verdict { metric: metric.id.clone(), verdict, reading }).await;
    }
    let state = store.now();
    let (health, alert) = (state.health.get(&metric.id), state.alerts.get(&metric.id));
    if let Some(next) = judge::alert_step(metric, health, alert, store.clock().now()) {
        report(store, next).await;
    }
}

async fn report(store: &Store, report: Report) {
    match store.submit(&Actor::machine(WorkerId::Monitor.word()), Command::Report(report)).await {
        // Refused: the tick or another cockpit said it first, or the run has just ended.
        Ok(_) | Err(SubmitError::Refused(_)) => {}
        Err(SubmitError::Store(error)) => {
            tracing::error!(%error, "a gauge's verdict was not recorded; it is judged again at the next tick");
        }
    }
}
