//! Where readings come from: one file a source, one line each in the list below.
//!
//! A source answers with counts where it can, with the reason where there is nothing, and never with a number that it did not
//! read. Judging, pausing and recording are not its business.

mod app_uptime;
mod postgres_p95;
mod postgres_stats;
mod posthog_page_load;
mod sentry_error_rate;
mod sync_success;

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::Kit;
use crate::plan::Metric;
use crate::run::live::Reading;
use crate::store::Store;

/// Reads one gauge.
pub trait Source: Send + Sync {
    /// Reads it now. Called again only after it answered.
    fn read<'a>(&'a self, metric: &'a Metric, store: &'a Store) -> BoxFuture<'a, Reading>;

    /// How often it is worth asking, on the run's clock.
    fn every(&self) -> Duration;
}

type Make = fn(&Kit) -> Box<dyn Source>;

/// Every source, by the name that a gauge calls it.
const SOURCES: &[(&str, Make)] = &[
    ("sentry-error-rate", |kit| Box::new(sentry_error_rate::SentryErrorRate::new(kit.clone()))),
    ("posthog-page-load", |kit| Box::new(posthog_page_load::PosthogPageLoad::new(kit.clone()))),
    ("app-uptime", |kit| Box::new(app_uptime::AppUptime::new(kit.clone()))),
    ("sync-success", |kit| Box::new(sync_success::SyncSuccess::new(kit))),
    ("postgres-p95", |kit| Box::new(postgres_p95::PostgresP95::new(kit.clone()))),
];

/// The names of all sources.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(name, _)| *name)
}

/// The source of a gauge. One that there is not answers so.
pub(super) fn of(metric: &Metric, kit: &Kit) -> Box<dyn Source> {
    match SOURCES.iter().find(|(name, _)| *name == metric.source) {
        Some((_, make)) => make(kit),
        None => Box::new(Nowhere),
    }
}

/// A source that does not exist.
struct Nowhere;

impl Source for Nowhere {
    fn read<'a>(&'a self, metric: &'a Metric, _: &'a Store) -> BoxFuture<'a, Reading> {
        let known = names().collect::<Vec<_>>().join(", ");
        let why = format!("there is no source {:?}; gonogo.toml may name {known}", metric.source);
        Box::pin(std::future::ready(Reading::Failed { why }))
    }

    fn every(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// A reading of `bad` among `n`, in percent of the bad ones.
fn share(bad: u64, n: u64) -> Reading {
    Reading::Value { value: bad as f64 * 100.0 / n.max(1) as f64, n, bad: Some(bad) }
}

/// Keeps of a source's own observations those that count: those within the window; and where a rehearsal's clock races, so
/// many older ones as make the least number, from no longer ago than honest work may have taken for them (`Clock::lag`).
fn keep_recent<T>(
    seen: &mut VecDeque<(DateTime<Utc>, T)>,
    metric: &Metric,
    now: DateTime<Utc>,
    lag: Duration,
) {
    let span = |of: Duration| TimeDelta::from_std(of).unwrap_or(TimeDelta::MAX);
    let least = u32::try_from(metric.min_samples).unwrap_or(u32::MAX);
    let window = now.checked_sub_signed(span(metric.window)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let furthest =
        window.checked_sub_signed(span(lag.saturating_mul(least))).unwrap_or(DateTime::<Utc>::MIN_UTC);
    while let Some((at, _)) = seen.front()
        && *at < window
        && (*at < furthest || seen.len() > least as usize)
    {
        seen.pop_front();
    }
}

/// The value below which `q` of the numbers lie: the nearest rank. None without numbers.
fn quantile(numbers: &mut [f64], q: f64) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank within the list")]
    let rank = (q * numbers.len() as f64).ceil() as usize;
    numbers.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_a_number_that_was_measured() {
        let mut hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut hundred, 0.95), Some(95.0));
        assert_eq!(quantile(&mut [7.0], 0.95), Some(7.0));
        assert_eq!(quantile(&mut [], 0.95), None);
    }

    #[test]
    fn a_racing_clock_leaves_the_least_number_and_the_day_itself_the_window() {
        let metrics = crate::plan::config::metrics::defaults();
        let metric = metrics.iter().find(|metric| metric.source == "app-uptime").expect("it is one");
        let (minutes, least) = (metric.window.as_secs() / 60, usize::try_from(metric.min_samples).unwrap());
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        // One each three minutes: fewer than the least number within the window.
        let seen: VecDeque<_> = (0..100_i32).rev().map(|n| (now - TimeDelta::minutes(3) * n, n)).collect();
        let kept = |lag: u64, now| {
            let mut seen = seen.clone();
            keep_recent(&mut seen, metric, now, Duration::from_mins(lag));
            seen.len()
        };
        let within = usize::try_from(minutes / 3 + 1).unwrap();
        assert!(within < least, "else this proves nothing");
        assert_eq!(kept(0, now), within, "the day itself");
        assert_eq!(kept(8, now), least, "as many as a verdict needs, and no more");
        assert_eq!(kept(8, now + TimeDelta::weeks(1)), 0, "not from before a jump");
    }

    #[test]
    fn every_gauge_of_every_deployment_has_a_source() {
        for metric in crate::plan::config::metrics::defaults() {
            assert!(names().any(|name| name == metric.source), "{}", metric.source);
        }
    }
}
