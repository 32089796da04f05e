//! What the import has to make of them, by the rules of the plan alone, one profile at a time: a profile that its mapping or
//! its address leads to one contact updates it, doubt is a conflict, nobody else is touched.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::people::{Here, There};

/// What stands between a contact's notes and those of Pulse.
const SEPARATOR: &str = "\n\n--- Pulse ---\n";

/// What has to come of a first import.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// By the contact's key, or by the profile's where the contact is new.
    pub(crate) contacts: BTreeMap<String, Value>,
    pub(crate) new: u64,
    pub(crate) updated: u64,
    /// The profiles that a person must decide on.
    pub(crate) conflicts: Vec<String>,
    /// The profiles that are set aside, and a word of why.
    pub(crate) aside: Vec<(String, &'static str)>,
}

/// The fields that are compared, of a contact that Pulse knows nothing of.
fn untouched(here: &Here) -> Value {
    json!({
        "name": here.name, "first_name": null, "last_name": null, "email": here.email, "phone": here.phone,
        "notes": here.notes, "donor_stage": here.stage, "total_lifetime_giving": here.giving,
        "engagement_score": "high", "last_gift_date": "2025-12-24",
        "pulse_profile_id": null, "relationship_score": null, "relationship_trend": null, "last_interaction_date": null,
        "total_interactions": 0, "preferred_channel": null, "communication_frequency": null, "pulse_tags": null,
        "pulse_notes": null, "is_favorite": false, "is_blocked": false, "pulse_sync_status": "pending",
    })
}

fn over(mut contact: Value, profile: &Value) -> Value {
    let was = contact["notes"].as_str().unwrap_or_default().to_owned();
    for (ours, theirs) in [
        ("name", "display_name"),
        ("relationship_score", "relationship_score"),
        ("relationship_trend", "relationship_trend"),
        ("preferred_channel", "preferred_channel"),
        ("communication_frequency", "communication_frequency"),
        ("is_favorite", "is_favorite"),
        ("is_blocked", "is_blocked"),
        ("pulse_profile_id", "id"),
    ] {
        contact[ours] = profile[theirs].clone();
    }
    // What Pulse does not know erases nothing.
    for (ours, theirs) in [
        ("first_name", "first_name"),
        ("last_name", "last_name"),
        ("phone", "phone_number"),
        ("total_interactions", "total_interactions"),
        ("pulse_notes", "notes"),
    ] {
        if !profile[theirs].is_null() {
            contact[ours] = profile[theirs].clone();
        }
    }
    if let Some(email) = profile["canonical_email"].as_str() {
        contact["email"] = email.trim().into();
    }
    if profile["last_interaction_date"].is_string() {
        contact["last_interaction_date"] = "2026-09-01T10:00:00+00:00".into();
    }
    if let Some(notes) = profile["notes"].as_str() {
        contact["notes"] =
            if was.is_empty() { notes.into() } else { format!("{was}{SEPARATOR}{notes}").into() };
    }
    let mut tags: Vec<&str> = profile["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    contact["pulse_tags"] = json!(tags);
    contact["pulse_sync_status"] = "synced".into();
    contact
}

/// A first import of these profiles into that CRM.
pub(crate) fn first_import(crm: &[Here], pulse: &[There]) -> Expected {
    let mut expected = Expected::default();
    let mut here: BTreeMap<&str, Vec<&Here>> = BTreeMap::new();
    for contact in crm {
        expected.contacts.insert(contact.id.clone(), untouched(contact));
        if let Some(key) = &contact.key {
            here.entry(key).or_default().push(contact);
        }
    }
    let mut profiles: BTreeMap<&str, u32> = BTreeMap::new();
    for profile in pulse.iter().filter(|profile| profile.bad.is_none()) {
        if let Some(key) = &profile.key {
            *profiles.entry(key).or_default() += 1;
        }
    }
    for profile in pulse {
        let id = profile.json["id"].as_str().unwrap().to_owned();
        if let Some(why) = profile.bad {
            expected.aside.push((id, why));
            continue;
        }
        let same: &[&Here] = profile.key.as_deref().and_then(|key| here.get(key)).map_or(&[], Vec::as_slice);
        let twins = profile.key.as_deref().is_some_and(|key| profiles[key] > 1);
        match same {
            _ if twins => expected.conflicts.push(id),
            [] => {
                let blank = Here {
                    id: id.clone(),
                    key: None,
                    email: None,
                    name: String::new(),
                    phone: None,
                    notes: None,
                    giving: "0".into(),
                    stage: "Prospect",
                };
                let mut contact = over(untouched(&blank), &profile.json);
                contact["total_lifetime_giving"] = "0".into();
                contact["engagement_score"] = "low".into();
                contact["last_gift_date"] = Value::Null;
                expected.new += 1;
                expected.contacts.insert(id, contact);
            }
            [one] => {
                let contact = over(expected.contacts[&one.id].clone(), &profile.json);
                expected.updated += 1;
                expected.contacts.insert(one.id.clone(), contact);
            }
            _ => expected.conflicts.push(id),
        }
    }
    expected
}
