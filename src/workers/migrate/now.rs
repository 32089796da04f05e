//! How a run stands at this moment: written by the engine, the sampler and the canary, read by whoever draws it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::watch::Moment;
use crate::run::live::Blocker;

/// What the canary felt: its best ever is the way to the server and back, and nobody's fault.
#[derive(Debug, Default)]
struct Felt {
    best: Option<f64>,
    worst: Option<f64>,
}

/// Shared by the three sessions of a run.
#[derive(Debug, Default)]
pub(crate) struct Now {
    moment: Mutex<Moment>,
    since_edge: Mutex<Felt>,
}

impl Now {
    fn lock(&self) -> MutexGuard<'_, Moment> {
        // A moment is whole after each write, whatever its writer did next.
        self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of it.
    pub(crate) fn moment(&self) -> Moment {
        self.lock().clone()
    }

    /// Another step begins.
    pub(crate) fn step(&self, step: u32, doing: &str) {
        let mut moment = self.lock();
        moment.step = Some(step);
        doing.clone_into(&mut moment.doing);
        moment.live.tries = 0;
        moment.live.blockers.clear();
        moment.live.queue = 0;
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
        let mut since = self.since_edge.lock().unwrap_or_else(PoisonError::into_inner);
        since.worst = Some(since.worst.unwrap_or(0.0).max(ms));
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
