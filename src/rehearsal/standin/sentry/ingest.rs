//! The door that the DSN names, and reading back what went in.
//!
//! It guarantees that an event cannot be read for two to twenty seconds after it was taken, that one which was dropped never
//! can, and that a wrong key or project is refused in the relay's words.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::rows::CHECK_ISSUE;
use super::{ORGANISATION, PROJECT, PROJECT_ID, refusal};
use crate::rehearsal::draw::draw;
use crate::rehearsal::faults;
use crate::rehearsal::standin::site::{Site, stamp};
use crate::rehearsal::state::Received;

/// More events than this are forgotten, the oldest first.
const KEPT: usize = 1_000;

fn key_of(headers: &HeaderMap, query: &Query<Vec<(String, String)>>) -> Option<String> {
    let header = headers.get("x-sentry-auth").and_then(|value| value.to_str().ok());
    let from_header = header.and_then(|text| {
        let parts = text.trim_start_matches("Sentry").split(',');
        parts.filter_map(|part| part.trim().strip_prefix("sentry_key=")).map(str::to_owned).next()
    });
    from_header.or_else(|| query.iter().find(|(key, _)| key == "sentry_key").map(|(_, value)| value.clone()))
}

/// The events of an envelope, or why it is none.
fn parse(body: &[u8]) -> Result<(Value, Vec<Value>), &'static str> {
    let line = |rest: &mut &[u8]| {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        *rest = after.get(1..).unwrap_or_default();
        line.to_vec()
    };
    let mut rest = body;
    let head: Value = serde_json::from_slice(&line(&mut rest)).map_err(|_| "invalid event envelope")?;
    let mut events = Vec::new();
    while !rest.is_empty() {
        let first = line(&mut rest);
        if first.is_empty() {
            continue;
        }
        let item: Value = serde_json::from_slice(&first).map_err(|_| "invalid item header")?;
        let payload = match item["length"].as_u64().map(usize::try_from) {
            Some(Ok(length)) => {
                let payload = rest.get(..length).ok_or("unexpected end of envelope payload")?.to_vec();
                rest = rest.get(length..).unwrap_or_default();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                payload
            }
            _ => line(&mut rest),
        };
        if item["type"] == "event" {
            events.push(serde_json::from_slice(&payload).map_err(|_| "invalid event payload")?);
        }
    }
    Ok((head, events))
}

pub(super) async fn envelope(
    State(site): State<Site>,
    Path(project): Path<String>,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    if site.out() {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "event submission failed");
    }
    if site.throttled() {
        let limits = [(header::RETRY_AFTER, "60")];
        return (
            limits,
            refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "Sentry dropped data due to a quota or internal rate limit being reached",
            ),
        )
            .into_response();
    }
    let Some(key) = key_of(&headers, &query) else {
        return refusal(StatusCode::UNAUTHORIZED, "missing authorization information");
    };
    if key != site.keys.sentry_public || project != PROJECT_ID.to_string() {
        return refusal(StatusCode::FORBIDDEN, "event submission rejected with_reason: ProjectId");
    }
    let (head, events) = match parse(&body) {
        Ok(parsed) => parsed,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, why),
    };
    let id = head["event_id"]
        .as_str()
        .or(events.first().and_then(|event| event["event_id"].as_str()))
        .unwrap_or_default()
        .to_owned();
    let silent = site.world.change(|state, now| {
        if faults::any(&state.faults, "sentry-silent", now) {
            return true;
        }
        for mut event in events {
            if event["event_id"].is_null() {
                event["event_id"] = id.as_str().into();
            }
            // The same event again changes nothing.
            if state.envelopes.iter().any(|known| known.body["event_id"] == event["event_id"]) {
                continue;
            }
            let delay = 2_000 + draw(state.seed, &[51, state.envelopes.len() as u64]) % 18_000;
            let visible = now + TimeDelta::milliseconds(delay.cast_signed());
            state.envelopes.push(Received { at: now, visible, body: event });
        }
        let over = state.envelopes.len().saturating_sub(KEPT);
        state.envelopes.drain(..over);
        false
    });
    let mut answer = Json(json!({"id": id})).into_response();
    if silent {
        answer.headers_mut().insert(
            "x-sentry-rate-limits",
            HeaderValue::from_static("60:error;transaction:key:quota_reason, 2700::organization"),
        );
    }
    answer
}

fn read_back(site: &Site, id: &str) -> Option<Value> {
    let now = site.now();
    let bare = id.replace('-', "");
    let received = site.world.read(|state| {
        state.envelopes.iter().find(|event| event.body["event_id"] == *bare && event.visible <= now).cloned()
    })?;
    let event = received.body;
    let title =
        event["message"]["formatted"].as_str().or(event["message"].as_str()).unwrap_or("<unlabeled event>");
    let mut tags: Vec<Value> = ["environment", "level", "release"]
        .iter()
        .filter_map(|key| event[*key].as_str().map(|value| json!({"key": key, "value": value})))
        .collect();
    tags.extend(
        event["tags"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| json!({"key": key, "value": value})),
    );
    Some(
        json!({"id": bare, "eventID": bare, "groupID": CHECK_ISSUE.id, "projectID": PROJECT_ID.to_string(), "title": title,
        "message": title, "platform": event["platform"], "type": "default", "dateCreated": event["timestamp"],
        "dateReceived": stamp(received.at), "size": event.to_string().len(), "tags": tags, "entries": [], "contexts": {},
        "errors": [], "metadata": {"title": title}, "user": null, "sdk": null, "nextEventID": null}),
    )
}

fn missing() -> Response {
    refusal(StatusCode::NOT_FOUND, "The requested resource does not exist")
}

pub(super) async fn by_id(State(site): State<Site>, Path((_, id)): Path<(String, String)>) -> Response {
    let found = read_back(&site, &id);
    found.map_or_else(missing, |event| {
        Json(json!({"organizationSlug": ORGANISATION, "projectSlug": PROJECT, "groupId": CHECK_ISSUE.id, "eventId": event["id"],
            "event": event}))
        .into_response()
    })
}

pub(super) async fn of_project(
    State(site): State<Site>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Response {
    read_back(&site, &id).map_or_else(missing, |event| Json(event).into_response())
}
