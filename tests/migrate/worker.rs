//! The worker at its desk: a job from the journal, its steps in the journal, its figures beside it.

use std::sync::Arc;
use std::time::Duration;

use gonogo::clock::Clock;
use gonogo::plan::Role;
use gonogo::plan::load::load;
use gonogo::run::event::Event;
use gonogo::run::job::Facts;
use gonogo::run::live::{Advice, Asks, More, Said, Weight};
use gonogo::run::{Actor, Command, Job, JobKind, Live, Mode, Outcome, State};
use gonogo::secrets::Secrets;
use gonogo::store::Store;
use gonogo::workers::migrate::{Adviser, MigrateWorker};
use gonogo::workers::{Crew, Kit, Post};
use secrecy::SecretString;

use crate::ground::Ground;

/// A cockpit of its own with a worker at its desk.
struct Seat {
    store: Store,
    dba: Actor,
    dir: tempfile::TempDir,
    _crew: Crew,
}

impl Seat {
    async fn with(ground: &Ground, migrations: &str) -> Self {
        Self::knowing(Some(ground.scratch.url("crm")), migrations).await
    }

    async fn knowing(url: Option<SecretString>, migrations: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A plan that asks for no backup: the engine asks for one all the same.
        let config = dir.path().join("gonogo.toml");
        std::fs::write(
            &config,
            format!("[deployment]\nchecklist = \"day.md\"\nmigrations = {migrations:?}\n"),
        )
        .unwrap();
        std::fs::write(dir.path().join("day.md"), "# Day\n\n## Phase 1: Go\n\n- [ ] Look\n").unwrap();
        let loaded = load(Some(&config), None).unwrap_or_else(|problems| panic!("{problems:?}"));
        let journal = loaded.path(&loaded.config.store.path);
        std::fs::create_dir_all(journal.parent().unwrap()).unwrap();
        let store = Store::open(&journal, Clock::wall()).await.unwrap();
        let (dba, lead) = (Actor::person("dana", Role::Dba), Actor::person("lea", Role::Lead));
        let plan = Arc::new(loaded.plan.clone());
        store.submit(&lead, Command::Open { plan, mode: Mode::Rehearsal }).await.unwrap();
        let url = url.map(|url| (loaded.config.database.url_env.clone(), url));
        let kit = Kit::new(loaded.config.clone(), &loaded.root, Secrets::of(url), Clock::wall());
        let posts =
            [Post::Jobs(Arc::new(MigrateWorker::new(&kit))), Post::Standing(Arc::new(Adviser::new(&kit)))];
        let crew = Crew::start(&store, &"test".into(), posts);
        Self { store, dba, dir, _crew: crew }
    }

    /// A word from another shell: whether it was taken, and what was said.
    async fn steer(&self, role: &str, words: &[&str]) -> (bool, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.args(["--role", role, "--name", "irma", "steer"]).args(words).current_dir(self.dir.path());
        let output = command.output().await.unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
        (output.status.success(), said)
    }

    /// What the linter is heard to say, once it says such a thing.
    async fn advised(&self, wanted: impl Fn(&Advice) -> bool) -> Arc<Advice> {
        let mut live = self.store.live();
        let heard = |live: &Arc<Live>| live.advice.as_deref().is_some_and(&wanted);
        let heard = tokio::time::timeout(Duration::from_secs(20), live.wait_for(heard)).await;
        heard.expect("it is said").unwrap().advice.clone().unwrap()
    }

    async fn asks(&self, wanted: impl Fn(&Asks) -> bool) {
        let waits = |live: &Arc<Live>| {
            live.progress.values().any(|now| matches!(&now.more, More::Migrate(more) if wanted(&more.asks)))
        };
        let mut live = self.store.live();
        let waited = tokio::time::timeout(Duration::from_secs(20), live.wait_for(waits)).await;
        drop(waited.expect("it waits for a person").unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_shell_steers_it_through_the_journal() {
    let ground = Ground::with_contacts(20).await;
    let files = tempfile::tempdir().unwrap();
    let sql = "-- gonogo: no-transaction\n-- gonogo: point-of-no-return nicknames are public\nCREATE TABLE notes (id int);\nALTER TABLE contacts ADD COLUMN nick text;\nCREATE INDEX CONCURRENTLY i ON contacts (nick);\n";
    std::fs::write(files.path().join("1_nick.up.sql"), sql).unwrap();
    std::fs::write(
        files.path().join("1_nick.down.sql"),
        "ALTER TABLE contacts DROP COLUMN nick; DROP TABLE notes;",
    )
    .unwrap();
    let seat = Seat::with(&ground, files.path().to_str().unwrap()).await;
    assert!(done(&seat.store, &seat.dba, JobKind::Backup).await.succeeded());

    let words = async {
        seat.asks(|asks| matches!(asks, Asks::NoReturn { .. })).await;
        let (taken, said) = seat.steer("qa", &["hold"]).await;
        assert!(!taken && said.contains("qa may not run migrations"), "{said}");
        for word in [&["hold"][..], &["leave-out", "i"], &["let"]] {
            let (taken, said) = seat.steer("dba", word).await;
            assert!(taken, "{word:?}: {said}");
        }
        seat.asks(|asks| matches!(asks, Asks::Lock { .. })).await;
        let (taken, said) = seat.steer("dba", &["let"]).await;
        assert!(taken && said.contains("1 alter table contacts: add nick"), "{said}");
        let (taken, said) = seat.steer("dba", &["end", "4711"]).await;
        assert!(!taken, "nobody is in the way: {said}");
    };
    let (job, ()) = tokio::join!(done(&seat.store, &seat.dba, JobKind::MigrateUp { to: None }), words);
    assert!(job.succeeded(), "{:?}", job.outcome());
    assert_eq!(job.steered.len(), 4);
    assert!(job.steered.iter().all(|steered| &*steered.by.name == "irma"), "{:?}", job.steered);
    assert_eq!(ground.text("SELECT to_regclass('i') IS NULL").await, "true");
    assert_eq!(
        ground.text("SELECT by || ' ' || what FROM gonogo.history WHERE what LIKE 'let%'").await,
        "irma let beyond the point of no return: nicknames are public"
    );
    let (taken, said) = seat.steer("dba", &["pause"]).await;
    assert!(!taken && said.contains("no migration is running"), "{said}");
}

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
    let seat = Seat::with(&ground, concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).await;
    let (store, dba) = (&seat.store, &seat.dba);

    let early = done(store, dba, JobKind::MigrateUp { to: Some(1) }).await;
    let Some(Outcome::Failed { failure }) = early.outcome() else { panic!("{early:?}") };
    assert!(failure.what.contains("no proven backup"), "{failure}");

    assert!(done(store, dba, JobKind::Backup).await.succeeded());
    let mut live = store.live();
    let migrate = done(store, dba, JobKind::MigrateUp { to: None });
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

    let back = done(store, dba, JobKind::MigrateDown { to: None }).await;
    assert!(
        matches!(back.outcome(), Some(Outcome::Succeeded { facts: Facts::Migrated { applied, .. }, .. }) if applied.is_empty()),
        "{:?}",
        back.outcome()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_linter_is_asked_before_anybody_runs_and_again_afterwards() {
    let ground = Ground::with_contacts(20).await;
    let files = tempfile::tempdir().unwrap();
    let sql =
        "ALTER TABLE contacts ADD COLUMN nick text;\nALTER TABLE contacts RENAME COLUMN city TO town;\n";
    std::fs::write(files.path().join("1_nick.up.sql"), sql).unwrap();
    let directory = files.path().to_str().unwrap();
    let seat = Seat::with(&ground, directory).await;
    let advice = seat.advised(|_| true).await;
    let Said::Linted { knowing, .. } = &advice.said else { panic!("{advice:?}") };
    assert!(knowing.contains("the catalogue of crm at"), "{knowing}");
    let [linted] = advice.migrations() else { panic!("{advice:?}") };
    assert_eq!((linted.title.as_str(), linted.count(Weight::Breaks)), ("1 nick", 1), "{linted:?}");
    assert!(linted.statements[0].worst().is_none(), "{linted:?}");
    let (worst, _) = linted.statements[1].worst().unwrap();
    assert!(!worst.what.is_empty() && !worst.safe.is_empty(), "{worst:?}");

    assert!(done(&seat.store, &seat.dba, JobKind::Backup).await.succeeded());
    let job = done(&seat.store, &seat.dba, JobKind::MigrateUp { to: None }).await;
    assert_eq!(*job.steps[1].plan.name, *linted.statements[1].name, "a step is found again by its name");
    seat.advised(|advice| advice.migrations().is_empty() && matches!(advice.said, Said::Linted { .. })).await;

    let blind = Seat::knowing(None, directory).await;
    let advice = blind.advised(|_| true).await;
    let Said::Linted { knowing, migrations } = &advice.said else { panic!("{advice:?}") };
    assert!(knowing.starts_with("the files alone (") && knowing.contains("are unknown"), "{knowing}");
    assert_eq!(migrations[0].count(Weight::Breaks), 1, "what is not known quiets nothing");
    let nowhere = Seat::knowing(None, "/nowhere").await;
    let advice = nowhere.advised(|_| true).await;
    assert!(matches!(&advice.said, Said::Unknown { why } if why.contains("/nowhere")), "{advice:?}");
}
