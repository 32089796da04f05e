//! Reading what vendors send, not what their documentation says: ids as text or number, numbers as text, null as absent.
//!
//! Guarantees only that a value of another JSON type does not break a whole answer. Nothing here knows a vendor.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An id, whether it came as text or as a number.
pub fn id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(&Value::deserialize(from)?).ok_or_else(|| serde::de::Error::custom("an id must be text or a number"))
}

/// An id that may be absent or null.
pub fn maybe_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(text(&Value::deserialize(from)?))
}

/// A whole number, whether it came as one, as text or as a fraction; anything else is none.
pub fn maybe_count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(count(&Value::deserialize(from)?))
}

/// The default for null as well as for absence.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Epoch milliseconds; anything else is none.
pub fn maybe_millis<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(Value::deserialize(from)?.as_i64().and_then(DateTime::from_timestamp_millis))
}

/// A time in ISO 8601; anything else is none.
pub fn maybe_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(Value::deserialize(from)?.as_str().and_then(time))
}

/// A time in ISO 8601, with or without an offset (none means UTC).
pub fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).ok().or_else(|| {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|form| chrono::NaiveDateTime::parse_from_str(text, form).ok().map(|at| at.and_utc()))
    })
}

/// Text or number as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A finite number, also from text; null, NaN and the rest are no data.
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// A count, also from text or from a fraction that is whole.
pub fn count(value: &Value) -> Option<u64> {
    if let Some(count) = value.as_u64() {
        return Some(count);
    }
    let number = number(value).filter(|number| (0.0..9.0e15).contains(number))?;
    format!("{:.0}", number.round()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_and_nan_are_not_zero() {
        assert_eq!(number(&json!(null)), None);
        assert_eq!(number(&json!("NaN")), None);
        assert_eq!(number(&json!("12.5")), Some(12.5));
        assert_eq!(count(&json!("12")), Some(12));
        assert_eq!(count(&json!(12.0)), Some(12));
        assert_eq!(count(&json!(-1)), None);
    }

    #[test]
    fn times_come_with_and_without_an_offset() {
        assert_eq!(time("2026-10-03T14:30:00Z"), time("2026-10-03T14:30:00"));
        assert_eq!(time("2026-10-03T14:30:00.000Z"), time("2026-10-03T16:30:00+02:00"));
    }
}
