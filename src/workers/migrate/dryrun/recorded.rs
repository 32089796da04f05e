//! Whether the recorded inverse of a migration was rehearsed. It is made anew from what a run changed, so the one of the live
//! database counts as rehearsed only where it is, word for word, the one that was gone on the clone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{Mark, Record};
use crate::run::job::Failure;
use crate::workers::migrate::catalogue::{self, Scope};
use crate::workers::migrate::database::Database;
use crate::workers::migrate::files::{Migration, MigrationSet};
use crate::workers::migrate::inverse::{Recorded, recorded};
use crate::workers::migrate::runner::broke;

/// How far the recorded inverse came on the clone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum Undone {
    /// It was not tried.
    #[default]
    NotTried,
    /// The record is not whole.
    Gaps {
        /// What is missing.
        why: String,
    },
    /// It did not lead back to what was before.
    Failed {
        /// What happened.
        what: String,
    },
    /// It led back to exactly what was before.
    Back {
        /// Over its text.
        over: Arc<str>,
        /// How long its statements took, in milliseconds.
        ms: f64,
    },
}

/// Whether the inverse that the live database has recorded may be relied on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Inverse {
    /// Nothing is recorded: the migration is not applied, or was before records were kept.
    NotRecorded,
    /// What is recorded is not whole.
    Gaps,
    /// It is recorded, and was never rehearsed.
    Never,
    /// It was, and something has changed since.
    Stale {
        /// What.
        why: String,
    },
    /// It was tried, and did not lead back.
    Failed {
        /// What happened.
        what: String,
    },
    /// It is.
    Rehearsed {
        /// When.
        at: DateTime<Utc>,
        /// How long it took, in milliseconds.
        ms: f64,
    },
}

impl Inverse {
    /// Whether it may be called a rollback.
    pub const fn way_back(&self) -> bool {
        matches!(self, Self::Rehearsed { .. })
    }
}

impl std::fmt::Display for Inverse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRecorded => write!(f, "no inverse recorded"),
            Self::Gaps => write!(f, "inverse recorded with gaps"),
            Self::Never => write!(f, "inverse recorded, never rehearsed"),
            Self::Stale { why } => write!(f, "inverse recorded, its rehearsal is stale: {why}"),
            Self::Failed { what } => write!(f, "inverse recorded, its rehearsal failed: {what}"),
            Self::Rehearsed { at, ms } => {
                let at = at.format("%Y-%m-%d %H:%M UTC");
                write!(f, "inverse recorded, and rehearsed {at}: back in {ms:.0} ms")
            }
        }
    }
}

impl Record {
    /// Whether what the live database has recorded of a migration was rehearsed, where the live schema has this hash.
    pub fn inverse(&self, migration: &Migration, found: &Recorded, live: Option<&str>) -> Inverse {
        let script = match found {
            Recorded::Nothing => return Inverse::NotRecorded,
            Recorded::Gaps(_) => return Inverse::Gaps,
            Recorded::Whole(script) => script,
        };
        let stale = |why: &str| Inverse::Stale { why: why.into() };
        let Some(Mark { up, inverse, .. }) = self.marks.iter().find(|mark| mark.number == migration.number)
        else {
            return Inverse::Never;
        };
        match inverse {
            Undone::NotTried | Undone::Gaps { .. } => Inverse::Never,
            _ if *up != migration.up.checksum => stale("the up file was changed since"),
            Undone::Failed { what } => Inverse::Failed { what: what.clone() },
            Undone::Back { over, .. } if *over != script.checksum => {
                stale("what was recorded is not what was rehearsed")
            }
            Undone::Back { .. } if live.is_some_and(|live| self.states.iter().all(|one| **one != *live)) => {
                stale("the live schema is none that the rehearsal has seen")
            }
            Undone::Back { ms, .. } => Inverse::Rehearsed { at: self.at, ms: *ms },
        }
    }
}

/// The recorded inverse of each migration, as the live database has it now.
pub async fn inverses(
    db: &Database,
    set: &MigrationSet,
    record: Option<&Record>,
) -> Result<Vec<Inverse>, Failure> {
    let mut session = db.session("status").await?;
    let hash = match record {
        Some(record) => {
            let schemas: Vec<&str> = record.schemas.iter().map(String::as_str).collect();
            let now = catalogue::snapshot(&mut session, &Scope::shape(&schemas)).await;
            Some(now.map_err(|e| broke("reading the catalogue", &e))?.hash())
        }
        None => None,
    };
    let mut all = Vec::new();
    for migration in &set.migrations {
        let found = recorded(&mut session, migration).await?;
        all.push(match (record, &found) {
            (Some(record), _) => record.inverse(migration, &found, hash.as_deref()),
            (None, Recorded::Nothing) => Inverse::NotRecorded,
            (None, Recorded::Gaps(_)) => Inverse::Gaps,
            (None, Recorded::Whole(_)) => Inverse::Never,
        });
    }
    Ok(all)
}
