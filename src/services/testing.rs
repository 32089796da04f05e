//! A vendor for the tests: a real server on a loopback socket that answers as told and remembers what it was asked.
//!
//! Tests only. It knows no vendor's shapes: each client's tests bring their own.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::clock::Clock;

/// A request as the vendor saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The path, still encoded.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Vec<u8>,
    /// When, on the test's clock.
    pub(crate) at: DateTime<Utc>,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the client sends JSON")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// An answer to give.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Body {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Never answers.
    Hang,
    /// Breaks off in the middle of the body.
    Reset,
}

pub(crate) fn json(status: u16, body: &Value) -> Say {
    Say::Body { status, headers: vec![("content-type", "application/json".into())], body: body.to_string() }
}

pub(crate) fn text(status: u16, body: &str) -> Say {
    Say::Body { status, headers: vec![("content-type", "text/html".into())], body: body.into() }
}

impl Say {
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike, without an & on each")]
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Self::Body { headers, .. } = &mut self {
            headers.push((name, value.to_string()));
        }
        self
    }
}

/// The server.
pub(crate) struct Vendor {
    pub(crate) url: Url,
    pub(crate) clock: Clock,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Vendor {
    /// Answers each request by `answer`, which is also told how many came before.
    pub(crate) async fn start(answer: impl Fn(&Seen, usize) -> Say + Send + Sync + 'static) -> Self {
        let clock = Clock::paced("2026-10-03T14:30:00Z".parse().unwrap(), 2000.0);
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let (answer, log, time) = (Arc::new(answer), Arc::clone(&seen), clock.clone());
        let router = Router::new().fallback(move |request: Request| {
            let (answer, log, time) = (Arc::clone(&answer), Arc::clone(&log), time.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
                let seen = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    body,
                    at: time.now(),
                };
                let said = {
                    let mut log = log.lock().unwrap();
                    let said = answer(&seen, log.len());
                    log.push(seen);
                    said
                };
                respond(said).await
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, clock, seen, server }
    }

    /// Answers in this order, then the last one for ever.
    pub(crate) async fn script(answers: Vec<Say>) -> Self {
        Self::start(move |_, before| answers[before.min(answers.len() - 1)].clone()).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn respond(said: Say) -> Response {
    match said {
        Say::Body { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Say::Hang => std::future::pending().await,
        Say::Reset => {
            let parts: [Result<Bytes, std::io::Error>; 2] =
                [Ok(Bytes::from_static(b"{\"data\": [")), Err(std::io::Error::other("reset"))];
            Response::new(Body::from_stream(futures_util::stream::iter(parts)))
        }
    }
}

/// A secret that no text may ever show.
pub(crate) const SECRET: &str = "t0psecret-0123456789-token";

pub(crate) fn secret() -> SecretString {
    SecretString::from(SECRET)
}
