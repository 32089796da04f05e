//! Errors per page load, in percent: Sentry's errors over the page loads of the same minutes.
//!
//! It guarantees that the minutes which are still arriving are left out, that a page nobody loaded has no error rate, and that
//! silence is no zero: where Sentry drops events, or counts far fewer page loads than PostHog, the answer is "no data".
//! What Sentry did count is at least the truth, though, so a rate beyond the alert is said in spite of drops.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Map, json};

use super::{Source, share};
use crate::plan::Metric;
use crate::run::live::Reading;
use crate::services::ServiceError;
use crate::services::posthog::Hogql;
use crate::services::sentry::{Outcomes, Sentry, Window};
use crate::store::Store;
use crate::workers::Kit;

/// After so long a minute is whole: what takes longer to arrive is an exception at both vendors.
const LAG: TimeDelta = TimeDelta::seconds(90);
/// Sentry's page loads are sampled and extrapolated; PostHog's are counted. Fewer than one in so many is no accident.
const FAR_FEWER: u64 = 4;
/// Below so many page loads at PostHog the two are not compared.
const ENOUGH: u64 = 40;

pub(super) struct SentryErrorRate {
    kit: Kit,
    lost: Mutex<Lost>,
}

/// What Sentry lost since the first look, at each look.
#[derive(Debug, Default)]
struct Lost {
    since: Option<DateTime<Utc>>,
    seen: VecDeque<(DateTime<Utc>, u64)>,
}

impl Lost {
    /// From where on losses are summed: whole hours, as Sentry keeps them.
    fn since(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        *self.since.get_or_insert_with(|| now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now))
    }

    /// What was lost after `from`. Before the first look nothing is known, and losses count as new.
    fn after(&mut self, from: DateTime<Utc>, now: DateTime<Utc>, total: u64) -> u64 {
        self.seen.push_back((now, total));
        while self.seen.get(1).is_some_and(|(at, _)| *at <= from) {
            self.seen.pop_front();
        }
        let before = self.seen.front().filter(|(at, _)| *at <= from).map_or(0, |(_, total)| *total);
        total.saturating_sub(before)
    }
}

impl SentryErrorRate {
    pub(super) fn new(kit: Kit) -> Self {
        Self { kit, lost: Mutex::default() }
    }

    async fn rate(&self, metric: &Metric, now: DateTime<Utc>) -> Result<Reading, String> {
        let sentry = self.kit.sentry().map_err(|failure| failure.to_string())?;
        let to = now - LAG;
        let from = to - TimeDelta::from_std(metric.window).unwrap_or_default();
        let window = Window::Between(from, to);
        let (errors, loads, views, lost) = tokio::join!(
            sentry.errors(window, None),
            sentry.page_loads(window, None),
            self.page_views(from, to),
            self.lost(&sentry, from, now),
        );
        let failed = |error: ServiceError| error.to_string();
        let Some(errors) = errors.map_err(failed)?.value.events else {
            return Ok(no_data("Sentry gave no number of errors"));
        };
        let loads = loads.map_err(failed)?.value.count.unwrap_or_default();
        Ok(weigh(metric, errors, loads, views, lost.map_err(failed)?))
    }

    /// Page views by PostHog, which samples nothing; none where it is not used or does not answer.
    async fn page_views(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<u64> {
        let posthog = self.kit.posthog().ok()?;
        let plain = |at: DateTime<Utc>| json!(at.format("%Y-%m-%d %H:%M:%S").to_string());
        let query = Hogql {
            statement:
                "SELECT countIf(event = '$pageview') AS page_views FROM events WHERE event = '$pageview' \
                 AND timestamp >= toDateTime({from}) AND timestamp < toDateTime({to})"
                    .into(),
            values: Map::from_iter([("from".to_owned(), plain(from)), ("to".to_owned(), plain(to))]),
            name: "gonogo page views",
        };
        match posthog.query(&query).await {
            Ok(rows) => rows.value.count(0, "page_views"),
            Err(error) => {
                tracing::debug!(%error, "no page views from PostHog; Sentry's own are used");
                None
            }
        }
    }

    /// Errors that Sentry dropped since `from`.
    async fn lost(
        &self,
        sentry: &Sentry,
        from: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<u64, ServiceError> {
        let since = self.lost_so_far().since(now);
        let outcomes = sentry.outcomes(Window::Between(since, now)).await?;
        Ok(self.lost_so_far().after(from, now, dropped(&outcomes.value)))
    }

    fn lost_so_far(&self) -> std::sync::MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What quota and spike protection took; what a team's own filters take is meant to be away.
fn dropped(outcomes: &Outcomes) -> u64 {
    ["rate_limited", "abuse", "cardinality_limited"].iter().map(|outcome| outcomes.of(outcome)).sum()
}

fn no_data(why: impl Into<String>) -> Reading {
    Reading::NoData { why: why.into() }
}

/// The reading that these counts make: errors and page loads by Sentry, page views by PostHog, errors that Sentry dropped.
fn weigh(metric: &Metric, errors: u64, loads: u64, views: Option<u64>, lost: u64) -> Reading {
    let views = views.unwrap_or_default();
    // The counted ones if they can be right: a blocked or silent PostHog sees fewer than Sentry's estimate.
    let n = if views * 2 >= loads { views } else { loads };
    if n == 0 {
        return no_data("no page loads in the window");
    }
    let rate = share(errors, n);
    let beyond = matches!(rate, Reading::Value { value, .. } if value > metric.alert);
    if beyond {
        return rate;
    }
    if lost > 0 {
        return no_data(format!("Sentry drops events: {lost} errors lost to its limits"));
    }
    if views >= ENOUGH && loads * FAR_FEWER < views {
        return no_data(format!(
            "Sentry counts {loads} page loads where PostHog counts {views}: silence, not zero errors"
        ));
    }
    rate
}

impl Source for SentryErrorRate {
    fn read<'a>(&'a self, metric: &'a Metric, store: &'a Store) -> BoxFuture<'a, Reading> {
        Box::pin(async move {
            self.rate(metric, store.clock().now()).await.unwrap_or_else(|why| Reading::Failed { why })
        })
    }

    fn every(&self) -> Duration {
        Duration::from_secs(15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::config::metrics::defaults;

    #[test]
    fn counts_first_and_silence_is_no_zero() {
        let metric = defaults().remove(0);
        let read = |errors, loads, views, lost| weigh(&metric, errors, loads, views, lost);
        let of = |reading: Reading| match reading {
            Reading::Value { n, bad, .. } => (n, bad),
            other => panic!("{other:?}"),
        };
        assert_eq!(of(read(2, 140, Some(166), 0)), (166, Some(2)));
        assert_eq!(of(read(2, 140, None, 0)), (140, Some(2)));
        assert_eq!(of(read(2, 140, Some(9), 0)), (140, Some(2)), "a silent PostHog makes no rate");
        assert_eq!(of(read(30, 100, Some(100), 7)), (100, Some(30)), "bad enough in spite of drops");
        let silent = [
            read(0, 0, Some(0), 0),
            read(0, 0, None, 0),
            read(0, 0, Some(166), 0),
            read(0, 140, Some(166), 3),
        ];
        assert!(silent.iter().all(|reading| matches!(reading, Reading::NoData { .. })), "{silent:?}");
    }

    #[test]
    fn losses_age_out_of_the_window() {
        let at = |minute: i64| DateTime::from_timestamp(1_790_000_000 + minute * 60, 0).unwrap();
        let mut lost = Lost::default();
        assert_eq!(lost.after(at(-6), at(0), 5), 5, "what came before the first look counts");
        assert_eq!(lost.after(at(-5), at(1), 8), 8);
        assert_eq!(lost.after(at(0), at(6), 8), 3);
        assert_eq!(lost.after(at(1), at(7), 8), 0);
    }
}
