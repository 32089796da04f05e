//! What people say while it runs: held at a lock, let go, an index left out, the point of no return, and an end to who is in the way.

use gonogo::run::StepOutcome;
use gonogo::run::job::Nature;
use gonogo::run::live::Asks;
use gonogo::run::steer::{Extent, Session, Steer};
use gonogo::workers::migrate::{Ended, up};

use crate::ground::{Ground, Recorder, brisk, run, set};

fn note(recorder: &Recorder, step: u32) -> String {
    match recorder.outcome(step) {
        StepOutcome::Done { note } => note.unwrap_or_default(),
        StepOutcome::Skipped { why } => why,
        StepOutcome::NotRun { because } => because,
        StepOutcome::Failed { failure } => failure.to_string(),
    }
}

#[tokio::test]
async fn a_held_run_asks_for_no_lock_until_it_is_let() {
    let ground = Ground::with_contacts(20).await;
    let db = ground.db().await;
    let files = set(&[(
        "1_a.up.sql",
        "-- gonogo: no-transaction\nCREATE TABLE notes (id int);\nALTER TABLE contacts ADD COLUMN a text;\nALTER TABLE contacts ADD COLUMN b text;",
    )]);
    let (recorder, options) = (Recorder::default(), brisk());
    recorder.says(Steer::Hold);
    let watching = async {
        let held = recorder.moment(|moment| moment.live.asks != Asks::Nothing).await;
        let Asks::Lock { step, lock } = &held.live.asks else { panic!("{:?}", held.live.asks) };
        assert_eq!(
            (&**step, lock.as_str()),
            ("1 alter table contacts: add a", "ACCESS EXCLUSIVE on contacts")
        );
        assert!(held.doing.contains("held before ACCESS EXCLUSIVE on contacts"), "{}", held.doing);
        assert_eq!(recorder.line(), "d..", "what stops nobody was done before");
        assert_eq!(
            ground.text("SELECT count(*) FROM pg_locks WHERE relation = 'contacts'::regclass AND mode = 'AccessExclusiveLock'").await,
            "0"
        );
        recorder.says(Steer::Let { step: step.clone() });
        let next = recorder
            .moment(|moment| moment.live.asks.step().is_some_and(|step| step.ends_with("add b")))
            .await;
        assert_eq!(next.step, Some(2), "one step was let, not all");
        recorder.says(Steer::Release);
    };
    let (report, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), watching);
    assert_eq!((report.unwrap().applied, recorder.line().as_str()), (vec![1], "ddd"));
}

#[tokio::test]
async fn an_index_that_is_left_out_is_missed_by_the_checks_and_built_by_the_next_run() {
    let ground = Ground::with_contacts(20).await;
    let db = ground.db().await;
    let check = "-- gonogo: after\nSELECT 'index i', to_regclass('i') IS NOT NULL, 'is missing';\n";
    let sql = "CREATE INDEX CONCURRENTLY i ON contacts (city);\nCREATE UNIQUE INDEX CONCURRENTLY u ON contacts (id);\nCREATE INDEX CONCURRENTLY j ON contacts (state);\nCOMMENT ON INDEX j IS 'named later';\nCREATE INDEX CONCURRENTLY k ON contacts (phone);";
    let files = set(&[("1_a.up.sql", sql), ("1_a.check.sql", check)]);
    let recorder = Recorder::default();
    for step in ["1 create index i on contacts", "1 create index k on contacts"] {
        recorder.says(Steer::LeaveOut { step: step.into() });
    }
    let failure = up(&db, &files, None, &brisk(), &recorder).await.unwrap_err();
    assert!(failure.what.contains("index i: is missing"), "{failure}");
    assert_eq!(recorder.line(), "sddds".to_owned() + "F");
    assert!(note(&recorder, 0).contains("left out by dana"), "{}", note(&recorder, 0));
    let natures: Vec<Nature> = recorder.plan.lock().unwrap().iter().map(|step| step.nature).collect();
    let (index, plain) = (Nature::Index, Nature::Plain);
    assert_eq!(
        natures,
        [index, plain, plain, plain, index, plain],
        "rules and later statements need the others"
    );

    let recorder = Recorder::default();
    let report = up(&db, &files, None, &brisk(), &recorder).await.unwrap();
    assert_eq!((recorder.line().as_str(), report.applied), ("ddd", vec![1]));
    assert_eq!(
        ground.text("SELECT to_regclass('i') IS NOT NULL AND to_regclass('k') IS NOT NULL").await,
        "true"
    );
}

#[tokio::test]
async fn beyond_the_point_of_no_return_only_with_a_person() {
    let ground = Ground::empty().await;
    ground.sql("CREATE TABLE t (id int, old text); INSERT INTO t VALUES (1, 'x')").await;
    let db = ground.db().await;
    let sql = "-- gonogo: no-transaction\nCREATE TABLE kept AS SELECT * FROM t;\n-- gonogo: point-of-no-return the old texts go\nALTER TABLE t DROP COLUMN old;";
    let files = set(&[("1_a.up.sql", sql)]);
    let point = "1 POINT OF NO RETURN: the old texts go";

    let (recorder, options) = (Recorder::default(), brisk());
    let leaving = async {
        let seen = recorder.moment(|moment| matches!(moment.live.asks, Asks::NoReturn { .. })).await;
        assert!(seen.doing.contains("the old texts go"), "{}", seen.doing);
        recorder.give_up();
    };
    let (report, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), leaving);
    assert_eq!((report.unwrap().ended, recorder.line().as_str()), (Ended::GivenUp, "dnn"));
    assert_eq!(ground.text("SELECT old FROM t").await, "x");

    let recorder = Recorder::default();
    recorder.says(Steer::Let { step: point.into() });
    up(&db, &files, None, &brisk(), &recorder).await.unwrap();
    assert_eq!(recorder.line(), "sdd");
    assert!(note(&recorder, 1).contains("let go on by dana"), "{}", note(&recorder, 1));
    assert_eq!(
        ground.text("SELECT by || ': ' || what FROM gonogo.history WHERE what LIKE 'let%'").await,
        "dana: let beyond the point of no return: the old texts go"
    );
}

#[tokio::test]
async fn who_is_in_the_way_is_ended_by_name_and_looked_at_afterwards() {
    let ground = Ground::with_contacts(20).await;
    let mut idle = ground.session().await;
    run(&mut idle, "SET application_name = 'worker-2'; BEGIN; SELECT count(*) FROM contacts").await;
    let mut bystander = ground.session().await;
    run(&mut bystander, "SET application_name = 'bystander'; BEGIN; SELECT 1").await;
    ground.until("SELECT clock_timestamp() - xact_start > interval '150 ms' FROM pg_stat_activity WHERE application_name = 'worker-2'").await;
    let db = ground.db().await;
    let files = set(&[("1_a.up.sql", "ALTER TABLE contacts ADD COLUMN nick text;")]);
    let (recorder, options) = (Recorder::default(), brisk());
    let watching = async {
        let seen = recorder.moment(|moment| !moment.live.blockers.is_empty()).await;
        let blocker = &seen.live.blockers[0];
        assert!(blocker.holds.contains("AccessShareLock on contacts"), "{blocker:?}");
        let session = Session::of(blocker).unwrap();
        let stranger = Session {
            pid: session.pid,
            since: session.since - chrono::TimeDelta::hours(1),
            ..session.clone()
        };
        let end =
            |session: &Session, what| Steer::End { session: session.clone(), what, typed: "worker-2".into() };
        let older = recorder.says(end(&stranger, Extent::Session));
        let query = recorder.says(end(&session, Extent::Query));
        let whole = recorder.says(end(&session, Extent::Session));
        (recorder.answer(older).await, recorder.answer(query).await, recorder.answer(whole).await)
    };
    let (report, (older, query, whole)) = tokio::join!(up(&db, &files, None, &options, &recorder), watching);
    assert_eq!(report.unwrap().applied, [1]);
    assert!(
        matches!(&older, StepOutcome::NotRun { because } if because.contains("not in the way")),
        "{older:?}"
    );
    assert!(
        matches!(&query, StepOutcome::NotRun { because } if because.contains("transaction is open")),
        "{query:?}"
    );
    assert!(
        matches!(&whole, StepOutcome::Done { note: Some(note) } if note.contains("(worker-2, postgres) is gone")),
        "{whole:?}"
    );
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut idle).await.is_err(), "its session was ended");
    run(&mut bystander, "COMMIT").await;
}
