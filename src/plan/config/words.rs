//! How single values are written in gonogo.toml: durations ("15m"), days, time zones, roles.

use std::time::Duration;

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::super::{Role, checklist::times, problem::nearest};

pub(super) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    times::span(&text).ok_or_else(|| {
        D::Error::custom(format!("{text:?} is no duration; write \"90s\", \"15m\", \"2h\" or \"1w\""))
    })
}

pub(super) fn maybe_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    span(deserializer).map(Some)
}

pub(super) fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
    let value = toml::Value::deserialize(deserializer)?;
    let text = match &value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(date) => date.to_string(),
        other => format!("a value of type {}", other.type_str()),
    };
    let day =
        text.parse().map_err(|_| D::Error::custom(format!("{text} is no day; write day = 2026-09-21")))?;
    Ok(Some(day))
}

pub(super) fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let meant = nearest(&text, names).unwrap_or("America/New_York");
        D::Error::custom(format!("{text:?} is no IANA time zone; did you mean {meant:?}?"))
    })
}

pub(super) fn roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Role>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    words.iter().map(|word| word.parse().map_err(D::Error::custom)).collect()
}
