//! What the import makes of contacts, against a model computed apart from it; and that a second run writes nothing.

use std::collections::HashMap;

use sqlx::Row;

use super::*;

#[derive(Debug, Clone, Default, PartialEq)]
struct Contact {
    name: String,
    email: Option<String>,
    phone: Option<String>,
    notes: Option<String>,
    profile: Option<String>,
    score: Option<i64>,
    channel: Option<String>,
    tags: Vec<String>,
}

async fn table(rig: &mut Rig, name: &str) -> HashMap<String, Contact> {
    let sql = format!("SELECT *, id::text AS key, relationship_score::bigint AS score FROM {name}");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut rig.database).await.unwrap();
    let contact = |row: &sqlx::postgres::PgRow| Contact {
        name: row.get("name"),
        email: row.get("email"),
        phone: row.get("phone"),
        notes: row.get("notes"),
        profile: row.get("pulse_profile_id"),
        score: row.get("score"),
        channel: row.get("preferred_channel"),
        tags: row.get::<Option<Vec<String>>, _>("pulse_tags").unwrap_or_default(),
    };
    rows.iter().map(|row| (row.get("key"), contact(row))).collect()
}

fn text(profile: &Value, field: &str) -> Option<String> {
    profile[field].as_str().map(str::to_owned)
}

/// The rules of the plan, one profile at a time: Pulse wins, tags are united, notes are appended, doubt is a conflict.
fn model(before: &HashMap<String, Contact>, profiles: &[Value]) -> (HashMap<String, Contact>, u64, u64) {
    let mut after = before.clone();
    let mut by_address: HashMap<String, Vec<String>> = HashMap::new();
    for (id, contact) in before {
        if let Some(email) = contact.email.as_deref().filter(|email| !email.is_empty()) {
            by_address.entry(email.to_lowercase()).or_default().push(id.clone());
        }
    }
    let mut known = HashMap::<String, u32>::new();
    for profile in profiles {
        *known.entry(text(profile, "canonical_email").unwrap().to_lowercase()).or_default() += 1;
    }
    let (mut new, mut conflicts) = (0, 0);
    for profile in profiles {
        let email = text(profile, "canonical_email").unwrap();
        let here = by_address.get(&email.to_lowercase()).map_or(&[][..], Vec::as_slice);
        let mut tags: Vec<String> =
            profile["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().into()).collect();
        tags.sort();
        let notes = text(profile, "notes");
        let fresh = Contact {
            name: text(profile, "display_name").unwrap(),
            email: Some(email.clone()),
            phone: text(profile, "phone_number"),
            notes: notes.clone(),
            profile: text(profile, "id"),
            score: profile["relationship_score"].as_i64(),
            channel: text(profile, "preferred_channel"),
            tags,
        };
        if known[&email.to_lowercase()] > 1 || here.len() > 1 {
            conflicts += 1;
        } else if let [id] = here {
            let was = &before[id];
            let notes = match (was.notes.clone().filter(|notes| !notes.is_empty()), notes) {
                (Some(was), Some(more)) => Some(format!("{was}\n\n--- Pulse ---\n{more}")),
                (None, Some(more)) => Some(more),
                (_, None) => was.notes.clone(),
            };
            let phone = fresh.phone.clone().or_else(|| was.phone.clone());
            after.insert(id.clone(), Contact { phone, notes, ..fresh });
        } else {
            new += 1;
            after.insert(fresh.profile.clone().unwrap(), fresh);
        }
    }
    (after, new, conflicts)
}

/// The same people, though a new contact's key is known to nobody before.
async fn agrees(rig: &mut Rig, expected: &HashMap<String, Contact>) {
    let found = table(rig, "contacts").await;
    assert_eq!(found.len(), expected.len(), "no contact twice, none missing");
    for (key, contact) in found {
        let wanted = expected.get(&key).or_else(|| expected.get(contact.profile.as_ref()?));
        assert_eq!(Some(&contact), wanted, "{key}");
    }
}

#[tokio::test]
async fn every_contact_is_as_the_rules_say_and_a_second_run_writes_nothing() {
    let mut rig = Rig::new("smooth", 0.001, 800, 1_200, "page_size = 100\n").await;
    rig.remember().await;
    let (before, donors) = (table(&mut rig, "before").await, rig.donors().await);
    let (expected, new, conflicts) = model(&before, &rig.profiles().await);
    assert!(new > 300 && conflicts > 3, "the case is worth its name: {new} new, {conflicts} conflicts");

    let totals = rig.done(JobKind::Import).await;
    assert_eq!((totals.total, totals.fetched, sum(&totals)), (1_200, 1_200, 1_200));
    assert_eq!((totals.imported, totals.conflicts, totals.quarantined), (new, conflicts, 0));
    agrees(&mut rig, &expected).await;
    assert_eq!(rig.donors().await, donors, "what donors gave is as it was");
    assert_eq!(rig.number("SELECT count(*) FROM entity_mappings").await, 1_200 - conflicts.cast_signed());
    let journal = "SELECT count(*) FROM gonogo_backup.contact_sync_journal";
    assert_eq!(
        rig.number(journal).await,
        1_200 - conflicts.cast_signed(),
        "every write has its before-image"
    );
    assert_eq!(rig.number("SELECT count(*) FROM gonogo.pulse_staging").await, 0, "nobody's data stay behind");
    let (words, value) = reconciled(&mut rig.database, &rig.kit.pulse().unwrap()).await.unwrap();
    assert_eq!(value, (1_200 - conflicts).to_string(), "{words}");
    // A conflict waits for a person, which is no failure.
    assert_eq!(success(&rig.store.now()), Some((1_200 - conflicts, 0)));

    let stamps = rig.stamps().await;
    let again = rig.done(JobKind::Import).await;
    assert_eq!((again.imported, again.updated, again.unchanged), (0, 0, 1_200 - conflicts));
    assert_eq!(rig.stamps().await, stamps, "not a row was written");

    // What disappears behind the import's back is found.
    let lost =
        "DELETE FROM contacts WHERE id = (SELECT logos_id FROM entity_mappings ORDER BY pulse_id LIMIT 1)";
    sqlx::raw_sql(lost).execute(&mut rig.database).await.unwrap();
    assert!(reconciled(&mut rig.database, &rig.kit.pulse().unwrap()).await.is_err());
    rig.leave().await;
}

#[tokio::test]
async fn changes_on_both_sides_meet_by_the_rules_and_notes_come_once() {
    let mut rig = Rig::new("smooth", 0.001, 400, 600, "page_size = 200\n").await;
    rig.done(JobKind::Import).await;
    // A person edits here, and a week changes every profile there.
    let edit = "UPDATE contacts SET name = 'Edited Here', donor_stage = 'Major Donor', notes = notes || E'\\nand a word of ours', \
                pulse_tags = pulse_tags || '{ours}', updated_at = now() WHERE pulse_profile_id IS NOT NULL";
    sqlx::raw_sql(edit).execute(&mut rig.database).await.unwrap();
    rig.remember().await;
    let donors = rig.donors().await;
    rig.kit.clock().jump_to(rig.kit.clock().now() + chrono::TimeDelta::days(7));
    let totals = rig.done(JobKind::Import).await;
    assert!(totals.updated > 500 && totals.imported == 0, "{totals:?}");
    assert_eq!(rig.donors().await, donors);
    let touched =
        "FROM contacts c JOIN before b USING (id) WHERE c.pulse_last_synced_at > b.pulse_last_synced_at";
    let wrong = format!(
        "SELECT count(*) {touched} AND (c.name = 'Edited Here' OR c.notes IS DISTINCT FROM b.notes OR NOT c.pulse_tags @> '{{ours}}')"
    );
    assert_eq!(
        rig.number(&wrong).await,
        0,
        "Pulse's name, the notes as edited and not appended again, all the tags"
    );
    assert_eq!(rig.number(&format!("SELECT count(*) {touched}")).await, totals.updated.cast_signed());
    rig.leave().await;
}
