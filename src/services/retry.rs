//! When a request may be sent again, how long to wait before, and how to poll.
//!
//! Guarantees that a write is repeated only where surely nothing happened, that a throttled request waits as long as the server
//! named and no less, and that every wait is on the [`Clock`]. It sends nothing itself.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::error::Fault;
use crate::clock::Clock;

/// Whether sending the same request twice does harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Reads, and writes that name a fixed state or carry an id: as often as needed.
    Safe,
    /// Writes that add something each time: only after a failure that surely left nothing behind.
    OnlyIfNothingHappened,
    /// Not by itself: the caller has a pace of its own, and asks again when its turn comes.
    Never,
}

/// How often and how patiently to try.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// The ceiling of the first wait; it doubles.
    pub base: Duration,
    /// The ceiling of all waits that nobody named.
    pub ceiling: Duration,
    /// The longest wait that a server may name; a longer one is handed to the caller instead.
    pub longest_named: Duration,
    /// The wait after "too many requests" when the server names none.
    pub unnamed: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            ceiling: Duration::from_secs(20),
            longest_named: Duration::from_secs(90),
            unnamed: Duration::from_mins(1),
        }
    }
}

impl Backoff {
    /// One attempt, no more.
    pub fn once() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// The wait before the next attempt, or none when there must not be one.
    pub fn wait(&self, fault: &Fault, repeat: Repeat, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts || repeat == Repeat::Never {
            return None;
        }
        let nothing_happened = matches!(fault, Fault::Unreachable(_) | Fault::Throttled { .. });
        if repeat == Repeat::OnlyIfNothingHappened && !nothing_happened {
            return None;
        }
        match fault {
            Fault::Throttled { retry_after, .. } => {
                let named = retry_after.unwrap_or(self.unnamed);
                (named <= self.longest_named).then(|| named + jitter(named.min(Duration::from_secs(2)) / 4))
            }
            Fault::Broken { retry_after: Some(named), .. } => {
                (*named <= self.longest_named).then(|| *named + jitter(self.base))
            }
            Fault::Unreachable(_) | Fault::TimedOut(_) | Fault::Cut(_) | Fault::Broken { .. } => {
                let doubled = self.base.saturating_mul(2_u32.saturating_pow(attempt - 1));
                Some(jitter(doubled.min(self.ceiling)))
            }
            _ => None,
        }
    }
}

/// A random span between nothing and `span`.
pub fn jitter(span: Duration) -> Duration {
    let [a, b, c, d, ..] = Uuid::new_v4().into_bytes();
    span.mul_f64(f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX))
}

/// `Retry-After`: seconds or an HTTP date.
pub fn named_wait(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    DateTime::parse_from_rfc2822(value).ok().map(|at| until(at.to_utc(), now))
}

/// The wait until a moment; a moment already past still costs a second, so that nobody spins on a slow clock.
pub fn until(at: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (at - now).to_std().unwrap_or_default().max(Duration::from_secs(1))
}

/// Asks again and again, with growing pauses, until a deadline.
#[derive(Debug)]
pub struct Poll {
    clock: Clock,
    pause: Duration,
    longest: Duration,
    began: DateTime<Utc>,
    deadline: DateTime<Utc>,
}

impl Poll {
    /// Pauses of `first`, doubling up to `longest`, for `patience` in all.
    pub fn new(clock: &Clock, first: Duration, longest: Duration, patience: Duration) -> Self {
        let began = clock.now();
        let deadline = TimeDelta::from_std(patience)
            .ok()
            .and_then(|patience| began.checked_add_signed(patience))
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        Self { clock: clock.clone(), pause: first, longest, began, deadline }
    }

    /// Waits for the next look; false once the deadline has passed. The last look is at the deadline.
    pub async fn again(&mut self) -> bool {
        let now = self.clock.now();
        if now >= self.deadline {
            return false;
        }
        let left = (self.deadline - now).to_std().unwrap_or_default();
        self.clock.sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(self.longest);
        true
    }

    /// How long this has been going on.
    pub fn waited(&self) -> Duration {
        (self.clock.now() - self.began).to_std().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_445_412_420, 0).expect("a valid moment")
    }

    fn throttled(seconds: u64) -> Fault {
        Fault::Throttled { detail: String::new(), retry_after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(named_wait("62", noon()), Some(Duration::from_secs(62)));
        assert_eq!(named_wait("Wed, 21 Oct 2015 07:28:00 GMT", noon()), Some(Duration::from_mins(1)));
        assert_eq!(named_wait("soon", noon()), None);
        assert_eq!(named_wait("-5", noon()), None);
    }

    #[test]
    fn a_write_is_repeated_only_when_surely_nothing_happened() {
        let backoff = Backoff::default();
        let once = Repeat::OnlyIfNothingHappened;
        let broken = Fault::Broken { status: 502, detail: String::new(), retry_after: None };
        assert_eq!(backoff.wait(&Fault::TimedOut(Duration::ZERO), once, 1), None);
        assert_eq!(backoff.wait(&broken, once, 1), None);
        assert_eq!(backoff.wait(&throttled(3), Repeat::Never, 1), None);
        assert_eq!(backoff.wait(&Fault::Cut(String::new()), once, 1), None);
        assert!(backoff.wait(&Fault::Unreachable(String::new()), once, 1).is_some());
        assert!(backoff.wait(&throttled(3), once, 1).is_some());
        assert!(backoff.wait(&broken, Repeat::Safe, 1).is_some());
    }

    #[test]
    fn a_named_wait_is_kept_and_one_too_long_is_left_to_the_caller() {
        let backoff = Backoff::default();
        let wait = backoff.wait(&throttled(30), Repeat::Safe, 1).expect("a wait");
        assert!(wait >= Duration::from_secs(30) && wait < Duration::from_secs(31));
        assert_eq!(backoff.wait(&throttled(3600), Repeat::Safe, 1), None);
        assert_eq!(backoff.wait(&throttled(1), Repeat::Safe, 4), None, "the attempts are used up");
    }

    #[test]
    fn what_was_refused_is_not_sent_again() {
        let no = Fault::Refused { status: 400, code: None, detail: String::new() };
        assert_eq!(Backoff::default().wait(&no, Repeat::Safe, 1), None);
    }
}
