//! Environment variables at Vercel. They reach builds to come, never a build that is there.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Params, bad_request, find, not_found, refusal};
use crate::rehearsal::standin::site::Site;

/// A variable; without `decrypt` its value is a cipher of the real length's order.
fn json((id, key, value): &(String, String, String), decrypt: bool) -> Value {
    let shown = if decrypt { value.clone() } else { format!("eyJ2IjoidjIi{:0>24}", id.len() * 7919) };
    json!({"id": id, "key": key, "value": shown, "type": "encrypted", "target": ["production"], "gitBranch": null,
        "customEnvironmentIds": [], "comment": "", "decrypted": decrypt})
}

pub(in super::super) async fn list(State(site): State<Site>, params: Params) -> Response {
    let decrypt = find(&params, "decrypt") == Some("true");
    let envs: Vec<Value> =
        site.world.read(|state| state.vercel.env.iter().map(|one| json(one, decrypt)).collect());
    Json(json!({"envs": envs})).into_response()
}

pub(in super::super) async fn one(
    State(site): State<Site>,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    let found = site.world.read(|state| state.vercel.env.iter().find(|(known, ..)| *known == id).cloned());
    found.map_or_else(|| not_found("Environment variable"), |one| Json(json(&one, true)).into_response())
}

pub(in super::super) async fn create(State(site): State<Site>, params: Params, text: String) -> Response {
    let Ok(asked) = serde_json::from_str::<Value>(&text) else { return bad_request("the body is not JSON") };
    let (Some(key), Some(value)) = (asked["key"].as_str(), asked["value"].as_str()) else {
        return bad_request("missing required property `key` or `value`");
    };
    let upsert = find(&params, "upsert") == Some("true");
    site.world.change(|state, _| {
        let env = &mut state.vercel.env;
        let created = match env.iter().position(|(_, known, _)| known == key) {
            Some(_) if !upsert => {
                let message = format!("A variable with the name `{key}` already exists");
                return refusal(StatusCode::FORBIDDEN, "ENV_ALREADY_EXISTS", &message);
            }
            Some(place) => {
                value.clone_into(&mut env[place].2);
                env[place].clone()
            }
            None => {
                env.push((format!("Env{}", env.len()), key.into(), value.into()));
                env[env.len() - 1].clone()
            }
        };
        (StatusCode::CREATED, Json(json!({"created": json(&created, false), "failed": []}))).into_response()
    })
}

pub(in super::super) async fn change(
    State(site): State<Site>,
    Path((_, id)): Path<(String, String)>,
    text: String,
) -> Response {
    let asked = serde_json::from_str::<Value>(&text).unwrap_or_default();
    let Some(value) = asked["value"].as_str() else {
        return bad_request("missing required property `value`");
    };
    site.world.change(|state, _| {
        let Some(one) = state.vercel.env.iter_mut().find(|(known, ..)| *known == id) else {
            return not_found("Environment variable");
        };
        value.clone_into(&mut one.2);
        Json(json(one, false)).into_response()
    })
}

pub(in super::super) async fn delete(
    State(site): State<Site>,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    site.world.change(|state, _| {
        let before = state.vercel.env.len();
        state.vercel.env.retain(|(known, ..)| *known != id);
        if state.vercel.env.len() == before {
            not_found("Environment variable")
        } else {
            Json(json!({})).into_response()
        }
    })
}
