//! Twenty-five kills at drawn points and a fault in every fifth answer, while profiles change and the list moves under the
//! reader's feet; afterwards every contact is what the model says, to the last one.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;

use crate::ground::Ground;
use crate::model::{Expected, first_import};
use crate::people::{Dice, crm, pulse};
use crate::pulse::Pulse;

const KILLS: u32 = 25;
const CRM: u64 = 1_500;
const PROFILES: u64 = 2_400;

/// The seed of this run; another one by the variable, to repeat a run that failed.
fn seed() -> u64 {
    std::env::var("GONOGO_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_003)
}

/// Compares field by field, and names the first contact that differs.
pub(crate) async fn agrees(ground: &Ground, expected: &Expected) {
    let found = ground.contacts().await;
    let missing: Vec<&String> =
        expected.contacts.keys().filter(|key| !found.contains_key(*key)).take(5).collect();
    let surplus: Vec<&String> =
        found.keys().filter(|key| !expected.contacts.contains_key(*key)).take(5).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, too many {surplus:?}");
    for (key, wanted) in &expected.contacts {
        for (field, value) in wanted.as_object().unwrap() {
            let is = &found[key][field];
            // A numeric says how many digits it has.
            let same = is == value
                || matches!((is, value), (Value::String(is), Value::String(value))
                    if field == "total_lifetime_giving" && is.parse::<f64>().ok() == value.parse::<f64>().ok());
            assert!(same, "{key}.{field} is {is}, and should be {value}");
        }
    }
    let twice = "SELECT count(*) FROM (SELECT pulse_profile_id FROM contacts WHERE pulse_profile_id IS NOT NULL \
                 GROUP BY 1 HAVING count(*) > 1) twice";
    assert_eq!(ground.number(twice).await, 0);
    let mapped = i64::try_from(expected.new + expected.updated).unwrap();
    assert_eq!(ground.number("SELECT count(*) FROM entity_mappings").await, mapped);
    let noted = "SELECT count(*) FROM gonogo_backup.contact_sync_journal";
    assert_eq!(
        ground.number(noted).await,
        mapped,
        "every contact that was written has its image from before"
    );
    let images = "SELECT count(*) FROM contacts c JOIN gonogo_backup.contact_sync_journal j ON j.contact_id = c.id \
                  WHERE NOT to_jsonb(c) @> (j.written - ARRAY['created_at', 'updated_at'])";
    assert_eq!(ground.number(images).await, 0, "and what was written is noted as it was");
}

/// Where a process is killed.
#[derive(Debug)]
enum Point {
    /// After so many more answers of Pulse.
    Served(u64),
    /// After so many more ranges were merged.
    Merged(i64),
}

/// The import's phase, and how many ranges are merged.
async fn progress(watch: &mut PgConnection) -> (String, i64) {
    let begun: bool = sqlx::query_scalar("SELECT to_regclass('gonogo.import_batches') IS NOT NULL")
        .fetch_one(&mut *watch)
        .await
        .unwrap();
    if !begun {
        return (String::new(), 0);
    }
    let sql = "SELECT coalesce((SELECT phase FROM gonogo.import_state WHERE kind = 'import'), ''), \
               (SELECT count(*) FROM gonogo.import_batches)";
    sqlx::query_as(sql).fetch_one(watch).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_lied_to_it_ends_as_the_model_says() {
    let seed = seed();
    let here = crm(seed, CRM);
    let server = Pulse::start(pulse(seed, PROFILES, CRM), seed).await;
    server.set(|inner| {
        inner.fault_every = Some(5);
        inner.change_every = Some(9);
    });
    let ground = Ground::new(&here, &server.url, "page_size = 60\nquarantine_share = 0.5\n").await;
    let mut dice = Dice::new(seed, 4_711);
    let mut watch = ground.session().await;
    let mut kills = 0;
    while kills < KILLS {
        let (phase, ranges) = progress(&mut watch).await;
        let served = server.served();
        let point = if phase == "merging" {
            Point::Merged(i64::try_from(dice.below(2)).unwrap())
        } else {
            Point::Served(dice.below(7))
        };
        let mut child = ground.gonogo(&["import"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        let reached = async {
            loop {
                let there = match point {
                    Point::Served(more) => server.served() >= served + more,
                    Point::Merged(more) => progress(&mut watch).await.1 > ranges + more,
                };
                if there {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        };
        tokio::select! {
            () = reached => {
                // A little more or less, so that the kill falls into any part of the work.
                tokio::time::sleep(Duration::from_micros(dice.below(40_000))).await;
                if child.try_wait().unwrap().is_none() {
                    child.kill().await.unwrap();
                    kills += 1;
                }
            }
            // It was done before its point: the next one imports all of it again, and has to change nothing.
            ended = child.wait() => assert!(ended.unwrap().success(), "seed {seed}, after {kills} kills"),
        }
    }
    let (code, said) = ground.json(&["import"]).await;
    assert_eq!(code, Some(0), "seed {seed}: {said}");
    let (people, changes, faults) = {
        let inner = server.inner.lock().unwrap();
        (inner.people.clone(), inner.changes, inner.faults)
    };
    println!(
        "seed {seed}: {kills} kills, {faults} faults in {} answers, {changes} changes; {said}",
        server.served()
    );
    assert!(faults >= 10 && changes >= 3, "it was worth its name: {faults} faults, {changes} changes");
    let expected = first_import(&here, &people);
    assert!(
        expected.new > 300
            && expected.updated > 500
            && expected.conflicts.len() > 30
            && expected.aside.len() > 30
    );
    agrees(&ground, &expected).await;
    let conflicts = "SELECT count(*) FROM gonogo.import_conflicts";
    assert_eq!(ground.number(conflicts).await, i64::try_from(expected.conflicts.len()).unwrap());
    for (id, why) in &expected.aside {
        let sql = format!(
            "SELECT count(*) FROM gonogo.import_rejects WHERE pulse_id = '{id}' AND reason LIKE '%{why}%'"
        );
        assert_eq!(ground.number(&sql).await, 1, "{id}: {why}");
    }
    let stamps = ground.stamps().await;
    server.set(|inner| inner.fault_every = None);
    let (code, said) = ground.json(&["import"]).await;
    assert_eq!(
        (code, said["totals"]["imported"].as_u64(), said["totals"]["updated"].as_u64()),
        (Some(0), Some(0), Some(0))
    );
    assert!(ground.stamps().await == stamps, "a run that changes nothing writes nothing");
}
