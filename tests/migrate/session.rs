//! The session in which a file runs: no file finds what another has set, and none loses its own where a run goes on in its middle.

use gonogo::run::StepOutcome;
use gonogo::run::steer::Steer;
use gonogo::workers::migrate::{down, up};

use crate::ground::{Ground, Recorder, brisk, set};

/// With a schema and a role that may make things in it, and that may not look into the bookkeeping.
async fn ground() -> Ground {
    let ground = Ground::empty().await;
    ground.sql("CREATE ROLE app; CREATE SCHEMA crm; GRANT ALL ON SCHEMA crm TO app").await;
    ground
}

const SETS: &str = "SET search_path = crm, public;
SET ROLE app;
SET statement_timeout = '77s';
SELECT pg_catalog.set_config('gonogo.word', 'kept', false);
CREATE TEMP TABLE scrap (id int);
";

/// As whom, where, how long, with which word, whether the scrap is there, and whether the runner still holds its lock.
const SEEN: &str = "SELECT concat_ws(' ', current_user = session_user, current_setting('search_path'),
  current_setting('statement_timeout'), coalesce(nullif(current_setting('gonogo.word', true), ''), 'none'),
  to_regclass('scrap') IS NOT NULL,
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid())) AS seen";

const UNSET: &str = "t \"$user\", public 0 none f 1";

#[tokio::test]
async fn what_a_file_sets_holds_to_its_end_and_no_further() {
    let ground = ground().await;
    for unit in ["", "-- gonogo: no-transaction\n"] {
        let first = format!("{unit}{SETS}CREATE TABLE one AS {SEEN};");
        let second = format!("{unit}CREATE TABLE public.two AS {SEEN};");
        let back = format!("{unit}CREATE TABLE public.back AS {SEEN};\nDROP TABLE crm.one;");
        let check =
            format!("-- gonogo: after\nSELECT 'as it began', seen = '{UNSET}', seen FROM ({SEEN}) AS s;\n");
        let down_of_second = format!("{unit}{SETS}DROP TABLE public.two;");
        // A role of the file's is no role of the bookkeeping's.
        let down_of_second = down_of_second.replace("SET ROLE app;\n", "");
        let files = set(&[
            ("1_a.up.sql", &first),
            ("1_a.down.sql", &back),
            ("1_a.check.sql", &check),
            ("2_b.up.sql", &second),
            ("2_b.down.sql", &down_of_second),
        ]);
        let db = ground.db().await;
        up(&db, &files, None, &brisk(), &Recorder::default()).await.unwrap();
        assert_eq!(ground.text("SELECT seen FROM crm.one").await, "f crm, public 77s kept t 1");
        let owner = "SELECT tableowner FROM pg_tables WHERE schemaname = 'crm' AND tablename = 'one'";
        assert_eq!(ground.text(owner).await, "app");
        assert_eq!(ground.text("SELECT seen FROM public.two").await, UNSET, "{unit:?}");
        down(&db, &files, None, &brisk(), &Recorder::default()).await.unwrap();
        assert_eq!(ground.text("SELECT seen FROM public.back").await, UNSET, "{unit:?}");
        ground.sql("DROP TABLE public.back").await;
    }
}

#[tokio::test]
async fn a_run_that_goes_on_in_mid_file_sets_again_what_the_file_had_set() {
    let ground = ground().await;
    let db = ground.db().await;
    let sql = format!(
        "-- gonogo: no-transaction\n{}CREATE TABLE a (id int);\nRESET statement_timeout;\nCREATE TABLE b AS {SEEN};",
        SETS.replace("CREATE TEMP TABLE scrap (id int);\n", "SET LOCAL gonogo.word = 'of one statement';\n")
    );
    let files = set(&[("1_a.up.sql", &sql)]);
    let (hanging, options) = (Recorder::hanging_at(7), brisk());
    tokio::select! {
        ended = up(&db, &files, None, &options, &hanging) => panic!("it hangs: {ended:?}"),
        () = hanging.hangs() => {}
    }
    let recorder = Recorder::default();
    up(&db, &files, None, &brisk(), &recorder).await.unwrap();
    assert_eq!(recorder.line(), "ddddssdd", "the settings of the session, and nothing else, are made again");
    let StepOutcome::Done { note: Some(note) } = recorder.outcome(0) else {
        panic!("{:?}", recorder.outcome(0))
    };
    assert!(note.starts_with("set again for this session; first done by an earlier attempt at "), "{note}");
    assert_eq!(ground.text("SELECT seen FROM crm.b").await, "f crm, public 0 kept f 1");
}

#[tokio::test]
async fn an_index_that_was_left_out_is_built_where_its_file_would_have_built_it() {
    let ground = ground().await;
    ground.sql("CREATE TABLE crm.t (id int, name text)").await;
    let sql = "SET search_path = crm;\nCREATE INDEX CONCURRENTLY i ON t (name);\nCREATE INDEX CONCURRENTLY j ON t (id);\nRESET search_path;";
    let files = set(&[("1_a.up.sql", sql)]);
    let recorder = Recorder::default();
    recorder.says(Steer::LeaveOut { step: "1 create index i on t".into() });
    up(&ground.db().await, &files, None, &brisk(), &recorder).await.unwrap();
    assert_eq!(recorder.line(), "dsdd");
    let recorder = Recorder::default();
    up(&ground.db().await, &files, None, &brisk(), &recorder).await.unwrap();
    assert_eq!(recorder.line(), "dd");
    assert_eq!(ground.text("SELECT to_regclass('crm.i') IS NOT NULL").await, "true");
}

#[tokio::test]
async fn a_setting_that_cannot_be_made_again_fails_as_a_step_of_its_own() {
    let ground = ground().await;
    let db = ground.db().await;
    let sql = "-- gonogo: no-transaction\nSET ROLE app;\nCREATE TABLE crm.a (id int);\nCREATE TABLE crm.b (id int);";
    let files = set(&[("1_a.up.sql", sql)]);
    let (hanging, options) = (Recorder::hanging_at(2), brisk());
    tokio::select! {
        ended = up(&db, &files, None, &options, &hanging) => panic!("it hangs: {ended:?}"),
        () = hanging.hangs() => {}
    }
    ground.sql("ALTER ROLE app RENAME TO other").await;
    let recorder = Recorder::default();
    let failure = up(&db, &files, None, &brisk(), &recorder).await.unwrap_err();
    assert!(failure.what.contains("1_a.up.sql:2: ") && failure.what.contains("\"app\""), "{failure}");
    assert_eq!(recorder.line(), "Fnn");
    assert_eq!(ground.text("SELECT to_regclass('crm.b') IS NULL").await, "true");
}
