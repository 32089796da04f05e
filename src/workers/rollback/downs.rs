//! The database's way back, done by the migration engine. Bound here, so that neither the rollback nor the engine knows the other.

use futures_util::future::BoxFuture;

use super::Downs;
use crate::run::job::{StepOutcome, StepStatus};
use crate::run::live::{More, Outlook, Progress, Seen};
use crate::run::steer::all_let;
use crate::run::{Failure, Steered, StepPlan};
use crate::workers::migrate::dryrun::{Record, inverses, standings};
use crate::workers::migrate::inverse::{back_plan, with_inverses};
use crate::workers::migrate::worker::{database, migrations, target};
use crate::workers::migrate::{
    BackupGate, Database, Edge, Ended, MigrationSet, Moment, Options, Report, Watcher, backup, down, loss,
    status, verify_back,
};
use crate::workers::{Desk, Kit};

/// The step of the rollback under which the emergency backup is told.
const BACKUP_STEP: u32 = 2;

/// The engine, as a rollback uses it.
#[derive(Debug)]
pub struct EngineDowns(pub Kit);

/// What lies ahead on the way back.
struct Ahead {
    lost: Vec<(String, u64)>,
    /// What speaks against it, and does not forbid it.
    against: Vec<String>,
    missing: Vec<String>,
}

impl EngineDowns {
    async fn open(&self) -> Result<(Database, MigrationSet), Failure> {
        let deployment = &self.0.config().deployment;
        let set = migrations(self.0.path(&deployment.migrations), deployment.layout).await?;
        Ok((database(&self.0.database_url()?).await?, set))
    }

    async fn ahead(&self) -> Result<Ahead, Failure> {
        let (db, set) = self.open().await?;
        let record = Record::load(&Record::path(&self.0.path(&self.0.config().store.path)))?;
        let standings = standings(&db, &set, record.as_ref()).await?;
        let inverses = inverses(&db, &set, record.as_ref()).await?;
        let rehearsed: Vec<_> = standings.into_iter().zip(inverses).collect();
        let mut ahead =
            Ahead { lost: loss(&db, &set, None).await?, against: Vec::new(), missing: Vec::new() };
        for plan in back_plan(&db, &set, None).await? {
            if plan.down_file.is_none() && (plan.recorded.is_none() || !plan.gaps.is_empty()) {
                ahead.missing.push(format!("{} has no way back", plan.title));
            }
            let found = set.migrations.iter().zip(&rehearsed).find(|(one, _)| one.number == plan.number);
            match (found, &plan.down_file) {
                (Some((_, (standing, _))), Some(_)) if !standing.way_back() => {
                    ahead.against.push(format!("{} is no rollback yet: {standing}", plan.title));
                }
                (Some((_, (_, inverse))), None) if !inverse.way_back() => {
                    ahead.against.push(format!("{} is no rollback yet: {inverse}", plan.title));
                }
                _ => {}
            }
            let takes = plan.differences.unwrap_or_default().takes;
            ahead.against.extend(
                takes.into_iter().map(|what| format!("the down file of {} takes {what}", plan.title)),
            );
        }
        Ok(ahead)
    }

    fn options(desk: &Desk, backup: BackupGate) -> Options {
        Options { by: desk.job().by.name.to_string(), backup, ..Options::default() }
    }
}

impl Downs for EngineDowns {
    fn applied<'a>(&'a self, _desk: &'a Desk) -> BoxFuture<'a, Result<Vec<u64>, Failure>> {
        Box::pin(async move {
            let (db, set) = self.open().await?;
            let begun = status(&db, &set).await?.into_iter().filter(|migration| migration.state.is_some());
            let mut numbers: Vec<u64> = begun.map(|migration| migration.number).collect();
            numbers.sort_unstable_by(|a, b| b.cmp(a));
            Ok(numbers)
        })
    }

    fn outlook(&self) -> BoxFuture<'_, Result<Seen, Failure>> {
        Box::pin(async move {
            let Ahead { lost, against, missing } = self.ahead().await?;
            Ok(Seen::Counted { lost, against: [missing, against].concat() })
        })
    }

    fn loss<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let Ahead { lost, against, missing } = self.ahead().await?;
            // What is missing is found out before anything is stopped or changed. What a file takes too much is a matter of its words
            // here; where it is so, the step that would do it is rolled back.
            if !missing.is_empty() {
                return Err(Failure {
                    what: missing.join("; "),
                    state: "nothing was taken back".into(),
                    next: "see gonogo migrate down --plan; write the down file, or go back with the backup"
                        .into(),
                });
            }
            let seen = Seen::Counted { lost, against };
            Ok(Outlook { at: desk.clock().now(), seen }.words())
        })
    }

    fn backup<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let earlier = desk.job().steps.get(BACKUP_STEP as usize).map(|step| &step.status);
            if let Some(StepStatus::Ended { outcome: StepOutcome::Done { .. }, .. }) = earlier {
                return Ok("kept as the earlier attempt made it".into());
            }
            let (db, set) = self.open().await?;
            let watcher = Within { desk, step: BACKUP_STEP, names: std::sync::Mutex::default() };
            let options = Self::options(desk, BackupGate::Waived);
            let report = backup(&db, &set, &target(&self.0)?, &options, &watcher).await?;
            ended(&report, "copied, restored once and compared".into())
        })
    }

    fn down<'a>(
        &'a self,
        desk: &'a Desk,
        step: u32,
        migration: u64,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let (db, set) = self.open().await?;
            let stays =
                set.migrations.iter().map(|other| other.number).filter(|other| *other < migration).max();
            let watcher = Within { desk, step, names: std::sync::Mutex::default() };
            // Its backup is the emergency backup, made two steps before.
            let options = Self::options(desk, BackupGate::Waived);
            let set = with_inverses(&db, &set, stays).await?;
            let report = down(&db, &set, stays, &options, &watcher).await?;
            let left: Vec<&str> = report.remarks.iter().flat_map(|remark| ["; ", remark]).collect();
            let left = left.concat();
            let words = format!("{} steps done, {} not needed{left}", report.done, report.skipped);
            ended(&report, words)
        })
    }

    fn verify<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let (db, set) = self.open().await?;
            let left = self.applied(desk).await?;
            if !left.is_empty() {
                return Err(Failure {
                    what: format!("still applied: {left:?}"),
                    state: "the others are run down".into(),
                    next: "take this rung again: it goes on where it was".into(),
                });
            }
            // From outside of the run: a session of its own asks the checks after the way back once more.
            let answers = verify_back(&db, &set).await?;
            match answers.iter().find(|(_, answer)| !answer.ok) {
                None if answers.is_empty() => {
                    Ok("all are run down; no migration has a check to ask after it".into())
                }
                None => Ok(format!("{} checks after the way back hold", answers.len())),
                Some((number, answer)) => Err(Failure {
                    what: format!("{number:03}: {} does not hold: {}", answer.name, answer.detail),
                    state: "all are run down".into(),
                    next: "look at the schema before the old release is opened to users".into(),
                }),
            }
        })
    }
}

fn ended(report: &Report, words: String) -> Result<String, Failure> {
    match report.ended {
        Ended::Complete => Ok(words),
        Ended::GivenUp => Err(Failure {
            what: "somebody stopped it".into(),
            state: words,
            next: "take this rung again: it goes on where it was".into(),
        }),
    }
}

/// Tells the engine's steps as progress within one step of the desk.
struct Within<'a> {
    desk: &'a Desk,
    step: u32,
    names: std::sync::Mutex<Vec<StepPlan>>,
}

impl Within<'_> {
    fn tell(&self, doing: String, done: u64, total: Option<u64>, unit: &str, source: &str, more: More) {
        let (at, step) = (self.desk.clock().now(), Some(self.step));
        let (unit, source) = (unit.into(), source.into());
        let job = self.desk.job().id;
        self.desk.tell(Progress {
            job,
            at,
            step,
            doing,
            done,
            total,
            unit,
            source,
            rate: None,
            left: None,
            more,
        });
    }
}

impl Watcher for Within<'_> {
    fn planned(&self, steps: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        *self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = steps;
        Box::pin(async { Ok(()) })
    }

    fn step_started(&self, step: u32) -> BoxFuture<'_, Result<(), Failure>> {
        let names = self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let name = names.get(step as usize).map_or_else(String::new, |plan| plan.name.to_string());
        let total = u64::try_from(names.len()).ok();
        drop(names);
        self.tell(name, u64::from(step), total, "steps", "ours", More::None);
        Box::pin(async { Ok(()) })
    }

    fn step_ended(&self, step: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        tracing::debug!(step, ?outcome, "a step of the way back ended");
        Box::pin(async { Ok(()) })
    }

    fn moment(&self, moment: Moment) {
        let Moment { doing, done, total, unit, source, live, .. } = moment;
        self.tell(doing, done, total, &unit, &source, More::Migrate(live));
    }

    fn edge(&self) -> BoxFuture<'_, Edge> {
        Box::pin(self.desk.edge())
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.desk.given_up())
    }

    fn steered(&self) -> Vec<Steered> {
        let mut said = self.desk.steered();
        // Whoever took this rung typed the name of what it loses: that leads beyond every point of no return on the way.
        let steps = self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let job = self.desk.job();
        said.extend(all_let(&steps, &job.by, job.requested));
        drop(steps);
        said
    }

    fn answered(&self, steer: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.desk.answered(steer, outcome))
    }
}
