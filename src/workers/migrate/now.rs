//! How a run stands at this moment: written by the engine, the sampler and the canary, read by whoever draws it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::watch::Moment;
use crate::run::live::Blocker;

/// What the canary felt: its best ever is the way to the server and back, and nobody's fault.
#[derive(Debug, Default)]
struct Felt {
    best: Option<f64>,
    worst: Option<f64>,
}

/// What a step cost others, from its begin on.
#[derive(Debug, Default)]
struct Cost {
    worst_ms: Option<f64>,
    wal_before: Option<u64>,
    began: Option<Instant>,
}

/// Shared by the three sessions of a run.
#[derive(Debug, Default)]
pub(crate) struct Now {
    moment: Mutex<Moment>,
    since_edge: Mutex<Felt>,
    cost: Mutex<Cost>,
}

impl Now {
    /// Of a run that keeps clients within that budget.
    pub(crate) fn within(budget: std::time::Duration) -> Self {
        let now = Self::default();
        now.lock().live.budget_ms = Some(budget.as_secs_f64() * 1000.0);
        now
    }

    fn lock(&self) -> MutexGuard<'_, Moment> {
        // A moment is whole after each write, whatever its writer did next.
        self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of it, as of now.
    pub(crate) fn moment(&self) -> Moment {
        let mut moment = self.lock().clone();
        let began = self.cost.lock().unwrap_or_else(PoisonError::into_inner).began;
        moment.live.elapsed_ms = began.map_or(0.0, |began| began.elapsed().as_secs_f64() * 1000.0);
        moment
    }

    /// How long the step and all after it take, by a rehearsal.
    pub(crate) fn expect(&self, step: Option<(f64, f64)>, after: Option<(f64, f64)>) {
        let mut moment = self.lock();
        (moment.live.forecast_ms, moment.live.after_ms) = (step, after);
    }

    /// Another step begins.
    pub(crate) fn step(&self, step: u32, doing: &str) {
        let mut moment = self.lock();
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner) =
            Cost { worst_ms: None, wal_before: moment.live.wal, began: Some(Instant::now()) };
        moment.step = Some(step);
        doing.clone_into(&mut moment.doing);
        moment.live.tries = 0;
        moment.live.blockers.clear();
        moment.live.queue = 0;
        moment.live.behind.clear();
        (moment.live.phase, moment.live.batches, moment.live.held_ms) = (None, None, None);
        (moment.rate, moment.left) = (None, None);
        (moment.done, moment.total) = (0, None);
        moment.unit.clear();
        "gonogo".clone_into(&mut moment.source);
    }

    /// Changes what is said.
    pub(crate) fn doing(&self, doing: &str) {
        doing.clone_into(&mut self.lock().doing);
    }

    /// Somebody is in the way.
    pub(crate) fn blocked(&self, doing: String, blockers: Vec<Blocker>) {
        let mut moment = self.lock();
        moment.doing = doing;
        "pg_locks".clone_into(&mut moment.source);
        moment.live.blockers = blockers;
    }

    /// Nobody is in the way any more.
    pub(crate) fn free(&self) {
        self.lock().live.blockers.clear();
    }

    /// A lock is asked for, the nth time.
    pub(crate) fn asking(&self, tries: u32) {
        self.lock().live.tries = tries;
    }

    /// What the sampler saw.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Moment)) {
        change(&mut self.lock());
    }

    /// What the canary felt.
    pub(crate) fn felt(&self, ms: f64) {
        {
            let mut moment = self.lock();
            moment.live.canary_ms = Some(ms);
            moment.live.worst_ms = Some(moment.live.worst_ms.unwrap_or(0.0).max(ms));
        }
        {
            let mut cost = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
            cost.worst_ms = Some(cost.worst_ms.unwrap_or(0.0).max(ms));
        }
        let mut since = self.since_edge.lock().unwrap_or_else(PoisonError::into_inner);
        since.worst = Some(since.worst.unwrap_or(0.0).max(ms));
    }

    /// What the step has cost others, for its record: nothing where it was over before anybody measured.
    pub(crate) fn cost(&self) -> Option<String> {
        let wal = self.lock().live.wal;
        let cost = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = cost.worst_ms.map(|ms| format!("worst client wait {ms:.0} ms"));
        let wal = wal.zip(cost.wal_before).map(|(now, before)| now.saturating_sub(before));
        let wal =
            wal.filter(|bytes| *bytes >= 1_000_000).map(|bytes| format!("WAL {} MB", bytes / 1_000_000));
        let parts: Vec<String> = wait.into_iter().chain(wal).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// A song came to its end after so long.
    pub(crate) fn sung(&self, ms: f64) {
        self.felt(ms);
        let mut since = self.since_edge.lock().unwrap_or_else(PoisonError::into_inner);
        since.best = Some(since.best.unwrap_or(ms).min(ms));
    }

    /// The canary's worst since the last edge, above its best; begins anew.
    pub(crate) fn worst_since_edge(&self) -> Option<f64> {
        let mut since = self.since_edge.lock().unwrap_or_else(PoisonError::into_inner);
        let best = since.best.unwrap_or(0.0);
        since.worst.take().map(|worst| worst - best)
    }
}
