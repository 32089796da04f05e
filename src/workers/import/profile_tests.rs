//! What fits and what does not, and in which words.

use serde_json::{Value, json};

use super::*;

fn profile(change: impl FnOnce(&mut Value)) -> Result<Row, Reject> {
    let mut value = json!({"id": "p1", "display_name": " Ada L ", "canonical_email": "Ada@Example.org", "relationship_score": 87,
        "relationship_trend": "falling", "total_interactions": 4, "communication_frequency": "rare",
        "preferred_channel": "slack", "tags": ["b", "a", "b"], "notes": "said \"hi\"", "is_favorite": true});
    change(&mut value);
    read(serde_json::from_value::<Profile>(value.clone()).map_err(|error| BadProfile {
        id: value["id"].as_str().map(str::to_owned),
        reason: error.to_string(),
        raw: value,
    }))
}

#[test]
fn a_good_profile_becomes_a_line() {
    let row = profile(|_| {}).unwrap();
    let mut line = String::new();
    row.write(uuid::Uuid::nil(), 3, &mut line);
    assert!(
        line.starts_with(r#""p1","Ada L",,,"Ada@Example.org",,"87","falling",,"4","slack","rare","{""a"",""b""}","said ""hi""","true","false",,""#),
        "{line}"
    );
    assert!(line.ends_with("\",00000000-0000-0000-0000-000000000000,3\n"), "{line}");
    let columns = super::COLUMNS.split(',').count();
    assert_eq!(line.matches(',').count() + 1, columns + 1, "a comma stands between the two tags");
}

#[test]
fn the_hash_covers_what_is_written_and_nothing_else() {
    let hash = |change: &dyn Fn(&mut Value)| profile(|value| change(value)).unwrap().hash;
    let same = hash(&|_| {});
    assert_eq!(hash(&|value| value["title"] = json!("Dr")), same);
    assert_eq!(hash(&|value| value["updated_at"] = json!("2026-01-01T00:00:00Z")), same);
    assert_eq!(hash(&|value| value["tags"] = json!(["a", "b"])), same, "the order of tags is nobody's");
    let others = [
        hash(&|value| value["notes"] = json!("else")),
        hash(&|value| value["relationship_score"] = json!(88)),
        hash(&|value| value["is_blocked"] = json!(true)),
        hash(&|value| value["first_name"] = json!("Ada")),
        hash(&|value| value["last_name"] = json!("Ada")),
        hash(&|value| value["phone_number"] = json!("Ada")),
    ];
    let mut all = others.to_vec();
    all.push(same);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), others.len() + 1);
}

#[test]
fn what_the_database_would_refuse_is_set_aside_with_a_reason() {
    let long = "x".repeat(300);
    let cases = [
        ("relationship_score", json!(140), "relationship_score: not within 0 to 100"),
        ("relationship_score", json!({"value": 3}), "it cannot be read"),
        ("total_interactions", json!(-3), "total_interactions: not within 0 to 2147483647"),
        ("total_interactions", json!(3_000_000_000_u64), "total_interactions: not within 0 to 2147483647"),
        ("communication_frequency", json!("fortnightly"), "communication_frequency: not one of daily"),
        ("preferred_channel", json!("fax"), "preferred_channel: not one of"),
        ("relationship_trend", json!("Rising"), "relationship_trend: not one of"),
        ("canonical_email", json!(format!("{long}@example.org")), "canonical_email: longer than 255"),
        ("canonical_email", json!("nobody"), "canonical_email: not an email address"),
        ("canonical_email", json!("a b@example.org"), "canonical_email: not an email address"),
        ("display_name", json!("  "), "display_name: there is no name"),
        ("display_name", json!(long), "display_name: longer than 255"),
        ("phone_number", json!(long), "phone_number: longer than 50"),
        ("notes", json!("a\u{0}b"), "notes: a NUL character"),
        ("tags", json!([long]), "tags: longer than 200"),
        ("last_interaction_date", json!("0000-01-01T00:00:00Z"), "last_interaction_date: not a date between"),
        ("last_interaction_date", json!("9999-12-31T00:00:00Z"), "last_interaction_date: not a date between"),
        ("last_interaction_date", json!("yesterday"), "it cannot be read"),
        ("id", json!("   "), "id: empty"),
    ];
    for (field, value, reason) in cases {
        let reject = profile(|profile| profile[field] = value.clone()).unwrap_err();
        assert!(reject.reason.starts_with(reason), "{field}: {value}: {}", reject.reason);
        assert!(!reject.key.is_empty() && !reject.raw.contains('\0') && !reject.detail.contains('\0'));
    }
}

#[test]
fn edges_that_fit_are_let_through() {
    for (field, value) in [
        ("relationship_score", json!(0)),
        ("relationship_score", json!(100)),
        ("display_name", json!("ü".repeat(255))),
        ("canonical_email", json!("")),
        ("canonical_email", json!(null)),
        ("phone_number", json!("1".repeat(50))),
        ("last_interaction_date", json!("1900-01-01T00:00:00Z")),
    ] {
        assert!(profile(|profile| profile[field] = value.clone()).is_ok(), "{field}: {value}");
    }
}
