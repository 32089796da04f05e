//! The application itself, asked from outside as a browser would.
//!
//! Guarantees that each probe is one sample (no retries, no cache), that a single-page app's catch-all never passes for health, and
//! that unreachable is a state, not an error. How many bad probes are an outage is not decided here.

mod csp;
mod health;
mod pages;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::header::HeaderName;
use url::Url;
use uuid::Uuid;

pub use csp::Csp;
pub use health::{CanFail, Health, HealthState};
pub use pages::{Marker, Page};

use super::ServiceError;
use super::dialect::{Dialect, usual_words};
use super::http::Http;
use super::limits::LimitHeaders;
use super::options::{Auth, Options};
use super::request::{Reply, Request};
use super::retry::Backoff;
use crate::clock::Clock;

static DIALECT: Dialect = Dialect {
    service: "application",
    throttled: &[],
    transient: &[],
    limits: LimitHeaders::None,
    ids: &["x-vercel-id", "x-request-id"],
    words: usual_words,
};

/// The largest page that is read.
const LARGEST: usize = 4 * 1024 * 1024;

/// The prober.
#[derive(Debug, Clone)]
pub struct Probe(Http);

impl Probe {
    /// Prepares to probe the application at `base`; nothing is sent.
    pub fn new(base: Url, timeout: Duration, clock: Clock) -> Result<Self, ServiceError> {
        let options = Options { timeout, largest: LARGEST, backoff: Backoff::once(), ..Options::default() };
        Ok(Self(Http::new(&DIALECT, base, &Auth::None, clock, options)?))
    }

    /// Where the application is.
    pub fn base(&self) -> &Url {
        self.0.base()
    }

    /// Asks past every cache; whatever the status, it is an answer.
    async fn ask(&self, path: &str, asked: &str) -> Result<Reply, ServiceError> {
        let fresh = Uuid::new_v4().simple().to_string();
        let request = Request::get(path, asked)
            .query("gonogo", &fresh[..12])
            .header(HeaderName::from_static("cache-control"), "no-cache")
            .welcome_all();
        self.0.send(request).await
    }
}

/// Whether a body is a page and not data.
fn is_page(body: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&body[..body.len().min(512)]);
    let head = head.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    head.starts_with("<!doctype html") || head.starts_with("<html") || head.starts_with("<!--")
}

/// How a cache says that it answered instead of the application.
fn cached(reply: &Reply) -> Option<String> {
    if let Some(state @ ("HIT" | "STALE" | "PRERENDER")) = reply.header("x-vercel-cache") {
        return Some(format!("x-vercel-cache: {state}"));
    }
    let age = reply.header("age").filter(|age| age.trim() != "0")?;
    Some(format!("age: {age}"))
}
