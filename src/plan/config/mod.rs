//! gonogo.toml as values. Everything has a default; an unknown key, a wrong type, a value out of bounds or a secret in the
//! file is a problem with file, line, column and what would be right.
//!
//! Reading only: files are opened in `plan::load`, secrets are looked up in `secrets`.

mod check;
mod deployment;
mod guard;
mod layout;
pub mod messages;
pub mod metrics;
mod services;
pub(in crate::plan) mod staging;
#[cfg(test)]
mod tests;
mod ways;
mod words;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use deployment::{App, BackupTo, Database, Deployment, Import, Rehearsal, SecretsFile, Store};
pub use layout::Layout;
pub use messages::{Channel, Message, PageStatus};
pub use metrics::MetricTable;
pub use services::{
    Channels, Compose, Pagerduty, Posthog, Pulse, Sentry, Services, Slack, Statuspage, Vercel,
};
pub use staging::Staging;
pub use ways::{OperatorTable, RungTable, StageTable};

use super::{Checklist, Operator, Plan, Problem};

/// The commented file that `gonogo init` writes; it says what is so by default.
pub const DEFAULT: &str = include_str!("default.toml");

/// gonogo.toml.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What goes live, and when.
    pub deployment: Deployment,
    /// Where the journal lies.
    pub store: Store,
    /// The application.
    pub app: App,
    /// The database.
    pub database: Database,
    /// Where secrets are looked up.
    pub secrets: SecretsFile,
    /// How profiles are imported.
    pub import: Import,
    /// The outside world.
    pub services: Services,
    /// Where the ways out are drilled before the day.
    pub staging: Staging,
    /// What the file says of gauges; `plan` has them whole.
    pub metrics: BTreeMap<String, MetricTable>,
    /// The ways out, if the file names them.
    pub ladder: Vec<RungTable>,
    /// The stages, if the file names them.
    pub rollout: Vec<StageTable>,
    /// Who may take part.
    pub operators: Vec<OperatorTable>,
    /// The file's own messages; `message` knows the default ones too.
    pub messages: BTreeMap<String, Message>,
}

impl Config {
    /// Reads the text of a gonogo.toml. `file` is the name that problems carry.
    ///
    /// # Errors
    /// What is wrong, where, and what would be right.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Problem>> {
        check::parse(text, file)
    }

    /// The plan of this deployment.
    pub fn plan(&self, checklist: Checklist) -> Plan {
        Plan {
            name: self.deployment.name.clone().unwrap_or_else(|| checklist.title.clone()),
            version: self.deployment.version.clone(),
            day: self.deployment.day,
            timezone: self.deployment.timezone,
            checklist,
            metrics: metrics::merged(&self.metrics),
            ladder: ways::ladder(&self.ladder, &self.database.name),
            rollout: ways::rollout(&self.rollout),
            operators: self
                .operators
                .iter()
                .map(|operator| Operator { name: operator.name.clone(), roles: operator.roles.clone() })
                .collect(),
        }
    }

    /// The message of that name: the file's own, or the default one.
    pub fn message(&self, name: &str) -> Option<Message> {
        self.messages.get(name).cloned().or_else(|| messages::defaults().remove(name))
    }

    /// What the checklist asks for and this file does not know: gauges, messages, rungs, stages.
    pub fn cross_check(&self, checklist: &Checklist, file: &str) -> Vec<Problem> {
        check::cross(self, checklist, file)
    }
}
