//! Releases and deploys.
//!
//! Guarantees that creating what exists already is a success that says so, and that a deploy is not recorded twice: Sentry makes
//! a new one for each request, so what is there is read first, and again when an answer was lost.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use super::{Sentry, iso};
use crate::services::error::Effect;
use crate::services::request::{Request, segment};
use crate::services::{Answer, Outcome, ServiceError, lenient};

/// Scopes that may write releases.
const SCOPE: &str = "project:releases";

/// Whether something was made now or was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made<T> {
    /// Made now.
    New(T),
    /// It was there already.
    Existed(T),
}

impl<T> Made<T> {
    /// The thing itself.
    pub fn into_inner(self) -> T {
        match self {
            Self::New(it) | Self::Existed(it) => it,
        }
    }
}

/// A release to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelease {
    /// Its version, such as `logos-vision-crm@2.0.0`.
    pub version: String,
    /// The commit.
    pub commit: Option<String>,
    /// Where it can be seen.
    pub url: Option<String>,
    /// When it went out.
    pub released: Option<DateTime<Utc>>,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Its version.
    pub version: String,
    /// Issues first seen in it.
    #[serde(default, deserialize_with = "lenient::maybe_count")]
    pub new_groups: Option<u64>,
    /// When its first event came, if one did.
    #[serde(default, deserialize_with = "lenient::maybe_time")]
    pub first_event: Option<DateTime<Utc>>,
    /// When its last event came, if one did.
    #[serde(default, deserialize_with = "lenient::maybe_time")]
    pub last_event: Option<DateTime<Utc>>,
}

/// A deploy to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeploy {
    /// The environment.
    pub environment: String,
    /// A name that is the same whenever this deploy is recorded again; at most 64 characters are kept.
    pub name: String,
    /// Where it can be seen.
    pub url: Option<String>,
    /// When it began.
    pub started: Option<DateTime<Utc>>,
    /// When it was done.
    pub finished: Option<DateTime<Utc>>,
}

/// A deploy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deploy {
    /// Its id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// The environment.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub environment: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// When it was done.
    #[serde(default, deserialize_with = "lenient::maybe_time")]
    pub date_finished: Option<DateTime<Utc>>,
}

impl Sentry {
    /// Creates a release. Safe to repeat.
    pub async fn create_release(&self, release: &NewRelease) -> Outcome<Made<Release>> {
        let version = &release.version;
        let forbidden = |c: char| matches!(c, '\r' | '\n' | '\t' | '\u{c}' | '/' | '\\');
        if version.is_empty()
            || version.chars().count() > 200
            || version.contains(forbidden)
            || matches!(version.as_str(), "." | ".." | "latest")
        {
            let problem = "a release's version has 1 to 200 characters, no slash, tab or line break, and is not \".\", \"..\" or \"latest\"";
            return Err(ServiceError::setup("Sentry", "create the release", problem));
        }
        let body = json!({
            "version": version,
            "projects": [self.config.project],
            "ref": release.commit,
            "url": release.url,
            "dateReleased": release.released.map(iso),
        });
        let request = Request::post(self.org_path("releases/"), "create the release").json(&body);
        let reply = self.http.send(request.needs(SCOPE).repeatable()).await?;
        let made: Answer<Release> = self.http.read(&reply)?;
        Ok(made.map(|release| if reply.status == 208 { Made::Existed(release) } else { Made::New(release) }))
    }

    /// One release.
    pub async fn release(&self, version: &str) -> Outcome<Release> {
        let path = self.org_path(&format!("releases/{}/", segment(version)));
        self.http.json(Request::get(path, "read the release").needs(SCOPE)).await
    }

    /// The deploys of a release.
    pub async fn deploys(&self, version: &str) -> Outcome<Vec<Deploy>> {
        self.http
            .json(Request::get(self.deploys_path(version), "list the release's deploys").needs(SCOPE))
            .await
    }

    /// Records a deploy, unless one of this name and environment is recorded already.
    pub async fn record_deploy(&self, version: &str, deploy: &NewDeploy) -> Outcome<Made<Deploy>> {
        let name: String = deploy.name.chars().take(64).collect();
        if let Some(found) = self.find_deploy(version, &deploy.environment, &name).await? {
            return Ok(found);
        }
        let body = json!({
            "environment": deploy.environment,
            "name": name,
            "url": deploy.url,
            "dateStarted": deploy.started.map(iso),
            "dateFinished": deploy.finished.map(iso),
        });
        let request = Request::post(self.deploys_path(version), "record the deploy").needs(SCOPE).json(&body);
        match self.http.json(request).await {
            Ok(made) => Ok(made.map(Made::New)),
            Err(error) if error.effect() == Effect::Unknown => {
                match self.find_deploy(version, &deploy.environment, &name).await {
                    Ok(Some(found)) => Ok(found.map(|made| Made::New(made.into_inner()))),
                    // It may still be on its way.
                    Ok(None) | Err(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn find_deploy(
        &self,
        version: &str,
        environment: &str,
        name: &str,
    ) -> Result<Option<Answer<Made<Deploy>>>, ServiceError> {
        let Answer { value, receipt } = self.deploys(version).await?;
        let found = value
            .into_iter()
            .find(|deploy| deploy.environment == environment && deploy.name.as_deref() == Some(name));
        Ok(found.map(|deploy| Answer { value: Made::Existed(deploy), receipt }))
    }

    fn deploys_path(&self, version: &str) -> String {
        self.org_path(&format!("releases/{}/deploys/", segment(version)))
    }
}
