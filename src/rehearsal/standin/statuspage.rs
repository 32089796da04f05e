//! Statuspage: incidents that grow by each update, components that stay as they were set.
//!
//! It guarantees that what it was sent is kept in the world, that each change with a status or a body adds an update, and
//! that resolving an incident sets no component back by itself.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::site::{Limit, Site, credential, is, stamp};
use crate::rehearsal::state::{Sent, State as World};

/// The page there is.
pub(super) const PAGE: &str = "h12345678";
const LIMIT: Limit = Limit { most: 60, window: TimeDelta::seconds(60) };
const INCIDENT: [&str; 4] = ["investigating", "identified", "monitoring", "resolved"];
const MAINTENANCE: [&str; 4] = ["scheduled", "in_progress", "verifying", "completed"];
const COMPONENT: [&str; 5] =
    ["operational", "under_maintenance", "degraded_performance", "partial_outage", "major_outage"];

pub(super) fn router(site: Site) -> Router {
    let private = Router::new()
        .route("/v1/pages/{page}/incidents", get(list).post(create))
        .route("/v1/pages/{page}/incidents/{id}", get(one).patch(change).put(change))
        .route("/v1/pages/{page}/components", get(components))
        .route("/v1/pages/{page}/components/{id}", patch(component))
        .layer(from_fn_with_state(site.clone(), guard));
    Router::new().route("/api/v2/summary.json", get(summary)).merge(private).with_state(site)
}

fn refusal(status: u16, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"message": message}))).into_response()
}

async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    if site.out() {
        return refusal(503, "Service unavailable");
    }
    if !is(credential(request.headers(), "OAuth"), &site.keys.statuspage) {
        return refusal(401, "Could not authenticate");
    }
    if site.throttled() || !site.limits.take("token", LIMIT, site.now()).allowed {
        return (
            refusal(420, "").status(),
            Json(json!({"error": "Rate limit exceeded. Please try again later."})),
        )
            .into_response();
    }
    if !request.uri().path().starts_with(&format!("/v1/pages/{PAGE}/")) {
        return refusal(404, "Could not find page");
    }
    next.run(request).await
}

/// Applies what an incident's body asks for; adds an update where it has a status or a text.
fn apply(state: &mut World, incident: &mut Value, asked: &Value, now: DateTime<Utc>) -> Result<(), String> {
    let status =
        asked["status"].as_str().or(incident["status"].as_str()).unwrap_or("investigating").to_owned();
    if !INCIDENT.contains(&&*status) && !MAINTENANCE.contains(&&*status) {
        return Err(format!("Status {status} is not valid"));
    }
    let mut affected = Vec::new();
    for (code, new) in asked["components"].as_object().into_iter().flatten() {
        let new =
            new.as_str().filter(|new| COMPONENT.contains(new)).ok_or("Component status is not valid")?;
        let known = state.components.iter_mut().find(|(id, ..)| id == code);
        let (_, name, old) = known.ok_or_else(|| format!("Component {code} does not exist"))?;
        affected.push(json!({"code": code, "name": name, "old_status": old, "new_status": new}));
        new.clone_into(old);
    }
    for field in ["name", "impact_override", "scheduled_for", "scheduled_until", "metadata"] {
        if !asked[field].is_null() {
            incident[field] = asked[field].clone();
        }
    }
    let at = json!(stamp(now));
    incident["status"] = status.clone().into();
    incident["impact"] =
        asked["impact_override"].as_str().or(incident["impact"].as_str()).unwrap_or("none").into();
    incident["updated_at"] = at.clone();
    match status.as_str() {
        "monitoring" => incident["monitoring_at"] = at.clone(),
        "resolved" | "completed" => incident["resolved_at"] = at.clone(),
        _ => {}
    }
    if (asked["status"].is_string() || asked["body"].is_string())
        && let Some(updates) = incident["incident_updates"].as_array().cloned()
    {
        let update = json!({"id": format!("up{}", updates.len() + 1), "incident_id": incident["id"], "status": status,
            "body": asked["body"].as_str().unwrap_or_default(), "created_at": at, "display_at": at, "updated_at": at,
            "deliver_notifications": asked["deliver_notifications"].as_bool().unwrap_or(true),
            "affected_components": affected, "custom_tweet": null});
        incident["incident_updates"] = std::iter::once(update).chain(updates).collect();
    }
    incident["components"] = components_json(state).into();
    Ok(())
}

fn components_json(state: &World) -> Vec<Value> {
    let component = |(id, name, status): &(String, String, String)| {
        json!({"id": id, "name": name, "status": status, "page_id": PAGE,
        "showcase": true})
    };
    state.components.iter().map(component).collect()
}

async fn create(State(site): State<Site>, text: String) -> Response {
    let Ok(body) = serde_json::from_str::<Value>(&text) else { return refusal(400, "Invalid JSON") };
    let asked = body["incident"].clone();
    if asked["name"].as_str().is_none_or(str::is_empty) {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": ["Name can't be blank"]})))
            .into_response();
    }
    site.world.change(|state, now| {
        let id = format!("p31zjtct{:04}", state.incidents.len() + 1);
        let at = stamp(now);
        let mut incident = json!({"id": id, "page_id": PAGE, "shortlink": format!("https://stspg.io/{id}"), "created_at": at,
            "started_at": at, "monitoring_at": null, "resolved_at": null, "scheduled_for": null, "scheduled_until": null,
            "scheduled_auto_in_progress": false, "scheduled_auto_completed": false, "metadata": {},
            "reminder_intervals": null, "incident_updates": []});
        if let Err(why) = apply(state, &mut incident, &asked, now) {
            return refusal(422, &why);
        }
        state.incidents.push(incident.clone());
        state.statuspage.push(Sent { at: now, call: "incident".into(), body });
        (StatusCode::CREATED, Json(incident)).into_response()
    })
}

async fn change(State(site): State<Site>, Path((_, id)): Path<(String, String)>, text: String) -> Response {
    let Ok(body) = serde_json::from_str::<Value>(&text) else { return refusal(400, "Invalid JSON") };
    site.world.change(|state, now| {
        let Some(place) = state.incidents.iter().position(|incident| incident["id"] == *id) else {
            return refusal(404, "Could not find incident");
        };
        let mut incident = state.incidents[place].clone();
        if let Err(why) = apply(state, &mut incident, &body["incident"], now) {
            return refusal(422, &why);
        }
        state.incidents[place] = incident.clone();
        state.statuspage.push(Sent { at: now, call: "incident update".into(), body });
        Json(incident).into_response()
    })
}

async fn one(State(site): State<Site>, Path((_, id)): Path<(String, String)>) -> Response {
    // The lists share the path of a single incident.
    let over = |incident: &Value| matches!(incident["status"].as_str(), Some("resolved" | "completed"));
    let status = |incident: &Value, wanted: &str| incident["status"] == wanted;
    site.world.read(|state| {
        let list = |keep: &dyn Fn(&Value) -> bool| {
            Json(state.incidents.iter().rev().filter(|one| keep(one)).collect::<Vec<_>>()).into_response()
        };
        match id.as_str() {
            "unresolved" => {
                list(&|one| !over(one) && !MAINTENANCE.contains(&one["status"].as_str().unwrap_or_default()))
            }
            "scheduled" | "upcoming" => list(&|one| status(one, "scheduled")),
            "active_maintenance" => list(&|one| status(one, "in_progress") || status(one, "verifying")),
            _ => match state.incidents.iter().find(|incident| incident["id"] == *id) {
                Some(incident) => Json(incident).into_response(),
                None => refusal(404, "Could not find incident"),
            },
        }
    })
}

async fn list(State(site): State<Site>) -> Response {
    Json(site.world.read(|state| state.incidents.iter().rev().take(100).cloned().collect::<Vec<_>>()))
        .into_response()
}

async fn components(State(site): State<Site>) -> Response {
    Json(site.world.read(components_json)).into_response()
}

async fn component(
    State(site): State<Site>,
    Path((_, id)): Path<(String, String)>,
    text: String,
) -> Response {
    let Ok(body) = serde_json::from_str::<Value>(&text) else { return refusal(400, "Invalid JSON") };
    let Some(status) =
        body["component"]["status"].as_str().filter(|status| COMPONENT.contains(status)).map(str::to_owned)
    else {
        return refusal(422, "Status is not valid");
    };
    site.world.change(|state, at| {
        let Some(known) = state.components.iter_mut().find(|(code, ..)| *code == id) else {
            return refusal(404, "Could not find component");
        };
        known.2 = status;
        let answer = json!({"id": known.0, "name": known.1, "status": known.2, "page_id": PAGE, "updated_at": stamp(at)});
        state.statuspage.push(Sent { at, call: "component".into(), body });
        Json(answer).into_response()
    })
}

/// What the public sees; needs no key.
async fn summary(State(site): State<Site>) -> Response {
    site.world.read(|state| {
        let worst = state.components.iter().filter_map(|(_, _, status)| COMPONENT.iter().position(|known| known == status)).max();
        let (indicator, description) = match worst.unwrap_or(0) {
            0 => ("none", "All Systems Operational"),
            1 => ("maintenance", "Service Under Maintenance"),
            2 => ("minor", "Partially Degraded Service"),
            3 => ("major", "Partial System Outage"),
            _ => ("critical", "Major System Outage"),
        };
        let (planned, incidents): (Vec<_>, Vec<_>) = state
            .incidents
            .iter()
            .filter(|one| !matches!(one["status"].as_str(), Some("resolved" | "completed")))
            .partition(|one| MAINTENANCE.contains(&one["status"].as_str().unwrap_or_default()));
        Json(json!({"page": {"id": PAGE, "name": "Logos", "url": "https://status.logosvision.com", "time_zone": "Etc/UTC"},
            "status": {"indicator": indicator, "description": description}, "components": components_json(state),
            "incidents": incidents, "scheduled_maintenances": planned}))
        .into_response()
    })
}
