//! `PagerDuty`'s events: alerts that a key opens and closes, and changes beside them.
//!
//! It guarantees that what it was sent is kept in the world, and that one key makes one alert however often it is sent.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::site::{Site, is};
use crate::rehearsal::state::Sent;

pub(super) fn router(site: Site) -> Router {
    Router::new()
        .route("/v2/enqueue", post(enqueue))
        .route("/v2/change/enqueue", post(change))
        .with_state(site)
}

fn invalid(errors: &[&str]) -> Response {
    let body = json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// What stands before any event: the outage, the limit, the body and the key.
#[expect(clippy::result_large_err, reason = "the refusal is the answer, and is sent at once")]
fn admit(site: &Site, text: &str) -> Result<Value, Response> {
    if site.out() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "service unavailable").into_response());
    }
    if site.throttled() {
        let body = json!({"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly. \
            Please retry later."});
        return Err((StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response());
    }
    let event: Value = serde_json::from_str(text).map_err(|_| invalid(&["JSON parse error"]))?;
    let key = event["routing_key"].as_str();
    if key.is_none_or(|key| key.trim().is_empty()) {
        return Err(invalid(&["'routing_key' is missing or blank"]));
    }
    if !is(key, &site.keys.pagerduty) {
        return Err(invalid(&["'routing_key' is invalid"]));
    }
    Ok(event)
}

fn keep(site: &Site, call: &str, body: Value) {
    site.world.change(|state, at| state.pagerduty.push(Sent { at, call: call.into(), body }));
}

async fn enqueue(State(site): State<Site>, text: String) -> Response {
    let mut event = match admit(&site, &text) {
        Ok(event) => event,
        Err(refused) => return refused,
    };
    let mut errors = Vec::new();
    match event["event_action"].as_str() {
        Some("trigger") => {
            let severities = ["critical", "error", "warning", "info"];
            if !event["payload"]["severity"].as_str().is_some_and(|severity| severities.contains(&severity)) {
                errors.push("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')");
            }
            for (field, error) in [
                ("summary", "'payload.summary' is missing or blank"),
                ("source", "'payload.source' is missing or blank"),
            ] {
                if event["payload"][field].as_str().is_none_or(str::is_empty) {
                    errors.push(error);
                }
            }
        }
        Some("acknowledge" | "resolve") if event["dedup_key"].is_string() => {}
        Some("acknowledge" | "resolve") => errors.push("'dedup_key' is missing or blank"),
        _ => errors.push("'event_action' is missing or invalid"),
    }
    if !errors.is_empty() {
        return invalid(&errors);
    }
    if !event["dedup_key"].is_string() {
        event["dedup_key"] = uuid::Uuid::new_v4().simple().to_string().into();
    }
    let key = event["dedup_key"].clone();
    keep(&site, "enqueue", event);
    let body = json!({"status": "success", "message": "Event processed", "dedup_key": key});
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

async fn change(State(site): State<Site>, text: String) -> Response {
    let event = match admit(&site, &text) {
        Ok(event) => event,
        Err(refused) => return refused,
    };
    if event["payload"]["summary"].as_str().is_none_or(str::is_empty) {
        return invalid(&["'payload.summary' is missing or blank"]);
    }
    keep(&site, "change/enqueue", event);
    (StatusCode::ACCEPTED, Json(json!({"status": "success", "message": "Change event processed"})))
        .into_response()
}
