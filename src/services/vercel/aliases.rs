//! Pointing production at another deployment: rollback and promotion.
//!
//! Guarantees that a job counts as ours only if kind, deployment and time fit, since Vercel shows whatever job was last; that it is
//! asked for once; and that domains which stayed behind can be named.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Vercel, lenient};
use crate::services::error::{Effect, Fault, seconds};
use crate::services::request::{Request, segment};
use crate::services::retry::Poll;
use crate::services::{Answer, Outcome, ServiceError};

/// How far Vercel's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::seconds(5);

/// What a job does to the domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Back to a deployment that was live before.
    Rollback,
    /// Forward to a built one.
    Promote,
    /// Something newer than this client.
    #[serde(other)]
    Other,
}

impl JobKind {
    fn word(self) -> &'static str {
        if self == Self::Promote { "promote" } else { "rollback" }
    }
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStatus {
    /// Not begun.
    Pending,
    /// Moving domains.
    InProgress,
    /// All domains moved.
    Succeeded,
    /// Some or all did not.
    Failed,
    /// Nothing was to be done.
    Skipped,
    /// Something newer than this client.
    #[serde(other)]
    Other,
}

/// A job that moves the production domains.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AliasJob {
    /// What it does.
    #[serde(rename = "type")]
    pub kind: JobKind,
    /// How far it is.
    pub job_status: JobStatus,
    /// The deployment it leads to.
    #[serde(default)]
    pub to_deployment_id: Option<String>,
    /// The deployment it leads away from.
    #[serde(default)]
    pub from_deployment_id: Option<String>,
    /// When it was asked for.
    #[serde(default, deserialize_with = "lenient::maybe_millis")]
    pub requested_at: Option<DateTime<Utc>>,
}

impl AliasJob {
    fn is_ours(&self, kind: JobKind, to: &str, since: DateTime<Utc>) -> bool {
        self.kind == kind
            && self.to_deployment_id.as_deref() == Some(to)
            && self.requested_at.is_some_and(|at| at >= since - SKEW)
    }
}

/// A domain that a job did not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckAlias {
    /// The domain.
    pub domain: String,
    /// The deployment it still leads to.
    pub deployment: Option<String>,
    /// What Vercel says about it.
    pub status: String,
}

#[derive(Deserialize)]
struct Aliases {
    aliases: Vec<RawAlias>,
}

#[derive(Deserialize)]
struct RawAlias {
    #[serde(default, deserialize_with = "lenient::or_default")]
    status: String,
    alias: RawDomain,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDomain {
    #[serde(default, deserialize_with = "lenient::or_default")]
    alias: String,
    #[serde(default)]
    deployment_id: Option<String>,
}

impl Vercel {
    /// Points production back at a deployment that was live before, and waits until Vercel says that it is done. From then on
    /// new production builds no longer go live by themselves.
    pub async fn roll_back(&self, to: &str, description: &str, patience: Duration) -> Outcome<AliasJob> {
        self.move_production(JobKind::Rollback, to, Some(description), patience).await
    }

    /// Brings a built production deployment live, and lets later builds go live by themselves again.
    pub async fn promote(&self, to: &str, patience: Duration) -> Outcome<AliasJob> {
        self.move_production(JobKind::Promote, to, None, patience).await
    }

    async fn move_production(
        &self,
        kind: JobKind,
        to: &str,
        description: Option<&str>,
        patience: Duration,
    ) -> Outcome<AliasJob> {
        let since = self.http.clock().now();
        match self.ask_for(kind, to, description).await {
            Ok(()) => self.await_job(kind, to, since, patience).await,
            // The answer was lost: the job may run all the same, and asking twice would make a conflict.
            Err(lost) if lost.effect() == Effect::Unknown => self
                .await_job(kind, to, since, patience)
                .await
                .map_err(|error| if matches!(error.fault(), Fault::NotProven(_)) { lost } else { error }),
            Err(error) => Err(error),
        }
    }

    async fn ask_for(&self, kind: JobKind, to: &str, description: Option<&str>) -> Result<(), ServiceError> {
        let (project, to) = (segment(&self.project), segment(to));
        let path = match kind {
            JobKind::Promote => format!("v10/projects/{project}/promote/{to}"),
            _ => format!("v1/projects/{project}/rollback/{to}"),
        };
        let asked = format!("ask for the {} of production", kind.word());
        let request =
            Request::new(Method::POST, path, asked).maybe_query("description", description).json(&json!({}));
        self.http.send(self.with_team(request)).await.map(|_| ())
    }

    /// Waits for the job that was asked for at `since`.
    pub async fn await_job(
        &self,
        kind: JobKind,
        to: &str,
        since: DateTime<Utc>,
        patience: Duration,
    ) -> Outcome<AliasJob> {
        let pause = Duration::from_secs(1);
        let mut poll = Poll::new(self.http.clock(), pause, pause, patience);
        let asked = format!("see the {} done", kind.word());
        loop {
            let Answer { value: project, receipt } = self.project().await?;
            let ours = project.last_alias_request.filter(|job| job.is_ours(kind, to, since));
            let state = ours.as_ref().map(|job| job.job_status);
            if let Some(value) =
                ours.filter(|job| matches!(job.job_status, JobStatus::Succeeded | JobStatus::Skipped))
            {
                return Ok(Answer { value, receipt });
            }
            let fault = match state {
                Some(JobStatus::Failed) => {
                    let detail = "the job failed; some domains may have moved and some not".to_owned();
                    Fault::Refused { status: 200, code: Some("failed".to_owned()), detail }
                }
                state => {
                    if poll.again().await {
                        continue;
                    }
                    let state =
                        state.map_or_else(|| "has not begun".to_owned(), |state| format!("is {state:?}"));
                    Fault::NotProven(format!("the job {state} after {}", seconds(poll.waited())))
                }
            };
            let error = ServiceError::new("Vercel", asked, fault, Effect::Unknown, receipt);
            return Err(
                error.advise("list the domains that stayed behind, and look at the project's page at Vercel")
            );
        }
    }

    /// The domains that the last rollback or promotion did not move.
    pub async fn stuck_aliases(&self, kind: JobKind) -> Outcome<Vec<StuckAlias>> {
        let version = if kind == JobKind::Promote { "v1" } else { "v9" };
        let path = format!("{version}/projects/{}/{}/aliases", segment(&self.project), kind.word());
        let request = Request::get(path, "list the domains that stayed behind")
            .query("failedOnly", true)
            .query("limit", 100);
        let raw: Answer<Aliases> = self.http.json(self.with_team(request)).await?;
        Ok(raw.map(|raw| {
            let stuck = raw.aliases.into_iter().map(|raw| StuckAlias {
                domain: raw.alias.alias,
                deployment: raw.alias.deployment_id,
                status: raw.status,
            });
            stuck.collect()
        }))
    }
}
