//! Killed in the middle, and started again: nothing that was written is lost, and the work goes on where it was.

use serde_json::Value;
use sqlx::Connection;

use crate::stage::Stage;

/// The attempts of the one job that is of that kind, and how it ended.
fn attempts(journal: &[Value], kind: &str) -> (Vec<u64>, Vec<String>) {
    let of = |event: &str| journal.iter().filter(move |record| record["event"] == event).collect::<Vec<_>>();
    let jobs: Vec<_> = of("job-requested").into_iter().filter(|job| job["kind"]["kind"] == kind).collect();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let mine = |record: &&&Value| record["job"] == jobs[0]["job"];
    let started =
        of("job-started").iter().filter(mine).map(|record| record["attempt"].as_u64().unwrap()).collect();
    let ended = of("job-ended").iter().filter(mine).map(|record| record["outcome"].to_string()).collect();
    (started, ended)
}

/// What was written before is still there, word for word, and the run was opened once.
fn goes_on(before: &[Value], after: &[Value]) {
    assert!(after.len() > before.len());
    for (then, now) in before.iter().zip(after) {
        assert_eq!(then["hash"], now["hash"], "{then} became {now}");
        assert_eq!(then, now);
    }
    assert_eq!(after.iter().filter(|record| record["event"] == "opened").count(), 1);
}

#[tokio::test]
async fn in_a_migration_that_waits_for_a_lock() {
    let stage = Stage::new(&["--speed", "60", "--contacts", "60"]);
    let mut cockpit = stage.rehearse((120, 40));
    cockpit.follow_to("001 to 003 applied");
    let mut report = stage.database().await;
    sqlx::raw_sql("begin; select count(*) from contacts").execute(&mut report).await.unwrap();
    cockpit.press("\r");
    cockpit.confirm("Run");
    cockpit.press("3");
    cockpit.wait_for_text("idle in transaction");
    cockpit.kill();
    let before = stage.journal();
    assert_eq!(attempts(&before, "migrate-up"), (vec![1], vec![]));
    // Its PostgreSQL goes with it, and the transaction that was in the way goes with that one.
    drop(report.close().await);

    let mut cockpit = stage.rehearse((120, 40));
    cockpit.wait_for("the migrations end", |screen| screen.contains("next: dba Every check of the three"));
    cockpit.follow_to("signs nothing is lost");
    let after = stage.journal();
    goes_on(&before, &after);
    let (started, ended) = attempts(&after, "migrate-up");
    assert_eq!(started, [1, 2]);
    assert!(ended.len() == 1 && ended[0].contains("succeeded"), "{ended:?}");
    let invalid = "select count(*) from pg_index where not indisvalid";
    assert_eq!(stage.count(invalid).await, 0);
    assert_eq!(stage.count("select count(*) from contacts").await, 60);
}

#[tokio::test]
async fn in_an_import_of_which_a_page_is_taken() {
    let stage = Stage::new(&["--speed", "60", "--scenario", "pulse-outage", "--contacts", "2200"]);
    let mut cockpit = stage.rehearse((120, 40));
    cockpit.follow_to("Contacts imported");
    cockpit.press("\r");
    cockpit.confirm("Run");
    cockpit.wait_for_text("1,000 of 2,200");
    cockpit.kill();
    let before = stage.journal();
    assert_eq!(attempts(&before, "import"), (vec![1], vec![]));

    let mut cockpit = stage.rehearse((120, 40));
    cockpit.follow_to("10 % switched on");
    cockpit.wait_for_text("2,200 of 2,200  100 %");
    let after = stage.journal();
    goes_on(&before, &after);
    let (started, ended) = attempts(&after, "import");
    assert_eq!(started, [1, 2]);
    assert!(ended.len() == 1 && ended[0].contains("succeeded"), "{ended:?}");
    let twice =
        "select count(*) from (select pulse_id from entity_mappings group by 1 having count(*) > 1) as twice";
    assert_eq!(stage.count(twice).await, 0);
    assert_eq!(stage.count("select count(*) from entity_mappings where entity_type = 'contact'").await, 2200);
}
