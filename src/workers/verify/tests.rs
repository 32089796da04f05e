//! Each proof over real sockets, a real database and real processes; each with the case in which it must not be had.

use std::sync::Arc;

use sqlx::Connection;

use super::*;
use crate::plan::Block;
use crate::plan::Role;
use crate::rehearsal::contacts;
use crate::rehearsal::faults::Fault;
use crate::run::live::Reading;
use crate::run::tests::item;
use crate::run::{Outcome, Sample};
use crate::scratch::Scratch;
use crate::services::posthog::Switch;
use crate::workers::Post;
use crate::workers::import::ImportWorker;
use crate::workers::migrate::MigrateWorker;
use crate::workers::rollout::RolloutWorker;
use crate::workers::testing::{Rig, Setup};

async fn working(setup: Setup) -> Rig {
    let mut rig = Rig::new(setup).await;
    let (kit, jobs) = (rig.kit.clone(), |worker: Arc<dyn Worker>| Post::Jobs(worker));
    rig.posts([
        jobs(Arc::new(VerifyWorker::new(kit.clone()))),
        jobs(Arc::new(MigrateWorker::new(&kit))),
        jobs(Arc::new(ImportWorker::new(kit.clone()))),
        jobs(Arc::new(RolloutWorker::new(kit))),
    ]);
    rig
}

fn proven(outcome: Outcome) -> (String, Option<String>) {
    match outcome {
        Outcome::Succeeded { summary, facts: Facts::Proven { value } } => (summary, value),
        other => panic!("not proven: {other:?}"),
    }
}

fn refused(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed { failure } => failure,
        other => panic!("it should have failed: {other:?}"),
    }
}

fn http(path: &str, contains: Option<&str>) -> Check {
    Check::Http { path: path.into(), contains: contains.map(str::to_owned) }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_health_and_version_are_read_from_outside() {
    let rig = working(Setup::default()).await;
    let (page, _) = proven(rig.prove(http("/contacts", None)).await);
    assert!(page.contains("answered 200") && page.contains("request iad1::"), "{page}");
    proven(rig.prove(http("/contacts", Some("Logos Vision"))).await);
    assert!(refused(rig.prove(http("/contacts", Some("Pulse"))).await).what.contains("does not hold"));
    assert!(proven(rig.prove(Check::Health).await).0.contains("answered otherwise"));
    let old = refused(rig.prove(Check::Version).await);
    assert!(old.what.contains("users get 1.9.4 and not 2.0.0") && !old.next.is_empty(), "{old}");
    rig.go_live().await;
    assert_eq!(proven(rig.prove(Check::Version).await).1.as_deref(), Some("2.0.0"));
    rig.world.inject(Fault::AppDown, None);
    for check in [http("/contacts", None), http("/contacts", Some("Logos")), Check::Health, Check::Version] {
        let down = refused(rig.prove(check).await);
        assert!(down.what.contains("503"), "{down}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_that_cannot_fail_is_refused() {
    let rig = working(Setup { toml: "[app]\nhealth = '/healthz'\n".into(), ..Setup::default() }).await;
    assert!(refused(rig.prove(Check::Health).await).what.contains("cannot fail"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_count_when_they_are_read_back_and_silence_does_not() {
    let rig = working(Setup::default()).await;
    for check in [Check::Sentry, Check::Posthog] {
        let (evidence, _) = proven(rig.prove(check).await);
        assert!(
            evidence.contains("was readable after") && evidence.contains("policy lets browsers"),
            "{evidence}"
        );
    }
    let (pulse, value) = proven(rig.prove(Check::Pulse).await);
    assert!(value.as_deref() == Some("300") && pulse.contains("requests left"), "{pulse}");
    assert_eq!(proven(rig.prove(Check::NewErrors).await).1.as_deref(), Some("0"));
    rig.world.inject(Fault::SentrySilent, None);
    rig.world.inject(Fault::PosthogSilent, None);
    for check in [Check::Sentry, Check::Posthog] {
        let silent = refused(rig.prove(check.clone()).await);
        assert!(!silent.next.is_empty(), "{check:?}: {silent}");
    }
    rig.pass(20);
    assert!(refused(rig.prove(Check::NewErrors).await).what.contains("silence, not health"));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_errors_are_named() {
    let rig = working(Setup::default()).await;
    rig.go_live().await;
    rig.world.inject(Fault::ErrorSpike { rate: 0.12 }, None);
    rig.pass(10);
    let found = refused(rig.prove(Check::NewErrors).await);
    assert!(found.what.contains("new errors in logos-vision-crm@2.0.0: CRM-WEB-"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_proven_when_editor_and_clients_agree() {
    let rig = working(Setup::default()).await;
    // The flag begins as the plan's first stage has it: on for the team, and for nobody else.
    let (first, value) = proven(rig.prove(Check::Flag { share: 10 }).await);
    assert!(value.as_deref() == Some("10 %") && first.contains("0 of 48 strangers"), "{first}");
    assert!(refused(rig.prove(Check::Flag { share: 50 }).await).what.contains("which is not 50 %"));
    for share in [50_u8, 100, 10] {
        let moved = rig.job(JobKind::Rollout { share }).await;
        assert!(matches!(moved, Outcome::Succeeded { .. }), "{moved:?}");
        assert_eq!(proven(rig.prove(Check::Flag { share }).await).1, Some(format!("{share} %")));
    }
    let posthog = rig.kit.posthog().unwrap();
    let flag = posthog.find_flag(rig.kit.flag().unwrap()).await.unwrap().value;
    posthog.switch(&flag.id, Switch::Off).await.unwrap();
    assert!(refused(rig.prove(Check::Flag { share: 10 }).await).what.contains("is off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gauge_is_proven_within_its_target_and_waited_for_while_it_is_blind() {
    let rig = working(Setup { gauges: vec!["error_rate"], ..Setup::default() }).await;
    let sample = |bad: u64| Sample {
        metric: "error_rate".into(),
        at: rig.clock.now(),
        reading: Reading::Value { value: bad as f64 / 2.0, n: 200, bad: Some(bad) },
    };
    let metric = || Check::Metric { name: "error_rate".into() };
    let never = refused(rig.prove(metric()).await);
    assert!(never.what.contains("no reading") && never.what.contains("never read"), "{never}");
    rig.store.sample(sample(0));
    assert_eq!(proven(rig.prove(metric()).await).1.as_deref(), Some("0.00 %"));
    rig.store.sample(sample(4));
    assert!(refused(rig.prove(metric()).await).what.contains("WARN"));
    rig.store.sample(sample(30));
    assert!(refused(rig.prove(metric()).await).what.contains("BAD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_file_and_a_command_of_the_checklist() {
    let block = |text: &str| vec![Block { lang: "bash".into(), text: text.into() }];
    let command = |id: &str, text: &str| Item {
        check: Some(Check::Command),
        commands: block(text),
        ..item(id, Role::Lead)
    };
    let items = vec![
        command("here", "ls .env.production"),
        command("fails", "echo no good; exit 4"),
        item("none", Role::Lead),
    ];
    let rig = working(Setup { items, ..Setup::default() }).await;
    let env = || Check::Env { file: None };
    assert!(refused(rig.prove(env()).await).what.contains("cannot be read"));
    let file = "VITE_SENTRY_DSN=https://k@o1.ingest.us.sentry.io/1\nVITE_POSTHOG_API_KEY=phc_abc\nVITE_PULSE_API_KEY=";
    rig.file(".env.production", &format!("{file}your_pulse_api_key_here\n"));
    assert!(refused(rig.prove(env()).await).what.contains("placeholders: VITE_PULSE_API_KEY"));
    rig.file(".env.production", &format!("{file}pk-1234\nVITE_ROLLOUT_PERCENTAGE=100\n"));
    let all = refused(rig.prove(env()).await);
    assert!(all.what.contains("the plan begins with 10 %"), "{all}");
    rig.file(".env.production", &format!("{file}pk-1234\nVITE_ROLLOUT_PERCENTAGE=10\n"));
    let (evidence, _) = proven(rig.prove(env()).await);
    assert!(evidence.contains("warning: every browser") && !evidence.contains("pk-1234"), "{evidence}");
    assert!(
        proven(rig.run("here").await).0.contains("exit code 0")
            && rig.path().join(".env.production").exists()
    );
    assert!(refused(rig.run("fails").await).what.contains("exit code 4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_answers_for_itself_and_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(&dir.path().join("pg")).await.unwrap();
    scratch.create_database("crm").await.unwrap();
    scratch.load_base_schema("crm").await.unwrap();
    let mut session = scratch.connect("crm").await.unwrap();
    let then = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    contacts::seed(&mut session, 7, 200, then).await.unwrap();
    let fields = Item {
        check: Some(Check::Sql { query: None, expect: Some(">= 4".into()) }),
        commands: vec![Block {
            lang: "sql".into(),
            text: "select count(*) from information_schema.columns -- all of them\nwhere table_name = 'contacts';\n".into(),
        }],
        ..item("fields", Role::Dba)
    };
    let rig =
        working(Setup { database: Some(scratch.url("crm")), items: vec![fields], ..Setup::default() }).await;
    let sql = |query: &str, expect: Option<&str>| Check::Sql {
        query: Some(query.into()),
        expect: expect.map(str::to_owned),
    };
    let (evidence, value) = proven(rig.prove(sql("select count(*) from contacts", Some("200"))).await);
    assert!(value.as_deref() == Some("200") && evidence.contains("database \"postgres\" at"), "{evidence}");
    assert_eq!(
        proven(rig.prove(sql("select 1.50::numeric, 'x'", Some("1.5"))).await).1.as_deref(),
        Some("1.50")
    );
    assert!(proven(rig.run("fields").await).0.contains("expected >= 4"));
    proven(rig.prove(sql("select true", None)).await);
    let bad = [
        ("select count(*) from contacts", Some("< 1"), "the answer is 200"),
        ("select null::int", None, "null"),
        ("select 1 where false", None, "no row"),
        ("select nonsense", None, "nonsense"),
        ("delete from contacts returning 1", None, "syntax error"),
        (
            "select 1) as a (answer); commit; delete from contacts; select * from (select 1",
            None,
            "cannot insert multiple commands",
        ),
        ("select set_config('transaction_read_only', 'off', true)", None, "read-write mode"),
    ];
    for (query, expect, what) in bad {
        let failed = refused(rig.prove(sql(query, expect)).await);
        assert!(failed.what.contains(what), "{query}: {failed}");
    }

    // Before the migrations their checks do not hold; after them they do.
    let every = || Check::Migrations { only: None };
    assert!(refused(rig.prove(every()).await).what.contains("003 is not applied"));
    assert!(refused(rig.prove(Check::Migrations { only: Some(9) }).await).what.contains("no migration 009"));
    assert!(!refused(rig.prove(Check::Import).await).next.is_empty());
    assert!(matches!(rig.job(JobKind::Backup).await, Outcome::Succeeded { .. }));
    let up = rig.job(JobKind::MigrateUp { to: None }).await;
    assert!(matches!(up, Outcome::Succeeded { .. }), "{up:?}");
    assert!(proven(rig.prove(every()).await).0.contains("checks passed (001: "));
    sqlx::raw_sql("DROP INDEX idx_contacts_pulse_tags").execute(&mut session).await.unwrap();
    assert!(refused(rig.prove(every()).await).what.contains("idx_contacts_pulse_tags"));
    let import = rig.job(JobKind::Import).await;
    assert!(matches!(import, Outcome::Succeeded { .. }), "{import:?}");
    let (evidence, value) = proven(rig.prove(Check::Import).await);
    assert!(
        value.is_some() && evidence.contains("all 300 profiles of Pulse are accounted for"),
        "{evidence} {value:?}"
    );
    sqlx::raw_sql("DELETE FROM entity_mappings WHERE id = (SELECT id FROM entity_mappings LIMIT 1)")
        .execute(&mut session)
        .await
        .unwrap();
    assert!(refused(rig.prove(Check::Import).await).what.contains("299 are accounted for"));
    session.close().await.unwrap();
}
