//! How a vendor says no: its statuses, its headers, its error bodies.
//!
//! Guarantees one way from a bad status to a [`Fault`], with the vendor's words put in. A vendor adds only a reader of its own
//! bodies; statuses are judged here, alike for all.

use std::time::Duration;

use serde_json::Value;

use super::error::{Effect, Fault};
use super::limits::LimitHeaders;
use super::request::Reply;

/// What a vendor's error body says.
#[derive(Debug, Default)]
pub struct Words {
    /// The message.
    pub detail: Option<String>,
    /// The vendor's code.
    pub code: Option<String>,
    /// The scope that is missing.
    pub missing: Option<String>,
    /// A wait named in the body.
    pub wait: Option<Duration>,
    /// Better advice than the usual.
    pub next: Option<String>,
    /// What it is in truth, where the status misleads.
    pub fault: Option<Fault>,
}

/// What is particular to a vendor.
pub struct Dialect {
    /// The name of the service, as people say it.
    pub service: &'static str,
    /// Statuses that mean "too many requests", beside 429.
    pub throttled: &'static [u16],
    /// Statuses that may pass, beside 408, 500, 502, 503 and 504.
    pub transient: &'static [u16],
    /// Its rate limit headers.
    pub limits: LimitHeaders,
    /// Headers that carry a request's id, most telling first.
    pub ids: &'static [&'static str],
    /// Reads its error bodies.
    pub words: fn(&Reply) -> Words,
}

impl Dialect {
    /// The fault behind a bad status, and the vendor's own advice if there is any.
    pub(super) fn fault(
        &self,
        reply: &Reply,
        excerpt: String,
        named: Option<Duration>,
    ) -> (Fault, Option<String>) {
        let Words { detail, code, missing, wait, next, fault } = (self.words)(reply);
        if let Some(fault) = fault {
            return (fault, next);
        }
        let detail = detail.filter(|detail| !detail.trim().is_empty()).unwrap_or(excerpt);
        let detail =
            if detail.is_empty() { format!("status {} without a word", reply.status) } else { detail };
        let named = named.or(wait);
        let fault = match reply.status {
            300..=399 => {
                let to = reply.header("location").map(|to| format!(" ({to})")).unwrap_or_default();
                Fault::Moved(format!("{detail}{to}"))
            }
            401 => Fault::Unauthenticated(detail),
            402 => Fault::Quota(detail),
            403 => Fault::Forbidden { detail, missing },
            404 | 410 => Fault::NotFound(detail),
            409 | 412 => Fault::Conflict(detail),
            429 => Fault::Throttled { detail, retry_after: named },
            status if self.throttled.contains(&status) => Fault::Throttled { detail, retry_after: named },
            status @ (408 | 500 | 502 | 503 | 504) => Fault::Broken { status, detail, retry_after: named },
            status if self.transient.contains(&status) => {
                Fault::Broken { status, detail, retry_after: named }
            }
            status => Fault::Refused { status, code, detail },
        };
        (fault, next)
    }
}

/// What a fault leaves behind: after a read nothing, after a write it depends on where it failed.
pub(super) fn effect_of(fault: &Fault, read: bool) -> Effect {
    if read {
        return Effect::Nothing;
    }
    match fault {
        Fault::TimedOut(_) | Fault::Cut(_) | Fault::Broken { .. } => Effect::Unknown,
        Fault::Unreadable { .. } | Fault::TooLarge(_) | Fault::NotProven(_) => Effect::Accepted,
        Fault::Refused { status, .. } if *status >= 500 => Effect::Unknown,
        _ => Effect::Nothing,
    }
}

/// The usual fields for a message: `detail`, `message`, `error` (text, list or object).
pub fn usual_words(reply: &Reply) -> Words {
    let Some(value) = reply.value() else { return Words::default() };
    let code = ["code", "error"].iter().find_map(|key| value.get(key)?.as_str()).map(str::to_owned);
    let detail = ["detail", "message", "error", "errors"].iter().find_map(|key| say(value.get(key)?));
    Words { detail: detail.or_else(|| say(&value)), code, ..Words::default() }
}

/// A message out of text, a list of them, or a map of fields to them.
pub fn say(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => {
            let parts: Vec<String> = list.iter().filter_map(say).collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        }
        Value::Object(map) => {
            if let Some(message) = map.get("message").and_then(Value::as_str) {
                return Some(message.to_owned());
            }
            let parts: Vec<String> =
                map.iter().filter_map(|(field, value)| Some(format!("{field}: {}", say(value)?))).collect();
            (!parts.is_empty()).then(|| parts.join("; "))
        }
        _ => None,
    }
}
