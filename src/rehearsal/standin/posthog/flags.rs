//! Feature flags as the private API knows them: by number, with a version and filters that are replaced whole.
//!
//! It guarantees the optimistic lock (409 when the version moved), that filters without groups change nothing and say 200, and
//! that a flag is deleted by a change and never by DELETE.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{invalid, not_found, paged, refusal};
use crate::rehearsal::standin::site::{Site, stamp};
use crate::rehearsal::state::{Flag, FlagPoint};

type Asked = Query<Vec<(String, String)>>;

fn json(flag: &Flag) -> Value {
    let now = flag.now();
    let lead = json!({"id": 1, "email": "lead@logosvision.com"});
    json!({"id": flag.id, "key": flag.key, "name": flag.name, "active": now.active, "deleted": flag.deleted, "version": now.version,
        "filters": now.filters, "ensure_experience_continuity": false, "evaluation_runtime": "all", "tags": [],
        "rollout_percentage": null, "is_simple_flag": false, "created_at": stamp(flag.history[0].at), "updated_at": stamp(now.at),
        "created_by": lead, "last_modified_by": lead, "experiment_set": [], "surveys": null, "features": null,
        "analytics_dashboards": [], "can_edit": true, "bucketing_identifier": "distinct_id"})
}

pub(super) async fn list(
    State(site): State<Site>,
    Path(project): Path<String>,
    Query(asked): Asked,
) -> Response {
    let find = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_lowercase());
    let (search, active) = (find("search"), find("active"));
    let wanted = |flag: &&Flag| {
        let named = search
            .as_ref()
            .is_none_or(|text| flag.key.contains(text) || flag.name.to_lowercase().contains(text));
        !flag.deleted
            && named
            && active.as_ref().is_none_or(|active| flag.now().active.to_string() == *active)
    };
    let list: Vec<Value> = site.world.read(|state| state.flags.iter().filter(wanted).map(json).collect());
    paged(&site, &format!("/api/projects/{project}/feature_flags/"), &asked, &list)
}

pub(super) async fn one(State(site): State<Site>, Path((_, id)): Path<(String, String)>) -> Response {
    let found = site.world.read(|state| state.flags.iter().find(|flag| flag.id.to_string() == id).map(json));
    found.map_or_else(not_found, |flag| Json(flag).into_response())
}

pub(super) async fn status(State(site): State<Site>, Path((_, id)): Path<(String, String)>) -> Response {
    let active = site.world.read(|state| {
        state.flags.iter().find(|flag| flag.id.to_string() == id).map(|flag| flag.now().active)
    });
    active.map_or_else(not_found, |active| {
        let status = if active { "active" } else { "inactive" };
        Json(json!({"status": status, "reason": format!("Flag is {status}")})).into_response()
    })
}

fn has_groups(filters: &Value) -> bool {
    filters["groups"].is_array()
}

pub(super) async fn create(State(site): State<Site>, text: String) -> Response {
    let asked: Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(key) = asked["key"].as_str().filter(|key| !key.is_empty()).map(str::to_owned) else {
        return refusal(StatusCode::BAD_REQUEST, "validation_error", "required", "This field is required.");
    };
    site.world.change(|state, at| {
        if state.flags.iter().any(|flag| flag.key == key && !flag.deleted) {
            return invalid("There is already a feature flag with this key.");
        }
        let filters =
            if has_groups(&asked["filters"]) { asked["filters"].clone() } else { json!({"groups": []}) };
        let point = FlagPoint { at, version: 1, active: asked["active"].as_bool().unwrap_or(true), filters };
        let name = asked["name"].as_str().unwrap_or_default().into();
        let flag =
            Flag { id: 40_000 + state.flags.len() as u64, key, name, deleted: false, history: vec![point] };
        let answer = json(&flag);
        state.flags.push(flag);
        (StatusCode::CREATED, Json(answer)).into_response()
    })
}

pub(super) async fn change(
    State(site): State<Site>,
    Path((_, id)): Path<(String, String)>,
    text: String,
) -> Response {
    let Ok(asked) = serde_json::from_str::<Value>(&text) else {
        return refusal(StatusCode::BAD_REQUEST, "validation_error", "parse_error", "JSON parse error");
    };
    site.world.change(|state, at| {
        let Some(flag) = state.flags.iter_mut().find(|flag| flag.id.to_string() == id) else { return not_found() };
        if asked["version"].as_u64().is_some_and(|version| version < flag.now().version) && asked["original_flag"].is_object() {
            let detail = "The feature flag was updated by lead@logosvision.com since you started editing it. Please refresh \
                and try again.";
            return refusal(StatusCode::CONFLICT, "server_error", "conflict", detail);
        }
        if let Some(why) = unsound(&asked["filters"]) {
            return invalid(why);
        }
        apply(flag, &asked, at);
        Json(json(flag)).into_response()
    })
}

/// Why filters are refused.
fn unsound(filters: &Value) -> Option<&'static str> {
    let shares = filters["groups"].as_array()?.iter().map(|group| &group["rollout_percentage"]);
    let sound =
        |share: &Value| share.is_null() || share.as_f64().is_some_and(|share| (0.0..=100.0).contains(&share));
    (!shares.into_iter().all(sound)).then_some("Rollout percentage must be between 0 and 100.")
}

fn apply(flag: &mut Flag, asked: &Value, at: DateTime<Utc>) {
    let mut point = flag.now().clone();
    point.at = at;
    point.version += 1;
    if let Some(active) = asked["active"].as_bool() {
        point.active = active;
    }
    if let Some(deleted) = asked["deleted"].as_bool() {
        flag.deleted = deleted;
    }
    if let Some(name) = asked["name"].as_str() {
        name.clone_into(&mut flag.name);
    }
    if has_groups(&asked["filters"]) {
        point.filters = asked["filters"].clone();
    }
    flag.history.push(point);
}
