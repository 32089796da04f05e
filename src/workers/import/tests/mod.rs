//! The import on a real server and over Pulse's real socket. Time stands nearly still where figures are compared, and runs fast
//! where a wait is what is tested.

mod bad;
mod beside;
mod contract;
mod exact;
mod killed;
mod person;
mod resumed;
mod synced;
mod token;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::AstNode;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::plan::{Config, Role, bundled};
use crate::rehearsal::contacts;
use crate::rehearsal::scenario::Scenario;
use crate::rehearsal::standin::Standins;
use crate::rehearsal::world::World;
use crate::run::{Command, Mode};
use crate::scratch::Scratch;
use crate::secrets::Secrets;
use crate::store::Store;
use crate::workers::{Crew, Post};

const SEED: u64 = 7;

/// A database after the migrations, a Pulse, a journal; and a crew that can be killed and replaced.
struct Rig {
    scratch: Scratch,
    world: Arc<World>,
    standins: Standins,
    store: Store,
    kit: Kit,
    crew: Option<Crew>,
    database: PgConnection,
    /// What gonogo.toml says.
    settings: String,
    dir: TempDir,
}

impl Rig {
    /// `speed` of the clock; contacts here and profiles there; and what gonogo.toml says under `[import]`.
    async fn new(scenario: &str, speed: f64, here: u32, there: u32, import: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::paced("2026-10-03T14:00:00Z".parse().unwrap(), speed);
        let scratch = Scratch::start(&dir.path().join("pg")).await.unwrap();
        scratch.create_database("crm").await.unwrap();
        scratch.load_base_schema("crm").await.unwrap();
        let mut database = scratch.connect("crm").await.unwrap();
        contacts::seed(&mut database, SEED, here, clock.now()).await.unwrap();
        for (name, text) in bundled::MIGRATIONS.iter().filter(|(name, _)| name.ends_with(".up.sql")) {
            for statement in SourceFile::parse(text).tree().stmts() {
                let statement = statement.syntax().text().to_string();
                let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut database).await;
                done.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
        let scenario = Scenario::shipped(scenario).unwrap();
        let world = Arc::new(World::in_memory(clock.clone(), scenario, SEED, there));
        let standins = Standins::start(Arc::clone(&world)).await.unwrap();
        let text = format!(
            "[services.pulse]\nurl = \"{}\"\ntoken_env = \"GONOGO_TEST_PULSE\"\n[database]\nurl_env = \"GONOGO_TEST_DATABASE\"\n\
             [import]\n{import}",
            standins.urls.pulse
        );
        let config: Config = toml::from_str(&text).unwrap();
        let secrets = Secrets::of([
            ("GONOGO_TEST_PULSE".to_owned(), SecretString::from(world.credentials().pulse)),
            ("GONOGO_TEST_DATABASE".to_owned(), scratch.url("crm")),
        ]);
        let kit = Kit::new(config, dir.path(), secrets, clock.clone());
        let store = Store::open(&dir.path().join("run.sqlite"), clock).await.unwrap();
        let plan = Arc::new(crate::run::tests::plan());
        store.submit(&lead(), Command::Open { plan, mode: Mode::Rehearsal }).await.unwrap();
        let mut rig =
            Self { scratch, world, standins, store, kit, crew: None, database, settings: text, dir };
        rig.man();
        rig
    }

    /// Sends a crew to its posts.
    fn man(&mut self) {
        let posts = [
            Post::Jobs(Arc::new(ImportWorker::new(self.kit.clone()))),
            Post::Standing(Arc::new(SyncStanding::new(self.kit.clone()))),
        ];
        self.crew = Some(Crew::start(&self.store, &"here".into(), posts));
    }

    /// Sends others to their posts, in the same cockpit.
    fn also(&self, posts: impl IntoIterator<Item = Post>) -> Crew {
        Crew::start(&self.store, &"here".into(), posts)
    }

    /// Waits for a state.
    async fn state(&self, holds: impl FnMut(&Arc<State>) -> bool) -> Arc<State> {
        let mut state = self.store.state();
        let seen =
            tokio::time::timeout(Duration::from_mins(2), state.wait_for(holds)).await.expect("in time");
        Arc::clone(&seen.unwrap())
    }

    /// Ends the crew where it is, as a kill does.
    fn kill(&mut self) {
        self.crew = None;
    }

    async fn ask(&self, kind: JobKind) {
        self.store.submit(&Actor::person("dev", Role::Devops), Command::Request(kind)).await.unwrap();
    }

    async fn outcome(&self) -> Outcome {
        let mut state = self.store.state();
        let over = |state: &Arc<State>| state.jobs.values().all(crate::run::Job::is_over);
        let state =
            tokio::time::timeout(Duration::from_mins(2), state.wait_for(over)).await.expect("in time");
        state.unwrap().jobs.values().next_back().and_then(|job| job.outcome().cloned()).unwrap()
    }

    async fn done(&self, kind: JobKind) -> ImportTotals {
        self.ask(kind).await;
        self.totals().await
    }

    async fn totals(&self) -> ImportTotals {
        match self.outcome().await {
            Outcome::Succeeded { facts: Facts::Imported(totals), .. } => totals,
            other => panic!("{other:#?}"),
        }
    }

    /// Waits until the newest job asks, and says what.
    async fn question(&self) -> crate::run::job::Question {
        let mut state = self.store.state();
        let asks =
            |state: &Arc<State>| state.jobs.values().next_back().is_some_and(|job| job.question().is_some());
        let state = tokio::time::timeout(Duration::from_mins(2), state.wait_for(asks))
            .await
            .expect("in time")
            .unwrap();
        state.jobs.values().next_back().and_then(|job| job.question().cloned()).unwrap()
    }

    async fn failure(&self) -> Failure {
        match self.outcome().await {
            Outcome::Failed { failure } => failure,
            other => panic!("{other:#?}"),
        }
    }

    async fn number(&mut self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.database).await.unwrap()
    }

    /// Waits until a number of the import's own tables is reached, or the job is over.
    async fn until(&mut self, sql: &str, least: i64) {
        loop {
            let over = self.store.now().jobs.values().all(crate::run::Job::is_over);
            let made = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('gonogo.import_state')";
            if over || (self.number(made).await == 1 && self.number(sql).await >= least) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Every row of contacts and of mappings, with what a rewrite would change as well.
    async fn stamps(&mut self) -> Vec<(String, String)> {
        let sql = "SELECT 'c' || id, xmin::text || ctid::text FROM contacts \
                   UNION ALL SELECT 'm' || pulse_id, xmin::text || ctid::text FROM entity_mappings ORDER BY 1";
        sqlx::query_as(sql).fetch_all(&mut self.database).await.unwrap()
    }

    /// What contacts hold, without what depends on the moment; new ones by their profile and not by their key.
    async fn contents(&mut self) -> Vec<String> {
        let sql = "SELECT concat_ws('|', CASE WHEN j.action = 'inserted' THEN c.pulse_profile_id ELSE c.id::text END, \
                   to_jsonb(c) - ARRAY['id', 'created_at', 'updated_at', 'pulse_last_synced_at']) \
                   FROM contacts c LEFT JOIN gonogo_backup.contact_sync_journal j ON j.contact_id = c.id ORDER BY 1";
        sqlx::query_scalar(sql).fetch_all(&mut self.database).await.unwrap()
    }

    async fn donors(&mut self) -> String {
        let sql = "SELECT md5(string_agg(concat_ws('|', id, donor_stage, engagement_score, total_lifetime_giving, last_gift_date), \
                   ',' ORDER BY id)) FROM contacts WHERE id IN (SELECT id FROM before)";
        sqlx::query_scalar(sql).fetch_one(&mut self.database).await.unwrap()
    }

    /// Keeps contacts as they are now, for comparison.
    async fn remember(&mut self) {
        let sql = "DROP TABLE IF EXISTS before; CREATE TEMP TABLE before AS TABLE contacts";
        sqlx::raw_sql(sql).execute(&mut self.database).await.unwrap();
    }

    /// Pulse's profiles as they are on its socket, read by a client that is not gonogo's.
    async fn profiles(&self) -> Vec<Value> {
        let client = reqwest::Client::new();
        let mut all = Vec::new();
        loop {
            let mut url = String::from(&self.standins.urls.pulse);
            write!(url, "/api/contacts/relationship-profiles?limit=1000&offset={}", all.len()).unwrap();
            let answer = client.get(url).bearer_auth(self.world.credentials().pulse).send().await.unwrap();
            let page: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["pagination"]["has_more"] == false {
                return all;
            }
        }
    }

    async fn leave(mut self) {
        self.kill();
        self.scratch.stop().await.unwrap();
    }
}

fn lead() -> Actor {
    Actor::person("lea", Role::Lead)
}

fn sum(totals: &ImportTotals) -> u64 {
    totals.imported + totals.updated + totals.unchanged + totals.quarantined + totals.conflicts
}
