//! The 95th percentile of the time until a page is there, in seconds, as browsers tell PostHog.
//!
//! It guarantees that a quantile over nothing, or over what stopped arriving, is no data. The app's own load time goes before
//! the browsers' largest contentful paint, because it is what the plan promises.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use super::Source;
use crate::plan::{Metric, Unit};
use crate::run::live::Reading;
use crate::services::posthog;
use crate::store::Store;
use crate::workers::Kit;

pub(super) struct PosthogPageLoad {
    kit: Kit,
}

impl PosthogPageLoad {
    pub(super) fn new(kit: Kit) -> Self {
        Self { kit }
    }

    async fn p95(&self, metric: &Metric, store: &Store) -> Result<Reading, String> {
        let posthog = self.kit.posthog().map_err(|failure| failure.to_string())?;
        // The answer says how things stood when it was asked for, however long it took.
        let asked = store.clock().now();
        let answer = posthog.reading(metric.window).await.map_err(|error| error.to_string())?;
        Ok(weigh(metric, &answer.value, asked))
    }
}

fn weigh(metric: &Metric, read: &posthog::Reading, now: DateTime<Utc>) -> Reading {
    let no_data = |why: String| Reading::NoData { why };
    let Some(newest) = read.newest_page_view else {
        return no_data("PostHog knows of no page view in the window".into());
    };
    let age = (now - newest).to_std().unwrap_or_default();
    if age > metric.fresh {
        return no_data(format!("the newest page view at PostHog is {} min old", age.as_secs() / 60));
    }
    let own = read.load_p95_ms.zip(read.load_samples);
    let Some((millis, n)) = own.or_else(|| read.lcp_p95_ms.zip(read.lcp_samples)) else {
        return no_data("PostHog has page views, and no load time with them".into());
    };
    let value = if metric.unit == Unit::Seconds { millis / 1_000.0 } else { millis };
    Reading::Value { value, n, bad: None }
}

impl Source for PosthogPageLoad {
    fn read<'a>(&'a self, metric: &'a Metric, store: &'a Store) -> BoxFuture<'a, Reading> {
        Box::pin(async move { self.p95(metric, store).await.unwrap_or_else(|why| Reading::Failed { why }) })
    }

    fn every(&self) -> Duration {
        Duration::from_secs(30)
    }
}
