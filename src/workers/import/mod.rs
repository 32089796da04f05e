//! Brings Pulse's profiles into contacts, once in full and then again and again what changed.
//!
//! It guarantees that every profile Pulse lists becomes exactly one contact with its mapping, or stands with its reason
//! among the rejects or the conflicts; that a kill, a lost network or a lost database at any point costs time and nothing
//! else; that a donor's fields are never touched; and that a pass which changes nothing writes nothing. The rules of the
//! merge are SQL in `sql/`; what a profile must fulfil is `profile`'s. When to import is `run::decide`'s, not this room's.

mod again;
mod aside;
mod batch;
mod brake;
mod checkpoint;
mod conflicts;
pub mod contract;
mod database;
mod fetch;
mod foresee;
mod history;
mod kill;
mod line;
mod merge;
mod mock;
mod pace;
mod pass;
mod plan;
mod profile;
mod progress;
pub mod reconcile;
mod settle;
mod stage;
mod standing;
#[cfg(test)]
mod tests;
mod told;
mod trouble;
mod write;

use futures_util::future::BoxFuture;

pub use aside::{Quarantined, quarantined};
pub use conflicts::ConflictsStanding;
pub use history::HistoryStanding;
pub use line::Listener;
pub use reconcile::reconciled;
pub use standing::SyncStanding;
pub use told::{Ended, Way, told};

use self::checkpoint::Kind;
use self::line::Line;
use self::pass::{Done, Pass, steps};
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
        match &desk.job().kind {
            JobKind::Resolve { profile, settle } => {
                return settle::run(&self.kit, desk, profile, settle).await;
            }
            JobKind::Mock { profiles } => return mock::make(&self.kit, desk, *profiles).await,
            JobKind::MockRemove => return mock::remove(&self.kit, desk).await,
            _ => {}
        }
        let kind = match desk.job().kind {
            JobKind::Sync => Kind::Sync,
            JobKind::Retry => Kind::Retry,
            _ => Kind::Import,
        };
        desk.planned_names(steps(kind).iter().copied()).await?;
        match Pass::new(&self.kit, Line::Desk(desk), kind).run().await {
            Ok(done) => {
                if kind == Kind::Sync {
                    let by = Actor::machine(WorkerId::Import.word());
                    report_as(desk.store(), &by, standing::synced(&done.totals)).await?;
                }
                let mut summary = summary(&done);
                if kind == Kind::Import && desk.state().mocked().is_some() {
                    summary = format!("{summary}; {}", mock::replaced(&self.kit).await?);
                }
                Ok(End::Succeeded { summary, facts: Facts::Imported(done.totals) })
            }
            Err(Trouble::Failed(failure)) => Err(failure),
            Err(Trouble::GivenUp) => Ok(End::Cancelled { state: LEFT.into() }),
            Err(Trouble::Lost(words)) => Err(lost(&words)),
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

/// What is left behind by a pass that was given up.
const LEFT: &str = "what is merged is complete and stays; asked for again, it goes on where it was";

fn lost(words: &str) -> Failure {
    Failure {
        what: format!("the database broke off: {words}"),
        state: "every batch that was reported is complete".into(),
        next: "run it again: it goes on where it was".into(),
    }
}

fn summary(done: &Done) -> String {
    let ImportTotals { fetched, imported, updated, both, unchanged, quarantined, conflicts, .. } =
        &done.totals;
    let both = if *both > 0 { format!(" ({both} changed on both sides)") } else { String::new() };
    let words = format!("{fetched} profiles: {imported} new, {updated} updated{both}, {unchanged} unchanged");
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
