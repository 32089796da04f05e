//! Slack: the Web API that says no with a 200, and the webhook that speaks plain text.
//!
//! It guarantees that every message it took is kept in the world, that threads hang on a parent that exists, and that one
//! channel takes a message a second with short bursts.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::site::{Limit, Site, credential, is};
use crate::rehearsal::state::{Sent, State as World};

/// The channels there are: id and name.
pub(super) const CHANNELS: [(&str, &str); 3] =
    [("C0GENERAL1", "general"), ("C0DEPLOY01", "deployment"), ("C0INCIDEN1", "incidents")];

/// A burst of ten in ten seconds is one a second with short bursts tolerated.
const LIMIT: Limit = Limit { most: 10, window: TimeDelta::seconds(10) };

pub(super) fn router(site: Site) -> Router {
    Router::new()
        .route("/api/chat.postMessage", post(post_message))
        .route("/api/chat.update", post(update))
        .route("/api/chat.getPermalink", get(permalink))
        .route("/api/auth.test", post(auth_test))
        .route("/services/{*path}", post(webhook))
        .fallback(async || no("unknown_method"))
        .with_state(site)
}

fn no(error: &str) -> Response {
    Json(json!({"ok": false, "error": error, "response_metadata": {"messages": []}})).into_response()
}

fn too_many(wait: i64) -> Response {
    let body = Json(json!({"ok": false, "error": "ratelimited"}));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait.to_string())], body).into_response()
}

/// What stands before any method: outage, limit, token.
#[expect(clippy::result_large_err, reason = "the refusal is the answer, and is sent at once")]
fn admit(site: &Site, headers: &HeaderMap) -> Result<(), Response> {
    if site.out() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, no("service_unavailable")).into_response());
    }
    if site.throttled() {
        return Err(too_many(30));
    }
    match credential(headers, "Bearer") {
        None => Err(no("not_authed")),
        token if is(token, &site.keys.slack) => Ok(()),
        Some(_) => Err(no("invalid_auth")),
    }
}

fn channel(name: &str) -> Option<&'static str> {
    let bare = name.strip_prefix('#').unwrap_or(name);
    CHANNELS.iter().find(|(id, known)| *id == name || *known == bare).map(|(id, _)| *id)
}

/// The channel's id, or why the message is refused.
fn check(body: &Value) -> Result<&'static str, &'static str> {
    let channel = body["channel"].as_str().and_then(channel).ok_or("channel_not_found")?;
    let text = body["text"].as_str().unwrap_or_default();
    let blocks = body["blocks"].as_array();
    if text.is_empty() && blocks.is_none_or(Vec::is_empty) {
        return Err("no_text");
    }
    if text.chars().count() > 40_000 {
        return Err("msg_too_long");
    }
    let Some(blocks) = blocks else { return Ok(channel) };
    let sections = blocks.iter().filter_map(|block| block["text"]["text"].as_str());
    let longest = sections.clone().map(|text| text.chars().count()).max().unwrap_or(0);
    if blocks.len() > 50 || longest > 3_000 || blocks.iter().any(|block| !block["type"].is_string()) {
        return Err("invalid_blocks");
    }
    if sections.map(|text| text.chars().count()).sum::<usize>() > 13_000 {
        return Err("msg_blocks_too_long");
    }
    Ok(channel)
}

/// A message's name: seconds and a counter, a string.
fn ts(state: &World, at: DateTime<Utc>) -> String {
    format!("{}.{:06}", at.timestamp(), (state.slack.len() + 1) * 100)
}

fn parent_exists(state: &World, channel: &str, thread: &str) -> bool {
    state.slack.iter().any(|sent| {
        sent.body["ts"] == thread && sent.body["channel"] == channel && sent.body["thread_ts"].is_null()
    })
}

async fn post_message(State(site): State<Site>, headers: HeaderMap, text: String) -> Response {
    if let Err(refused) = admit(&site, &headers) {
        return refused;
    }
    let Ok(mut body) = serde_json::from_str::<Value>(&text) else { return no("invalid_json") };
    let channel = match check(&body) {
        Ok(channel) => channel,
        Err(error) => return no(error),
    };
    let left = site.limits.take(channel, LIMIT, site.now());
    if !left.allowed {
        return too_many(left.wait(site.now()));
    }
    site.world.change(|state, at| {
        if let Some(thread) = body["thread_ts"].as_str()
            && !parent_exists(state, channel, thread)
        {
            return no("thread_not_found");
        }
        let ts = ts(state, at);
        body["ts"] = ts.clone().into();
        body["channel"] = channel.into();
        let mut message = json!({"type": "message", "subtype": "bot_message", "text": body["text"], "ts": ts, "bot_id": "B01",
            "app_id": "A01"});
        if body["thread_ts"].is_string() {
            message["thread_ts"] = body["thread_ts"].clone();
        }
        state.slack.push(Sent { at, call: "chat.postMessage".into(), body });
        Json(json!({"ok": true, "channel": channel, "ts": ts, "message": message})).into_response()
    })
}

async fn update(State(site): State<Site>, headers: HeaderMap, text: String) -> Response {
    if let Err(refused) = admit(&site, &headers) {
        return refused;
    }
    let Ok(body) = serde_json::from_str::<Value>(&text) else { return no("invalid_json") };
    let channel = match check(&body) {
        Ok(channel) => channel,
        Err(error) => return no(error),
    };
    let ts = body["ts"].clone();
    site.world.change(|state, at| {
        let known = state.slack.iter().any(|sent| sent.body["ts"] == ts && sent.body["channel"] == channel);
        if !known || !ts.is_string() {
            return no("message_not_found");
        }
        let text = body["text"].clone();
        state.slack.push(Sent { at, call: "chat.update".into(), body });
        Json(json!({"ok": true, "channel": channel, "ts": ts, "text": text})).into_response()
    })
}

async fn permalink(
    State(site): State<Site>,
    headers: HeaderMap,
    query: Query<Vec<(String, String)>>,
) -> Response {
    if let Err(refused) = admit(&site, &headers) {
        return refused;
    }
    let find = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (Some(channel), Some(ts)) = (find("channel").and_then(channel), find("message_ts")) else {
        return no("channel_not_found");
    };
    let link = format!("https://logos.slack.com/archives/{channel}/p{}", ts.replace('.', ""));
    Json(json!({"ok": true, "channel": channel, "permalink": link})).into_response()
}

async fn auth_test(State(site): State<Site>, headers: HeaderMap) -> Response {
    if let Err(refused) = admit(&site, &headers) {
        return refused;
    }
    Json(json!({"ok": true, "url": "https://logos.slack.com/", "team": "Logos", "user": "gonogo", "team_id": "T01",
        "user_id": "U01", "bot_id": "B01", "is_enterprise_install": false}))
    .into_response()
}

async fn webhook(State(site): State<Site>, Path(path): Path<String>, text: String) -> Response {
    if site.out() {
        return (StatusCode::INTERNAL_SERVER_ERROR, "rollup_error").into_response();
    }
    if site.throttled() || !site.limits.take("webhook", LIMIT, site.now()).allowed {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], "rate_limited").into_response();
    }
    if path != site.keys.slack_webhook {
        return (StatusCode::NOT_FOUND, "no_service").into_response();
    }
    let Ok(body) = serde_json::from_str::<Value>(&text) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    if body["text"].as_str().is_none_or(str::is_empty) && !body["blocks"].is_array() {
        return (StatusCode::BAD_REQUEST, "no_text").into_response();
    }
    site.world.change(|state, at| state.slack.push(Sent { at, call: "webhook".into(), body }));
    "ok".into_response()
}
