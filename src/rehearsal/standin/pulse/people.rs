//! The profiles at Pulse and what happened with each, as a pure function of seed, scenario and time.
//!
//! It guarantees that a profile changes now and then, and says when; and that asking twice at one time gives one answer.
//! Values that a database refuses come only where the scenario asks for them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stamp;
use crate::rehearsal::contacts::person;
use crate::rehearsal::draw::{choose, draw, fraction};
use crate::rehearsal::scenario::Order;
use crate::rehearsal::state::State;

const FREQUENCIES: [&str; 5] = ["daily", "weekly", "monthly", "quarterly", "rare"];
const CHANNELS: [&str; 5] = ["email", "slack", "phone", "meeting", "sms"];
const TRENDS: [&str; 5] = ["rising", "stable", "falling", "new", "dormant"];
const TITLES: [&str; 6] =
    ["Director", "Programme Manager", "Volunteer", "Board Member", "Treasurer", "Engineer"];
const TAGS: [&str; 6] = ["donor", "board", "volunteer", "press", "major-gift", "lapsed"];
const KINDS: [&str; 10] = [
    "email_sent",
    "email_received",
    "meeting",
    "call",
    "slack_message",
    "slack_received",
    "sms_sent",
    "sms_received",
    "linkedin",
    "other",
];
/// How many ways a bad profile can be bad.
const BAD_WAYS: u32 = 8;
const DAY: i64 = 86_400;

/// Everybody whom Pulse knows, at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct People {
    seed: u64,
    count: u32,
    order: Order,
    bad_every: Option<u32>,
    now: DateTime<Utc>,
}

/// Whom a profile is about: every second one is one of the CRM's people, in their order, so that about half of Pulse is
/// known to a CRM of half Pulse's size or more.
const fn of_profile(profile: u32) -> u32 {
    if profile.is_multiple_of(2) { profile / 2 } else { 10_000_000 + profile }
}

/// Something that happens every `period` seconds: the number of the last time, and when it was.
fn last_of(period: i64, offset: i64, now: DateTime<Utc>) -> (i64, DateTime<Utc>) {
    let number = (now.timestamp() + offset).div_euclid(period);
    (number, DateTime::from_timestamp(number * period - offset, 0).unwrap_or(now))
}

impl People {
    pub(super) fn of(state: &State, now: DateTime<Utc>) -> Self {
        let pulse = &state.scenario.pulse;
        Self { seed: state.seed, count: state.contacts, order: pulse.order, bad_every: pulse.bad_every, now }
    }

    fn draw(&self, index: u32, salt: u64) -> u64 {
        draw(self.seed, &[0x7075_6c73, u64::from(index), salt])
    }

    fn span(&self, index: u32, salt: u64, least: i64, most: i64) -> i64 {
        least + (self.draw(index, salt) % (most - least).unsigned_abs()).cast_signed()
    }

    /// The last change of a profile: its number and when. Each changes every two to six days.
    fn changed(&self, index: u32) -> (i64, DateTime<Utc>) {
        let period = self.span(index, 1, 2 * DAY, 6 * DAY);
        last_of(period, self.span(index, 2, 0, period), self.now)
    }

    fn id(&self, index: u32) -> String {
        let high = u128::from(self.draw(index, 3)) << 64;
        Uuid::from_u128(high | u128::from(index)).to_string()
    }

    pub(super) fn index_of(&self, id: &str) -> Option<u32> {
        let low = Uuid::parse_str(id).ok()?.as_u128() & u128::from(u32::MAX);
        let index = u32::try_from(low).ok()?;
        (index < self.count && self.id(index) == id).then_some(index)
    }

    /// The profiles asked for, in Pulse's order.
    pub(super) fn list(&self, since: Option<DateTime<Utc>>, email: Option<&str>) -> Vec<u32> {
        let wanted = |index: &u32| {
            since.is_none_or(|since| self.changed(*index).1 >= since)
                && email
                    .is_none_or(|email| person(self.seed, of_profile(*index)).email == email.to_lowercase())
        };
        let mut list: Vec<u32> = (0..self.count).filter(wanted).collect();
        if self.order == Order::Updated {
            list.sort_by_cached_key(|index| (std::cmp::Reverse(self.changed(*index).1), *index));
        }
        list
    }

    pub(super) fn profile(&self, index: u32, annotated: bool) -> Value {
        let who = person(self.seed, of_profile(index));
        let (revision, updated) = self.changed(index);
        let (_, last) = self.met(index);
        let created = updated - TimeDelta::days(self.span(index, 4, 400, 2_000));
        let score =
            (self.draw(index, 5) % 91 + draw(self.draw(index, 6), &[revision.cast_unsigned()]) % 10).min(100);
        let some =
            |salt, value: Value| if self.draw(index, salt).is_multiple_of(3) { Value::Null } else { value };
        let mut profile = json!({
            "id": self.id(index), "user_id": "5b0f3c1e-8f0e-4f7f-9a55-3a2f1d9b7c10",
            "canonical_email": who.email, "display_name": format!("{} {}", who.first_name, who.last_name),
            "first_name": who.first_name, "last_name": who.last_name,
            "phone_number": some(7, who.phone.into()), "company": some(8, who.company.into()), "title": some(9, choose(&TITLES, self.draw(index, 24)).into()),
            "linkedin_url": null, "timezone": some(10, "America/New_York".into()),
            "relationship_score": score, "relationship_trend": choose(&TRENDS, self.draw(index, 11)),
            "total_interactions": self.span(index, 12, 0, 240), "last_interaction_date": some(13, stamp(last).into()),
            "communication_frequency": choose(&FREQUENCIES, self.draw(index, 14)),
            "preferred_channel": choose(&CHANNELS, self.draw(index, 15)),
            "created_at": stamp(created), "updated_at": stamp(updated),
            "profile_revision": revision, "enrichment": {"source": "pulse", "confidence": 0.8},
        });
        if annotated {
            let tags = [choose(&TAGS, self.draw(index, 16)), choose(&TAGS, self.draw(index, 17))];
            profile["tags"] = if tags[0] == tags[1] { json!([tags[0]]) } else { json!(tags) };
            profile["notes"] = some(18, "Met at the autumn gala; asked about the annual report.".into());
            profile["is_favorite"] = self.draw(index, 19).is_multiple_of(12).into();
            profile["is_blocked"] = self.draw(index, 20).is_multiple_of(50).into();
        }
        if let Some(every) = self.bad_every.filter(|every| *every > 0 && index % every == every - 1) {
            self.spoil(&mut profile, index / every, index);
        }
        profile
    }

    /// Makes a profile one that something on the way into the database refuses, or must bear with.
    fn spoil(&self, profile: &mut Value, number: u32, index: u32) {
        match number % BAD_WAYS {
            0 => profile["relationship_score"] = 140.into(),
            1 => profile["canonical_email"] = format!("{}@example.org", "x".repeat(300)).into(),
            2 => profile["total_interactions"] = (-3).into(),
            3 => profile["last_interaction_date"] = "the day before yesterday".into(),
            4 => profile["notes"] = "a character that text cannot hold: \u{0}".into(),
            5 => profile["communication_frequency"] = "fortnightly".into(),
            // A duplicate: the address of the profile before, spelled differently.
            6 => {
                profile["canonical_email"] =
                    person(self.seed, of_profile(index - 1)).email.to_uppercase().into();
            }
            _ => profile["relationship_score"] = json!({"value": 50}),
        }
    }

    /// How often people meet (seconds), and when they last did.
    fn met(&self, index: u32) -> (i64, DateTime<Utc>) {
        let gap = self.span(index, 21, DAY, 25 * DAY);
        (gap, last_of(gap, self.span(index, 22, 0, gap), self.now).1)
    }

    /// What happened with somebody in the last `days`, the newest first.
    pub(super) fn interactions(&self, index: u32, days: i64) -> Vec<Value> {
        let (gap, last) = self.met(index);
        let oldest = self.now - TimeDelta::days(days);
        let times = std::iter::successors(Some(last), |at| Some(*at - TimeDelta::seconds(gap)));
        times.take_while(|at| *at >= oldest).map(|at| self.interaction(index, at)).collect()
    }

    fn interaction(&self, index: u32, at: DateTime<Utc>) -> Value {
        let drawn = draw(self.draw(index, 23), &[at.timestamp().cast_unsigned()]);
        let kind = choose(&KINDS, drawn);
        let long = matches!(kind, "meeting" | "call");
        json!({
            "id": Uuid::from_u128((u128::from(drawn) << 64) | u128::from(at.timestamp().unsigned_abs())).to_string(),
            "interaction_type": kind, "interaction_date": stamp(at),
            "subject": "About the spring campaign", "snippet": "Thank you for the figures; two questions remain.",
            "sentiment_score": (fraction(drawn) * 200.0).round() / 100.0 - 1.0,
            "ai_topics": ["fundraising"], "ai_action_items": [], "ai_summary": null,
            "channel_metadata": {"thread": format!("t{}", drawn % 1_000)},
            "duration_minutes": if long { json!(15 + drawn % 60) } else { Value::Null },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn half_of_the_profiles_are_people_of_the_crm() {
        let known = (0..1_000).filter(|profile| of_profile(*profile) < 500).count();
        assert_eq!(known, 500);
        assert_eq!((0..1_000).map(of_profile).collect::<BTreeSet<_>>().len(), 1_000);
    }
}
