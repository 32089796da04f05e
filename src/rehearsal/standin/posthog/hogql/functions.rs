//! The functions of one row: times, conversions, conditions.
//!
//! It guarantees that an unknown name is refused by that name, and that nothing but its arguments decides a result.

use chrono::{DateTime, TimeDelta, Utc};

use super::value::{Datum, interval};

fn floor(at: &Datum, seconds: i64) -> Datum {
    let start = |at: DateTime<Utc>| DateTime::from_timestamp(at.timestamp().div_euclid(seconds) * seconds, 0);
    at.time().and_then(start).map_or(Datum::Null, Datum::Time)
}

fn maybe<T>(value: Option<T>, of: impl FnOnce(T) -> Datum) -> Datum {
    value.map_or(Datum::Null, of)
}

fn difference(unit: &Datum, from: &Datum, to: &Datum) -> Datum {
    let unit = unit.text().and_then(|unit| interval(1.0, &unit));
    match (unit, from.time(), to.time()) {
        (Some(unit), Some(from), Some(to)) => {
            Datum::Number(((to - from).num_milliseconds() / unit.num_milliseconds().max(1)) as f64)
        }
        _ => Datum::Null,
    }
}

fn rounded(number: Option<f64>, digits: Option<f64>) -> Datum {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and rounding to a thousand digits is none"
    )]
    let scale = 10_f64.powi(digits.unwrap_or(0.0) as i32);
    maybe(number, |number| Datum::Number((number * scale).round() / scale))
}

/// The value of a function, or `None` for a name that is not known.
pub(super) fn call(name: &str, given: &[Datum], now: DateTime<Utc>) -> Option<Datum> {
    let null = Datum::Null;
    let first = given.first().unwrap_or(&null);
    let second = given.get(1).unwrap_or(&null);
    let third = given.get(2).unwrap_or(&null);
    let span = |unit| maybe(first.number().and_then(|number| interval(number, unit)), Datum::Span);
    Some(match name {
        "now" => Datum::Time(now),
        "today" => floor(&Datum::Time(now), 86_400),
        "toStartOfMinute" => floor(first, 60),
        "toStartOfFiveMinutes" | "toStartOfFiveMinute" => floor(first, 300),
        "toStartOfFifteenMinutes" => floor(first, 900),
        "toStartOfHour" => floor(first, 3_600),
        "toStartOfDay" => floor(first, 86_400),
        "toStartOfInterval" => match second {
            Datum::Span(span) if *span >= TimeDelta::seconds(1) => floor(first, span.num_seconds()),
            _ => Datum::Null,
        },
        "toDate" => match floor(first, 86_400) {
            Datum::Time(at) => Datum::Text(at.format("%Y-%m-%d").to_string()),
            other => other,
        },
        "toDateTime" | "toDateTime64" | "parseDateTimeBestEffort" => {
            #[expect(clippy::cast_possible_truncation, reason = "saturates, and then is no moment")]
            let epoch = || first.number().and_then(|seconds| DateTime::from_timestamp(seconds as i64, 0));
            maybe(first.time().or_else(epoch), Datum::Time)
        }
        "toUnixTimestamp" => maybe(first.time(), |at| Datum::Number(at.timestamp() as f64)),
        "toIntervalSecond" => span("second"),
        "toIntervalMinute" => span("minute"),
        "toIntervalHour" => span("hour"),
        "toIntervalDay" => span("day"),
        "dateDiff" => difference(first, second, third),
        "toFloat" | "toFloatOrNull" | "toFloat64" => maybe(first.number(), Datum::Number),
        "toInt" | "toIntOrNull" | "floor" => maybe(first.number(), |number| Datum::Number(number.floor())),
        "round" => rounded(first.number(), second.number()),
        "abs" => maybe(first.number(), |number| Datum::Number(number.abs())),
        "toString" => maybe(first.text(), Datum::Text),
        "lower" => maybe(first.text(), |text| Datum::Text(text.to_lowercase())),
        "length" => maybe(first.text(), |text| Datum::Number(text.chars().count() as f64)),
        "empty" => Datum::Bool(first.text().is_none_or(|text| text.is_empty())),
        "notEmpty" => Datum::Bool(first.text().is_some_and(|text| !text.is_empty())),
        "isNull" => Datum::Bool(*first == Datum::Null),
        "isNotNull" => Datum::Bool(*first != Datum::Null),
        "ifNull" | "coalesce" => {
            given.iter().find(|datum| **datum != Datum::Null).cloned().unwrap_or(Datum::Null)
        }
        "nullIf" => {
            if first.compare(second).is_some_and(std::cmp::Ordering::is_eq) {
                Datum::Null
            } else {
                first.clone()
            }
        }
        "if" => {
            if first.truth() {
                second.clone()
            } else {
                third.clone()
            }
        }
        "multiIf" => {
            let pairs = given.chunks_exact(2);
            let other = pairs.remainder().first().cloned().unwrap_or(Datum::Null);
            pairs.into_iter().find(|pair| pair[0].truth()).map_or(other, |pair| pair[1].clone())
        }
        "not" => Datum::Bool(!first.truth()),
        "equals" => Datum::Bool(first.compare(second).is_some_and(std::cmp::Ordering::is_eq)),
        "greatest" | "least" => {
            let wanted =
                if name == "greatest" { std::cmp::Ordering::is_ge } else { std::cmp::Ordering::is_le };
            if first.compare(second).is_none_or(wanted) { first.clone() } else { second.clone() }
        }
        _ => return None,
    })
}

/// Whether a text has the form of a pattern, in which `%` stands for anything.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('%');
    let Some(rest) = parts.next().and_then(|head| text.strip_prefix(head)) else { return false };
    let mut rest = rest;
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
