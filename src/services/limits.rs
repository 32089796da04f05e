//! How fast a client may ask: its own queue, and what the server says is left.
//!
//! Guarantees that no more than the agreed number of requests run at once, that they start no closer than the agreed spacing,
//! that everybody holds back once the server said so, and that a window counts as over only when it surely is, whatever the
//! clocks here and there show. Which headers say what is a vendor's [`LimitHeaders`].

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
    /// When the next window begins: as the server names it, in whole seconds of its own clock.
    pub reset: Option<DateTime<Utc>>,
    /// By when, on our clock, this window is over at the latest, where that follows from more than a comparison of clocks.
    pub sure: Option<DateTime<Utc>>,
}

/// A reset further away than this is a clock that differs, and no window.
const LONGEST_WINDOW: TimeDelta = TimeDelta::hours(1);
/// Times come in whole seconds, rounded down: the second that is named has to be over.
const ROUNDED: TimeDelta = TimeDelta::seconds(1);

impl RateBudget {
    /// From when on a request surely falls into the next window.
    pub fn over(&self) -> Option<DateTime<Utc>> {
        self.sure.or_else(|| self.reset?.checked_add_signed(ROUNDED))
    }

    /// This answer's figures, with what earlier ones said of the same window. `window` is how long the vendor's windows are:
    /// the one that our own request opened is over so long after its answer, at the latest.
    #[must_use]
    pub fn after(self, before: Option<Self>, now: DateTime<Utc>, window: Option<TimeDelta>) -> Self {
        let opened = window.filter(|_| self.remaining + 1 == self.limit);
        let opened = opened.and_then(|window| now.checked_add_signed(window));
        let same = before.filter(|before| {
            before.reset.is_some() && before.reset == self.reset && before.remaining >= self.remaining
        });
        let known = [self.sure, opened, same.and_then(|before| before.sure)];
        Self { sure: known.into_iter().flatten().min(), ..self }
    }

    /// The same after a request without an answer: the server may have counted it.
    #[must_use]
    pub const fn unanswered(self) -> Self {
        Self { remaining: self.remaining.saturating_sub(1), ..self }
    }
}

/// How long it is until the window that `reset` ends is surely over: by the server's own time of its answer, so that it does
/// not matter what our clock shows. None where it does not say, or says what cannot be.
fn left(headers: &HeaderMap, reset: DateTime<Utc>) -> Option<TimeDelta> {
    let date = DateTime::parse_from_rfc2822(headers.get("date")?.to_str().ok()?).ok()?;
    let left = reset - date.to_utc();
    (TimeDelta::zero()..=LONGEST_WINDOW).contains(&left).then(|| left + ROUNDED)
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
        let reset = number(reset).and_then(|reset| i64::try_from(reset).ok());
        let (reset, sure) = if self == Self::SecondsLeft {
            let at = reset.and_then(|left| now.checked_add_signed(TimeDelta::try_seconds(left)? + ROUNDED));
            (None, at)
        } else {
            let reset = reset.and_then(|reset| DateTime::from_timestamp(reset, 0));
            let left = reset.and_then(|reset| left(headers, reset));
            (reset, left.and_then(|left| now.checked_add_signed(left)))
        };
        Some(RateBudget { limit: number(limit)?, remaining: number(remaining)?, reset, sure })
    }

    /// The wait that a throttled answer names: `Retry-After` first, else the reset.
    pub fn named_wait(self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
        let after = headers.get("retry-after").and_then(|value| value.to_str().ok());
        after
            .and_then(|value| retry::named_wait(value, now))
            .or_else(|| self.read(headers, now)?.over().map(|at| retry::until(at, now)))
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
        assert_eq!(LimitHeaders::Sentry.named_wait(&sentry, noon()), Some(Duration::from_secs(31)));
        assert_eq!(LimitHeaders::Standard.read(&sentry, noon()), None);

        let left = headers(&[
            ("x-ratelimit-limit", "120"),
            ("x-ratelimit-remaining", "3"),
            ("x-ratelimit-reset", "17"),
        ]);
        assert_eq!(LimitHeaders::SecondsLeft.named_wait(&left, noon()), Some(Duration::from_secs(18)));
    }

    #[test]
    fn a_window_is_over_by_the_server_s_own_time_whatever_ours_is() {
        let at = |reset: &str, date: &str| {
            let all = headers(&[
                ("x-ratelimit-limit", "60"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", reset),
                ("date", date),
            ]);
            let budget = LimitHeaders::Standard.read(&all, noon()).expect("a budget");
            budget.over().expect("an end") - noon()
        };
        // 1759501030 is 14:17:10. The server's clock may be minutes away from ours.
        assert_eq!(at("1759501030", "Fri, 03 Oct 2025 14:16:40 GMT"), TimeDelta::seconds(31));
        assert_eq!(at("1759501030", "Fri, 03 Oct 2025 14:17:10 GMT"), TimeDelta::seconds(1));
        // A time that cannot belong to this window says nothing; nor does one that does not read.
        assert_eq!(at("1759501030", "Fri, 03 Oct 2025 14:17:11 GMT"), TimeDelta::seconds(31));
        assert_eq!(at("1759501030", "Fri, 03 Oct 2025 02:16:40 GMT"), TimeDelta::seconds(31));
        assert_eq!(at("1759501030", "yesterday"), TimeDelta::seconds(31));
    }

    #[test]
    fn what_is_known_of_a_window_is_kept_for_it_and_for_no_other() {
        let at = |seconds: i64| noon() + TimeDelta::seconds(seconds);
        let window = Some(TimeDelta::minutes(1));
        let says = |remaining, reset: i64, sure: Option<i64>| RateBudget {
            limit: 60,
            remaining,
            reset: Some(at(reset)),
            sure: sure.map(at),
        };
        // Ours opened it, and its answer came at 0: over at 60, whatever the server's clock is.
        let first = says(59, 3_660, None).after(None, at(0), window);
        assert_eq!(first.over(), Some(at(60)));
        let last = says(0, 3_660, None).after(Some(first), at(9), window);
        assert_eq!(last.over(), Some(at(60)));
        // Of two that are sure the nearer one holds.
        assert_eq!(says(0, 3_660, Some(58)).after(Some(last), at(9), window).over(), Some(at(58)));
        assert_eq!(says(0, 3_660, Some(61)).after(Some(last), at(9), window).over(), Some(at(60)));
        // The next window is another one, even where another's request opened it.
        assert_eq!(says(12, 3_720, None).after(Some(last), at(70), window).over(), Some(at(3_721)));
        assert_eq!(says(12, 3_660, None).after(Some(last), at(70), window).over(), Some(at(3_661)));
        assert_eq!(says(0, 3_660, None).unanswered().remaining, 0);
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
