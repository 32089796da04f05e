//! The ways to migrate that are compared: each a program of its own, so that none shares its processor time with the clients'
//! clocks more than it would on the day.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use super::here;

/// A way to migrate.
pub(crate) enum Way {
    /// Nobody migrates; how the clients do by themselves.
    Nothing,
    /// What is written first, in one transaction.
    Psql,
    /// The same, by another runner; its directory of migrations.
    SqlxCli(PathBuf),
    /// The same.
    Dbmate(PathBuf),
    /// The shipped 001 by psql, statement by statement, without asking anything.
    SafePsql,
    /// The shipped 001.
    Gonogo,
}

/// How a way was taken.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) seconds: f64,
    /// How long until the blocker's name was said, after the step before was over.
    pub(crate) news: Option<f64>,
    /// The part of it that proves and changes nothing.
    pub(crate) checks: f64,
    pub(crate) trouble: Option<String>,
}

impl Way {
    /// All that can be taken on this machine; `dir` is for the files of the others.
    pub(crate) fn found(dir: &Path) -> Vec<Self> {
        let mut ways = vec![Self::Nothing, Self::Psql];
        let naive = std::fs::read_to_string(here("benches/migrate/naive.sql")).expect("it stands beside");
        let write = |name: &str, file: &str, text: String| {
            let dir = dir.join(name);
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(dir.join(file), text).expect("a file");
            dir
        };
        if on_path("sqlx") {
            ways.push(Self::SqlxCli(write("sqlx", "20260101000000_contacts.sql", naive.clone())));
        }
        if on_path("dbmate") {
            let text = format!("-- migrate:up\n{naive}\n-- migrate:down\n");
            ways.push(Self::Dbmate(write("dbmate", "20260101000000_contacts.sql", text)));
        }
        ways.extend([Self::SafePsql, Self::Gonogo]);
        ways
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Nothing => "nothing".into(),
            Self::Psql => "first way, psql".into(),
            Self::SqlxCli(_) => "first way, sqlx-cli".into(),
            Self::Dbmate(_) => "first way, dbmate".into(),
            Self::SafePsql => "001 by psql".into(),
            Self::Gonogo => "001 by gonogo".into(),
        }
    }

    fn command(&self, url: &str) -> Option<Command> {
        let mut command = match self {
            Self::Nothing => return None,
            Self::Psql => {
                let mut psql = psql();
                psql.args(["-1", "-f"]).arg(here("benches/migrate/naive.sql")).arg(url);
                psql
            }
            Self::SafePsql => {
                let mut psql = psql();
                psql.arg("-f").arg(here("migrations/001_contacts_pulse_integration.up.sql")).arg(url);
                psql
            }
            Self::SqlxCli(dir) => {
                let mut sqlx = Command::new("sqlx");
                sqlx.args(["migrate", "run", "--source"]).arg(dir).args(["--database-url", url]);
                sqlx
            }
            Self::Dbmate(dir) => {
                let mut dbmate = Command::new("dbmate");
                dbmate.args(["--no-dump-schema", "--url", url, "--migrations-dir"]).arg(dir).arg("up");
                dbmate
            }
            Self::Gonogo => {
                let mut gonogo = Command::new(env!("CARGO_BIN_EXE_gonogo"));
                gonogo.args(["migrate", "up", "--to", "1", "--backup", "waived", "--json", "--dir"]);
                gonogo.arg(here("migrations")).env("DATABASE_URL", url);
                gonogo
            }
        };
        // Nothing of the place from which the benchmark is started counts.
        command.current_dir(std::env::temp_dir());
        Some(command)
    }

    /// Takes it, and says how that went.
    pub(crate) async fn take(&self, url: &SecretString) -> Taken {
        let began = Instant::now();
        let Some(mut command) = self.command(url.expose_secret()) else {
            tokio::time::sleep(std::time::Duration::from_secs(10)).await;
            return Taken { seconds: began.elapsed().as_secs_f64(), ..Taken::default() };
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program starts");
        let mut errors = child.stderr.take().expect("it is piped");
        let complaint = tokio::spawn(async move {
            let mut text = String::new();
            errors.read_to_string(&mut text).await.map(|_| text)
        });
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut taken = Taken::default();
        let mut before = Instant::now();
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(told) = serde_json::from_str::<Value>(&line) else { continue };
            if told["name"].as_str().is_some_and(|name| name.contains(" checks ")) {
                taken.checks += before.elapsed().as_secs_f64();
            }
            if told.get("outcome").is_some() {
                before = Instant::now();
            }
            let named = told["live"]["blockers"]
                .as_array()
                .is_some_and(|all| all.iter().any(|blocker| blocker["app"].as_str() == Some(super::BLOCKER)));
            if named && taken.news.is_none() {
                taken.news = Some(before.elapsed().as_secs_f64());
            }
        }
        let status = child.wait().await.expect("it ends");
        taken.seconds = began.elapsed().as_secs_f64();
        let complaint = complaint.await.ok().and_then(Result::ok).unwrap_or_default();
        if !status.success() {
            taken.trouble =
                Some(format!("{status}: {}", complaint.trim().lines().last().unwrap_or("it said nothing")));
        }
        taken
    }
}

fn psql() -> Command {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
    psql
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
