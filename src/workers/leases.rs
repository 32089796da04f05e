//! The leases of one cockpit, renewed together: one write a beat, however many workers stand there.
//!
//! It guarantees that a lease is renewed for as long as somebody holds it here and no longer, and that whoever holds one that
//! was lost is told. A beat that fails loses nothing: the lease outlasts two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::run::WorkerId;
use crate::store::Store;
use crate::store::beside::LEASE;

/// How often a lease that another cockpit has is asked for again, in wall time.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The leases that are held here.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    store: Store,
    cockpit: Arc<str>,
    /// How many hold each.
    held: Arc<Mutex<BTreeMap<WorkerId, usize>>>,
    beat: Arc<watch::Sender<Beat>>,
}

/// What the last renewal said.
#[derive(Debug)]
struct Beat {
    /// When it was asked: it says nothing of what was taken after that.
    asked: Instant,
    lost: BTreeSet<WorkerId>,
}

/// A lease in hand; dropped, it is not renewed any more.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Leases,
    worker: WorkerId,
    since: Instant,
}

impl Leases {
    pub(super) fn new(store: &Store, cockpit: &Arc<str>) -> Self {
        Self {
            store: store.clone(),
            cockpit: Arc::clone(cockpit),
            held: Arc::default(),
            beat: Arc::new(watch::Sender::new(Beat { asked: Instant::now(), lost: BTreeSet::new() })),
        }
    }

    /// Waits until the lease on that worker is this cockpit's.
    pub(super) async fn take(&self, worker: WorkerId) -> Lease {
        loop {
            match self.store.beside().lease(worker, &self.cockpit).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, %worker, "the lease cannot be asked for"),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        *self.held().entry(worker).or_default() += 1;
        Lease { leases: self.clone(), worker, since: Instant::now() }
    }

    /// Renews what is held here, for ever.
    pub(super) async fn keep(self) {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let held: BTreeSet<WorkerId> = self.held().keys().copied().collect();
            if held.is_empty() {
                continue;
            }
            let asked = Instant::now();
            match self.store.beside().renew(&held, &self.cockpit).await {
                Ok(had) => {
                    self.beat.send_replace(Beat { asked, lost: &held - &had });
                }
                Err(error) => tracing::warn!(%error, "the leases were not renewed"),
            }
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<WorkerId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Ends when another cockpit has it.
    pub(super) async fn lost(&self) {
        let mut beat = self.leases.beat.subscribe();
        // The sender lives in the leases that this one holds.
        drop(beat.wait_for(|beat| beat.asked > self.since && beat.lost.contains(&self.worker)).await);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.leases.held();
        if let Some(count) = held.get_mut(&self.worker) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.worker);
            }
        }
    }
}
