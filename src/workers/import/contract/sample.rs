//! What Pulse sends, field by field, as the columns that hold it would be given it: before any rule of ours was asked.
//!
//! It guarantees that a value reaches the database as it came; what is no text at all (a NUL) is told here, for no statement
//! can carry it.

use serde_json::Value;

use super::super::profile;
use crate::run::Failure;
use crate::services::pulse::{BadItem, Interaction, PageQuery, Profile, Pulse};
use crate::workers::kit::failure;

/// A field of Pulse's and the column that holds it.
pub(super) type Field = (&'static str, &'static str);

pub(super) const PROFILE: &[Field] = &[
    ("id", "pulse_profile_id"),
    ("display_name", "name"),
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("canonical_email", "email"),
    ("phone_number", "phone"),
    ("relationship_score", "relationship_score"),
    ("relationship_trend", "relationship_trend"),
    ("last_interaction_date", "last_interaction_date"),
    ("total_interactions", "total_interactions"),
    ("communication_frequency", "communication_frequency"),
    ("preferred_channel", "preferred_channel"),
    ("tags", "pulse_tags"),
    ("notes", "pulse_notes"),
    ("is_favorite", "is_favorite"),
    ("is_blocked", "is_blocked"),
];

pub(super) const INTERACTION: &[Field] = &[
    ("id", "pulse_interaction_id"),
    ("interaction_type", "interaction_type"),
    ("interaction_date", "interaction_date"),
    ("subject", "subject"),
    ("snippet", "snippet"),
    ("sentiment_score", "sentiment_score"),
    ("ai_topics", "ai_topics"),
    ("ai_action_items", "ai_action_items"),
    ("ai_summary", "ai_summary"),
    ("channel_metadata", "channel_metadata"),
    ("duration_minutes", "duration_minutes"),
];

/// Fields whose values are words of a closed set or numbers, and say nothing about a person.
const OPEN: [&str; 9] = [
    "relationship_score",
    "relationship_trend",
    "total_interactions",
    "communication_frequency",
    "preferred_channel",
    "is_favorite",
    "is_blocked",
    "interaction_type",
    "duration_minutes",
];
/// A word of a closed set is not longer than this.
const WORD: usize = 40;

/// A profile or an interaction as it came.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: String,
    /// The values that are there, each under its place in the list of fields.
    pub(super) values: Vec<(usize, String)>,
    /// Fields that hold what no text can hold.
    pub(super) untold: Vec<usize>,
    /// Why the import itself would set it aside: the field and the reason.
    pub(super) unfit: Option<(String, String)>,
}

/// What is tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    pub(super) profiles: Vec<Item>,
    pub(super) interactions: Vec<Item>,
    pub(super) total: Option<u64>,
}

/// Reads a sample: profiles from the beginning, the middle and the end of the list, and interactions of the first.
pub(super) async fn gather(pulse: &Pulse, profiles: u32, histories: usize) -> Result<Sample, Failure> {
    let total = pulse.authorised().await.map_err(|error| failure(&error))?.value;
    let all = total.unwrap_or(u64::from(profiles));
    let third = u64::from(profiles / 3);
    let places: Vec<(u64, u32)> = if all <= u64::from(profiles) {
        vec![(0, profiles)]
    } else {
        let size = profiles / 3;
        vec![(0, size), (all / 2 - third / 2, size), (all - third, size)]
    };
    let mut sample = Sample { total, ..Sample::default() };
    for (offset, limit) in places {
        let query = PageQuery { limit, offset, modified_since: None };
        let page = pulse.profiles(&query).await.map_err(|error| failure(&error))?.value;
        sample.profiles.extend(page.profiles.into_iter().map(profile));
    }
    let ids: Vec<String> = sample
        .profiles
        .iter()
        .map(|item| item.id.clone())
        .filter(|id| !id.is_empty())
        .take(histories)
        .collect();
    // Who has no id is known by the place.
    for (place, item) in sample.profiles.iter_mut().enumerate().filter(|(_, item)| item.id.is_empty()) {
        item.id = format!("without an id, at place {place}");
    }
    for id in &ids {
        let most = crate::services::pulse::MAX_INTERACTIONS;
        let answer = pulse.interactions(id, most, crate::services::pulse::MAX_DAYS).await;
        let list = answer.map_err(|error| failure(&error))?.value;
        sample.interactions.extend(list.into_iter().map(interaction));
    }
    Ok(sample)
}

fn profile(item: Result<Profile, BadItem>) -> Item {
    let (id, raw) = match &item {
        Ok(profile) => (profile.id.clone(), serde_json::to_value(profile).unwrap_or_default()),
        Err(bad) => (bad.id.clone().unwrap_or_default(), bad.raw.clone()),
    };
    let unfit = profile::read(item).err().map(|reject| {
        let (field, reason) = reject.reason.split_once(": ").unwrap_or(("profile", &reject.reason));
        (field.to_owned(), reason.to_owned())
    });
    read(id, &raw, PROFILE, unfit)
}

fn interaction(item: Result<Interaction, BadItem>) -> Item {
    match item {
        Ok(one) => read(one.id.clone(), &serde_json::to_value(&one).unwrap_or_default(), INTERACTION, None),
        Err(bad) => {
            let unfit = Some(("interaction".to_owned(), "it cannot be read".to_owned()));
            read(bad.id.unwrap_or_default(), &bad.raw, INTERACTION, unfit)
        }
    }
}

fn read(id: String, raw: &Value, fields: &[Field], unfit: Option<(String, String)>) -> Item {
    let mut item = Item { id, values: Vec::new(), untold: Vec::new(), unfit };
    for (place, (field, column)) in fields.iter().enumerate() {
        let Some(text) = raw.get(field).and_then(|value| text(value, column)) else { continue };
        if text.contains('\0') {
            item.untold.push(place);
        } else {
            item.values.push((place, text));
        }
    }
    item
}

/// A value as a column is given it; nothing for what is absent or null.
fn text(value: &Value, column: &str) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if column == "channel_metadata" || column == "ai_action_items" => {
            Some(Value::String(text.clone()).to_string())
        }
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if matches!(column, "pulse_tags" | "ai_topics") => {
            let words: Vec<String> =
                items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect();
            Some(profile::array(&words))
        }
        other => Some(other.to_string()),
    }
}

/// What may be said of a value: itself where it tells nothing about a person, else what kind of value it is.
pub(super) fn told(field: &str, value: &str) -> String {
    let number = value.parse::<f64>().is_ok();
    let word = value.len() <= WORD
        && value.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.'));
    if OPEN.contains(&field) && (number || word) {
        return format!("{value:?}");
    }
    if value.starts_with(['{', '[']) {
        return "something that is no text".into();
    }
    let length = value.chars().count();
    if length > 255 {
        "something longer than 255 characters".into()
    } else {
        "something else than it should be".into()
    }
}
