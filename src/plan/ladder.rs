//! The ways out (the rollback ladder) and the way in (the rollout stages).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metric::seconds;

/// One way out. The first of the ladder loses least and is tried first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// 1 for the first.
    pub order: u8,
    /// What is taken back.
    pub kind: RungKind,
    /// Its name on the screen ("flag off").
    pub title: String,
    /// How long the plan says it may take, until users are safe.
    #[serde(with = "seconds")]
    pub bound: Duration,
    /// What is lost by it, in the plan's words.
    pub loses: String,
    /// The rung that must have been taken before this one.
    pub needs: Option<u8>,
    /// What must be typed before it is taken, where it loses data: the database's name.
    pub confirm: Option<String>,
}

/// What a rung takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RungKind {
    /// The feature flag.
    Flag,
    /// The deployment.
    Deployment,
    /// The database.
    Database,
}

impl RungKind {
    /// Whether data is lost by it, so that the database's name must be typed.
    pub const fn loses_data(self) -> bool {
        matches!(self, Self::Database)
    }
}

/// One stage of the gradual rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The share of users, in percent.
    pub share: u8,
    /// Who they are.
    pub who: String,
    /// How long the stage lasts.
    #[serde(with = "seconds")]
    pub lasts: Duration,
    /// What must hold for the next one.
    pub go_if: Vec<String>,
}
