//! A profile as a row of `contacts` would hold it, or why it cannot.
//!
//! It guarantees that what passes here is refused by no CHECK, length or type of migration 001, so that one bad profile
//! costs nobody else anything; and that the hash covers exactly what the import writes. Pure: no database, no clock.

use std::fmt::Write;

use chrono::{DateTime, Datelike, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::services::pulse::{BadProfile, Profile};

const TRENDS: [&str; 5] = ["rising", "stable", "falling", "new", "dormant"];
const CHANNELS: [&str; 5] = ["email", "slack", "phone", "meeting", "sms"];
const FREQUENCIES: [&str; 5] = ["daily", "weekly", "monthly", "quarterly", "rare"];
/// The longest tag: an index on tags cannot hold an entry of any length.
const LONGEST_TAG: usize = 200;
/// The longest notes, in characters.
const LONGEST_NOTES: usize = 1_000_000;
/// What is kept of a raw record, in bytes.
const LONGEST_RAW: usize = 1_000_000;

/// The columns of staging that a line of [`Row::write`] fills, in its order.
pub(super) const COLUMNS: &str = "pulse_id, name, first_name, last_name, email, phone, relationship_score, \
    relationship_trend, last_interaction_date, total_interactions, preferred_channel, communication_frequency, tags, notes, \
    is_favorite, is_blocked, pulse_updated_at, data_hash, run, round";

/// A profile that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) pulse_id: String,
    name: String,
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    score: Option<i64>,
    trend: Option<String>,
    last: Option<DateTime<Utc>>,
    interactions: Option<i64>,
    channel: Option<String>,
    frequency: Option<String>,
    tags: Vec<String>,
    notes: Option<String>,
    favorite: bool,
    blocked: bool,
    updated: Option<DateTime<Utc>>,
    hash: String,
}

/// A profile that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reject {
    /// What it is known by: its id, or a digest of what came.
    pub(super) key: String,
    /// Its id, if it has one.
    pub(super) pulse_id: Option<String>,
    /// Why, in words that are the same for all alike.
    pub(super) reason: String,
    /// The value in question.
    pub(super) detail: String,
    /// The record as it came.
    pub(super) raw: String,
}

struct Unfit {
    reason: String,
    detail: String,
}

fn unfit(reason: impl Into<String>, detail: impl Into<String>) -> Unfit {
    Unfit { reason: reason.into(), detail: detail.into() }
}

/// The row, or the reason against it.
pub(super) fn read(item: Result<Profile, BadProfile>) -> Result<Row, Reject> {
    let profile = match item {
        Ok(profile) => profile,
        Err(bad) => {
            let id = bad.id.filter(|id| plain_id(id));
            return Err(reject(id, &unfit("it cannot be read", bad.reason), &bad.raw.to_string()));
        }
    };
    row(&profile).map_err(|unfit| {
        let raw = serde_json::to_string(&profile).unwrap_or_default();
        reject(Some(profile.id.clone()).filter(|id| plain_id(id)), &unfit, &raw)
    })
}

/// A record that was refused for that reason.
pub(super) fn refused(pulse_id: Option<String>, reason: &str, detail: &str, raw: &str) -> Reject {
    reject(pulse_id, &unfit(reason, detail), raw)
}

fn reject(pulse_id: Option<String>, unfit: &Unfit, raw: &str) -> Reject {
    let key = pulse_id.clone().unwrap_or_else(|| format!("sha256:{}", hex(raw.as_bytes())));
    let clean = |text: &str, most: usize| {
        let mut end = text.len().min(most);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text[..end].replace('\0', "\\u0000")
    };
    Reject {
        key,
        pulse_id,
        reason: clean(&unfit.reason, 300),
        detail: clean(&unfit.detail, 300),
        raw: clean(raw, LONGEST_RAW),
    }
}

fn plain_id(id: &str) -> bool {
    !id.trim().is_empty() && id.chars().count() <= 200 && !id.contains(char::is_control)
}

fn row(profile: &Profile) -> Result<Row, Unfit> {
    if !plain_id(&profile.id) {
        return Err(unfit("id: empty, longer than 200 characters, or with control characters", &profile.id));
    }
    let first_name = text("first_name", profile.first_name.as_deref(), 100)?;
    let last_name = text("last_name", profile.last_name.as_deref(), 100)?;
    let name = match text("display_name", Some(&profile.display_name), 255)? {
        Some(name) => name,
        None => match (&first_name, &last_name) {
            (None, None) => return Err(unfit("display_name: there is no name", "")),
            (first, last) => {
                [first.as_deref(), last.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
        },
    };
    let email = text("canonical_email", profile.canonical_email.as_deref(), 255)?;
    if let Some(email) = email.as_deref().filter(|email| !is_address(email)) {
        return Err(unfit("canonical_email: not an email address", email));
    }
    let mut tags = Vec::with_capacity(profile.tags.len());
    for tag in &profile.tags {
        tags.extend(text("tags", Some(tag), LONGEST_TAG)?);
    }
    tags.sort_unstable();
    tags.dedup();
    let mut row = Row {
        pulse_id: profile.id.clone(),
        name,
        first_name,
        last_name,
        email,
        phone: text("phone_number", profile.phone_number.as_deref(), 50)?,
        score: number("relationship_score", profile.relationship_score, 0, 100)?,
        trend: word("relationship_trend", profile.relationship_trend.as_deref(), &TRENDS)?,
        last: moment("last_interaction_date", profile.last_interaction_date)?,
        interactions: number("total_interactions", profile.total_interactions, 0, i64::from(i32::MAX))?,
        channel: word("preferred_channel", profile.preferred_channel.as_deref(), &CHANNELS)?,
        frequency: word("communication_frequency", profile.communication_frequency.as_deref(), &FREQUENCIES)?,
        tags,
        notes: text("notes", profile.notes.as_deref(), LONGEST_NOTES)?,
        favorite: profile.is_favorite,
        blocked: profile.is_blocked,
        updated: moment("updated_at", profile.updated_at)?,
        hash: String::new(),
    };
    row.hash = row.digest();
    Ok(row)
}

fn text(field: &str, value: Option<&str>, most: usize) -> Result<Option<String>, Unfit> {
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.contains('\0') {
        return Err(unfit(format!("{field}: a NUL character, which text cannot hold"), value));
    }
    let length = value.chars().count();
    if length > most {
        return Err(unfit(format!("{field}: longer than {most} characters"), format!("{length} characters")));
    }
    Ok(Some(value.to_owned()))
}

fn word(field: &str, value: Option<&str>, allowed: &[&str]) -> Result<Option<String>, Unfit> {
    match text(field, value, 100)? {
        Some(value) if !allowed.contains(&value.as_str()) => {
            Err(unfit(format!("{field}: not one of {}", allowed.join(", ")), value))
        }
        value => Ok(value),
    }
}

fn number(field: &str, value: Option<i64>, least: i64, most: i64) -> Result<Option<i64>, Unfit> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(unfit(format!("{field}: not within {least} to {most}"), value.to_string()))
        }
        value => Ok(value),
    }
}

fn moment(field: &str, value: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, Unfit> {
    match value {
        Some(at) if !(1900..2200).contains(&at.year()) => {
            Err(unfit(format!("{field}: not a date between 1900 and 2200"), at.to_rfc3339()))
        }
        value => Ok(value),
    }
}

fn is_address(email: &str) -> bool {
    let plain = !email.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    let parts = email.split_once('@');
    plain && parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Row {
    /// Everything that the import writes, so that a profile which differs elsewhere writes nothing.
    fn digest(&self) -> String {
        let mut all = String::with_capacity(400);
        all.push('1');
        // Absence must differ from emptiness and from another field's absence.
        let mut there = String::with_capacity(16);
        self.each(|field| {
            if let Some(field) = field {
                let _ = write!(all, "|{}:{field}", field.len());
            }
            there.push(if field.is_some() { '1' } else { '0' });
        });
        all.push_str(&there);
        hex(all.as_bytes())
    }

    /// Every field in the order of [`COLUMNS`], as text.
    fn each(&self, mut take: impl FnMut(Option<&str>)) {
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        take(Some(&self.pulse_id));
        take(Some(&self.name));
        take(self.first_name.as_deref());
        take(self.last_name.as_deref());
        take(self.email.as_deref());
        take(self.phone.as_deref());
        take(number(self.score).as_deref());
        take(self.trend.as_deref());
        take(self.last.map(|at| at.to_rfc3339()).as_deref());
        take(number(self.interactions).as_deref());
        take(self.channel.as_deref());
        take(self.frequency.as_deref());
        take((!self.tags.is_empty()).then(|| array(&self.tags)).as_deref());
        take(self.notes.as_deref());
        take(Some(if self.favorite { "true" } else { "false" }));
        take(Some(if self.blocked { "true" } else { "false" }));
    }

    /// Adds the row as a line of CSV, in the order of [`COLUMNS`].
    pub(super) fn write(&self, run: Uuid, round: i32, lines: &mut String) {
        self.each(|field| cell(field, lines));
        cell(self.updated.map(|at| at.to_rfc3339()).as_deref(), lines);
        cell(Some(&self.hash), lines);
        let _ = writeln!(lines, "{run},{round}");
    }
}

/// NULL is nothing between commas, which the empty text, in quotes, is not.
fn cell(field: Option<&str>, lines: &mut String) {
    if let Some(text) = field {
        lines.push('"');
        for (place, part) in text.split('"').enumerate() {
            lines.push_str(if place > 0 { "\"\"" } else { "" });
            lines.push_str(part);
        }
        lines.push('"');
    }
    lines.push(',');
}

/// A text array as PostgreSQL reads it.
pub(super) fn array(tags: &[String]) -> String {
    let quoted: Vec<String> =
        tags.iter().map(|tag| format!("\"{}\"", tag.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{{{}}}", quoted.join(","))
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
