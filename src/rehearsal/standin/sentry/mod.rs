//! Sentry: the API that counts what the application's visitors ran into, and the ingestion behind the DSN.
//!
//! It guarantees Sentry's ways at the door: slashes at the end, Bearer tokens with scopes, limits in headers and a 429 that
//! claims to be HTML. All numbers come from the shared traffic and from what the DSN took in.

mod ask;
mod health;
mod ingest;
mod issues;
mod releases;
mod rows;
mod search;
mod series;
mod table;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::host_of;
use super::site::{Left, Limit, Site, credential, is};

/// The organisation's slug.
pub(super) const ORGANISATION: &str = "logos";
/// The project's slug.
pub(super) const PROJECT: &str = "crm-web";
const PROJECT_ID: u64 = 4_509_062_593_708_032;

pub(super) fn router(site: Site) -> Router {
    let organisation = |rest: &str| format!("/api/0/organizations/{{organisation}}/{rest}");
    let project = |rest: &str| format!("/api/0/projects/{{organisation}}/{{project}}/{rest}");
    Router::new()
        .route(&organisation("events/"), get(table::events))
        .route(&organisation("events-timeseries/"), get(series::timeseries))
        .route(&organisation("events-stats/"), get(series::stats))
        .route(&organisation("issues/"), get(issues::list))
        .route(&organisation("releases/"), get(releases::list).post(releases::create))
        .route(&organisation("releases/{version}/"), get(releases::one))
        .route(&organisation("releases/{version}/deploys/"), get(releases::deploys).post(releases::deploy))
        .route(&organisation("sessions/"), get(health::sessions))
        .route(&organisation("stats_v2/"), get(health::volume))
        .route(&organisation("eventids/{event}/"), get(ingest::by_id))
        .route(&project("events/{event}/"), get(ingest::of_project))
        .route(&project("keys/"), get(keys))
        .route(&project(""), get(the_project))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "The requested resource does not exist"))
        .layer(from_fn_with_state(site.clone(), guard))
        .with_state(site)
}

pub(super) fn ingest_router(site: Site) -> Router {
    Router::new().route("/api/{project}/envelope/", post(ingest::envelope)).with_state(site)
}

/// The DSN of the project at this ingestion address.
pub(super) fn dsn(ingest: &str, public: &str) -> String {
    format!("http://{public}@{}/{PROJECT_ID}", host_of(ingest))
}

fn refusal(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"detail": detail}))).into_response()
}

async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    if site.out() {
        return super::site::html(StatusCode::SERVICE_UNAVAILABLE, "503 Service Temporarily Unavailable");
    }
    let path = request.uri().path();
    let narrow = match credential(request.headers(), "Bearer") {
        None => return refusal(StatusCode::UNAUTHORIZED, "Authentication credentials were not provided."),
        token if is(token, &site.keys.sentry) => false,
        token if is(token, &site.keys.sentry_narrow) => true,
        Some(_) => return refusal(StatusCode::UNAUTHORIZED, "Invalid token"),
    };
    let parts: Vec<&str> = path.split('/').collect();
    if narrow
        && (path.ends_with("/issues/") || (parts.contains(&"releases") && request.method() == Method::POST))
    {
        return refusal(StatusCode::FORBIDDEN, "You do not have permission to perform this action.");
    }
    if parts.get(4).is_some_and(|organisation| *organisation != ORGANISATION) {
        return refusal(StatusCode::NOT_FOUND, "The requested resource does not exist");
    }
    if parts.get(3) == Some(&"projects")
        && let Some(other) =
            parts.get(5).filter(|project| **project != PROJECT && **project != PROJECT_ID.to_string())
    {
        return renamed(other);
    }
    let events = parts.get(5).is_some_and(|part| part.starts_with("events"));
    let (most, seconds) = if events { (1_000, 300) } else { (40, 1) };
    let key = parts.get(5).copied().unwrap_or_default();
    let limit = Limit { most, window: TimeDelta::seconds(seconds) };
    let mut left = site.limits.take(key, limit, site.now());
    left.allowed &= !site.throttled();
    let answer = if left.allowed { next.run(request).await } else { too_many(most, seconds) };
    with_limits(answer, &left)
}

/// A project that had another name once.
fn renamed(slug: &str) -> Response {
    if slug != "crm-frontend" {
        return refusal(StatusCode::NOT_FOUND, "The requested resource does not exist");
    }
    let url = format!("/api/0/projects/{ORGANISATION}/{PROJECT}/");
    let body = json!({"slug": PROJECT, "detail": {"extra": {"url": url, "slug": PROJECT}, "code": "resource-moved"}});
    (StatusCode::FOUND, [(header::LOCATION, url)], Json(body)).into_response()
}

fn too_many(most: u32, seconds: i64) -> Response {
    let text = json!({"detail": format!("You are attempting to use this endpoint too frequently. Limit is {most} requests \
        in {seconds} seconds")});
    (StatusCode::TOO_MANY_REQUESTS, [(header::CONTENT_TYPE, "text/html")], text.to_string()).into_response()
}

fn with_limits(mut answer: Response, left: &Left) -> Response {
    for (name, value) in [
        ("x-sentry-rate-limit-limit", i64::from(left.limit.most)),
        ("x-sentry-rate-limit-remaining", i64::from(left.remaining)),
        ("x-sentry-rate-limit-reset", left.resets.timestamp()),
        ("x-sentry-rate-limit-concurrentlimit", 25),
        ("x-sentry-rate-limit-concurrentremaining", 24),
    ] {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    answer
}

/// Turns a list into a page of it with Sentry's `Link` header.
fn page(site: &Site, path: &str, list: &[Value], cursor: Option<&str>, limit: usize) -> Response {
    let offset = cursor.and_then(|cursor| cursor.split(':').nth(1)?.parse().ok()).unwrap_or(0);
    let shown: Vec<&Value> = list.iter().skip(offset).take(limit).collect();
    let link = |rel: &str, offset: usize, results: bool| {
        format!(
            "<{}{path}?cursor=0:{offset}:{back}>; rel=\"{rel}\"; results=\"{results}\"; cursor=\"0:{offset}:{back}\"",
            site.base,
            back = u8::from(rel == "previous"),
        )
    };
    let next = offset + shown.len();
    let links = format!(
        "{}, {}",
        link("previous", offset.saturating_sub(limit), offset > 0),
        link("next", next, next < list.len())
    );
    ([(header::LINK, links)], Json(json!(shown))).into_response()
}

async fn the_project(State(site): State<Site>) -> Response {
    let started = site.world.read(|state| state.started);
    Json(json!({"id": PROJECT_ID.to_string(), "slug": PROJECT, "name": PROJECT, "platform": "javascript-react",
        "dateCreated": super::site::stamp(started - TimeDelta::days(400)), "status": "active", "hasSessions": true,
        "organization": {"id": "1", "slug": ORGANISATION, "name": "Logos"}, "features": ["releases"]}))
    .into_response()
}

async fn keys(State(site): State<Site>, Path(_): Path<(String, String)>) -> Response {
    let public = &site.keys.sentry_public;
    let dsn = format!("https://{public}@o123.ingest.us.sentry.io/{PROJECT_ID}");
    Json(json!([{"id": public, "name": "Default", "public": public, "isActive": true, "rateLimit": null,
        "projectId": PROJECT_ID, "dsn": {"public": dsn}}]))
    .into_response()
}
