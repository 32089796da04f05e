//! Connections that die without a word, and a server that goes away in the middle of a step: noticed, said, and gone on from.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use gonogo::run::{Failure, StepOutcome, StepPlan};
use gonogo::scratch::Scratch;
use gonogo::workers::migrate::{Database, Edge, Moment, Watcher, up};

use crate::ground::{Ground, Recorder, brisk, set};
use crate::proxy::Proxy;

/// Long enough to be cut in, and counted.
const SLOW: &str = "-- gonogo: no-transaction
CREATE TABLE ran (step int);
INSERT INTO ran SELECT 2 FROM pg_sleep(3);
INSERT INTO ran VALUES (3);
";

#[tokio::test]
async fn an_answer_that_a_firewall_swallows_is_missed_and_the_step_is_known_to_be_done() {
    let ground = Ground::empty().await;
    let proxy = Proxy::before(ground.scratch.port()).await;
    let db = Database::connect(&proxy.url(&ground.scratch.url("crm")), "gonogo").await.unwrap();
    let (files, recorder, options) = (set(&[("1_a.up.sql", SLOW)]), Recorder::default(), brisk());
    let began = Instant::now();
    let cutting = async {
        ground.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3)%' AND application_name = 'gonogo migrate')").await;
        proxy.forget();
    };
    let (ended, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), cutting);
    let (failure, after) = (ended.unwrap_err(), began.elapsed());
    assert!(
        failure.what.contains("its answer never came") && failure.state.contains("was ended"),
        "{failure}"
    );
    assert!(after < Duration::from_secs(30), "noticed after {after:?}");
    assert_eq!(recorder.line(), "dFn");
    ground
        .until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'gonogo migrate')")
        .await;

    // The statement was rolled back with its session, or it is recorded: never one without the other.
    let again = Recorder::default();
    up(&db, &files, None, &brisk(), &again).await.unwrap();
    assert_eq!(
        ground.text("SELECT string_agg(step::text, ',' ORDER BY step) FROM ran").await,
        "2,3",
        "{}",
        again.line()
    );
}

/// Cuts the connections when a step begins, as a firewall does that found them idle.
struct Cuts<'a> {
    recorder: &'a Recorder,
    proxy: &'a Proxy,
    step: u32,
}

impl Watcher for Cuts<'_> {
    fn planned(&self, steps: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        self.recorder.planned(steps)
    }

    fn step_started(&self, step: u32) -> BoxFuture<'_, Result<(), Failure>> {
        if step == self.step {
            self.proxy.forget();
        }
        self.recorder.step_started(step)
    }

    fn step_ended(&self, step: u32, outcome: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        self.recorder.step_ended(step, outcome)
    }

    fn moment(&self, moment: Moment) {
        Watcher::moment(self.recorder, moment);
    }

    fn edge(&self) -> BoxFuture<'_, Edge> {
        self.recorder.edge()
    }
}

#[tokio::test]
async fn a_connection_that_was_cut_while_it_idled_is_noticed_before_it_is_trusted() {
    let ground = Ground::empty().await;
    let proxy = Proxy::before(ground.scratch.port()).await;
    let db = Database::connect(&proxy.url(&ground.scratch.url("crm")), "gonogo").await.unwrap();
    let files = set(&[(
        "1_a.up.sql",
        "-- gonogo: no-transaction\nCREATE TABLE a (id int);\nCREATE TABLE b (id int);",
    )]);
    let recorder = Recorder::default();
    let began = Instant::now();
    let failure = up(&db, &files, None, &brisk(), &Cuts { recorder: &recorder, proxy: &proxy, step: 1 })
        .await
        .unwrap_err();
    assert!(failure.what.contains("was cut while it idled"), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(15), "noticed after {:?}", began.elapsed());
    assert_eq!(recorder.line(), "dF");
    // What the firewall did not tell the server, its own watch over the socket will; here somebody ends the session.
    ground.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gonogo migrate'").await;
    let again = Recorder::default();
    up(&db, &files, None, &brisk(), &again).await.unwrap();
    assert_eq!(again.line(), "sd");
}

#[tokio::test]
async fn a_server_that_restarts_in_mid_step_fails_the_step_and_the_next_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    scratch.create_database("crm").await.unwrap();
    let proxy = Proxy::before(scratch.port()).await;
    let db = Database::connect(&proxy.url(&scratch.url("crm")), "gonogo").await.unwrap();
    let (files, recorder, options) = (set(&[("1_a.up.sql", SLOW)]), Recorder::default(), brisk());
    let restarting = async {
        recorder.started.subscribe().wait_for(|step| *step == Some(1)).await.unwrap();
        scratch.stop().await.unwrap();
        Scratch::start(dir.path()).await.unwrap()
    };
    let (ended, scratch) = tokio::join!(up(&db, &files, None, &options, &recorder), restarting);
    let failure = ended.unwrap_err();
    assert!(failure.to_string().contains("connection"), "{failure}");
    assert_eq!(recorder.line(), "dFn");
    proxy.lead_to(scratch.port());
    let again = Recorder::default();
    up(&db, &files, None, &brisk(), &again).await.unwrap();
    assert_eq!(again.line(), "sdd");
    let mut session = scratch.connect("crm").await.unwrap();
    let ran: i64 = sqlx::query_scalar("SELECT count(*) FROM ran").fetch_one(&mut session).await.unwrap();
    assert_eq!(ran, 2, "each step once");
}
