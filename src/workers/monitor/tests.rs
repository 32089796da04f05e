//! The gauges over real sockets and a real database, on a fast clock.

use std::sync::Arc;

use chrono::TimeDelta;

use super::*;
use crate::rehearsal::faults::{Fault, Vendor};
use crate::run::event::Event;
use crate::scratch::Scratch;
use crate::services::posthog::Switch;
use crate::workers::Post;
use crate::workers::testing::{Rig, Setup};

async fn watching(setup: Setup) -> Rig {
    let mut rig = Rig::new(setup).await;
    rig.posts([Post::Standing(Arc::new(Monitor::new(rig.kit.clone())))]);
    rig
}

fn verdict(state: &State, metric: &str) -> Option<Verdict> {
    state.health.get(&metric.into()).map(|health| health.verdict)
}

fn blind(state: &State, metric: &str, wanted: Blind) -> bool {
    verdict(state, metric) == Some(Verdict::CannotTell { why: wanted })
}

fn latest(rig: &Rig, metric: &str) -> Option<Reading> {
    rig.store.live().borrow().latest(&metric.into()).map(|sample| sample.reading.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_spike_fires_within_five_minutes_and_the_flag_ends_it() {
    // Five minutes of this clock must be long for a busy machine too.
    let rig = watching(Setup { speed: 40.0, gauges: vec!["error_rate"], ..Setup::default() }).await;
    rig.go_live().await;
    rig.until("calm", |state| verdict(state, "error_rate") == Some(Verdict::Ok)).await;
    let began = rig.clock.now();
    rig.world.inject(Fault::ErrorSpike { rate: 0.12 }, None);
    let state = rig.until("the alert", |state| state.alerts.contains_key(&"error_rate".into())).await;
    let alert = &state.alerts[&"error_rate".into()];
    let took = alert.fired - began;
    assert!(took < TimeDelta::minutes(5), "{took}: {alert:?}");
    assert!(
        alert.reading.contains('%') && alert.reading.contains("n "),
        "counts stand beside the rate: {alert:?}"
    );
    let posthog = rig.kit.posthog().unwrap();
    let flag = posthog.find_flag(rig.kit.flag().unwrap()).await.unwrap().value;
    posthog.switch(&flag.id, Switch::Off).await.unwrap();
    rig.until("quiet", |state| state.alerts.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_never_good() {
    let rig = watching(Setup { gauges: vec!["error_rate", "page_load"], ..Setup::default() }).await;
    rig.until("both good", |state| {
        ["error_rate", "page_load"].iter().all(|metric| verdict(state, metric) == Some(Verdict::Ok))
    })
    .await;
    // First one observer alone: what it counts is no zero while the other sees people.
    rig.world.inject(Fault::SentrySilent, None);
    rig.until("no error rate", |state| blind(state, "error_rate", Blind::NoData)).await;
    let said = format!("{:?}", latest(&rig, "error_rate"));
    assert!(said.contains("drops events") || said.contains("silence"), "{said}");
    rig.world.inject(Fault::PosthogSilent, None);
    let state = rig.until("no load time", |state| blind(state, "page_load", Blind::NoData)).await;
    let since = state.seq;
    let later = rig.clock.now() + TimeDelta::minutes(20);
    rig.clock.sleep_until(later).await;
    let good = rig.store.records(since + 1, 1_000).await.unwrap().into_iter().find(|record| {
        matches!(record.event, Event::VerdictChanged { verdict: Verdict::Ok | Verdict::Warn, .. })
    });
    assert!(good.is_none(), "{good:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_is_down_is_a_bad_probe_and_an_alert() {
    let rig = watching(Setup { gauges: vec!["uptime"], ..Setup::default() }).await;
    rig.until("up", |state| verdict(state, "uptime") == Some(Verdict::Ok)).await;
    rig.world.inject(Fault::AppDown, None);
    let state = rig.until("the alert", |state| state.alerts.contains_key(&"uptime".into())).await;
    assert_eq!(verdict(&state, "uptime"), Some(Verdict::Bad));
    rig.world.clear_all();
    rig.until("up again", |state| state.alerts.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_that_cannot_fail_proves_no_uptime() {
    let toml = "[app]\nhealth = '/healthz'\n".to_owned();
    let rig = watching(Setup { toml, gauges: vec!["uptime"], ..Setup::default() }).await;
    let state = rig.until("blind", |state| blind(state, "uptime", Blind::NoData)).await;
    assert!(state.health[&"uptime".into()].reading.contains("cannot fail"), "{:?}", state.health);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_or_hangs_blinds_its_own_gauge_only_and_comes_back() {
    let rig = watching(Setup { gauges: vec!["page_load", "uptime"], ..Setup::default() }).await;
    rig.until("read", |state| verdict(state, "page_load") == Some(Verdict::Ok)).await;
    rig.world.inject(Fault::Hang { vendor: Vendor::Posthog }, None);
    let state = rig.until("stale", |state| blind(state, "page_load", Blind::Stale)).await;
    assert_eq!(verdict(&state, "uptime"), Some(Verdict::Ok));
    assert!(state.health[&"page_load".into()].reading.starts_with("no reading since"), "{:?}", state.health);
    rig.world.clear_all();
    rig.until("read again", |state| verdict(state, "page_load") == Some(Verdict::Ok)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gauge_of_no_source_and_one_of_no_service_say_so() {
    let toml = "
        [metrics.tickets]
        source = 'helpdesk'
        unit = 'count'
        better = 'lower'
        target = 5
        alert = 20
        "
    .to_owned();
    let rig = watching(Setup { toml, gauges: vec!["tickets", "database_p95"], ..Setup::default() }).await;
    let state = rig
        .until("both fail", |state| {
            ["tickets", "database_p95"].iter().all(|metric| blind(state, metric, Blind::Failing))
        })
        .await;
    let said = |metric: &str| state.health[&metric.into()].reading.clone();
    assert!(said("tickets").contains("no source \"helpdesk\""), "{}", said("tickets"));
    assert!(said("database_p95").contains("GONOGO_TEST_DATABASE_URL"), "{}", said("database_p95"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_timed_by_a_canary_else_by_its_own_counts_and_gone_is_failed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("pg");
    let mut scratch = Scratch::start(&at).await.unwrap();
    scratch.create_database("crm").await.unwrap();
    scratch.load_base_schema("crm").await.unwrap();
    let mut session = scratch.connect("crm").await.unwrap();
    sqlx::raw_sql("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        .execute(&mut session)
        .await
        .unwrap();
    drop(session);
    let setup =
        |url| Setup { speed: 60.0, database: Some(url), gauges: vec!["database_p95"], ..Setup::default() };

    let rig = watching(setup(scratch.url("crm"))).await;
    rig.until("timed", |state| verdict(state, "database_p95") == Some(Verdict::Ok)).await;
    let Some(Reading::Value { value, n, .. }) = latest(&rig, "database_p95") else { panic!("a number") };
    assert!(value > 0.0 && value < 500.0 && n >= 20, "{value} ms of {n}");
    scratch.stop().await.unwrap();
    rig.until("gone", |state| blind(state, "database_p95", Blind::Failing)).await;

    // Loaded at this start, the server counts for itself.
    scratch = Scratch::start(&at).await.unwrap();
    let mut session = scratch.connect("crm").await.unwrap();
    sqlx::raw_sql("CREATE EXTENSION pg_stat_statements").execute(&mut session).await.unwrap();
    let rig = watching(setup(scratch.url("crm"))).await;
    rig.until("counted, and nobody asks", |state| blind(state, "database_p95", Blind::NoData)).await;
    let slow = async {
        loop {
            sqlx::query("SELECT pg_sleep(0.02) FROM (SELECT count(*) FROM contacts) c")
                .execute(&mut session)
                .await
                .unwrap();
        }
    };
    let read = rig.until("counted", |state| verdict(state, "database_p95") == Some(Verdict::Ok));
    tokio::select! {
        () = slow => {}
        _ = read => {}
    }
    let Some(Reading::Value { value, n, .. }) = latest(&rig, "database_p95") else { panic!("a number") };
    assert!(value >= 20.0 && n >= 20, "{value} ms of {n}");
}
