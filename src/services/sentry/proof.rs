//! The proof that Sentry receives: an event is sent the way the app's SDK does, and read back through the API.
//!
//! Guarantees that "accepted" is never taken for "arrived". It proves the DSN and the pipeline, not the browser: for that see
//! [`Sentry::browser_errors`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderName;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Sentry, dsn, iso};
use crate::services::error::{Effect, Fault, seconds};
use crate::services::request::{Request, segment};
use crate::services::retry::Poll;
use crate::services::{Answer, Outcome, ServiceError, lenient};

/// A check event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckEvent {
    /// A mark that tells this check from others.
    pub mark: String,
    /// The environment it claims.
    pub environment: String,
    /// The release it claims.
    pub release: Option<String>,
}

/// An event that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentEvent {
    /// Its id, 32 hexadecimal digits.
    pub event_id: String,
    /// How long the ingestion will refuse errors from now on, if it said so along with its yes.
    pub limited: Option<Duration>,
}

/// An event that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEvent {
    /// Its id.
    pub event_id: String,
    /// The issue it went into.
    pub issue: Option<String>,
    /// When Sentry received it.
    pub received: Option<DateTime<Utc>>,
    /// How long it took to become visible, by our clock.
    pub waited: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEvent {
    #[serde(default, rename = "groupID", deserialize_with = "lenient::maybe_id")]
    group_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::maybe_time")]
    date_received: Option<DateTime<Utc>>,
}

impl Sentry {
    /// Sends a check event that every count leaves out.
    pub async fn send_check(&self, check: &CheckEvent) -> Outcome<SentEvent> {
        let Some((dsn, ingest)) = &self.ingest else {
            let problem = "no DSN is set, so no event can be sent";
            return Err(
                ServiceError::setup("Sentry", "send a check event", problem).advise("set the project's DSN")
            );
        };
        let event_id = Uuid::new_v4().simple().to_string();
        let now = iso(self.http.clock().now());
        let event = json!({
            "event_id": event_id, "timestamp": now, "platform": "other", "level": "info", "logger": "gonogo",
            "environment": check.environment, "release": check.release,
            "message": {"formatted": format!("gonogo check {}", check.mark)},
            "tags": {"gonogo.check": check.mark}, "fingerprint": ["gonogo-check"],
        })
        .to_string();
        let head = json!({"event_id": event_id, "dsn": dsn.whole().expose_secret(), "sent_at": now});
        let item = json!({"type": "event", "length": event.len()});
        let auth = format!(
            "Sentry sentry_version=7, sentry_key={}, sentry_client=gonogo/1.0",
            dsn.key().expose_secret()
        );
        let request = Request::post(dsn.envelope_path(), "send a check event")
            .header(HeaderName::from_static("x-sentry-auth"), &auth)
            .raw("application/x-sentry-envelope", format!("{head}\n{item}\n{event}\n").into_bytes())
            .repeatable();
        let reply = ingest.send(request).await?;
        let limited = dsn::limited(&reply.headers);
        Ok(Answer { value: SentEvent { event_id, limited }, receipt: reply.receipt })
    }

    /// Waits until a sent event can be read, at most `patience`.
    pub async fn see_event(&self, event_id: &str, patience: Duration) -> Outcome<SeenEvent> {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(8));
        let mut poll = Poll::new(self.http.clock(), first, longest, patience);
        let (org, project) = (segment(&self.config.org), segment(&self.config.project));
        let path = format!("api/0/projects/{org}/{project}/events/{}/", segment(event_id));
        loop {
            let request =
                Request::get(&path, "read the check event back").needs("project:read").welcome(&[404]);
            let reply = self.http.send(request).await?;
            if reply.status != 404 {
                let seen: Answer<Value> = self.http.read(&reply)?;
                // One endpoint wraps the event, the other does not.
                let event = seen.value.get("event").cloned().unwrap_or(seen.value);
                let event = RawEvent::deserialize(&event)
                    .map_err(|error| self.http.unreadable(&reply, &error.to_string()))?;
                let value = SeenEvent {
                    event_id: event_id.to_owned(),
                    issue: event.group_id,
                    received: event.date_received,
                    waited: poll.waited(),
                };
                return Ok(Answer { value, receipt: seen.receipt });
            }
            if !poll.again().await {
                let fault = Fault::NotProven(format!(
                    "event {event_id} was accepted but is not visible after {}",
                    seconds(poll.waited())
                ));
                let advice =
                    "look at inbound filters, quota and Sentry's backlog (Stats page of the organisation)";
                return Err(self.http.fail(&reply, fault).with_effect(Effect::Accepted).advise(advice));
            }
        }
    }

    /// Sends a check event and waits until it can be read.
    pub async fn prove(&self, check: &CheckEvent, patience: Duration) -> Outcome<SeenEvent> {
        let sent = self.send_check(check).await?;
        self.see_event(&sent.value.event_id, patience).await
    }
}
