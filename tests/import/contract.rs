//! `gonogo import contract` as its users call it.

use serde_json::Value;

use crate::ground::Ground;
use crate::people::{crm, pulse};
use crate::pulse::Pulse;

const SEED: u64 = 11;

#[tokio::test]
async fn the_contract_is_told_in_words_and_as_json_holds_or_not_and_changes_nothing() {
    let here = crm(SEED, 60);
    let mut people = pulse(SEED, 300, 60);
    people.retain(|there| there.bad.is_none());
    let all = people.len();
    let server = Pulse::start(people, SEED).await;
    let ground = Ground::new(&here, &server.url, "quarantine_share = 0.05\n").await;
    let before = ground.stamps().await;
    let (code, said) = ground.run(&["import", "contract"]).await;
    assert_eq!(code, Some(0), "{said}");
    let tried = format!("{all} of {all} profiles and 5 interactions tried on database");
    assert!(said.contains(&tried) && said.contains("rolled back"), "{said}");
    assert!(
        said.contains("0 profiles would be set aside") && said.contains("the plan can live with that"),
        "{said}"
    );

    // The migrated schema is stricter than what Pulse sends: a word of a closed set, and what no interaction may be.
    ground
        .sql(
            "ALTER TABLE contacts ADD CONSTRAINT no_slack CHECK (preferred_channel <> 'slack'); \
             ALTER TABLE pulse_contact_interactions ADD CONSTRAINT no_calls CHECK (interaction_type <> 'call')",
        )
        .await;
    let slack = {
        let inner = server.inner.lock().unwrap();
        inner.people.iter().filter(|there| there.json["preferred_channel"] == "slack").count()
    };
    assert!(slack * 20 > all, "more than the plan allows: {slack} of {all}");
    let (code, said) = ground.run(&["import", "contract"]).await;
    assert_eq!(code, Some(1), "{said}");
    let finding = format!(
        "preferred_channel: {slack} of {all} profiles say \"slack\", which no_slack refuses (such as p"
    );
    assert!(said.contains(&finding) && said.contains("NO-GO"), "{said}");
    assert!(
        said.contains("interaction_type: 5 of 5 interactions say \"call\", which no_calls refuses"),
        "{said}"
    );
    assert!(!said.contains("@example.org") && !said.contains("rene"), "no address: {said}");

    let (code, said) = ground.json(&["import", "contract"]).await;
    assert_eq!((code, &said["holds"]), (Some(1), &Value::from(false)), "{said}");
    let contract = &said["contract"];
    assert_eq!(contract["profiles"].as_u64(), Some(all as u64), "{said}");
    assert_eq!(contract["refused"].as_u64(), Some(slack as u64), "{said}");
    let found = contract["findings"].as_array().unwrap();
    let of = |rule: &str| {
        found.iter().find(|finding| finding["rule"] == rule).unwrap_or_else(|| panic!("{rule}: {said}"))
    };
    assert_eq!(
        (&of("no_slack")["sqlstate"], &of("no_slack")["value"]),
        (&"23514".into(), &"\"slack\"".into())
    );
    assert_eq!((&of("no_calls")["of"], of("no_calls")["count"].as_u64()), (&"interactions".into(), Some(5)));

    assert!(ground.stamps().await == before, "nothing of it is left");
    assert_eq!(ground.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'gonogo'").await, 0);
    assert_eq!(ground.number("SELECT count(*) FROM pulse_contact_interactions").await, 0);
}

#[tokio::test]
async fn without_pulse_or_without_a_token_the_contract_says_what_to_do() {
    let server = Pulse::start(pulse(SEED, 10, 0), SEED).await;
    let ground = Ground::new(&[], &server.url, "attempts = 1\n").await;
    ground.token("an-old-token");
    let (code, said) = ground.json(&["import", "contract"]).await;
    assert_eq!(code, Some(1));
    assert!(said["error"].as_str().unwrap().contains("set a fresh token"), "{said}");
    drop(server);
    let (code, said) = ground.run(&["import", "contract"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no connection"), "{said}");
}
