//! Asks the linter about the migrations that are still to be run, so that the cockpit shows beside each statement what it stops
//! before anybody runs it. Reads only. Where the database cannot be asked it judges by the files alone, and says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::book::Direction;
use super::database::Database;
use super::files::{Migration, MigrationSet, deep};
use super::forecast::Forecast;
use super::lint::{Finding, Knowledge, learn, lint, rehearsed};
use super::survey::status;
use super::worker::{database, migrations};
use crate::run::live::{Advice, Judged, Linted, Remark, Said};
use crate::run::{Failure, State, WorkerId};
use crate::store::Store;
use crate::workers::{Kit, Standing};

/// How often the files are looked at, in wall time.
const EVERY: Duration = Duration::from_secs(30);
/// How old a look may be in which the database was asked: asking reads from its largest table.
const FRESH: Duration = Duration::from_mins(10);
/// For how long the traffic of the tables is watched.
const WATCH: Duration = Duration::from_secs(2);

/// Stands and judges.
#[derive(Debug)]
pub struct Adviser {
    kit: Kit,
}

/// What a look was about; another one is needed where this has changed.
#[derive(Debug, PartialEq)]
struct About {
    files: Stamps,
    /// Jobs that may have applied something, or measured it.
    over: usize,
}

/// Every file, with its length and when it was written: to read them costs more than all else that an idle cockpit does.
type Stamps = Vec<(PathBuf, u64, Option<SystemTime>)>;

fn stamps(dir: &Path) -> Stamps {
    let Ok(entries) = std::fs::read_dir(dir) else { return Stamps::new() };
    let mut found = Stamps::new();
    for entry in entries.flatten() {
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() {
            found.extend(stamps(&entry.path()));
        } else {
            found.push((entry.path(), about.len(), about.modified().ok()));
        }
    }
    found.sort_unstable();
    found
}

impl Adviser {
    /// With the kit of its cockpit.
    pub fn new(kit: &Kit) -> Self {
        Self { kit: kit.clone() }
    }

    async fn set(&self) -> Result<MigrationSet, Failure> {
        let deployment = &self.kit.config().deployment;
        migrations(self.kit.path(&deployment.migrations), deployment.layout).await
    }

    /// What is said now, and whether the database was asked.
    async fn look(&self, set: MigrationSet) -> (Said, Asked) {
        let (known, pending, knowing, asked) = match self.known(&set).await {
            Ok((db, known, pending)) => {
                let knowing = format!(
                    "the files and the catalogue of {}, whose traffic was watched for {} s",
                    db.place(),
                    WATCH.as_secs()
                );
                (known, Some(pending), knowing, Asked::Yes)
            }
            Err(failure) => {
                let knowing = format!(
                    "the files alone ({}): what is applied, sizes and traffic are unknown",
                    failure.what
                );
                (Knowledge::default(), None, knowing, Asked::No)
            }
        };
        let judging = move || {
            let findings = lint(&set, &known);
            let ahead =
                |one: &&Migration| pending.as_ref().is_none_or(|pending| pending.contains(&one.number));
            set.migrations.iter().filter(ahead).map(|one| judged(one, &findings)).collect()
        };
        let judged = tokio::task::spawn_blocking(|| deep(judging)).await;
        let said = match judged {
            Ok(Ok(migrations)) => Said::Linted { knowing, migrations },
            Ok(Err(why)) => Said::Unknown { why },
            Err(error) => Said::Unknown { why: error.to_string() },
        };
        (said, asked)
    }

    async fn known(&self, set: &MigrationSet) -> Result<(Database, Knowledge, Vec<u64>), Failure> {
        let db = database(&self.kit.database_url()?).await?;
        let standings = status(&db, set).await?;
        let pending = standings.iter().filter(|one| !one.is_applied()).map(|one| one.number).collect();
        let mut known = learn(&db, set, WATCH).await?;
        let journal = self.kit.path(&self.kit.config().store.path);
        // A forecast that cannot be read is none; the rehearsal that left it says so itself.
        if let Ok(Some(measured)) = Forecast::load(&Forecast::path(&journal)) {
            rehearsed(&mut known, set, &measured);
        }
        Ok((db, known, pending))
    }
}

/// Whether the database answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Yes,
    No,
}

fn judged(migration: &Migration, findings: &[Finding]) -> Linted {
    let statements = migration.up.statements.iter().enumerate().map(|(place, statement)| {
        let here = findings.iter().filter(|one| {
            one.is_raised()
                && (one.number, one.place, one.direction) == (migration.number, place, Direction::Up)
        });
        let mut remarks: Vec<Remark> = here.map(remark).collect();
        remarks.sort_by_key(|remark| remark.weight);
        Judged {
            name: format!("{} {}", migration.label, statement.title).into(),
            sql: statement.text.clone(),
            remarks,
        }
    });
    Linted { title: migration.title(), statements: statements.collect() }
}

fn remark(finding: &Finding) -> Remark {
    let long = finding.forecast.as_ref().map_or_else(String::new, |forecast| format!(" ({forecast})"));
    Remark { weight: finding.severity, what: format!("{}{long}", finding.what), safe: finding.safe.clone() }
}

/// Whether anybody can still run something, and nobody does just now: what runs shows itself, and a look would stand in its way.
fn wanted(state: &State) -> bool {
    let idle = |worker| state.open_jobs(worker).next().is_none();
    state.run.as_ref().is_some_and(|run| run.ended.is_none())
        && idle(WorkerId::Migrate)
        && idle(WorkerId::Rollback)
}

fn over(state: &State) -> usize {
    let ours = |worker| matches!(worker, WorkerId::Migrate | WorkerId::Rollback);
    state.jobs.values().filter(|job| job.is_over() && ours(job.kind.worker())).count()
}

/// Waits for such a state; how many jobs are over in it.
async fn until(state: &mut watch::Receiver<Arc<State>>, wanted: impl Fn(&State) -> bool) -> Option<usize> {
    let found = state.wait_for(|state| wanted(state)).await.ok()?;
    Some(over(&found))
}

impl Standing for Adviser {
    fn id(&self) -> WorkerId {
        // The migrations' own lease belongs to who runs them: it must not stay with a cockpit that only looks.
        WorkerId::Monitor
    }

    fn stand<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut state = store.state();
            let mut last: Option<(About, tokio::time::Instant, Asked)> = None;
            while let Some(over) = until(&mut state, wanted).await {
                let files = stamps(&self.kit.path(&self.kit.config().deployment.migrations));
                let (at, about) = (store.clock().now(), About { files, over });
                let fresh = last.as_ref().is_some_and(|(known, taken, asked)| {
                    *known == about && *asked == Asked::Yes && taken.elapsed() < FRESH
                });
                if !fresh {
                    let (said, asked) = match self.set().await {
                        Ok(set) => tokio::select! {
                            looked = self.look(set) => looked,
                            _ = until(&mut state, |state| !wanted(state)) => continue,
                        },
                        Err(failure) => (Said::Unknown { why: failure.what }, Asked::No),
                    };
                    store.advice(Advice { at, said });
                    last = Some((about, tokio::time::Instant::now(), asked));
                }
                let news = until(&mut state, |state| self::over(state) != over);
                // With news or without, the files are looked at again.
                drop(tokio::time::timeout(EVERY, news).await);
            }
            std::future::pending::<()>().await;
        })
    }
}
