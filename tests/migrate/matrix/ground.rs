//! Where the matrix is played: a server that can be killed and keeps what it has committed, two databases to begin from, and what must be the same at the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use gonogo::rehearsal::contacts;
use gonogo::scratch::{Durability, Scratch};
use gonogo::workers::migrate::catalogue::{Catalogue, Fingerprint, Scope, fingerprint, snapshot};
use gonogo::workers::migrate::{down, up};
use secrecy::ExposeSecret as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::process::{Child, Command};

use crate::ground::{Recorder, brisk, run, shipped};
use crate::proxy::Proxy;

/// Rows as an import leaves them, so that the way back has something to set aside.
const IMPORTED: &str = "
UPDATE contacts SET pulse_profile_id = 'p' || id, relationship_score = 50, is_vip = true, pulse_tags = '{a,b}', pulse_sync_status = 'synced'
WHERE id IN (SELECT id FROM contacts ORDER BY id LIMIT 20);
INSERT INTO entity_mappings (entity_type, logos_id, pulse_id, sync_status)
SELECT 'contact', id, pulse_profile_id, 'synced' FROM contacts WHERE pulse_profile_id IS NOT NULL;
INSERT INTO pulse_contact_interactions (contact_id, pulse_profile_id, pulse_interaction_id, interaction_type, interaction_date)
SELECT id, pulse_profile_id, 'i' || id, 'meeting', '2026-09-01' FROM contacts WHERE pulse_profile_id IS NOT NULL;";

/// Which way the migrations are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

impl Way {
    /// The database that it begins from.
    const fn template(self) -> &'static str {
        match self {
            Self::Up => "before",
            Self::Down => "after",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Up => &["up", "--backup", "waived"],
            Self::Down => &["down", "--confirm", "run"],
        }
    }
}

/// What must be the same, whatever happened on the way.
#[derive(Debug, PartialEq)]
pub(super) struct End {
    pub(super) catalogue: Catalogue,
    pub(super) data: BTreeMap<String, Fingerprint>,
    /// Tables that were set aside, by their name without the date, with their rows.
    pub(super) aside: Vec<String>,
}

pub(super) struct Ground {
    scratch: Option<Scratch>,
    pub(super) proxy: Proxy,
    dir: tempfile::TempDir,
}

impl Ground {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::start_with(dir.path(), Durability::On).await.unwrap();
        let proxy = Proxy::before(scratch.port()).await;
        let ground = Self { scratch: Some(scratch), proxy, dir };
        let scratch = ground.scratch();
        scratch.create_database("before").await.unwrap();
        scratch.load_base_schema("before").await.unwrap();
        let mut session = scratch.connect("before").await.unwrap();
        contacts::seed(&mut session, 1, 60, "2026-10-05T14:00:00Z".parse().unwrap()).await.unwrap();
        // There and back once, so that the bookkeeping is there to be watched.
        let url = scratch.url("before");
        let db = gonogo::workers::migrate::Database::connect(&url, "setup").await.unwrap();
        let (set, quiet) = (shipped(), Recorder::default);
        up(&db, &set, Some(1), &brisk(), &quiet()).await.unwrap();
        down(&db, &set, None, &brisk(), &quiet()).await.unwrap();
        run(&mut session, "DROP SCHEMA gonogo_backup CASCADE").await;
        run(&mut session, include_str!("hold.sql")).await;
        session.close().await.unwrap();
        ground.copy("before", "after").await;
        let url = ground.scratch().url("after");
        let db = gonogo::workers::migrate::Database::connect(&url, "setup").await.unwrap();
        up(&db, &set, None, &brisk(), &quiet()).await.unwrap();
        let mut session = ground.scratch().connect("after").await.unwrap();
        run(&mut session, IMPORTED).await;
        session.close().await.unwrap();
        ground
    }

    pub(super) fn scratch(&self) -> &Scratch {
        self.scratch.as_ref().unwrap()
    }

    async fn copy(&self, from: &str, to: &str) {
        let mut session = self.scratch().connect("postgres").await.unwrap();
        run(&mut session, &format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)")).await;
        run(&mut session, &format!("CREATE DATABASE {to} TEMPLATE {from}")).await;
        // A copied sequence takes its next numbers for logged, which they were in the original alone: a crash would hand them out
        // again. A checkpoint makes it log anew.
        run(&mut session, "CHECKPOINT").await;
        session.close().await.unwrap();
    }

    /// The database to begin from, with the runner to be held at that point; 0 holds it nowhere.
    pub(super) async fn begin(&self, way: Way, point: i64) {
        self.copy(way.template(), "run").await;
        self.target(point).await;
    }

    pub(super) async fn target(&self, point: i64) {
        let mut session = self.session().await;
        run(&mut session, &format!("UPDATE hold.target SET point = {point}")).await;
    }

    pub(super) async fn session(&self) -> PgConnection {
        self.scratch().connect("run").await.unwrap()
    }

    pub(super) async fn number(&self, sql: &str) -> i64 {
        let sql = format!("SELECT ({sql})::bigint");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.session().await).await.unwrap()
    }

    /// The binary itself, through the cable.
    pub(super) fn gonogo(&self, way: Way) -> Child {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.arg("migrate").args(way.arguments()).args(["--json", "--dir"]).arg(here.join("migrations"));
        let url = self.proxy.url(&self.scratch().url("run"));
        command.env("DATABASE_URL", url.expose_secret());
        command
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.kill_on_drop(true).spawn().unwrap()
    }

    /// The server goes down without any order, and comes back.
    pub(super) async fn restart(&mut self) {
        let scratch = self.scratch.take().unwrap();
        let pid = std::fs::read_to_string(scratch.dir().join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().trim().to_owned();
        let killed = Command::new("kill").args(["-QUIT", &pid]).status().await.unwrap();
        assert!(killed.success(), "the server was there to be killed");
        scratch.stop().await.unwrap();
        let scratch = Scratch::start_with(self.dir.path(), Durability::On).await.unwrap();
        self.proxy.lead_to(scratch.port());
        self.scratch = Some(scratch);
    }

    pub(super) async fn end(&self, way: Way) -> End {
        let mut session = self.session().await;
        let catalogue = snapshot(&mut session, &Scope::whole()).await.unwrap();
        let tables: &[&str] = match way {
            Way::Up => &["public.contacts", "public.pulse_contact_interactions", "public.entity_mappings"],
            Way::Down => &["public.contacts"],
        };
        let mut data = BTreeMap::new();
        for table in tables {
            let all = fingerprint(&mut session, table).await.unwrap();
            data.insert((*table).to_owned(), all);
        }
        let aside = "SELECT regexp_replace(c.relname, '_?\\d{8}.*', '') || ' ' || (xpath('/row/n/text()',
               query_to_xml(format('SELECT count(*) AS n FROM gonogo_backup.%I', c.relname), false, true, '')))[1]::text
             FROM pg_class c WHERE c.relnamespace = to_regnamespace('gonogo_backup') AND c.relkind = 'r' AND c.relname ~ '\\d{8}'
             ORDER BY 1";
        let aside = sqlx::query_scalar(aside).fetch_all(&mut session).await.unwrap();
        End { catalogue, data, aside }
    }
}
