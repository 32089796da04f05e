//! The health check, and whether it is one.
//!
//! Guarantees that only an answer which says "well" in a form that a page cannot have is healthy, and that every other answer says
//! why it is not.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Probe, cached, is_page};
use crate::services::lenient;
use crate::services::request::Reply;

/// One look at the application's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What it said.
    pub state: HealthState,
    /// How long it took, in wall time.
    pub latency: Duration,
    /// When it was asked.
    pub at: DateTime<Utc>,
    /// The cache that answered instead of the application, if one says so.
    pub cached: Option<String>,
}

/// What the application said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthState {
    /// Well.
    Healthy {
        /// The version, where it says.
        version: Option<String>,
        /// The commit, where it says.
        commit: Option<String>,
    },
    /// There, and not well.
    Unhealthy {
        /// The status.
        status: u16,
        /// What it said.
        why: String,
    },
    /// The index page came back: the check cannot fail, so it proves nothing.
    CatchAll,
    /// No answer.
    Unreachable(String),
}

impl HealthState {
    /// Whether the application is well.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy { .. })
    }
}

/// Whether the health check can fail at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanFail {
    /// A path that cannot exist is answered otherwise.
    Yes,
    /// A path that cannot exist is answered as the health check is.
    No,
    /// It could not be found out.
    Unknown(String),
}

impl Probe {
    /// Looks at the health check, such as `/health`.
    pub async fn health(&self, path: &str) -> Health {
        match self.ask(path, "ask for its health").await {
            Ok(reply) => Health {
                state: self.judge(&reply),
                latency: reply.receipt.took,
                at: reply.receipt.at,
                cached: cached(&reply),
            },
            Err(error) => Health {
                state: HealthState::Unreachable(error.fault().to_string()),
                latency: error.receipt().took,
                at: error.receipt().at,
                cached: None,
            },
        }
    }

    /// Asks for a path that cannot exist: if the answer is the same, the health check cannot fail.
    pub async fn can_fail(&self, path: &str) -> CanFail {
        let absent = format!("{}-{}", path.trim_end_matches('/'), Uuid::new_v4().simple());
        let real = self.ask(path, "ask for its health").await;
        let absent = self.ask(&absent, "ask for a path that cannot exist").await;
        match (real, absent) {
            (Ok(real), Ok(absent)) => {
                let same = absent.status == real.status && absent.body == real.body;
                let well = self.judge(&absent).is_healthy();
                if same || well || (is_page(&real.body) && real.status == 200) {
                    CanFail::No
                } else {
                    CanFail::Yes
                }
            }
            (Err(error), _) | (_, Err(error)) => CanFail::Unknown(error.fault().to_string()),
        }
    }

    fn judge(&self, reply: &Reply) -> HealthState {
        let status = reply.status;
        let short = self.0.redactor().excerpt(&reply.body, 120);
        let sick = |why: String| HealthState::Unhealthy { status, why };
        if !(200..300).contains(&status) {
            let why =
                if is_page(&reply.body) || short.is_empty() { format!("status {status}") } else { short };
            return sick(why);
        }
        if is_page(&reply.body) {
            return HealthState::CatchAll;
        }
        let Some(body) = reply.value() else {
            let word = reply.text();
            let word = word.trim();
            return if is_well(word) {
                HealthState::Healthy { version: None, commit: None }
            } else {
                sick(format!("says neither ok nor healthy: {short}"))
            };
        };
        let said = body.get("status").or_else(|| body.get("state")).unwrap_or(&body);
        match said.as_str() {
            Some(word) if is_well(word) => {
                let text = |key: &str| body.get(key).and_then(lenient::text);
                let commit = text("commit").or_else(|| text("sha")).or_else(|| text("releaseId"));
                HealthState::Healthy { version: text("version"), commit }
            }
            Some(word) => sick(format!("says {word}{}", failing(&body))),
            None => sick(format!("says nothing about its state: {short}")),
        }
    }
}

fn is_well(word: &str) -> bool {
    // "warn" of the health+json draft is still serving.
    ["ok", "pass", "warn", "healthy", "up", "alive"].iter().any(|well| word.eq_ignore_ascii_case(well))
}

/// The checks that are not well, by name.
fn failing(body: &Value) -> String {
    let checks = body.get("checks").and_then(Value::as_object);
    let bad: Vec<String> = checks
        .into_iter()
        .flatten()
        .filter_map(|(name, said)| {
            let word = said.as_str().or_else(|| said.get("status")?.as_str())?;
            (!is_well(word)).then(|| format!("{name}: {word}"))
        })
        .collect();
    if bad.is_empty() { String::new() } else { format!(" ({})", bad.join(", ")) }
}
