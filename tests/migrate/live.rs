//! A table in use: look first, then ask; name who is in the way; stop nobody.

use std::time::{Duration, Instant};

use gonogo::run::StepOutcome;
use gonogo::run::live::Replicas;
use gonogo::workers::migrate::{Ended, Options, up};

use crate::ground::{Ground, Recorder, brisk, run, set};

#[tokio::test]
async fn the_blocker_is_named_within_a_second_and_clients_go_on() {
    let ground = Ground::with_contacts(50).await;
    let mut idle = ground.session().await;
    run(&mut idle, "SET application_name = 'worker-2'; BEGIN; SELECT count(*) FROM contacts").await;
    ground.until("SELECT clock_timestamp() - xact_start > interval '150 ms' FROM pg_stat_activity WHERE application_name = 'worker-2'").await;
    let db = ground.db().await;
    let files = set(&[("1_a.up.sql", "ALTER TABLE contacts ADD COLUMN nick text;")]);
    let (recorder, options) = (Recorder::default(), brisk());
    let began = Instant::now();
    let migrating = up(&db, &files, None, &options, &recorder);
    let watching = async {
        let seen = recorder.moment(|moment| !moment.live.blockers.is_empty()).await;
        let after = began.elapsed();
        // A client is served while the migration waits.
        let mut client = ground.session().await;
        run(&mut client, "SET statement_timeout = '500ms'; UPDATE contacts SET notes = notes").await;
        run(&mut idle, "COMMIT").await;
        (seen, after)
    };
    let (report, (seen, after)) = tokio::join!(migrating, watching);
    assert!(after < Duration::from_secs(1), "{after:?}");
    let blocker = &seen.live.blockers[0];
    assert_eq!((blocker.app.as_str(), blocker.state.as_str()), ("worker-2", "idle in transaction"));
    assert!(
        seen.doing.contains("looking: waiting for pid") && seen.doing.contains("worker-2"),
        "{}",
        seen.doing
    );
    assert_eq!(report.unwrap().applied, [1]);
    assert_eq!(recorder.line(), "d");
}

#[tokio::test]
async fn the_net_holds_where_the_look_sees_nobody() {
    // A block may lock anything, so nothing can be looked at before; the short lock time-out is the net.
    let ground = Ground::with_contacts(5).await;
    let mut idle = ground.session().await;
    run(&mut idle, "BEGIN; SELECT count(*) FROM contacts").await;
    let db = ground.db().await;
    let files = set(&[("1_a.up.sql", "DO $$ BEGIN ALTER TABLE contacts ADD COLUMN nick text; END $$;")]);
    let (recorder, options) = (Recorder::default(), brisk());
    let watching = async {
        recorder.moment(|moment| moment.live.tries >= 3).await;
        run(&mut idle, "COMMIT").await;
    };
    let (report, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), watching);
    report.unwrap();
    assert!(matches!(recorder.outcome(0), StepOutcome::Done { note: Some(note) } if note.contains("tries")));

    let mut idle = ground.session().await;
    run(&mut idle, "BEGIN; LOCK TABLE contacts IN ACCESS SHARE MODE").await;
    let files = set(&[
        ("1_a.up.sql", "DO $$ BEGIN ALTER TABLE contacts ADD COLUMN nick text; END $$;"),
        ("2_b.up.sql", "DROP TABLE contacts CASCADE;"),
    ]);
    let hasty = Options { wait_budget: Duration::from_millis(700), ..brisk() };
    let recorder = Recorder::default();
    let failure = up(&db, &files, None, &hasty, &recorder).await.unwrap_err();
    assert!(failure.what.contains("over its budget") && failure.what.contains("contacts"), "{failure}");
    assert_eq!(recorder.line(), "F");
}

#[tokio::test]
async fn a_concurrent_build_waits_without_a_time_out_and_can_be_cancelled() {
    let ground = Ground::with_contacts(50).await;
    let mut writer = ground.session().await;
    run(&mut writer, "SET application_name = 'slow-report'; BEGIN; UPDATE contacts SET notes = notes").await;
    let db = ground.db().await;
    let files = set(&[(
        "1_a.up.sql",
        "CREATE INDEX CONCURRENTLY i ON contacts (city); CREATE INDEX CONCURRENTLY j ON contacts (state);",
    )]);
    let (recorder, options) = (Recorder::default(), brisk());
    let watching = async {
        let seen = recorder
            .moment(|moment| moment.live.blockers.iter().any(|blocker| blocker.app == "slow-report"))
            .await;
        assert_eq!(seen.source, "pg_stat_progress_create_index");
        recorder.give_up();
    };
    let (report, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), watching);
    assert_eq!(report.unwrap().ended, Ended::GivenUp);
    assert_eq!(recorder.line(), "nn");
    run(&mut writer, "COMMIT").await;
    let recorder = Recorder::default();
    assert_eq!(up(&db, &files, None, &brisk(), &recorder).await.unwrap().applied, [1]);
    assert_eq!(
        ground
            .text(
                "SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid IN ('i'::regclass, 'j'::regclass)"
            )
            .await,
        "true"
    );
}

#[tokio::test]
async fn a_build_names_whom_it_waits_for_and_who_waits_behind_it() {
    let ground = Ground::with_contacts(50).await;
    let mut writer = ground.session().await;
    run(&mut writer, "SET application_name = 'slow-report'; BEGIN; UPDATE contacts SET notes = notes").await;
    let mut behind = ground.session().await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut behind).await.unwrap();
    let db = ground.db().await;
    let files = set(&[("1_a.up.sql", "CREATE INDEX CONCURRENTLY i ON contacts (city);")]);
    let (recorder, options) = (Recorder::default(), brisk());
    let watching = async {
        ground.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'gonogo migrate' AND wait_event_type = 'Lock')").await;
        let began = Instant::now();
        let seen = recorder.moment(|moment| !moment.live.blockers.is_empty()).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        let phase = seen.live.phase.as_ref().unwrap();
        assert_eq!((phase.name.as_str(), phase.place), ("waiting for writers before build", Some((2, 8))));
        assert!(seen.doing.starts_with("waiting for writers before build: for pid"), "{}", seen.doing);
        assert_eq!(seen.live.replicas, Replicas::None);
        // Whoever has a snapshot too would be in a deadlock with the build, and the server would end it; VACUUM just waits.
        let lock = "VACUUM contacts";
        let waits = run(&mut behind, lock);
        let seen = async {
            let seen = recorder.moment(|moment| moment.live.behind.iter().any(|one| one.pid == pid)).await;
            let one = seen.live.behind.iter().find(|one| one.pid == pid).unwrap();
            assert_eq!((one.depth, one.query.as_str(), seen.live.queue >= 1), (0, lock, true));
            run(&mut writer, "COMMIT").await;
        };
        tokio::join!(waits, seen);
    };
    let (report, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), watching);
    assert_eq!(report.unwrap().applied, [1]);
}
