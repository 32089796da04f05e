//! Killed at any moment, the next run goes on at the step.

use gonogo::workers::migrate::up;

use crate::ground::{Ground, Recorder, brisk, run, set};

const SMALL: &str = "-- gonogo: no-transaction
CREATE TABLE t (id int, a int);
INSERT INTO t SELECT n, n FROM generate_series(1, 100) n;
CREATE INDEX CONCURRENTLY i ON t (a);
UPDATE t SET a = a + 1;
DROP INDEX CONCURRENTLY i;
CREATE UNIQUE INDEX CONCURRENTLY u ON t (id);
";

#[tokio::test]
async fn killed_before_each_step_it_ends_the_same() {
    for step in 0..6 {
        let ground = Ground::empty().await;
        let db = ground.db().await;
        let files = set(&[("1_a.up.sql", SMALL)]);
        let hanging = Recorder::hanging_at(step);
        let options = brisk();
        tokio::select! {
            ended = up(&db, &files, None, &options, &hanging) => panic!("it hangs: {ended:?}"),
            () = hanging.hangs() => {}
        }
        let recorder = Recorder::default();
        up(&db, &files, None, &brisk(), &recorder).await.unwrap();
        let step = step as usize;
        assert_eq!(recorder.line(), format!("{}{}", "s".repeat(step), "d".repeat(6 - step)));
        assert_eq!(
            ground.text("SELECT sum(a) || ' ' || count(*) FROM t").await,
            "5150 100",
            "each write once"
        );
        assert_eq!(
            ground.text("SELECT to_regclass('i') IS NULL AND to_regclass('u') IS NOT NULL").await,
            "true"
        );
    }
}

#[tokio::test]
async fn killed_within_a_build_it_drops_the_rest_and_builds_anew() {
    let ground = Ground::with_contacts(20).await;
    let db = ground.db().await;
    let files = set(&[("1_a.up.sql", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON contacts (city);")]);
    let mut writer = ground.session().await;
    run(&mut writer, "BEGIN; UPDATE contacts SET notes = notes").await;
    let recorder = Recorder::default();
    let options = brisk();
    tokio::select! {
        ended = up(&db, &files, None, &options, &recorder) => panic!("it waits for the writer: {ended:?}"),
        () = ground.until("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('i') AND NOT indisvalid)") => {}
    }
    // The client is gone; its backend notices, and the lock goes with it.
    run(&mut writer, "COMMIT").await;
    let recorder = Recorder::default();
    up(&db, &files, None, &brisk(), &recorder).await.unwrap();
    assert_eq!(ground.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").await, "true");
    assert_eq!(ground.text("SELECT state FROM gonogo.migrations").await, "verified");
}

#[tokio::test]
async fn a_connection_that_is_cut_fails_the_step_and_loses_nothing() {
    let ground = Ground::with_contacts(20).await;
    let db = ground.db().await;
    let files = set(&[(
        "1_a.up.sql",
        "-- gonogo: no-transaction\nCREATE TABLE x (id int);\nSELECT pg_sleep(60);\nCREATE TABLE y (id int);",
    )]);
    let recorder = Recorder::default();
    let cut = async {
        ground.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'gonogo migrate' AND query LIKE 'SELECT pg_sleep%')").await;
        ground.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gonogo migrate'").await;
    };
    let options = brisk();
    let (ended, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), cut);
    let failure = ended.unwrap_err();
    assert!(failure.what.contains("57P01") && failure.state.contains("connection is gone"), "{failure}");
    assert_eq!(recorder.line(), "dFn");
    assert_eq!(
        ground.text("SELECT string_agg(title || ' ' || state, ', ') FROM gonogo.steps").await,
        "CREATE TABLE x done"
    );
}
