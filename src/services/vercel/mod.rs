//! Vercel: deployments, and what production points at.
//!
//! Guarantees the team on every call, waits as Vercel names them, and that a rollback counts only when Vercel's own job says so.
//! What an edge cache or a service worker still serves is for `probe` to find out.

mod aliases;
mod deployments;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

pub use aliases::{AliasJob, JobKind, JobStatus, StuckAlias};
pub use deployments::{Deployment, DeploymentFilter, ReadyState};

use super::dialect::{Dialect, Words};
use super::http::Http;
use super::limits::LimitHeaders;
use super::options::{Auth, Options};
use super::request::{Reply, Request, segment};
use super::{Outcome, ServiceError, lenient, retry};
use crate::clock::Clock;

static DIALECT: Dialect = Dialect {
    service: "Vercel",
    throttled: &[],
    transient: &[],
    limits: LimitHeaders::Standard,
    ids: &["x-vercel-id"],
    words,
};

/// Where Vercel is and who asks.
#[derive(Debug, Clone)]
pub struct Config {
    /// The API, `https://api.vercel.com`.
    pub api: Url,
    /// A token that may deploy to production.
    pub token: SecretString,
    /// The team, `team_…`; none for a personal account.
    pub team: Option<String>,
    /// The project, `prj_…` or its name.
    pub project: String,
}

/// The project, and what production is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Whether a new production deployment goes live by itself; false is the lasting sign of a rollback.
    #[serde(default)]
    pub auto_assign_custom_domains: Option<bool>,
    /// The last job that moved domains, whoever asked for it.
    #[serde(default)]
    pub last_alias_request: Option<AliasJob>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    targets: BTreeMap<String, Option<Target>>,
}

impl Project {
    /// What production points at; none before the first deployment.
    pub fn production(&self) -> Option<&Target> {
        self.targets.get("production")?.as_ref()
    }

    /// Whether production points at that deployment.
    pub fn targets_production(&self, id: &str) -> bool {
        self.production().is_some_and(|target| target.id == id)
    }
}

/// A deployment that a target points at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The deployment's id.
    pub id: String,
    /// Its own host.
    #[serde(default)]
    pub url: Option<String>,
    /// The domains that lead to it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub alias: Vec<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::maybe_millis")]
    pub created_at: Option<DateTime<Utc>>,
}

/// The client.
#[derive(Debug)]
pub struct Vercel {
    http: Http,
    team: Option<String>,
    project: String,
}

impl Vercel {
    /// Prepares the client; nothing is sent.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, ServiceError> {
        let http =
            Http::new(&DIALECT, config.api.clone(), &Auth::bearer(&config.token), clock, Options::default())?;
        Ok(Self { http, team: config.team.clone(), project: config.project.clone() })
    }

    /// The project and what production points at.
    pub async fn project(&self) -> Outcome<Project> {
        let path = format!("v9/projects/{}", segment(&self.project));
        self.http.json(self.with_team(Request::get(path, "read the project"))).await
    }

    fn with_team(&self, request: Request) -> Request {
        request.maybe_query("teamId", self.team.as_ref())
    }
}

fn words(reply: &Reply) -> Words {
    let body = reply.value().unwrap_or_default();
    let error = body.get("error").unwrap_or(&Value::Null);
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
    let reset =
        error.pointer("/limit/reset").and_then(Value::as_i64).and_then(|at| DateTime::from_timestamp(at, 0));
    let mut words = Words {
        detail: text("message"),
        code: text("code"),
        wait: reset.map(|at| retry::until(at, reply.receipt.at)),
        ..Words::default()
    };
    if reply.status == 429 && words.wait.is_none() {
        words.wait = Some(Duration::from_mins(1));
    }
    let says = |key: &str| error.get(key).and_then(Value::as_bool) == Some(true);
    if says("invalidToken") || says("missingToken") {
        // Vercel says 403 where others say 401.
        words.fault = Some(super::Fault::Unauthenticated(words.detail.clone().unwrap_or_default()));
    } else if matches!(reply.status, 403 | 404) {
        words.next =
            Some("check the project, and that the team is set if the project belongs to one".to_owned());
    } else if reply.status == 409 {
        words.next = Some(
            "another job or a rolling release is moving the domains: wait for it, then decide again"
                .to_owned(),
        );
    }
    words
}
