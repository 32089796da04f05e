//! Brings Pulse's profiles into contacts, once in full and then again and again what changed.
//!
//! It guarantees that every profile Pulse lists becomes exactly one contact with its mapping, or stands with its reason
//! among the rejects or the conflicts; that a kill, a lost network or a lost database at any point costs time and nothing
//! else; that a donor's fields are never touched; and that a pass which changes nothing writes nothing. The rules of the
//! merge are SQL in `sql/`; what a profile must fulfil is `profile`'s. When to import is `run::decide`'s, not this room's.

mod checkpoint;
mod database;
mod fetch;
mod line;
mod merge;
mod pace;
mod pass;
mod profile;
mod progress;
pub mod reconcile;
mod stage;
mod standing;
#[cfg(test)]
mod tests;
mod trouble;

use futures_util::future::BoxFuture;

pub use reconcile::reconciled;
pub use standing::SyncStanding;

use self::checkpoint::Kind;
use self::line::Line;
use self::pass::{Done, IMPORT_STEPS, Pass, SYNC_STEPS};
use self::trouble::Trouble;
use crate::run::job::{Facts, ImportTotals};
use crate::run::state::Sync;
use crate::run::{Actor, Failure, JobKind, Outcome, State, WorkerId};
use crate::workers::desk::report_as;
use crate::workers::{Desk, End, Kit, Worker};

/// Does the import and the sync that are asked for.
#[derive(Debug)]
pub struct ImportWorker {
    kit: Kit,
}

impl ImportWorker {
    /// A worker with that kit.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }

    async fn work(&self, desk: &Desk) -> Result<End, Failure> {
        let kind = if desk.job().kind == JobKind::Sync { Kind::Sync } else { Kind::Import };
        match kind {
            Kind::Import => desk.planned_names(IMPORT_STEPS).await?,
            Kind::Sync => desk.planned_names(SYNC_STEPS).await?,
        }
        match Pass::new(&self.kit, Line::Desk(desk), kind).run().await {
            Ok(done) => {
                if kind == Kind::Sync {
                    let by = Actor::machine(WorkerId::Import.word());
                    report_as(desk.store(), &by, standing::synced(&done.totals)).await?;
                }
                Ok(End::Succeeded { summary: summary(&done), facts: Facts::Imported(done.totals) })
            }
            Err(Trouble::Failed(failure)) => Err(failure),
            Err(Trouble::GivenUp) => Ok(End::Cancelled {
                state: "what is merged is complete and stays; asked for again, it goes on where it was"
                    .into(),
            }),
            Err(Trouble::Lost(words)) => Err(Failure {
                what: format!("the database broke off: {words}"),
                state: "every batch that was reported is complete".into(),
                next: "run it again: it goes on where it was".into(),
            }),
        }
    }
}

impl Worker for ImportWorker {
    fn id(&self) -> WorkerId {
        WorkerId::Import
    }

    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(self.work(desk))
    }
}

fn summary(done: &Done) -> String {
    let ImportTotals { fetched, imported, updated, unchanged, quarantined, conflicts, .. } = &done.totals;
    let words = format!("{fetched} profiles: {imported} new, {updated} updated, {unchanged} unchanged");
    let aside = (*quarantined > 0).then(|| format!(", {quarantined} set aside"));
    let doubtful = (*conflicts > 0).then(|| format!(", {conflicts} for a person to decide"));
    let remark = done.remark.as_ref().map(|remark| format!("; {remark}"));
    [Some(words), aside, doubtful, remark].into_iter().flatten().collect()
}

/// Contacts settled and failed, by the newest pass that had any: the reading behind the sync's success rate. None as long
/// as there was no such pass. A conflict is neither: the pass did its work, and what is to be done next is a person's to say.
pub fn success(state: &State) -> Option<(u64, u64)> {
    if let Sync::On { good, bad, .. } = state.sync
        && good + bad > 0
    {
        return Some((good, bad));
    }
    state.jobs.values().rev().find_map(|job| match job.outcome() {
        Some(Outcome::Succeeded { facts: Facts::Imported(totals), .. }) => {
            let good = totals.imported + totals.updated + totals.unchanged;
            let bad = totals.quarantined;
            (good + bad > 0).then_some((good, bad))
        }
        _ => None,
    })
}
