//! What a question to Sentry says about time and project, read once and in one way.
//!
//! It guarantees Sentry's refusals: two ways of giving the time at once, a slug where a number must stand, a time that does
//! not read.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{PROJECT_ID, refusal};

pub(super) type Params = Query<Vec<(String, String)>>;

/// The parameters of a question, and the window of time it is about.
#[derive(Debug)]
pub(super) struct Ask {
    params: Vec<(String, String)>,
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

/// A span like `15m`.
pub(super) fn period(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|number| (1..=100_000).contains(number))?;
    match unit {
        "s" => Some(TimeDelta::seconds(number)),
        "m" => Some(TimeDelta::minutes(number)),
        "h" => Some(TimeDelta::hours(number)),
        "d" => Some(TimeDelta::days(number)),
        "w" => Some(TimeDelta::weeks(number)),
        _ => None,
    }
}

pub(super) fn moment(text: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    zoned.or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|at| at.and_utc()))
}

impl Ask {
    #[expect(clippy::result_large_err, reason = "the refusal is the answer, and is sent at once")]
    pub(super) fn read(params: Params, now: DateTime<Utc>) -> Result<Self, Response> {
        let Query(params) = params;
        let mut ask = Self { params, from: now - TimeDelta::days(14), to: now, now };
        let bad = |detail: &str| refusal(StatusCode::BAD_REQUEST, detail);
        match (ask.one("statsPeriod"), ask.one("start"), ask.one("end")) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(bad("Cannot specify statsPeriod together with start or end"));
            }
            (Some(text), ..) => {
                let span = period(text).ok_or_else(|| bad("Invalid statsPeriod"))?;
                ask.from = now - span;
            }
            (None, Some(start), Some(end)) => {
                let (Some(start), Some(end)) = (moment(start), moment(end)) else {
                    return Err(bad("Invalid date range"));
                };
                if start > end {
                    return Err(bad("start must be before end"));
                }
                (ask.from, ask.to) = (start, end);
            }
            (None, None, None) => {}
            _ => return Err(bad("start and end are both required")),
        }
        for project in ask.all("project") {
            match project.parse::<i64>() {
                Err(_) => return Err(bad("Invalid project parameter. Values must be numbers.")),
                Ok(-1) => {}
                Ok(id) if id.cast_unsigned() == PROJECT_ID => {}
                Ok(_) => {
                    return Err(refusal(
                        StatusCode::FORBIDDEN,
                        "You do not have permission to perform this action.",
                    ));
                }
            }
        }
        Ok(ask)
    }

    pub(super) fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.params.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Rows to a page.
    pub(super) fn limit(&self, name: &str) -> usize {
        self.one(name).and_then(|text| text.parse().ok()).unwrap_or(50).clamp(1, 100)
    }
}
