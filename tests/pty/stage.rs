//! A rehearsal's directory, and what the program itself says of the run in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::cockpit::{Bond, Cockpit, PATIENCE, Size};

/// One rehearsal at a time: two PostgreSQL servers and two debug builds would only wait for each other.
static ONE: Mutex<()> = Mutex::new(());

/// A directory with a short plan, for one rehearsal.
pub(crate) struct Stage {
    dir: TempDir,
    options: Vec<&'static str>,
    _one: MutexGuard<'static, ()>,
}

impl Stage {
    /// An empty one; `options` are what the rehearsal is started with.
    pub(crate) fn new(options: &[&'static str]) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        // Where root runs this, PostgreSQL's own account must get in.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { dir, options: options.to_vec(), _one: one }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn rehearsal(&self) -> PathBuf {
        self.dir.path().join("rehearsal")
    }

    fn config(&self) -> String {
        self.rehearsal().join("gonogo.toml").to_str().unwrap().to_owned()
    }

    /// The rehearsal in a terminal; again, it goes on.
    pub(crate) fn rehearse(&self, size: Size) -> Cockpit {
        self.rehearse_bound(size, Bond::Controlling)
    }

    /// The same, bound to its terminal so.
    pub(crate) fn rehearse_bound(&self, size: Size, bond: Bond) -> Cockpit {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = root.join("checklists/contacts-redesign.toml");
        let checklist = root.join("tests/pty/short.md");
        let mut arguments = vec!["rehearse", "--dir", "rehearsal", "--name", "lea"];
        arguments.extend(["--config", config.to_str().unwrap(), "--checklist", checklist.to_str().unwrap()]);
        arguments.extend(&self.options);
        let cockpit = Cockpit::start_bound(&arguments, self.dir.path(), size, bond);
        cockpit.wait_for("the panes", |screen| screen.contains("REHEARSAL") && screen.contains(" next: "));
        cockpit
    }

    /// A second cockpit on the same run.
    pub(crate) fn join(&self, role: &str, name: &str, size: Size) -> Cockpit {
        let config = self.config();
        let arguments = ["--config", &config, "--role", role, "--name", name];
        let cockpit = Cockpit::start(&arguments, self.dir.path(), size);
        cockpit.wait_for("the panes", |screen| screen.contains("REHEARSAL") && screen.contains(" next: "));
        cockpit
    }

    fn ask(&self, arguments: &[&str]) -> Vec<Value> {
        let config = self.config();
        let output = Command::new(env!("CARGO_BIN_EXE_gonogo"))
            .args(["--config", &config, "--json"])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The journal, as `gonogo log --json` prints it, which proves its chain of hashes.
    pub(crate) fn journal(&self) -> Vec<Value> {
        self.ask(&["log"])
    }

    /// The records of that event.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        self.journal().into_iter().filter(|record| record["event"] == event).collect()
    }

    /// What `gonogo status --json` sums up.
    pub(crate) fn summary(&self) -> Value {
        self.ask(&["status"])[0]["summary"].clone()
    }

    /// A connection to the journal's file, as anybody may open it.
    pub(crate) async fn journal_file(&self) -> SqliteConnection {
        let path = self.rehearsal().join("journal.sqlite");
        SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap()
    }

    /// A connection to the scratch database.
    pub(crate) async fn database(&self) -> PgConnection {
        let environment = std::fs::read_to_string(self.rehearsal().join(".env")).unwrap();
        let line = environment.lines().find_map(|line| line.strip_prefix("REHEARSAL_DATABASE_URL="));
        PgConnection::connect(line.unwrap().trim_matches('\'')).await.unwrap()
    }

    /// One number from the scratch database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = self.database().await;
        let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }

    /// The process of the scratch PostgreSQL, while it runs.
    pub(crate) fn postgres(&self) -> Option<u32> {
        let file = std::fs::read_to_string(self.rehearsal().join("postgres/data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// Waits until that process is no more.
    #[track_caller]
    pub(crate) fn is_gone(process: u32) {
        let deadline = Instant::now() + PATIENCE;
        let alive =
            || Command::new("kill").args(["-0", &process.to_string()]).output().unwrap().status.success();
        while alive() {
            assert!(Instant::now() < deadline, "process {process} is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the scratch PostgreSQL is down.
    pub(crate) fn is_dark(&self) -> bool {
        !self.rehearsal().join("postgres/data/postmaster.pid").exists()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The server ends with the program, a moment after it; until then it writes in here.
        let deadline = Instant::now() + PATIENCE;
        while !self.is_dark() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
