//! Annotations: marks on the time line of every chart.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{invalid, not_found, paged};
use crate::rehearsal::standin::site::{Site, stamp};

const SCOPES: [&str; 4] = ["project", "organization", "dashboard", "dashboard_item"];

pub(super) async fn list(
    State(site): State<Site>,
    Path(project): Path<String>,
    Query(asked): Query<Vec<(String, String)>>,
) -> Response {
    let alive = |note: &&Value| note["deleted"] == false;
    let list: Vec<Value> =
        site.world.read(|state| state.annotations.iter().rev().filter(alive).cloned().collect());
    paged(&site, &format!("/api/projects/{project}/annotations/"), &asked, &list)
}

pub(super) async fn create(State(site): State<Site>, text: String) -> Response {
    let asked: Value = serde_json::from_str(&text).unwrap_or_default();
    let scope = asked["scope"].as_str().unwrap_or("project");
    if asked["content"].as_str().is_none_or(|content| content.is_empty() || content.len() > 8_192) {
        return invalid("content must be between 1 and 8192 characters");
    }
    if !SCOPES.contains(&scope) {
        return invalid(&format!("\"{scope}\" is not a valid choice."));
    }
    site.world.change(|state, now| {
        let at = stamp(now);
        let note = json!({"id": 5_512 + state.annotations.len(), "content": asked["content"],
            "date_marker": asked["date_marker"].as_str().unwrap_or(&at), "creation_type": asked["creation_type"].as_str().unwrap_or("USR"),
            "dashboard_item": null, "created_by": {"id": 1, "email": "lead@logosvision.com"}, "created_at": at, "updated_at": at,
            "deleted": false, "scope": scope});
        state.annotations.push(note.clone());
        (StatusCode::CREATED, Json(note)).into_response()
    })
}

pub(super) async fn one(State(site): State<Site>, Path((_, id)): Path<(String, String)>) -> Response {
    let found = site
        .world
        .read(|state| state.annotations.iter().find(|note| note["id"].as_u64() == id.parse().ok()).cloned());
    found.map_or_else(not_found, |note| Json(note).into_response())
}

pub(super) async fn change(
    State(site): State<Site>,
    Path((_, id)): Path<(String, String)>,
    text: String,
) -> Response {
    let asked: Value = serde_json::from_str(&text).unwrap_or_default();
    site.world.change(|state, now| {
        let Some(note) = state.annotations.iter_mut().find(|note| note["id"].as_u64() == id.parse().ok())
        else {
            return not_found();
        };
        for field in ["content", "deleted", "date_marker"] {
            if !asked[field].is_null() {
                note[field] = asked[field].clone();
            }
        }
        note["updated_at"] = stamp(now).into();
        Json(note.clone()).into_response()
    })
}
