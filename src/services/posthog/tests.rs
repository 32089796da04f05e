//! PostHog's queries, flags and events, and the changes that it accepts without making them.

use std::collections::HashMap;

use serde_json::json as object;

use super::*;
use crate::services::error::{Effect, Fault};
use crate::services::testing::{SECRET, Say, Vendor, json, secret, text};

fn posthog(vendor: &Vendor) -> PostHog {
    let config = Config {
        api: vendor.url.clone(),
        ingest: vendor.url.clone(),
        project: "81422".into(),
        personal_key: secret(),
        project_key: Some("phc_public0123456789".into()),
    };
    PostHog::new(&config, vendor.clock.clone()).unwrap()
}

fn flag(version: u64, active: bool, share: f64) -> Value {
    object!({"id": 30571, "key": "contacts_redesign", "active": active, "deleted": false, "version": version, "surprise": 1,
        "filters": {"groups": [
            {"properties": [{"key": "email", "value": "@logosvision.com"}], "rollout_percentage": 100, "variant": null, "description": "internal"},
            {"properties": [], "rollout_percentage": share, "variant": null}],
            "multivariate": null, "payloads": {}}})
}

fn rows(columns: &[&str], results: &Value) -> Say {
    json(
        200,
        &object!({"columns": columns, "results": results, "error": null, "query_status": null, "is_cached": false}),
    )
}

#[tokio::test]
async fn the_live_numbers_come_in_one_uncached_statement() {
    let columns = [
        "page_views",
        "people",
        "exceptions",
        "affected_people",
        "sessions",
        "bad_sessions",
        "lcp_p95",
        "lcp_n",
        "load_p95",
        "load_n",
        "newest_page_view",
    ];
    let vendor = Vendor::script(vec![
        rows(&columns, &object!([[500, 40, 2, 1, 60, 1, 1873.5, 480, null, 0, "2026-10-03T15:41:00Z"]])),
        rows(&columns, &object!([[0, 0, 0, 0, 0, 0, 0.0, 0, "nan", 0, "1970-01-01T00:00:00Z"]])),
    ])
    .await;
    let posthog = posthog(&vendor);
    let live = posthog.reading(Duration::from_mins(15)).await.unwrap().value;
    assert_eq!(
        (live.page_views, live.bad_sessions, live.lcp_p95_ms, live.load_p95_ms),
        (Some(500), Some(1), Some(1873.5), None)
    );
    assert!(live.newest_page_view.is_some());
    let silent = posthog.reading(Duration::from_mins(15)).await.unwrap().value;
    assert_eq!((silent.page_views, silent.lcp_p95_ms, silent.newest_page_view), (Some(0), None, None));
    let body = vendor.seen()[0].json();
    assert_eq!(body["refresh"], "force_blocking");
    assert!(body["query"]["query"].as_str().unwrap().contains("timestamp >= now() - INTERVAL 900 SECOND"));
}

#[tokio::test]
async fn a_promised_answer_is_waited_for() {
    let status = |complete: bool, results: Value| object!({"query_status": {"id": "q-1", "complete": complete, "error": false, "results": results}});
    let done = status(true, object!({"columns": ["n"], "results": [[31]]}));
    let vendor = Vendor::script(vec![
        json(202, &status(false, Value::Null)),
        json(202, &status(false, Value::Null)),
        json(200, &done),
    ])
    .await;
    let query = Hogql { statement: "SELECT 1".into(), values: serde_json::Map::new(), name: "n" };
    let answer = posthog(&vendor).query(&query).await.unwrap().value;
    assert_eq!(answer.count(0, "n"), Some(31));
    assert_eq!(vendor.seen()[1].path, "/api/projects/81422/query/q-1/");

    let failed = object!({"query_status": {"id": "q-1", "complete": true, "error": true, "error_message": "memory limit"}});
    let vendor = Vendor::script(vec![json(202, &failed)]).await;
    let error = posthog(&vendor).query(&query).await.unwrap_err();
    assert!(error.to_string().contains("memory limit"), "{error}");
    assert_eq!(error.effect(), Effect::Nothing, "a query changes nothing");
}

#[tokio::test]
async fn no_more_than_two_queries_run_at_once() {
    let vendor = std::sync::Arc::new(Vendor::script(vec![Say::Hang]).await);
    let posthog = std::sync::Arc::new(posthog(&vendor));
    let asked: Vec<_> = (0..4)
        .map(|_| {
            let posthog = std::sync::Arc::clone(&posthog);
            tokio::spawn(async move { posthog.reading(Duration::from_mins(1)).await.map(|_| ()) })
        })
        .collect();
    let two = async {
        while vendor.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), two).await.expect("two are asked");
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(vendor.seen().len(), 2);
    asked.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_flag_is_found_by_its_exact_key_across_pages_whatever_host_next_names() {
    let other = object!({"id": 1, "key": "contacts_redesign_old", "active": true});
    let vendor = Vendor::start(move |seen, n| {
        if n == 0 {
            assert_eq!(seen.param("search").as_deref(), Some("contacts_redesign"));
            return json(200, &object!({"count": 101, "results": [other],
                "next": "https://internal.wrong:8000/api/projects/81422/feature_flags/?limit=100&offset=100&search=contacts_redesign"}));
        }
        assert_eq!(seen.param("offset").as_deref(), Some("100"));
        json(200, &object!({"count": 101, "next": null, "results": [flag(7, true, 10.0)]}))
    })
    .await;
    let found = posthog(&vendor).find_flag("contacts_redesign").await.unwrap().value;
    assert_eq!((found.id.as_str(), found.version, found.switch), ("30571", Some(7), Switch::On));
    assert_eq!(found.groups[1].share, Some(10.0));

    let vendor = Vendor::script(vec![json(200, &object!({"count": 0, "next": null, "results": []}))]).await;
    let error = posthog(&vendor).find_flag("contacts-redesign").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn a_share_is_set_with_whole_filters_and_a_lock() {
    let vendor = Vendor::script(vec![json(200, &flag(7, true, 10.0)), json(200, &flag(8, true, 50.0))]).await;
    let posthog = posthog(&vendor);
    let before = posthog.flag("30571").await.unwrap().value;
    let after = posthog.set_shares(&before, &HashMap::from([(1, 50.0)])).await.unwrap().value;
    assert_eq!(after.version, Some(8));
    let sent = vendor.seen()[1].json();
    assert_eq!(
        sent["filters"]["groups"].as_array().unwrap().len(),
        2,
        "all groups, not only the changed one"
    );
    assert_eq!(sent["filters"]["groups"][1]["rollout_percentage"], object!(50));
    assert_eq!((&sent["version"], &sent["original_flag"]["version"]), (&object!(7), &object!(7)));
}

#[tokio::test]
async fn a_change_that_was_ignored_overtaken_or_lost_is_noticed() {
    let before = Flag::read_for_tests(flag(7, true, 10.0));
    let shares = HashMap::from([(1, 50.0)]);

    let vendor = Vendor::script(vec![json(200, &flag(7, true, 10.0))]).await;
    let ignored = posthog(&vendor).set_shares(&before, &shares).await.unwrap_err();
    assert!(matches!(ignored.fault(), Fault::NotProven(_)), "{ignored}");

    let vendor = Vendor::script(vec![json(409, &object!({"type": "server_error", "code": "conflict", "detail": "The feature flag was updated by jane since"}))]).await;
    let overtaken = posthog(&vendor).set_shares(&before, &shares).await.unwrap_err();
    assert!(matches!(overtaken.fault(), Fault::Conflict(_)), "{overtaken}");

    let vendor = Vendor::script(vec![Say::Reset, json(200, &flag(8, true, 50.0))]).await;
    let lost = posthog(&vendor).set_shares(&before, &shares).await.unwrap();
    assert_eq!(lost.value.version, Some(8), "the answer was lost, the change was not");
    assert_eq!(vendor.seen().iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["PATCH", "GET"]);

    let vendor = Vendor::script(vec![json(200, &flag(8, true, 50.0))]).await;
    let outside = posthog(&vendor).set_shares(&before, &HashMap::from([(5, 1.0)])).await.unwrap_err();
    assert!(matches!(outside.fault(), Fault::Setup(_)), "{outside}");
    assert!(vendor.seen().is_empty());
}

#[tokio::test]
async fn switching_off_takes_no_lock_and_is_repeated() {
    let vendor = Vendor::script(vec![text(502, "<html>"), json(200, &flag(8, false, 10.0))]).await;
    let off = posthog(&vendor).switch("30571", Switch::Off).await.unwrap().value;
    assert_eq!(off.switch, Switch::Off);
    assert_eq!(vendor.seen()[1].json(), object!({"active": false}));
}

fn probe() -> Probe {
    Probe { distinct_id: "gonogo-probe-1".into(), person_properties: serde_json::Map::new() }
}

#[tokio::test]
async fn errors_and_quota_make_a_flag_unknown_and_absence_off() {
    let on = object!({"errorsWhileComputingFlags": false, "flags": {"contacts_redesign": {"enabled": true, "variant": null,
        "reason": {"code": "condition_match"}, "metadata": {"version": 7}}}});
    for (body, expected) in [
        (on, "On"),
        (object!({"errorsWhileComputingFlags": true, "flags": {}}), "Unknown"),
        (
            object!({"errorsWhileComputingFlags": false, "flags": {}, "quotaLimited": ["feature_flags"]}),
            "Unknown",
        ),
        (object!({"errorsWhileComputingFlags": false, "flags": {}}), "Off"),
        (object!({"unexpected": true}), "Unknown"),
    ] {
        let vendor = Vendor::script(vec![json(200, &body)]).await;
        let seen = posthog(&vendor).evaluate("contacts_redesign", &probe()).await.unwrap().value;
        assert!(format!("{seen:?}").starts_with(expected), "{body}: {seen:?}");
        assert_eq!((vendor.seen()[0].path.as_str(), vendor.seen()[0].query.as_str()), ("/flags/", "v=2"));
    }
}

#[tokio::test]
async fn a_change_has_arrived_when_clients_see_its_version() {
    let seen = |version: u64, enabled: bool| {
        json(
            200,
            &object!({"errorsWhileComputingFlags": false, "flags": {"contacts_redesign": {"enabled": enabled, "metadata": {"version": version}}}}),
        )
    };
    let vendor = Vendor::script(vec![seen(7, true), seen(7, false), seen(8, false)]).await;
    let written = Flag::read_for_tests(flag(8, false, 10.0));
    posthog(&vendor).await_flag(&written, &probe(), Switch::Off, Duration::from_hours(10)).await.unwrap();
    assert_eq!(vendor.seen().len(), 3, "off at version 7 is not yet the change");

    let vendor = Vendor::script(vec![seen(7, true)]).await;
    let error = posthog(&vendor)
        .await_flag(&written, &probe(), Switch::Off, Duration::from_secs(10))
        .await
        .unwrap_err();
    assert!(matches!(error.fault(), Fault::NotProven(_)), "{error}");
}

#[tokio::test]
async fn an_event_is_read_back_when_it_appears() {
    let vendor = Vendor::start(|seen, n| match n {
        0 => {
            assert_eq!((seen.path.as_str(), &seen.json()["event"]), ("/i/v0/e/", &object!("gonogo_check")));
            json(200, &object!({"status": "Ok"}))
        }
        1 => rows(&["uuid", "event", "timestamp"], &object!([])),
        _ => rows(&["uuid", "event", "timestamp"], &object!([["x", "gonogo_check", "2026-10-03T14:45:00Z"]])),
    })
    .await;
    let seen = posthog(&vendor).prove("7f3a", Duration::from_hours(10)).await.unwrap().value;
    assert!(seen.timestamp.is_some() && seen.waited >= Duration::from_secs(2));
    assert_eq!(vendor.seen()[1].json()["query"]["values"]["uuid"], vendor.seen()[0].json()["uuid"]);

    let vendor =
        Vendor::script(vec![json(200, &object!({"status": "Ok", "quota_limited": ["events"]}))]).await;
    let error = posthog(&vendor).prove("7f3a", Duration::from_hours(10)).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Quota(_)), "{error}");
}

#[tokio::test]
async fn refusals_are_put_into_words() {
    let scope = object!({"type": "authentication_error", "code": "permission_denied", "detail": "API key missing required scope 'feature_flag:write'", "attr": null});
    let vendor = Vendor::script(vec![json(403, &scope)]).await;
    let error = posthog(&vendor).switch("1", Switch::Off).await.unwrap_err();
    assert!(
        matches!(error.fault(), Fault::Forbidden { missing: Some(scope), .. } if scope == "feature_flag:write")
    );

    let vendor = Vendor::script(vec![text(401, "API key is not valid: phx_abcdefgh12345")]).await;
    let error = posthog(&vendor).send_check("x").await.unwrap_err();
    assert!(
        matches!(error.fault(), Fault::Unauthenticated(detail) if detail.contains("API key is not valid")),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("abcdefgh"));

    let vendor = Vendor::script(vec![text(429, "billing limit reached")]).await;
    let error = posthog(&vendor).send_check("x").await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Quota(_)), "{error}");
    assert_eq!(vendor.seen().len(), 1, "waiting does not pay the bill");

    let vendor =
        Vendor::script(vec![text(429, "{}").with("retry-after", 62), json(200, &flag(7, true, 10.0))]).await;
    posthog(&vendor).flag("1").await.unwrap();
    let seen = vendor.seen();
    assert!(seen[1].at - seen[0].at >= chrono::TimeDelta::seconds(62));
}

#[test]
fn keys_in_the_wrong_place_are_named_and_not_shown() {
    let url: Url = "https://us.posthog.com".parse().unwrap();
    let config = |personal: &str, public: &str| Config {
        api: url.clone(),
        ingest: url.clone(),
        project: "1".into(),
        personal_key: personal.into(),
        project_key: Some(public.into()),
    };
    let error = PostHog::new(&config(&format!("phc_{SECRET}"), "phc_x"), Clock::wall()).unwrap_err();
    assert!(
        error.to_string().contains("a project key (phc_…) stands in the place of a personal key"),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains(SECRET));
    let error = PostHog::new(&config("phx_1", &format!("phx_{SECRET}")), Clock::wall()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET));
    let good = PostHog::new(&config(&format!("phx_{SECRET}"), "phc_x"), Clock::wall()).unwrap();
    assert!(!format!("{good:?}").contains(SECRET));
}

#[tokio::test]
async fn an_annotation_is_made_once() {
    let vendor = Vendor::script(vec![json(201, &object!({"id": 5512, "content": "x"}))]).await;
    let id = posthog(&vendor).annotate("Deployment", vendor.clock.now()).await.unwrap().value;
    assert_eq!(id, "5512");
    let vendor = Vendor::script(vec![text(504, "gateway")]).await;
    let error = posthog(&vendor).annotate("Deployment", vendor.clock.now()).await.unwrap_err();
    assert_eq!((error.effect(), vendor.seen().len()), (Effect::Unknown, 1));
}
