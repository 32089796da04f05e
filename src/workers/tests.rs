//! The crew: one cockpit at a time, resumption, and an outcome for every job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;

use super::*;
use crate::clock::Clock;
use crate::plan::{Check, Role};
use crate::run::{Actor, Command, JobKind, Mode, Outcome, State};

struct Prover {
    calls: Arc<AtomicU32>,
    act: fn(u32) -> Option<Result<End, Failure>>,
}

impl Worker for Prover {
    fn id(&self) -> WorkerId {
        WorkerId::Verify
    }

    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(async move {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            desk.planned_names(["look"]).await?;
            desk.step_started(0).await?;
            if let Some(end) = (self.act)(call) {
                return end;
            }
            desk.given_up().await;
            Ok(End::Cancelled { state: "looked half".into() })
        })
    }
}

async fn opened(dir: &std::path::Path) -> (Store, Actor) {
    let store = Store::open(&dir.join("run.sqlite"), Clock::wall()).await.expect("the store opens");
    let lead = Actor::person("lea", Role::Lead);
    let plan = Arc::new(crate::run::tests::plan());
    store.submit(&lead, Command::Open { plan, mode: Mode::Rehearsal }).await.expect("the run opens");
    (store, lead)
}

fn crew(
    store: &Store,
    cockpit: &str,
    act: fn(u32) -> Option<Result<End, Failure>>,
) -> (Crew, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let worker = Arc::new(Prover { calls: Arc::clone(&calls), act });
    (Crew::start(store, &cockpit.into(), [Post::Jobs(worker)]), calls)
}

async fn outcome(store: &Store) -> Outcome {
    let mut state = store.state();
    let ended = |state: &Arc<State>| state.jobs.values().all(crate::run::Job::is_over);
    let state = state.wait_for(ended).await.expect("the store lives");
    state.jobs.values().next().and_then(|job| job.outcome().cloned()).expect("a job")
}

fn look() -> Command {
    Command::Request(JobKind::Verify { check: Check::Health })
}

#[tokio::test]
async fn a_job_is_done_once_though_two_cockpits_could() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, lead) = opened(dir.path()).await;
    let other = Store::open(store.path(), Clock::wall()).await.expect("a second handle opens");
    let (_a, first) = crew(&store, "a", |_| Some(Ok(End::succeeded("well"))));
    let (_b, second) = crew(&other, "b", |_| Some(Ok(End::succeeded("well"))));
    store.submit(&lead, look()).await.expect("asked for");
    assert!(matches!(outcome(&store).await, Outcome::Succeeded { .. }));
    assert_eq!(first.load(Ordering::SeqCst) + second.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_panic_is_an_outcome() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, lead) = opened(dir.path()).await;
    let (_crew, _) = crew(&store, "a", |_| panic!("on purpose"));
    store.submit(&lead, look()).await.expect("asked for");
    let Outcome::Failed { failure } = outcome(&store).await else { panic!("it failed") };
    assert!(failure.what.contains("stopped unexpectedly"), "{failure}");
}

#[tokio::test]
async fn a_cancelled_job_ends_with_what_was_done() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, lead) = opened(dir.path()).await;
    let (_crew, _) = crew(&store, "a", |_| None);
    store.submit(&lead, look()).await.expect("asked for");
    let mut state = store.state();
    let running = |state: &Arc<State>| state.jobs.values().any(|job| !job.steps.is_empty());
    let job = state.wait_for(running).await.expect("it runs").jobs.keys().next().copied().expect("a job");
    store.submit(&lead, Command::Cancel(job)).await.expect("cancelled");
    assert_eq!(outcome(&store).await, Outcome::Cancelled { state: "looked half".into() });
}

#[tokio::test]
async fn the_next_crew_goes_on_with_a_job_whose_cockpit_is_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, lead) = opened(dir.path()).await;
    let (dead, calls) = crew(&store, "a", |_| None);
    store.submit(&lead, look()).await.expect("asked for");
    let mut state = store.state();
    let began = |state: &Arc<State>| state.jobs.values().any(|job| !job.steps.is_empty());
    state.wait_for(began).await.expect("it runs");
    drop(dead); // without giving its lease back, as a kill does
    let (_next, more) = crew(&store, "b", |_| Some(Ok(End::succeeded("well"))));
    assert!(matches!(outcome(&store).await, Outcome::Succeeded { .. }));
    assert_eq!((calls.load(Ordering::SeqCst), more.load(Ordering::SeqCst)), (1, 1));
    let attempts = store
        .now()
        .tail
        .iter()
        .filter(|record| matches!(record.event, crate::run::Event::JobStarted { .. }))
        .count();
    assert_eq!(attempts, 2);
}
