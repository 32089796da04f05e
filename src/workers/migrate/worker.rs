//! The migrate worker: takes backup and migration jobs from its desk, and passes on what the engine tells. No rule of its own.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::watch::{BackupGate, Ended, Moment, Options, Report, Watcher};
use super::{Database, MigrationSet, backup, down, up};
use crate::plan::config::Layout;
use crate::run::job::Facts;
use crate::run::live::{More, Progress};
use crate::run::{Failure, JobKind, StepOutcome, StepPlan, WorkerId};
use crate::workers::{Desk, Edge, End, Kit, Worker};

/// Does backups and migrations.
#[derive(Debug)]
pub struct MigrateWorker {
    kit: Kit,
}

impl MigrateWorker {
    /// With the kit of its cockpit.
    pub fn new(kit: &Kit) -> Self {
        Self { kit: kit.clone() }
    }

    async fn work(&self, desk: &Desk) -> Result<End, Failure> {
        let deployment = &self.kit.config().deployment;
        let set = migrations(self.kit.path(&deployment.migrations), deployment.layout).await?;
        let db = database(&self.kit.database_url()?).await?;
        let options = Options {
            by: desk.job().by.name.to_string(),
            // Whether it may go without a backup is the plan's to decide, not the worker's.
            backup: BackupGate::Required,
            ..Options::default()
        };
        let watcher = DeskWatcher { desk };
        match &desk.job().kind {
            JobKind::Backup => {
                let report = backup(&db, &set, &options, &watcher).await?;
                Ok(end(&report, "backed up, restored once and compared".into(), Facts::None))
            }
            JobKind::MigrateUp { to } => {
                let report = up(&db, &set, *to, &options, &watcher).await?;
                Ok(end(&report, summary("up", &report), facts(&report)))
            }
            JobKind::MigrateDown { to } => {
                let report = down(&db, &set, *to, &options, &watcher).await?;
                Ok(end(&report, summary("back", &report), facts(&report)))
            }
            other => Err(Failure {
                what: format!("the migrate worker was given: {}", other.title()),
                state: "nothing was run".into(),
                next: "this is an error of gonogo: report it".into(),
            }),
        }
    }
}

impl Worker for MigrateWorker {
    fn id(&self) -> WorkerId {
        WorkerId::Migrate
    }

    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(self.work(desk))
    }
}

/// Reads the migrations of a directory, without holding anybody up.
pub async fn migrations(directory: PathBuf, layout: Layout) -> Result<MigrationSet, Failure> {
    let reading = tokio::task::spawn_blocking(move || MigrationSet::read_as(&directory, layout));
    reading.await.map_err(|error| Failure {
        what: format!("the migrations could not be read: {error}"),
        state: "nothing was run".into(),
        next: "see gonogo.log for the place".into(),
    })?
}

/// The database, under the name that its sessions show.
pub async fn database(url: &SecretString) -> Result<Database, Failure> {
    Database::connect(url, "gonogo").await
}

/// What a run came to, in a line.
pub fn summary(way: &str, report: &Report) -> String {
    let applied: Vec<String> = report.applied.iter().map(|number| format!("{number:03}")).collect();
    let applied = if applied.is_empty() { "none".into() } else { applied.join(", ") };
    let worst = report
        .worst_wait_ms
        .map_or(String::new(), |worst| format!("; longest wait of a client {worst:.0} ms"));
    format!("{way}: {} steps done, {} not needed; applied now: {applied}{worst}", report.done, report.skipped)
}

/// The figures that others need.
pub fn facts(report: &Report) -> Facts {
    Facts::Migrated { applied: report.applied.clone(), worst_wait_ms: report.worst_wait_ms }
}

fn end(report: &Report, summary: String, facts: Facts) -> End {
    match report.ended {
        Ended::Complete => End::Succeeded { summary, facts },
        Ended::GivenUp => End::Cancelled { state: summary },
    }
}

/// Passes on to a desk what the engine tells. The rollback worker uses it too.
#[derive(Debug)]
pub struct DeskWatcher<'a> {
    /// The job's desk.
    pub desk: &'a Desk,
}

impl Watcher for DeskWatcher<'_> {
    fn planned(&self, steps: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.desk.planned(steps))
    }

    fn step_started(&self, step: u32) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.desk.step_started(step))
    }

    fn step_ended(&self, step: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.desk.step_ended(step, outcome))
    }

    fn moment(&self, moment: Moment) {
        self.desk.tell(Progress {
            job: self.desk.job().id,
            at: self.desk.clock().now(),
            step: moment.step,
            doing: moment.doing,
            done: moment.done,
            total: moment.total,
            unit: moment.unit,
            source: moment.source,
            rate: None,
            left: None,
            more: More::Migrate(moment.live),
        });
    }

    fn edge(&self) -> BoxFuture<'_, Edge> {
        Box::pin(self.desk.edge())
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.desk.given_up())
    }
}
