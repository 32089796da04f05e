//! Releases and deploys at Sentry.
//!
//! It guarantees that a release is made once (208 the next time), and that every deploy posted is one more.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ask::{Ask, Params};
use super::{PROJECT, PROJECT_ID, page, refusal};
use crate::rehearsal::standin::site::{Site, stamp};

fn missing() -> Response {
    refusal(StatusCode::NOT_FOUND, "The requested resource does not exist")
}

fn fields(map: &Value) -> Response {
    (StatusCode::BAD_REQUEST, Json(map.clone())).into_response()
}

fn valid(version: &str) -> bool {
    let forbidden = ['\r', '\n', '\x0c', '\t', '/', '\\'];
    !version.is_empty()
        && version.len() <= 200
        && !version.contains(forbidden)
        && !matches!(version, "." | ".." | "latest")
}

pub(super) async fn create(State(site): State<Site>, text: String) -> Response {
    let asked: Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(version) = asked["version"].as_str().filter(|version| valid(version)) else {
        return fields(&json!({"version": ["Release name is not valid"]}));
    };
    let projects = asked["projects"].as_array().cloned().unwrap_or_default();
    if projects.is_empty() || projects.iter().any(|project| *project != PROJECT) {
        return fields(&json!({"projects": ["Invalid project slugs"]}));
    }
    let short = version.rsplit_once('@').map_or(version, |(_, short)| short);
    site.world.change(|state, now| {
        if let Some(known) = state.releases.iter().find(|release| release["version"] == version) {
            return (StatusCode::ALREADY_REPORTED, Json(known.clone())).into_response();
        }
        let release = json!({"id": 1_118_273 + state.releases.len(), "version": version, "shortVersion": short, "status": "open",
            "versionInfo": {"package": "logos-vision-crm", "version": {"raw": short}, "description": short, "buildHash": null},
            "ref": asked["ref"], "url": asked["url"], "dateReleased": asked["dateReleased"], "dateCreated": stamp(now), "data": {},
            "newGroups": 0, "owner": null, "commitCount": 0, "lastCommit": null, "deployCount": 0, "lastDeploy": null,
            "authors": [], "projects": [{"id": PROJECT_ID, "slug": PROJECT, "name": PROJECT, "newGroups": 0,
                "platform": "javascript-react", "platforms": ["javascript"], "hasHealthData": true}],
            "firstEvent": null, "lastEvent": null, "currentProjectMeta": {}, "userAgent": null});
        state.releases.push(release.clone());
        (StatusCode::CREATED, Json(release)).into_response()
    })
}

pub(super) async fn list(State(site): State<Site>, params: Params) -> Response {
    let ask = match Ask::read(params, site.now()) {
        Ok(ask) => ask,
        Err(refused) => return refused,
    };
    let query = ask.one("query").unwrap_or_default();
    let named = |release: &&Value| release["version"].as_str().is_some_and(|version| version.contains(query));
    let list: Vec<Value> =
        site.world.read(|state| state.releases.iter().rev().filter(named).cloned().collect());
    page(&site, "/api/0/organizations/logos/releases/", &list, ask.one("cursor"), ask.limit("per_page"))
}

pub(super) async fn one(State(site): State<Site>, Path((_, version)): Path<(String, String)>) -> Response {
    let found = site
        .world
        .read(|state| state.releases.iter().find(|release| release["version"] == *version).cloned());
    found.map_or_else(missing, |release| Json(release).into_response())
}

pub(super) async fn deploys(
    State(site): State<Site>,
    Path((_, version)): Path<(String, String)>,
) -> Response {
    site.world.read(|state| {
        if !state.releases.iter().any(|release| release["version"] == *version) {
            return missing();
        }
        let of =
            state.deploys.iter().rev().filter(|(release, _)| *release == version).map(|(_, deploy)| deploy);
        Json(of.collect::<Vec<_>>()).into_response()
    })
}

pub(super) async fn deploy(
    State(site): State<Site>,
    Path((_, version)): Path<(String, String)>,
    text: String,
) -> Response {
    let asked: Value = serde_json::from_str(&text).unwrap_or_default();
    if asked["environment"]
        .as_str()
        .is_none_or(|environment| environment.is_empty() || environment.len() > 64)
    {
        return fields(&json!({"environment": ["This field is required."]}));
    }
    site.world.change(|state, now| {
        let count = state.deploys.iter().filter(|(release, _)| *release == version).count() + 1;
        let number = 98_765 + state.deploys.len();
        let Some(release) = state.releases.iter_mut().find(|release| release["version"] == *version) else { return missing() };
        let finished = asked["dateFinished"].as_str().map_or_else(|| stamp(now), str::to_owned);
        let deploy = json!({"id": number.to_string(), "environment": asked["environment"], "name": asked["name"],
            "url": asked["url"], "dateStarted": asked["dateStarted"], "dateFinished": finished});
        release["deployCount"] = count.into();
        release["lastDeploy"] = deploy.clone();
        state.deploys.push((version, deploy.clone()));
        (StatusCode::CREATED, Json(deploy)).into_response()
    })
}
