//! What goes on beside the plan with Pulse and can be held: the sync by the clock, the history of interactions; how fast the
//! import may go; and the mock data that stand in for Pulse while it is away.
//!
//! Each is a decision with a name under it. Nothing here is inferred from silence: what is not held runs, and what is mocked is
//! mocked until its end was verified.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::Actor;

/// Standing work that can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upkeep {
    /// The incremental sync by the clock.
    Sync,
    /// The history of interactions.
    History,
}

impl Upkeep {
    /// Its name in a sentence.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sync => "the automatic sync",
            Self::History => "the history of interactions",
        }
    }
}

impl fmt::Display for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why something is held, since when, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who holds it; a worker where a kill switch or too many failures do.
    pub by: Actor,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why.
    pub why: String,
}

/// Mock data in the place of Pulse's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mock {
    /// Who decided it.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub why: String,
    /// When the mock data were gone, verified; nothing while they stand.
    pub gone: Option<DateTime<Utc>>,
}

/// The history of interactions, once it was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When that was.
    pub at: DateTime<Utc>,
    /// Contacts whose interactions were read.
    pub contacts: u64,
    /// Interactions that stand in the database.
    pub interactions: u64,
    /// Contacts whose interactions could not be read or written.
    pub failed: u64,
}

/// A pass of the sync by the clock that failed, until one passes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTrouble {
    /// Since when.
    pub since: DateTime<Utc>,
    /// What happened.
    pub what: String,
}

/// What a person decides about a profile that the import could not place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum Settle {
    /// It belongs to that contact, and is merged onto it by the import's own rules: what Pulse knows wins.
    Link {
        /// The contact's id.
        contact: String,
    },
    /// It is somebody else: a contact of its own is made of it.
    Add,
    /// The CRM stays as it is; asked again only when the profile changes.
    Keep,
}

impl Settle {
    /// What it does, in a phrase.
    pub fn words(&self) -> String {
        match self {
            Self::Link { contact } => format!("take Pulse's for contact {contact}"),
            Self::Add => "take Pulse's as a new contact".into(),
            Self::Keep => "keep the CRM's".into(),
        }
    }
}
