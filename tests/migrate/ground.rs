//! What the tests stand on: a server of their own, and a watcher that writes down what it is told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use gonogo::plan::Role;
use gonogo::rehearsal::contacts;
use gonogo::run::{Actor, Failure, Steer, Steered, StepOutcome, StepPlan};
use gonogo::scratch::Scratch;
use gonogo::workers::migrate::{BackupGate, Database, Edge, MigrationSet, Moment, Options, Watcher};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::sync::watch;

/// A server with one database.
pub(crate) struct Ground {
    pub(crate) scratch: Scratch,
    _dir: tempfile::TempDir,
}

impl Ground {
    /// With the schema of the deployment and some contacts.
    pub(crate) async fn with_contacts(count: u32) -> Self {
        let ground = Self::empty().await;
        ground.scratch.load_base_schema("crm").await.unwrap();
        let mut session = ground.session().await;
        contacts::seed(&mut session, 1, count, "2026-10-05T14:00:00Z".parse().unwrap()).await.unwrap();
        ground
    }

    pub(crate) async fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::start(dir.path()).await.unwrap();
        scratch.create_database("crm").await.unwrap();
        Self { scratch, _dir: dir }
    }

    pub(crate) async fn db(&self) -> Database {
        Database::connect(&self.scratch.url("crm"), "gonogo").await.unwrap()
    }

    pub(crate) async fn session(&self) -> PgConnection {
        self.scratch.connect("crm").await.unwrap()
    }

    pub(crate) async fn sql(&self, sql: &str) {
        run(&mut self.session().await, sql).await;
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        let value: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT ({sql})::text")))
            .fetch_one(&mut self.session().await)
            .await
            .unwrap();
        value.unwrap_or_else(|| "null".into())
    }

    /// Waits until a query says true; a deadline, not a guess.
    pub(crate) async fn until(&self, sql: &str) {
        let mut session = self.session().await;
        for _ in 0..400 {
            let now: bool =
                sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut session).await.unwrap();
            if now {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never true: {sql}");
    }
}

pub(crate) async fn run(session: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(session).await {
        panic!("{error}\nin:\n{sql}");
    }
}

macro_rules! embed {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../migrations/", $name)))),*]
    };
}

/// The migrations that ship.
pub(crate) fn shipped() -> MigrationSet {
    MigrationSet::embedded(
        "shipped",
        embed!(
            "001_contacts_pulse_integration.up.sql",
            "001_contacts_pulse_integration.down.sql",
            "001_contacts_pulse_integration.check.sql",
            "002_pulse_interactions.up.sql",
            "002_pulse_interactions.down.sql",
            "002_pulse_interactions.check.sql",
            "003_entity_mappings.up.sql",
            "003_entity_mappings.down.sql",
            "003_entity_mappings.check.sql"
        ),
    )
    .unwrap()
}

pub(crate) fn set(files: &[(&str, &str)]) -> MigrationSet {
    MigrationSet::embedded("test", files.iter().copied()).unwrap()
}

/// Without a backup, and not patient with another runner.
pub(crate) fn brisk() -> Options {
    Options {
        by: "test".into(),
        backup: BackupGate::Waived,
        runner_wait: Duration::from_secs(20),
        ..Options::default()
    }
}

/// Writes down what it is told; may hang at the begin of a step, as a process that is about to be killed.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) plan: Mutex<Vec<StepPlan>>,
    pub(crate) outcomes: Mutex<BTreeMap<u32, StepOutcome>>,
    pub(crate) moments: Mutex<Vec<Moment>>,
    hang_at: Option<u32>,
    give_up: watch::Sender<Option<()>>,
    pub(crate) started: watch::Sender<Option<u32>>,
    steered: Mutex<Vec<Steered>>,
}

impl Recorder {
    pub(crate) fn hanging_at(step: u32) -> Self {
        Self { hang_at: Some(step), ..Self::default() }
    }

    pub(crate) async fn hangs(&self) {
        let hang_at = self.hang_at;
        self.started.subscribe().wait_for(|step| step.is_some() && *step == hang_at).await.unwrap();
    }

    pub(crate) fn give_up(&self) {
        self.give_up.send_replace(Some(()));
    }

    /// Somebody says this; its place.
    pub(crate) fn says(&self, steer: Steer) -> usize {
        let mut steered = self.steered.lock().unwrap();
        let by = Actor::person("dana", Role::Dba);
        steered.push(Steered { by, at: "2026-10-05T14:00:00Z".parse().unwrap(), steer, answer: None });
        steered.len() - 1
    }

    /// Waits for what came of it.
    pub(crate) async fn answer(&self, place: usize) -> StepOutcome {
        for _ in 0..800 {
            if let Some(answer) = self.steered.lock().unwrap()[place].answer.clone() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never answered: {:#?}", self.steered.lock().unwrap());
    }

    /// Waits for a moment of that kind.
    pub(crate) async fn moment(&self, wanted: impl Fn(&Moment) -> bool) -> Moment {
        for _ in 0..800 {
            if let Some(found) = self.moments.lock().unwrap().iter().find(|moment| wanted(moment)) {
                return found.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never seen; the last: {:#?}", self.moments.lock().unwrap().last());
    }

    /// One letter per step: done, skipped, failed, not run, and a dot where nothing was said.
    pub(crate) fn line(&self) -> String {
        let outcomes = self.outcomes.lock().unwrap();
        (0..u32::try_from(self.plan.lock().unwrap().len()).unwrap())
            .map(|step| match outcomes.get(&step) {
                Some(StepOutcome::Done { .. }) => 'd',
                Some(StepOutcome::Skipped { .. }) => 's',
                Some(StepOutcome::Failed { .. }) => 'F',
                Some(StepOutcome::NotRun { .. }) => 'n',
                None => '.',
            })
            .collect()
    }

    pub(crate) fn outcome(&self, step: u32) -> StepOutcome {
        self.outcomes.lock().unwrap().get(&step).unwrap().clone()
    }
}

impl Watcher for Recorder {
    fn planned(&self, steps: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        *self.plan.lock().unwrap() = steps;
        Box::pin(async { Ok(()) })
    }

    fn step_started(&self, step: u32) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.started.send_replace(Some(step));
            if self.hang_at == Some(step) {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn step_ended(&self, step: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        let before = self.outcomes.lock().unwrap().insert(step, outcome);
        assert!(before.is_none(), "step {step} ended twice");
        Box::pin(async { Ok(()) })
    }

    fn moment(&self, moment: Moment) {
        self.moments.lock().unwrap().push(moment);
    }

    fn edge(&self) -> BoxFuture<'_, Edge> {
        Box::pin(async { if self.give_up.borrow().is_some() { Edge::GiveUp } else { Edge::GoOn } })
    }

    fn steered(&self) -> Vec<Steered> {
        self.steered.lock().unwrap().clone()
    }

    fn answered(&self, steer: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        self.steered.lock().unwrap()[steer as usize].answer = Some(outcome);
        Box::pin(async { Ok(()) })
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.give_up.subscribe().wait_for(Option::is_some).await.unwrap();
        })
    }
}
