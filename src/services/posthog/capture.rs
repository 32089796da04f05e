//! The proof that PostHog receives: an event is sent, and read back through a query.
//!
//! Guarantees that "accepted" is never taken for "arrived": events are dropped behind a 200 for many reasons.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Hogql, PostHog, lenient};
use crate::services::error::{Effect, Fault, seconds};
use crate::services::request::Request;
use crate::services::retry::Poll;
use crate::services::{Answer, Outcome, ServiceError};

/// The event that checks are sent as.
pub const CHECK_EVENT: &str = "gonogo_check";

/// An event that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEvent {
    /// Its id.
    pub uuid: Uuid,
    /// When it says it was.
    pub timestamp: Option<DateTime<Utc>>,
    /// How long it took to become visible, by our clock.
    pub waited: Duration,
}

impl PostHog {
    /// Sends a check event that makes no person.
    pub async fn send_check(&self, mark: &str) -> Outcome<Uuid> {
        let (http, key) = self.public("send a check event")?;
        let uuid = Uuid::new_v4();
        let body = json!({
            "api_key": key, "event": CHECK_EVENT, "distinct_id": "gonogo-probe", "uuid": uuid,
            "timestamp": http.clock().now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "properties": {"check": mark, "$process_person_profile": false, "$lib": "gonogo"},
        });
        // The same uuid is the same event, however often it is sent.
        let reply =
            http.send(Request::post("i/v0/e/", "send a check event").repeatable().json(&body)).await?;
        let limited = reply.value().and_then(|body| body.get("quota_limited").cloned());
        if let Some(Value::Array(limited)) = limited
            && !limited.is_empty()
        {
            let detail = "the event was accepted and thrown away: the quota for events is used up".to_owned();
            return Err(http.fail(&reply, Fault::Quota(detail)));
        }
        Ok(Answer { value: uuid, receipt: reply.receipt })
    }

    /// Waits until a sent event can be read, at most `patience`.
    pub async fn see_event(&self, uuid: Uuid, patience: Duration) -> Outcome<SeenEvent> {
        let (first, longest) = (Duration::from_secs(2), Duration::from_secs(16));
        let mut poll = Poll::new(self.api.clock(), first, longest, patience);
        let query = Hogql {
            statement: format!(
                "SELECT uuid, event, timestamp FROM events WHERE event = '{CHECK_EVENT}' AND uuid = {{uuid}} \
                 AND timestamp >= now() - INTERVAL 1 HOUR LIMIT 1"
            ),
            values: Map::from_iter([("uuid".to_owned(), json!(uuid))]),
            name: "gonogo check event",
        };
        loop {
            let rows = self.query(&query).await?;
            if !rows.value.is_empty() {
                let timestamp =
                    rows.value.get(0, "timestamp").and_then(Value::as_str).and_then(lenient::time);
                return Ok(rows.map(|_| SeenEvent { uuid, timestamp, waited: poll.waited() }));
            }
            if !poll.again().await {
                let waited = seconds(poll.waited());
                let fault =
                    Fault::NotProven(format!("event {uuid} was accepted but is not visible after {waited}"));
                let error = ServiceError::new(
                    "PostHog",
                    "read the check event back",
                    fault,
                    Effect::Accepted,
                    rows.receipt,
                );
                return Err(error.advise("look at ingestion warnings and the quota in PostHog's settings"));
            }
        }
    }

    /// Sends a check event and waits until it can be read.
    pub async fn prove(&self, mark: &str, patience: Duration) -> Outcome<SeenEvent> {
        let sent = self.send_check(mark).await?;
        self.see_event(sent.value, patience).await
    }
}
