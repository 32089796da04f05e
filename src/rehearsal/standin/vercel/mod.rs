//! Vercel: a project, its production domains, and the jobs that move them.
//!
//! It guarantees that a rollback takes its time and shows the previous job in between, that it switches auto-assignment off
//! (and a promotion on), and that two jobs never run at once. Builds are in `deployments`, variables in `env`.

mod deployments;
mod env;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::site::{Limit, Site, credential, is};
use crate::rehearsal::draw::{draw, fraction};
use crate::rehearsal::faults;
use crate::rehearsal::state::{AliasJob, Outcome, Served, State as World};

/// The team that the token belongs to.
pub(super) const TEAM: &str = "team_logos1";
/// The project's id; its name answers as well.
pub(super) const PROJECT: &str = "prj_8Kq2Zt";
const NAME: &str = "logos-vision-crm";
const DOMAIN: &str = "app.logosvision.com";
const LIMIT: Limit = Limit { most: 120, window: TimeDelta::seconds(60) };

pub(super) fn router(site: Site) -> Router {
    let of_project = |rest: &str| format!("/v1/projects/{{project}}/{rest}");
    Router::new()
        .route("/v6/deployments", get(deployments::list))
        .route("/v7/deployments", get(deployments::list))
        .route("/v13/deployments", post(deployments::create))
        .route("/v13/deployments/{id}", get(deployments::one))
        .route("/v12/deployments/{id}/cancel", patch(deployments::cancel))
        .route("/v3/deployments/{id}/events", get(deployments::log))
        .route("/v9/projects/{project}", get(project))
        .route("/v1/projects/{project}/rollback/{id}", post(rollback))
        .route("/v9/projects/{project}/rollback/{id}", post(rollback))
        .route("/v10/projects/{project}/promote/{id}", post(promote))
        .route("/v9/projects/{project}/rollback/aliases", get(aliases))
        .route(&of_project("promote/aliases"), get(aliases))
        .route(&of_project("rolling-release"), get(async || Json(json!({"rollingRelease": null}))))
        .route(&of_project("env/{id}"), get(env::one))
        .route("/v9/projects/{project}/env", get(env::list))
        .route("/v10/projects/{project}/env", get(env::list).post(env::create))
        .route("/v9/projects/{project}/env/{id}", patch(env::change).delete(env::delete))
        .route("/v10/projects/{project}/env/{id}", patch(env::change))
        .fallback(async || {
            refusal(StatusCode::NOT_FOUND, "not_found", "The requested resource was not found")
        })
        .layer(from_fn_with_state(site.clone(), guard))
        .with_state(site)
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"error": {"code": code, "message": message}}))).into_response()
}

fn not_found(what: &str) -> Response {
    refusal(StatusCode::NOT_FOUND, "not_found", &format!("{what} not found"))
}

fn bad_request(why: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, "bad_request", &format!("Invalid request: {why}"))
}

fn millis(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

type Params = Query<Vec<(String, String)>>;

fn find<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

async fn guard(State(site): State<Site>, params: Params, request: Request, next: Next) -> Response {
    if site.out() {
        return refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "internal_server_error",
            "An unexpected internal error occurred",
        );
    }
    let forbidden = |extra: &str, message: &str| {
        let mut body = json!({"error": {"code": "forbidden", "message": message}});
        body["error"][extra] = true.into();
        (StatusCode::FORBIDDEN, Json(body)).into_response()
    };
    match credential(request.headers(), "Bearer") {
        None => return forbidden("missingToken", "The request is missing an authentication token"),
        token if is(token, &site.keys.vercel) => {}
        Some(_) => return forbidden("invalidToken", "Not authorized"),
    }
    if find(&params, "teamId") != Some(TEAM) && find(&params, "slug") != Some("logos") {
        return refusal(StatusCode::FORBIDDEN, "forbidden", "Not authorized");
    }
    // The third part of a path that names a project is that project.
    let parts: Vec<&str> = request.uri().path().split('/').collect();
    if parts.get(2) == Some(&"projects")
        && parts.get(3).is_some_and(|project| *project != PROJECT && *project != NAME)
    {
        return not_found("Project");
    }
    let now = site.now();
    let mut left = site.limits.take(
        &format!("{} {}", request.method(), parts.get(1..5).unwrap_or(&parts).join("/")),
        LIMIT,
        now,
    );
    left.allowed &= !site.throttled();
    if left.allowed {
        return with_id(&site, next.run(request).await);
    }
    let wait = left.wait(now);
    let limit = json!({"total": LIMIT.most, "remaining": 0, "reset": left.resets.timestamp()});
    let message = format!("Too many requests - try again in {wait} seconds");
    let body = Json(json!({"error": {"code": "rate_limited", "message": message, "limit": limit}}));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait.to_string())], body).into_response()
}

fn with_id(site: &Site, mut answer: Response) -> Response {
    if let Ok(id) = HeaderValue::from_str(&format!("iad1::{}", site.now().timestamp_millis())) {
        answer.headers_mut().insert(HeaderName::from_static("x-vercel-id"), id);
    }
    answer
}

fn job_status(job: &AliasJob, now: DateTime<Utc>) -> &'static str {
    match () {
        () if now < job.begun => "pending",
        () if now < job.ended => "in-progress",
        () if job.fails => "failed",
        () => "succeeded",
    }
}

async fn project(State(site): State<Site>) -> Response {
    let now = site.now();
    site.world.read(|state| {
        let vercel = &state.vercel;
        let job = vercel.jobs.iter().rev().find(|job| job.shown <= now).map(|job| {
            json!({"fromDeploymentId": job.from, "toDeploymentId": job.to, "fromRollingReleaseId": null,
                "jobStatus": job_status(job, now), "requestedAt": millis(job.requested), "type": job.kind})
        });
        let live = vercel.production(now).map(|live| deployments::json(live, state, now));
        Json(json!({"id": PROJECT, "name": NAME, "accountId": TEAM, "framework": "vite", "nodeVersion": "22.x",
            "autoAssignCustomDomains": vercel.auto_assign, "lastAliasRequest": job, "lastRollbackTarget": null,
            "targets": {"production": live}, "features": {"webAnalytics": false}}))
        .into_response()
    })
}

async fn rollback(State(site): State<Site>, Path((_, id)): Path<(String, String)>) -> Response {
    let now = site.now();
    let served =
        site.world.read(|state| state.vercel.served.iter().any(|served| served.id == id && served.at <= now));
    let known = site.world.read(|state| state.vercel.find(&id).is_some());
    if known && !served {
        return refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "not_rollback_candidate",
            "Deployment never served production",
        );
    }
    move_domains(&site, "rollback", &id)
}

async fn promote(State(site): State<Site>, Path((_, id)): Path<(String, String)>) -> Response {
    move_domains(&site, "promote", &id)
}

/// Begins a job that moves the production domains; it ends one to ten seconds later.
fn move_domains(site: &Site, kind: &str, id: &str) -> Response {
    site.world.change(|state, now| {
        let fails = faults::any(&state.faults, "stuck-aliases", now);
        let part = |salt| fraction(draw(state.seed, &[salt, state.vercel.jobs.len() as u64]));
        let after = |least: f64, most: f64, salt| {
            #[expect(clippy::cast_possible_truncation, reason = "a few thousand milliseconds")]
            let millis = ((least + (most - least) * part(salt)) * 1_000.0) as i64;
            TimeDelta::milliseconds(millis)
        };
        let (shown, begun, ended) = (after(0.3, 0.9, 31), after(0.9, 3.0, 32), after(3.5, 9.5, 33));
        let vercel = &mut state.vercel;
        let Some(to) = vercel.find(id) else { return not_found("Deployment") };
        if to.target != "production" || to.outcome != Outcome::Ready || to.ended > now {
            return refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "deployment_not_ready",
                "Deployment cannot serve production",
            );
        }
        if vercel.jobs.last().is_some_and(|job| job.ended > now) {
            return refusal(
                StatusCode::CONFLICT,
                "alias_job_in_progress",
                "Another alias job is in progress",
            );
        }
        let from = vercel.production(now).map(|live| live.id.clone()).unwrap_or_default();
        // A build that is still under way no longer takes the domains when it is ready.
        vercel.served.retain(|served| served.at <= now);
        vercel.jobs.push(AliasJob {
            kind: kind.into(),
            from,
            to: id.into(),
            requested: now,
            shown: now + shown,
            begun: now + begun,
            ended: now + ended,
            fails,
        });
        vercel.auto_assign = kind == "promote";
        if !fails {
            vercel.served.push(Served { at: now + ended, id: id.into() });
        }
        StatusCode::CREATED.into_response()
    })
}

async fn aliases(State(site): State<Site>, params: Params) -> Response {
    let now = site.now();
    let failed_only = find(&params, "failedOnly") == Some("true");
    site.world.read(|state: &World| {
        let job = state.vercel.jobs.last().filter(|job| job.shown <= now);
        let alias = |job: &AliasJob| {
            let status = match job_status(job, now) {
                "succeeded" => "completed",
                other => other,
            };
            let holder = if status == "completed" { &job.to } else { &job.from };
            json!({"alias": {"alias": DOMAIN, "deploymentId": holder}, "id": "als_1", "status": status})
        };
        let list: Vec<Value> =
            job.map(alias).into_iter().filter(|one| !failed_only || one["status"] == "failed").collect();
        Json(json!({"aliases": list, "pagination": {"count": list.len(), "next": null, "prev": null}}))
            .into_response()
    })
}
