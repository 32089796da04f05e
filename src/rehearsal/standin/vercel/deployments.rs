//! Builds at Vercel: listed, looked at, asked for and stopped.
//!
//! It guarantees that a build takes a minute or two, goes through QUEUED and BUILDING, and takes the production domains only
//! when it is ready and the project assigns them by itself.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{DOMAIN, NAME, PROJECT, Params, bad_request, find, millis, not_found};
use crate::rehearsal::draw::draw;
use crate::rehearsal::faults;
use crate::rehearsal::standin::site::Site;
use crate::rehearsal::state::{Deployment, Outcome, Served, State as World};
use crate::rehearsal::world::{NEW_COMMIT, NEW_VERSION};

fn ready_state(one: &Deployment, now: DateTime<Utc>) -> &'static str {
    match () {
        () if now >= one.ended => match one.outcome {
            Outcome::Ready => "READY",
            Outcome::Error => "ERROR",
            Outcome::Canceled => "CANCELED",
        },
        () if now >= one.building => "BUILDING",
        () => "QUEUED",
    }
}

fn host(one: &Deployment) -> String {
    format!("{NAME}-{}.vercel.app", one.id.trim_start_matches("dpl_").to_lowercase())
}

/// A single deployment.
pub(super) fn json(one: &Deployment, state: &World, now: DateTime<Utc>) -> Value {
    let ready = ready_state(one, now);
    let served: Vec<&Served> =
        state.vercel.served.iter().filter(|served| served.id == one.id && served.at <= now).collect();
    let live = state.vercel.production(now).is_some_and(|live| live.id == one.id);
    let substate = match (ready, served.is_empty()) {
        ("READY", true) => json!("STAGED"),
        ("READY", false) => json!("PROMOTED"),
        _ => Value::Null,
    };
    let broken = ready == "ERROR";
    let mut meta = json!(one.meta);
    meta["githubCommitSha"] = json!(one.commit);
    meta["githubCommitMessage"] = json!(format!("Release {}", one.version));
    let target = if one.target == "production" { json!("production") } else { Value::Null };
    json!({
        "id": one.id, "name": NAME, "projectId": PROJECT, "url": host(one), "type": "LAMBDAS", "source": "cli",
        "createdAt": millis(one.created),
        "buildingAt": (now >= one.building).then(|| millis(one.building)), "ready": (ready == "READY").then(|| millis(one.ended)),
        "readyState": ready, "status": ready, "readySubstate": substate, "target": target,
        "alias": if live { json!([DOMAIN]) } else { json!([]) }, "aliasAssigned": served.last().map(|served| millis(served.at)),
        "aliasError": null, "isRollbackCandidate": !served.is_empty() && !live && ready == "READY",
        "errorCode": broken.then_some("BUILD_FAILED"),
        "errorMessage": broken.then_some("Command \"npm run build\" exited with 1"),
        "creator": {"uid": "u_1", "username": "devops"},
        "meta": meta,
        "gitSource": {"type": "github", "sha": one.commit, "ref": "main"},
        "inspectorUrl": format!("https://vercel.com/logos/{NAME}/{}", one.id.trim_start_matches("dpl_")),
        "checksState": "completed", "checksConclusion": "succeeded", "regions": ["iad1"],
    })
}

/// The same deployment as lists have it: some names are others.
fn listed(mut one: Value) -> Value {
    if let Some(fields) = one.as_object_mut() {
        for (single, list) in [("id", "uid"), ("status", "state")] {
            if let Some(value) = fields.remove(single) {
                fields.insert(list.into(), value);
            }
        }
        fields.insert("created".into(), fields["createdAt"].clone());
    }
    one
}

pub(in super::super) async fn list(State(site): State<Site>, params: Params) -> Response {
    let project = find(&params, "projectId").or(find(&params, "app"));
    if project.is_some_and(|project| project != PROJECT && project != NAME) {
        return not_found("Project");
    }
    let number = |name| find(&params, name).map(str::parse::<i64>);
    let (Ok(limit), Ok(since), Ok(until)) =
        (number("limit").transpose(), number("since").transpose(), number("until").transpose())
    else {
        return bad_request("`limit`, `since` and `until` should be numbers");
    };
    let limit = usize::try_from(limit.unwrap_or(20)).unwrap_or(0);
    if !(1..=100).contains(&limit) {
        return bad_request("`limit` should be between 1 and 100");
    }
    let now = site.now();
    let wanted = |one: &Value| {
        let created = one["created"].as_i64().unwrap_or(0);
        find(&params, "target").is_none_or(|target| one["target"] == target)
            && find(&params, "state")
                .is_none_or(|states| states.split(',').any(|state| one["state"] == state))
            && find(&params, "sha").is_none_or(|sha| one["meta"]["githubCommitSha"] == sha)
            && find(&params, "rollbackCandidate")
                .is_none_or(|asked| one["isRollbackCandidate"].as_bool() == asked.parse().ok())
            && since.is_none_or(|since| created > since)
            && until.is_none_or(|until| created < until)
    };
    let mut all: Vec<Value> = site.world.read(|state| {
        state
            .vercel
            .deployments
            .iter()
            .rev()
            .map(|one| listed(json(one, state, now)))
            .filter(wanted)
            .collect()
    });
    let more = all.len() > limit;
    all.truncate(limit);
    let next = more.then(|| all.last().map(|one| one["created"].clone())).flatten();
    let pagination =
        json!({"count": all.len(), "next": next, "prev": all.first().map(|one| one["created"].clone())});
    Json(json!({"pagination": pagination, "deployments": all})).into_response()
}

pub(in super::super) async fn one(State(site): State<Site>, Path(id): Path<String>) -> Response {
    let now = site.now();
    site.world.read(|state| {
        let vercel = &state.vercel;
        let found = if id == DOMAIN {
            vercel.production(now)
        } else {
            vercel.deployments.iter().find(|one| one.id == id || host(one) == id)
        };
        found.map_or_else(|| not_found("Deployment"), |one| Json(json(one, state, now)).into_response())
    })
}

pub(in super::super) async fn create(State(site): State<Site>, text: String) -> Response {
    let Ok(asked) = serde_json::from_str::<Value>(&text) else { return bad_request("the body is not JSON") };
    if !asked["name"].is_string() {
        return bad_request("missing required property `name`");
    }
    let target = asked["target"].as_str().unwrap_or("preview");
    if !["production", "preview", "staging"].contains(&target) {
        return bad_request("`target` should be equal to one of the allowed values production, staging");
    }
    site.world.change(|state, now| {
        let latest = asked["withLatestCommit"] == true || asked["gitSource"].is_object();
        let (version, commit, redesign) = match asked["deploymentId"].as_str().map(|id| state.vercel.find(id))
        {
            Some(None) => return not_found("Deployment"),
            Some(Some(source)) if !latest => (source.version.clone(), source.commit.clone(), source.redesign),
            None if !latest => return bad_request("missing one of `deploymentId`, `gitSource`, `files`"),
            _ => (NEW_VERSION.into(), NEW_COMMIT.into(), true),
        };
        let broken = faults::any(&state.faults, "broken-build", now);
        let drawn = draw(state.seed, &[41, state.vercel.deployments.len() as u64]);
        let seconds = |least: u64, most: u64, salt| {
            TimeDelta::seconds((least + draw(drawn, &[salt]) % (most - least)).cast_signed())
        };
        let ended = now + seconds(60, 120, 2);
        let noted = asked["meta"].as_object().into_iter().flatten();
        let meta = noted.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        let takes_domains = target == "production" && state.vercel.auto_assign && !broken;
        let built = Deployment {
            id: format!("dpl_{:010x}", drawn >> 24),
            version,
            commit,
            redesign,
            target: target.into(),
            created: now,
            building: now + seconds(2, 8, 1),
            ended,
            outcome: if broken { Outcome::Error } else { Outcome::Ready },
            takes_domains,
            meta,
        };
        if takes_domains {
            state.vercel.served.push(Served { at: ended + TimeDelta::seconds(2), id: built.id.clone() });
        }
        state.vercel.deployments.push(built.clone());
        Json(json(&built, state, now)).into_response()
    })
}

pub(in super::super) async fn cancel(State(site): State<Site>, Path(id): Path<String>) -> Response {
    site.world.change(|state, now| {
        let Some(place) = state.vercel.deployments.iter().position(|one| one.id == id) else {
            return not_found("Deployment");
        };
        if state.vercel.deployments[place].ended <= now {
            return bad_request("the deployment is not building any more");
        }
        state.vercel.served.retain(|served| served.at <= now || served.id != id);
        let stopped = &mut state.vercel.deployments[place];
        stopped.outcome = Outcome::Canceled;
        stopped.ended = now;
        let stopped = stopped.clone();
        Json(json(&stopped, state, now)).into_response()
    })
}

pub(in super::super) async fn log(State(site): State<Site>, Path(id): Path<String>) -> Response {
    let now = site.now();
    let Some(one) = site.world.read(|state| state.vercel.find(&id).cloned()) else {
        return not_found("Deployment");
    };
    let end = if one.outcome == Outcome::Error {
        "error TS2339: Property 'score' does not exist"
    } else {
        "build completed"
    };
    let lines = [(one.building, "stdout", "vite v7 building for production..."), (one.ended, "stdout", end)];
    let written = lines.iter().filter(|(at, ..)| *at <= now).enumerate().map(|(serial, (at, kind, text))| {
        json!({"type": kind, "created": millis(*at), "payload": {"deploymentId": id, "text": text, "date": millis(*at),
            "id": format!("{serial}"), "serial": format!("{serial}")}})
    });
    Json(written.collect::<Vec<_>>()).into_response()
}
