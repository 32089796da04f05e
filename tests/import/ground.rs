//! What the tests stand on: a server of their own with the migrated schema, the CRM's contacts in it, and a deployment's
//! directory that points at both.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use gonogo::plan::bundled;
use gonogo::scratch::Scratch;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::AstNode as _;
use tokio::process::Command;

use crate::people::Here;
use crate::pulse::TOKEN;

/// A server with one database, and a deployment's directory.
pub(crate) struct Ground {
    pub(crate) scratch: Scratch,
    pub(crate) dir: tempfile::TempDir,
}

impl Ground {
    pub(crate) async fn new(crm: &[Here], pulse: &str, import: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::start(&dir.path().join("pg")).await.unwrap();
        scratch.create_database("crm").await.unwrap();
        scratch.load_base_schema("crm").await.unwrap();
        let ground = Self { scratch, dir };
        let mut session = ground.session().await;
        for (_, text) in bundled::MIGRATIONS.iter().filter(|(name, _)| name.ends_with(".up.sql")) {
            for statement in SourceFile::parse(text).tree().stmts() {
                ground.sql(&statement.syntax().text().to_string()).await;
            }
        }
        for here in crm {
            sqlx::query(
                "INSERT INTO contacts (id, name, email, phone, notes, donor_stage, total_lifetime_giving, engagement_score, \
                 last_gift_date) VALUES ($1::uuid, $2, $3, $4, $5, $6, $7::numeric, 'high', '2025-12-24')",
            )
            .bind(&here.id)
            .bind(&here.name)
            .bind(&here.email)
            .bind(&here.phone)
            .bind(&here.notes)
            .bind(here.stage)
            .bind(&here.giving)
            .execute(&mut session)
            .await
            .unwrap();
        }
        let config = format!(
            "[services.pulse]\nurl = \"{pulse}\"\ntoken_env = \"GONOGO_TEST_PULSE\"\n[database]\nurl_env = \"GONOGO_TEST_DB\"\n\
             [import]\nrequests_per_minute = 1000000\n{import}"
        );
        ground.file("gonogo.toml", &config);
        ground.file("checklist.md", "# A plan\n\n## Phase 1\n\n- [ ] import\n");
        ground.token(TOKEN);
        ground
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Writes the env file.
    pub(crate) fn token(&self, token: &str) {
        let url = self.scratch.url("crm");
        self.file(
            ".env",
            &format!("GONOGO_TEST_PULSE='{token}'\nGONOGO_TEST_DB='{}'\n", url.expose_secret()),
        );
    }

    /// gonogo in that directory.
    pub(crate) fn gonogo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs it to its end: exit code, and all it said.
    pub(crate) async fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.gonogo(args).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// Runs it with --json to its end: exit code, and its last line.
    pub(crate) async fn json(&self, args: &[&str]) -> (Option<i32>, Value) {
        let (code, said) = self.run(&[&["--json"], args].concat()).await;
        let last = said.lines().last().unwrap_or_default();
        let value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {said}"));
        (code, value)
    }

    pub(crate) async fn session(&self) -> PgConnection {
        self.scratch.connect("crm").await.unwrap()
    }

    pub(crate) async fn sql(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.session().await).await;
        done.unwrap_or_else(|error| panic!("{error}\nin:\n{sql}"));
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.session().await).await.unwrap()
    }

    /// What contacts hold, in the fields of the model; new ones by their profile.
    pub(crate) async fn contacts(&self) -> BTreeMap<String, Value> {
        let sql = "SELECT CASE WHEN j.action = 'inserted' THEN c.pulse_profile_id ELSE c.id::text END, \
                   to_jsonb(c) || jsonb_build_object('total_lifetime_giving', c.total_lifetime_giving::text) \
                   FROM contacts c LEFT JOIN gonogo_backup.contact_sync_journal j ON j.contact_id = c.id";
        let mut session = self.session().await;
        sqlx::raw_sql("SET timezone = 'UTC'").execute(&mut session).await.unwrap();
        let rows = sqlx::query(sql).fetch_all(&mut session).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get::<Value, _>(1))).collect()
    }

    /// Every row that an import may write, with what a rewrite would change as well.
    pub(crate) async fn stamps(&self) -> Vec<(String, String)> {
        let sql = "SELECT 'c' || id, xmin::text || ctid::text FROM contacts \
                   UNION ALL SELECT 'm' || pulse_id, xmin::text || ctid::text FROM entity_mappings \
                   UNION ALL SELECT 'j' || contact_id, xmin::text || ctid::text FROM gonogo_backup.contact_sync_journal \
                   ORDER BY 1";
        sqlx::query_as(sql).fetch_all(&mut self.session().await).await.unwrap()
    }
}
