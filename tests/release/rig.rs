//! A rehearsal without its cockpit: the stand-ins, a journal, the workers of this test, and a gauge that reads the error rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use gonogo::clock::Clock;
use gonogo::plan::{Config, MetricId, Plan, Role, checklist};
use gonogo::rehearsal::scenario::Scenario;
use gonogo::rehearsal::standin::{NAMES, Standins};
use gonogo::rehearsal::state::State as WorldState;
use gonogo::rehearsal::world::World;
use gonogo::run::command::Report;
use gonogo::run::judge::{alert_step, judge, words};
use gonogo::run::live::Reading;
use gonogo::run::live::Seen;
use gonogo::run::{Actor, Command, Failure, Job, JobId, JobKind, Mode, Outcome, Sample, State, WorkerId};
use gonogo::secrets::Secrets;
use gonogo::services::sentry::Window;
use gonogo::store::Store;
use gonogo::workers::announce::AnnounceWorker;
use gonogo::workers::deploy::DeployWorker;
use gonogo::workers::rollback::{Downs, RollbackWorker};
use gonogo::workers::rollout::RolloutWorker;
use gonogo::workers::{Crew, Desk, Kit, Post, Standing};
use secrecy::SecretString;

const CHECKLIST: &str = "# Contacts Redesign\n\n## Phase 1: Go live (10:00, 30 min)\n\n- [ ] deploy it\n";

pub(crate) struct Rig {
    pub(crate) world: Arc<World>,
    /// They answer for as long as it is held.
    pub(crate) _standins: Standins,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) kit: Kit,
    pub(crate) lead: Actor,
    pub(crate) downs: Arc<Drops>,
    _dir: tempfile::TempDir,
}

/// A database's way back that keeps what it was asked for in a table of its own.
#[derive(Debug)]
pub(crate) struct Drops {
    book: tokio::sync::Mutex<sqlx::SqliteConnection>,
}

impl Drops {
    async fn open(path: &std::path::Path) -> Self {
        use sqlx::ConnectOptions;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut book = options.connect().await.unwrap();
        sqlx::query("CREATE TABLE applied (number INTEGER PRIMARY KEY)").execute(&mut book).await.unwrap();
        sqlx::query("CREATE TABLE asked (what TEXT)").execute(&mut book).await.unwrap();
        sqlx::query("INSERT INTO applied VALUES (1), (2), (3)").execute(&mut book).await.unwrap();
        Self { book: tokio::sync::Mutex::new(book) }
    }

    async fn note(&self, what: String) {
        let mut book = self.book.lock().await;
        sqlx::query("INSERT INTO asked VALUES (?)").bind(what).execute(&mut *book).await.unwrap();
    }

    pub(crate) async fn asked(&self) -> Vec<String> {
        let mut book = self.book.lock().await;
        sqlx::query_scalar("SELECT what FROM asked ORDER BY rowid").fetch_all(&mut *book).await.unwrap()
    }
}

impl Downs for Drops {
    fn applied<'a>(&'a self, _: &'a Desk) -> BoxFuture<'a, Result<Vec<u64>, Failure>> {
        Box::pin(async {
            let mut book = self.book.lock().await;
            let list = sqlx::query_scalar("SELECT number FROM applied ORDER BY number DESC");
            let list: Vec<u32> = list.fetch_all(&mut *book).await.unwrap();
            Ok(list.into_iter().map(u64::from).collect())
        })
    }

    fn outlook(&self) -> BoxFuture<'_, Result<Seen, Failure>> {
        Box::pin(async {
            self.note("outlook".into()).await;
            Ok(Seen::Counted { lost: vec![("003 rows".into(), 12)], against: Vec::new() })
        })
    }

    fn loss<'a>(&'a self, _: &'a Desk) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async {
            self.note("loss".into()).await;
            Ok("12 rows".into())
        })
    }

    fn backup<'a>(&'a self, _: &'a Desk) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async {
            self.note("backup".into()).await;
            Ok("12 rows copied".into())
        })
    }

    fn down<'a>(&'a self, _: &'a Desk, _: u32, migration: u64) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            self.note(format!("down {migration}")).await;
            let mut book = self.book.lock().await;
            let drop =
                sqlx::query("DELETE FROM applied WHERE number = ?").bind(i64::try_from(migration).unwrap());
            drop.execute(&mut *book).await.unwrap();
            Ok("done".into())
        })
    }

    fn verify<'a>(&'a self, _: &'a Desk) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async { Ok("the schema is as it was".into()) })
    }
}

/// Reads the error rate at Sentry, as the monitor does.
struct Gauge(Kit);

impl Standing for Gauge {
    fn id(&self) -> WorkerId {
        WorkerId::Monitor
    }

    fn stand<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            loop {
                self.read(store).await;
                self.0.clock().sleep(Duration::from_secs(15)).await;
            }
        })
    }
}

impl Gauge {
    async fn read(&self, store: &Store) {
        let state = store.now();
        let plan = state.plan().unwrap();
        let metric = plan.metric(&"error_rate".into()).unwrap();
        let sentry = self.0.sentry().unwrap();
        let window = Window::Last(metric.window);
        let (errors, loads) = tokio::join!(sentry.errors(window, None), sentry.page_loads(window, None));
        let (Ok(errors), Ok(loads)) = (errors, loads) else { return };
        let (Some(bad), Some(n)) = (errors.value.events, loads.value.count) else { return };
        let now = store.clock().now();
        let value = bad as f64 * 100.0 / n.max(1) as f64;
        let sample = Sample {
            metric: metric.id.clone(),
            at: now,
            reading: Reading::Value { value, n, bad: Some(bad) },
        };
        let verdict = judge(metric, Some(&sample), now, store.clock().lag());
        let by = Actor::machine("monitor");
        let report = Report::Verdict { metric: metric.id.clone(), verdict, reading: words(metric, &sample) };
        store.sample(sample);
        let _ = store.submit(&by, Command::Report(report)).await;
        let state = store.now();
        let step = alert_step(metric, state.health.get(&metric.id), state.alerts.get(&metric.id), now);
        if let Some(report) = step {
            let _ = store.submit(&by, Command::Report(report)).await;
        }
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Mode::Rehearsal, "").await
    }

    /// `more` is further TOML.
    pub(crate) async fn with(mode: Mode, more: &str) -> Self {
        Self::of(mode, |standins| toml(standins, more)).await
    }

    /// A rig with a configuration of its own.
    pub(crate) async fn of(mode: Mode, toml: impl FnOnce(&Standins) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Ten in the morning of a Wednesday, in New York.
        let start = "2026-10-07T14:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let clock = Clock::paced(start, 240.0);
        let world = World::in_memory(clock.clone(), Scenario::shipped("smooth").unwrap(), 7, 300);
        let world = Arc::new(world);
        let standins = Standins::start(Arc::clone(&world)).await.unwrap();
        let config = Config::parse(&toml(&standins), "gonogo.toml").unwrap();
        let plan: Plan = config.plan(checklist::read::read(CHECKLIST, "checklist.md").unwrap());
        let kit = Kit::new(config, dir.path(), secrets(&world, &standins), clock.clone());
        let store = Store::open(&dir.path().join("journal.sqlite"), clock.clone()).await.unwrap();
        let lead = Actor::person("lea", Role::Lead);
        store.submit(&lead, Command::Open { plan: Arc::new(plan), mode }).await.unwrap();
        let downs = Arc::new(Drops::open(&dir.path().join("drops.sqlite")).await);
        Self { world, _standins: standins, store, clock, kit, lead, downs, _dir: dir }
    }

    pub(crate) fn crew(&self, cockpit: &str) -> Crew {
        self.crew_with(cockpit, None)
    }

    /// A crew whose staging is another rig.
    pub(crate) fn crew_drilling_on(&self, cockpit: &str, staging: &Self) -> Crew {
        self.crew_with(cockpit, Some(&staging.kit))
    }

    fn crew_with(&self, cockpit: &str, staging: Option<&Kit>) -> Crew {
        let kit = || self.kit.clone();
        let downs: Arc<dyn Downs> = Arc::<Drops>::clone(&self.downs);
        Crew::start(
            &self.store,
            &cockpit.into(),
            [
                Post::Jobs(Arc::new(DeployWorker::new(kit()))),
                Post::Jobs(Arc::new(RollbackWorker::new(&self.kit, downs).drilling_on(staging))),
                Post::Jobs(Arc::new(RolloutWorker::new(kit()))),
                Post::Jobs(Arc::new(AnnounceWorker::new(kit()))),
            ],
        )
    }

    pub(crate) fn gauge(&self) -> Crew {
        Crew::start(&self.store, &"gauge".into(), [Post::Standing(Arc::new(Gauge(self.kit.clone())))])
    }

    pub(crate) async fn submit(&self, command: Command) {
        self.store.submit(&self.lead, command).await.unwrap();
    }

    pub(crate) async fn request(&self, kind: JobKind) -> JobId {
        self.submit(Command::Request(kind)).await;
        self.newest()
    }

    pub(crate) async fn roll_back(&self, rung: u8, confirmed: Option<&str>) -> JobId {
        if matches!(self.store.now().guard, gonogo::run::state::Guard::Closed) {
            self.submit(Command::Arm).await;
        }
        self.submit(Command::Rollback { rung, confirmed: confirmed.map(str::to_owned) }).await;
        self.newest()
    }

    fn newest(&self) -> JobId {
        *self.store.now().jobs.last_key_value().unwrap().0
    }

    /// Waits for the state to be so, at most a minute of wall time.
    pub(crate) async fn until(&self, what: &str, mut is: impl FnMut(&State) -> bool) -> Arc<State> {
        let mut state = self.store.state();
        let waited = tokio::time::timeout(Duration::from_mins(1), state.wait_for(|state| is(state))).await;
        let Ok(state) = waited else { panic!("waited a minute for: {what}\n{:#?}", self.store.now().jobs) };
        Arc::clone(&state.expect("the store lives"))
    }

    /// Waits for the world to be so, at most a minute of wall time.
    pub(crate) async fn until_world(&self, what: &str, is: impl Fn(&WorldState) -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !self.world.read(|world| is(world)) {
            assert!(Instant::now() < deadline, "waited a minute for: {what}\n{:#?}", self.store.now().jobs);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn ended(&self, job: JobId) -> Job {
        let over = |state: &State| state.jobs.get(&job).is_some_and(Job::is_over);
        self.until("the end of the job", over).await.jobs[&job].clone()
    }

    /// The summary of a job that must succeed.
    pub(crate) async fn succeeds(&self, job: JobId) -> String {
        match self.ended(job).await {
            Job {
                status: gonogo::run::job::JobStatus::Ended { outcome: Outcome::Succeeded { summary, .. }, .. },
                ..
            } => summary,
            job => panic!("it did not succeed: {job:#?}"),
        }
    }

    /// The failure of a job that must fail.
    pub(crate) async fn fails(&self, job: JobId) -> Failure {
        match self.ended(job).await.outcome() {
            Some(Outcome::Failed { failure }) => failure.clone(),
            other => panic!("it did not fail: {other:#?}"),
        }
    }

    /// What the application says of itself.
    pub(crate) async fn version(&self) -> String {
        let marker = self.kit.probe().unwrap().marker().await.unwrap();
        marker.value.version.unwrap()
    }

    /// Everybody has the feature, and it throws; ends when the alert fires.
    pub(crate) async fn spike(&self) {
        let share = self.request(JobKind::Rollout { share: 100 }).await;
        self.succeeds(share).await;
        let fault = gonogo::rehearsal::faults::Fault::ErrorSpike { rate: 0.12 };
        self.world.inject(fault, None);
        let metric = MetricId::from("error_rate");
        self.until("the alert", |state| state.alerts.contains_key(&metric)).await;
    }
}

fn secrets(world: &World, standins: &Standins) -> Secrets {
    let keys = world.credentials();
    let all = [
        ("T_SENTRY", keys.sentry),
        ("T_DSN", standins.urls.sentry_dsn.clone()),
        ("T_POSTHOG", keys.posthog),
        ("T_PROJECT", keys.posthog_project),
        ("T_VERCEL", keys.vercel),
        ("T_SLACK", keys.slack),
        ("T_HOOK", standins.urls.slack_webhook.clone()),
        ("T_PAGE", keys.statuspage),
        ("T_PAGER", keys.pagerduty),
    ];
    Secrets::of(all.map(|(name, value)| (name.to_owned(), SecretString::from(value))))
}

fn toml(standins: &Standins, more: &str) -> String {
    let urls = &standins.urls;
    format!(
        r#"
[deployment]
version = "2.0.0"
timezone = "America/New_York"
[app]
url = "{app}"
[services.sentry]
api = "{sentry}"
org = "{org}"
project = "{project}"
token_env = "T_SENTRY"
dsn_env = "T_DSN"
release = "logos-vision-crm@{{version}}"
[services.posthog]
api = "{posthog}"
ingest = "{ingest}"
project_id = {posthog_project}
key_env = "T_POSTHOG"
project_key_env = "T_PROJECT"
flag = "contacts_redesign"
[services.vercel]
api = "{vercel}"
project = "{vercel_project}"
team = "{team}"
token_env = "T_VERCEL"
[services.slack]
api = "{slack}"
token_env = "T_SLACK"
[services.statuspage]
api = "{statuspage}"
page = "{page}"
component = "8kbf7d35c071"
key_env = "T_PAGE"
[services.pagerduty]
api = "{pagerduty}"
key_env = "T_PAGER"
{more}
"#,
        app = urls.app,
        sentry = urls.sentry_api,
        org = NAMES.sentry_organisation,
        project = NAMES.sentry_project,
        posthog = urls.posthog_api,
        ingest = urls.posthog_ingest,
        posthog_project = NAMES.posthog_project,
        vercel = urls.vercel,
        vercel_project = NAMES.vercel_project,
        team = NAMES.vercel_team,
        slack = urls.slack,
        statuspage = urls.statuspage,
        page = NAMES.statuspage_page,
        pagerduty = urls.pagerduty,
    )
}
