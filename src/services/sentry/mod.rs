//! Sentry: releases and deploys, counts of errors and page loads, new issues, and the proof that events arrive.
//!
//! Guarantees ids as text, incomplete buckets left out, null as "no data", and that a renamed project is named. Which numbers
//! make a rate, and what is too many, is not decided here.

mod dsn;
mod events;
mod health;
mod proof;
mod releases;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

pub use dsn::Dsn;
pub use events::{Bucket, Dataset, ErrorCounts, PageLoads, Series, Table, TableQuery};
pub use health::{Issue, IssueList, NewSince, Outcomes};
pub use proof::{CheckEvent, SeenEvent, SentEvent};
pub use releases::{Deploy, Made, NewDeploy, NewRelease, Release};

use super::dialect::{Dialect, Words, say, usual_words};
use super::http::Http;
use super::limits::LimitHeaders;
use super::options::{Auth, Options};
use super::request::{Reply, Request, segment};
use super::{Outcome, ServiceError, lenient};
use crate::clock::Clock;

static DIALECT: Dialect = Dialect {
    service: "Sentry",
    throttled: &[],
    transient: &[507, 524],
    limits: LimitHeaders::Sentry,
    ids: &["x-sentry-request-id", "x-request-id", "cf-ray"],
    words,
};

/// Where Sentry is and who asks.
#[derive(Debug, Clone)]
pub struct Config {
    /// The API's host, such as `https://us.sentry.io`, without `/api/0`.
    pub api: Url,
    /// The DSN, for sending check events; its host is the ingestion host.
    pub dsn: Option<SecretString>,
    /// The organisation, slug or id.
    pub org: String,
    /// The project, slug or id.
    pub project: String,
    /// The environment that numbers are taken from.
    pub environment: Option<String>,
    /// A token of an internal integration or a user.
    pub token: SecretString,
}

/// A stretch of time to ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Up to now, as Sentry's clock has it.
    Last(Duration),
    /// From one moment to another.
    Between(DateTime<Utc>, DateTime<Utc>),
}

impl Window {
    fn on(self, request: Request) -> Request {
        match self {
            Self::Last(span) => {
                let seconds = span.as_secs();
                let period = if seconds.is_multiple_of(60) {
                    format!("{}m", seconds / 60)
                } else {
                    format!("{seconds}s")
                };
                request.query("statsPeriod", period)
            }
            Self::Between(start, end) => request.query("start", plain(start)).query("end", plain(end)),
        }
    }
}

/// UTC without an offset, as Sentry's parameters want it.
fn plain(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S").to_string()
}

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A project as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// The number that queries need.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// Its present slug.
    pub slug: String,
    /// The platform, if set.
    #[serde(default)]
    pub platform: Option<String>,
}

/// The client.
#[derive(Debug)]
pub struct Sentry {
    http: Http,
    ingest: Option<(Dsn, Http)>,
    config: Config,
    project_id: OnceCell<String>,
}

impl Sentry {
    /// Prepares the client; nothing is sent.
    pub fn new(config: Config, clock: Clock) -> Result<Self, ServiceError> {
        let ingest = match &config.dsn {
            None => None,
            Some(secret) => {
                let dsn = Dsn::parse(secret)?;
                let auth = Auth::Elsewhere(dsn.key().clone());
                let http = Http::new(&DIALECT, dsn.base().clone(), &auth, clock.clone(), Options::default())?;
                Some((dsn, http))
            }
        };
        let http =
            Http::new(&DIALECT, config.api.clone(), &Auth::bearer(&config.token), clock, Options::default())?;
        Ok(Self { http, ingest, config, project_id: OnceCell::new() })
    }

    /// What Sentry says is left of the limit of the endpoint asked last.
    pub fn budget(&self) -> tokio::sync::watch::Receiver<Option<super::RateBudget>> {
        self.http.budget()
    }

    /// The project; proves host, token and names at once.
    pub async fn project(&self) -> Outcome<Project> {
        let path = format!("api/0/projects/{}/{}/", segment(&self.config.org), segment(&self.config.project));
        self.http.json(Request::get(path, "look up the project").needs("project:read")).await
    }

    async fn project_id(&self) -> Result<&str, ServiceError> {
        if self.config.project.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(&self.config.project);
        }
        let id = self.project_id.get_or_try_init(async || Ok(self.project().await?.value.id)).await?;
        Ok(id)
    }

    fn org_path(&self, rest: &str) -> String {
        format!("api/0/organizations/{}/{rest}", segment(&self.config.org))
    }

    /// A read over this project and environment.
    async fn scoped(&self, path: &str, asked: &str, scope: &'static str) -> Result<Request, ServiceError> {
        let project = self.project_id().await?;
        Ok(Request::get(self.org_path(path), asked)
            .needs(scope)
            .query("project", project)
            .maybe_query("environment", self.config.environment.as_ref())
            .query("referrer", "api.gonogo"))
    }
}

fn words(reply: &Reply) -> Words {
    let mut words = usual_words(reply);
    let body = reply.value();
    // The older servers' 429 is a bare JSON string, and a renamed project's detail is an object.
    let detail = body.as_ref().and_then(|body| body.get("detail").or(body.as_str().map(|_| body)));
    if let Some(Value::Object(detail)) = detail {
        let slug = detail.get("extra").and_then(|extra| extra.get("slug")).or(detail.get("slug"));
        if let Some(slug) = slug.and_then(Value::as_str) {
            words.detail = Some(format!("the project was renamed to {slug}"));
            words.next = Some(format!("write {slug} as Sentry project in the settings"));
        }
    } else if let Some(text) = detail.and_then(say) {
        words.detail = Some(text);
    }
    if reply.status == StatusCode::FORBIDDEN.as_u16()
        && words.detail.as_deref().is_some_and(|detail| detail.contains("event submission rejected"))
    {
        words.next =
            Some("check the DSN: key switched off, another project, or another region's host".to_owned());
    }
    words.wait = dsn::limited(&reply.headers);
    words
}
