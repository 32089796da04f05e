//! Sentry in detail: series, tables, pages, releases, and reading back what was sent.

use serde_json::json;

use super::*;

fn envelope(rig: &Rig, id: &str, key: &str) -> RequestBuilder {
    let ingest = Url::parse(&rig.standins.urls.sentry_dsn).unwrap();
    let event = json!({"event_id": id, "timestamp": "2026-09-21T13:33:20Z", "platform": "other", "level": "info",
        "environment": "production", "release": "logos-vision-crm@2.0.0", "message": {"formatted": "gonogo check 7f3a"},
        "tags": {"gonogo.check": "7f3a"}, "fingerprint": ["gonogo-check"]})
    .to_string();
    let body =
        format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":{}}}\n{event}\n", event.len());
    let url = format!(
        "http://{}/api{}/envelope/",
        ingest.host_str().unwrap().to_owned() + ":" + &ingest.port().unwrap().to_string(),
        ingest.path()
    );
    rig.client
        .post(url)
        .header("x-sentry-auth", format!("Sentry sentry_version=7, sentry_key={key}"))
        .body(body)
}

#[tokio::test]
async fn an_event_can_be_read_back_after_a_while_and_counts_as_a_check() {
    let rig = Rig::smooth().await;
    let id = "9ec79c33ec9942ab8353589fcb2e04dc";
    assert_eq!(rig.send(envelope(&rig, id, "wrong")).await.status, 403);
    let taken = rig.send(envelope(&rig, id, &rig.keys.sentry_public)).await;
    assert_eq!((taken.status, taken.json()), (200, json!({"id": id})));
    let path = format!("organizations/logos/eventids/{id}/");
    rig.pass(1);
    assert_eq!(rig.sentry(&path).await.status, 404, "not yet");
    rig.pass(20);
    let event = rig.sentry(&path).await.json();
    assert_eq!(event["event"]["title"], "gonogo check 7f3a");
    assert!(
        event["event"]["tags"].as_array().unwrap().contains(&json!({"key": "gonogo.check", "value": "7f3a"}))
    );
    assert_eq!(rig.sentry(&format!("projects/logos/crm-web/events/{id}/")).await.status, 200);
    let count = async |query: &str| {
        let path =
            format!("organizations/logos/events/?dataset=errors&field=count()&statsPeriod=5m&query={query}");
        rig.sentry(&path).await.json()["data"][0]["count()"].as_i64().unwrap()
    };
    assert_eq!(count("has:gonogo.check").await, 1);
    assert_eq!(count("!has:gonogo.check").await + 1, count("").await);
}

#[tokio::test]
async fn the_newest_bucket_says_that_it_is_incomplete_and_the_old_form_agrees() {
    let rig = Rig::smooth().await;
    let range =
        "dataset=spans&query=is_transaction:true&yAxis=count()&yAxis=p95(measurements.lcp)&statsPeriod=15m";
    let new = rig.sentry(&format!("organizations/logos/events-timeseries/?{range}&interval=60")).await.json();
    let values = new["timeSeries"][0]["values"].as_array().unwrap().clone();
    assert!(values.len() >= 15);
    assert_eq!(values.last().unwrap()["incomplete"], true);
    assert_eq!(values.last().unwrap()["incompleteReason"], "INCOMPLETE_BUCKET");
    assert_eq!(values[3]["incomplete"], false);
    let total: f64 = values.iter().filter_map(|value| value["value"].as_f64()).sum();
    assert!((250.0..900.0).contains(&total), "{total}: about 500 page loads in 15 minutes");
    let old =
        rig.sentry(&format!("organizations/logos/events-stats/?{range}&interval=1m&partial=1")).await.json();
    let same = &old["count()"]["data"][3];
    assert_eq!(same[0].as_i64().unwrap() * 1_000, values[3]["timestamp"].as_i64().unwrap());
    assert_eq!(same[1][0]["count"], values[3]["value"]);
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused() {
    let rig = Rig::smooth().await;
    let bad = [
        "events/?field=count()",
        "events/?dataset=transactions&field=count()",
        "events/?dataset=errors&field=median()",
        "events/?dataset=errors&field=count()&query=release:",
        "events/?dataset=errors&field=count()&project=crm-web",
        "events/?dataset=errors&field=count()&statsPeriod=15m&start=2026-10-03T14:30:00",
        "events-timeseries/?dataset=errors&yAxis=title",
        "sessions/?field=sum(session)&interval=5m&statsPeriod=2h",
        "stats_v2/?field=sum(quantity)&statsPeriod=2h",
    ];
    for path in bad {
        let answer = rig.sentry(&format!("organizations/logos/{path}")).await;
        assert!(
            answer.status == 400 && answer.json()["detail"].is_string(),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
    }
    assert_eq!(rig.sentry("organizations/nobody/events/?dataset=errors&field=count()").await.status, 404);
    let moved = rig.sentry("projects/logos/crm-frontend/").await;
    assert_eq!((moved.status, &moved.json()["slug"]), (302, &json!("crm-web")));
    assert!(moved.json()["detail"].is_object());
}

#[tokio::test]
async fn issues_take_pages_and_the_last_one_says_so() {
    let rig = Rig::smooth().await;
    let mut path = "organizations/logos/issues/?query=is:unresolved&limit=100".to_owned();
    let mut seen = 0;
    let hits = loop {
        let answer = rig.sentry(&path).await;
        seen += answer.json().as_array().unwrap().len();
        let next = answer
            .header("link")
            .unwrap()
            .split(", ")
            .find(|link| link.contains("rel=\"next\""))
            .unwrap()
            .to_owned();
        if next.contains("results=\"false\"") {
            break answer.header("x-hits").unwrap().parse::<usize>().unwrap();
        }
        let cursor = next.rsplit("cursor=\"").next().unwrap().trim_end_matches('"').to_owned();
        path = format!("organizations/logos/issues/?query=is:unresolved&limit=100&cursor={cursor}");
    };
    assert!(seen > 100 && seen == hits, "{seen} of {hits}");
    let none = rig.sentry("organizations/logos/issues/?query=first-release:logos-vision-crm@2.0.0").await;
    assert_eq!(none.json(), json!([]), "nothing new on a smooth day");
}

#[tokio::test]
async fn a_release_is_made_once_and_a_deploy_each_time() {
    let rig = Rig::smooth().await;
    let url = format!("{}/api/0/organizations/logos/releases/", rig.standins.urls.sentry_api);
    let post = async |url: &str, body: Value| {
        rig.send(rig.client.post(url).bearer_auth(&rig.keys.sentry).json(&body)).await
    };
    let release = json!({"version": "logos-vision-crm@2.0.0", "projects": ["crm-web"]});
    assert_eq!(post(&url, release.clone()).await.status, 201);
    assert_eq!(post(&url, release).await.status, 208);
    assert_eq!(
        post(&url, json!({"version": "x", "projects": ["other"]})).await.json(),
        json!({"projects": ["Invalid project slugs"]})
    );
    let deploys = format!("{url}logos-vision-crm%402.0.0/deploys/");
    for _ in 0..2 {
        assert_eq!(post(&deploys, json!({"environment": "production"})).await.status, 201);
    }
    assert_eq!(
        rig.sentry("organizations/logos/releases/logos-vision-crm%402.0.0/deploys/")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        post(&format!("{url}unknown/deploys/"), json!({"environment": "production"})).await.status,
        404
    );
}

#[tokio::test]
async fn sessions_are_by_the_hour_and_nothing_is_null() {
    let rig = Rig::smooth().await;
    let path = "organizations/logos/sessions/?field=sum(session)&field=crash_free_rate(session)&groupBy=release&interval=1h&statsPeriod=2h";
    let body = rig.sentry(path).await.json();
    let group = &body["groups"][0];
    assert_eq!(group["by"]["release"], "logos-vision-crm@1.9.4");
    assert!(group["totals"]["crash_free_rate(session)"].as_f64().unwrap() > 0.99);
    assert_eq!(
        group["series"]["sum(session)"].as_array().unwrap().len(),
        body["intervals"].as_array().unwrap().len()
    );
    let nobody = rig
        .sentry(
            "organizations/logos/sessions/?field=crash_free_rate(session)&statsPeriod=1h&query=release:none",
        )
        .await
        .json();
    assert_eq!(nobody["groups"][0]["totals"]["crash_free_rate(session)"], Value::Null);
}
