//! What Pulse may send and should not: each is counted, shown, and survived, and the contacts beside it are brought in.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::people::{There, pulse};
use crate::pulse::{Asked, Pulse, page, plain};

const JSON: &str = "application/json";

/// Good profiles alone.
fn good(count: u64) -> Vec<There> {
    let mut people = pulse(3, count * 3 / 2, 0);
    people.retain(|there| there.bad.is_none() && there.key.is_none());
    let mut more: Vec<There> =
        pulse(4, count * 2, 0).into_iter().filter(|there| there.bad.is_none()).collect();
    for (place, there) in more.iter_mut().enumerate() {
        there.json["canonical_email"] = format!("only.{place}@example.org").into();
        there.key = Some(format!("only.{place}@example.org"));
    }
    people.append(&mut more);
    people.truncate(usize::try_from(count).unwrap());
    people
}

async fn ground(people: Vec<There>) -> (Pulse, Ground) {
    let server = Pulse::start(people, 1).await;
    let ground = Ground::new(&[], &server.url, "page_size = 50\nquarantine_share = 0.5\n").await;
    (server, ground)
}

async fn imported(ground: &Ground) -> Value {
    let (code, said) = ground.json(&["import"]).await;
    assert_eq!(code, Some(0), "{said}");
    said["totals"].clone()
}

fn reason(totals: &Value, word: &str) -> u64 {
    let reasons = totals["reasons"].as_array().unwrap().iter();
    reasons
        .filter(|reason| reason[0].as_str().unwrap().contains(word))
        .map(|reason| reason[1].as_u64().unwrap())
        .sum()
}

#[tokio::test]
async fn fields_that_are_missing_null_too_many_or_of_another_type() {
    let mut people = good(120);
    let spoil: [(usize, &str, Value, &str); 13] = [
        (3, "id", Value::Null, "it cannot be read"),
        (9, "id", json!({"a": 1}), "it cannot be read"),
        (15, "display_name", json!(["a", "b"]), "it cannot be read"),
        (21, "relationship_score", json!("fifty"), "it cannot be read"),
        (27, "relationship_score", json!(-1), "relationship_score"),
        (33, "total_interactions", json!(1e12), "it cannot be read"),
        (39, "relationship_trend", json!("soaring"), "relationship_trend"),
        (45, "communication_frequency", json!("fortnightly"), "communication_frequency"),
        (51, "last_interaction_date", json!("0000-00-00"), "it cannot be read"),
        (57, "last_interaction_date", json!("9999-12-31T00:00:00Z"), "last_interaction_date"),
        (63, "last_interaction_date", json!(1_700_000_000), "it cannot be read"),
        (69, "canonical_email", json!("nobody at example dot org"), "canonical_email"),
        (75, "phone_number", json!("0".repeat(60)), "phone_number"),
    ];
    for (place, field, value, _) in &spoil {
        people[*place].json[*field] = value.clone();
    }
    // These fit: absent and null are nothing, and what is not known is left alone.
    people[80].json["id"] = json!(4_711);
    for field in ["tags", "notes", "is_favorite", "relationship_score", "first_name"] {
        people[81].json[field] = Value::Null;
        people[82].json.as_object_mut().unwrap().remove(field);
    }
    people[83].json["display_name"] = "".into();
    people[84].json["a_new_field"] = json!([[[{}]]]);
    let (_server, ground) = ground(people).await;
    let totals = imported(&ground).await;
    assert_eq!(
        (totals["quarantined"].as_u64(), totals["imported"].as_u64()),
        (Some(13), Some(107)),
        "{totals}"
    );
    for word in [
        "relationship_score",
        "relationship_trend",
        "communication_frequency",
        "last_interaction_date",
        "canonical_email",
        "phone_number",
    ] {
        assert_eq!(reason(&totals, word), 1, "{word}: {totals}");
    }
    assert_eq!(reason(&totals, "it cannot be read"), 7, "{totals}");
}

#[tokio::test]
async fn long_texts_control_characters_and_half_surrogates() {
    let mut people = good(60);
    people[5].json["notes"] = "n".repeat(10_000_000).into();
    people[6].json["company"] = "c".repeat(10_000_000).into();
    people[7].json["notes"] = "a\u{0}b".into();
    people[8].json["display_name"] = "tab\tbell\u{7}\u{202e}\u{1f468}\u{200d}\u{1f469}".into();
    people[9].json["tags"] = json!(["t".repeat(1_000)]);
    people[10].json["last_name"] = "\u{fffd}".into();
    let (server, ground) = ground(people).await;
    let mut served = false;
    server.set(|inner| {
        // JSON that no string can hold: a lone half of a pair, written as an escape.
        let half = r#"{"id": "half", "display_name": "\ud800"}"#.to_owned();
        let people: Vec<Value> = inner.people.iter().map(|there| there.json.clone()).collect();
        inner.script = Some(Box::new(move |asked: &Asked, _| {
            if asked.offset == 0 && asked.limit > 1 && !served {
                served = true;
                let body = page(&people[..50], 60, 0, true).to_string();
                return Some(plain(
                    StatusCode::OK,
                    JSON,
                    body.replacen("\"data\":[", &format!("\"data\":[{half},"), 1),
                ));
            }
            None
        }));
    });
    let totals = imported(&ground).await;
    assert_eq!(totals["imported"].as_u64(), Some(57), "{totals}");
    assert_eq!(totals["quarantined"].as_u64(), Some(4), "{totals}");
    assert_eq!(
        (reason(&totals, "notes"), reason(&totals, "tags"), reason(&totals, "it cannot be read")),
        (2, 1, 1),
        "{totals}"
    );
    let kept = "SELECT count(*) FROM gonogo.import_rejects WHERE length(raw) > 1000000";
    assert_eq!(ground.number(kept).await, 0, "a record is kept, and not ten megabytes of it");
}

#[tokio::test]
async fn addresses_in_other_case_and_other_unicode_forms_are_the_same() {
    let mut people = good(6);
    for (place, email) in [
        "Jos\u{e9}@example.org",
        "jose\u{301}@EXAMPLE.org",
        "  solo@example.org ",
        "\u{ff53}olo@example.org",
        "MAX@example.org",
        "max@example.org\u{a0}",
    ]
    .iter()
    .enumerate()
    {
        people[place].json["canonical_email"] = (*email).into();
    }
    let (_server, ground) = ground(people).await;
    let totals = imported(&ground).await;
    // Two pairs share an address. A full-width letter is another letter: what looks alike is not merged by itself.
    assert_eq!((totals["conflicts"].as_u64(), totals["imported"].as_u64()), (Some(4), Some(2)), "{totals}");
    let shared =
        "SELECT count(*) FROM gonogo.import_conflicts WHERE reason = 'several profiles have this address'";
    assert_eq!(ground.number(shared).await, 4);
}

#[tokio::test]
async fn totals_that_lie_and_lists_that_never_end() {
    for lie in [0_usize, 7, 1_000_000] {
        let people = good(120);
        let json: Vec<Value> = people.iter().map(|there| there.json.clone()).collect();
        let (server, ground) = ground(people).await;
        server.set(|inner| {
            inner.script = Some(Box::new(move |asked: &Asked, _| {
                if asked.modified_since.is_some() {
                    return Some(plain(StatusCode::OK, JSON, page(&[], 0, 0, false).to_string()));
                }
                let shown: Vec<Value> = json.iter().skip(asked.offset).take(asked.limit).cloned().collect();
                let more = asked.offset + shown.len() < json.len();
                Some(plain(StatusCode::OK, JSON, page(&shown, lie, asked.offset, more).to_string()))
            }));
        });
        let (code, said) = ground.json(&["import"]).await;
        assert_eq!((code, said["totals"]["imported"].as_u64()), (Some(0), Some(120)), "total {lie}: {said}");
        let remark = said["summary"].as_str().unwrap().contains("listed 120 however often");
        assert_eq!(remark, lie == 1_000_000, "{said}");
    }
    // The same page for every offset, and has_more for ever.
    let people = good(50);
    let json: Vec<Value> = people.iter().map(|there| there.json.clone()).collect();
    let (server, ground) = ground(people).await;
    server.set(|inner| {
        inner.script = Some(Box::new(move |asked: &Asked, _| {
            Some(plain(
                StatusCode::OK,
                JSON,
                page(&json[..asked.limit.min(50)], 9_999, asked.offset, true).to_string(),
            ))
        }));
    });
    let (code, said) = ground.json(&["import"]).await;
    assert_eq!((code, said["totals"]["imported"].as_u64()), (Some(0), Some(50)), "{said}");
    // The list, the sweep and the list again: each ends at the second page without anybody new, with fifteen on their way at most.
    assert!(server.served() < 1 + 3 * (3 + 15), "{} answers", server.served());
    // New people for ever, whatever was said of their number.
    let (server, ground) = ground_of_endless().await;
    let (code, said) = ground.json(&["import"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said["error"].as_str().unwrap().contains("its list has not ended"), "{said}");
    assert_eq!(ground.number("SELECT count(*) FROM contacts").await, 0);
    drop(server);
}

async fn ground_of_endless() -> (Pulse, Ground) {
    let server = Pulse::start(Vec::new(), 1).await;
    let ground = Ground::new(&[], &server.url, "page_size = 1000\n").await;
    server.set(|inner| {
        inner.script = Some(Box::new(|asked: &Asked, _| {
            let person =
                |place: usize| json!({"id": format!("e{place}"), "display_name": format!("E {place}")});
            let shown: Vec<Value> = (asked.offset..asked.offset + asked.limit).map(person).collect();
            Some(plain(StatusCode::OK, JSON, page(&shown, 10, asked.offset, true).to_string()))
        }));
    });
    (server, ground)
}

#[tokio::test]
async fn what_is_no_page_at_all_ends_with_what_to_do_and_one_that_passes_is_survived() {
    for (name, body) in [
        ("a page", "<html><body>Welcome</body></html>".to_owned()),
        ("an error that says 200", r#"{"error": "internal", "message": "and yet 200"}"#.to_owned()),
        ("half a page", r#"{"data": [{"id": "x", "disp"#.to_owned()),
        ("nothing", String::new()),
        ("a list", "[]".to_owned()),
    ] {
        let (server, ground) = ground(good(60)).await;
        let garbage = body.clone();
        server.set(|inner| {
            inner.script = Some(Box::new(move |asked: &Asked, _| {
                (asked.limit > 1).then(|| plain(StatusCode::OK, JSON, garbage.clone()))
            }));
        });
        // It narrows down to single profiles, and those can be read: all of them come in.
        let totals = imported(&ground).await;
        assert_eq!(totals["imported"].as_u64(), Some(60), "{name}: {totals}");
        server.set(|inner| {
            inner.script = Some(Box::new(move |_, _| Some(plain(StatusCode::OK, "text/html", body.clone()))));
        });
        let (code, said) = ground.json(&["import"]).await;
        assert_eq!(code, Some(1), "{name}: {said}");
        let words = said["error"].as_str().unwrap();
        assert!(words.contains("cannot be read") && words.contains("base URL"), "{name}: {words}");
    }
}

#[tokio::test]
async fn one_profile_that_breaks_its_page_costs_nobody_else() {
    let people = good(60);
    let (server, ground) = ground(people).await;
    server.set(|inner| {
        inner.script = Some(Box::new(|asked: &Asked, _| {
            let inside =
                asked.modified_since.is_none() && (asked.offset..asked.offset + asked.limit).contains(&37);
            inside.then(|| plain(StatusCode::OK, JSON, b"\xff\xfe\x00\x80".to_vec()))
        }));
    });
    let totals = imported(&ground).await;
    assert_eq!(
        (totals["imported"].as_u64(), totals["quarantined"].as_u64()),
        (Some(59), Some(1)),
        "{totals}"
    );
}
