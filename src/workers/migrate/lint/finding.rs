//! What the linter says of a statement: how bad, for whom, for how long, and the form that is safe. A finding that is not raised
//! still says why; nothing is left out in silence.

use std::sync::Arc;

use serde::Serialize;

use super::work::Forecast;
pub use crate::run::live::Weight as Severity;
use crate::workers::migrate::book::Direction;

/// Whether a finding is raised.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// It matters, or nothing is known that says it does not.
    Raised,
    /// It does not matter on these tables.
    Quiet {
        /// Why not.
        why: String,
    },
    /// A person has allowed it in the file.
    Allowed {
        /// In that person's words.
        because: String,
    },
}

/// One thing that the linter says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The rule; squawk's name where squawk has found it.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The migration's number.
    pub number: u64,
    /// Which way the file leads.
    #[serde(serialize_with = "word")]
    pub direction: Direction,
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The statement's place in its file, from 0.
    pub place: usize,
    /// The tables that it is about, each with its schema.
    pub tables: Vec<String>,
    /// What happens, and for whom.
    pub what: String,
    /// The form that is safe.
    pub safe: String,
    /// How long clients would wait, where rows and rates are known.
    pub forecast: Option<Forecast>,
    /// Whether it is raised.
    #[serde(flatten)]
    pub standing: Standing,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn word<S: serde::Serializer>(direction: &Direction, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(direction.word())
}

impl Finding {
    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        self.standing == Standing::Raised
    }

    /// Whether it is a reason not to go.
    pub fn is_no_go(&self) -> bool {
        self.is_raised() && self.severity.is_no_go()
    }

    /// In one line, without its place.
    pub fn line(&self) -> String {
        let long = self.forecast.as_ref().map_or(String::new(), |forecast| format!(" ({forecast})"));
        format!("{} {}: {}{long}", self.severity, self.rule, self.what)
    }
}
