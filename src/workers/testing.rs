//! A rehearsal without its cockpit, for the tests of workers: the stand-ins on their sockets, a store, and a kit that knows
//! where they are. Nothing in here is faked for a worker: it meets sockets, files and a journal as on the day.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use secrecy::SecretString;

use super::{Crew, Kit, Post};
use crate::clock::Clock;
use crate::plan::{Check, Config, Item, ItemId, Plan, Role};
use crate::rehearsal::scenario::Scenario;
use crate::rehearsal::standin::{NAMES, Standins};
use crate::rehearsal::world::World;
use crate::run::{Actor, Command, Event, JobKind, Mode, Outcome, State};
use crate::secrets::Secrets;
use crate::services::vercel::{self, Vercel};
use crate::store::Store;

/// A rehearsal without its cockpit.
pub(super) struct Rig {
    pub(super) world: Arc<World>,
    pub(super) clock: Clock,
    pub(super) standins: Standins,
    pub(super) store: Store,
    pub(super) kit: Kit,
    pub(super) lead: Actor,
    dir: tempfile::TempDir,
    crew: Option<Crew>,
}

/// What a test changes before the rig stands.
pub(super) struct Setup {
    pub(super) speed: f64,
    /// Lines of gonogo.toml that come first.
    pub(super) toml: String,
    pub(super) database: Option<SecretString>,
    /// Items of the preparation.
    pub(super) items: Vec<Item>,
    /// Names of gauges; none means all.
    pub(super) gauges: Vec<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { speed: 240.0, toml: String::new(), database: None, items: Vec::new(), gauges: Vec::new() }
    }
}

impl Rig {
    pub(super) async fn new(setup: Setup) -> Self {
        // A second install is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::paced(DateTime::from_timestamp(1_790_000_000, 0).unwrap(), setup.speed);
        let scenario = Scenario::shipped("smooth").unwrap();
        let world = Arc::new(World::in_memory(clock.clone(), scenario, 7, 300));
        let standins = Standins::start(Arc::clone(&world)).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = config(&standins, &setup.toml);
        let keys = world.credentials();
        let mut secrets = vec![
            ("VITE_PULSE_API_KEY", keys.pulse.into()),
            ("SENTRY_AUTH_TOKEN", keys.sentry.into()),
            ("VITE_SENTRY_DSN", standins.urls.sentry_dsn.clone().into()),
            ("POSTHOG_API_KEY", keys.posthog.into()),
            ("VITE_POSTHOG_API_KEY", keys.posthog_project.into()),
            ("VERCEL_TOKEN", keys.vercel.into()),
        ];
        secrets.extend(setup.database.map(|url| ("GONOGO_TEST_DATABASE_URL", url)));
        let secrets = Secrets::of(secrets.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut plan: Plan = crate::run::tests::plan();
        let whole = config.plan(plan.checklist.clone());
        (plan.metrics, plan.rollout) = (whole.metrics, whole.rollout);
        plan.metrics.retain(|metric| setup.gauges.is_empty() || setup.gauges.contains(&&*metric.id.0));
        plan.checklist.phases[0].sections[0].items.extend(setup.items);
        // Jobs are asked for without their items here, so that no phase stands before them.
        plan.checklist.phases.iter_mut().skip(1).for_each(|phase| phase.sections.clear());
        let kit = Kit::new(config, dir.path(), secrets, clock.clone());
        let store = Store::open(&dir.path().join("run.sqlite"), clock.clone()).await.unwrap();
        let lead = Actor::person("lea", Role::Lead);
        store.submit(&lead, Command::Open { plan: Arc::new(plan), mode: Mode::Rehearsal }).await.unwrap();
        Self { world, clock, standins, store, kit, lead, dir, crew: None }
    }

    /// Sends these to work until the rig is dropped.
    pub(super) fn posts(&mut self, posts: impl IntoIterator<Item = Post>) {
        self.crew = Some(Crew::start(&self.store, &"test".into(), posts));
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn pass(&self, minutes: i64) {
        self.clock.jump_to(self.clock.now() + TimeDelta::minutes(minutes));
    }

    /// Puts the new build live.
    pub(super) async fn go_live(&self) {
        let config = vercel::Config {
            api: self.standins.urls.vercel.parse().unwrap(),
            token: self.world.credentials().vercel.into(),
            team: Some(NAMES.vercel_team.into()),
            project: NAMES.vercel_project.into(),
        };
        let vercel = Vercel::new(&config, self.clock.clone()).unwrap();
        vercel.promote("dpl_9NewAbc", Duration::from_mins(10)).await.unwrap();
    }

    /// Has a check made, and waits for how it ends.
    pub(super) async fn prove(&self, check: Check) -> Outcome {
        self.ended(Command::Request(JobKind::Verify { check })).await
    }

    /// Has a job done, and waits for how it ends.
    pub(super) async fn job(&self, kind: JobKind) -> Outcome {
        self.ended(Command::Request(kind)).await
    }

    /// Has an item proven.
    pub(super) async fn run(&self, item: &str) -> Outcome {
        self.ended(Command::Run(ItemId::from(item))).await
    }

    async fn ended(&self, command: Command) -> Outcome {
        let records = self.store.submit(&self.lead, command).await.unwrap();
        let id = records.iter().find_map(|record| match &record.event {
            Event::JobRequested { job, .. } => Some(*job),
            _ => None,
        });
        let id = id.expect("a job was asked for");
        let state = self
            .until("the job ends", |state| state.jobs.get(&id).is_some_and(crate::run::Job::is_over))
            .await;
        state.jobs[&id].outcome().cloned().unwrap()
    }

    /// Waits for the state to be so.
    pub(super) async fn until(&self, what: &str, so: impl Fn(&State) -> bool) -> Arc<State> {
        let (began, mut state) = (Instant::now(), self.store.state());
        let found = tokio::time::timeout(Duration::from_mins(1), state.wait_for(|state| so(state))).await;
        match found {
            Ok(Ok(state)) => Arc::clone(&state),
            _ => panic!("waited {:?} for: {what}; health {:?}", began.elapsed(), self.store.now().health),
        }
    }
}

fn config(standins: &Standins, first: &str) -> Config {
    let urls = &standins.urls;
    let text = format!(
        "{first}
        [services.pulse]
        url = '{}'
        [services.sentry]
        api = '{}'
        org = '{}'
        project = '{}'
        release = 'logos-vision-crm@{{version}}'
        [services.posthog]
        api = '{}'
        ingest = '{}'
        project_id = {}
        flag = 'contacts_redesign'
        ",
        urls.pulse,
        urls.sentry_api,
        NAMES.sentry_organisation,
        NAMES.sentry_project,
        urls.posthog_api,
        urls.posthog_ingest,
        NAMES.posthog_project,
    );
    let mut config = Config::parse(&text, "gonogo.toml").unwrap();
    config.app.url.get_or_insert_with(|| urls.app.parse().unwrap());
    if config.deployment.version.is_empty() {
        config.deployment.version = "2.0.0".into();
    }
    config.deployment.migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations").into();
    config.database.url_env = "GONOGO_TEST_DATABASE_URL".into();
    config
}
