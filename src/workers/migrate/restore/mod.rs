//! What can be done with a backup once it is there: list all, prove one again, restore a table beside the real one, or put the real
//! ones back. What destroys says first how many rows, wants the database's name, keeps what it replaces, and is verified before
//! it is committed.

mod aside;
mod back;
mod beside;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use sqlx::postgres::PgConnection;

pub use aside::{Aside, asides, put_back};
pub use back::{Replaced, back};
pub use beside::beside;

use super::backup::files::{self, Held, Manifest};
use super::backup::print::{Print, alike};
use super::backup::proof::{self, Bench, broke};
use super::backup::record::{self, Line, Medium};
use super::backup::tables::{Column, described};
use super::backup::vault::Key;
use super::database::Database;
use crate::run::job::Failure;

/// Where backups may lie besides the database, and what opens them.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// The directory of all backups.
    pub dir: Option<PathBuf>,
    /// The secret that they were encrypted with.
    pub secret: Option<SecretString>,
}

/// A table in a backup, for a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// The backup's name.
    pub backup: String,
    /// When it was taken, by the server's clock.
    pub at: DateTime<Utc>,
    /// In whose name.
    pub by: String,
    /// The table.
    pub table: String,
    /// Its rows and their fingerprint.
    #[serde(flatten)]
    pub print: Print,
    /// Whether it lies in the database or in files.
    pub medium: Medium,
    /// The copy's table, or the directory.
    pub place: String,
    /// When it was restored for proof; none if it never was.
    pub proven_at: Option<DateTime<Utc>>,
    /// How.
    pub proof: Option<String>,
    /// What is wrong with it; none if it is there and whole.
    pub fault: Option<String>,
}

/// All backups that the database or the directory knows, newest first. Looks at every copy.
pub async fn list(db: &Database, shelf: &Shelf) -> Result<Vec<Listed>, Failure> {
    let mut session = db.session("restore").await?;
    let lines = record::lines(&mut session).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let mut listed = Vec::new();
    for line in &lines {
        let fault = match line.medium {
            Medium::Schema => match record::is_open(&mut session, &line.copy).await {
                Ok(Some(false)) => None,
                Ok(Some(true)) => Some("others than its owner can read it".to_owned()),
                Ok(None) => Some("it is gone".to_owned()),
                Err(error) => return Err(broke("looking at the copies", &error)),
            },
            Medium::File => {
                let (dir, table, sha) = (PathBuf::from(&line.copy), line.source.clone(), line.sha256.clone());
                blocking(move || super::backup::gate::damaged(&dir, &table, sha.as_deref())).await?
            }
        };
        listed.push(Listed {
            backup: line.name(),
            at: line.at,
            by: line.by.clone(),
            table: line.source.clone(),
            print: line.print(),
            medium: line.medium,
            place: line.copy.clone(),
            proven_at: line.proven_at,
            proof: line.proof.clone(),
            fault,
        });
    }
    let Some(dir) = shelf.dir.clone() else { return Ok(listed) };
    for (path, read) in blocking(move || shelved(&dir)).await? {
        let place = path.display().to_string();
        if lines.iter().any(|line| Path::new(&line.copy) == path) {
            continue;
        }
        // Of another database, or of this one before its bookkeeping was lost.
        let Ok((manifest, _)) = read else {
            tracing::debug!(place, "a directory without a manifest that can be read");
            continue;
        };
        for held in &manifest.tables {
            let (dir, held_too) = (path.clone(), held.clone());
            listed.push(Listed {
                backup: name_of(&path),
                at: manifest.at,
                by: manifest.by.clone(),
                table: held.table.clone(),
                print: held.print.clone(),
                medium: Medium::File,
                place: place.clone(),
                proven_at: None,
                proof: Some(format!("of {}; this database's bookkeeping does not know it", manifest.place)),
                fault: blocking(move || files::damage(&dir, &held_too)).await?,
            });
        }
    }
    listed.sort_by_key(|one| std::cmp::Reverse(one.at));
    Ok(listed)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The directories of backups, by their full paths, each with its manifest.
fn shelved(dir: &Path) -> Vec<(PathBuf, std::io::Result<(Manifest, String)>)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok()?.path().canonicalize().ok());
    paths
        .filter(|path| path.join(files::MANIFEST).is_file())
        .map(|path| (path.clone(), files::manifest(&path)))
        .collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure {
        what: format!("reading the backups: {error}"),
        state: "nothing was restored".into(),
        next: "see gonogo.log for the place".into(),
    })
}

/// A backup, opened.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) held: Vec<Held>,
    source: Source,
    /// The bookkeeping's lines, in the order of `held`; none for what it does not know.
    lines: Vec<Option<i64>>,
}

enum Source {
    /// The copies' tables, in the order of `held`.
    Schema(Vec<String>),
    Files {
        dir: PathBuf,
        key: Option<std::sync::Arc<Key>>,
    },
}

pub(super) fn refused(what: String, next: &str) -> Failure {
    Failure { what, state: "nothing was restored".into(), next: next.into() }
}

/// Opens a backup by its name, or by the path of its directory. Refuses one that is damaged or altered.
pub(super) async fn open(session: &mut PgConnection, shelf: &Shelf, name: &str) -> Result<Opened, Failure> {
    alike(session).await.map_err(|e| broke("making the session ready", &e))?;
    let lines = record::lines(session).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let known: Vec<&Line> =
        lines.iter().rev().filter(|line| line.name() == name || line.copy == name).collect();
    let path = match known.first() {
        Some(line) if line.medium == Medium::Schema => return open_schema(session, name, &known).await,
        Some(line) => PathBuf::from(&line.copy),
        None => {
            let beside = shelf.dir.as_ref().map(|dir| dir.join(name)).filter(|path| path.is_dir());
            beside.unwrap_or_else(|| PathBuf::from(name))
        }
    };
    let sha256 = known.first().and_then(|line| line.sha256.clone());
    let looked = path.clone();
    let read = blocking(move || {
        let (manifest, is) = files::manifest(&looked)?;
        let damage: Vec<String> =
            manifest.tables.iter().filter_map(|held| files::damage(&looked, held)).collect();
        Ok::<_, std::io::Error>((manifest, is, damage))
    });
    let (manifest, is, damage) = read.await?.map_err(|error| {
        refused(
            format!("there is no backup {name:?}: {}: {error}", path.join(files::MANIFEST).display()),
            "see migrate restore list for those that there are",
        )
    })?;
    if sha256.is_some_and(|was| was != is) {
        return Err(refused(
            format!("{} was altered since the backup was recorded", path.join(files::MANIFEST).display()),
            "use another backup: nobody can say what this one holds",
        ));
    }
    if !damage.is_empty() {
        return Err(refused(damage.join("; "), "use another backup: this one is damaged"));
    }
    let key = proof::key_of(&manifest, shelf.secret.as_ref()).await?;
    let line = |held: &Held| known.iter().find(|line| line.source == held.table).map(|line| line.id);
    let lines = manifest.tables.iter().map(line).collect();
    Ok(Opened {
        name: name.to_owned(),
        held: manifest.tables,
        source: Source::Files { dir: path, key },
        lines,
    })
}

async fn open_schema(session: &mut PgConnection, name: &str, known: &[&Line]) -> Result<Opened, Failure> {
    let mut opened = Opened {
        name: name.to_owned(),
        held: Vec::new(),
        source: Source::Schema(Vec::new()),
        lines: Vec::new(),
    };
    let mut copies = Vec::new();
    for line in known {
        let (columns, _): (Vec<Column>, _) =
            described(session, &line.copy).await.map_err(|e| broke("looking at the copies", &e))?;
        if columns.is_empty() {
            return Err(refused(
                format!("the copy {} of {} is gone", line.copy, line.source),
                "use another backup",
            ));
        }
        let (_, key) =
            described(session, &line.source).await.map_err(|e| broke("looking at the tables", &e))?;
        let key = if key.iter().all(|name| columns.iter().any(|column| column.name == *name)) {
            key
        } else {
            Vec::new()
        };
        opened.held.push(Held {
            table: line.source.clone(),
            why: String::new(),
            columns,
            key,
            print: line.print(),
            file: String::new(),
            bytes: 0,
            sha256: String::new(),
        });
        opened.lines.push(Some(line.id));
        copies.push(line.copy.clone());
    }
    opened.source = Source::Schema(copies);
    Ok(opened)
}

impl Opened {
    /// The places of the tables that are meant: all, or the one that is named.
    pub(super) fn chosen(&self, table: Option<&str>) -> Result<Vec<usize>, Failure> {
        let is = |held: &Held, name: &str| held.table == name || held.table.split('.').nth(1) == Some(name);
        let chosen: Vec<usize> = (0..self.held.len())
            .filter(|at| self.held.get(*at).is_some_and(|held| table.is_none_or(|name| is(held, name))))
            .collect();
        if chosen.is_empty() {
            let all: Vec<&str> = self.held.iter().map(|held| held.table.as_str()).collect();
            let what = format!("backup {} holds no table {}", self.name, table.unwrap_or_default());
            return Err(refused(what, &format!("it holds {}", all.join(", "))));
        }
        Ok(chosen)
    }

    pub(super) fn held(&self, at: usize) -> Result<&Held, Failure> {
        self.held
            .get(at)
            .ok_or_else(|| refused("the backup holds no such table".into(), "see migrate restore list"))
    }

    /// Fills an empty table with the rows of the backup.
    pub(super) async fn fill(
        &self,
        session: &mut PgConnection,
        into: &str,
        at: usize,
    ) -> Result<(), Failure> {
        let held = self.held(at)?;
        match &self.source {
            Source::Files { dir, key } => proof::load(session, into, dir, held, key.clone()).await,
            Source::Schema(copies) => {
                let list = super::backup::tables::list(&held.columns);
                let copy = copies.get(at).map(String::as_str).unwrap_or_default();
                let sql = format!("INSERT INTO {into} ({list}) SELECT {list} FROM {copy}");
                let filled = super::database::run(session, &sql).await;
                filled.map(drop).map_err(|e| broke(&format!("restoring {}", held.table), &e))
            }
        }
    }
}

/// Restores every table of a backup into a throwaway server once more, and compares. Answers with a line per table.
pub async fn verify(db: &Database, shelf: &Shelf, name: &str) -> Result<Vec<String>, Failure> {
    let mut session = db.session("restore").await?;
    let opened = open(&mut session, shelf, name).await?;
    let mut bench = Bench::start().await?;
    let mut said = Vec::new();
    for (at, held) in opened.held.iter().enumerate() {
        let into = bench.table(held).await?;
        match &opened.source {
            Source::Files { dir, key } => {
                proof::load(&mut bench.session, &into, dir, held, key.clone()).await?;
            }
            Source::Schema(copies) => {
                let copy = copies.get(at).map(String::as_str).unwrap_or_default();
                proof::pipe(&mut session, copy, &mut bench.session, &into, held).await?;
            }
        }
        let note = bench.judge(&into, held).await?;
        if let Some(Some(line)) = opened.lines.get(at) {
            record::proven(&mut session, *line, &note).await.map_err(|e| broke("recording the proof", &e))?;
        }
        said.push(format!("{}: {note}", held.table));
    }
    Ok(said)
}
