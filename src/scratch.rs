//! A real, throwaway PostgreSQL: one cluster in one directory, on a free port of 127.0.0.1, behind a random password.
//!
//! It guarantees: the server ends with this process, however that ends (the server's watcher reads a pipe whose other end
//! is here; when it closes, the server shuts down); the data stay until the directory is removed, so that an
//! interrupted rehearsal goes on with them; a second process on the same directory uses the running server instead of starting
//! another; as root, an unprivileged account owns and runs it. Durability is switched off unless it is asked for: a power cut
//! may cost the rehearsal, and nothing else.
//!
//! The `pgtemp` crate was looked at. Its cluster lives in a temporary directory and dies with its handle, so nothing could
//! be resumed; as root it needs `sudo`; it does not end with a killed process; and it panics where a rehearsal has to
//! explain. The part worth sharing, starting two programs, is the small part.

mod account;
mod binaries;
mod clone;
mod copy;
mod error;
mod parents;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};

pub use self::binaries::{Binaries, OVERRIDE};
pub use self::clone::Cloned;
pub use self::copy::{Copied, CopiedTable, Rows};
pub use self::error::ScratchError;

use self::account::Account;

/// The schema of the production database before migration 001.
pub const BASE_SCHEMA: &str = include_str!("scratch/schema.sql");

const USER: &str = "postgres";
const STARTS_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum Server {
    /// Started here: ends when the pipe closes.
    Started { child: Child, lifeline: Option<ChildStdin> },
    /// Another process of this machine started it, and ends it.
    Adopted,
}

/// What a power cut may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The data: nothing waits for the disk. Right for rehearsals and tests.
    Off,
    /// Nothing that was committed, as in production. Right for measurements.
    On,
}

/// A running throwaway PostgreSQL. Dropping it shuts the server down and leaves the data.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    port: u16,
    password: SecretString,
    binaries: Binaries,
    account: Account,
    server: Server,
    durability: Durability,
}

impl Scratch {
    /// Starts the cluster of `dir`, or makes one there, or joins the server that another live process runs there.
    pub async fn start(dir: &Path) -> Result<Self, ScratchError> {
        Self::start_with(dir, Durability::Off).await
    }

    /// The same, with a say in what a power cut may cost. A server that runs already keeps what it was started with.
    pub async fn start_with(dir: &Path, durability: Durability) -> Result<Self, ScratchError> {
        let binaries = Binaries::find()?;
        let account = Account::choose()?;
        let dir = account.directory(dir)?;
        let data = dir.join("data");
        let io = |source| ScratchError::Directory { path: dir.clone(), source };

        // A cluster counts from the moment its password is in its place, which is the last step of making it.
        let password = match fs::read_to_string(dir.join("password")) {
            Ok(password) if data.join("PG_VERSION").exists() => SecretString::from(password),
            _ => make_cluster(&binaries, account, &dir).await?,
        };
        let found = fs::read_to_string(data.join("PG_VERSION")).map_err(io)?;
        if found.trim() != binaries.major().to_string() {
            return Err(ScratchError::OtherVersion {
                dir,
                found: found.trim().into(),
                wanted: binaries.major(),
            });
        }

        let mut scratch =
            Self { dir, port: 0, password, binaries, account, server: Server::Adopted, durability };
        if scratch.join_running().await? {
            return Ok(scratch);
        }
        scratch.launch().await?;
        Ok(scratch)
    }

    /// The connection URL of a database, with the password.
    pub fn url(&self, database: &str) -> SecretString {
        SecretString::from(format!(
            "postgres://{USER}:{}@127.0.0.1:{}/{database}?sslmode=disable",
            self.password.expose_secret(),
            self.port
        ))
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where data, log and password really are; not always the directory that was asked for.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server programs in use.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Makes `database` if it is not there, and says whether it was made.
    pub async fn create_database(&self, database: &str) -> Result<bool, ScratchError> {
        let sql = |source| ScratchError::Sql { doing: "creating a database", source };
        let mut server = self.connect("postgres").await?;
        let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(database)
            .fetch_one(&mut server)
            .await
            .map_err(sql)?;
        if !there {
            let create = format!("CREATE DATABASE {}", quoted(database));
            sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut server).await.map_err(sql)?;
        }
        server.close().await.map_err(sql)?;
        Ok(!there)
    }

    /// Loads [`BASE_SCHEMA`] into a database that is empty.
    pub async fn load_base_schema(&self, database: &str) -> Result<(), ScratchError> {
        let sql = |source| ScratchError::Sql { doing: "loading the base schema", source };
        let mut connection = self.connect(database).await?;
        sqlx::raw_sql(BASE_SCHEMA).execute(&mut connection).await.map_err(sql)?;
        connection.close().await.map_err(sql)
    }

    /// One connection to `database`.
    pub async fn connect(&self, database: &str) -> Result<PgConnection, ScratchError> {
        PgConnection::connect(self.url(database).expose_secret())
            .await
            .map_err(|source| ScratchError::Sql { doing: "connecting", source })
    }

    /// Shuts the server down, if it was started here, and waits until it is down. The data stay.
    pub async fn stop(mut self) -> Result<(), ScratchError> {
        let Server::Started { child, lifeline } = &mut self.server else { return Ok(()) };
        drop(lifeline.take());
        let deadline = Instant::now() + STOPS_WITHIN;
        while Instant::now() < deadline {
            if !matches!(child.try_wait(), Ok(None)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.stop_by_pg_ctl()
    }

    /// True when a live process runs this cluster; false when nobody does any more.
    async fn join_running(&mut self) -> Result<bool, ScratchError> {
        let Some(port) = self.running_port() else { return Ok(false) };
        let owner = fs::read_to_string(self.dir.join("owner")).unwrap_or_default();
        if is_alive(owner.trim()) {
            self.port = port;
            if self.answers_before(Instant::now() + STOPS_WITHIN).await {
                return Ok(true);
            }
        }
        // Its owner is gone, so it is on its way down or was cut off from its watcher.
        self.stop_by_pg_ctl()?;
        Ok(false)
    }

    fn running_port(&self) -> Option<u16> {
        let pid_file = fs::read_to_string(self.dir.join("data/postmaster.pid")).ok()?;
        let mut lines = pid_file.lines();
        let pid = lines.next()?;
        let port = lines.nth(2)?.trim().parse().ok()?;
        is_alive(pid.trim()).then_some(port)
    }

    fn stop_by_pg_ctl(&self) -> Result<(), ScratchError> {
        let mut command = self.account.command(&self.binaries.program("pg_ctl"), &self.dir);
        command.args(["stop", "--wait", "--mode=fast", "--pgdata"]).arg(self.dir.join("data"));
        match run(&mut command) {
            // It went down by itself in the meantime, which is what was wanted.
            Err(ScratchError::Failed { .. }) if self.running_port().is_none() => Ok(()),
            result => result.map(drop),
        }
    }

    async fn launch(&mut self) -> Result<(), ScratchError> {
        let mut last = String::new();
        // Another program may take the free port between the look and the use.
        for _ in 0..3 {
            self.port =
                free_port().map_err(|source| ScratchError::Directory { path: self.dir.clone(), source })?;
            let mut child = self.spawn()?;
            let lifeline = child.stdin.take();
            self.server = Server::Started { child, lifeline };
            if self.answers_before(Instant::now() + STARTS_WITHIN).await {
                let owner = std::process::id().to_string();
                return fs::write(self.dir.join("owner"), owner)
                    .map_err(|source| ScratchError::Directory { path: self.dir.clone(), source });
            }
            last = tail(&fs::read_to_string(self.dir.join("log")).unwrap_or_default());
            if !last.contains("could not bind") {
                break;
            }
        }
        Err(ScratchError::NotUp { dir: self.dir.clone(), log: last })
    }

    /// The server is the child itself. Before it takes the shell's place, the shell leaves a watcher behind, which waits
    /// for the end of its standard input and then asks the server to go.
    fn spawn(&self) -> Result<Child, ScratchError> {
        const SCRIPT: &str = r#"
            server=$$
            pid_file=$1
            shift
            exec 3<&0
            ( (
                read -r _ <&3
                [ "$(head -n 1 "$pid_file" 2>/dev/null)" = "$server" ] && kill -INT "$server"
                exit 0
            ) </dev/null >/dev/null 2>&1 & )
            exec 3<&-
            exec "$@" </dev/null
        "#;
        let path = || self.dir.join("log");
        let log = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path());
        let (log, again) = log
            .and_then(|log| Ok((log.try_clone()?, log)))
            .map_err(|source| ScratchError::Directory { path: path(), source })?;
        let shell = Path::new("/bin/sh");
        let mut command = self.account.command(shell, &self.dir);
        command.args(["-c", SCRIPT, "sh"]).arg(self.dir.join("data/postmaster.pid"));
        command.arg(self.binaries.program("postgres")).arg("-D").arg(self.dir.join("data"));
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            "unix_socket_directories=".into(),
            "max_connections=60".into(),
            "max_wal_size=2GB".into(),
            "log_line_prefix=%m [%p] ".into(),
        ];
        if self.durability == Durability::Off {
            settings
                .extend(["fsync=off", "full_page_writes=off", "synchronous_commit=off"].map(str::to_owned));
        }
        if self.binaries.has_library("pg_stat_statements") {
            settings.push("shared_preload_libraries=pg_stat_statements".into());
        }
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        // A group of its own: Ctrl-C in the terminal is for gonogo, which then ends its server in good order.
        command.process_group(0).stdin(Stdio::piped()).stdout(log).stderr(again);
        command.spawn().map_err(|source| ScratchError::Spawn { program: shell.into(), source })
    }

    async fn answers_before(&mut self, deadline: Instant) -> bool {
        let url = self.url("postgres");
        loop {
            if let Ok(connection) = PgConnection::connect(url.expose_secret()).await {
                // Closing is a courtesy to the server's log.
                drop(connection.close().await);
                return true;
            }
            if let Server::Started { child, .. } = &mut self.server
                && !matches!(child.try_wait(), Ok(None))
            {
                return false;
            }
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let Server::Started { child, lifeline } = &mut self.server else { return };
        drop(lifeline.take());
        // Who removes the directory next should find the server gone from it.
        let deadline = Instant::now() + STOPS_WITHIN;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

async fn make_cluster(
    binaries: &Binaries,
    account: Account,
    dir: &Path,
) -> Result<SecretString, ScratchError> {
    let io = |source| ScratchError::Directory { path: dir.to_path_buf(), source };
    let data = dir.join("data");
    // Left by a run that was stopped before it had a cluster.
    match fs::remove_dir_all(&data) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let password = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let unproven = dir.join("password.new");
    drop(fs::remove_file(&unproven));
    let mut file =
        fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&unproven).map_err(io)?;
    file.write_all(password.as_bytes()).and_then(|()| account.give(&unproven)).map_err(io)?;

    let mut initdb = account.command(&binaries.program("initdb"), dir);
    // Only Linux is sure to have a locale that knows case beyond ASCII under this name.
    let locale = if cfg!(target_os = "linux") { "C.UTF-8" } else { "en_US.UTF-8" };
    initdb
        .args([
            "--username",
            USER,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
        ])
        .arg(format!("--locale={locale}"))
        .arg(format!("--pwfile={}", unproven.display()))
        .arg("--pgdata")
        .arg(&data);
    let made = tokio::task::spawn_blocking(move || run(&mut initdb)).await;
    made.map_err(|stopped| io(std::io::Error::other(stopped)))??;
    fs::rename(&unproven, dir.join("password")).map_err(io)?;
    Ok(SecretString::from(password))
}

fn run(command: &mut Command) -> Result<Output, ScratchError> {
    let program = PathBuf::from(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ScratchError::Spawn { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    Err(ScratchError::Failed {
        program: program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        output: tail(&String::from_utf8_lossy(&said)),
    })
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether a process of this number exists, whoever owns it.
fn is_alive(pid: &str) -> bool {
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    if cfg!(target_os = "linux") {
        // A process that has ended and not been waited for is as gone as one that was.
        return fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')));
    }
    Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The last lines of what a program said, on one line.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join(" | ")
}
