//! PostHog: queries, flags as the editor and as a client sees them, events sent and read back, annotations.
//!
//! Guarantees at most two queries at once, live numbers instead of cached ones, whole filters on every change of a flag, and
//! that a flag which could not be evaluated is unknown, not off. It judges no number.

mod capture;
mod evaluate;
mod flags;
mod query;
mod readings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

pub use capture::{CHECK_EVENT, SeenEvent};
pub use evaluate::{Evaluation, Probe};
pub use flags::{Flag, FlagGroup, Switch};
pub use query::{Hogql, Rows};
pub use readings::{Arm, Exposure, Reading};

use super::dialect::{Dialect, Words, usual_words};
use super::error::{Fault, ServiceError};
use super::http::Http;
use super::limits::{Gate, LimitHeaders};
use super::options::{Auth, Options};
use super::request::{Reply, Request, segment};
use super::{Outcome, lenient};
use crate::clock::Clock;

static DIALECT: Dialect = Dialect {
    service: "PostHog",
    throttled: &[],
    transient: &[],
    limits: LimitHeaders::None,
    ids: &["x-request-id", "x-posthog-request-id", "cf-ray"],
    words,
};

/// Queries at once; PostHog runs three for the whole project, people included.
const QUERIES_AT_ONCE: usize = 2;

/// A query may wait 30 s in PostHog's queue and run for 10.
const QUERY_TIMEOUT: Duration = Duration::from_secs(45);

/// Where PostHog is and who asks.
#[derive(Debug, Clone)]
pub struct Config {
    /// The private API, such as `https://us.posthog.com`.
    pub api: Url,
    /// The public ingestion, such as `https://us.i.posthog.com`.
    pub ingest: Url,
    /// The project's number.
    pub project: String,
    /// A personal API key, `phx_…`.
    pub personal_key: SecretString,
    /// The project key, `phc_…`; needed to send events and to see flags as a client does.
    pub project_key: Option<SecretString>,
}

/// The client.
#[derive(Debug)]
pub struct PostHog {
    queries: Http,
    api: Http,
    public: Option<(Http, SecretString)>,
    project: String,
}

impl PostHog {
    /// Prepares the client; nothing is sent.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, ServiceError> {
        let setup = |problem: &str| ServiceError::setup("PostHog", "prepare the client", problem);
        if config.personal_key.expose_secret().starts_with("phc_") {
            return Err(setup("a project key (phc_…) stands in the place of a personal key")
                .advise("make a personal API key (phx_…) in PostHog's settings and set that"));
        }
        let public_key = config.project_key.as_ref().map(ExposeSecret::expose_secret);
        if public_key.is_some_and(|key| key.starts_with("phx_") || key.starts_with("phs_")) {
            return Err(setup("a secret key (phx_… or phs_…) stands in the place of the project key, which every browser sees")
                .advise("set the project key (phc_…) there, and replace the secret key if it was ever published"));
        }
        let auth = Auth::bearer(&config.personal_key);
        let patient = Options {
            timeout: QUERY_TIMEOUT,
            gate: Gate::new(QUERIES_AT_ONCE, Duration::ZERO),
            ..Options::default()
        };
        let queries = Http::new(&DIALECT, config.api.clone(), &auth, clock.clone(), patient)?;
        let api = Http::new(&DIALECT, config.api.clone(), &auth, clock.clone(), Options::default())?;
        let public = match &config.project_key {
            None => None,
            Some(key) => {
                let auth = Auth::Elsewhere(key.clone());
                let http = Http::new(&DIALECT, config.ingest.clone(), &auth, clock, Options::default())?;
                Some((http, key.clone()))
            }
        };
        Ok(Self { queries, api, public, project: config.project.clone() })
    }

    /// Marks a moment in PostHog's charts. Each call makes another mark.
    pub async fn annotate(&self, content: &str, at: chrono::DateTime<chrono::Utc>) -> Outcome<String> {
        let content: String = content.chars().take(8192).collect();
        let body = json!({
            "content": content,
            "date_marker": at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "creation_type": "GIT",
            "scope": "project",
        });
        let request =
            Request::post(self.path("annotations/"), "annotate the deployment").needs("annotation:write");
        let reply = self.api.send(request.json(&body)).await?;
        let made = self.api.read::<Value>(&reply)?;
        match made.value.get("id").and_then(lenient::text) {
            Some(id) => Ok(made.map(|_| id)),
            None => Err(self.api.unreadable(&reply, "the annotation has no id")),
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("api/projects/{}/{rest}", segment(&self.project))
    }

    fn public(&self, asked: &str) -> Result<(&Http, &str), ServiceError> {
        match &self.public {
            Some((http, key)) => Ok((http, key.expose_secret())),
            None => Err(ServiceError::setup("PostHog", asked, "no project key (phc_…) is set")
                .advise("set the project key that the app uses")),
        }
    }
}

fn words(reply: &Reply) -> Words {
    let mut words = usual_words(reply);
    let detail = words.detail.as_deref().unwrap_or_default();
    if let Some((_, rest)) = detail.split_once("scope '") {
        words.missing = rest.split_once('\'').map(|(scope, _)| scope.to_owned());
    }
    if let Some(scope) = &words.missing {
        words.next = Some(format!("give the personal API key the scope {scope}"));
    } else if matches!(reply.status, 403 | 404) && reply.receipt.path.contains("/api/projects/") {
        words.next = Some("check the project's number, and that the key may see that project".to_owned());
    }
    // The public endpoints say this in plain text, and mean the bill.
    if reply.status == 429 && reply.text().contains("billing limit") {
        words.fault = Some(Fault::Quota(reply.text()));
        words.next = Some("raise the billing limit: events are refused until then".to_owned());
    }
    words
}
