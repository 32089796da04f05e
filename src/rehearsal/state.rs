//! What the simulated world remembers, as data: one value that serialises, so that a killed rehearsal goes on where it was.
//!
//! Facts only. What can be computed from them and the time (traffic, delays, job states) is computed and not stored.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::faults::Span;
use super::scenario::Scenario;

/// The keys that the stand-ins of one rehearsal accept. They open nothing but these stand-ins.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Pulse's bearer token.
    pub pulse: String,
    /// Sentry API token with every scope the cockpit needs.
    pub sentry: String,
    /// Sentry API token that lacks `event:read` and `project:releases`.
    pub sentry_narrow: String,
    /// Public key of the DSN.
    pub sentry_public: String,
    /// PostHog personal key with every scope the cockpit needs.
    pub posthog: String,
    /// PostHog personal key that may only read.
    pub posthog_narrow: String,
    /// PostHog project key.
    pub posthog_project: String,
    /// Vercel token.
    pub vercel: String,
    /// Slack bot token.
    pub slack: String,
    /// The secret part of the Slack webhook's path.
    pub slack_webhook: String,
    /// Statuspage key.
    pub statuspage: String,
    /// `PagerDuty` integration key, 32 characters.
    pub pagerduty: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// New keys, each with its vendor's prefix.
    pub fn generate() -> Self {
        let key = || uuid::Uuid::new_v4().simple().to_string();
        Self {
            pulse: format!("pulse_{}", key()),
            sentry: format!("sntryu_{}", key()),
            sentry_narrow: format!("sntrys_{}", key()),
            sentry_public: key(),
            posthog: format!("phx_{}", key()),
            posthog_narrow: format!("phx_{}", key()),
            posthog_project: format!("phc_{}", key()),
            vercel: key(),
            slack: format!("xoxb-{}", key()),
            slack_webhook: format!("T0REHEARSE/B0REHEARSE/{}", key()),
            statuspage: key(),
            pagerduty: key(),
        }
    }
}

/// A feature flag as it was from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlagPoint {
    /// Since when.
    pub at: DateTime<Utc>,
    /// The version that this change made.
    pub version: u64,
    /// Whether it is on at all.
    pub active: bool,
    /// `PostHog`'s `filters` object.
    pub filters: Value,
}

/// A feature flag and all it ever was; the last point is what it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// `PostHog`'s number.
    pub id: u64,
    /// The key that the application asks for.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// Deleted flags answer no more.
    pub deleted: bool,
    /// Its past and present; never empty.
    pub history: Vec<FlagPoint>,
}

impl Flag {
    /// The flag as it was at `at`.
    pub fn at(&self, at: DateTime<Utc>) -> &FlagPoint {
        self.history.iter().rev().find(|point| point.at <= at).unwrap_or(&self.history[0])
    }

    /// The flag as it is.
    pub fn now(&self) -> &FlagPoint {
        &self.history[self.history.len() - 1]
    }
}

/// One build at Vercel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// `dpl_…`.
    pub id: String,
    /// The version it says at `/health`.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// Whether the redesigned contacts page is in it.
    pub redesign: bool,
    /// `production` or `preview`.
    pub target: String,
    /// When it was asked for.
    pub created: DateTime<Utc>,
    /// When the builder began.
    pub building: DateTime<Utc>,
    /// When the build ended.
    pub ended: DateTime<Utc>,
    /// How it ended, or will.
    pub outcome: Outcome,
    /// Whether it takes the production domains when ready.
    pub takes_domains: bool,
    /// What whoever asked for it noted with it.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
}

/// How a build ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It can be served.
    Ready,
    /// The build broke.
    Error,
    /// Somebody stopped it.
    Canceled,
}

/// What production served from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Since when.
    pub at: DateTime<Utc>,
    /// The deployment's id.
    pub id: String,
}

/// A job that moves the production domains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasJob {
    /// `rollback` or `promote`.
    pub kind: String,
    /// The deployment that served before.
    pub from: String,
    /// The deployment that is to serve.
    pub to: String,
    /// When it was asked for.
    pub requested: DateTime<Utc>,
    /// When the project begins to show it; before, it shows the previous job.
    pub shown: DateTime<Utc>,
    /// When it leaves `pending`.
    pub begun: DateTime<Utc>,
    /// When it ends.
    pub ended: DateTime<Utc>,
    /// Whether it ends in `failed`.
    pub fails: bool,
}

/// Vercel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VercelState {
    /// All builds, the oldest first.
    pub deployments: Vec<Deployment>,
    /// What production served, the oldest first; never empty, and it may hold moments to come.
    pub served: Vec<Served>,
    /// Jobs that moved domains, the oldest first.
    pub jobs: Vec<AliasJob>,
    /// Whether a build that is ready takes the production domains.
    pub auto_assign: bool,
    /// Environment variables: id, key, value.
    pub env: Vec<(String, String, String)>,
}

impl VercelState {
    /// The deployment that production serves at `at`.
    pub fn production(&self, at: DateTime<Utc>) -> Option<&Deployment> {
        let served = self.served.iter().rev().find(|served| served.at <= at).or(self.served.first())?;
        self.find(&served.id)
    }

    /// The deployment of this id.
    pub fn find(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }
}

/// Something that came in from outside and is readable only later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// When it came in.
    pub at: DateTime<Utc>,
    /// When it can be read back.
    pub visible: DateTime<Utc>,
    /// What it was.
    pub body: Value,
}

/// Something a vendor was sent, kept for assertions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// When.
    pub at: DateTime<Utc>,
    /// The call: `chat.postMessage`, `incident`, `enqueue`, …
    pub call: String,
    /// The body.
    pub body: Value,
}

/// The whole world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The form of this file.
    pub format: u32,
    /// What all drawing starts from.
    pub seed: u64,
    /// When the rehearsal began.
    pub started: DateTime<Utc>,
    /// How many profiles Pulse has.
    pub contacts: u32,
    /// What is planned.
    pub scenario: Scenario,
    /// The keys that are accepted.
    pub credentials: Credentials,
    /// When each phase was started.
    pub phases: BTreeMap<u32, DateTime<Utc>>,
    /// Everything that is, was or will be wrong.
    pub faults: Vec<Span>,
    /// When Pulse's key was last renewed.
    pub pulse_key_since: DateTime<Utc>,
    /// How many pages of an import Pulse has served.
    pub pulse_pages: u32,
    /// Feature flags.
    pub flags: Vec<Flag>,
    /// Builds and domains.
    pub vercel: VercelState,
    /// Events that Sentry took in through its DSN.
    pub envelopes: Vec<Received>,
    /// Releases at Sentry, as they are answered.
    pub releases: Vec<Value>,
    /// Deploys at Sentry, by release.
    pub deploys: Vec<(String, Value)>,
    /// Events that `PostHog` took in through its capture.
    pub captured: Vec<Received>,
    /// Annotations at `PostHog`, as they are answered.
    pub annotations: Vec<Value>,
    /// Incidents at Statuspage, as they are answered.
    pub incidents: Vec<Value>,
    /// Components at Statuspage: id, name, status.
    pub components: Vec<(String, String, String)>,
    /// What Slack was sent.
    pub slack: Vec<Sent>,
    /// What Statuspage was sent.
    pub statuspage: Vec<Sent>,
    /// What `PagerDuty` was sent.
    pub pagerduty: Vec<Sent>,
}
