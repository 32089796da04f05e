//! Counts and series out of Sentry's events.
//!
//! Guarantees that the newest, incomplete bucket is left out, that null and missing rows are no data, and that an older server
//! is asked in the older way. A rate is for the caller to build: errors and page loads are counted apart.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Sentry, Window};
use crate::services::{Answer, Fault, Outcome, lenient};

/// The age at which a bucket is complete.
const SETTLED: TimeDelta = TimeDelta::seconds(90);

/// What gonogo's own checks are left out by.
const NOT_OURS: &str = "!has:gonogo.check";

/// Which events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dataset {
    /// Errors, unsampled.
    Errors,
    /// Spans, sampled in the client and extrapolated by the server.
    Spans,
}

impl Dataset {
    fn name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Spans => "spans",
        }
    }
}

/// A table to ask for.
#[derive(Debug, Clone)]
pub struct TableQuery {
    /// Which events.
    pub dataset: Dataset,
    /// Columns and functions, at most 20.
    pub fields: Vec<String>,
    /// Search syntax.
    pub query: String,
    /// When.
    pub window: Window,
    /// A field to sort by, with `-` for descending.
    pub sort: Option<String>,
}

/// Rows keyed by the exact text of the fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The rows.
    pub rows: Vec<Map<String, Value>>,
    /// Whether Sentry scanned only a part and estimated the rest.
    pub estimated: bool,
}

impl Table {
    fn first(&self, field: &str) -> Option<&Value> {
        self.rows.first()?.get(field)
    }
}

/// How many errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCounts {
    /// Errors; none when Sentry gave no number.
    pub events: Option<u64>,
    /// Users who saw one.
    pub users: Option<u64>,
}

/// How many page loads, and how slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageLoads {
    /// Page loads and navigations, extrapolated.
    pub count: Option<u64>,
    /// The 95th percentile of their duration, in ms.
    pub duration_p95_ms: Option<f64>,
    /// The 95th percentile of the largest contentful paint, in ms.
    pub lcp_p95_ms: Option<f64>,
    /// Whether Sentry scanned only a part.
    pub estimated: bool,
}

/// One complete bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its beginning.
    pub at: DateTime<Utc>,
    /// Its value; none is no data.
    pub value: Option<f64>,
    /// Samples behind the value, where the server says.
    pub samples: Option<u64>,
}

/// Complete buckets in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The buckets; none at all is no data, not zero.
    pub buckets: Vec<Bucket>,
    /// The length of a bucket.
    pub interval: Duration,
}

#[derive(Deserialize)]
struct RawTable {
    data: Vec<Map<String, Value>>,
    #[serde(default)]
    meta: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTimeseries {
    #[serde(default)]
    time_series: Vec<RawSeries>,
}

#[derive(Deserialize)]
struct RawSeries {
    #[serde(default)]
    values: Vec<RawPoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPoint {
    timestamp: i64,
    #[serde(default)]
    value: Value,
    incomplete: Option<bool>,
    #[serde(default)]
    sample_count: Option<u64>,
}

#[derive(Deserialize)]
struct RawStats {
    data: Vec<(i64, Vec<Map<String, Value>>)>,
}

impl Sentry {
    /// A table of events.
    pub async fn table(&self, query: TableQuery) -> Outcome<Table> {
        let mut request = self
            .scoped("events/", "count events", "org:read")
            .await?
            .query("dataset", query.dataset.name())
            .query("query", &query.query)
            .maybe_query("sort", query.sort.as_ref())
            .query("per_page", 100);
        if query.dataset == Dataset::Spans {
            request = request.query("sampling", "NORMAL");
        }
        for field in &query.fields {
            request = request.query("field", field);
        }
        let raw = self.http.json::<RawTable>(query.window.on(request)).await?;
        Ok(raw.map(|raw| Table {
            estimated: raw.meta.get("dataScanned").and_then(Value::as_str) == Some("partial"),
            rows: raw.data,
        }))
    }

    /// Errors and the users who saw them, without gonogo's own checks.
    pub async fn errors(&self, window: Window, release: Option<&str>) -> Outcome<ErrorCounts> {
        self.count_errors(window, &filter(NOT_OURS, release)).await
    }

    /// Errors that a real browser sent: the proof that the page itself reaches Sentry.
    pub async fn browser_errors(&self, window: Window) -> Outcome<ErrorCounts> {
        self.count_errors(window, &format!("sdk.name:sentry.javascript.* {NOT_OURS}")).await
    }

    async fn count_errors(&self, window: Window, query: &str) -> Outcome<ErrorCounts> {
        let fields = vec!["count()".to_owned(), "count_unique(user)".to_owned()];
        let query =
            TableQuery { dataset: Dataset::Errors, fields, query: query.to_owned(), window, sort: None };
        let table = self.table(query).await?;
        Ok(table.map(|table| ErrorCounts {
            events: table.first("count()").and_then(lenient::count),
            users: table.first("count_unique(user)").and_then(lenient::count),
        }))
    }

    /// Page loads and how long they took.
    pub async fn page_loads(&self, window: Window, release: Option<&str>) -> Outcome<PageLoads> {
        let fields = ["count()", "p95(span.duration)", "p95(measurements.lcp)"].map(str::to_owned).to_vec();
        let query = filter("is_transaction:true", release);
        let table =
            self.table(TableQuery { dataset: Dataset::Spans, fields, query, window, sort: None }).await?;
        Ok(table.map(|table| {
            let count = table.first("count()").and_then(lenient::count);
            // A quantile over nothing may come as 0.
            let some = |value: f64| count.is_none_or(|count| count > 0).then_some(value);
            PageLoads {
                count,
                duration_p95_ms: table.first("p95(span.duration)").and_then(lenient::number).and_then(some),
                lcp_p95_ms: table.first("p95(measurements.lcp)").and_then(lenient::number).and_then(some),
                estimated: table.estimated,
            }
        }))
    }

    /// One value over time, in complete buckets. `query` is search syntax.
    pub async fn series(
        &self,
        dataset: Dataset,
        y_axis: &str,
        query: &str,
        window: Window,
        interval: Duration,
    ) -> Outcome<Series> {
        let request = self
            .scoped("events-timeseries/", "read a series", "org:read")
            .await?
            .query("dataset", dataset.name())
            .query("yAxis", y_axis)
            .query("query", query)
            .query("interval", interval.as_secs());
        match self.http.json::<RawTimeseries>(window.on(request)).await {
            Ok(raw) => Ok(raw.map(|raw| {
                let points =
                    raw.time_series.into_iter().next().map(|series| series.values).unwrap_or_default();
                self.settle(points, interval)
            })),
            // Older self-hosted servers do not know the endpoint, or not this axis.
            Err(error)
                if error.is_not_found() || matches!(error.fault(), Fault::Refused { status: 400, .. }) =>
            {
                self.older_series(dataset, y_axis, query, window, interval).await
            }
            Err(error) => Err(error),
        }
    }

    async fn older_series(
        &self,
        dataset: Dataset,
        y_axis: &str,
        query: &str,
        window: Window,
        interval: Duration,
    ) -> Outcome<Series> {
        let request = self
            .scoped("events-stats/", "read a series in the older way", "org:read")
            .await?
            .query("dataset", dataset.name())
            .query("yAxis", y_axis)
            .query("query", query)
            .query("interval", format!("{}m", (interval.as_secs() / 60).max(1)));
        let raw: Answer<RawStats> = self.http.json(window.on(request)).await?;
        Ok(raw.map(|raw| {
            let points = raw.data.into_iter().map(|(at, values)| RawPoint {
                timestamp: at.saturating_mul(1000),
                value: values.first().and_then(|value| value.get("count")).cloned().unwrap_or_default(),
                incomplete: None,
                sample_count: None,
            });
            self.settle(points.collect(), interval)
        }))
    }

    fn settle(&self, points: Vec<RawPoint>, asked: Duration) -> Series {
        // The server may have chosen another interval, and its own field has two units.
        let interval = match &points[..] {
            [first, second, ..] => second
                .timestamp
                .checked_sub(first.timestamp)
                .and_then(|gap| u64::try_from(gap).ok())
                .map_or(asked, Duration::from_millis),
            _ => asked,
        };
        let settled = self.http.clock().now() - SETTLED - TimeDelta::from_std(interval).unwrap_or_default();
        let buckets = points.into_iter().filter_map(|point| {
            let at = DateTime::from_timestamp_millis(point.timestamp)?;
            let complete = point.incomplete.map_or(at <= settled, |incomplete| !incomplete);
            complete.then(|| Bucket { at, value: lenient::number(&point.value), samples: point.sample_count })
        });
        Series { buckets: buckets.collect(), interval }
    }
}

fn filter(query: &str, release: Option<&str>) -> String {
    match release {
        Some(release) => format!("{query} release:{release}"),
        None => query.to_owned(),
    }
}
