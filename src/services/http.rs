//! The one way out: everything that leaves for a vendor over HTTP goes through here.
//!
//! Guarantees a time-out in wall time, no redirects, a cap on the body, the status read before the body, retries as `retry`
//! allows on the [`Clock`], the vendor's limits obeyed, a receipt for each answer and each failure, and no secret in any text.
//! It knows no vendor: what is particular comes in as a [`Dialect`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use url::Url;

use super::dialect::{Dialect, effect_of};
use super::error::{Fault, ServiceError};
use super::limits::RateBudget;
use super::options::{Auth, Budget, Options};
use super::redact::Redactor;
use super::request::{Reply, Request};
use super::{Answer, Outcome, Receipt};
use crate::clock::Clock;

struct Inner {
    dialect: &'static Dialect,
    base: Url,
    auth: Option<HeaderValue>,
    redactor: Redactor,
    client: reqwest::Client,
    clock: Clock,
    options: Options,
    budget: watch::Sender<Option<RateBudget>>,
}

/// The way to one vendor's API. Clones share connections, queue and budget.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

impl Http {
    /// Prepares the way to `base`; nothing is sent.
    pub fn new(
        dialect: &'static Dialect,
        base: Url,
        auth: &Auth,
        clock: Clock,
        options: Options,
    ) -> Result<Self, ServiceError> {
        let setup = |problem: String| ServiceError::setup(dialect.service, "prepare the client", problem);
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(setup("the base URL must begin with http:// or https:// and name a host".to_owned()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(setup(
                "the base URL carries a user or password: put the secret into its own setting".to_owned(),
            ));
        }
        let (header, redactor) = match auth {
            Auth::None => (None, Redactor::new()),
            Auth::Elsewhere(secret) => (None, Redactor::new().with(secret)),
            Auth::Header { scheme, secret } => {
                let mut value = HeaderValue::from_str(&format!("{scheme} {}", secret.expose_secret().trim()))
                    .map_err(|_| setup("the token holds characters that no header can carry".to_owned()))?;
                value.set_sensitive(true);
                (Some(value), Redactor::new().with(secret))
            }
        };
        // Fails only when another part of the program was first, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.timeout)
            .pool_max_idle_per_host(4)
            .user_agent(concat!("gonogo/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // Roots are never asked for, and reading the machine's store costs time and memory.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| setup(format!("no HTTP client: {}", chain(&error))))?;
        Ok(Self(Arc::new(Inner {
            dialect,
            base,
            auth: header,
            redactor,
            client,
            clock,
            options,
            budget: watch::Sender::new(None),
        })))
    }

    /// The name of the service.
    pub fn service(&self) -> &'static str {
        self.0.dialect.service
    }

    /// Where it is.
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// The clock all waits are on.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What takes the secrets out of text.
    pub fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    /// What the server last said is left; none as long as it said nothing.
    pub fn budget(&self) -> watch::Receiver<Option<RateBudget>> {
        self.0.budget.subscribe()
    }

    /// Sends, and reads the answer as JSON.
    pub async fn json<T: DeserializeOwned>(&self, request: Request) -> Outcome<T> {
        let reply = self.send(request).await?;
        self.read(&reply)
    }

    /// Reads an answer as JSON.
    pub fn read<T: DeserializeOwned>(&self, reply: &Reply) -> Outcome<T> {
        match serde_json::from_slice(&reply.body) {
            Ok(value) => Ok(Answer { value, receipt: reply.receipt.clone() }),
            Err(error) => Err(self.unreadable(reply, &error.to_string())),
        }
    }

    /// The error of a good status over a body that makes no sense.
    pub fn unreadable(&self, reply: &Reply, why: &str) -> ServiceError {
        let begins = self.0.redactor.excerpt(&reply.body, 200);
        let detail = self.0.redactor.clean(&format!("{why}; it begins: {begins}"));
        self.fail(reply, Fault::Unreadable { status: reply.status, detail })
    }

    /// An error over a reply that came, with the text of the fault already clean.
    pub fn fail(&self, reply: &Reply, fault: Fault) -> ServiceError {
        let effect = effect_of(&fault, reply.read);
        ServiceError::new(self.service(), reply.asked.clone(), fault, effect, reply.receipt.clone())
    }

    /// Sends until there is an answer or no point in trying again.
    pub async fn send(&self, request: Request) -> Result<Reply, ServiceError> {
        let inner = &*self.0;
        let mut attempt = 1;
        loop {
            let permit = inner.options.gate.enter(&inner.clock).await;
            self.wait_for_budget().await;
            let error = match self.once(&request, attempt).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let wait = inner.options.backoff.wait(error.fault(), request.repeat, attempt);
            if let Fault::Throttled { retry_after, .. } = error.fault() {
                // All who queue for this vendor hold back, not only this request.
                let backoff = &inner.options.backoff;
                let hold = retry_after.unwrap_or(backoff.unnamed).min(backoff.longest_named);
                inner
                    .options
                    .gate
                    .hold(inner.clock.now() + TimeDelta::from_std(hold).unwrap_or_default())
                    .await;
            }
            drop(permit);
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(service = inner.dialect.service, attempt, ?wait, %error, "will ask again");
            inner.clock.sleep(wait).await;
            attempt += 1;
        }
    }

    async fn wait_for_budget(&self) {
        if self.0.options.budget == Budget::Watch {
            return;
        }
        let over =
            self.0.budget.borrow().filter(|budget| budget.remaining == 0).and_then(|budget| budget.over());
        if let Some(over) = over {
            let longest = TimeDelta::from_std(self.0.options.backoff.longest_named).unwrap_or_default();
            self.0.clock.sleep_until(over.min(self.0.clock.now() + longest)).await;
        }
    }

    async fn once(&self, request: &Request, attempt: u32) -> Result<Reply, ServiceError> {
        let inner = &*self.0;
        let at = inner.clock.now();
        let began = Instant::now();
        let timeout = request.timeout.unwrap_or(inner.options.timeout);
        let mut receipt = Receipt {
            service: inner.dialect.service.to_owned(),
            method: request.method.to_string(),
            path: inner.redactor.clean(&format!("/{}", request.path.trim_start_matches('/'))),
            attempts: attempt,
            at,
            ..Receipt::default()
        };
        let answer = self.exchange(request, timeout).await;
        receipt.took = began.elapsed();
        let fault = match answer {
            Err(fault) => {
                if !matches!(fault, Fault::Unreachable(_) | Fault::Setup(_)) {
                    self.0.budget.send_modify(|budget| *budget = budget.map(RateBudget::unanswered));
                }
                fault
            }
            Ok((status, headers, body)) => {
                receipt.status = Some(status);
                receipt.request_id = inner.dialect.ids.iter().find_map(|name| {
                    headers.get(*name)?.to_str().ok().map(|id| inner.redactor.excerpt(id.as_bytes(), 100))
                });
                self.note_budget(&headers, inner.clock.now());
                let (asked, read, needs) = (request.asked.clone(), request.read, request.needs);
                let reply = Reply { status, headers, body, receipt, asked, read, needs };
                tracing::debug!(receipt = ?reply.receipt, "answered");
                if request.welcome.has(status) {
                    return Ok(reply);
                }
                return Err(self.refusal(&reply));
            }
        };
        tracing::debug!(?receipt, %fault, "not answered");
        let effect = effect_of(&fault, request.read);
        Err(ServiceError::new(inner.dialect.service, request.asked.clone(), fault, effect, receipt))
    }

    /// The error of a bad status, in the vendor's words.
    pub fn refusal(&self, reply: &Reply) -> ServiceError {
        let inner = &*self.0;
        let excerpt = inner.redactor.excerpt(&reply.body, 200);
        let named = inner.dialect.limits.named_wait(&reply.headers, inner.clock.now());
        let (fault, next) = inner.dialect.fault(reply, excerpt, named);
        let scope = match (&fault, reply.needs) {
            (Fault::Forbidden { missing: None, .. }, Some(scope)) => {
                Some(format!("give the token the scope {scope}"))
            }
            _ => None,
        };
        let error = self.fail(reply, fault.reword(|text| inner.redactor.excerpt(text.as_bytes(), 300)));
        match next.or(scope) {
            Some(next) => error.advise(inner.redactor.clean(&next)),
            None => error,
        }
    }

    fn note_budget(&self, headers: &HeaderMap, now: DateTime<Utc>) {
        let window = match self.0.options.budget {
            Budget::Watch => None,
            Budget::Obey(window) => Some(window),
        };
        if let Some(budget) = self.0.dialect.limits.read(headers, now) {
            self.0.budget.send_if_modified(|old| {
                let budget = budget.after(*old, now, window);
                old.replace(budget) != Some(budget)
            });
        }
    }

    async fn exchange(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> Result<(u16, HeaderMap, Vec<u8>), Fault> {
        let inner = &*self.0;
        let mut builder = inner
            .client
            .request(request.method.clone(), self.url(request))
            .headers(request.headers.clone())
            .timeout(timeout);
        if let Some(auth) = &inner.auth {
            builder = builder.header(AUTHORIZATION, auth.clone());
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut response = builder.send().await.map_err(|error| self.fault_of(error, timeout))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.fault_of(error, timeout))? {
            if body.len() + chunk.len() > inner.options.largest {
                return Err(Fault::TooLarge(inner.options.largest));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, body))
    }

    fn url(&self, request: &Request) -> Url {
        let mut url = self.0.base.clone();
        let path = request.path.trim_start_matches('/');
        if !path.is_empty() {
            url.set_path(&format!("{}/{path}", self.0.base.path().trim_end_matches('/')));
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    fn fault_of(&self, error: reqwest::Error, timeout: Duration) -> Fault {
        // The URL may carry ids and, at webhooks, the secret itself.
        let error = error.without_url();
        let detail = self.0.redactor.excerpt(chain(&error).as_bytes(), 300);
        if error.is_connect() {
            Fault::Unreachable(detail)
        } else if error.is_timeout() {
            Fault::TimedOut(timeout)
        } else if error.is_builder() {
            Fault::Setup(detail)
        } else {
            Fault::Cut(detail)
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.base.host_str().unwrap_or_default();
        f.debug_struct("Http").field("service", &self.service()).field("host", &host).finish_non_exhaustive()
    }
}

/// Whether a URL stays on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// An error and what caused it, without repeating what a cause already says.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
