//! What is asked of PostHog: one statement for the live numbers, one for the arms of the rollout, one for the flag's reach.
//!
//! Guarantees that every number comes with its count of samples, and that a quantile over nothing is no data. Thresholds are not
//! known here.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{Hogql, PostHog, Rows, lenient};
use crate::services::{Outcome, ServiceError};

/// The live numbers of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Page views; none when the answer lacked the number.
    pub page_views: Option<u64>,
    /// People who viewed a page.
    pub people: Option<u64>,
    /// Exceptions; zero together with zero page views means "not measured".
    pub exceptions: Option<u64>,
    /// People who met one.
    pub affected_people: Option<u64>,
    /// Sessions with a page view or an exception.
    pub sessions: Option<u64>,
    /// Sessions with an exception.
    pub bad_sessions: Option<u64>,
    /// The 95th percentile of the largest contentful paint in ms; none without samples.
    pub lcp_p95_ms: Option<f64>,
    /// Samples behind it.
    pub lcp_samples: Option<u64>,
    /// The 95th percentile of the app's own `page_performance` load time in ms; none without samples.
    pub load_p95_ms: Option<f64>,
    /// Samples behind it.
    pub load_samples: Option<u64>,
    /// When the newest page view was; its age tells whether data arrives at all.
    pub newest_page_view: Option<DateTime<Utc>>,
}

/// One arm of the rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// What the flag said: `true`, `false` or a variant.
    pub variant: String,
    /// People in it.
    pub people: Option<u64>,
    /// Contacts viewed per person.
    pub viewed_per_user: Option<f64>,
    /// Actions completed per person.
    pub actions_per_user: Option<f64>,
    /// The 95th percentile of the load time in ms.
    pub load_p95_ms: Option<f64>,
    /// The share of sessions with an exception, 0 to 1.
    pub error_rate: Option<f64>,
    /// The mean session in seconds.
    pub session_mean_s: Option<f64>,
}

/// How far a flag reaches, by the page views that carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// Page views that carry the flag at all.
    pub page_views: Option<u64>,
    /// Page views with the feature on.
    pub on: Option<u64>,
    /// When the newest page view with the feature on was.
    pub newest_on: Option<DateTime<Utc>>,
}

const LIVE: &str = "SELECT countIf(event = '$pageview') AS page_views, \
uniqIf(person_id, event = '$pageview') AS people, \
countIf(event = '$exception') AS exceptions, \
uniqIf(person_id, event = '$exception') AS affected_people, \
uniqIf(properties.$session_id, event IN ('$pageview', '$exception')) AS sessions, \
uniqIf(properties.$session_id, event = '$exception') AS bad_sessions, \
quantileIf(0.95)(toFloat(properties.$web_vitals_LCP_value), event = '$web_vitals' AND properties.$web_vitals_LCP_value IS NOT NULL) AS lcp_p95, \
countIf(event = '$web_vitals' AND properties.$web_vitals_LCP_value IS NOT NULL) AS lcp_n, \
quantileIf(0.95)(toFloat(properties.load_time_ms), event = 'page_performance' AND properties.load_time_ms IS NOT NULL) AS load_p95, \
countIf(event = 'page_performance' AND properties.load_time_ms IS NOT NULL) AS load_n, \
maxIf(timestamp, event = '$pageview') AS newest_page_view \
FROM events WHERE event IN ('$pageview', '$exception', '$web_vitals', 'page_performance')";

impl PostHog {
    /// The live numbers of the last `window`, in one statement.
    pub async fn reading(&self, window: Duration) -> Outcome<Reading> {
        let statement = format!("{LIVE} AND timestamp >= {}", since(window));
        let rows = self.query(&Hogql { statement, values: Map::new(), name: "gonogo reading" }).await?;
        Ok(rows.map(|rows| {
            let (lcp_samples, load_samples) = (rows.count(0, "lcp_n"), rows.count(0, "load_n"));
            let page_views = rows.count(0, "page_views");
            Reading {
                page_views,
                people: rows.count(0, "people"),
                exceptions: rows.count(0, "exceptions"),
                affected_people: rows.count(0, "affected_people"),
                sessions: rows.count(0, "sessions"),
                bad_sessions: rows.count(0, "bad_sessions"),
                lcp_p95_ms: rows.number(0, "lcp_p95").filter(|_| lcp_samples > Some(0)),
                lcp_samples,
                load_p95_ms: rows.number(0, "load_p95").filter(|_| load_samples > Some(0)),
                load_samples,
                // The maximum over nothing is the beginning of 1970.
                newest_page_view: moment(&rows, "newest_page_view").filter(|_| page_views > Some(0)),
            }
        }))
    }

    /// The arms of the rollout side by side over the last `window`.
    pub async fn arms(&self, flag: &str, window: Duration) -> Outcome<Vec<Arm>> {
        let (property, since) = (property(flag)?, since(window));
        let statement = format!(
            "SELECT toString({property}) AS variant, uniq(person_id) AS people, \
             countIf(event = 'contact_viewed') / people AS viewed_per_user, \
             countIf(event = 'action_completed') / people AS actions_per_user, \
             quantileIf(0.95)(toFloat(properties.load_time_ms), event = 'page_performance') AS load_p95, \
             uniqIf(properties.$session_id, event = '$exception') / nullIf(uniq(properties.$session_id), 0) AS error_rate \
             FROM events WHERE timestamp >= {since} AND {property} IS NOT NULL GROUP BY variant ORDER BY variant"
        );
        let rows = self.query(&Hogql { statement, values: Map::new(), name: "gonogo arms" }).await?;
        let statement = format!(
            "SELECT v.variant AS variant, avg(s.$session_duration) AS mean FROM sessions AS s \
             JOIN (SELECT properties.$session_id AS sid, any(toString({property})) AS variant FROM events \
             WHERE event = '$pageview' AND timestamp >= {since} GROUP BY sid) AS v ON v.sid = s.session_id \
             WHERE s.$start_timestamp >= {since} GROUP BY variant"
        );
        // The least certain statement: without it the arms are still worth having.
        let sessions =
            self.query(&Hogql { statement, values: Map::new(), name: "gonogo session length" }).await;
        let sessions = match sessions {
            Ok(sessions) => Some(sessions.value),
            Err(error) => {
                tracing::warn!(%error, "no session length by arm");
                None
            }
        };
        Ok(rows.map(|rows| {
            (0..rows.len())
                .map(|row| {
                    let variant = rows.get(row, "variant").and_then(lenient::text).unwrap_or_default();
                    let session_mean_s = sessions.as_ref().and_then(|sessions| {
                        let of = |at: &usize| {
                            sessions.get(*at, "variant").and_then(Value::as_str) == Some(&variant)
                        };
                        sessions.number((0..sessions.len()).find(of)?, "mean")
                    });
                    Arm {
                        people: rows.count(row, "people"),
                        viewed_per_user: rows.number(row, "viewed_per_user"),
                        actions_per_user: rows.number(row, "actions_per_user"),
                        load_p95_ms: rows.number(row, "load_p95"),
                        error_rate: rows.number(row, "error_rate"),
                        session_mean_s,
                        variant,
                    }
                })
                .collect()
        }))
    }

    /// How many page views carry the feature since a moment: "off for everybody" is none with it on, and some at all.
    pub async fn exposure(&self, flag: &str, since: DateTime<Utc>) -> Outcome<Exposure> {
        let property = property(flag)?;
        let statement = format!(
            "SELECT countIf({property} IS NOT NULL) AS page_views, countIf(toString({property}) = 'true') AS on_views, \
             maxIf(timestamp, toString({property}) = 'true') AS newest_on \
             FROM events WHERE event = '$pageview' AND timestamp >= toDateTime({{since}})"
        );
        let since = since.format("%Y-%m-%d %H:%M:%S").to_string();
        let values = Map::from_iter([("since".to_owned(), json!(since))]);
        let rows = self.query(&Hogql { statement, values, name: "gonogo exposure" }).await?;
        Ok(rows.map(|rows| {
            let on = rows.count(0, "on_views");
            let newest_on = moment(&rows, "newest_on").filter(|_| on > Some(0));
            Exposure { page_views: rows.count(0, "page_views"), on, newest_on }
        }))
    }
}

fn since(window: Duration) -> String {
    format!("now() - INTERVAL {} SECOND", window.as_secs())
}

fn moment(rows: &Rows, column: &str) -> Option<DateTime<Utc>> {
    rows.get(0, column).and_then(Value::as_str).and_then(lenient::time)
}

/// The property that carries a flag. A name cannot be a placeholder, so it is checked instead.
fn property(flag: &str) -> Result<String, ServiceError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if flag.is_empty() || !flag.chars().all(plain) {
        let problem = format!("the flag key {flag:?} has characters other than letters, digits, - and _");
        return Err(ServiceError::setup("PostHog", "ask about a flag", problem));
    }
    Ok(format!("properties.`$feature/{flag}`"))
}
