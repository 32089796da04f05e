//! The database rung of the ladder, on a real server: what it loses is counted before anybody is asked, writers are stopped, a backup
//! is proven, the downs run, and the way back is asked for from outside.

use std::sync::Arc;
use std::time::Duration;

use gonogo::clock::Clock;
use gonogo::plan::Role;
use gonogo::plan::load::load;
use gonogo::run::event::Event;
use gonogo::run::job::{StepStatus, WATCH};
use gonogo::run::live::Seen;
use gonogo::run::{Actor, Command, Job, JobId, JobKind, Mode, State, StepOutcome};
use gonogo::secrets::Secrets;
use gonogo::store::Store;
use gonogo::workers::migrate::MigrateWorker;
use gonogo::workers::rollback::{Downs, EngineDowns, Lookout, RollbackWorker};
use gonogo::workers::{Crew, Kit, Post};
use secrecy::SecretString;

use crate::ground::Ground;

const TOML: &str = r#"
[database]
name = "crm"
backup = "file"
backup_key_env = "T_BACKUP_KEY"

[[ladder]]
kind = "database"
title = "database back"
bound = "20m"
loses = "what was written since"
confirm = "crm"
"#;

async fn asked(store: &Store, by: &Actor, command: Command) -> JobId {
    let records = store.submit(by, command).await.unwrap_or_else(|error| panic!("{error:?}"));
    let found = records.iter().find_map(|record| match &record.event {
        Event::JobRequested { job, .. } => Some(*job),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{records:?}"))
}

async fn ended(store: &Store, job: JobId) -> Job {
    let mut state = store.state();
    let over = |state: &Arc<State>| state.jobs.get(&job).is_some_and(Job::is_over);
    let ended = tokio::time::timeout(Duration::from_mins(1), state.wait_for(over)).await;
    let jobs =
        ended.unwrap_or_else(|_| panic!("not over: {:#?}", store.now().jobs.get(&job))).unwrap().jobs.clone();
    jobs[&job].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rung_says_what_it_loses_before_it_asks_and_proves_what_it_did() {
    let ground = Ground::with_contacts(200).await;
    let was = "SELECT count(*) || ' ' || sum(hashtextextended(c::text, 0)) || ' ' || sum(total_lifetime_giving) FROM contacts c";
    let before = ground.text(was).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gonogo.toml");
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    std::fs::write(
        &config,
        format!("[deployment]\nchecklist = \"day.md\"\nmigrations = {migrations:?}\n{TOML}"),
    )
    .unwrap();
    std::fs::write(dir.path().join("day.md"), "# Day\n\n## Phase 1: Go\n\n- [ ] Look\n").unwrap();
    let loaded = load(Some(&config), None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let clock = Clock::paced("2026-10-07T14:00:00Z".parse().unwrap(), 240.0);
    let store = Store::open(&dir.path().join("run.sqlite"), clock.clone()).await.unwrap();
    let (dba, lead) = (Actor::person("dana", Role::Dba), Actor::person("lea", Role::Lead));
    let plan = Arc::new(loaded.plan.clone());
    store.submit(&lead, Command::Open { plan, mode: Mode::Rehearsal }).await.unwrap();
    let secrets = Secrets::of([
        (loaded.config.database.url_env.clone(), ground.scratch.url("crm")),
        ("T_BACKUP_KEY".into(), SecretString::from("open sesame")),
    ]);
    let kit = Kit::new(loaded.config.clone(), &loaded.root, secrets, clock);
    let downs: Arc<dyn Downs> = Arc::new(EngineDowns(kit.clone()));
    let _crew = Crew::start(
        &store,
        &"test".into(),
        [
            Post::Jobs(Arc::new(MigrateWorker::new(&kit))),
            Post::Standing(Arc::new(Lookout::new(downs.clone()))),
            Post::Jobs(Arc::new(RollbackWorker::new(&kit, downs))),
        ],
    );
    for kind in [JobKind::Backup, JobKind::MigrateUp { to: None }] {
        let job = asked(&store, &dba, Command::Request(kind)).await;
        let job = ended(&store, job).await;
        assert!(job.succeeded(), "{:?}", job.outcome());
    }
    ground.sql("UPDATE contacts SET is_vip = true, pulse_last_synced_at = now() WHERE id IN (SELECT id FROM contacts LIMIT 70)").await;
    assert!(store.live().borrow().outlook.is_none(), "nobody looks while the guard is closed");

    store.submit(&lead, Command::Arm).await.unwrap();
    let mut live = store.live();
    let looked =
        tokio::time::timeout(Duration::from_secs(30), live.wait_for(|live| live.outlook.is_some())).await;
    let outlook = looked.expect("it is counted").unwrap().outlook.clone().unwrap();
    let Seen::Counted { lost, against } = &outlook.seen else { panic!("{outlook:?}") };
    assert!(lost.iter().any(|(what, rows)| what.contains("15 new columns") && *rows == 70), "{lost:?}");
    assert!(
        against.len() == 3 && against.iter().all(|one| one.contains("no rollback yet: not rehearsed")),
        "{against:?}"
    );
    assert!(outlook.words().contains("70 rows"), "{}", outlook.words());

    let job = asked(&store, &lead, Command::Rollback { rung: 1, confirmed: Some("crm".into()) }).await;
    let job = ended(&store, job).await;
    let notes: Vec<(String, String)> = job
        .steps
        .iter()
        .filter(|step| step.plan.group.as_deref() != Some(WATCH))
        .map(|step| {
            let StepStatus::Ended { outcome: StepOutcome::Done { note }, .. } = &step.status else {
                panic!("{step:#?}\n{:?}", job.outcome())
            };
            (step.plan.name.to_string(), note.clone().unwrap_or_default())
        })
        .collect();
    assert!(notes[0].1.contains("70 rows"), "{notes:?}");
    assert!(
        notes[2].0.contains("emergency backup") && notes[2].1.contains("restored once and compared"),
        "{notes:?}"
    );
    assert!(notes[3].0.contains("003") && notes[5].0.contains("001"), "{notes:?}");
    let (_, proof) = notes.last().unwrap();
    assert!(proof.contains("checks after the way back hold"), "{notes:?}");
    assert_eq!(ground.text(was).await, before);
    // The emergency backup holds what was taken back: it was made after the migrations.
    let kept = ground.text("SELECT string_agg(DISTINCT source, ' ' ORDER BY source) FROM gonogo.backups WHERE medium = 'file' AND proven_at IS NOT NULL").await;
    assert!(
        kept.contains("public.entity_mappings") && kept.contains("public.pulse_contact_interactions"),
        "{kept}"
    );
}
