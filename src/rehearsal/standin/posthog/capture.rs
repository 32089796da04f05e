//! The public door for events, and the list of what came through it.
//!
//! It guarantees that 200 means taken, not stored: events without a name or a person, and all while the quota is used up, are
//! dropped in silence; the rest can be read five to sixty seconds later. Errors here are plain text.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::rehearsal::draw::draw;
use crate::rehearsal::faults;
use crate::rehearsal::standin::site::{Site, is, stamp};
use crate::rehearsal::state::{Received, State as World};

/// More events than this are forgotten, the oldest first.
const KEPT: usize = 1_000;

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer, and is sent at once")]
fn admit(site: &Site, text: &str) -> Result<Value, Response> {
    if site.out() {
        return Err(plain(StatusCode::SERVICE_UNAVAILABLE, "transient error, please retry"));
    }
    if site.throttled() {
        return Err(plain(StatusCode::TOO_MANY_REQUESTS, "rate limited"));
    }
    let body: Value = serde_json::from_str(text)
        .map_err(|_| plain(StatusCode::BAD_REQUEST, "failed to parse request: invalid JSON"))?;
    let key = body["api_key"].as_str().or(body["token"].as_str()).or(body["properties"]["token"].as_str());
    match key {
        None => Err(plain(StatusCode::UNAUTHORIZED, "event submitted without an api_key")),
        key if is(key, &site.keys.posthog_project) => Ok(body),
        Some(_) => Err(plain(StatusCode::UNAUTHORIZED, "API key is not valid: not_authorized")),
    }
}

fn keep(state: &mut World, now: chrono::DateTime<chrono::Utc>, event: &Value) {
    let person =
        event["distinct_id"].as_str().or(event["properties"]["distinct_id"].as_str()).unwrap_or_default();
    if event["event"].as_str().is_none_or(str::is_empty) || person.is_empty() {
        return;
    }
    let mut event = event.clone();
    event["distinct_id"] = person.into();
    if !event["uuid"].is_string() {
        event["uuid"] = uuid::Uuid::new_v4().to_string().into();
    }
    if !event["timestamp"].is_string() {
        event["timestamp"] = stamp(now).into();
    }
    // The key has no place in what is kept, and the same event again changes nothing.
    if let Some(fields) = event.as_object_mut() {
        fields.remove("api_key");
        fields.remove("token");
    }
    if state.captured.iter().any(|known| known.body["uuid"] == event["uuid"]) {
        return;
    }
    let delay = 5_000 + draw(state.seed, &[71, state.captured.len() as u64]) % 55_000;
    state.captured.push(Received {
        at: now,
        visible: now + TimeDelta::milliseconds(delay.cast_signed()),
        body: event,
    });
    let over = state.captured.len().saturating_sub(KEPT);
    state.captured.drain(..over);
}

fn take(site: &Site, events: &[Value]) -> Response {
    site.world.change(|state, now| {
        if faults::any(&state.faults, "posthog-silent", now) {
            return Json(json!({"status": "Ok", "quota_limited": ["events"]})).into_response();
        }
        for event in events {
            keep(state, now, event);
        }
        Json(json!({"status": "Ok"})).into_response()
    })
}

pub(super) async fn one(State(site): State<Site>, text: String) -> Response {
    match admit(&site, &text) {
        Ok(event) => take(&site, &[event]),
        Err(refused) => refused,
    }
}

pub(super) async fn batch(State(site): State<Site>, text: String) -> Response {
    match admit(&site, &text) {
        Ok(body) => match body["batch"].as_array() {
            Some(events) => take(&site, events),
            None => plain(StatusCode::BAD_REQUEST, "batch is missing"),
        },
        Err(refused) => refused,
    }
}

/// The deprecated list of events; of those that were captured.
pub(super) async fn list(State(site): State<Site>, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let find = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let now = site.now();
    let wanted = |event: &&Received| {
        event.visible <= now
            && find("event").is_none_or(|name| event.body["event"] == name)
            && find("distinct_id").is_none_or(|person| event.body["distinct_id"] == person)
    };
    let results: Vec<Value> = site.world.read(|state| {
        let shown = state.captured.iter().rev().filter(wanted).take(100);
        let json = |event: &Received| {
            json!({"id": event.body["uuid"], "event": event.body["event"], "distinct_id": event.body["distinct_id"],
                "timestamp": event.body["timestamp"], "properties": event.body["properties"], "elements": []})
        };
        shown.map(json).collect()
    });
    Json(json!({"next": null, "results": results})).into_response()
}
