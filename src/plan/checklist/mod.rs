//! The checklist as it was understood. The reader that makes it out of Markdown is `checklist::read`.

mod answers;
mod attributes;
mod gates;
mod meaning;
mod outline;
mod phases;
pub mod read;
mod section;
mod slug;
#[cfg(test)]
mod tests;
pub(crate) mod times;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveTime;
use serde::{Deserialize, Serialize};

use super::Role;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id!(
    /// Names a phase ("phase-1").
    PhaseId
);
id!(
    /// Names an item across edits of the file: its `{#id}` or a slug of phase and text.
    ItemId
);
id!(
    /// Names a checkpoint or sign-off.
    GateId
);

/// A runbook, in the order of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checklist {
    /// The first heading.
    pub title: String,
    /// The phases, preparation and after-care included.
    pub phases: Vec<Phase>,
}

/// A phase: what must be whole before the next begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Its id.
    pub id: PhaseId,
    /// Its heading without number, times and attributes ("Database migration").
    pub title: String,
    /// Where it stands in the deployment.
    pub kind: PhaseKind,
    /// Who runs it.
    pub owner: Option<Role>,
    /// When it is planned to begin, in the plan's zone.
    pub starts: Option<NaiveTime>,
    /// How long it is planned to take.
    #[serde(with = "maybe_seconds")]
    pub takes: Option<Duration>,
    /// Its parts, in order; items before any sub-heading stand in one without a title.
    pub sections: Vec<Section>,
    /// The line of its heading.
    pub line: usize,
}

/// Where a phase stands in the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseKind {
    /// Before the day; open from the start.
    Preparation,
    /// A phase of the day, by its number.
    Numbered(u8),
    /// After the last phase.
    AfterCare,
}

/// A part of a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Its heading; empty for items directly under the phase.
    pub title: String,
    /// How long it is planned to take.
    #[serde(with = "maybe_seconds")]
    pub takes: Option<Duration>,
    /// Its items.
    pub items: Vec<Item>,
    /// Its checkpoints and sign-offs.
    pub gates: Vec<Gate>,
    /// Prose and tables, as they stand in the file, for the pane.
    pub prose: String,
    /// The line of its heading.
    pub line: usize,
}

/// One thing to do or to prove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// Its text without attributes.
    pub text: String,
    /// What answers it.
    pub kind: ItemKind,
    /// Who does it; the phase's owner where the file names none.
    pub owner: Option<Role>,
    /// What a machine does for it.
    pub action: Option<Action>,
    /// What a machine proves for it.
    pub check: Option<Check>,
    /// The commands written under it.
    pub commands: Vec<Block>,
    /// When it is due: this long after its phase began.
    #[serde(with = "maybe_seconds")]
    pub due: Option<Duration>,
    /// How long only time makes it true (a week of rollout).
    #[serde(with = "maybe_seconds")]
    pub wait: Option<Duration>,
    /// Whether it was ticked in the file already.
    pub ticked: bool,
    /// Items under it; they come before it.
    pub items: Vec<Item>,
    /// Its line in the file.
    pub line: usize,
}

/// What answers an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum ItemKind {
    /// A tick.
    Tick,
    /// A value ("contacts imported: ___").
    Value {
        /// What is expected, in the plan's words ("1000+", "< 0.5 %").
        expect: Option<String>,
    },
    /// One of some words (GREEN, YELLOW, RED).
    Choice {
        /// The words.
        of: Vec<String>,
    },
}

/// A fenced block under an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The language of the fence ("bash", "sql"); empty if none.
    pub lang: String,
    /// The text.
    pub text: String,
}

/// A checkpoint or a sign-off: who must put their name to the section above it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Its id.
    pub id: GateId,
    /// Its text.
    pub title: String,
    /// The roles that must sign, each once; empty = the phase's owner or the lead, once.
    pub roles: Vec<Role>,
    /// How many different people must sign.
    pub people: u8,
    /// Its line in the file.
    pub line: usize,
}

/// What a machine does for an item. In the file: `{action=migrate}` and, where it has one, its argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Action {
    /// Back the touched tables up, and prove the copy.
    Backup,
    /// Run the up migrations, up to and including that number (all, where none is named).
    Migrate {
        /// The last one to run.
        to: Option<u64>,
    },
    /// Bring the release live.
    Deploy,
    /// Import from Pulse.
    Import,
    /// Sync what changed in Pulse, now and every 15 minutes from now on.
    Sync,
    /// Post the message of that name from gonogo.toml.
    Announce {
        /// The message's name.
        message: String,
    },
    /// Set the flag's share.
    Rollout {
        /// The share of users, in percent.
        share: u8,
    },
    /// Drill one rung of the ladder on what the drill names, and record its time.
    Drill {
        /// The rung.
        rung: u8,
    },
}

/// What a machine proves for an item. In the file: `{check=http path=/contacts}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "prove")]
pub enum Check {
    /// A page of the application answers 200, and with this text where one is named.
    Http {
        /// The path.
        path: String,
        /// A text the body must hold.
        contains: Option<String>,
    },
    /// `/health` answers, and is proven able to fail.
    Health,
    /// The release that was deployed is the one users get.
    Version,
    /// The first column of the first row of the item's SQL block (or of the query) is as expected.
    Sql {
        /// The query; the item's `sql` block where none is named.
        query: Option<String>,
        /// `true`, a number, or a comparison (`>= 19`); `true` where none is named.
        expect: Option<String>,
    },
    /// An event sent to Sentry is read back.
    Sentry,
    /// An event sent to PostHog is read back.
    Posthog,
    /// Pulse is reachable and the token accepted.
    Pulse,
    /// The checks of the migrations hold.
    Migrations {
        /// One migration only.
        only: Option<u64>,
    },
    /// What was imported agrees with Pulse's total.
    Import,
    /// The migrated schema takes what Pulse sends, tried with a sample.
    Contract,
    /// No error of a type first seen in this release.
    NewErrors,
    /// A gauge is within its target; the reading becomes the item's value.
    Metric {
        /// The metric's id.
        name: String,
    },
    /// The flag's share is this.
    Flag {
        /// The share in percent.
        share: u8,
    },
    /// The environment file is complete and free of placeholders.
    Env {
        /// The file, from the checklist's directory.
        file: Option<String>,
    },
    /// The item's command ends with exit code 0.
    Command,
}

impl Phase {
    /// Its items with those under them, in the file's order.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.sections.iter().flat_map(Section::all_items)
    }

    /// Its gates.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.sections.iter().flat_map(|section| &section.gates)
    }

    /// The number of a phase of the day.
    pub const fn number(&self) -> Option<u8> {
        match self.kind {
            PhaseKind::Numbered(number) => Some(number),
            PhaseKind::Preparation | PhaseKind::AfterCare => None,
        }
    }
}

impl Section {
    /// Its items with those under them, parents first.
    pub fn all_items(&self) -> impl Iterator<Item = &Item> {
        let mut stack: Vec<&Item> = self.items.iter().rev().collect();
        std::iter::from_fn(move || {
            let item = stack.pop()?;
            stack.extend(item.items.iter().rev());
            Some(item)
        })
    }
}

pub(crate) mod maybe_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's `with` calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(|span| span.as_secs()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}
