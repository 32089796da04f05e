//! Sentry's shapes, its older ones too, and what may be missing in them.

use serde_json::json as object;

use super::*;
use crate::services::error::{Effect, Fault};
use crate::services::testing::{SECRET, Say, Seen, Vendor, json, secret, text};

const KEY: &str = "60120449b6b1d5e45f75561e6dabd80b";

fn sentry(vendor: &Vendor) -> Sentry {
    let dsn = vendor.url.as_str().replace("http://", &format!("http://{KEY}@")) + "4509062593708032";
    let config = Config {
        api: vendor.url.clone(),
        dsn: Some(SecretString::from(dsn)),
        org: "logos".into(),
        project: "crm-web".into(),
        environment: Some("production".into()),
        token: secret(),
    };
    Sentry::new(config, vendor.clock.clone()).unwrap()
}

/// Answers the project look-up, and everything else by `rest`.
async fn with_project(rest: impl Fn(&Seen, usize) -> Say + Send + Sync + 'static) -> Vendor {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Vendor::start(move |seen, _| {
        if seen.path == "/api/0/projects/logos/crm-web/" {
            return json(200, &object!({"id": 4_509_062_593_708_032_u64, "slug": "crm-web", "new": [1]}));
        }
        rest(seen, asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    })
    .await
}

const QUARTER: Window = Window::Last(Duration::from_mins(15));

#[tokio::test]
async fn errors_and_page_loads_are_counted_apart_and_null_is_no_data() {
    let vendor = with_project(|seen, _| {
        assert_eq!(seen.path, "/api/0/organizations/logos/events/");
        assert_eq!(seen.param("project").as_deref(), Some("4509062593708032"), "the number, not the slug");
        assert_eq!(seen.param("statsPeriod").as_deref(), Some("15m"));
        assert_eq!(seen.param("environment").as_deref(), Some("production"));
        match seen.param("dataset").as_deref() {
            Some("errors") => {
                assert!(seen.param("query").unwrap().contains("!has:gonogo.check"));
                json(200, &object!({"data": [{"count()": 12, "count_unique(user)": "7"}], "meta": {}}))
            }
            _ => json(200, &object!({
                "data": [{"count()": 1840.0, "p95(span.duration)": 1873.0, "p95(measurements.lcp)": null}],
                "meta": {"dataScanned": "partial", "surprise": {}}, "confidence": []
            })),
        }
    })
    .await;
    let sentry = sentry(&vendor);
    let errors = sentry.errors(QUARTER, Some("logos-vision-crm@2.0.0")).await.unwrap().value;
    assert_eq!(errors, ErrorCounts { events: Some(12), users: Some(7) });
    let loads = sentry.page_loads(QUARTER, None).await.unwrap().value;
    assert_eq!(loads.count, Some(1840));
    assert_eq!((loads.duration_p95_ms, loads.lcp_p95_ms, loads.estimated), (Some(1873.0), None, true));
    let lookups = vendor.seen().iter().filter(|seen| seen.path.starts_with("/api/0/projects")).count();
    assert_eq!(lookups, 1, "the number is looked up once");
}

#[tokio::test]
async fn no_rows_are_no_data() {
    let vendor = with_project(|_, _| json(200, &object!({"data": [], "meta": {}}))).await;
    let sentry = sentry(&vendor);
    assert_eq!(sentry.errors(QUARTER, None).await.unwrap().value, ErrorCounts { events: None, users: None });
}

#[tokio::test]
async fn a_project_given_by_number_needs_no_look_up() {
    let vendor = Vendor::script(vec![json(200, &object!({"data": [{"count()": 0}]}))]).await;
    let config = Config { project: "4509062593708032".into(), ..sentry(&vendor).config };
    let counts =
        Sentry::new(config, vendor.clock.clone()).unwrap().errors(QUARTER, None).await.unwrap().value;
    assert_eq!(counts.events, Some(0), "a zero that was counted is a zero");
    assert_eq!(vendor.seen()[0].param("project").as_deref(), Some("4509062593708032"));
}

#[tokio::test]
async fn incomplete_buckets_are_left_out() {
    let vendor = with_project(|_, _| {
        json(200, &object!({"meta": {}, "timeSeries": [{"yAxis": "count()", "values": [
            {"timestamp": 1_759_500_000_000_u64, "value": 3, "incomplete": false, "sampleCount": 142},
            {"timestamp": 1_759_500_060_000_u64, "value": null, "incomplete": false},
            {"timestamp": 1_759_500_120_000_u64, "value": 0, "incomplete": true, "incompleteReason": "INCOMPLETE_BUCKET"}
        ], "meta": {"interval": 3600}}]}))
    })
    .await;
    let series =
        sentry(&vendor).series(Dataset::Errors, "count()", "", QUARTER, Duration::from_mins(1)).await;
    let series = series.unwrap().value;
    assert_eq!(series.buckets.iter().map(|bucket| bucket.value).collect::<Vec<_>>(), [Some(3.0), None]);
    assert_eq!((series.interval, series.buckets[0].samples), (Duration::from_mins(1), Some(142)));
}

#[tokio::test]
async fn an_older_server_is_asked_in_the_older_way() {
    let vendor = with_project(|seen, _| {
        if seen.path.ends_with("/events-timeseries/") {
            return json(404, &object!({"detail": "The requested resource does not exist"}));
        }
        assert_eq!(seen.param("interval").as_deref(), Some("1m"));
        let now = seen.at.timestamp();
        json(200, &object!({"data": [[now - 600, [{"count": 4}]], [now - 540, [{"count": 0}]], [now + 3600, [{"count": 1}]]]}))
    })
    .await;
    let series =
        sentry(&vendor).series(Dataset::Errors, "count()", "", QUARTER, Duration::from_mins(1)).await;
    let values: Vec<_> = series.unwrap().value.buckets.iter().map(|bucket| bucket.value).collect();
    assert_eq!(values, [Some(4.0), Some(0.0)], "the newest is not settled yet");
}

#[tokio::test]
async fn issues_are_followed_until_next_has_no_results() {
    let issue = |n: usize| {
        object!({"id": n, "shortId": "CRM-WEB-1", "title": "TypeError", "count": "12", "userCount": 7,
        "firstSeen": "2026-10-03T14:41:19.403000Z", "substatus": "never seen before"})
    };
    let vendor = with_project(move |seen, n| {
        assert!(seen.param("query").unwrap().contains("first-release:logos-vision-crm@2.0.0"));
        let results = n == 0;
        let link = format!(
            "<https://us.sentry.io/x/?cursor=0:0:1>; rel=\"previous\"; results=\"false\"; cursor=\"0:0:1\", \
             <https://us.sentry.io/x/?cursor=0:100:0>; rel=\"next\"; results=\"{results}\"; cursor=\"0:100:0\""
        );
        assert_eq!(seen.param("cursor").as_deref(), (n == 1).then_some("0:100:0"));
        let count = if n == 0 { 100 } else { 20 };
        let page: Vec<_> = (0..count).map(|i| issue(n * 100 + i)).collect();
        json(200, &Value::from(page)).with("link", link).with("x-hits", 120)
    })
    .await;
    let list =
        sentry(&vendor).new_issues(&NewSince::Release("logos-vision-crm@2.0.0".into())).await.unwrap().value;
    assert_eq!((list.issues.len(), list.total, list.more), (120, Some(120), false));
    assert_eq!((list.issues[0].count, list.issues[0].id.as_str()), (Some(12), "0"));
    assert!(list.issues[0].first_seen.is_some());
}

#[tokio::test]
async fn a_release_that_exists_is_a_success_and_a_lost_deploy_is_found_again() {
    let made = |status| {
        json(
            status,
            &object!({"id": 1, "version": "logos-vision-crm@2.0.0", "newGroups": 0, "projects": [{"id": 1}]}),
        )
    };
    let vendor = Vendor::script(vec![made(201), made(208)]).await;
    let release =
        NewRelease { version: "logos-vision-crm@2.0.0".into(), commit: None, url: None, released: None };
    let client = sentry(&vendor);
    assert!(matches!(client.create_release(&release).await.unwrap().value, Made::New(_)));
    assert!(matches!(client.create_release(&release).await.unwrap().value, Made::Existed(_)));
    let bad = NewRelease { version: "a/b".into(), ..release };
    assert!(matches!(client.create_release(&bad).await.unwrap_err().fault(), Fault::Setup(_)));

    let there =
        object!([{"id": "98765", "environment": "production", "name": "gonogo run 7", "dateFinished": null}]);
    let vendor = Vendor::script(vec![json(200, &object!([])), text(502, "<html>"), json(200, &there)]).await;
    let deploy = NewDeploy {
        environment: "production".into(),
        name: "gonogo run 7".into(),
        url: None,
        started: None,
        finished: None,
    };
    let recorded = sentry(&vendor).record_deploy("logos-vision-crm@2.0.0", &deploy).await.unwrap();
    assert!(matches!(recorded.value, Made::New(deploy) if deploy.id == "98765"));
    let seen = vendor.seen();
    assert_eq!(seen.iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["GET", "POST", "GET"]);
    assert!(seen[1].path.contains("logos-vision-crm%402.0.0"));
}

#[tokio::test]
async fn an_event_is_sent_as_an_envelope_and_read_back_when_it_appears() {
    let vendor = Vendor::start(|seen, n| match n {
        0 => {
            assert_eq!(seen.path, "/api/4509062593708032/envelope/");
            assert!(seen.header("x-sentry-auth").contains(&format!("sentry_key={KEY}")));
            let body = String::from_utf8(seen.body.clone()).unwrap();
            let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines[0]["event_id"], lines[2]["event_id"]);
            assert_eq!(lines[1]["length"], body.lines().nth(2).unwrap().len());
            assert_eq!(lines[2]["fingerprint"], object!(["gonogo-check"]));
            json(200, &object!({"id": lines[0]["event_id"]})).with("x-sentry-rate-limits", "60:error:key")
        }
        1 | 2 => json(404, &object!({"detail": "Event not found"})),
        _ => json(
            200,
            &object!({"event": {"groupID": 6_507_380_001_u64, "dateReceived": "2026-10-03T14:45:00.871Z"}}),
        ),
    })
    .await;
    let check = CheckEvent { mark: "7f3a".into(), environment: "production".into(), release: None };
    let seen = sentry(&vendor).prove(&check, Duration::from_hours(10)).await.unwrap().value;
    assert_eq!(seen.issue.as_deref(), Some("6507380001"));
    assert!(seen.received.is_some() && seen.waited >= Duration::from_secs(3));
}

#[tokio::test]
async fn an_event_that_never_appears_is_not_proven() {
    let vendor =
        Vendor::start(|_, n| if n == 0 { json(200, &object!({"id": "x"})) } else { json(404, &object!({})) })
            .await;
    let check = CheckEvent { mark: "7f3a".into(), environment: "production".into(), release: None };
    let error = sentry(&vendor).prove(&check, Duration::from_secs(30)).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::NotProven(_)), "{error}");
    assert_eq!(error.effect(), Effect::Accepted);
}

#[tokio::test]
async fn a_429_in_html_without_retry_after_waits_for_the_reset() {
    let vendor = with_project(|seen, n| {
        if n > 0 {
            return json(200, &object!({"data": [{"count()": 1}]}));
        }
        text(429, r#"{"detail":"You are attempting to use this endpoint too frequently."}"#)
            .with("x-sentry-rate-limit-limit", 40)
            .with("x-sentry-rate-limit-remaining", 0)
            .with("x-sentry-rate-limit-reset", seen.at.timestamp() + 15)
    })
    .await;
    let client = sentry(&vendor);
    client.errors(QUARTER, None).await.unwrap();
    let seen = vendor.seen();
    assert!(seen[2].at - seen[1].at >= chrono::TimeDelta::seconds(14), "{:?}", seen[2].at - seen[1].at);
    assert_eq!(client.budget().borrow().map(|budget| budget.limit), Some(40));
}

#[tokio::test]
async fn refusals_are_put_into_words() {
    let moved =
        object!({"slug": "new", "detail": {"extra": {"url": "/api/0/projects/logos/new/", "slug": "new"}}});
    for (answer, expected) in [
        (json(302, &moved), "the project was renamed to new"),
        (json(401, &object!({"detail": "Invalid token"})), "not authenticated: Invalid token"),
        (
            json(403, &object!({"detail": "You do not have permission to perform this action."})),
            "the scope project:read",
        ),
        (json(404, &object!({"detail": "The requested resource does not exist"})), "not found"),
        (json(400, &object!({"projects": ["Invalid project slugs"]})), "projects: Invalid project slugs"),
    ] {
        let vendor = Vendor::script(vec![answer]).await;
        let client = sentry(&vendor);
        let error = client.project().await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let shown = format!("{error} {error:?} {client:?}");
        assert!(!shown.contains(SECRET) && !shown.contains(KEY), "{shown}");
    }
}

#[tokio::test]
async fn losses_are_counted_by_outcome() {
    let vendor = with_project(|seen, _| {
        assert_eq!(seen.param("statsPeriod").as_deref(), Some("60m"), "whole hours");
        json(
            200,
            &object!({"intervals": [], "groups": [
            {"by": {"outcome": "accepted"}, "totals": {"sum(quantity)": 412}},
            {"by": {"outcome": "rate_limited"}, "totals": {"sum(quantity)": 95}},
            {"by": {"outcome": "invented"}, "totals": {"sum(quantity)": 1}}]}),
        )
    })
    .await;
    let outcomes = sentry(&vendor).outcomes(QUARTER).await.unwrap().value;
    assert_eq!((outcomes.of("accepted"), outcomes.lost()), (412, 95));
}
