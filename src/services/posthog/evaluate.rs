//! A flag as a client sees it.
//!
//! Guarantees that errors and quota make a flag unknown, that a missing key is off, and that a change counts as arrived only when
//! the clients' endpoint answers with its version.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Flag, PostHog, Switch, lenient};
use crate::services::error::{Effect, Fault, seconds};
use crate::services::request::Request;
use crate::services::retry::Poll;
use crate::services::{Answer, Outcome};

/// Whom to ask as.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The user's id; one that no person has.
    pub distinct_id: String,
    /// Properties that conditions look at, such as `email`.
    pub person_properties: Map<String, Value>,
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evaluation {
    /// On, perhaps as a variant.
    On {
        /// The variant, of a flag with several.
        variant: Option<String>,
        /// The flag's version.
        version: Option<u64>,
    },
    /// Off, or not there.
    Off {
        /// The reason's code; none when the flag is missing from the answer.
        reason: Option<String>,
        /// The flag's version.
        version: Option<u64>,
    },
    /// PostHog could not say.
    Unknown(String),
}

impl Evaluation {
    fn read(body: &Value, key: &str) -> Self {
        if body.get("errorsWhileComputingFlags").and_then(Value::as_bool) == Some(true) {
            return Self::Unknown("PostHog met errors while computing flags".to_owned());
        }
        let limited = body.get("quotaLimited").and_then(Value::as_array);
        if limited.is_some_and(|limited| limited.iter().any(|what| what == "feature_flags")) {
            return Self::Unknown("the quota for flags is used up, so no flag is evaluated".to_owned());
        }
        let Some(flags) = body.get("flags").and_then(Value::as_object) else {
            return Self::Unknown("the answer holds no flags".to_owned());
        };
        let Some(flag) = flags.get(key) else { return Self::Off { reason: None, version: None } };
        let version = flag.pointer("/metadata/version").and_then(lenient::count);
        let text = |at: &str| flag.pointer(at).and_then(Value::as_str).map(str::to_owned);
        match flag.get("enabled").and_then(Value::as_bool) {
            Some(true) => Self::On { variant: text("/variant"), version },
            Some(false) => Self::Off { reason: text("/reason/code"), version },
            None => Self::Unknown("the flag is neither on nor off in the answer".to_owned()),
        }
    }

    /// Whether this is what a client sees once `flag` has arrived and is to be `expected` for it.
    fn shows(&self, flag: &Flag, expected: Switch) -> bool {
        match (self, expected) {
            (Self::On { version, .. }, Switch::On) => *version >= flag.version || version.is_none(),
            // An inactive flag may be left out, and then has no version.
            (Self::Off { version, .. }, Switch::Off) => version.is_none() || *version >= flag.version,
            _ => false,
        }
    }
}

impl PostHog {
    /// What a client is told about a flag.
    pub async fn evaluate(&self, key: &str, probe: &Probe) -> Outcome<Evaluation> {
        let asked = format!("evaluate the flag {key}");
        let (http, token) = self.public(&asked)?;
        let body = json!({
            "token": token,
            "distinct_id": probe.distinct_id,
            "person_properties": probe.person_properties,
            "groups": {}, "group_properties": {},
        });
        let body: Answer<Value> = http.json(Request::ask("flags/", asked).query("v", 2).json(&body)).await?;
        Ok(body.map(|body| Evaluation::read(&body, key)))
    }

    /// Waits until a client sees `flag`, as it was last written, in the `expected` state.
    pub async fn await_flag(
        &self,
        flag: &Flag,
        probe: &Probe,
        expected: Switch,
        patience: Duration,
    ) -> Outcome<Evaluation> {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(4));
        let mut poll = Poll::new(self.api.clock(), first, longest, patience);
        loop {
            let seen = self.evaluate(&flag.key, probe).await?;
            if seen.value.shows(flag, expected) {
                return Ok(seen);
            }
            if !poll.again().await {
                let last = match seen.value {
                    Evaluation::Unknown(why) => why,
                    other => format!("a client still sees {other:?}"),
                };
                let fault = Fault::NotProven(format!("{last}, {} after the change", seconds(poll.waited())));
                let asked = format!("see the flag {} {expected:?} as a client", flag.key);
                let error = crate::services::ServiceError::new(
                    "PostHog",
                    asked,
                    fault,
                    Effect::Accepted,
                    seen.receipt,
                );
                return Err(
                    error.advise("look at the flag in PostHog, and go on to the next rung if users are hurt")
                );
            }
        }
    }
}
