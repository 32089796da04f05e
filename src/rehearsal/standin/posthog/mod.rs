//! `PostHog`: the private API (queries, flags, annotations) and the public door for events and flags.
//!
//! It guarantees that the two keys are not interchangeable, that a missing scope is named, and the limits of personal keys. The
//! events are those of the shared traffic and what was captured.

mod capture;
mod evaluate;
mod flags;
mod hogql;
mod notes;
mod query;
mod rows;
#[cfg(test)]
mod tests;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::site::{Limit, Site, credential, is};

/// The project's number.
pub(super) const PROJECT: u64 = 81_422;

pub(super) fn router(site: Site) -> Router {
    let project = |rest: &str| format!("/api/projects/{{project}}/{rest}");
    Router::new()
        .route(&project("query/"), post(query::ask))
        .route(&project("query/{id}/"), get(query::status).delete(query::cancel))
        .route(&project("feature_flags/"), get(flags::list).post(flags::create))
        .route(&project("feature_flags/{id}/"), get(flags::one).patch(flags::change))
        .route(&project("feature_flags/{id}/status/"), get(flags::status))
        .route(&project("annotations/"), get(notes::list).post(notes::create))
        .route(&project("annotations/{id}/"), get(notes::one).patch(notes::change))
        .route(&project("events/"), get(capture::list))
        .method_not_allowed_fallback(async |request: Request| {
            let detail = format!("Method \"{}\" not allowed.", request.method());
            refusal(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "method_not_allowed", &detail)
        })
        .fallback(async || not_found())
        .layer(from_fn_with_state(site.clone(), guard))
        .with_state(site)
}

pub(super) fn ingest_router(site: Site) -> Router {
    Router::new()
        .route("/flags", post(evaluate::flags))
        .route("/flags/", post(evaluate::flags))
        .route("/decide", post(evaluate::decide))
        .route("/decide/", post(evaluate::decide))
        .route("/i/v0/e/", post(capture::one))
        .route("/capture/", post(capture::one))
        .route("/e/", post(capture::one))
        .route("/batch/", post(capture::batch))
        .fallback(async || (StatusCode::NOT_FOUND, "not found"))
        .with_state(site)
}

/// The vendor's error: always these four keys.
fn refusal(status: StatusCode, kind: &str, code: &str, detail: &str) -> Response {
    (status, Json(json!({"type": kind, "code": code, "detail": detail, "attr": null}))).into_response()
}

fn invalid(detail: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, "validation_error", "invalid_input", detail)
}

fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "invalid_request", "not_found", "Not found.")
}

/// The scope that a request needs.
fn scope(path: &str, method: &Method) -> (&'static str, &'static str) {
    let action = if method == Method::GET { "read" } else { "write" };
    match path.split('/').nth(4) {
        Some("feature_flags") => ("feature_flag", action),
        Some("annotations") => ("annotation", action),
        _ => ("query", "read"),
    }
}

async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    if site.out() {
        let detail = "Queries are a little too busy right now. Please try again in a few minutes.";
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "server_error", "error", detail);
    }
    let unauthorised = |code, detail| refusal(StatusCode::UNAUTHORIZED, "authentication_error", code, detail);
    let path = request.uri().path().to_owned();
    let (thing, action) = scope(&path, request.method());
    match credential(request.headers(), "Bearer") {
        None => return unauthorised("not_authenticated", "Authentication credentials were not provided."),
        key if is(key, &site.keys.posthog) => {}
        key if is(key, &site.keys.posthog_narrow) => {
            if action == "write" {
                let detail = format!("API key missing required scope '{thing}:{action}'");
                return refusal(StatusCode::FORBIDDEN, "authentication_error", "permission_denied", &detail);
            }
        }
        Some(_) => {
            let detail = "Personal API key found in request Authorization header is invalid.";
            return unauthorised("authentication_failed", detail);
        }
    }
    let project = path.split('/').nth(3).unwrap_or_default();
    if project != PROJECT.to_string() && project != "@current" {
        let detail = "You don't have access to the project.";
        return refusal(StatusCode::FORBIDDEN, "authentication_error", "permission_denied", detail);
    }
    let (minute, hour) = if thing == "query" { (240, 2_400) } else { (480, 4_800) };
    let windows = [(minute, TimeDelta::minutes(1)), (hour, TimeDelta::hours(1))];
    for (place, (most, window)) in windows.into_iter().enumerate() {
        let left = site.limits.take(&format!("{thing} {place}"), Limit { most, window }, site.now());
        if !left.allowed || site.throttled() {
            let wait = left.wait(site.now());
            let detail = format!("Request was throttled. Expected available in {wait} seconds.");
            let body = refusal(StatusCode::TOO_MANY_REQUESTS, "throttled_error", "throttled", &detail);
            return ([(header::RETRY_AFTER, wait.to_string())], body).into_response();
        }
    }
    next.run(request).await
}

/// A page of a list, with absolute links to the next and the last.
fn paged(site: &Site, path: &str, query: &[(String, String)], list: &[Value]) -> Response {
    let number = |name: &str, default: usize| {
        query.iter().find(|(key, _)| key == name).and_then(|(_, text)| text.parse().ok()).unwrap_or(default)
    };
    let (limit, offset) = (number("limit", 100).clamp(1, 100), number("offset", 0));
    let results: Vec<&Value> = list.iter().skip(offset).take(limit).collect();
    let kept = query.iter().filter(|(key, _)| key != "limit" && key != "offset");
    let kept = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish();
    let link = |offset: usize| format!("{}{path}?limit={limit}&offset={offset}&{kept}", site.base);
    let next = (offset + results.len() < list.len()).then(|| link(offset + limit));
    let previous = (offset > 0).then(|| link(offset.saturating_sub(limit)));
    Json(json!({"count": list.len(), "next": next, "previous": previous, "results": results})).into_response()
}
