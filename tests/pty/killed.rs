//! Killed with signal 9 in the middle of its work, started again on the same directory: the work goes on and ends whole.

use crate::cockpit::Cockpit;
use crate::operator::asks;
use crate::stage::Stage;

const SIZE: (u16, u16) = (120, 40);

fn line<'s>(screen: &'s str, text: &str) -> Option<&'s str> {
    screen.lines().find(|line| line.contains(text))
}

/// Begins what is next and must be confirmed.
fn begin(cockpit: &mut Cockpit) {
    cockpit.press_until("\r", "the question", |screen| asks(screen, "Run"));
    cockpit.confirm("Run");
}

fn kill(cockpit: &mut Cockpit, stage: &Stage) {
    let postgres = stage.postgres().expect("it runs");
    cockpit.signal("KILL");
    assert!(!cockpit.end().success());
    Stage::is_gone(postgres);
}

/// How often the only job of that kind was begun.
fn attempts(stage: &Stage, kind: &str) -> u64 {
    let asked = stage.events("job-requested");
    let jobs: Vec<_> = asked.iter().filter(|record| record["kind"]["do"] == kind).collect();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let started = stage.events("job-started");
    let of_it = started.iter().filter(|record| record["job"] == jobs[0]["job"]);
    of_it.filter_map(|record| record["attempt"].as_u64()).max().expect("it was begun")
}

#[tokio::test]
async fn in_the_middle_of_a_migration() {
    let stage = Stage::new(&["--speed", "20", "--contacts", "200"]);
    let mut cockpit = stage.rehearse(SIZE);
    cockpit.follow_to("001 to 003 applied");

    // First while it waits for its lock: nothing is changed yet.
    let mut reader = stage.database().await;
    sqlx::raw_sql("begin; lock table contacts in access share mode").execute(&mut reader).await.unwrap();
    begin(&mut cockpit);
    cockpit.wait_for("it waits for the reader", |screen| {
        line(screen, "▸ 001 ").is_some() && screen.contains("pid ")
    });
    kill(&mut cockpit, &stage);
    drop(reader);
    assert_eq!(attempts(&stage, "migrate-up"), 1);

    // Then in its middle: columns are there, and the first index waits for a reader's old snapshot.
    let mut cockpit = stage.rehearse(SIZE);
    let mut reader = stage.database().await;
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from pg_class")
        .execute(&mut reader)
        .await
        .unwrap();
    cockpit.wait_for("some steps are done, and the next waits", |screen| {
        let far = line(screen, "▸ 001 ").is_some_and(|it| !it.contains(" 0/"));
        far && screen.contains("waiting for old snapshots")
    });
    kill(&mut cockpit, &stage);
    drop(reader);
    assert_eq!(attempts(&stage, "migrate-up"), 2);

    let mut cockpit = stage.rehearse(SIZE);
    for migration in ["001", "002", "003"] {
        let done = format!("✔ {migration} ");
        cockpit.wait_for("a migration is done", |screen| line(screen, &done).is_some());
    }
    cockpit.follow_to("calls GO for Database migration");
    cockpit.wait_for("the checks hold", |screen| line(screen, "✔ Every check of the three").is_some());
    assert_eq!(attempts(&stage, "migrate-up"), 3);
    assert_eq!(stage.count("select count(*) from pg_index where not indisvalid").await, 0);
    let applied = "select count(*) from pg_tables where schemaname = 'public' \
                   and tablename in ('contacts', 'pulse_contact_interactions', 'entity_mappings')";
    assert_eq!(stage.count(applied).await, 3);
    cockpit.press("q");
    assert!(cockpit.end().success());
}

#[tokio::test]
async fn in_the_middle_of_the_import() {
    let stage = Stage::new(&["--speed", "20", "--contacts", "6000"]);
    let mut cockpit = stage.rehearse(SIZE);
    cockpit.follow_to("Contacts imported");

    // Somebody holds every card, until it is known which comes last; then that one alone.
    let mut editor = stage.database().await;
    let hold = "begin; savepoint all_of_them; select from contacts for update";
    sqlx::raw_sql(hold).execute(&mut editor).await.unwrap();
    begin(&mut cockpit);
    cockpit.wait_for_text("matching profiles with contacts");
    let last: sqlx::types::Uuid = loop {
        let last =
            "select contact_id from gonogo.pulse_plan where verdict = 'update' order by n desc limit 1";
        if let Some(last) = sqlx::query_scalar(last).fetch_optional(&mut editor).await.unwrap() {
            break last;
        }
        tokio::task::yield_now().await;
    };
    sqlx::raw_sql("rollback to savepoint all_of_them").execute(&mut editor).await.unwrap();
    sqlx::query("select from contacts where id = $1 for update")
        .bind(last)
        .execute(&mut editor)
        .await
        .unwrap();
    cockpit.wait_for("some sets are in, the last waits", |screen| {
        screen.contains(",000 of 6,000") && !screen.contains("6,000 of 6,000")
    });
    kill(&mut cockpit, &stage);
    drop(editor);
    assert_eq!(attempts(&stage, "import"), 1);

    let mut cockpit = stage.rehearse(SIZE);
    cockpit.wait_for("the bar is full", |screen| screen.contains("6,000 of 6,000  100 %"));
    cockpit.follow_to("What was imported agrees");
    assert_eq!(attempts(&stage, "import"), 2);
    let mapped = "select count(distinct m.logos_id) from entity_mappings m join contacts c on c.id = m.logos_id \
                  where m.entity_type = 'contact' and c.pulse_profile_id = m.pulse_id";
    assert_eq!(stage.count(mapped).await, 6_000);
    let twice = "select count(*) from (select from contacts where email <> '' group by lower(email) \
                 having count(*) > 1) t";
    assert_eq!(stage.count(twice).await, 0);
    cockpit.press("q");
    assert!(cockpit.end().success());
}
