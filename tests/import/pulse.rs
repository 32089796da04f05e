//! A Pulse of the tests' own on a socket: it pages, counts, limits, changes while it is read, and answers every so often with
//! something that is no answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::people::{Dice, There};

pub(crate) const TOKEN: &str = "a-token-of-the-test";

/// What is behind the socket.
pub(crate) struct Inner {
    pub(crate) people: Vec<There>,
    pub(crate) token: String,
    pub(crate) served: u64,
    /// Every so many answers one is a fault.
    pub(crate) fault_every: Option<u64>,
    /// Every so many pages somebody's profile changes, until the changes are asked for.
    pub(crate) change_every: Option<u64>,
    pub(crate) changes: u64,
    pub(crate) faults: u64,
    dice: Dice,
    /// Answers instead of all of this, where it gives one.
    pub(crate) script: Option<Script>,
}

pub(crate) type Script = Box<dyn FnMut(&Asked, u64) -> Option<Response> + Send>;

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) modified_since: Option<DateTime<Utc>>,
}

/// The server; it stops when this is dropped.
pub(crate) struct Pulse {
    pub(crate) url: String,
    pub(crate) inner: Arc<Mutex<Inner>>,
    stop: AbortHandle,
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop.abort();
    }
}

impl Pulse {
    pub(crate) async fn start(people: Vec<There>, seed: u64) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            people,
            token: TOKEN.into(),
            served: 0,
            fault_every: None,
            change_every: None,
            changes: 0,
            faults: 0,
            dice: Dice::new(seed, 77),
            script: None,
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/api/contacts/relationship-profiles", get(profiles))
            .route("/api/contacts/{profile}/interactions", get(interactions))
            .with_state(Arc::clone(&inner));
        let stop = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle();
        Self { url, inner, stop }
    }

    pub(crate) fn served(&self) -> u64 {
        self.inner.lock().unwrap().served
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap());
    }
}

/// A page as Pulse sends it.
pub(crate) fn page(profiles: &[Value], total: usize, offset: usize, more: bool) -> Value {
    json!({"data": profiles, "pagination": {"total": total, "limit": 100, "offset": offset, "has_more": more}})
}

pub(crate) fn plain(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

/// Half an answer, and then the connection breaks.
pub(crate) fn broken(body: &str) -> Response {
    let half = body.as_bytes()[..body.len() / 2].to_vec();
    let parts = [Ok(half), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    plain(StatusCode::OK, "application/json", Body::from_stream(futures_util::stream::iter(parts)))
}

/// One call of each, on the same day.
async fn interactions(axum::extract::Path(profile): axum::extract::Path<String>) -> Response {
    let call = json!({"id": format!("i-{profile}"), "interaction_type": "call", "interaction_date": "2026-09-01T10:00:00.000Z",
        "subject": "About the gala", "sentiment_score": 0.4, "ai_topics": ["gala"], "duration_minutes": 12});
    let body = json!({"profile_id": profile, "interactions": [call], "summary": {"total_interactions": 1}});
    plain(StatusCode::OK, "application/json", body.to_string())
}

async fn profiles(
    State(state): State<Arc<Mutex<Inner>>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let (answer, pause) = {
        let mut inner = state.lock().unwrap();
        inner.served += 1;
        let wanted = format!("Bearer {}", inner.token);
        if headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) != Some(&wanted) {
            let body = json!({"error": "unauthorized", "message": "the token has expired"}).to_string();
            return plain(StatusCode::UNAUTHORIZED, "application/json", body);
        }
        let served = inner.served;
        if let Some(script) = &mut inner.script
            && let Some(answer) = script(&asked, served)
        {
            return answer;
        }
        inner.answer(&asked)
    };
    tokio::time::sleep(pause).await;
    answer
}

impl Inner {
    fn answer(&mut self, asked: &Asked) -> (Response, Duration) {
        if asked.modified_since.is_some() {
            // What changes after this is for the next sync.
            self.change_every = None;
        }
        if self.change_every.is_some_and(|every| self.served.is_multiple_of(every)) {
            self.change();
        }
        let updated = |there: &&There| {
            let at: DateTime<Utc> = there.json["updated_at"].as_str().unwrap().parse().unwrap();
            asked.modified_since.is_none_or(|since| at >= since)
        };
        let listed: Vec<&Value> = self.people.iter().filter(updated).map(|there| &there.json).collect();
        let shown: Vec<Value> =
            listed.iter().skip(asked.offset).take(asked.limit).map(|json| (*json).clone()).collect();
        let more = asked.offset + shown.len() < listed.len();
        let body = page(&shown, listed.len(), asked.offset, more).to_string();
        if self.fault_every.is_some_and(|every| self.served.is_multiple_of(every)) {
            self.faults += 1;
            return self.fault(&body);
        }
        (plain(StatusCode::OK, "application/json", body), Duration::ZERO)
    }

    /// Somebody changes, and comes first in the list from then on: the others move by one.
    fn change(&mut self) {
        let good = |there: &There| there.bad.is_none();
        let start = usize::try_from(self.dice.below(self.people.len() as u64)).unwrap();
        let Some(place) = (start..self.people.len()).find(|place| good(&self.people[*place])) else { return };
        let mut there = self.people.remove(place);
        there.json["display_name"] = format!("Changed {}", self.changes).into();
        there.json["relationship_score"] = self.dice.below(101).into();
        there.json["updated_at"] = Utc::now().to_rfc3339().into();
        self.people.insert(0, there);
        self.changes += 1;
    }

    fn fault(&mut self, body: &str) -> (Response, Duration) {
        let json = "application/json";
        let answer = match self.dice.below(8) {
            0 => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                json,
                r#"{"error": "service_unavailable", "message": "later"}"#,
            ),
            1 => plain(StatusCode::BAD_GATEWAY, "text/html", "<html><h1>502 Bad Gateway</h1></html>"),
            2 => plain(
                StatusCode::TOO_MANY_REQUESTS,
                json,
                r#"{"error": "rate_limit_exceeded", "message": "slowly", "retry_after_seconds": 0.2}"#,
            ),
            3 => broken(body),
            4 => plain(StatusCode::OK, json, body.as_bytes()[..body.len() * 2 / 3].to_vec()),
            5 => plain(StatusCode::OK, json, r#"{"error": "internal", "message": "and yet 200"}"#),
            6 => plain(StatusCode::OK, json, b"\xff\xfe{\x80".to_vec()),
            _ => return (plain(StatusCode::OK, json, body.to_owned()), Duration::from_millis(300)),
        };
        (answer, Duration::ZERO)
    }
}
