//! One clear outcome for each fault; the rest of the plan is not run, and nothing is half recorded.

use std::time::Duration;

use gonogo::run::StepOutcome;
use gonogo::workers::migrate::{Database, Options, up};
use secrecy::SecretString;

use crate::ground::{Ground, Recorder, brisk, set};

const ALONE: &str = "-- gonogo: no-transaction\n";

async fn fails(ground: &Ground, files: &[(&str, &str)]) -> (String, String) {
    let recorder = Recorder::default();
    let failure = up(&ground.db().await, &set(files), None, &brisk(), &recorder).await.unwrap_err();
    (failure.to_string(), recorder.line())
}

#[tokio::test]
async fn a_failing_second_statement_stops_all_that_follows() {
    let ground = Ground::empty().await;
    let up1 = format!(
        "{ALONE}CREATE TABLE a (id int);\n\nINSERT INTO a\n  VALUES (1, 2);\nCREATE TABLE b (id int);"
    );
    let files = [("1_a.up.sql", up1.as_str()), ("2_b.up.sql", "CREATE TABLE c (id int);")];
    let (failure, line) = fails(&ground, &files).await;
    assert_eq!(line, "dFnn");
    assert!(failure.contains("1_a.up.sql:5:14: SQLSTATE 42601"), "{failure}");
    assert_eq!(ground.text("SELECT concat(to_regclass('a'), to_regclass('b'), to_regclass('c'))").await, "a");
    assert_eq!(ground.text("SELECT state FROM gonogo.migrations").await, "applying");

    // Corrected from the failed statement on, it goes on there.
    let corrected =
        format!("{ALONE}CREATE TABLE a (id int);\n\nINSERT INTO a VALUES (1);\nCREATE TABLE b (id int);");
    let recorder = Recorder::default();
    let report =
        up(&ground.db().await, &set(&[("1_a.up.sql", &corrected), files[1]]), None, &brisk(), &recorder)
            .await
            .unwrap();
    assert_eq!((recorder.line().as_str(), report.applied), ("sddd", vec![1, 2]));
}

#[tokio::test]
async fn a_file_without_marks_is_all_or_nothing() {
    let ground = Ground::empty().await;
    let (failure, line) =
        fails(&ground, &[("1_a.up.sql", "CREATE TABLE a (id int); CREATE TABLE b (id nonsense); SELECT 1;")])
            .await;
    assert_eq!(line, "nFn");
    assert!(failure.contains("42704") && failure.contains("whole file was rolled back"), "{failure}");
    assert_eq!(ground.text("SELECT to_regclass('a') IS NULL").await, "true");
    assert_eq!(ground.text("SELECT count(*) FROM gonogo.steps").await, "0");
}

#[tokio::test]
async fn what_is_there_in_another_shape_is_a_failure_not_a_skip() {
    let ground = Ground::empty().await;
    ground.sql("CREATE TABLE t (id int PRIMARY KEY, a varchar(20) DEFAULT 'x'); CREATE INDEX i ON t (a); CREATE TABLE twin (id bigint)").await;
    let of = async |sql: &str| fails(&ground, &[("1_a.up.sql", sql)]).await.0;
    let column = of("ALTER TABLE t ADD COLUMN IF NOT EXISTS b int, ADD COLUMN IF NOT EXISTS a text;").await;
    assert!(
        column.contains("column a is character varying(20) DEFAULT 'x'::character varying, wanted text"),
        "{column}"
    );
    let index = of("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a DESC) WHERE a IS NOT NULL;").await;
    assert!(
        index.contains("index public.i is there already as")
            && index.contains("wanted INDEX USING btree (a DESC) WHERE"),
        "{index}"
    );
    let table = of("CREATE TABLE IF NOT EXISTS twin (id uuid PRIMARY KEY);").await;
    assert!(
        table.contains("column id is bigint, wanted uuid NOT NULL")
            && table.contains("PRIMARY KEY (id) is missing"),
        "{table}"
    );
    assert_eq!(
        ground
            .text("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'b'")
            .await,
        "0"
    );
    assert_eq!(
        ground.text("SELECT to_regclass('gonogo.shape') IS NULL").await,
        "true",
        "the comparison leaves nothing"
    );

    let recorder = Recorder::default();
    let same = "CREATE TABLE IF NOT EXISTS twin (id bigint); CREATE INDEX IF NOT EXISTS i ON t USING btree (a); ALTER TABLE t ADD COLUMN IF NOT EXISTS a varchar(20) DEFAULT 'x';";
    up(&ground.db().await, &set(&[("1_a.up.sql", same)]), None, &brisk(), &recorder).await.unwrap();
    assert_eq!(recorder.line(), "sss");
}

#[tokio::test]
async fn an_edited_applied_file_is_refused_with_the_difference() {
    let ground = Ground::empty().await;
    let db = ground.db().await;
    up(&db, &set(&[("1_a.up.sql", "CREATE TABLE a (id int);")]), None, &brisk(), &Recorder::default())
        .await
        .unwrap();
    let edited = set(&[("1_a.up.sql", "CREATE TABLE a (id bigint);"), ("2_b.up.sql", "SELECT 1;")]);
    let failure = up(&db, &edited, None, &brisk(), &Recorder::default()).await.unwrap_err();
    assert!(
        failure.what.contains("-CREATE TABLE a (id int);")
            && failure.what.contains("+CREATE TABLE a (id bigint);"),
        "{failure}"
    );
    let gone = set(&[("2_b.up.sql", "SELECT 1;")]);
    let failure = up(&db, &gone, None, &brisk(), &Recorder::default()).await.unwrap_err();
    assert!(failure.what.contains("number 1 (a) is in the database, but has no file"), "{failure}");
}

#[tokio::test]
async fn checks_decide_before_and_after() {
    let ground = Ground::empty().await;
    let check = "-- gonogo: before\nSELECT 'a is free', to_regclass('a') IS NULL, 'x';\n-- gonogo: after\nSELECT 'a is a view', false, 'a table';\n";
    let files = [("1_a.up.sql", "CREATE TABLE a (id int);"), ("1_a.check.sql", check)];
    let (failure, line) = fails(&ground, &files).await;
    assert_eq!(line, "ddF");
    assert!(
        failure.contains("a is a view: a table") && failure.contains("applied, but not proven"),
        "{failure}"
    );
    assert_eq!(ground.text("SELECT state FROM gonogo.migrations").await, "applied");
    let (_, line) = fails(&ground, &files).await;
    assert_eq!(line, "F", "only the proof is left to do");

    let ground = Ground::empty().await;
    ground.sql("CREATE TABLE a ()").await;
    let (failure, line) = fails(&ground, &files).await;
    assert_eq!(line, "Fnn");
    assert!(
        failure.contains("a is free") && failure.contains("nothing of this migration was run"),
        "{failure}"
    );
    let writes = [
        ("1_a.up.sql", "SELECT 1;"),
        ("1_a.check.sql", "-- gonogo: before\nINSERT INTO a DEFAULT VALUES RETURNING 'x', true, 'x';"),
    ];
    let (failure, _) = fails(&ground, &writes).await;
    assert!(failure.contains("25006"), "a check cannot write: {failure}");
}

#[tokio::test]
async fn duplicates_under_a_unique_index_leave_no_invalid_index() {
    let ground = Ground::empty().await;
    ground.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)").await;
    let (failure, _) =
        fails(&ground, &[("1_a.up.sql", "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a);")]).await;
    assert!(
        failure.contains("23505")
            && failure.contains("duplicates")
            && failure.contains("public.u that it left was dropped"),
        "{failure}"
    );
    assert_eq!(ground.text("SELECT to_regclass('u') IS NULL").await, "true");
}

#[tokio::test]
async fn an_invalid_index_is_dropped_and_built_anew() {
    let ground = Ground::empty().await;
    ground.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)").await;
    let mut session = ground.session().await;
    sqlx::raw_sql("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)").execute(&mut session).await.unwrap_err();
    assert_eq!(
        ground.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").await,
        "false"
    );
    let recorder = Recorder::default();
    let files = set(&[("1_a.up.sql", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);")]);
    up(&ground.db().await, &files, None, &brisk(), &recorder).await.unwrap();
    assert!(
        matches!(recorder.outcome(0), StepOutcome::Done { note: Some(note) } if note.contains("invalid public.i dropped"))
    );
    assert_eq!(
        ground
            .text("SELECT indisvalid AND NOT indisunique FROM pg_index WHERE indexrelid = 'i'::regclass")
            .await,
        "true"
    );
}

#[tokio::test]
async fn one_runner_at_a_time_and_no_transaction_pooler() {
    let ground = Ground::empty().await;
    let db = ground.db().await;
    let hanging = Recorder::hanging_at(0);
    let files = set(&[("1_a.up.sql", "CREATE TABLE a (id int);")]);
    let options = brisk();
    let first = up(&db, &files, None, &options, &hanging);
    let second = async {
        hanging.hangs().await;
        let hasty = Options { runner_wait: Duration::from_millis(300), ..brisk() };
        up(&db, &files, None, &hasty, &Recorder::default()).await.unwrap_err()
    };
    let failure = tokio::select! { _ = first => panic!("it hangs"), failure = second => failure };
    assert!(
        failure.what.contains("another runner migrates crm at 127.0.0.1")
            && failure.what.contains("gonogo migrate"),
        "{failure}"
    );

    let long = set(&[("1_a.up.sql", &format!("{ALONE}CREATE TABLE b (id int);\nCREATE TABLE c (id int);"))]);
    let hanging = Recorder::hanging_at(1);
    let first = up(&db, &long, None, &options, &hanging);
    let watching = Recorder::default();
    let second = async {
        hanging.hangs().await;
        let patient = up(&db, &long, None, &options, &watching);
        let seen = watching.moment(|moment| !moment.live.blockers.is_empty());
        tokio::select! { _ = patient => panic!("the first holds the lock"), seen = seen => seen }
    };
    let seen = tokio::select! { _ = first => panic!("it hangs"), seen = second => seen };
    assert!(seen.doing.contains("applying 001 a, 1 of 2 steps done"), "{}", seen.doing);

    let pooler = SecretString::from("postgres://u:hunter2@aws-0-eu.pooler.supabase.com:6543/postgres");
    let failure = Database::connect(&pooler, "gonogo").await.unwrap_err();
    assert!(
        failure.next.contains("aws-0-eu.pooler.supabase.com:5432")
            && !failure.to_string().contains("hunter2"),
        "{failure}"
    );
    let garbled =
        Database::connect(&SecretString::from("postgres//u:hunter2@x"), "gonogo").await.unwrap_err();
    assert!(!garbled.to_string().contains("hunter2"), "{garbled}");
    let wrong =
        SecretString::from(format!("postgres://postgres:hunter2@127.0.0.1:{}/crm", ground.scratch.port()));
    let failure = Database::connect(&wrong, "gonogo").await.unwrap_err();
    assert!(failure.what.contains("28P01") && !failure.to_string().contains("hunter2"), "{failure}");
}
