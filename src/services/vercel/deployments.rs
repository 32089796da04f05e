//! Deployments: listed, read, built again and waited for.
//!
//! Guarantees that a build is asked for once, and that a failed one comes with Vercel's own message.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{Vercel, lenient};
use crate::services::error::{Effect, Fault, seconds};
use crate::services::request::{Request, segment};
use crate::services::retry::Poll;
use crate::services::{Answer, Outcome, ServiceError};

/// How far a deployment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum ReadyState {
    /// Waiting, starting or building.
    Building,
    /// Built.
    Ready,
    /// The build failed.
    Failed,
    /// Cancelled, blocked or deleted.
    Gone,
    /// A state this client does not know.
    Unknown,
}

impl From<String> for ReadyState {
    fn from(state: String) -> Self {
        match state.as_str() {
            "QUEUED" | "INITIALIZING" | "BUILDING" | "ANALYZING" | "DEPLOYING" => Self::Building,
            "READY" => Self::Ready,
            "ERROR" => Self::Failed,
            "CANCELED" | "BLOCKED" | "DELETED" => Self::Gone,
            _ => Self::Unknown,
        }
    }
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct Deployment {
    /// Its id.
    pub id: String,
    /// The project's name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Its own host, without a scheme.
    #[serde(default)]
    pub url: Option<String>,
    /// How far it has come.
    #[serde(default = "unknown")]
    pub ready_state: ReadyState,
    /// STAGED (never live), ROLLING or PROMOTED.
    #[serde(default)]
    pub ready_substate: Option<String>,
    /// `production`, or none for a preview.
    #[serde(default)]
    pub target: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::maybe_millis")]
    pub created_at: Option<DateTime<Utc>>,
    /// When its build was done.
    #[serde(default, deserialize_with = "lenient::maybe_millis")]
    pub ready: Option<DateTime<Utc>>,
    /// Whether Vercel would roll back to it.
    #[serde(default)]
    pub is_rollback_candidate: Option<bool>,
    /// Why the build failed.
    #[serde(default)]
    pub error_message: Option<String>,
    /// Its page.
    #[serde(default)]
    pub inspector_url: Option<String>,
    /// What was noted with it, such as the commit.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub meta: Map<String, Value>,
}

/// Lists say `uid`, single ones `id`, and some answers both.
impl<'de> Deserialize<'de> for Deployment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut raw = <Map<String, Value> as Deserialize>::deserialize(deserializer)?;
        if let Some(uid) = raw.remove("uid") {
            raw.entry("id").or_insert(uid);
        }
        Self::deserialize(Value::Object(raw)).map_err(serde::de::Error::custom)
    }
}

fn unknown() -> ReadyState {
    ReadyState::Unknown
}

impl Deployment {
    /// The commit it was built from, where it says.
    pub fn commit(&self) -> Option<&str> {
        ["githubCommitSha", "gitlabCommitSha", "bitbucketCommitSha"]
            .iter()
            .find_map(|key| self.meta.get(*key)?.as_str())
    }
}

/// Which deployments to list.
#[derive(Debug, Clone, Default)]
pub struct DeploymentFilter {
    /// `production`, or none for all.
    pub target: Option<String>,
    /// States, as Vercel writes them, such as `READY,ERROR`.
    pub state: Option<String>,
    /// Only those that Vercel would roll back to, when set.
    pub rollback_candidate: Option<bool>,
    /// How many at most; the list is followed over pages up to this.
    pub limit: usize,
}

#[derive(Deserialize)]
struct Page {
    deployments: Vec<Deployment>,
    #[serde(default)]
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next: Option<i64>,
}

impl Vercel {
    /// Deployments, newest first.
    pub async fn deployments(&self, filter: &DeploymentFilter) -> Outcome<Vec<Deployment>> {
        let limit = filter.limit.clamp(1, 1000);
        let (mut all, mut until) = (Vec::new(), None);
        loop {
            let request = Request::get("v6/deployments", "list deployments")
                .query("projectId", &self.project)
                .maybe_query("target", filter.target.as_ref())
                .maybe_query("state", filter.state.as_ref())
                .maybe_query("rollbackCandidate", filter.rollback_candidate)
                .query("limit", (limit - all.len()).min(100))
                .maybe_query("until", until);
            let page: Answer<Page> = self.http.json(self.with_team(request)).await?;
            let Page { deployments, pagination } = page.value;
            let got = deployments.len();
            all.extend(deployments);
            let next = pagination.and_then(|pagination| pagination.next).filter(|next| Some(*next) != until);
            if next.is_none() || got == 0 || all.len() >= limit {
                all.truncate(limit);
                return Ok(Answer { value: all, receipt: page.receipt });
            }
            until = next;
        }
    }

    /// The deployments that production can be pointed back at, newest first, without the present one.
    pub async fn rollback_candidates(&self) -> Outcome<Vec<Deployment>> {
        let present =
            self.project().await?.value.production().map(|target| (target.id.clone(), target.created_at));
        let filter = DeploymentFilter {
            target: Some("production".to_owned()),
            state: Some("READY".to_owned()),
            rollback_candidate: Some(true),
            limit: 20,
        };
        let list = self.deployments(&filter).await?;
        Ok(list.map(|mut list| {
            if let Some((id, created)) = present {
                let older = |at: Option<DateTime<Utc>>| created.is_none() || at.is_none() || at < created;
                list.retain(|deployment| deployment.id != id && older(deployment.created_at));
            }
            list.sort_by_key(|deployment| std::cmp::Reverse(deployment.created_at));
            list
        }))
    }

    /// One deployment, by id or host.
    pub async fn deployment(&self, id_or_host: &str) -> Outcome<Deployment> {
        let path = format!("v13/deployments/{}", segment(id_or_host));
        self.http.json(self.with_team(Request::get(path, "read the deployment"))).await
    }

    /// Builds a deployment again for production, with the environment variables of today.
    pub async fn redeploy(&self, from: &Deployment) -> Outcome<Deployment> {
        let body = json!({
            "name": from.name, "deploymentId": from.id, "target": "production", "meta": {"action": "redeploy"},
        });
        self.create(&body).await
    }

    /// Creates a production deployment out of a body of Vercel's own form, such as a `gitSource`.
    pub async fn create(&self, body: &Value) -> Outcome<Deployment> {
        let request =
            Request::post("v13/deployments", "ask for a deployment").query("forceNew", 1).json(body);
        self.http.json(self.with_team(request)).await.map_err(|error| match error.effect() {
            Effect::Unknown => error.advise("list the newest deployments before asking for another build"),
            _ => error,
        })
    }

    /// Waits until a deployment is built, telling each state it passes.
    pub async fn await_ready(&self, id: &str, patience: Duration) -> Outcome<Deployment> {
        let pause = Duration::from_secs(5);
        let mut poll = Poll::new(self.http.clock(), pause, pause, patience);
        let asked = "see the deployment ready";
        loop {
            let seen = self.deployment(id).await?;
            let fault = match seen.value.ready_state {
                ReadyState::Ready => return Ok(seen),
                ReadyState::Failed => {
                    let why =
                        seen.value.error_message.as_deref().unwrap_or("the build failed without a message");
                    Fault::Refused { status: 200, code: Some("ERROR".to_owned()), detail: why.to_owned() }
                }
                ReadyState::Gone => {
                    let detail = "the deployment was cancelled, blocked or deleted".to_owned();
                    Fault::Refused { status: 200, code: None, detail }
                }
                ReadyState::Building | ReadyState::Unknown => {
                    if poll.again().await {
                        continue;
                    }
                    Fault::NotProven(format!("the deployment is not ready after {}", seconds(poll.waited())))
                }
            };
            let page = seen.value.inspector_url.unwrap_or_else(|| format!("deployment {id}"));
            let error = ServiceError::new("Vercel", asked, fault, Effect::Nothing, seen.receipt);
            return Err(error.advise(format!("read the build log: {page}")));
        }
    }
}
