//! What is done at one vendor changes what another says.

use serde_json::json;

use super::*;

#[tokio::test]
async fn the_flag_off_lowers_the_errors_that_sentry_reports() {
    let rig = Rig::new("error-spike", 300).await;
    rig.go_live().await;
    rig.world.phase_started(5);
    rig.pass(360);
    assert!(rig.error_rate(5).await < 0.02, "before the spike");
    rig.pass(420);
    let spiking = rig.error_rate(5).await;
    assert!(spiking > 0.05, "{spiking}");
    let id = rig.flag().await["id"].clone();
    let off =
        rig.posthog(Method::PATCH, &format!("feature_flags/{id}/"), Some(json!({"active": false}))).await;
    assert_eq!(off.json()["active"], false);
    rig.pass(420);
    let after = rig.error_rate(5).await;
    assert!(after < 0.005, "{spiking} -> {after}");
}

#[tokio::test]
async fn a_rollback_changes_what_health_says_and_ends_the_spike() {
    let rig = Rig::new("error-spike", 300).await;
    assert_eq!(rig.app("/health").await.json()["version"], "1.9.4");
    rig.go_live().await;
    assert_eq!(rig.app("/health").await.json()["version"], "2.0.0");
    let new_page = rig.app("/contacts").await.text;
    rig.world.phase_started(5);
    rig.pass(800);
    assert!(rig.error_rate(5).await > 0.05);
    let asked =
        rig.vercel(Method::POST, "/v1/projects/prj_8Kq2Zt/rollback/dpl_8OldXyz", Some(json!({}))).await;
    assert_eq!((asked.status, asked.text.as_str()), (201, ""));
    let project = rig.vercel(Method::GET, "/v9/projects/prj_8Kq2Zt", None).await.json();
    assert_eq!(project["lastAliasRequest"]["type"], "promote", "the previous job stays for a moment");
    rig.pass(11);
    let project = rig.vercel(Method::GET, "/v9/projects/prj_8Kq2Zt", None).await.json();
    assert_eq!(project["lastAliasRequest"]["jobStatus"], "succeeded");
    assert_eq!(project["lastAliasRequest"]["toDeploymentId"], "dpl_8OldXyz");
    assert_eq!(project["targets"]["production"]["id"], "dpl_8OldXyz");
    assert_eq!(project["autoAssignCustomDomains"], false);
    assert_eq!(rig.app("/health").await.json()["version"], "1.9.4");
    assert_ne!(rig.app("/contacts").await.text, new_page, "other assets");
    rig.pass(420);
    assert!(rig.error_rate(5).await < 0.005);
}

#[tokio::test]
async fn sentry_and_posthog_tell_of_the_same_visits() {
    let rig = Rig::new("error-spike", 300).await;
    rig.go_live().await;
    rig.world.phase_started(5);
    rig.pass(1_200);
    let sentry =
        rig.sentry("organizations/logos/events/?dataset=errors&field=count()&statsPeriod=10m").await.json();
    let posthog = rig
        .hogql("SELECT countIf(event = '$exception') AS e FROM events WHERE timestamp >= now() - INTERVAL 10 MINUTE")
        .await
        .json();
    let (a, b) = (sentry["data"][0]["count()"].as_i64().unwrap(), posthog["results"][0][0].as_i64().unwrap());
    assert!(a > 10 && (a - b).abs() <= 2, "{a} {b}");
    let new = rig
        .sentry("organizations/logos/issues/?query=is:unresolved%20first-release:logos-vision-crm@2.0.0")
        .await
        .json();
    assert_eq!(new.as_array().unwrap().len(), 1, "{new}");
    assert_eq!(new[0]["substatus"], "new");
    assert!(new[0]["count"].is_string());
}

#[tokio::test]
async fn silence_at_the_monitors_is_silence_and_not_zero() {
    let rig = Rig::smooth().await;
    rig.pass(3_600);
    rig.world.inject(crate::rehearsal::faults::Fault::SentrySilent, None);
    rig.world.inject(crate::rehearsal::faults::Fault::PosthogSilent, None);
    rig.pass(1_200);
    let spans =
        rig.sentry("organizations/logos/events/?dataset=spans&field=count()&statsPeriod=15m").await.json();
    assert_eq!(spans["data"][0]["count()"], 0);
    let outcomes = rig.sentry("organizations/logos/stats_v2/?field=sum(quantity)&groupBy=outcome&category=transaction&statsPeriod=1h").await;
    let groups = outcomes.json()["groups"].clone();
    let dropped = groups
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["by"]["outcome"] == "rate_limited")
        .unwrap()
        .clone();
    assert!(dropped["totals"]["sum(quantity)"].as_u64().unwrap() > 10, "{groups}");
    let last = rig.hogql("SELECT max(timestamp) AS last FROM events WHERE event = {event} AND timestamp >= now() - INTERVAL 2 HOUR").await.json();
    let last: DateTime<Utc> = last["results"][0][0].as_str().unwrap().parse().unwrap();
    assert!(rig.now() - last > TimeDelta::minutes(18));
    let body = json!({"api_key": rig.keys.posthog_project, "event": "gonogo_check", "distinct_id": "p"});
    let answer =
        rig.send(rig.client.post(format!("{}/i/v0/e/", rig.standins.urls.posthog_ingest)).json(&body)).await;
    assert_eq!(answer.json(), json!({"status": "Ok", "quota_limited": ["events"]}));
}

#[tokio::test]
async fn a_resumed_world_answers_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::paced(DateTime::from_timestamp(1_790_000_000, 0).unwrap(), 0.001);
    let scenario = Scenario::shipped("smooth").unwrap();
    let first = Arc::new(World::create(dir.path(), clock.clone(), scenario, 7, 50).unwrap());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new();
    let standins = Standins::start(Arc::clone(&first)).await.unwrap();
    let flag = format!("{}/api/projects/81422/feature_flags/30571/", standins.urls.posthog_api);
    let key = first.credentials().posthog;
    let off = client.patch(flag).bearer_auth(&key).json(&json!({"active": false})).send().await.unwrap();
    assert_eq!(off.status(), StatusCode::OK);
    drop((standins, first));
    let second = Arc::new(World::resume(dir.path(), clock).unwrap());
    let standins = Standins::start(second).await.unwrap();
    let flag = format!("{}/api/projects/81422/feature_flags/30571/", standins.urls.posthog_api);
    let read: Value = client.get(flag).bearer_auth(&key).send().await.unwrap().json().await.unwrap();
    assert_eq!((&read["active"], &read["version"]), (&json!(false), &json!(8)));
}
