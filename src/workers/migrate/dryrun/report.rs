//! What a dry run has to say, at whatever level. Facts and words; nothing here asks a database.

use serde::{Deserialize, Serialize};

use crate::workers::migrate::forecast::Measured;

/// How far a dry run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The files alone.
    Parsed,
    /// Against the live catalogue and its rows, read-only.
    Catalogue,
    /// Run on a clone, statement by statement, with what each locks, rewrites and scans.
    Traced,
    /// Run on a clone with rows: there, checked, back, compared, there again.
    Rehearsed,
}

impl Level {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Parsed => "parsed",
            Self::Catalogue => "catalogue",
            Self::Traced => "traced",
            Self::Rehearsed => "rehearsed",
        }
    }
}

/// What a finding means for the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The run would fail here.
    Fails,
    /// It would run, and somebody should know this before.
    Warns,
    /// Worth knowing.
    Notes,
}

/// Something found, with its place in the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it means.
    pub weight: Weight,
    /// `file:line`, or the file.
    pub place: String,
    /// What was found.
    pub what: String,
    /// What to do about it; empty where nothing must be done.
    pub next: String,
}

/// A table that the migrations lock or write to, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Its full name.
    pub table: String,
    /// Rows, as the server estimates them; none where it was never analyzed.
    pub rows: Option<u64>,
    /// Bytes, with indexes.
    pub bytes: u64,
    /// Indexes.
    pub indexes: u32,
}

/// A statement that was run on a clone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traced {
    /// `up`, `down`, or `up again`.
    pub way: String,
    /// What was seen.
    #[serde(flatten)]
    pub measured: Measured,
}

/// The whole of a dry run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    /// The form of this answer.
    pub schema: u32,
    /// How far it went.
    pub level: Level,
    /// The database that it was about, where it asked one.
    pub database: Option<String>,
    /// What it looked at or did, in lines.
    pub seen: Vec<String>,
    /// What it found, worst first.
    pub findings: Vec<Finding>,
    /// Tables as they are now.
    pub sizes: Vec<Size>,
    /// Statements as they ran on the clone.
    pub traced: Vec<Traced>,
    /// The live catalogue's hash before.
    pub catalogue_before: Option<String>,
    /// And after: equal, or something else changed it meanwhile.
    pub catalogue_after: Option<String>,
    /// What this level has not proven.
    pub not_proven: Vec<String>,
}

impl DryRun {
    /// Nothing said yet.
    pub(super) fn new(level: Level) -> Self {
        Self {
            schema: 1,
            level,
            database: None,
            seen: Vec::new(),
            findings: Vec::new(),
            sizes: Vec::new(),
            traced: Vec::new(),
            catalogue_before: None,
            catalogue_after: None,
            not_proven: Vec::new(),
        }
    }

    pub(super) fn seen(&mut self, line: impl Into<String>) {
        self.seen.push(line.into());
    }

    pub(super) fn not_proven(&mut self, lines: &[&str]) {
        self.not_proven.extend(lines.iter().map(|&line| line.to_owned()));
    }

    pub(super) fn find(
        &mut self,
        weight: Weight,
        place: impl Into<String>,
        what: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.findings.push(Finding { weight, place: place.into(), what: what.into(), next: next.into() });
    }

    /// Whether nothing was found that would make the run fail.
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.weight != Weight::Fails)
    }
}
