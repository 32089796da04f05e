//! Flags as a browser asks for them: without a header, by project key and person.
//!
//! It guarantees that a change is seen one to five seconds after it was made, that a person stays in as the share grows, and
//! that `metadata.version` says which change is seen.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::rehearsal::draw::draw;
use crate::rehearsal::standin::site::{Site, is};
use crate::rehearsal::state::{Flag, FlagPoint};
use crate::rehearsal::traffic::bucket;

/// What a flag says to somebody, and why.
struct Told {
    enabled: bool,
    variant: Option<String>,
    code: &'static str,
    condition: Option<usize>,
}

fn holds(condition: &Value, properties: &Value) -> bool {
    let value = &properties[condition["key"].as_str().unwrap_or_default()];
    let wanted = &condition["value"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned).to_lowercase();
    let any = |of: &dyn Fn(&Value) -> bool| {
        wanted.as_array().map_or_else(|| of(wanted), |list| list.iter().any(of))
    };
    let known = !value.is_null();
    match condition["operator"].as_str().unwrap_or("exact") {
        "exact" => known && any(&|one| text(one) == text(value)),
        "is_not" => !any(&|one| text(one) == text(value)),
        "icontains" => known && any(&|one| text(value).contains(&text(one))),
        "not_icontains" => !known || !any(&|one| text(value).contains(&text(one))),
        "is_set" => known,
        "is_not_set" => !known,
        "gt" => value.as_f64().zip(wanted.as_f64()).is_some_and(|(a, b)| a > b),
        "gte" => value.as_f64().zip(wanted.as_f64()).is_some_and(|(a, b)| a >= b),
        "lt" => value.as_f64().zip(wanted.as_f64()).is_some_and(|(a, b)| a < b),
        "lte" => value.as_f64().zip(wanted.as_f64()).is_some_and(|(a, b)| a <= b),
        _ => false,
    }
}

fn variant(point: &FlagPoint, key: &str, person: &str, forced: &Value) -> Option<String> {
    let variants = point.filters["multivariate"]["variants"].as_array()?;
    if let Some(forced) = forced.as_str() {
        return Some(forced.to_owned());
    }
    let place = bucket(key, &format!("{person}variant")) * 100.0;
    let mut upper = 0.0;
    let chosen = variants.iter().find(|one| {
        upper += one["rollout_percentage"].as_f64().unwrap_or(0.0);
        place < upper
    })?;
    chosen["key"].as_str().map(str::to_owned)
}

fn tell(flag: &Flag, point: &FlagPoint, person: &str, properties: &Value) -> Told {
    let off = |code| Told { enabled: false, variant: None, code, condition: None };
    if !point.active {
        return off("flag_disabled");
    }
    let mut best = off("no_condition_match");
    for (place, group) in point.filters["groups"].as_array().into_iter().flatten().enumerate() {
        let mut conditions = group["properties"].as_array().into_iter().flatten();
        if !conditions.all(|condition| holds(condition, properties)) {
            continue;
        }
        let share = group["rollout_percentage"].as_f64().unwrap_or(100.0) / 100.0;
        if share > 0.0 && bucket(&flag.key, person) <= share {
            let variant = variant(point, &flag.key, person, &group["variant"]);
            return Told { enabled: true, variant, code: "condition_match", condition: Some(place) };
        }
        best = Told { condition: Some(place), ..off("out_of_rollout_bound") };
    }
    best
}

/// The person asked about, or the refusal: plain text for a bad body, JSON for a bad key.
#[expect(clippy::result_large_err, reason = "the refusal is the answer, and is sent at once")]
fn admit(site: &Site, text: &str) -> Result<(Value, String), Response> {
    if site.out() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "service unavailable").into_response());
    }
    if site.throttled() {
        let body = json!({"type": "validation_error", "code": "rate_limit_exceeded", "detail": "Rate limit exceeded", "attr": null});
        return Err((StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response());
    }
    let bad = |why: &'static str| (StatusCode::BAD_REQUEST, why).into_response();
    let asked: Value =
        serde_json::from_str(text).map_err(|_| bad("Failed to decode request: invalid JSON"))?;
    let key = asked["token"].as_str().or(asked["api_key"].as_str());
    if !is(key, &site.keys.posthog_project) {
        let detail =
            "The provided API key is invalid or has expired. Please check your API key and try again.";
        let body = json!({"type": "authentication_error", "code": "invalid_api_key", "detail": detail, "attr": null});
        return Err((StatusCode::UNAUTHORIZED, Json(body)).into_response());
    }
    let person = asked["distinct_id"].as_str().filter(|person| !person.is_empty()).map(str::to_owned);
    let person = person.ok_or_else(|| bad("The distinct_id field is missing from the request"))?;
    Ok((asked, person))
}

/// What each flag says to the person asked about.
fn told(site: &Site, asked: &Value, person: &str) -> Vec<(Flag, FlagPoint, Told)> {
    let now = site.now();
    let only = asked["flag_keys"].as_array();
    let wanted =
        |flag: &&Flag| !flag.deleted && only.is_none_or(|keys| keys.iter().any(|key| *key == flag.key));
    site.world.read(|state| {
        let seen = |flag: &Flag| {
            let known = |point: &&FlagPoint| {
                let delay = 1_000 + draw(state.seed, &[61, flag.id, point.version]) % 4_000;
                point.at + TimeDelta::milliseconds(delay.cast_signed()) <= now
            };
            let point = flag.history.iter().rev().find(known).unwrap_or(&flag.history[0]).clone();
            let told = tell(flag, &point, person, &asked["person_properties"]);
            (flag.clone(), point, told)
        };
        state.flags.iter().filter(wanted).map(seen).collect()
    })
}

pub(super) async fn flags(State(site): State<Site>, text: String) -> Response {
    let (asked, person) = match admit(&site, &text) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let json = |(flag, point, told): &(Flag, FlagPoint, Told)| {
        let description = told.condition.map_or_else(
            || told.code.replace('_', " "),
            |place| format!("Matched condition set {}", place + 1),
        );
        let value = json!({"key": flag.key, "enabled": told.enabled, "variant": told.variant,
            "reason": {"code": told.code, "condition_index": told.condition, "description": description},
            "metadata": {"id": flag.id, "version": point.version, "description": null, "payload": null}});
        (flag.key.clone(), value)
    };
    let all: serde_json::Map<String, Value> = told(&site, &asked, &person).iter().map(json).collect();
    Json(json!({"errorsWhileComputingFlags": false, "flags": all, "requestId": uuid::Uuid::new_v4().to_string(),
        "evaluatedAt": site.now().timestamp_millis()}))
    .into_response()
}

pub(super) async fn decide(State(site): State<Site>, text: String) -> Response {
    let (asked, person) = match admit(&site, &text) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let all: serde_json::Map<String, Value> = told(&site, &asked, &person)
        .into_iter()
        .map(|(flag, _, told)| (flag.key, told.variant.map_or_else(|| json!(told.enabled), Value::from)))
        .collect();
    Json(json!({"featureFlags": all, "featureFlagPayloads": {}, "errorsWhileComputingFlags": false}))
        .into_response()
}
