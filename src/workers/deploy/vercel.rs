//! A release at Vercel: the newest production build, built again with the environment of today, and production on it.
//!
//! Guarantees that a build is asked for once for each job: it carries the job's mark and what was live before, so that whoever
//! takes the job up again finds both at Vercel. A project that does not assign its domains by itself is helped by a promotion.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BUILD, Deployed, LOOK, LOOKS, POINT, PROOF, PROVE, mark, version};
use crate::run::Failure;
use crate::services::error::Effect;
use crate::services::probe::Marker;
use crate::services::retry::Poll;
use crate::services::vercel::{Deployment, DeploymentFilter, JobKind, JobStatus, ReadyState, Vercel};
use crate::workers::outside::{self, Wanted};
use crate::workers::stop::{Stop, failed, go_on, unless_given_up};
use crate::workers::{Desk, Kit};

/// The key under which a deployment carries the mark of its job.
const MARK: &str = "gonogo";
/// The key under which it carries what was live before.
const PREVIOUS: &str = "gonogoPrevious";

const BUILD_TIME: Duration = Duration::from_mins(15);
const ALIAS_TIME: Duration = Duration::from_mins(3);
/// How long a ready build may take to get the domains by itself.
const BY_ITSELF: Duration = Duration::from_secs(45);
/// How long to look for a build whose answer was lost.
const LOST: Duration = Duration::from_secs(30);

/// What was seen before anything was done.
struct Before {
    live: Option<String>,
    assigns: bool,
    marker: Option<Marker>,
    ours: Option<Deployment>,
    newest: Option<Deployment>,
}

/// What was live before a deployment of ours.
pub(in super::super) fn previous(ours: &Deployment) -> Option<String> {
    ours.meta.get(PREVIOUS).and_then(Value::as_str).map(str::to_owned)
}

/// The deployment that carries this mark.
pub(in super::super) async fn find_ours(vercel: &Vercel, mark: &str) -> Result<Option<Deployment>, Failure> {
    Ok(of_production(vercel).await?.into_iter().find(|one| is_ours(one, mark)))
}

fn is_ours(one: &Deployment, mark: &str) -> bool {
    one.meta.get(MARK).and_then(Value::as_str) == Some(mark)
}

async fn of_production(vercel: &Vercel) -> Result<Vec<Deployment>, Failure> {
    let filter =
        DeploymentFilter { target: Some("production".into()), limit: 50, ..DeploymentFilter::default() };
    Ok(vercel.deployments(&filter).await.map_err(|error| failed(&error))?.value)
}

pub(super) async fn deploy(desk: &Desk, kit: &Kit, vercel: &Vercel) -> Result<Deployed, Stop> {
    let mark = mark(&desk.state(), desk.job().id);
    let before = desk.step(LOOK, look(kit, vercel, &mark)).await?;
    go_on(desk, "nothing was deployed").await?;

    let asked = "a build may be under way at Vercel; production was not pointed at it by this job";
    let building = desk.step(BUILD, build(desk, vercel, &before, &mark));
    let ours = unless_given_up(desk, asked, building).await?;
    let was = before.ours.as_ref().map_or_else(|| before.live.clone(), previous);
    let was = was.filter(|was| *was != ours.id);
    go_on(desk, "the release is built; production was not pointed at it by this job").await?;

    desk.step(POINT, point(desk, vercel, &ours, before.assigns)).await?;

    let wanted = Wanted {
        is: Marker { version: version(desk), commit: ours.commit().map(str::to_owned), assets: Vec::new() },
        is_not: before.marker.filter(|_| before.live.as_ref() != Some(&ours.id)),
    };
    let marker = desk.step(PROVE, outside::prove(desk, kit, PROVE, &wanted, LOOKS, PROOF)).await?;
    let page = ours.inspector_url.as_deref().and_then(|page| page.parse().ok());
    Ok(Deployed { id: ours.id, previous: was, marker, page })
}

async fn look(kit: &Kit, vercel: &Vercel, mark: &str) -> Result<(Before, Option<String>), Failure> {
    let project = vercel.project().await.map_err(|error| failed(&error))?.value;
    let all = of_production(vercel).await?;
    let live = project.production().map(|live| live.id.clone());
    let assigns = project.auto_assign_custom_domains != Some(false);
    let marker = outside::seen(kit).await;
    let mut note = match (&live, &marker) {
        (Some(live), Some(marker)) => format!("{live} is live: {}", outside::name(marker)),
        (Some(live), None) => format!("{live} is live; it does not tell its version"),
        (None, _) => "nothing is live yet".to_owned(),
    };
    if !assigns {
        note.push_str("; new builds do not go live by themselves here, so the release will be promoted");
    }
    let ready = all.iter().filter(|one| one.ready_state == ReadyState::Ready && !one.meta.contains_key(MARK));
    let newest = ready.max_by_key(|one| one.created_at).cloned();
    let ours = all.into_iter().find(|one| is_ours(one, mark));
    Ok((Before { live, assigns, marker, ours, newest }, Some(note)))
}

async fn build(
    desk: &Desk,
    vercel: &Vercel,
    before: &Before,
    mark: &str,
) -> Result<(Deployment, Option<String>), Failure> {
    let ours = match &before.ours {
        Some(ours) => ours.clone(),
        None => ask(desk, vercel, before, mark).await?,
    };
    desk.doing(Some(BUILD), format!("{} is building", ours.id));
    let ready = vercel.await_ready(&ours.id, BUILD_TIME).await.map_err(|error| {
        let live = before.live.as_deref().unwrap_or("nothing");
        Failure { state: format!("{} was not brought live; {live} still is", ours.id), ..failed(&error) }
    })?;
    let again = if before.ours.is_some() { ", found again after an interruption" } else { "" };
    let commit = ready.value.commit().map(|commit| format!(" of {}", &commit[..commit.len().min(8)]));
    let note = format!("{}{} is ready{again}", ready.value.id, commit.unwrap_or_default());
    Ok((ready.value, Some(note)))
}

/// Asks for the build, once.
async fn ask(desk: &Desk, vercel: &Vercel, before: &Before, mark: &str) -> Result<Deployment, Failure> {
    let from = before.newest.as_ref().ok_or_else(|| Failure {
        what: "there is no production build at Vercel to bring live".into(),
        state: "nothing was deployed".into(),
        next: "push the release so that Vercel builds it, then deploy again".into(),
    })?;
    let mut meta = json!({"action": "redeploy", MARK: mark});
    if let Some(live) = &before.live {
        meta[PREVIOUS] = json!(live);
    }
    let body = json!({"name": from.name, "deploymentId": from.id, "target": "production", "meta": meta});
    match vercel.create(&body).await {
        Ok(made) => Ok(made.value),
        Err(lost) if lost.effect() == Effect::Unknown => {
            desk.doing(Some(BUILD), "the answer was lost; looking whether the build was begun");
            let pause = Duration::from_secs(3);
            let mut poll = Poll::new(desk.clock(), pause, pause, LOST);
            loop {
                if let Ok(Some(ours)) = find_ours(vercel, mark).await {
                    return Ok(ours);
                }
                if !poll.again().await {
                    return Err(failed(&lost));
                }
            }
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Waits until production is on it, and promotes it where it does not come to that by itself.
async fn point(
    desk: &Desk,
    vercel: &Vercel,
    ours: &Deployment,
    assigns: bool,
) -> Result<((), Option<String>), Failure> {
    let pause = Duration::from_secs(2);
    let patience = if assigns { BY_ITSELF } else { Duration::ZERO };
    let mut poll = Poll::new(desk.clock(), pause, pause, patience);
    loop {
        let project = vercel.project().await.map_err(|error| failed(&error))?.value;
        let job = project.last_alias_request.as_ref().filter(|job| {
            job.kind == JobKind::Promote
                && job.to_deployment_id.as_deref() == Some(&ours.id)
                && matches!(job.job_status, JobStatus::Pending | JobStatus::InProgress)
        });
        if let Some(since) = job.and_then(|job| job.requested_at) {
            let done = vercel.await_job(JobKind::Promote, &ours.id, since, ALIAS_TIME).await;
            return match done {
                Ok(_) => Ok(((), Some("promoted".into()))),
                Err(error) => Err(stuck(vercel, failed(&error), JobKind::Promote).await),
            };
        }
        if let Some(live) = project.production()
            && live.id == ours.id
        {
            return Ok(((), Some(format!("production is {}", live.alias.join(", ")))));
        }
        if !poll.again().await {
            break;
        }
    }
    desk.doing(Some(POINT), "promoting it");
    match vercel.promote(&ours.id, ALIAS_TIME).await {
        Ok(_) => Ok(((), Some("promoted; new builds go live by themselves again".into()))),
        Err(error) => Err(stuck(vercel, failed(&error), JobKind::Promote).await),
    }
}

/// A failure that names the domains which stayed behind.
pub(in super::super) async fn stuck(vercel: &Vercel, failure: Failure, kind: JobKind) -> Failure {
    let Ok(list) = vercel.stuck_aliases(kind).await else { return failure };
    if list.value.is_empty() {
        return failure;
    }
    let domains = list.value.iter().map(|one| {
        format!("{} still leads to {}", one.domain, one.deployment.as_deref().unwrap_or("another deployment"))
    });
    Failure { state: domains.collect::<Vec<_>>().join(", "), ..failure }
}
