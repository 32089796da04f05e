//! The ground of a rehearsal: a scratch server with a copy of the live database, made for this one dry run and gone with it, its
//! files included, for they hold rows of people. What a killed process left behind goes before the next begins.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::run::job::Failure;
use crate::scratch::{Copied, Rows, Scratch};
use crate::workers::migrate::database::Database;

/// The database on it.
const NAME: &str = "rehearsal";

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The application's schemas; gonogo's own come along where they are there.
    pub schemas: Vec<String>,
    /// How many rows of each table.
    pub rows: Rows,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { schemas: vec!["public".into()], rows: Rows::Sample(10_000) }
    }
}

/// A copy that may be broken.
#[derive(Debug)]
pub struct Ground {
    scratch: Option<Scratch>,
    files: PathBuf,
    marker: PathBuf,
    /// What was copied.
    pub copied: Copied,
}

impl Ground {
    /// Copies the database of `url`, which is `source`, into a server of its own under `beside`. `told` hears what is going on.
    pub async fn copy(
        source: &Database,
        url: &SecretString,
        beside: &Path,
        wanted: &Wanted,
        told: impl FnMut(&str) + Send,
    ) -> Result<Self, Failure> {
        let failed = |error: crate::scratch::ScratchError| Failure {
            what: error.to_string(),
            state: "the live database was only read; there is no clone to rehearse on".into(),
            next: "correct what it names, or rehearse with fewer schemas".into(),
        };
        let name = format!("dryrun-{}", std::process::id());
        let marker = beside.join(format!("{name}.where"));
        // The books say what is applied, so all of them come; the rest of gonogo's own as the application's rows do.
        let own: Vec<String> = {
            let mut session = source.session("dry run").await?;
            sqlx::query_scalar("SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^gonogo' AND has_schema_privilege(oid, 'USAGE')")
                .fetch_all(&mut session)
                .await
                .map_err(|error| source.failed(&error))?
        };
        let own = own
            .into_iter()
            .map(|schema| if schema == "gonogo" { (schema, Rows::All) } else { (schema, wanted.rows) });
        let wanted: Vec<(String, Rows)> =
            wanted.schemas.iter().map(|schema| (schema.clone(), wanted.rows)).chain(own).collect();
        sweep(beside);
        let scratch = Scratch::start(&beside.join(&name)).await.map_err(failed)?;
        let files = scratch.dir().to_owned();
        // Only for who comes after a kill; without it the files are found by hand.
        drop(std::fs::write(&marker, files.display().to_string()));
        // From here on the files go, whatever comes.
        let mut ground = Self { scratch: Some(scratch), files, marker, copied: Copied::default() };
        if let Some(scratch) = &ground.scratch {
            ground.copied = scratch.copy_from(url, NAME, &wanted, told).await.map_err(failed)?;
        }
        Ok(ground)
    }

    /// The server that it is on, and its name there: whoever wants several copies makes them from it.
    pub fn branches(&self) -> Option<(&Scratch, &str)> {
        self.scratch.as_ref().map(|scratch| (scratch, NAME))
    }

    /// The way to the copy.
    pub async fn database(&self) -> Result<Database, Failure> {
        let scratch = self.scratch.as_ref().ok_or_else(|| Failure {
            what: "the clone is gone".into(),
            state: "nothing was run".into(),
            next: "rehearse again".into(),
        })?;
        Database::connect(&scratch.url(NAME), "gonogo rehearsal").await
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // The server first: it would write its files anew.
        drop(self.scratch.take());
        for left in [remove(&self.files), std::fs::remove_file(&self.marker)] {
            if let Err(error) = left
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, files = %self.files.display(), "a clone's files are left behind");
            }
        }
    }
}

/// Only ever what `Scratch` has made.
fn remove(files: &Path) -> std::io::Result<()> {
    if files.join("data/PG_VERSION").is_file() || files.join("password").is_file() {
        std::fs::remove_dir_all(files)?;
    }
    Ok(())
}

/// Takes away what processes have left that are no more.
fn sweep(beside: &Path) {
    let Ok(entries) = std::fs::read_dir(beside) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix("dryrun-")?.strip_suffix(".where"))
        else {
            continue;
        };
        let alive = !cfg!(target_os = "linux") || Path::new("/proc").join(pid).exists();
        if alive {
            continue;
        }
        let Ok(files) = std::fs::read_to_string(entry.path()) else { continue };
        // A server that outlived its process by a moment still has its files open; the next sweep takes them.
        if !Path::new(&files).join("data/postmaster.pid").exists() && remove(Path::new(&files)).is_ok() {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}
