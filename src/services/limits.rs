//! How fast a client may ask: its own queue, and what the server says is left.
//!
//! Guarantees that no more than the agreed number of requests run at once, that they start no closer than the agreed spacing,
//! and that everybody holds back once the server said so. Which headers say what is a vendor's [`LimitHeaders`].

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::retry;
use crate::clock::Clock;

/// What the server says is left in this window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateBudget {
    /// Requests allowed in a window.
    pub limit: u64,
    /// Requests left in this one.
    pub remaining: u64,
    /// When the next window begins.
    pub reset: Option<DateTime<Utc>>,
}

/// Which headers a vendor counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitHeaders {
    /// None that can be relied on.
    None,
    /// `X-RateLimit-*`, with the reset in epoch seconds.
    Standard,
    /// `X-RateLimit-*`, with the reset in seconds left.
    SecondsLeft,
    /// `X-Sentry-Rate-Limit-*`, with the reset in epoch seconds.
    Sentry,
}

impl LimitHeaders {
    fn names(self) -> Option<[&'static str; 3]> {
        match self {
            Self::None => None,
            Self::Standard | Self::SecondsLeft => {
                Some(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"])
            }
            Self::Sentry => Some([
                "x-sentry-rate-limit-limit",
                "x-sentry-rate-limit-remaining",
                "x-sentry-rate-limit-reset",
            ]),
        }
    }

    /// What an answer says about the budget.
    pub fn read(self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<RateBudget> {
        let [limit, remaining, reset] = self.names()?;
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let reset = number(reset).and_then(|reset| i64::try_from(reset).ok()).and_then(|reset| match self {
            Self::SecondsLeft => now.checked_add_signed(TimeDelta::try_seconds(reset)?),
            _ => DateTime::from_timestamp(reset, 0),
        });
        Some(RateBudget { limit: number(limit)?, remaining: number(remaining)?, reset })
    }

    /// The wait that a throttled answer names: `Retry-After` first, else the reset.
    pub fn named_wait(self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
        let after = headers.get("retry-after").and_then(|value| value.to_str().ok());
        after
            .and_then(|value| retry::named_wait(value, now))
            .or_else(|| self.read(headers, now)?.reset.map(|at| retry::until(at, now)))
    }
}

/// A client's own queue. Clones share it.
#[derive(Debug, Clone)]
pub struct Gate {
    slots: Arc<Semaphore>,
    spacing: Duration,
    next: Arc<Mutex<DateTime<Utc>>>,
}

impl Gate {
    /// At most `at_once` requests together, started at least `spacing` apart.
    pub fn new(at_once: usize, spacing: Duration) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(at_once.max(1))),
            spacing,
            next: Arc::new(Mutex::new(DateTime::<Utc>::MIN_UTC)),
        }
    }

    /// Waits for a turn. The permit is given back when dropped.
    pub async fn enter(&self, clock: &Clock) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok();
        let start = {
            let mut next = self.next.lock().await;
            let start = clock.now().max(*next);
            *next = start + TimeDelta::from_std(self.spacing).unwrap_or_default();
            start
        };
        if start > clock.now() {
            clock.sleep_until(start).await;
        }
        permit
    }

    /// Nobody starts before `at`.
    pub async fn hold(&self, at: DateTime<Utc>) {
        let mut next = self.next.lock().await;
        *next = at.max(*next);
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(8, Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_759_501_000, 0).expect("a valid moment")
    }

    #[test]
    fn each_vendor_counts_in_its_own_headers() {
        let sentry = headers(&[
            ("x-sentry-rate-limit-limit", "40"),
            ("x-sentry-rate-limit-remaining", "0"),
            ("x-sentry-rate-limit-reset", "1759501030"),
        ]);
        let budget = LimitHeaders::Sentry.read(&sentry, noon()).expect("a budget");
        assert_eq!((budget.limit, budget.remaining), (40, 0));
        assert_eq!(LimitHeaders::Sentry.named_wait(&sentry, noon()), Some(Duration::from_secs(30)));
        assert_eq!(LimitHeaders::Standard.read(&sentry, noon()), None);

        let left = headers(&[
            ("x-ratelimit-limit", "120"),
            ("x-ratelimit-remaining", "3"),
            ("x-ratelimit-reset", "17"),
        ]);
        assert_eq!(LimitHeaders::SecondsLeft.named_wait(&left, noon()), Some(Duration::from_secs(17)));
    }

    #[tokio::test]
    async fn requests_start_apart_and_hold_back_together() {
        let clock = Clock::paced(noon(), 1000.0);
        let gate = Gate::new(4, Duration::from_secs(1));
        let began = clock.now();
        for _ in 0..4 {
            drop(gate.enter(&clock).await);
        }
        assert!(clock.now() - began >= TimeDelta::seconds(3));
        let later = clock.now() + TimeDelta::seconds(30);
        gate.hold(later).await;
        drop(gate.enter(&clock).await);
        assert!(clock.now() >= later);
    }
}
