//! Pulse as it answers: profiles by the page, interactions, insights, the Google job, all behind a bearer token.
//!
//! It guarantees the limits a minute, their headers and the refusals in Pulse's own words. What a profile says comes from
//! `people`, never from here.

mod people;

use std::str::FromStr;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use self::people::People;
use super::site::{Left, Limit, Site, credential, is, stamp};

/// Requests for fewer profiles than this are somebody looking, not an import.
const A_PAGE: usize = 10;

pub(super) fn router(site: Site) -> Router {
    Router::new()
        .route("/api/contacts/relationship-profiles", get(profiles))
        .route("/api/contacts/google-sync/trigger", post(start_job))
        .route("/api/contacts/google-sync/status/{job}", get(job))
        .route("/api/contacts/{profile}/interactions", get(interactions))
        .route("/api/contacts/{profile}/ai-insights", get(insights))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "not_found", "no such resource"))
        .layer(from_fn_with_state(site.clone(), guard))
        .with_state(site)
}

fn refusal(status: StatusCode, error: &str, message: &str) -> Response {
    (status, Json(json!({"error": error, "message": message}))).into_response()
}

async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let now = site.now();
    if site.out() {
        return refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            "Pulse is temporarily unavailable",
        );
    }
    // As it is now: a token lasts an hour, and the next one is another.
    let key = site.world.read(|state| state.credentials.pulse.clone());
    if !is(credential(request.headers(), "Bearer"), &key) || expired(&site, now) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the access token is missing, invalid or expired",
        );
    }
    let (key, most) = bucket(request.uri());
    let mut left = site.limits.take(&key, Limit { most, window: TimeDelta::seconds(60) }, now);
    left.allowed &= !site.throttled();
    let mut answer = if left.allowed { next.run(request).await } else { too_many(&left, now) };
    for (name, value) in [
        ("x-ratelimit-limit", i64::from(left.limit.most)),
        ("x-ratelimit-remaining", i64::from(left.remaining)),
        ("x-ratelimit-reset", left.resets.timestamp()),
    ] {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    answer
}

fn expired(site: &Site, now: DateTime<Utc>) -> bool {
    site.world.read(|state| {
        let lasts = state.scenario.pulse.key_lasts_minutes;
        lasts.is_some_and(|minutes| now >= state.pulse_key_since + TimeDelta::minutes(i64::from(minutes)))
    })
}

/// Which limit a request counts against, and how many a minute it allows.
fn bucket(uri: &Uri) -> (String, u32) {
    let path = uri.path();
    if path.ends_with("/relationship-profiles") {
        ("profiles".into(), 60)
    } else if path.ends_with("/interactions") {
        ("interactions".into(), 30)
    } else if path.ends_with("/ai-insights") {
        (path.into(), 10)
    } else {
        ("single".into(), 120)
    }
}

fn too_many(left: &Left, now: DateTime<Utc>) -> Response {
    let wait = left.wait(now);
    let body = json!({"error": "rate_limit_exceeded", "message": format!("Too many requests, try again in {wait} seconds"),
        "retry_after_seconds": wait});
    let mut answer = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    // Sometimes there is the header as well: here, in every second minute.
    if left.resets.timestamp() / 60 % 2 == 0 {
        answer.headers_mut().insert("retry-after", HeaderValue::from(wait));
    }
    answer
}

type Params = Query<Vec<(String, String)>>;

fn find<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A number between bounds, the default without it, or why not.
fn number<T: FromStr + PartialOrd + Copy + std::fmt::Display>(
    params: &Params,
    name: &str,
    default: T,
    least: T,
    most: T,
) -> Result<T, String> {
    let Some(text) = find(params, name) else { return Ok(default) };
    let parsed = text.parse().ok().filter(|value| *value >= least && *value <= most);
    parsed.ok_or_else(|| format!("{name} must be a number from {least} to {most}"))
}

fn invalid(message: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, "invalid_request", message)
}

async fn profiles(State(site): State<Site>, params: Params) -> Response {
    let bounds = number(&params, "limit", 100, 1, 1_000)
        .and_then(|limit| Ok((limit, number(&params, "offset", 0, 0, usize::MAX)?)));
    let (limit, offset) = match bounds {
        Ok(bounds) => bounds,
        Err(why) => return invalid(&why),
    };
    let since = match find(&params, "modified_since").map(DateTime::parse_from_rfc3339) {
        Some(Err(_)) => return invalid("modified_since must be an ISO 8601 timestamp"),
        Some(Ok(since)) => Some(since.to_utc()),
        None => None,
    };
    let people = site.world.read(|state| People::of(state, site.now()));
    let listed = people.list(since, find(&params, "email"));
    let annotated = find(&params, "include_annotations") != Some("false");
    let page: Vec<Value> =
        listed.iter().skip(offset).take(limit).map(|index| people.profile(*index, annotated)).collect();
    if page.len() >= A_PAGE {
        site.world.pulse_page_served();
    }
    let has_more = offset.saturating_add(page.len()) < listed.len();
    Json(json!({"data": page, "pagination": {"total": listed.len(), "limit": limit, "offset": offset, "has_more": has_more},
        "api_revision": "2026-09"}))
    .into_response()
}

async fn interactions(State(site): State<Site>, Path(id): Path<String>, params: Params) -> Response {
    let bounds = number(&params, "limit", 30, 1, 100)
        .and_then(|limit| Ok((limit, number(&params, "days", 30, 1, 90)?)));
    let (limit, days) = match bounds {
        Ok(bounds) => bounds,
        Err(why) => return invalid(&why),
    };
    let people = site.world.read(|state| People::of(state, site.now()));
    let Some(index) = people.index_of(&id) else {
        return refusal(StatusCode::NOT_FOUND, "not_found", "no such profile");
    };
    let types: Vec<&str> = find(&params, "types").map(|types| types.split(',').collect()).unwrap_or_default();
    let mut list = people.interactions(index, days);
    list.retain(|one| {
        types.is_empty() || one["interaction_type"].as_str().is_some_and(|kind| types.contains(&kind))
    });
    let mut by_type = serde_json::Map::new();
    for one in &list {
        if let Some(kind) = one["interaction_type"].as_str() {
            let count = by_type.get(kind).and_then(Value::as_u64).unwrap_or(0) + 1;
            by_type.insert(kind.to_owned(), count.into());
        }
    }
    let sum: f64 = list.iter().filter_map(|one| one["sentiment_score"].as_f64()).sum();
    let average = (!list.is_empty()).then(|| sum / list.len() as f64);
    let summary = json!({"total_interactions": list.len(), "by_type": by_type, "average_sentiment": average,
        "top_topics": ["fundraising"]});
    list.truncate(limit);
    Json(json!({"profile_id": id, "interactions": list, "summary": summary})).into_response()
}

async fn insights(State(site): State<Site>, Path(id): Path<String>) -> Response {
    let people = site.world.read(|state| People::of(state, site.now()));
    match people.index_of(&id).filter(|index| index % 3 == 0) {
        Some(_) => Json(json!({"profile_id": id, "summary": "Writes often and answers within a day.",
            "suggested_actions": ["Thank for the last gift"], "generated_at": stamp(site.now())}))
        .into_response(),
        None => refusal(StatusCode::NOT_FOUND, "not_found", "no insights for this profile"),
    }
}

async fn start_job(State(site): State<Site>) -> Response {
    let job = format!("gsync_{}", site.now().timestamp_millis());
    (StatusCode::ACCEPTED, Json(json!({"sync_job_id": job, "status": "queued"}))).into_response()
}

/// The job's number is the moment it began, and it takes a minute: no state is needed to know how far it is.
async fn job(State(site): State<Site>, Path(id): Path<String>) -> Response {
    let begun = id
        .strip_prefix("gsync_")
        .and_then(|millis| millis.parse().ok())
        .and_then(DateTime::from_timestamp_millis);
    let Some(begun) = begun else { return refusal(StatusCode::NOT_FOUND, "not_found", "no such job") };
    let total = site.world.read(|state| i64::from(state.contacts));
    let done = (total * (site.now() - begun).num_milliseconds().clamp(0, 60_000)) / 60_000;
    let status = if done == total { "completed" } else { "running" };
    Json(json!({"sync_job_id": id, "status": status, "progress": {"total_contacts": total, "processed": done,
        "created": done / 10, "updated": done - done / 10, "skipped": 0, "errors": 0}}))
    .into_response()
}
