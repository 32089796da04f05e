//! What the linter says of the migrations that are still to be run, before anybody runs them. It is nobody's fact: the files, the
//! tables and their traffic change, and the latest look wins. What was not looked at is never said to be harmless.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The latest look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// What came of it.
    pub said: Said,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum Said {
    /// The files were judged.
    Linted {
        /// What was known beside them, in words.
        knowing: String,
        /// What is still to be run, in its order.
        migrations: Vec<Linted>,
    },
    /// They could not be.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A migration that is still to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linted {
    /// "001 contacts_pulse_integration", as its steps are grouped.
    pub title: String,
    /// Every statement of the way there.
    pub statements: Vec<Judged>,
}

/// A statement with what is said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// As its step is named.
    pub name: Arc<str>,
    /// Its text.
    pub sql: Arc<str>,
    /// Worst first.
    pub remarks: Vec<Remark>,
}

/// One thing that is said of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remark {
    /// How bad it is.
    pub weight: Weight,
    /// What happens, for whom, and for how long where that is known.
    pub what: String,
    /// The form that is safe.
    pub safe: String,
}

/// How bad it is. The order is the order in which a person reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Clients wait for as long as the work takes.
    Stops,
    /// Something that runs, or data that are there, break.
    Breaks,
    /// The work takes no time, but the request for its lock may make clients queue behind whoever holds the table.
    Queues,
    /// Worth a thought; nobody waits.
    Hint,
}

impl Weight {
    /// As it is printed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stops => "STOPS",
            Self::Breaks => "BREAKS",
            Self::Queues => "queues",
            Self::Hint => "hint",
        }
    }

    /// Whether it is a reason not to go.
    pub const fn is_no_go(self) -> bool {
        matches!(self, Self::Stops | Self::Breaks)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Linted {
    /// How many things of that weight are said of it.
    pub fn count(&self, weight: Weight) -> usize {
        let remarks = self.statements.iter().flat_map(|statement| &statement.remarks);
        remarks.filter(|remark| remark.weight == weight).count()
    }
}

impl Judged {
    /// The first that is a reason not to go, and how many more there are.
    pub fn worst(&self) -> Option<(&Remark, usize)> {
        let mut reasons = self.remarks.iter().filter(|remark| remark.weight.is_no_go());
        let first = reasons.next()?;
        Some((first, reasons.count()))
    }
}

impl Advice {
    /// What is still to be run; nothing where that could not be told.
    pub fn migrations(&self) -> &[Linted] {
        match &self.said {
            Said::Linted { migrations, .. } => migrations,
            Said::Unknown { .. } => &[],
        }
    }
}
