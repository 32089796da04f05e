//! The proof of a backup: a throwaway server, made for it and removed after it, into which every table is restored once and
//! compared by fingerprint. It stands on this machine, so a restore costs the database nothing.

use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnection;
use tokio::sync::mpsc;

use super::files::{self, Held, Manifest};
use super::print::{Print, alike, print};
use super::vault::Key;
use crate::run::job::Failure;
use crate::scratch::{Scratch, ScratchError};
use crate::workers::migrate::database::run;
use crate::workers::migrate::errors;

/// How the directories of proofs are called.
const PREFIX: &str = "gonogo-proof-";

/// A server to prove on.
#[derive(Debug)]
pub(crate) struct Bench {
    scratch: Option<Scratch>,
    dir: PathBuf,
    pub(crate) session: PgConnection,
    made: u32,
}

impl Bench {
    /// Starts it. Fails where this machine has no server programs, and says which to install.
    pub(crate) async fn start() -> Result<Self, Failure> {
        tidy();
        let dir = std::env::temp_dir().join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
        let failed = |error: ScratchError| Failure {
            what: format!("the backup cannot be proven: {error}"),
            state: "without a restore that was tried once it is no backup".into(),
            next:
                "install the server programs of PostgreSQL here, or name their directory in GONOGO_PG_BINDIR"
                    .into(),
        };
        let scratch = Scratch::start(&dir).await.map_err(failed)?;
        let dir = scratch.dir().to_owned();
        let connected = async {
            scratch.create_database("proof").await?;
            scratch.connect("proof").await
        };
        let session = match connected.await {
            Ok(session) => session,
            Err(error) => {
                drop(scratch);
                remove(&dir);
                return Err(failed(error));
            }
        };
        let mut bench = Self { scratch: Some(scratch), dir, session, made: 0 };
        alike(&mut bench.session).await.map_err(|e| broke("making the proving server ready", &e))?;
        Ok(bench)
    }

    /// Makes an empty table for these rows; answers with its name. Unique keys are made too: a copy that breaks them is wrong.
    pub(crate) async fn table(&mut self, held: &Held) -> Result<String, Failure> {
        self.made += 1;
        let name = format!("restored_{}", self.made);
        let columns: Vec<String> =
            held.columns.iter().map(|column| format!("{} {}", column.name, column.plain)).collect();
        let key = if held.key.is_empty() {
            String::new()
        } else {
            format!(", PRIMARY KEY ({})", held.key.join(", "))
        };
        run(&mut self.session, &format!("CREATE TABLE {name} ({}{key})", columns.join(", ")))
            .await
            .map_err(|e| broke(&format!("making a table for {}", held.table), &e))?;
        Ok(name)
    }

    /// Compares what was restored, and drops it.
    pub(crate) async fn judge(&mut self, name: &str, held: &Held) -> Result<String, Failure> {
        let found = print(&mut self.session, name, &held.columns)
            .await
            .map_err(|e| broke(&format!("counting the restored {}", held.table), &e))?;
        run(&mut self.session, &format!("DROP TABLE {name}"))
            .await
            .map_err(|e| broke("tidying the proving server", &e))?;
        equal(&held.table, &found, &held.print)?;
        Ok(format!("{} rows restored into a scratch server, fingerprints equal", found.rows))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.scratch.take());
        remove(&self.dir);
    }
}

/// Removes what a proof that was killed has left: its server went with it, its rows must not stay.
fn tidy() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // The scratch server's directory says which process it serves.
        let owner = std::fs::read_to_string(entry.path().join("owner")).unwrap_or_default();
        if ours
            && !owner.trim().is_empty()
            && !Path::new("/proc").join(owner.trim()).exists()
            && Path::new("/proc/self").exists()
        {
            remove(&entry.path());
        }
    }
}

fn remove(dir: &Path) {
    if let Err(error) = std::fs::remove_dir_all(dir) {
        tracing::warn!(%error, dir = %dir.display(), "the proving server's directory stays");
    }
}

/// Says where the restored rows differ from those that were backed up.
pub(crate) fn equal(table: &str, found: &Print, wanted: &Print) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    Err(Failure {
        what: format!("the restored copy of {table} differs: {found}; the backup says {wanted}"),
        state: "there is no proven backup of it; the table itself was not changed".into(),
        next: "do not start; find out why the copy does not restore, then back up again".into(),
    })
}

pub(crate) fn broke(doing: &str, error: &sqlx::Error) -> Failure {
    Failure {
        what: format!("{doing}: {}", errors::say(error)),
        state: "there is no proven backup; the tables themselves were not changed".into(),
        next: errors::next(error).into(),
    }
}

/// Copies a table's file into a table of a session, through a thread that reads and unpacks it.
pub(crate) async fn load(
    session: &mut PgConnection,
    into: &str,
    dir: &Path,
    held: &Held,
    key: Option<std::sync::Arc<Key>>,
) -> Result<(), Failure> {
    let failed = |what: String, next: &str| Failure {
        what: format!("{}: {what}", dir.join(&held.file).display()),
        state: format!("{into} was not filled"),
        next: next.into(),
    };
    let (send, mut rows) = mpsc::channel(16);
    let (path, bound) = (dir.join(&held.file), held.table.clone());
    let reading = tokio::task::spawn_blocking(move || files::read(&path, key.as_deref(), &bound, &send));
    let copy = format!("COPY {into} ({}) FROM STDIN", super::tables::list(&held.columns));
    let mut copied =
        session.copy_in_raw(&copy).await.map_err(|e| broke(&format!("restoring {}", held.table), &e))?;
    let mut refused = None;
    while let Some(some) = rows.recv().await {
        if let Err(error) = copied.send(some).await {
            refused = Some(error);
            break;
        }
    }
    drop(rows);
    let read = match reading.await {
        Ok(read) => read,
        Err(error) => Err(std::io::Error::other(error)),
    };
    if let Err(error) = read {
        // The rows so far are of a broken file.
        drop(copied.abort("the file cannot be read to its end").await);
        return Err(if error.kind() == std::io::ErrorKind::InvalidData {
            failed(
                error.to_string(),
                "set the variable of backup_key_env to the secret that this backup was made with",
            )
        } else {
            failed(
                format!("it cannot be read to its end: {error}"),
                "use another backup: this one is damaged",
            )
        });
    }
    let ended = match refused {
        Some(error) => {
            drop(copied.abort("the server refused the rows").await);
            Err(error)
        }
        None => copied.finish().await.map(drop),
    };
    ended.map_err(|e| broke(&format!("restoring {}", held.table), &e))
}

/// The key of a backup, derived in a thread of its own; none where it is not encrypted.
pub(crate) async fn key_of(
    manifest: &Manifest,
    secret: Option<&secrecy::SecretString>,
) -> Result<Option<std::sync::Arc<Key>>, Failure> {
    let Some(lock) = manifest.lock.clone() else { return Ok(None) };
    let Some(secret) = secret.cloned() else {
        return Err(Failure {
            what: "the backup is encrypted, and no key is named".into(),
            state: "nothing was restored".into(),
            next: "name the variable with its secret as backup_key_env under [database] in gonogo.toml"
                .into(),
        });
    };
    let derived = tokio::task::spawn_blocking(move || lock.key(&secret)).await;
    let key = derived.map_err(std::io::Error::other).and_then(|key| key);
    key.map(|key| Some(std::sync::Arc::new(key))).map_err(|error| Failure {
        what: format!("the backup's key cannot be made: {error}"),
        state: "nothing was restored".into(),
        next: "use the gonogo that wrote it".into(),
    })
}

/// Copies a table of one server into a table of another.
pub(crate) async fn pipe(
    from: &mut PgConnection,
    copy: &str,
    to: &mut PgConnection,
    into: &str,
    held: &Held,
) -> Result<(), Failure> {
    use futures_util::TryStreamExt as _;
    let list = super::tables::list(&held.columns);
    let work = async {
        let mut rows = from.copy_out_raw(&format!("COPY (SELECT {list} FROM {copy}) TO STDOUT")).await?;
        let mut copied = to.copy_in_raw(&format!("COPY {into} ({list}) FROM STDIN")).await?;
        while let Some(some) = rows.try_next().await? {
            copied.send(some).await?;
        }
        copied.finish().await
    };
    work.await.map(drop).map_err(|e| broke(&format!("restoring {}", held.table), &e))
}
