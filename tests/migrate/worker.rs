//! The worker at its desk: a job from the journal, its steps in the journal, its figures beside it.

use std::sync::Arc;
use std::time::Duration;

use gonogo::clock::Clock;
use gonogo::plan::Role;
use gonogo::plan::load::load;
use gonogo::run::event::Event;
use gonogo::run::job::Facts;
use gonogo::run::live::More;
use gonogo::run::{Actor, Command, Job, JobKind, Mode, Outcome, State};
use gonogo::secrets::Secrets;
use gonogo::store::Store;
use gonogo::workers::migrate::MigrateWorker;
use gonogo::workers::{Crew, Kit, Post};

use crate::ground::Ground;

async fn done(store: &Store, by: &Actor, kind: JobKind) -> Job {
    let records = store.submit(by, Command::Request(kind)).await.unwrap_or_else(|error| panic!("{error:?}"));
    let Event::JobRequested { job, .. } = records[0].event else { panic!("{records:?}") };
    let mut state = store.state();
    let over = |state: &Arc<State>| state.jobs.get(&job).is_some_and(Job::is_over);
    let ended = tokio::time::timeout(Duration::from_secs(25), state.wait_for(over)).await;
    let jobs = ended
        .unwrap_or_else(|_| panic!("not over: {:#?}", store.live().borrow().progress))
        .unwrap()
        .jobs
        .clone();
    jobs.get(&job).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_go_from_the_journal_to_the_database_and_back() {
    let ground = Ground::with_contacts(200).await;
    let dir = tempfile::tempdir().unwrap();
    // A plan that asks for no backup: the engine asks for one all the same.
    let config = dir.path().join("gonogo.toml");
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    std::fs::write(&config, format!("[deployment]\nchecklist = \"day.md\"\nmigrations = {migrations:?}\n"))
        .unwrap();
    std::fs::write(dir.path().join("day.md"), "# Day\n\n## Phase 1: Go\n\n- [ ] Look\n").unwrap();
    let loaded = load(Some(&config), None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let store = Store::open(&dir.path().join("run.sqlite"), Clock::wall()).await.unwrap();
    let dba = Actor::person("dana", Role::Dba);
    let lead = Actor::person("lea", Role::Lead);
    let plan = Arc::new(loaded.plan.clone());
    store.submit(&lead, Command::Open { plan, mode: Mode::Rehearsal }).await.unwrap();
    let url = (loaded.config.database.url_env.clone(), ground.scratch.url("crm"));
    let kit = Kit::new(loaded.config.clone(), &loaded.root, Secrets::of([url]), Clock::wall());
    let _crew = Crew::start(&store, &"test".into(), [Post::Jobs(Arc::new(MigrateWorker::new(&kit)))]);

    let early = done(&store, &dba, JobKind::MigrateUp { to: Some(1) }).await;
    let Some(Outcome::Failed { failure }) = early.outcome() else { panic!("{early:?}") };
    assert!(failure.what.contains("no proven backup"), "{failure}");

    assert!(done(&store, &dba, JobKind::Backup).await.succeeded());
    let mut live = store.live();
    let migrate = done(&store, &dba, JobKind::MigrateUp { to: None });
    // The guard of a watch holds up its writer, so it must not outlive the look.
    let seen = async {
        let sung = live.wait_for(|live| {
            live.progress
                .values()
                .any(|now| matches!(&now.more, More::Migrate(more) if more.worst_ms.is_some()))
        });
        drop(sung.await.unwrap());
    };
    let (job, ()) = tokio::join!(migrate, seen);
    let Some(Outcome::Succeeded { facts: Facts::Migrated { applied, worst_wait_ms }, .. }) = job.outcome()
    else {
        panic!("{:?}", job.outcome())
    };
    assert_eq!((applied.as_slice(), worst_wait_ms.is_some()), ([1, 2, 3].as_slice(), true));
    assert_eq!(job.steps_done().0, job.steps.len());

    let back = done(&store, &dba, JobKind::MigrateDown { to: None }).await;
    assert!(
        matches!(back.outcome(), Some(Outcome::Succeeded { facts: Facts::Migrated { applied, .. }, .. }) if applied.is_empty()),
        "{:?}",
        back.outcome()
    );
}
