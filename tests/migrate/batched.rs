//! A statement in batches: every row once, whatever happens in between; slowed by those who feel it; never past its end.

use std::time::Duration;

use gonogo::run::StepOutcome;
use gonogo::run::steer::Steer;
use gonogo::workers::migrate::{Options, up};

use crate::ground::{Ground, Recorder, brisk, run, set};

const FILL: &str =
    "-- gonogo: batches of 100 by id\nUPDATE t SET touched = touched + 1, a = id WHERE a IS NULL OR a < 0;\n";

async fn ground(rows: u32) -> Ground {
    let ground = Ground::empty().await;
    ground
        .sql(&format!(
            "CREATE TABLE t (id bigint PRIMARY KEY, a bigint, touched int NOT NULL DEFAULT 0);
             INSERT INTO t SELECT n * 3, CASE WHEN n % 4 = 0 THEN 7 ELSE NULL END FROM generate_series(1, {rows}) n; ANALYZE t"
        ))
        .await;
    ground
}

const ONCE: &str = "SELECT count(*) FILTER (WHERE touched = 1) || ' ' || count(*) FILTER (WHERE touched > 1) || ' ' || count(*) FILTER (WHERE a IS NULL) FROM t";

#[tokio::test]
async fn every_row_once_and_the_checkpoint_goes() {
    let ground = ground(4_000).await;
    let recorder = Recorder::default();
    up(&ground.db().await, &set(&[("1_a.up.sql", FILL)]), None, &brisk(), &recorder).await.unwrap();
    let StepOutcome::Done { note: Some(note) } = recorder.outcome(0) else {
        panic!("{:?}", recorder.outcome(0))
    };
    assert!(note.starts_with("3000 rows in "), "{note}");
    assert_eq!(ground.text(ONCE).await, "3000 0 0");
    assert_eq!(ground.text("SELECT count(*) FROM gonogo.batches").await, "0");
    let moments = recorder.moments.lock().unwrap();
    let last = moments.iter().rev().find(|moment| moment.live.batches.is_some()).unwrap();
    assert_eq!((last.done, last.total, last.unit.as_str()), (4_000, Some(4_000), "keys"));
    let sizes: Vec<u32> =
        moments.iter().filter_map(|moment| Some(moment.live.batches.as_ref()?.size)).collect();
    assert!(sizes.iter().max() > sizes.first(), "short batches grow: {sizes:?}");
}

#[tokio::test]
async fn killed_again_and_again_it_goes_on_from_its_checkpoint() {
    let ground = ground(3_000).await;
    let files = set(&[("1_a.up.sql", FILL)]);
    // A pace at which each attempt has time to be killed.
    let options = Options { batch_target: Duration::from_millis(1), ..brisk() };
    let mut far = 0;
    for _ in 0..4 {
        let (db, recorder) = (ground.db().await, Recorder::default());
        recorder.says(Steer::Pace { percent: 10 });
        let began = far;
        let farther = async {
            let seen = recorder
                .moment(|moment| moment.live.batches.as_ref().is_some_and(|now| now.rows > began + 150))
                .await;
            seen.live.batches.unwrap().rows
        };
        tokio::select! {
            ended = up(&db, &files, None, &options, &recorder) => panic!("killed before it ends: {ended:?}"),
            rows = farther => far = rows,
        }
        ground
            .until(
                "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'gonogo migrate')",
            )
            .await;
    }
    let kept: u64 = ground.text("SELECT rows FROM gonogo.batches").await.parse().unwrap();
    assert!(kept >= far, "what was told is recorded");
    let recorder = Recorder::default();
    up(&ground.db().await, &files, None, &brisk(), &recorder).await.unwrap();
    let StepOutcome::Done { note: Some(note) } = recorder.outcome(0) else {
        panic!("{:?}", recorder.outcome(0))
    };
    assert!(note.starts_with("2250 rows in "), "earlier attempts count: {note}");
    assert_eq!(ground.text(ONCE).await, "2250 0 0");
}

#[tokio::test]
async fn a_row_that_somebody_holds_makes_batches_smaller_and_stops_nobody() {
    let ground = ground(2_000).await;
    let mut client = ground.session().await;
    run(&mut client, "BEGIN; SELECT FROM t WHERE id = 1497 FOR UPDATE").await;
    let db = ground.db().await;
    let files = set(&[("1_a.up.sql", FILL)]);
    let (recorder, options) = (Recorder::default(), brisk());
    let watching = async {
        let slowed = recorder
            .moment(|moment| {
                moment.live.batches.as_ref().is_some_and(|now| now.retries >= 2 && now.slowed.is_some())
            })
            .await;
        assert!(slowed.doing.contains("slowed: try "), "{}", slowed.doing);
        run(&mut client, "COMMIT").await;
    };
    let (report, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), watching);
    report.unwrap();
    assert_eq!(ground.text(ONCE).await, "1500 0 0");
}

#[tokio::test]
async fn a_row_that_breaks_a_rule_stops_it_there_and_says_where() {
    let ground = ground(1_000).await;
    ground.sql("ALTER TABLE t ADD CHECK (a IS DISTINCT FROM 2001)").await;
    let files = set(&[("1_a.up.sql", FILL)]);
    let (db, recorder) = (ground.db().await, Recorder::default());
    let failure = up(&db, &files, None, &brisk(), &recorder).await.unwrap_err();
    assert!(failure.what.contains("SQLSTATE 23514"), "{failure}");
    assert!(failure.state.contains("rows are done and recorded, up to key"), "{failure}");
    ground.sql("ALTER TABLE t DROP CONSTRAINT t_a_check").await;
    up(&db, &files, None, &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(ground.text(ONCE).await, "750 0 0");
}

#[tokio::test]
async fn keys_of_any_type_and_an_insert_from_a_join() {
    let ground = Ground::with_contacts(700).await;
    let sql = "CREATE TABLE m (contact_id uuid PRIMARY KEY, city text);
-- gonogo: batches of 50 by c.id
INSERT INTO m SELECT c.id, c.city FROM contacts c JOIN contacts other ON other.id = c.id ORDER BY c.id ON CONFLICT DO NOTHING;
-- gonogo: batches of 50 by contact_id
DELETE FROM m WHERE city IS NULL OR true;";
    let recorder = Recorder::default();
    up(&ground.db().await, &set(&[("1_a.up.sql", sql)]), None, &brisk(), &recorder).await.unwrap();
    for step in [1, 2] {
        let StepOutcome::Done { note: Some(note) } = recorder.outcome(step) else {
            panic!("{:?}", recorder.outcome(step))
        };
        assert!(note.starts_with("700 rows in "), "{note}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_walked_is_refused_before_the_first_row() {
    let ground = ground(10).await;
    ground
        .sql("CREATE TABLE n (id bigint, b int); CREATE INDEX ON n (id); INSERT INTO n VALUES (NULL, 1)")
        .await;
    for (sql, why) in [
        ("-- gonogo: batches of 10 by touched\nUPDATE t SET a = 1;", "no index of t begins with it"),
        ("-- gonogo: batches of 10 by nobody\nUPDATE t SET a = 1;", "t has no such column"),
        ("-- gonogo: batches of 10 by id\nUPDATE n SET b = 2;", "it is null in some rows"),
    ] {
        let failure =
            up(&ground.db().await, &set(&[("1_a.up.sql", sql)]), None, &brisk(), &Recorder::default())
                .await
                .unwrap_err();
        assert!(failure.what.contains(why), "{failure}");
    }
    assert_eq!(ground.text("SELECT count(*) FROM t WHERE a = 1").await, "0");
}
