//! The query endpoint: a statement in, rows out, at once or later.
//!
//! It guarantees that an answer is computed anew only where the question asks for it: the default may be a cached one, minutes
//! old, as at the vendor.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::hogql::{Refused, parse, run};
use super::rows::Events;
use super::{PROJECT, invalid, not_found, refusal};
use crate::rehearsal::standin::site::{Site, hex, stamp};

/// How long an answer may be served from the cache where nobody asked for a fresh one.
const CACHED: TimeDelta = TimeDelta::minutes(5);
/// How long an asynchronous query takes.
const LATER: TimeDelta = TimeDelta::seconds(4);

fn compute(site: &Site, question: &Value, at: DateTime<Utc>) -> Result<Value, Refused> {
    let text = question["query"].as_str().ok_or_else(|| Refused::Invalid("query: Field required".into()))?;
    let select = parse(text, &question["values"])?;
    let since = select.since(at)?;
    let events = site.world.read(|state| Events::read(state, since, at));
    let answer = run(&select, &events, at)?;
    let types: Vec<_> = answer.columns.iter().zip(&answer.types).collect();
    Ok(
        json!({"results": answer.rows, "columns": answer.columns, "types": types, "hasMore": answer.more, "limit": answer.limit,
        "offset": answer.offset, "error": null, "hogql": text, "clickhouse": null, "timings": [{"k": ".", "t": 0.21}],
        "is_cached": false, "cache_key": "", "last_refresh": stamp(at), "next_allowed_client_refresh": stamp(at + TimeDelta::minutes(1)),
        "query_status": null, "modifiers": {}, "metadata": null, "query": text, "resolved_date_range": null}),
    )
}

fn refused(why: &Refused) -> Response {
    match why {
        Refused::Invalid(detail) => invalid(detail),
        Refused::Unbounded => {
            let detail = "Estimated query execution time is too long. Try reducing its scope by changing the time range.";
            let status = StatusCode::from_u16(512).unwrap_or(StatusCode::GATEWAY_TIMEOUT);
            refusal(status, "server_error", "estimated_time_too_long", detail)
        }
    }
}

pub(super) async fn ask(State(site): State<Site>, text: String) -> Response {
    let Ok(body) = serde_json::from_str::<Value>(&text) else {
        return refusal(StatusCode::BAD_REQUEST, "validation_error", "parse_error", "JSON parse error");
    };
    let question = &body["query"];
    if question["kind"] != "HogQLQuery" {
        return invalid(&format!("Input tag {} found using 'kind' is not supported here", question["kind"]));
    }
    let now = site.now();
    let how = body["refresh"].as_str().unwrap_or("blocking");
    if how.contains("async") {
        return begin(&body, now);
    }
    // A cached answer is the one that was true at the beginning of its five minutes.
    let fresh = how.starts_with("force_blocking") || body["refresh"] == true;
    let at = if fresh {
        now
    } else {
        DateTime::from_timestamp(now.timestamp().div_euclid(CACHED.num_seconds()) * CACHED.num_seconds(), 0)
            .unwrap_or(now)
    };
    match compute(&site, question, at) {
        Ok(mut answer) => {
            answer["is_cached"] = (!fresh).into();
            answer["cache_key"] = format!("cache_{PROJECT}_{:x}", at.timestamp()).into();
            Json(answer).into_response()
        }
        Err(why) => refused(&why),
    }
}

/// An asynchronous query's id holds the question and the moment: nothing has to be remembered for it.
fn begin(body: &Value, now: DateTime<Utc>) -> Response {
    let packed = json!([now.timestamp_millis(), body["query"]]).to_string();
    let id = hex(packed.as_bytes());
    let status = json!({"id": id, "team_id": PROJECT, "complete": false, "error": false, "error_message": null, "query_async": true,
        "results": null, "start_time": stamp(now), "end_time": null, "expiration_time": stamp(now + TimeDelta::hours(1)),
        "query_progress": {"rows_read": 0}});
    (StatusCode::ACCEPTED, Json(json!({"query_status": status}))).into_response()
}

fn unpack(id: &str) -> Option<(DateTime<Utc>, Value)> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = id.as_bytes().chunks(2).map(byte).collect();
    let packed: Value = serde_json::from_slice(&bytes?).ok()?;
    Some((DateTime::from_timestamp_millis(packed[0].as_i64()?)?, packed[1].clone()))
}

pub(super) async fn status(State(site): State<Site>, Path((_, id)): Path<(String, String)>) -> Response {
    let Some((begun, question)) = unpack(&id) else { return not_found() };
    let now = site.now();
    let complete = now >= begun + LATER;
    let mut status = json!({"id": id, "team_id": PROJECT, "complete": complete, "error": false, "error_message": null, "query_async": true,
        "results": null, "start_time": stamp(begun), "end_time": complete.then(|| stamp(begun + LATER))});
    if complete {
        match compute(&site, &question, begun) {
            Ok(answer) => status["results"] = answer,
            Err(why) => {
                status["error"] = true.into();
                let Refused::Invalid(detail) = why else { return refused(&why) };
                status["error_message"] = detail.into();
            }
        }
    }
    Json(json!({"query_status": status})).into_response()
}

pub(super) async fn cancel(Path((_, id)): Path<(String, String)>) -> Response {
    if unpack(&id).is_some() { StatusCode::NO_CONTENT.into_response() } else { not_found() }
}
