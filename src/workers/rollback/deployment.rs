//! The deployment back: production on what was live before the release.
//!
//! Guarantees that the way back is the one the deployment remembered, that production which is there already is not moved again,
//! and that the vendor's "succeeded" is not the proof: the old build seen from outside is. Says that new builds no longer go
//! live by themselves.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use super::{Taken, Way, plan_of};
use crate::plan::RungKind;
use crate::run::job::Facts;
use crate::run::{Failure, Job, JobKind, Outcome, State, StepPlan};
use crate::services::Fault;
use crate::services::compose::Compose;
use crate::services::probe::Marker;
use crate::services::retry::Poll;
use crate::services::vercel::{self, JobStatus, Vercel};
use crate::workers::deploy::{self, stuck};
use crate::workers::outside::{self, Wanted};
use crate::workers::stop::{Stop, failed, go_on};
use crate::workers::{Desk, Kit};

const STEPS: [&str; 3] =
    ["find what was live before", "point production back", "see the old build from outside"];
/// How often in a row the old build must be seen.
const LOOKS: u32 = 5;

/// The deployment.
#[derive(Debug)]
pub(super) struct Deployment {
    kit: Kit,
    place: Place,
}

/// Where it is. What this run has deployed is production's, and no way back for staging.
#[derive(Debug)]
enum Place {
    Production,
    /// Beside that production, which it must not be.
    Staging(Kit),
}

/// Where production goes, and what it leaves.
struct Target {
    to: String,
    wanted: Wanted,
    /// Production is there already, and nothing is under way that would take it away.
    there: bool,
    /// A rollback to it that an earlier attempt asked for and that is not over.
    asked: Option<DateTime<Utc>>,
}

impl Deployment {
    pub(super) fn of_production(kit: &Kit) -> Self {
        Self { kit: kit.clone(), place: Place::Production }
    }

    pub(super) fn of_staging(kit: &Kit, production: &Kit) -> Self {
        Self { kit: kit.clone(), place: Place::Staging(production.clone()) }
    }

    /// A project goes by its name or its id, so that two files may name one without a word in common: Vercel knows.
    async fn is_apart(&self, project: &vercel::Project) -> Result<(), Failure> {
        let Place::Staging(production) = &self.place else { return Ok(()) };
        let api = |kit: &Kit| kit.config().services.vercel.as_ref().map(|vercel| vercel.api.clone());
        if api(production) != api(&self.kit) {
            return Ok(());
        }
        let real = production.vercel()?.project().await.map_err(|error| failed(&error))?.value;
        if real.id != project.id {
            return Ok(());
        }
        Err(Failure {
            what: format!("the project of staging is production's, {} ({})", real.name, real.id),
            state: "production was not moved".into(),
            next: "name the project that staging has of its own in its gonogo.toml".into(),
        })
    }

    /// What this run has deployed there.
    fn remembered<'a>(&self, state: &'a State) -> Option<(&'a Job, Told<'a>)> {
        match self.place {
            Place::Production => remembered(state),
            Place::Staging(_) => None,
        }
    }

    async fn back(&self, desk: &Desk, bound: Duration) -> Result<Taken, Stop> {
        let since = desk.clock().now();
        let services = &self.kit.config().services;
        let (wanted, to, since) = if services.vercel.is_some() {
            let vercel = self.kit.vercel()?;
            let target = desk.step(0, self.find(desk, &vercel)).await?;
            go_on(desk, "production was not moved").await?;
            desk.step(1, point(desk, &vercel, &target, bound)).await?;
            let since = if target.there { desk.job().requested } else { since };
            (target.wanted, target.to, since)
        } else if services.compose.is_some() {
            let compose = self.kit.compose()?;
            let (image, wanted) = desk.step(0, self.find_image(desk, &compose)).await?;
            go_on(desk, "the image was not switched").await?;
            desk.step(1, async {
                compose.switch_to(&image).await.map_err(|error| failed(&error))?;
                deploy::healthy(&compose).await
            })
            .await?;
            (wanted, image, since)
        } else {
            return Err(Stop::Failed(Failure {
                what: "no way to deploy is configured, so there is none back".into(),
                state: "nothing was done".into(),
                next: "add [services.vercel] or [services.compose] to gonogo.toml, or take another rung"
                    .into(),
            }));
        };
        let marker = desk.step(2, outside::prove(desk, &self.kit, 2, &wanted, LOOKS, bound)).await?;
        let mut says = format!("users get {} again ({to})", outside::name(&marker));
        if services.vercel.is_some() {
            says.push_str("; new builds do not go live by themselves until one is promoted");
        }
        Ok(Taken { since, proven: desk.clock().now(), says })
    }

    async fn find(&self, desk: &Desk, vercel: &Vercel) -> Result<(Target, Option<String>), Failure> {
        let state = desk.state();
        let read = |error: crate::services::ServiceError| failed(&error);
        let project = vercel.project().await.map_err(read)?.value;
        self.is_apart(&project).await?;
        let live = project.production().map(|live| live.id.clone());
        let (to, left) = match self.remembered(&state) {
            Some((job, facts)) => {
                let ours = match facts {
                    Some((id, _, _)) => Some(vercel.deployment(id).await.map_err(read)?.value),
                    None => deploy::find_ours(vercel, &deploy::mark(&state, job.id)).await?,
                };
                let before = facts.and_then(|(_, previous, _)| previous.clone());
                let before = before.or_else(|| ours.as_ref().and_then(deploy::previous));
                // A deployment that came to no build of its own left production as it was.
                let before = before.or_else(|| live.clone().filter(|_| ours.is_none()));
                let version = facts.and_then(|(_, _, version)| version.clone());
                (before, ours.map(|ours| (ours.id.clone(), version, ours.commit().map(str::to_owned))))
            }
            None => (None, None),
        };
        let job = project.last_alias_request.as_ref().filter(|job| {
            job.kind == vercel::JobKind::Rollback
                && job
                    .requested_at
                    .is_some_and(|at| at >= desk.job().requested - chrono::TimeDelta::seconds(5))
        });
        // Without a deployment of ours: where an earlier attempt went, else the newest that was live before the present one.
        let to = match (to, job.and_then(|job| job.to_deployment_id.clone())) {
            (Some(to), _) | (None, Some(to)) => to,
            (None, None) => self.candidate(vercel).await?,
        };
        let target = vercel.deployment(&to).await.map_err(read)?.value;
        let left_id = left.as_ref().map(|(id, ..)| id.clone());
        let under_way =
            left_id.is_some() && live != left_id && project.auto_assign_custom_domains != Some(false);
        let over = |status| matches!(status, JobStatus::Succeeded | JobStatus::Skipped | JobStatus::Failed);
        let asked = job.filter(|job| job.to_deployment_id.as_deref() == Some(&to) && !over(job.job_status));
        let there = live.as_deref() == Some(&to) && !under_way;
        let is_not = match left {
            Some((_, version, commit)) => Some(Marker { version, commit, assets: Vec::new() }),
            None if there => None,
            None => outside::seen(&self.kit).await,
        };
        let commit = target.commit().map(str::to_owned);
        let note = format!(
            "{to}{}{}",
            commit
                .as_deref()
                .map(|commit| format!(" of {}", &commit[..commit.len().min(8)]))
                .unwrap_or_default(),
            if there { ", which is live already" } else { "" }
        );
        let wanted = Wanted { is: Marker { commit, ..Marker::default() }, is_not };
        let asked = asked.and_then(|job| job.requested_at);
        Ok((Target { to, wanted, there, asked }, Some(note)))
    }

    async fn candidate(&self, vercel: &Vercel) -> Result<String, Failure> {
        let candidates = vercel.rollback_candidates().await.map_err(|error| failed(&error))?.value;
        candidates.into_iter().next().map(|one| one.id).ok_or_else(|| Failure {
            what: "Vercel has no earlier deployment that production can go back to".into(),
            state: "production was not moved".into(),
            next: "take another rung, or deploy the old version again".into(),
        })
    }

    async fn find_image(
        &self,
        desk: &Desk,
        compose: &Compose,
    ) -> Result<((String, Wanted), Option<String>), Failure> {
        let state = desk.state();
        let unknown = || Failure {
            what: "what ran before is not known: this run deployed nothing".into(),
            state: "the image was not switched".into(),
            next: "switch to the image before by hand: docker tag, then docker compose up --detach".into(),
        };
        let (job, facts) = self.remembered(&state).ok_or_else(unknown)?;
        let config = self.kit.config().services.compose.as_ref().ok_or_else(unknown)?;
        let image = facts.and_then(|(_, previous, _)| previous.clone());
        let image = image.unwrap_or_else(|| deploy::kept(&config.image, &state, job.id));
        // Naming it after itself changes nothing, and tells whether it is here.
        compose.tag(&image, &image).await.map_err(|error| failed(&error))?;
        let version = facts.and_then(|(_, _, version)| version.clone());
        let is_not = version.or_else(|| desk.plan().map(|plan| plan.version.clone()));
        let is_not = Marker { version: is_not, ..Marker::default() };
        let wanted = Wanted { is: Marker::default(), is_not: Some(is_not) };
        let note = format!("{image} is here");
        Ok(((image, wanted), Some(note)))
    }

    async fn forward(&self, desk: &Desk, first: u32) -> Result<String, Stop> {
        let vercel = self.kit.vercel()?;
        let to = desk
            .step(first, async {
                let project = vercel.project().await.map_err(|error| failed(&error))?.value;
                // The drill's own job says what production left.
                let left = project.last_alias_request.clone().and_then(|job| match job.kind {
                    vercel::JobKind::Rollback => job.from_deployment_id,
                    _ => job.to_deployment_id,
                });
                let to = left.ok_or_else(|| Failure {
                    what: "Vercel no longer says what production left".into(),
                    state: "production is still on the older deployment".into(),
                    next: "promote the newer one on the project's page at Vercel".into(),
                })?;
                if project.targets_production(&to) && project.auto_assign_custom_domains == Some(true) {
                    return Ok((to, Some("it is there again already".to_owned())));
                }
                vercel.promote(&to, Duration::from_mins(3)).await.map_err(|error| failed(&error))?;
                Ok((to, Some("promoted; new builds go live by themselves again".to_owned())))
            })
            .await?;
        let target = vercel.deployment(&to).await.map_err(|error| Stop::Failed(failed(&error)))?.value;
        let is = Marker { commit: target.commit().map(str::to_owned), ..Marker::default() };
        let wanted = Wanted { is, is_not: None };
        let patience = Duration::from_mins(3);
        let marker =
            desk.step(first + 1, outside::prove(desk, &self.kit, first + 1, &wanted, 3, patience)).await?;
        Ok(format!("{} is live again", outside::name(&marker)))
    }
}

type Told<'a> = Option<(&'a str, &'a Option<String>, &'a Option<String>)>;

/// The newest deployment of this run that succeeded, with its facts; else the newest that was begun.
fn remembered(state: &State) -> Option<(&Job, Told<'_>)> {
    let deploys = || state.jobs.values().rev().filter(|job| matches!(job.kind, JobKind::Deploy));
    let told = deploys().find_map(|job| match job.outcome() {
        Some(Outcome::Succeeded { facts: Facts::Deployed { id, previous, version }, .. }) => {
            Some((job, Some((id.as_str(), previous, version))))
        }
        _ => None,
    });
    told.or_else(|| deploys().next().map(|job| (job, None)))
}

/// Points production back, unless it is there. Another job that moves the domains is waited for.
async fn point(
    desk: &Desk,
    vercel: &Vercel,
    target: &Target,
    bound: Duration,
) -> Result<((), Option<String>), Failure> {
    let moved = "new builds no longer go live by themselves";
    if target.there {
        return Ok(((), Some("it was there already".into())));
    }
    let kind = vercel::JobKind::Rollback;
    if let Some(since) = target.asked {
        let done = vercel.await_job(kind, &target.to, since, bound).await;
        return match done {
            Ok(_) => Ok(((), Some(format!("asked for by an earlier attempt; {moved}")))),
            Err(error) => Err(stuck(vercel, failed(&error), kind).await),
        };
    }
    let description = format!("gonogo job {}", desk.job().id);
    let pause = Duration::from_secs(2);
    let mut poll = Poll::new(desk.clock(), pause, pause, bound);
    loop {
        match vercel.roll_back(&target.to, &description, bound).await {
            Ok(_) => return Ok(((), Some(moved.to_owned()))),
            Err(error) if matches!(error.fault(), Fault::Conflict(_)) => {
                desk.doing(Some(1), "another job is moving the domains; waiting for it");
                if !poll.again().await {
                    return Err(failed(&error));
                }
            }
            Err(error) => return Err(stuck(vercel, failed(&error), kind).await),
        }
    }
}

impl Way for Deployment {
    fn kind(&self) -> RungKind {
        RungKind::Deployment
    }

    fn steps<'a>(&'a self, _desk: &'a Desk) -> BoxFuture<'a, Result<Vec<StepPlan>, Failure>> {
        Box::pin(async { Ok(plan_of(&STEPS)) })
    }

    fn take<'a>(&'a self, desk: &'a Desk, bound: Duration) -> BoxFuture<'a, Result<Taken, Stop>> {
        Box::pin(self.back(desk, bound))
    }

    fn undo_steps(&self) -> &'static [&'static str] {
        if self.kit.config().services.vercel.is_some() {
            &["point production forward again", "see it from outside"]
        } else {
            &[]
        }
    }

    fn undo<'a>(&'a self, desk: &'a Desk, first: u32) -> BoxFuture<'a, Result<String, Stop>> {
        Box::pin(self.forward(desk, first))
    }
}
