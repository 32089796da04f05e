//! Flags and builds: what is changed, when it is seen, and who is told what.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_change_of_the_flag_is_seen_after_seconds_by_those_it_means() {
    let rig = Rig::smooth().await;
    let flag = rig.flag().await;
    assert_eq!((&flag["key"], &flag["version"]), (&json!("contacts_redesign"), &json!(7)));
    assert_eq!(rig.told("qa@logosvision.com").await["enabled"], true);
    assert_eq!(rig.told("someone@example.org").await["enabled"], false);
    let mut filters = flag["filters"].clone();
    filters["groups"][1]["rollout_percentage"] = 100.into();
    let path = format!("feature_flags/{}/", flag["id"]);
    let all = json!({"filters": filters, "version": 7, "original_flag": flag});
    assert_eq!(rig.posthog(Method::PATCH, &path, Some(all.clone())).await.json()["version"], 8);
    assert_eq!(rig.told("someone@example.org").await["enabled"], false, "not yet");
    rig.pass(5);
    let told = rig.told("someone@example.org").await;
    assert_eq!((&told["enabled"], &told["metadata"]["version"]), (&json!(true), &json!(8)));
    let moved = rig.posthog(Method::PATCH, &path, Some(all)).await;
    assert_eq!((moved.status, &moved.json()["code"]), (409, &json!("conflict")));
    let ignored = rig.posthog(Method::PATCH, &path, Some(json!({"filters": {"payloads": {}}}))).await;
    assert_eq!((ignored.status, &ignored.json()["filters"]), (200, &filters));
    assert_eq!(rig.posthog(Method::DELETE, &path, None).await.status, 405);
}

#[tokio::test]
async fn flags_take_pages_with_absolute_links() {
    let rig = Rig::smooth().await;
    let first = rig.posthog(Method::GET, "feature_flags/?limit=100", None).await.json();
    let next = first["next"].as_str().unwrap();
    assert!(first["count"].as_u64().unwrap() > 100 && next.starts_with(&rig.standins.urls.posthog_api));
    let second = rig.send(rig.client.get(next).bearer_auth(&rig.keys.posthog)).await.json();
    assert_eq!(second["next"], Value::Null);
    assert_eq!(
        first["results"].as_array().unwrap().len() + second["results"].as_array().unwrap().len(),
        first["count"]
    );
}

#[tokio::test]
async fn flags_need_the_project_key_and_a_person() {
    let rig = Rig::smooth().await;
    let url = format!("{}/flags/?v=2", rig.standins.urls.posthog_ingest);
    let wrong =
        rig.send(rig.client.post(&url).json(&json!({"token": rig.keys.posthog, "distinct_id": "a"}))).await;
    assert_eq!((wrong.status, &wrong.json()["type"]), (401, &json!("authentication_error")));
    let nobody = rig.send(rig.client.post(&url).json(&json!({"token": rig.keys.posthog_project}))).await;
    assert!(nobody.status == 400 && serde_json::from_str::<Value>(&nobody.text).is_err(), "plain text");
}

#[tokio::test]
async fn an_event_is_found_by_a_query_within_a_minute() {
    let rig = Rig::smooth().await;
    let uuid = "0199a1f2-8d20-7bb1-a0c5-51cf0b2f77aa";
    let event = json!({"api_key": rig.keys.posthog_project, "event": "gonogo_check", "distinct_id": "probe", "uuid": uuid,
        "properties": {"check": "7f3a"}});
    let url = format!("{}/i/v0/e/", rig.standins.urls.posthog_ingest);
    assert_eq!(rig.send(rig.client.post(&url).json(&event)).await.json(), json!({"status": "Ok"}));
    let nameless = json!({"api_key": rig.keys.posthog_project, "distinct_id": "probe"});
    assert_eq!(rig.send(rig.client.post(&url).json(&nameless)).await.status, 200, "dropped in silence");
    let statement = format!(
        "SELECT uuid, event, timestamp, properties.check FROM events WHERE event = 'gonogo_check' AND uuid = '{uuid}' \
         AND timestamp >= now() - INTERVAL 1 HOUR"
    );
    rig.pass(4);
    assert_eq!(rig.hogql(&statement).await.json()["results"], json!([]));
    rig.pass(57);
    let found = rig.hogql(&statement).await.json();
    assert_eq!((&found["results"][0][0], &found["results"][0][3]), (&json!(uuid), &json!("7f3a")));
    assert_eq!(rig.world.read(|state| state.captured.len()), 1);
}

#[tokio::test]
async fn a_build_takes_its_time_and_goes_live_only_where_domains_are_assigned() {
    let rig = Rig::smooth().await;
    let ask = json!({"name": "logos-vision-crm", "deploymentId": "dpl_9NewAbc", "target": "production", "meta": {"action": "redeploy"}});
    let built = rig.vercel(Method::POST, "/v13/deployments?forceNew=1", Some(ask.clone())).await.json();
    assert_eq!(built["readyState"], "QUEUED");
    let path = format!("/v13/deployments/{}", built["id"].as_str().unwrap());
    rig.pass(10);
    assert_eq!(rig.vercel(Method::GET, &path, None).await.json()["readyState"], "BUILDING");
    assert_eq!(rig.app("/health").await.json()["version"], "1.9.4");
    rig.pass(115);
    let ready = rig.vercel(Method::GET, &path, None).await.json();
    assert_eq!((&ready["readyState"], &ready["readySubstate"]), (&json!("READY"), &json!("PROMOTED")));
    assert_eq!(rig.app("/version.json").await.json()["deployment"], built["id"]);
    let list =
        "/v6/deployments?projectId=prj_8Kq2Zt&target=production&state=READY&rollbackCandidate=true&limit=5";
    let candidates = rig.vercel(Method::GET, list, None).await.json();
    assert_eq!(candidates["deployments"][0]["uid"], "dpl_8OldXyz");
    assert!(candidates["deployments"][0].get("id").is_none());
    // Taken back: from now on a build goes nowhere by itself.
    assert_eq!(
        rig.vercel(Method::POST, "/v9/projects/logos-vision-crm/rollback/dpl_8OldXyz", Some(json!({})))
            .await
            .status,
        201
    );
    let second =
        rig.vercel(Method::POST, "/v1/projects/prj_8Kq2Zt/rollback/dpl_7PrevUvw", Some(json!({}))).await;
    assert_eq!(second.status, 409, "a job is running");
    rig.vercel(Method::POST, "/v13/deployments", Some(ask)).await;
    rig.pass(200);
    assert_eq!(rig.app("/health").await.json()["version"], "1.9.4");
}

#[tokio::test]
async fn builds_break_and_domains_stick_when_the_scenario_says_so() {
    use crate::rehearsal::faults::Fault;
    let rig = Rig::smooth().await;
    rig.world.inject(Fault::BrokenBuild, None);
    rig.world.inject(Fault::StuckAliases, None);
    let ask = json!({"name": "logos-vision-crm", "gitSource": {"type": "github", "ref": "main"}, "target": "production"});
    let built = rig.vercel(Method::POST, "/v13/deployments", Some(ask)).await.json();
    rig.vercel(Method::POST, "/v10/projects/prj_8Kq2Zt/promote/dpl_9NewAbc", Some(json!({}))).await;
    rig.pass(130);
    let path = format!("/v13/deployments/{}", built["id"].as_str().unwrap());
    let broken = rig.vercel(Method::GET, &path, None).await.json();
    assert!(broken["readyState"] == "ERROR" && broken["errorMessage"].is_string());
    let project = rig.vercel(Method::GET, "/v9/projects/prj_8Kq2Zt", None).await.json();
    assert_eq!(project["lastAliasRequest"]["jobStatus"], "failed");
    let failed =
        rig.vercel(Method::GET, "/v1/projects/prj_8Kq2Zt/promote/aliases?failedOnly=true", None).await.json();
    assert_eq!(failed["aliases"][0]["status"], "failed");
    assert_eq!(rig.app("/health").await.json()["version"], "1.9.4");
}

#[tokio::test]
async fn a_variable_changes_nothing_that_is_built() {
    let rig = Rig::smooth().await;
    let body = json!({"key": "VITE_FEATURE_CONTACTS_REDESIGN", "value": "false", "type": "encrypted", "target": ["production"]});
    let refused = rig.vercel(Method::POST, "/v10/projects/prj_8Kq2Zt/env", Some(body.clone())).await;
    assert_eq!(refused.json()["error"]["code"], "ENV_ALREADY_EXISTS");
    assert_eq!(
        rig.vercel(Method::POST, "/v10/projects/prj_8Kq2Zt/env?upsert=true", Some(body)).await.status,
        201
    );
    let list = rig.vercel(Method::GET, "/v10/projects/prj_8Kq2Zt/env?decrypt=true", None).await.json();
    assert_eq!(list["envs"][0]["value"], "false");
    assert_eq!(rig.told("qa@logosvision.com").await["enabled"], true);
}

#[tokio::test]
async fn the_application_answers_its_index_to_what_it_does_not_know() {
    let rig = Rig::smooth().await;
    let page = rig.app("/health-4711").await;
    assert!(page.status == 200 && page.text.starts_with("<!doctype html>"));
    assert_eq!(rig.app("/health").await.header("content-type"), Some("application/json"));
    let policy = page.header("content-security-policy").unwrap();
    let sentry = host_of(&rig.standins.urls.sentry_dsn.replace(&format!("{}@", rig.keys.sentry_public), ""));
    assert!(policy.contains(&sentry) && policy.contains(&rig.standins.urls.posthog_ingest), "{policy}");
    let asset = page.text.split("src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(rig.app(&asset).await.header("content-type"), Some("text/javascript"));
    assert_eq!(rig.send(rig.client.post(format!("{}/__none", rig.standins.urls.app))).await.status, 405);
}
