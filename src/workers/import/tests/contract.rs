//! The contract between Pulse and the schema: found by the database, told without a person's data, and nothing left behind.

use super::*;
use crate::workers::import::contract::{Contract, Counted, check};

async fn tried(rig: &mut Rig) -> Contract {
    let before = rig.stamps().await;
    let contract = check(&rig.kit).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(rig.stamps().await, before, "everything was rolled back");
    contract
}

#[tokio::test]
async fn a_schema_that_fits_takes_the_sample() {
    let mut rig = Rig::new("smooth", 0.001, 300, 700, "").await;
    let contract = tried(&mut rig).await;
    assert_eq!((contract.profiles, contract.total, contract.refused), (700, Some(700), 0));
    assert!(contract.findings.is_empty() && contract.holds(), "{contract:#?}");
    assert!(contract.interactions > 0 && contract.words().contains("takes them all"), "{}", contract.words());
    rig.leave().await;
}

#[tokio::test]
async fn a_check_that_lacks_a_value_of_pulse_is_named_with_its_count() {
    let mut rig = Rig::new("smooth", 0.001, 300, 900, "").await;
    sqlx::raw_sql(
        "ALTER TABLE contacts DROP CONSTRAINT contacts_preferred_channel_check; \
         ALTER TABLE contacts ADD CONSTRAINT contacts_preferred_channel_check \
           CHECK (preferred_channel IN ('email', 'phone', 'meeting', 'sms')); \
         ALTER TABLE pulse_contact_interactions ADD CONSTRAINT too_short CHECK (duration_minutes < 1)",
    )
    .execute(&mut rig.database)
    .await
    .unwrap();
    let slack = rig.profiles().await.iter().filter(|profile| profile["preferred_channel"] == "slack").count();
    let contract = tried(&mut rig).await;
    let found = contract.findings.iter().find(|finding| finding.field == "preferred_channel").unwrap();
    assert_eq!((found.count, found.tried, found.sqlstate.as_deref()), (slack as u64, 900, Some("23514")));
    let words = found.words();
    let said = format!(
        "preferred_channel: {slack} of 900 profiles say \"slack\", which contacts_preferred_channel_check refuses"
    );
    assert!(words.starts_with(&said), "{words}");
    assert_eq!(contract.refused, slack as u64);
    let history = contract.findings.iter().find(|finding| finding.of == Counted::Interactions).unwrap();
    assert_eq!((history.field.as_str(), history.rule.as_str()), ("duration_minutes", "too_short"));
    assert!(!contract.holds());
    rig.leave().await;
}

#[tokio::test]
async fn bad_values_are_told_by_rule_and_id_and_never_by_what_they_say() {
    let mut rig = Rig::new("bad-data", 0.001, 600, 970, "quarantine_share = 0.05\n").await;
    let contract = tried(&mut rig).await;
    let rules: Vec<(&str, &str)> =
        contract.findings.iter().map(|finding| (finding.field.as_str(), finding.rule.as_str())).collect();
    for (field, rule) in [
        ("relationship_score", "contacts_relationship_score_check"),
        ("total_interactions", "contacts_total_interactions_check"),
        ("communication_frequency", "contacts_communication_frequency_check"),
        ("canonical_email", "column email"),
        ("last_interaction_date", "column last_interaction_date"),
        ("notes", "text"),
    ] {
        assert!(rules.iter().any(|(own, said)| *own == field && said.contains(rule)), "{field}: {rules:?}");
    }
    let words = contract.words();
    assert!(!words.contains('@') && !words.contains("the day before"), "{words}");
    assert!(words.contains("\"140\"") && contract.holds(), "{words}");
    // It foretells what the import does.
    let totals = rig.done(JobKind::Import).await;
    assert_eq!(contract.refused, totals.quarantined, "{contract:#?}");
    rig.leave().await;
}

#[tokio::test]
async fn before_the_migrations_a_migrated_clone_is_asked() {
    let rig = Rig::new("smooth", 0.001, 10, 400, "").await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("migrations")).unwrap();
    for (name, text) in bundled::MIGRATIONS {
        std::fs::write(dir.path().join("migrations").join(name), text).unwrap();
    }
    rig.scratch.create_database("before").await.unwrap();
    rig.scratch.load_base_schema("before").await.unwrap();
    let secrets = Secrets::of([
        ("GONOGO_TEST_PULSE".to_owned(), SecretString::from(rig.world.credentials().pulse)),
        ("GONOGO_TEST_DATABASE".to_owned(), rig.scratch.url("before")),
    ]);
    let kit = Kit::new(rig.kit.config().clone(), dir.path(), secrets, rig.kit.clock().clone());
    let contract = check(&kit).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(contract.place.contains("clone") && contract.holds(), "{contract:#?}");
    assert_eq!(contract.profiles, 400);
    let mut before = rig.scratch.connect("before").await.unwrap();
    let columns: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'contacts' AND column_name = 'pulse_profile_id'",
    )
    .fetch_one(&mut before)
    .await
    .unwrap();
    assert_eq!(columns, 0, "the database itself is as it was");
    rig.leave().await;
}
