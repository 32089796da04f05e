//! The share of our own probes of the health check that were answered well, in percent.
//!
//! It guarantees that no answer is a bad probe and not a failed reading, and that a health check which cannot fail (the index
//! page of a single-page app) proves nothing.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::{Source, keep_recent};
use crate::plan::Metric;
use crate::run::live::Reading;
use crate::services::probe::{CanFail, HealthState, Probe};
use crate::store::Store;
use crate::workers::Kit;

/// How long the proof that the health check can fail counts.
const PROVEN_FOR: TimeDelta = TimeDelta::minutes(10);

pub(super) struct AppUptime {
    kit: Kit,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    probes: VecDeque<(DateTime<Utc>, bool)>,
    able_to_fail: Option<DateTime<Utc>>,
}

impl AppUptime {
    pub(super) fn new(kit: Kit) -> Self {
        Self { kit, seen: Mutex::default() }
    }

    async fn look(&self, metric: &Metric, now: DateTime<Utc>, lag: Duration) -> Result<Reading, String> {
        let probe = self.kit.probe().map_err(|failure| failure.to_string())?;
        let path = &self.kit.config().app.health;
        let mut seen = self.seen.lock().await;
        let health = probe.health(path).await;
        if health.state == HealthState::CatchAll || !seen.able_to_fail(&probe, path, &health.state, now).await
        {
            let why = format!(
                "{path} answers as every path does: the health check cannot fail, so it proves nothing"
            );
            return Ok(Reading::NoData { why });
        }
        Ok(seen.add(metric, now, lag, health.state.is_healthy()))
    }
}

impl Seen {
    /// Whether the health check can fail; looked up now and then while it is well, and taken for granted when it fails.
    async fn able_to_fail(
        &mut self,
        probe: &Probe,
        path: &str,
        state: &HealthState,
        now: DateTime<Utc>,
    ) -> bool {
        if !state.is_healthy() || self.able_to_fail.is_some_and(|at| now - at < PROVEN_FOR) {
            return true;
        }
        match probe.can_fail(path).await {
            CanFail::Yes => {
                self.able_to_fail = Some(now);
                true
            }
            CanFail::No => false,
            // Asked again at the next probe; that probe's own answer still counts.
            CanFail::Unknown(_) => true,
        }
    }

    fn add(&mut self, metric: &Metric, now: DateTime<Utc>, lag: Duration, well: bool) -> Reading {
        self.probes.push_back((now, well));
        keep_recent(&mut self.probes, metric, now, lag);
        let n = self.probes.len() as u64;
        let bad = self.probes.iter().filter(|(_, well)| !well).count() as u64;
        Reading::Value { value: (n - bad) as f64 * 100.0 / n.max(1) as f64, n, bad: Some(bad) }
    }
}

impl Source for AppUptime {
    fn read<'a>(&'a self, metric: &'a Metric, store: &'a Store) -> BoxFuture<'a, Reading> {
        Box::pin(async move {
            let clock = store.clock();
            self.look(metric, clock.now(), clock.lag()).await.unwrap_or_else(|why| Reading::Failed { why })
        })
    }

    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }
}
