//! What a rehearsal measured of each statement, kept beside the journal, and what follows from it for a table of today's size.
//! An estimate is a range, never a promise; where nothing was measured, or nothing that grows with the table was, there is none.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::lock::LockMode;
use crate::run::job::Failure;

/// Beside the journal.
const FILE: &str = "forecast.json";
/// The newest form of the file that is understood.
const SCHEMA: u32 = 1;
/// Below this a table is measured in overheads, and says little about a large one.
const TELLING: u64 = 1_000;

/// A lock that a statement was seen to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// On what, by its full name.
    pub relation: String,
    /// The mode, as `pg_locks` names it.
    pub mode: String,
    /// From the statement's begin to the end of its transaction, in milliseconds.
    pub ms: f64,
}

/// What was seen of one statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What it does, in a line.
    pub title: String,
    /// Its file and line, for messages.
    pub place: String,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// The rows of the largest table that it scanned, rewrote or wrote to; of the largest that it locked where it did none of these.
    pub rows: u64,
    /// That table's bytes, with its indexes.
    pub bytes: u64,
    /// What it locked that was there before it.
    pub locks: Vec<Held>,
    /// Tables and indexes that were written anew as a whole.
    pub rewrites: Vec<String>,
    /// Tables that were read from end to end.
    pub scans: Vec<String>,
    /// Rows that it wrote, where it is a write.
    pub wrote: u64,
    /// Write-ahead log, in bytes.
    pub wal: u64,
}

impl Measured {
    /// Whether it takes longer on a larger table.
    pub fn grows(&self) -> bool {
        !self.rewrites.is_empty() || !self.scans.is_empty() || self.wrote > 0
    }

    /// The longest that clients were kept out, in milliseconds: the locks that stop readers or writers.
    pub fn stop_ms(&self) -> f64 {
        let stops = |held: &&Held| LockMode::named(&held.mode).is_some_and(LockMode::stops_clients);
        self.locks.iter().filter(stops).map(|held| held.ms).fold(0.0, f64::max)
    }
}

/// All that a rehearsal measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    schema: u32,
    /// The server that it was measured on, as `150018`.
    pub server: i32,
    /// When.
    pub at: DateTime<Utc>,
    /// By the statement's checksum.
    pub statements: BTreeMap<Arc<str>, Measured>,
}

/// From and to, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Hardly less.
    pub from_ms: f64,
    /// Hardly more, on the machine that it was measured on.
    pub to_ms: f64,
}

impl Forecast {
    /// Nothing measured yet.
    pub fn new(server: i32, at: DateTime<Utc>) -> Self {
        Self { schema: SCHEMA, server, at, statements: BTreeMap::new() }
    }

    /// Where it lies: in the journal's directory.
    pub fn path(journal: &Path) -> PathBuf {
        journal.with_file_name(FILE)
    }

    /// Reads it; nothing where no rehearsal has left one.
    pub fn load(path: &Path) -> Result<Option<Self>, Failure> {
        read_json(path, SCHEMA, |found: &Self| found.schema, "the forecast")
    }

    /// Writes it whole, or leaves the old one.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        write_json(path, self, "the forecast")
    }

    /// How long a statement will take on a table of so many rows; nothing where that cannot be said.
    pub fn estimate(&self, checksum: &str, rows: u64) -> Option<Estimate> {
        let measured = self.statements.get(checksum)?;
        if !measured.grows() {
            return Some(Estimate { from_ms: measured.ms * 0.5, to_ms: measured.ms.max(1.0) * 3.0 });
        }
        if measured.rows == 0 {
            return (rows == 0)
                .then_some(Estimate { from_ms: measured.ms * 0.5, to_ms: measured.ms.max(1.0) * 3.0 });
        }
        let times = rows as f64 / measured.rows as f64;
        // Sorting grows a little faster than the table does, and a table that no longer fits into memory much faster.
        let (less, more) = match times {
            times if measured.rows < TELLING && times > 1.0 => (0.1, 3.0),
            times if times > 10.0 => (0.5, 2.5),
            _ => (0.7, 1.6),
        };
        let scaled = measured.ms * times;
        Some(Estimate { from_ms: scaled * less, to_ms: (scaled * more).max(1.0) })
    }
}

/// Reads a file of ours beside the journal.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    path: &Path,
    newest: u32,
    schema: impl Fn(&T) -> u32,
    what: &str,
) -> Result<Option<T>, Failure> {
    let unusable = |why: String| Failure {
        what: format!("{what} in {} cannot be used: {why}", path.display()),
        state: "nothing was changed".into(),
        next: "rehearse again: that writes it anew".into(),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    };
    let found: T = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    if schema(&found) > newest {
        return Err(unusable(format!("it was written by a newer gonogo (form {})", schema(&found))));
    }
    Ok(Some(found))
}

/// Writes such a file beside itself first, so that whoever reads it finds the old one or the new one.
pub(crate) fn write_json(path: &Path, value: &impl Serialize, what: &str) -> Result<(), Failure> {
    let written = || -> std::io::Result<()> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let new = path.with_extension(format!("json.{}", std::process::id()));
        let mut file = std::fs::File::create(&new)?;
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    written().map_err(|error| Failure {
        what: format!("{what} cannot be written to {}: {error}", path.display()),
        state: "the rehearsal itself is done; its result is not kept".into(),
        next: "make room or correct the rights there, then rehearse again".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rows: u64, ms: f64, scans: &[&str]) -> Forecast {
        let mut forecast = Forecast::new(150_018, DateTime::UNIX_EPOCH);
        let held = |mode: &str, ms| Held { relation: "public.contacts".into(), mode: mode.into(), ms };
        let measured = Measured {
            title: "validate c on contacts".into(),
            place: "001.up.sql:3".into(),
            ms,
            rows,
            bytes: rows * 200,
            locks: vec![held("ShareUpdateExclusiveLock", 90.0), held("ShareRowExclusiveLock", 7.0)],
            rewrites: Vec::new(),
            scans: scans.iter().map(|&table| table.to_owned()).collect(),
            wrote: 0,
            wal: 0,
        };
        forecast.statements.insert("abc".into(), measured);
        forecast
    }

    #[test]
    fn a_scan_grows_with_the_table_and_a_catalogue_change_does_not() {
        let estimate = measured(10_000, 20.0, &["public.contacts"]).estimate("abc", 1_000_000).unwrap();
        assert!(estimate.from_ms < 2_000.0 && estimate.to_ms > 2_000.0, "{estimate:?}");
        let small = measured(10_000, 20.0, &[]).estimate("abc", 1_000_000).unwrap();
        assert!(small.to_ms < 100.0, "{small:?}");
        assert_eq!(measured(10_000, 20.0, &[]).estimate("other", 5), None);
        assert_eq!(
            measured(0, 0.4, &["public.contacts"]).estimate("abc", 1_000),
            None,
            "an empty table says nothing"
        );
        let near = measured(900_000, 200.0, &["public.contacts"]).estimate("abc", 1_000_000).unwrap();
        let far = measured(100, 0.5, &["public.contacts"]).estimate("abc", 1_000_000).unwrap();
        assert!(far.to_ms / far.from_ms > near.to_ms / near.from_ms, "less is known, so the range is wider");
    }

    #[test]
    fn only_locks_that_stop_clients_count_as_a_stop() {
        let forecast = measured(10, 1.0, &[]);
        let stop = forecast.statements.values().map(Measured::stop_ms).sum::<f64>();
        assert!((stop - 7.0).abs() < f64::EPSILON, "{stop}");
    }

    #[test]
    fn it_is_read_as_it_was_written_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = Forecast::path(&dir.path().join(".gonogo/journal.sqlite"));
        assert_eq!(Forecast::load(&path), Ok(None));
        let forecast = measured(10, 1.25, &["x"]);
        forecast.save(&path).unwrap();
        assert_eq!(Forecast::load(&path), Ok(Some(forecast)));
        let newer = std::fs::read_to_string(&path).unwrap().replace("\"schema\": 1", "\"schema\": 2");
        std::fs::write(&path, newer).unwrap();
        assert!(Forecast::load(&path).unwrap_err().what.contains("newer gonogo"));
        std::fs::write(&path, "{").unwrap();
        assert!(Forecast::load(&path).unwrap_err().next.contains("rehearse again"));
    }
}
