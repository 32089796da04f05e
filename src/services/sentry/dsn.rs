//! The DSN: where events go and under which key; and what the ingestion says about its limits.
//!
//! Guarantees that the key never shows. Nothing is sent from here.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::services::ServiceError;
use crate::services::request::segment;

/// A DSN taken apart.
#[derive(Clone)]
pub struct Dsn {
    base: Url,
    key: SecretString,
    project: String,
    whole: SecretString,
}

impl Dsn {
    /// Takes a DSN apart: `https://<key>@<host>[/prefix]/<project>`.
    pub fn parse(dsn: &SecretString) -> Result<Self, ServiceError> {
        let wrong = |what: &str| {
            ServiceError::setup("Sentry", "read the DSN", format!("the DSN {what}"))
                .advise("copy it again from the project's settings, Client Keys")
        };
        let url = Url::parse(dsn.expose_secret().trim()).map_err(|_| wrong("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("must begin with https:// and name a host"));
        }
        let key = url.username().to_owned();
        if key.is_empty() {
            return Err(wrong("has no public key before the @"));
        }
        let path = url.path().trim_end_matches('/');
        let (prefix, project) = path.rsplit_once('/').unwrap_or(("", path));
        if project.is_empty() || !project.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("does not end in a project number"));
        }
        let mut base = url.clone();
        let bare = base.set_username("").and_then(|()| base.set_password(None));
        bare.map_err(|()| wrong("cannot be taken apart"))?;
        base.set_path(prefix);
        base.set_query(None);
        let (project, key) = (project.to_owned(), SecretString::from(key));
        Ok(Self { base, key, project, whole: dsn.clone() })
    }

    /// The ingestion host, with the prefix of a self-hosted one.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The ingestion host's name, as a content-security policy must allow it.
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// The number of the project that events go to.
    pub fn project(&self) -> &str {
        &self.project
    }

    pub(super) fn key(&self) -> &SecretString {
        &self.key
    }

    pub(super) fn whole(&self) -> &SecretString {
        &self.whole
    }

    pub(super) fn envelope_path(&self) -> String {
        format!("api/{}/envelope/", segment(&self.project))
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dsn")
            .field("host", &self.host())
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

/// How long `X-Sentry-Rate-Limits` keeps errors out; the header may come with a 200.
pub(super) fn limited(headers: &HeaderMap) -> Option<Duration> {
    let header = headers.get("x-sentry-rate-limits")?.to_str().ok()?;
    let limits = header.split(',').filter_map(|limit| {
        let mut parts = limit.trim().split(':');
        let seconds = parts.next()?.parse().ok()?;
        let categories = parts.next().unwrap_or_default();
        let ours = categories.is_empty() || categories.split(';').any(|category| category == "error");
        ours.then(|| Duration::from_secs(seconds))
    });
    limits.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_is_taken_apart_and_keeps_a_prefix() {
        let dsn = Dsn::parse(&"https://60120449@sentry.example.com/errors/4509".into()).unwrap();
        assert_eq!((dsn.host(), dsn.project()), ("sentry.example.com", "4509"));
        assert_eq!(dsn.base().as_str(), "https://sentry.example.com/errors");
        assert!(!format!("{dsn:?}").contains("60120449"));
    }

    #[test]
    fn a_wrong_dsn_is_named_and_not_shown() {
        for wrong in
            ["your_sentry_dsn_here", "https://o1.ingest.sentry.io/1", "https://60120449@o1.ingest.sentry.io/"]
        {
            let error = Dsn::parse(&wrong.into()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("60120449"));
        }
    }

    #[test]
    fn a_limit_counts_when_it_is_about_errors_or_about_all() {
        let limit = |text: &str| {
            limited(&[("x-sentry-rate-limits".parse().unwrap(), text.parse().unwrap())].into_iter().collect())
        };
        assert_eq!(
            limit("60:error;transaction:key:quota, 2700:span:organization"),
            Some(Duration::from_mins(1))
        );
        assert_eq!(limit("60:error:key, 2700::organization"), Some(Duration::from_mins(45)));
        assert_eq!(limit("60:transaction:key"), None);
    }
}
