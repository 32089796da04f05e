//! The migrate worker: takes backup and migration jobs from its desk, and passes on what the engine tells. No rule of its own.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::book::Direction;
use super::dryrun::{self, DryRun, Ground, Record, Rehearsal, Wanted, Weight};
use super::forecast::Forecast;
use super::inverse::with_inverses;
use super::restore::Shelf;
use super::watch::{BackupGate, Ended, Moment, Options, Report, Watcher};
use super::{Database, MigrationSet, Target, backup, down, up};
use crate::plan::Config;
use crate::plan::config::{BackupTo, Layout, Rehearsal as RehearsalRule};
use crate::run::job::{Facts, RehearsedMigration};
use crate::run::live::{More, Progress};
use crate::run::{Failure, JobKind, Steered, StepOutcome, StepPlan, WorkerId};
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
            // A forecast that cannot be read is none; the rehearsal that left it says so itself.
            forecast: Forecast::load(&Forecast::path(desk.store().path()))
                .ok()
                .flatten()
                .map(std::sync::Arc::new),
            ..Options::default()
        };
        let watcher = DeskWatcher { desk };
        match &desk.job().kind {
            JobKind::Backup => {
                let report = backup(&db, &set, &target(&self.kit)?, &options, &watcher).await?;
                Ok(end(&report, "backed up, restored once and compared".into(), Facts::None))
            }
            JobKind::RehearseMigrations => self.rehearse(desk, &db, &set).await,
            JobKind::MigrateUp { to } => {
                self.demanded(&db, &set, Direction::Up, *to).await?;
                let report = up(&db, &set, *to, &options, &watcher).await?;
                Ok(end(&report, summary("up", &report), facts(&report)))
            }
            JobKind::MigrateDown { to } => {
                self.demanded(&db, &set, Direction::Down, *to).await?;
                let set = with_inverses(&db, &set, *to).await?;
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

impl MigrateWorker {
    /// Where the plan demands rehearsals, nothing runs without.
    async fn demanded(
        &self,
        db: &Database,
        set: &MigrationSet,
        way: Direction,
        to: Option<u64>,
    ) -> Result<(), Failure> {
        if self.kit.config().database.rehearsal == RehearsalRule::Shown {
            return Ok(());
        }
        let record = Record::load(&Record::path(&self.kit.path(&self.kit.config().store.path)))?;
        dryrun::demanded(db, set, record.as_ref(), way, to).await
    }

    /// The whole dry run: what the live database will refuse, then there and back on a clone.
    async fn rehearse(&self, desk: &Desk, db: &Database, set: &MigrationSet) -> Result<End, Failure> {
        desk.doing(None, "asking the live database what it will refuse");
        refused(&dryrun::live(db, set).await?)?;
        let journal = self.kit.path(&self.kit.config().store.path);
        let beside = journal.parent().unwrap_or(&journal);
        let (url, wanted) = (self.kit.database_url()?, Wanted::default());
        let told = |what: &str| desk.doing(None, format!("copying {what}"));
        let given_up =
            || End::Cancelled { state: "the live database was only read; the clone is thrown away".into() };
        let ground = tokio::select! {
            ground = Ground::copy(db, &url, beside, &wanted, told) => ground?,
            () = desk.given_up() => return Ok(given_up()),
        };
        let watcher = DeskWatcher { desk };
        let rehearsed = dryrun::rehearse(db, set, &ground, &wanted.schemas, &watcher).await;
        if rehearsed.is_err() && desk.edge().await == Edge::GiveUp {
            return Ok(given_up());
        }
        let Rehearsal { dry, record, forecast } = rehearsed?;
        forecast.save(&Forecast::path(&journal))?;
        record.save(&Record::path(&journal))?;
        refused(&dry)?;
        let ms = |ms: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "milliseconds of minutes, never negative"
            )]
            let whole = ms.max(0.0).round() as u64;
            whole
        };
        let gone_through = |mark: &dryrun::Mark| {
            let title =
                set.get(mark.number).map_or_else(|| mark.name.clone(), super::files::Migration::title);
            RehearsedMigration { title, there_ms: ms(mark.up_ms), back_ms: mark.back_ms().map(ms) }
        };
        let migrations: Vec<RehearsedMigration> = record.marks.iter().map(gone_through).collect();
        let back = migrations.iter().filter(|one| one.back_ms.is_some()).count();
        let summary = format!(
            "{} migrations there, {back} of them back, with {} rows on a clone; not proven: {}",
            migrations.len(),
            record.rows,
            dry.not_proven.join("; ")
        );
        Ok(End::Succeeded { summary, facts: Facts::Rehearsed { migrations, rows: record.rows } })
    }
}

/// The findings that would make the run fail, as one failure.
fn refused(dry: &DryRun) -> Result<(), Failure> {
    let mut fails = dry.findings.iter().filter(|finding| finding.weight == Weight::Fails);
    let Some(first) = fails.next() else { return Ok(()) };
    let more = match fails.count() {
        0 => String::new(),
        1 => " (and 1 more finding: migrate plan shows all)".to_owned(),
        more => format!(" (and {more} more findings: migrate plan shows all)"),
    };
    let place = if first.what.contains(&first.place) { String::new() } else { format!("{}: ", first.place) };
    Err(Failure {
        what: format!("{place}{}{more}", first.what),
        state: "the live database was only read".into(),
        next: first.next.clone(),
    })
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

/// Where the configuration wants backups. A secret that is named must be there: nobody would notice that it was not used.
pub fn target(kit: &Kit) -> Result<Target, Failure> {
    let database = &kit.config().database;
    target_of(kit.config(), kit.path(&database.backup_dir), |name| kit.secret(name))
}

/// The same, by whoever finds the secrets.
pub fn target_of(
    config: &Config,
    dir: PathBuf,
    secret: impl Fn(&str) -> Result<SecretString, Failure>,
) -> Result<Target, Failure> {
    Ok(match config.database.backup {
        BackupTo::Schema => Target::Schema,
        BackupTo::File => {
            Target::Files { dir, secret: config.database.backup_key_env.as_deref().map(secret).transpose()? }
        }
    })
}

/// Where the configuration's backups lie. Without its secret those that are not encrypted can still be read.
pub fn shelf_of(config: &Config, dir: PathBuf, secret: impl Fn(&str) -> Option<SecretString>) -> Shelf {
    Shelf { dir: Some(dir), secret: config.database.backup_key_env.as_deref().and_then(secret) }
}

/// What a run came to, in a line.
pub fn summary(way: &str, report: &Report) -> String {
    let applied: Vec<String> = report.applied.iter().map(|number| format!("{number:03}")).collect();
    let applied = if applied.is_empty() { "none".into() } else { applied.join(", ") };
    let worst = report
        .worst_wait_ms
        .map_or(String::new(), |worst| format!("; longest wait of a client {worst:.0} ms"));
    let remarks: Vec<&str> = report.remarks.iter().flat_map(|remark| ["; ", remark]).collect();
    let remarks = remarks.concat();
    format!(
        "{way}: {} steps done, {} not needed; applied now: {applied}{worst}{remarks}",
        report.done, report.skipped
    )
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
            rate: moment.rate,
            left: moment.left,
            more: More::Migrate(moment.live),
        });
    }

    fn edge(&self) -> BoxFuture<'_, Edge> {
        Box::pin(self.desk.edge())
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.desk.given_up())
    }

    fn steered(&self) -> Vec<Steered> {
        self.desk.steered()
    }

    fn answered(&self, steer: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.desk.answered(steer, outcome))
    }
}
