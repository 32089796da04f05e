//! The sync by the clock: what changed at Pulse, every so many minutes, for as long as it is on.
//!
//! It guarantees that no round runs while a job imports, while somebody or the kill switch holds it, after anything was taken
//! back, or after the run was closed; and that a round which fails is told once as what it is, while the last good one grows
//! old.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::checkpoint::Kind;
use super::kill;
use super::line::{Line, round_wanted};
use super::pass::Pass;
use super::trouble::Trouble;
use crate::run::command::Report;
use crate::run::job::ImportTotals;
use crate::run::state::Sync;
use crate::run::upkeep::Upkeep;
use crate::run::{Actor, Command, State, WorkerId};
use crate::store::{Store, SubmitError};
use crate::workers::desk::report_as;
use crate::workers::{Kit, Standing};

/// How often the kill switch is looked at while nothing else happens.
const LOOK: Duration = Duration::from_secs(30);
/// How long after a round that failed the next one begins, at least.
const AFTER_FAILURE: Duration = Duration::from_mins(1);

/// Keeps contacts in step with Pulse.
#[derive(Debug)]
pub struct SyncStanding {
    kit: Kit,
}

impl SyncStanding {
    /// Stands ready; nothing is done before the sync is on.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }

    async fn keep(&self, store: &Store) {
        let mut state = store.state();
        loop {
            if state.wait_for(|state: &Arc<State>| round_wanted(state)).await.is_err() {
                return;
            }
            if let Some(why) = kill::switch(&self.kit) {
                if !report(store, Report::Held { what: Upkeep::Sync, why }).await {
                    // The journal cannot be written now; the switch holds all the same.
                    store.clock().sleep(LOOK).await;
                }
                continue;
            }
            let Some(due) = due(&store.now(), self.kit.config().import.sync_every) else { continue };
            let look = store.clock().now() + LOOK;
            tokio::select! {
                () = store.clock().sleep_until(due.min(look)) => {}
                // Another round, a job or the end of the sync moves the time.
                changed = state.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
            if store.clock().now() < due || kill::switch(&self.kit).is_some() {
                continue;
            }
            let what = match self.round(store).await {
                Ok(()) => continue,
                Err(Trouble::GivenUp) => {
                    tracing::info!("a round of the sync was given up");
                    None
                }
                Err(Trouble::Lost(words)) => Some(format!("the database broke off: {words}")),
                Err(Trouble::Failed(failure)) => Some(failure.what),
            };
            if let Some(what) = what {
                tracing::warn!(%what, "a round of the sync failed");
                report(store, Report::SyncFailed { what }).await;
            }
            store.clock().sleep(AFTER_FAILURE).await;
        }
    }

    async fn round(&self, store: &Store) -> Result<(), Trouble> {
        let done = Pass::new(&self.kit, Line::Round(store), Kind::Sync).run().await?;
        // What was taken back in the meantime must not switch the sync on again.
        if round_wanted(&store.now()) {
            report_as(store, &Actor::machine(WorkerId::Import.word()), synced(&done.totals)).await?;
        }
        Ok(())
    }
}

/// Reports; false when it could not be. What is known already is no failure.
async fn report(store: &Store, report: Report) -> bool {
    let by = Actor::machine(WorkerId::Import.word());
    match store.submit(&by, Command::Report(report)).await {
        Ok(_) | Err(SubmitError::Refused(_)) => true,
        Err(SubmitError::Store(error)) => {
            tracing::error!(%error, "the sync could not write to the journal");
            false
        }
    }
}

/// The report of a round or of a sync job.
pub(super) fn synced(totals: &ImportTotals) -> Report {
    Report::Synced {
        imported: totals.imported,
        updated: totals.updated,
        unchanged: totals.unchanged,
        failed: totals.quarantined,
        conflicts: totals.conflicts,
    }
}

fn due(state: &State, every: Duration) -> Option<DateTime<Utc>> {
    match state.sync {
        Sync::On { last, .. } => last.checked_add_signed(TimeDelta::from_std(every).ok()?),
        Sync::Off => None,
    }
}

impl Standing for SyncStanding {
    fn id(&self) -> WorkerId {
        WorkerId::Import
    }

    fn stand<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.keep(store).await;
            // The store is gone, and with it this cockpit.
            std::future::pending::<()>().await;
        })
    }
}
