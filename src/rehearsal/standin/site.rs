//! What all stand-ins share: the way in, where faults of the socket strike, and the counting of requests.
//!
//! It guarantees that a fault of the socket looks to a client exactly as the network's would (no answer, half an answer,
//! a gateway's page), and that limits count in the rehearsal's time. Nothing of one vendor's own may enter here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::rehearsal::faults::{Fault, Vendor, of_vendor};
use crate::rehearsal::state::Credentials;
use crate::rehearsal::world::World;

/// One stand-in at its socket.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) world: Arc<World>,
    pub(super) vendor: Vendor,
    /// The address that absolute links in answers begin with.
    pub(super) base: Arc<str>,
    pub(super) keys: Arc<Credentials>,
    pub(super) limits: Arc<Limits>,
    /// Addresses of others that its answers name.
    pub(super) peers: Arc<[String]>,
    stop: CancellationToken,
}

impl Site {
    pub(super) fn new(
        world: Arc<World>,
        vendor: Vendor,
        base: &str,
        peers: &[String],
        stop: CancellationToken,
    ) -> Self {
        let keys = Arc::new(world.credentials());
        Self { world, vendor, base: base.into(), keys, limits: Arc::default(), peers: peers.into(), stop }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.world.now()
    }

    /// The present fault of this socket.
    pub(super) fn fault(&self) -> Option<Fault> {
        let now = self.now();
        self.world.read(|state| of_vendor(&state.faults, self.vendor, now).map(|span| span.fault.clone()))
    }

    /// Whether the scenario refuses everything for the rate limit.
    pub(super) fn throttled(&self) -> bool {
        matches!(self.fault(), Some(Fault::RateLimit { .. }))
    }

    /// Whether the vendor is out, and says so itself.
    pub(super) fn out(&self) -> bool {
        matches!(self.fault(), Some(Fault::Outage { .. }))
    }
}

/// How often something may be asked in a window of the rehearsal's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) most: u32,
    pub(super) window: TimeDelta,
}

/// What is left of a limit after a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) limit: Limit,
    pub(super) remaining: u32,
    pub(super) resets: DateTime<Utc>,
    pub(super) allowed: bool,
}

impl Left {
    /// Seconds until the window ends, at least one.
    pub(super) fn wait(&self, now: DateTime<Utc>) -> i64 {
        ((self.resets - now).num_milliseconds() + 999).div_euclid(1_000).max(1)
    }
}

/// Fixed windows, one for each key.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<String, (DateTime<Utc>, u32)>>);

impl Limits {
    pub(super) fn take(&self, key: &str, limit: Limit, now: DateTime<Utc>) -> Left {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, taken) = windows.entry(key.to_owned()).or_insert((now, 0));
        if now >= *start + limit.window {
            (*start, *taken) = (now, 0);
        }
        let allowed = *taken < limit.most;
        *taken += u32::from(allowed);
        Left { limit, remaining: limit.most - *taken, resets: *start + limit.window, allowed }
    }
}

/// Faults that strike before or behind whatever the stand-in does.
pub(super) async fn gate(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut answer = match site.fault() {
        Some(Fault::Hang { .. }) => hang(&site).await,
        Some(Fault::BadGateway { .. }) => bad_gateway(),
        Some(Fault::Reset { .. }) => half(next.run(request).await).await,
        _ => next.run(request).await,
    };
    // A vendor's clock is the rehearsal's, as all that its answers say.
    if let Ok(date) = site.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string().parse() {
        answer.headers_mut().insert(header::DATE, date);
    }
    answer
}

/// Never answers while the fault lasts; a client that waits longer than that gets a gateway's time-out.
async fn hang(site: &Site) -> Response {
    while matches!(site.fault(), Some(Fault::Hang { .. })) {
        tokio::select! {
            () = site.stop.cancelled() => break,
            // Wall time: a fault may be cleared by hand at any moment, and a waiting socket costs nothing.
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
    html(StatusCode::GATEWAY_TIMEOUT, "504 Gateway Time-out")
}

fn bad_gateway() -> Response {
    html(StatusCode::BAD_GATEWAY, "502 Bad Gateway")
}

/// A gateway's page.
pub(super) fn html(status: StatusCode, title: &str) -> Response {
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
}

/// The answer as it was, broken off in the middle of its body: what was asked has been done nevertheless.
async fn half(whole: Response) -> Response {
    let (mut parts, body) = whole.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    // An empty answer has no middle; a length that never comes breaks it as well.
    parts.headers.insert(header::CONTENT_LENGTH, (bytes.len().max(2)).into());
    let first = bytes.slice(..bytes.len() / 2);
    let broken = futures_util::stream::iter([
        Ok(first),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    Response::from_parts(parts, Body::from_stream(broken))
}

/// The credential after `scheme` in the Authorization header.
pub(super) fn credential<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix(scheme)?.strip_prefix(' ').map(str::trim)
}

/// Whether two secrets are the same. Nobody times a stand-in, so plain comparison is enough.
pub(super) fn is(given: Option<&str>, wanted: &str) -> bool {
    given == Some(wanted)
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A moment as most vendors write it.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_full_after_its_number_and_empty_after_its_time() {
        let limits = Limits::default();
        let limit = Limit { most: 2, window: TimeDelta::seconds(60) };
        let at = |s: i64| DateTime::from_timestamp(1_790_000_000 + s, 0).unwrap();
        assert_eq!(limits.take("a", limit, at(0)).remaining, 1);
        assert!(limits.take("a", limit, at(1)).allowed);
        let refused = limits.take("a", limit, at(2));
        assert!(!refused.allowed && refused.wait(at(2)) == 58);
        assert!(limits.take("b", limit, at(2)).allowed, "another key has its own window");
        assert!(limits.take("a", limit, at(60)).allowed);
    }
}
