//! The contract between Pulse and the migrated schema, tried before the day: would the database take what Pulse sends?
//!
//! It guarantees that it is the database that answers, constraint by constraint and value by value, in a transaction that is
//! rolled back; that nothing is written anywhere a user could see it; and that what it says names fields, rules and ids, and
//! of values only those that are words of a closed set or numbers. Where the migrations are not applied yet, it asks a clone
//! of the schema on a throwaway server, migrated there.

mod place;
mod sample;
mod tried;

use serde::Serialize;
use sqlx::PgConnection;

use self::sample::Sample;
use super::database;
use crate::run::Failure;
use crate::workers::Kit;

/// How many profiles are tried: from the beginning, the middle and the end of Pulse's list.
const PROFILES: u32 = 1_000;
/// Of how many profiles the interactions are tried; each costs one request of thirty a minute.
const HISTORIES: usize = 5;
/// Findings that a sentence names; the others are counted.
const NAMED: usize = 4;

/// What the database said of the sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contract {
    /// Where it was tried.
    pub place: String,
    /// Profiles that were tried.
    pub profiles: u64,
    /// Profiles that Pulse has, where it says so.
    pub total: Option<u64>,
    /// Profiles that would be set aside.
    pub refused: u64,
    /// Interactions that were tried.
    pub interactions: u64,
    /// The share of profiles (0 to 1) that the plan allows to be set aside.
    pub allowed: f64,
    /// What does not fit, the most frequent first.
    pub findings: Vec<Finding>,
}

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What is counted: profiles or interactions.
    pub of: Counted,
    /// Pulse's field.
    pub field: String,
    /// What refuses it: a constraint by its name, a type, or the import's own rule.
    pub rule: String,
    /// The database's code, where it was the database.
    pub sqlstate: Option<String>,
    /// The value, where it is a word of a closed set or a number; of all others only what kind of value it is.
    pub value: String,
    /// How many have it.
    pub count: u64,
    /// Of how many that were tried.
    pub tried: u64,
    /// Pulse's ids of some of them.
    pub examples: Vec<String>,
}

/// What a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// Profiles.
    Profiles,
    /// Interactions.
    Interactions,
}

impl Finding {
    /// In a sentence ("preferred_channel: 212 of 1,000 profiles say \"fax\", which contacts_preferred_channel_check refuses").
    pub fn words(&self) -> String {
        let of = match self.of {
            Counted::Profiles => "profiles",
            Counted::Interactions => "interactions",
        };
        let examples = self.examples.join(", ");
        format!(
            "{}: {} of {} {of} say {}, which {} refuses (such as {examples})",
            self.field, self.count, self.tried, self.value, self.rule
        )
    }
}

impl Contract {
    /// Whether the plan could live with what does not fit.
    pub fn holds(&self) -> bool {
        self.refused as f64 <= self.allowed * self.profiles as f64
            && !self.findings.iter().any(|finding| finding.of == Counted::Interactions)
    }

    /// In a line, for the record.
    pub fn words(&self) -> String {
        let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let tried = format!(
            "{}{of} profiles and {} interactions tried on {}, rolled back",
            self.profiles, self.interactions, self.place
        );
        if self.findings.is_empty() {
            return format!("{tried}: the database takes them all");
        }
        let mut said: Vec<String> = self.findings.iter().take(NAMED).map(Finding::words).collect();
        if self.findings.len() > NAMED {
            said.push(format!("and {} more kinds", self.findings.len() - NAMED));
        }
        let share = self.refused as f64 * 100.0 / (self.profiles.max(1)) as f64;
        format!(
            "{tried}: {} profiles would be set aside ({share:.1} %, {:.1} % allowed): {}",
            self.refused,
            self.allowed * 100.0,
            said.join("; ")
        )
    }
}

/// Tries a sample of Pulse's pages.
///
/// # Errors
/// Pulse or the database does not answer, or there is no schema to try it on.
pub async fn check(kit: &Kit) -> Result<Contract, Failure> {
    let pulse = kit.pulse()?;
    let sample = sample::gather(&pulse, PROFILES, HISTORIES).await?;
    let place = place::find(kit).await?;
    let mut session = place.open(kit).await?;
    let contract = against(&mut session, &sample, place.words(), kit.config().import.quarantine_share).await;
    drop(session);
    place.leave().await;
    contract
}

async fn against(
    session: &mut PgConnection,
    sample: &Sample,
    place: String,
    allowed: f64,
) -> Result<Contract, Failure> {
    let tried = tried::all(session, sample).await.map_err(|error| Failure {
        what: format!("the sample could not be tried on {place}: {}", super::trouble::words(&error)),
        state: "everything was rolled back; nothing was changed".into(),
        next: "look whether the database runs and lets this role make temporary tables, then ask again"
            .into(),
    })?;
    Ok(Contract {
        place,
        profiles: sample.profiles.len() as u64,
        total: sample.total,
        refused: tried.refused,
        interactions: sample.interactions.len() as u64,
        allowed,
        findings: tried.findings,
    })
}
