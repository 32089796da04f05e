//! Applications that are well, ill, absent, or only a page.

use serde_json::json as object;

use super::*;
use crate::services::testing::{Say, Vendor, json, text};

const INDEX: &str = r#"<!doctype html>
<html><head><meta charset="utf-8"><meta name="version" content="2.0.0">
<meta http-equiv="Content-Security-Policy" content="default-src 'self'; connect-src 'self' https://us.i.posthog.com">
<title>Logos Vision</title><script type="module" crossorigin src="/assets/index-4f2a9c.js"></script>
<link rel="icon" href="/logo.svg"><link rel="stylesheet" href="/assets/index-77aa.css"></head><body></body></html>"#;

fn probe(vendor: &Vendor) -> Probe {
    Probe::new(vendor.url.clone(), Duration::from_millis(300), vendor.clock.clone()).unwrap()
}

async fn health_of(said: Say) -> HealthState {
    let vendor = Vendor::script(vec![said]).await;
    let health = probe(&vendor).health("/health").await;
    assert_eq!(vendor.seen().len(), 1, "one probe is one sample");
    health.state
}

#[tokio::test]
async fn well_is_said_in_many_ways() {
    let said = json(
        200,
        &object!({"status": "ok", "version": "2.0.0", "commit": "6ba09a7c", "checks": {"database": "ok"}}),
    );
    let well = HealthState::Healthy { version: Some("2.0.0".into()), commit: Some("6ba09a7c".into()) };
    assert_eq!(health_of(said).await, well);
    for said in [
        json(200, &object!({"status": "UP"})),
        json(200, &object!({"status": "pass"})),
        text(200, "healthy\n"),
        json(200, &object!("OK")),
    ] {
        assert!(health_of(said.clone()).await.is_healthy(), "{said:?}");
    }
}

#[tokio::test]
async fn everything_else_is_not_well_and_says_why() {
    for (said, expected) in [
        (json(503, &object!({"status": "error"})), "error"),
        (
            json(
                200,
                &object!({"status": "fail", "checks": {"database": "down", "cache": {"status": "ok"}}}),
            ),
            "says fail (database: down)",
        ),
        (json(200, &object!({})), "says nothing about its state"),
        (text(200, "hello"), "neither ok nor healthy"),
        (text(200, ""), "neither ok nor healthy"),
        (text(502, "<html><body>Bad Gateway</body></html>"), "status 502"),
        (text(302, "").with("location", "/login"), "status 302"),
    ] {
        let state = health_of(said).await;
        assert!(
            matches!(&state, HealthState::Unhealthy { why, .. } if why.contains(expected)),
            "{expected}: {state:?}"
        );
    }
    assert_eq!(health_of(text(200, INDEX)).await, HealthState::CatchAll);
    assert!(
        matches!(health_of(Say::Hang).await, HealthState::Unreachable(why) if why.contains("no answer within"))
    );
}

#[tokio::test]
async fn a_check_that_cannot_fail_is_found_out() {
    let catch_all = Vendor::script(vec![text(200, INDEX)]).await;
    assert_eq!(probe(&catch_all).can_fail("/health").await, CanFail::No);
    let always_ok = Vendor::script(vec![text(200, "ok")]).await;
    assert_eq!(probe(&always_ok).can_fail("/health").await, CanFail::No);
    let honest =
        Vendor::start(|seen, _| if seen.path == "/health" { text(200, "ok") } else { text(200, INDEX) })
            .await;
    assert_eq!(
        probe(&honest).can_fail("/health").await,
        CanFail::Yes,
        "a catch-all beside a real check is no harm"
    );
    let gone = Vendor::script(vec![Say::Hang]).await;
    assert!(matches!(probe(&gone).can_fail("/health").await, CanFail::Unknown(_)));
}

#[tokio::test]
async fn no_cache_answers_for_the_application() {
    let vendor =
        Vendor::script(vec![text(200, "ok").with("x-vercel-cache", "HIT"), text(200, "ok").with("age", 0)])
            .await;
    let probe = probe(&vendor);
    assert_eq!(probe.health("/health").await.cached.as_deref(), Some("x-vercel-cache: HIT"));
    assert_eq!(probe.health("/health").await.cached, None);
    let seen = vendor.seen();
    assert_eq!(seen[0].header("cache-control"), "no-cache");
    assert_ne!(seen[0].query, seen[1].query);
}

#[tokio::test]
async fn the_version_is_read_from_the_marker_or_the_page() {
    let marked = Vendor::script(vec![json(200, &object!({"version": "2.0.0", "commit": "6ba09a7c"}))]).await;
    let marker = probe(&marked).marker().await.unwrap().value;
    assert_eq!((marker.version.as_deref(), marker.is_version("1.9.0")), (Some("2.0.0"), Some(false)));
    let catch_all = Vendor::script(vec![text(200, INDEX)]).await;
    let marker = probe(&catch_all).marker().await.unwrap().value;
    assert_eq!((marker.version.as_deref(), marker.assets.len()), (Some("2.0.0"), 2));
    let mute = Vendor::script(vec![text(200, "<!doctype html><p>hello</p>")]).await;
    assert!(probe(&mute).marker().await.is_err());
}

#[tokio::test]
async fn a_policy_that_lacks_a_monitoring_host_is_found() {
    let vendor = Vendor::script(vec![
        text(200, INDEX),
        text(404, "<!doctype html>nothing here"),
        json(200, &object!({})),
    ])
    .await;
    let probe = probe(&vendor);
    let page = probe.page("/contacts").await.unwrap().value;
    assert_eq!(page.title.as_deref(), Some("Logos Vision"));
    let hosts = ["https://us.i.posthog.com/", "https://o123.ingest.us.sentry.io/"]
        .map(|url| url.parse::<Url>().unwrap());
    assert_eq!(page.forbidden(&hosts), [&hosts[1]]);
    assert!(probe.page("/contacts").await.unwrap_err().is_not_found());
    assert!(probe.page("/contacts").await.is_err(), "JSON is no page");
}
