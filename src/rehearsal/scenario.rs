//! Scenarios: what goes wrong in a rehearsal and when, as data in one TOML file each.
//!
//! It guarantees that every scenario that ships reads, and that a scenario of one's own which does not is refused with
//! the place and the reason. A scenario may plan what the world does, never what gonogo decides.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::faults::{Fault, Span};

/// How the deployment should end if gonogo does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// All six phases done.
    Success,
    /// Taken back, and the taking back verified.
    RolledBack,
    /// Stopped by a failure before anything went live.
    Failed,
}

/// When a planned fault begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Trigger {
    /// So long after a phase was started.
    Phase {
        /// The phase's number, 1 to 6.
        number: u32,
        /// Seconds of the rehearsal's clock.
        after_seconds: u32,
    },
    /// So long after the rehearsal began.
    Start {
        /// Seconds of the rehearsal's clock.
        after_seconds: u32,
    },
    /// As soon as Pulse has served so many pages of an import (requests for a handful of profiles do not count).
    PulsePages {
        /// Pages served.
        served: u32,
    },
    /// When somebody throws it in.
    ByHand,
}

/// A fault that a scenario plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Planned {
    /// What goes wrong.
    pub what: Fault,
    /// When it begins.
    pub when: Trigger,
    /// How many seconds of the rehearsal's clock it lasts; without it, until cleared.
    pub lasts_seconds: Option<u32>,
}

impl Planned {
    /// The fault from a moment on.
    pub fn span(&self, from: DateTime<Utc>) -> Span {
        let until = self.lasts_seconds.map(|seconds| from + TimeDelta::seconds(i64::from(seconds)));
        Span { fault: self.what.clone(), from, until }
    }
}

/// In which order Pulse lists its profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The oldest first: pages stay where they are.
    #[default]
    Created,
    /// The last changed first: offsets shift while profiles change.
    Updated,
}

/// How Pulse behaves in a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PulseTemper {
    /// The order of profiles.
    pub order: Order,
    /// Every so many profiles one holds values that the database refuses.
    pub bad_every: Option<u32>,
    /// The key expires so long after the rehearsal began, or was last renewed.
    pub key_lasts_minutes: Option<u32>,
}

/// What is in the database before the first migration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct DatabaseTemper {
    /// Every so many contacts one is there twice; without it, nobody is.
    pub twice_every: Option<u32>,
    /// SQL to run in the scratch database before the deployment begins.
    pub before: Option<String>,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: String,
    /// What happens, in one sentence.
    pub says: String,
    /// How it should end.
    pub ends: Ending,
    /// Profiles at Pulse, where the command line names no number.
    #[serde(default = "some_thousand")]
    pub contacts: u32,
    /// How Pulse behaves.
    #[serde(default)]
    pub pulse: PulseTemper,
    /// What happens to the database.
    #[serde(default)]
    pub database: DatabaseTemper,
    /// What goes wrong.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Planned>,
}

const fn some_thousand() -> u32 {
    3_000
}

/// Why there is no such scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No scenario of that name ships.
    #[error("no scenario is called \"{name}\"; there are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The text is not a scenario.
    #[error("the scenario {name} does not read: {source}")]
    Unreadable {
        /// Its name or file.
        name: String,
        /// What the reader says.
        source: toml::de::Error,
    },
}

const SHIPPED: [(&str, &str); 9] = [
    ("smooth", include_str!("scenarios/smooth.toml")),
    ("error-spike", include_str!("scenarios/error-spike.toml")),
    ("pulse-outage", include_str!("scenarios/pulse-outage.toml")),
    ("pulse-down", include_str!("scenarios/pulse-down.toml")),
    ("migration-fails", include_str!("scenarios/migration-fails.toml")),
    ("bad-data", include_str!("scenarios/bad-data.toml")),
    ("silence", include_str!("scenarios/silence.toml")),
    ("rough-network", include_str!("scenarios/rough-network.toml")),
    ("app-down", include_str!("scenarios/app-down.toml")),
];

/// The names of the scenarios that ship.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

impl Scenario {
    /// Reads a scenario; `name` is for the message if it fails.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScenarioError> {
        toml::from_str(text).map_err(|source| ScenarioError::Unreadable { name: name.to_owned(), source })
    }

    /// The shipped scenario of this name.
    pub fn shipped(name: &str) -> Result<Self, ScenarioError> {
        let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            let known = names().collect::<Vec<_>>().join(", ");
            ScenarioError::Unknown { name: name.to_owned(), known }
        })?;
        Self::parse(name, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_reads_and_bears_its_file_s_name() {
        for name in names() {
            let scenario = Scenario::shipped(name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(scenario.name, name);
            assert!(!scenario.says.is_empty());
        }
    }

    #[test]
    fn the_four_that_were_asked_for_do_what_they_say() {
        let smooth = Scenario::shipped("smooth").unwrap();
        assert!(smooth.faults.is_empty() && smooth.database == DatabaseTemper::default());
        let spike = Scenario::shipped("error-spike").unwrap();
        assert!(matches!(spike.faults[0].what, Fault::ErrorSpike { rate } if rate > 0.05));
        assert!(matches!(spike.faults[0].when, Trigger::Phase { number: 5, .. }));
        assert_eq!(spike.ends, Ending::RolledBack);
        assert!(matches!(
            Scenario::shipped("pulse-outage").unwrap().faults[0].when,
            Trigger::PulsePages { .. }
        ));
        assert!(Scenario::shipped("migration-fails").unwrap().database.before.is_some());
    }

    #[test]
    fn only_bad_data_holds_people_twice() {
        let twice = |name: &&str| Scenario::shipped(name).unwrap().database.twice_every.is_some();
        assert_eq!(names().filter(twice).collect::<Vec<_>>(), ["bad-data"]);
    }

    #[test]
    fn an_unknown_name_says_which_there_are() {
        let message = Scenario::shipped("smoth").unwrap_err().to_string();
        assert!(message.contains("smoth") && message.contains("error-spike"), "{message}");
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let text = "name = 'x'\nsays = 'y'\nends = 'success'\ncontcts = 5\n";
        let message = Scenario::parse("x", text).unwrap_err().to_string();
        assert!(message.contains("line 4") && message.contains("contcts"), "{message}");
    }

    #[test]
    fn a_planned_fault_becomes_a_span_of_its_length() {
        let outage = &Scenario::shipped("pulse-outage").unwrap().faults[0];
        let from = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let span = outage.span(from);
        assert_eq!(span.until, outage.lasts_seconds.map(|s| from + TimeDelta::seconds(i64::from(s))));
    }
}
