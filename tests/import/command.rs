//! `gonogo import` and `gonogo sync` as their users call them.

use std::process::Stdio;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::chaos::agrees;
use crate::ground::Ground;
use crate::model::first_import;
use crate::people::{crm, pulse};
use crate::pulse::{Pulse, TOKEN, plain};

const SEED: u64 = 7;

fn figures(said: &Value) -> [u64; 5] {
    ["imported", "updated", "unchanged", "quarantined", "conflicts"]
        .map(|name| said["totals"][name].as_u64().unwrap())
}

#[tokio::test]
async fn a_dry_run_says_what_the_import_then_does_and_writes_nothing() {
    let here = crm(SEED, 400);
    let server = Pulse::start(pulse(SEED, 700, 400), SEED).await;
    let ground = Ground::new(&here, &server.url, "page_size = 100\n").await;
    let expected = first_import(&here, &server.inner.lock().unwrap().people);
    let before = ground.stamps().await;

    let (code, foreseen) = ground.json(&["import", "--dry-run"]).await;
    assert_eq!((code, &foreseen["dry_run"]), (Some(0), &Value::from(true)), "{foreseen}");
    assert_eq!(ground.stamps().await, before);
    let made = "SELECT count(*) FROM pg_namespace WHERE nspname = 'gonogo'";
    assert_eq!(ground.number(made).await, 0, "not even its own tables");

    let (code, done) = ground.json(&["import"]).await;
    assert_eq!(code, Some(0), "{done}");
    assert_eq!(figures(&done), figures(&foreseen));
    let conflicts = expected.conflicts.len() as u64;
    assert_eq!(figures(&done), [expected.new, expected.updated, 0, expected.aside.len() as u64, conflicts]);
    agrees(&ground, &expected).await;
    let (_, again) = ground.json(&["import", "--dry-run"]).await;
    assert_eq!(
        figures(&again),
        [0, 0, expected.new + expected.updated, expected.aside.len() as u64, conflicts]
    );
}

#[tokio::test]
async fn a_dry_run_foresees_what_the_database_would_refuse_and_leaves_no_trace() {
    let here = crm(SEED, 200);
    let server = Pulse::start(pulse(SEED, 400, 200), SEED).await;
    let ground = Ground::new(&here, &server.url, "page_size = 100\nquarantine_share = 0.5\n").await;
    // A check and a length that the import does not know: of new rows and of changed ones.
    ground
        .sql(
            "ALTER TABLE contacts ADD CONSTRAINT no_fives CHECK (relationship_score IS NULL OR relationship_score % 50 <> 5); \
             ALTER TABLE contacts ALTER COLUMN relationship_trend TYPE varchar(6)",
        )
        .await;
    let content = "SELECT md5(coalesce(string_agg(c::text, ',' ORDER BY id), '')) FROM contacts c";
    let mapped =
        "SELECT md5(coalesce(string_agg(m::text, ',' ORDER BY pulse_id), '')) FROM entity_mappings m";
    let traces = async || {
        let mut session = ground.session().await;
        let mut all: Vec<String> = Vec::new();
        for sql in [content, mapped] {
            all.push(sqlx::query_scalar(sql).fetch_one(&mut session).await.unwrap());
        }
        (all, ground.stamps().await)
    };
    let before = traces().await;
    let (code, foreseen) = ground.json(&["import", "--dry-run"]).await;
    assert_eq!(code, Some(0), "{foreseen}");
    assert!(traces().await == before, "contents, mappings, and every row's version");
    assert_eq!(ground.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'gonogo'").await, 0);
    let (code, done) = ground.json(&["import"]).await;
    assert_eq!(code, Some(0), "{done}");
    assert_eq!(figures(&done), figures(&foreseen), "\n{foreseen}\n{done}");
    let said = |value: &Value| {
        let mut pairs: Vec<String> = value.as_array().unwrap().iter().map(Value::to_string).collect();
        pairs.sort_unstable();
        pairs
    };
    for list in ["reasons", "doubts"] {
        assert_eq!(said(&done["totals"][list]), said(&foreseen["totals"][list]), "{list}");
    }
    let refused = foreseen["totals"]["reasons"].to_string();
    assert!(refused.contains("no_fives") && refused.contains("the database refused it\""), "{refused}");
}

#[tokio::test]
async fn what_was_set_aside_is_shown_taken_out_and_tried_again_alone() {
    let here = crm(SEED, 100);
    let server = Pulse::start(pulse(SEED, 300, 100), SEED).await;
    let ground = Ground::new(&here, &server.url, "page_size = 100\nquarantine_share = 0.2\n").await;
    let (code, said) = ground.run(&["import", "quarantine"]).await;
    assert_eq!(code, Some(1), "before an import there is nothing to show: {said}");
    assert!(said.contains("run the import first"), "{said}");

    let rule = "ALTER TABLE contacts ADD CONSTRAINT no_fives CHECK (relationship_score IS NULL OR relationship_score % 50 <> 5)";
    ground.sql(rule).await;
    let (code, said) = ground.json(&["import"]).await;
    assert_eq!(code, Some(0), "{said}");
    let aside = said["totals"]["quarantined"].as_u64().unwrap();
    let fives = said["totals"]["reasons"].as_array().unwrap().iter();
    let fives = fives
        .filter(|reason| reason[0].as_str().unwrap().contains("no_fives"))
        .map(|reason| reason[1].as_u64().unwrap());
    let fives: u64 = fives.sum();
    assert!(fives > 2 && aside > fives, "{said}");

    let (_, text) = ground.run(&["import", "quarantine"]).await;
    assert!(text.contains("the database refused it: no_fives") && text.contains("such as p"), "{text}");
    let (_, csv) = ground.run(&["import", "quarantine", "--csv"]).await;
    assert_eq!(
        csv.matches("no_fives").count() as u64,
        2 * fives,
        "the reason and the database's words: {csv}"
    );
    let (_, json) = ground.json(&["import", "quarantine"]).await;
    let records = json["quarantined"].as_array().unwrap();
    assert_eq!(records.len() as u64, aside);
    assert!(records.iter().all(|record| record["raw"].as_str().unwrap().contains("\"id\"")));

    let served = server.served();
    ground.sql("ALTER TABLE contacts DROP CONSTRAINT no_fives").await;
    let (code, said) = ground.json(&["import", "retry"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (said["totals"]["fetched"].as_u64(), said["totals"]["quarantined"].as_u64()),
        (Some(aside), Some(aside - fives))
    );
    assert_eq!(server.served(), served, "Pulse was not asked");
    let expected = first_import(&here, &server.inner.lock().unwrap().people);
    agrees(&ground, &expected).await;
}

#[tokio::test]
async fn above_the_share_it_stops_asks_and_goes_on_when_it_is_allowed() {
    let here = crm(SEED, 100);
    let server = Pulse::start(pulse(SEED, 400, 100), SEED).await;
    let ground = Ground::new(&here, &server.url, "page_size = 50\nquarantine_share = 0.001\n").await;
    let (code, said) = ground.run(&["import"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stopped, and asks") && said.contains("--allow-aside"), "{said}");
    assert_eq!(ground.number("SELECT count(*) FROM entity_mappings").await, 0);
    let (staged, served) = (ground.number("SELECT staged FROM gonogo.import_state").await, server.served());
    assert!(staged > 0);
    let (code, said) = ground.json(&["import", "--allow-aside", "10"]).await;
    assert_eq!(code, Some(0), "{said}");
    // It went on where it was: what was staged was not read again.
    assert!(server.served() - served <= 8 + 4, "{served} answers before, {} after", server.served());
    let expected = first_import(&here, &server.inner.lock().unwrap().people);
    agrees(&ground, &expected).await;
}

#[tokio::test]
async fn a_sync_takes_over_what_changed_and_nothing_else() {
    let here = crm(SEED, 100);
    let server = Pulse::start(pulse(SEED, 200, 100), SEED).await;
    let ground = Ground::new(&here, &server.url, "page_size = 50\n").await;
    let (code, said) = ground.run(&["sync"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("run the import first"), "{said}");
    assert_eq!(ground.run(&["import"]).await.0, Some(0));
    let changed = {
        let mut inner = server.inner.lock().unwrap();
        let mapped =
            inner.people.iter().position(|there| there.bad.is_none() && there.key.is_none()).unwrap();
        let there = &mut inner.people[mapped];
        there.json["display_name"] = "Changed Since".into();
        there.json["updated_at"] = chrono::Utc::now().to_rfc3339().into();
        there.json["id"].as_str().unwrap().to_owned()
    };
    // A person changes the same contact here: the rules decide, and both sides are counted.
    let edit = format!(
        "UPDATE contacts SET name = 'Edited', donor_stage = 'Lapsed', updated_at = now() WHERE pulse_profile_id = '{changed}'"
    );
    ground.sql(&edit).await;
    let (code, said) = ground.json(&["sync"]).await;
    assert_eq!((code, figures(&said)[..2].to_vec()), (Some(0), vec![0, 1]), "{said}");
    assert_eq!(said["totals"]["both"].as_u64(), Some(1), "{said}");
    let ruled = format!(
        "SELECT count(*) FROM contacts WHERE pulse_profile_id = '{changed}' AND name = 'Changed Since' AND donor_stage = 'Lapsed'"
    );
    assert_eq!(ground.number(&ruled).await, 1);
}

#[tokio::test]
async fn a_token_that_ran_out_is_waited_for_and_a_fresh_one_taken_from_the_file() {
    let here = crm(SEED, 50);
    let server = Pulse::start(pulse(SEED, 200, 50), SEED).await;
    let ground = Ground::new(&here, &server.url, "page_size = 20\n").await;
    // It runs out in the middle: from there on this one is refused.
    server.set(|inner| {
        inner.script = Some(Box::new(|asked, _| {
            let body = r#"{"error": "unauthorized", "message": "the token has expired"}"#;
            (asked.offset >= 80).then(|| plain(StatusCode::UNAUTHORIZED, "application/json", body))
        }));
    });
    let mut child = ground.gonogo(&["--json", "import"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let waits = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("put a fresh token into") {
                return line;
            }
        }
        panic!("it never asked for a token");
    };
    let said = tokio::time::timeout(Duration::from_mins(1), waits).await.unwrap();
    assert!(said.contains("GONOGO_TEST_PULSE") && !said.contains(TOKEN), "{said}");
    server.set(|inner| {
        inner.script = None;
        inner.token = "a-fresh-token".into();
    });
    ground.token("a-fresh-token");
    let rest = async { while lines.next_line().await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_mins(1), rest).await.unwrap();
    assert!(child.wait().await.unwrap().success());
    let expected = first_import(&here, &server.inner.lock().unwrap().people);
    agrees(&ground, &expected).await;
}
