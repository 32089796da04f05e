//! Backs up what the migrations touch, and proves the copy: of one snapshot, counted, fingerprinted, restored once into a throwaway
//! server and compared, out of everybody's reach. Without that proof it is not a backup, and the plan does not start. All of it is
//! over before the first step of a migration, so that none of its locks or snapshots stands in a migration's way.

pub(crate) mod files;
pub(crate) mod gate;
pub(crate) mod print;
mod progress;
pub(crate) mod proof;
pub(crate) mod record;
pub(crate) mod tables;
pub(crate) mod vault;
mod work;

use std::path::PathBuf;

use secrecy::SecretString;

pub use files::{Held, Manifest};
pub use print::Print;
pub use record::Medium;
pub use tables::Column;

use super::database::Database;
use super::files::MigrationSet;
use super::runner::Runner;
use super::watch::{Edge, Ended, Options, Report, Watcher};
use crate::run::job::{Failure, StepOutcome, StepPlan};
use work::Work;

/// Where backups are put.
#[derive(Debug, Clone)]
pub enum Target {
    /// Into the private schema `gonogo_backup` of the same database: at once, but lost with it.
    Schema,
    /// Into files.
    Files {
        /// The directory that holds all backups.
        dir: PathBuf,
        /// What they are encrypted with; none leaves them readable.
        secret: Option<SecretString>,
    },
}

/// Backs up every table that the migrations touch or made, and those whose rows go with theirs.
pub async fn backup(
    db: &Database,
    set: &MigrationSet,
    target: &Target,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Report, Failure> {
    let runner = Runner::start(db, options.runner_wait, |_| {}).await?;
    let mut work = Work::begin(db, runner, set, target, options, watcher).await?;
    let acts = work.acts();
    watcher.planned(acts.iter().map(|act| work.plan(act)).collect::<Vec<StepPlan>>()).await?;
    let place = super::engine::place;
    for (at, act) in acts.iter().enumerate() {
        if watcher.edge().await == Edge::GiveUp {
            work.abandon().await;
            not_run(watcher, at, acts.len(), "somebody stopped the run").await?;
            return Ok(report(Ended::GivenUp, at));
        }
        watcher.step_started(place(at)).await?;
        match work.act(place(at), act).await {
            Ok(note) => watcher.step_ended(place(at), StepOutcome::Done { note: Some(note) }).await?,
            Err(failure) => {
                work.abandon().await;
                watcher.step_ended(place(at), StepOutcome::Failed { failure: failure.clone() }).await?;
                not_run(watcher, at + 1, acts.len(), &format!("step {} failed", at + 1)).await?;
                return Err(failure);
            }
        }
    }
    Ok(report(Ended::Complete, acts.len()))
}

async fn not_run(watcher: &dyn Watcher, from: usize, to: usize, because: &str) -> Result<(), Failure> {
    for left in from..to {
        let outcome = StepOutcome::NotRun { because: because.to_owned() };
        watcher.step_ended(super::engine::place(left), outcome).await?;
    }
    Ok(())
}

fn report(ended: Ended, done: usize) -> Report {
    Report { applied: Vec::new(), done, skipped: 0, worst_wait_ms: None, remarks: Vec::new(), ended }
}
