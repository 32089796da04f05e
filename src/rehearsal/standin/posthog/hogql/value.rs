//! A value in a statement, how two compare, and how it is written into an answer.
//!
//! It guarantees that null compares with nothing, as in SQL, and that NaN leaves as null.

use std::cmp::Ordering;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Datum {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Time(DateTime<Utc>),
    Span(TimeDelta),
}

impl Datum {
    /// A value as an event's property holds it.
    pub(in super::super) fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => number.as_f64().map_or(Self::Null, Self::Number),
            Value::String(text) => Self::Text(text.clone()),
            other => Self::Text(other.to_string()),
        }
    }

    pub(in super::super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
                let whole = *number as i64;
                json!(whole)
            }
            Self::Number(number) => json!(number),
            Self::Text(text) => json!(text),
            Self::Time(at) => json!(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::Span(span) => json!(span.num_seconds()),
        }
    }

    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string()),
            other => match other.to_json() {
                Value::String(text) => Some(text),
                json => Some(json.to_string()),
            },
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) if !number.is_nan() => Some(*number),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(super) fn time(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Time(at) => Some(*at),
            Self::Text(text) => {
                let zoned = DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
                let plain =
                    |form| chrono::NaiveDateTime::parse_from_str(text, form).ok().map(|at| at.and_utc());
                let day = || chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
                zoned
                    .or_else(|| plain("%Y-%m-%d %H:%M:%S%.f"))
                    .or_else(|| plain("%Y-%m-%dT%H:%M:%S%.f"))
                    .or_else(|| day().map(|at| at.and_utc()))
            }
            _ => None,
        }
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Number(number) => *number != 0.0,
            _ => false,
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Time(_), _) | (_, Self::Time(_)) => Some(self.time()?.cmp(&other.time()?)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Bool(b)) => Some(a.as_str().cmp(if *b { "true" } else { "false" })),
            (Self::Bool(_), Self::Text(_)) => other.compare(self).map(Ordering::reverse),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "Nullable(Nothing)",
            Self::Bool(_) => "Bool",
            Self::Number(_) => "Float64",
            Self::Text(_) => "String",
            Self::Time(_) => "DateTime64(6, 'UTC')",
            Self::Span(_) => "Int64",
        }
    }
}

/// The number of units as a span.
pub(super) fn interval(number: f64, unit: &str) -> Option<TimeDelta> {
    let seconds = match unit.to_ascii_lowercase().trim_end_matches('s') {
        "second" => 1.0,
        "minute" => 60.0,
        "hour" => 3_600.0,
        "day" => 86_400.0,
        "week" => 604_800.0,
        "month" => 2_592_000.0,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and then is no span any more")]
    let millis = (number * seconds * 1_000.0) as i64;
    TimeDelta::try_milliseconds(millis)
}
