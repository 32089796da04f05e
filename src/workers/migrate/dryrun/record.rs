//! What was rehearsed: which files by checksum, when, on which schema, with how many rows, and how it ended. Kept beside the
//! journal. A file that was changed, or a live schema that the rehearsal never passed through, makes it stale; what is stale or
//! failed never counts as rehearsed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::recorded::Undone;
use crate::run::job::Failure;
use crate::workers::migrate::files::Migration;
use crate::workers::migrate::forecast::{read_json, write_json};
use crate::workers::migrate::split::checksum;

/// Beside the journal.
const FILE: &str = "rehearsed.json";
/// The newest form of the file that is understood.
const SCHEMA: u32 = 1;

/// How far a migration came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum Passed {
    /// There, proven by its checks; it has no way back, or that was not tried.
    There,
    /// There, back to exactly what was before, and there again.
    ThereAndBack,
    /// It did not pass.
    Failed {
        /// What happened.
        what: String,
    },
}

/// A migration as it was rehearsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// Over the up file.
    pub up: Arc<str>,
    /// Over the down file.
    pub down: Option<Arc<str>>,
    /// Over the statements of the checks.
    pub checks: Arc<str>,
    /// How far it came.
    pub passed: Passed,
    /// How long its statements took, in milliseconds.
    pub up_ms: f64,
    /// And those of the way back.
    pub down_ms: Option<f64>,
    /// The longest wait of a client on the way there, in milliseconds, where it was measured.
    pub worst_wait_ms: Option<f64>,
    /// How far it came back by what was recorded of it.
    #[serde(default)]
    pub inverse: Undone,
}

/// A rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    schema: u32,
    /// The live database that was copied, without its password.
    pub source: String,
    /// The clone's server, as `150018`.
    pub server: i32,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// Rows that were copied, in all.
    pub rows: u64,
    /// Whether these were all rows.
    pub whole: bool,
    /// The schemas that the hashes are over.
    pub schemas: Vec<String>,
    /// The hash of every schema that the rehearsal passed through.
    pub states: Vec<Arc<str>>,
    /// Each migration.
    pub marks: Vec<Mark>,
}

/// Whether a migration is rehearsed, as things stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Standing {
    /// No rehearsal knows it.
    Never,
    /// It was, and something has changed since.
    Stale {
        /// What.
        why: String,
    },
    /// It was tried, and did not pass.
    Failed {
        /// What happened.
        what: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// It is, one way or both.
    Rehearsed {
        /// When.
        at: DateTime<Utc>,
        /// With how many rows.
        rows: u64,
        /// How long the way there took, in milliseconds.
        up_ms: f64,
        /// How long the way back took; none where that was not rehearsed.
        down_ms: Option<f64>,
    },
}

impl Standing {
    /// Whether the way back may be called a rollback.
    pub const fn way_back(&self) -> bool {
        matches!(self, Self::Rehearsed { down_ms: Some(_), .. })
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Never => write!(f, "not rehearsed"),
            Self::Stale { why } => write!(f, "rehearsal is stale: {why}"),
            Self::Failed { what, .. } => write!(f, "rehearsal failed: {what}"),
            Self::Rehearsed { at, rows, down_ms, .. } => {
                let ways = if down_ms.is_some() { "there and back" } else { "there, not back" };
                write!(f, "rehearsed {} {ways}, with {rows} rows", at.format("%Y-%m-%d %H:%M UTC"))
            }
        }
    }
}

/// Over the checks of a migration.
fn over_checks(migration: &Migration) -> Arc<str> {
    let checks = &migration.checks;
    let all = checks.before.iter().chain(&checks.after).chain(&checks.after_down);
    checksum(&all.map(|statement| &*statement.checksum).collect::<Vec<_>>().join("\n"))
}

impl Mark {
    /// How long the way back took that would be gone: by the down file, or by the record where there is none.
    pub fn back_ms(&self) -> Option<f64> {
        match (&self.down, &self.inverse) {
            (None, Undone::Back { ms, .. }) => Some(*ms),
            _ => self.down_ms,
        }
    }

    /// Of a migration that has passed nothing yet.
    pub(super) fn new(migration: &Migration) -> Self {
        Self {
            number: migration.number,
            name: migration.name.to_string(),
            up: migration.up.checksum.clone(),
            down: migration.down.as_ref().map(|down| down.checksum.clone()),
            checks: over_checks(migration),
            passed: Passed::Failed { what: "it was not reached".into() },
            up_ms: 0.0,
            down_ms: None,
            worst_wait_ms: None,
            inverse: Undone::NotTried,
        }
    }
}

impl Record {
    /// An empty one.
    pub(super) fn new(source: &str, server: i32, at: DateTime<Utc>, schemas: &[String]) -> Self {
        Self {
            schema: SCHEMA,
            source: source.to_owned(),
            server,
            at,
            rows: 0,
            whole: false,
            schemas: schemas.to_vec(),
            states: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Where it lies: in the journal's directory.
    pub fn path(journal: &Path) -> PathBuf {
        journal.with_file_name(FILE)
    }

    /// Reads it; nothing where nothing was rehearsed.
    pub fn load(path: &Path) -> Result<Option<Self>, Failure> {
        read_json(path, SCHEMA, |found: &Self| found.schema, "the record of rehearsals")
    }

    /// Writes it whole, or leaves the old one.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        write_json(path, self, "the record of the rehearsal")
    }

    /// Whether a migration is rehearsed as its files are now, and as the live schema is, whose shape over [`Self::schemas`] has
    /// this hash; where the live schema is not known, only the files are judged.
    pub fn standing(&self, migration: &Migration, live: Option<&str>) -> Standing {
        let Some(mark) = self.marks.iter().find(|mark| mark.number == migration.number) else {
            return Standing::Never;
        };
        let down = migration.down.as_ref().map(|down| &down.checksum);
        let stale = |why: &str| Standing::Stale { why: why.into() };
        if mark.up != migration.up.checksum {
            return stale("the up file was changed since");
        }
        if mark.down.as_ref() != down {
            return stale("the down file was changed since");
        }
        if mark.checks != over_checks(migration) {
            return stale("the checks were changed since");
        }
        if live.is_some_and(|live| self.states.iter().all(|state| **state != *live)) {
            return stale("the live schema is none that the rehearsal has seen");
        }
        match &mark.passed {
            Passed::Failed { what } => Standing::Failed { what: what.clone(), at: self.at },
            Passed::There => {
                Standing::Rehearsed { at: self.at, rows: self.rows, up_ms: mark.up_ms, down_ms: None }
            }
            Passed::ThereAndBack => {
                Standing::Rehearsed { at: self.at, rows: self.rows, up_ms: mark.up_ms, down_ms: mark.down_ms }
            }
        }
    }
}
