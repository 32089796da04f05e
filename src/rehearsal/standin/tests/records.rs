//! What Slack, the status page and the pager keep; and Pulse's profiles page by page.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

#[tokio::test]
async fn slack_says_no_with_200_and_threads_hang_on_a_parent() {
    let rig = Rig::smooth().await;
    let call = async |method: &str, body: Value| {
        let request =
            rig.client.post(format!("{}/{method}", rig.standins.urls.slack)).bearer_auth(&rig.keys.slack);
        rig.send(request.json(&body)).await.json()
    };
    let parent = call("chat.postMessage", json!({"channel": "#deployment", "text": "Phase 2 GREEN"})).await;
    assert_eq!((&parent["ok"], &parent["channel"]), (&json!(true), &json!("C0DEPLOY01")));
    let reply = json!({"channel": "C0DEPLOY01", "text": "more", "thread_ts": parent["ts"]});
    assert_eq!(call("chat.postMessage", reply).await["message"]["thread_ts"], parent["ts"]);
    let lost = json!({"channel": "C0DEPLOY01", "text": "more", "thread_ts": "1.2"});
    assert_eq!(call("chat.postMessage", lost).await["error"], "thread_not_found");
    assert_eq!(
        call("chat.postMessage", json!({"channel": "C0NOWHERE0", "text": "x"})).await["error"],
        "channel_not_found"
    );
    assert_eq!(call("chat.postMessage", json!({"channel": "C0DEPLOY01"})).await["error"], "no_text");
    let update = json!({"channel": "C0DEPLOY01", "ts": parent["ts"], "text": "Phase 2 RED"});
    assert_eq!(call("chat.update", update).await["ok"], true);
    let hook =
        rig.send(rig.client.post(&rig.standins.urls.slack_webhook).json(&json!({"text": "by hook"}))).await;
    assert_eq!((hook.status, hook.text.as_str()), (200, "ok"));
    let calls: Vec<String> =
        rig.world.read(|state| state.slack.iter().map(|sent| sent.call.clone()).collect());
    assert_eq!(calls, ["chat.postMessage", "chat.postMessage", "chat.update", "webhook"]);
}

#[tokio::test]
async fn an_incident_grows_and_resolving_it_leaves_the_components() {
    let rig = Rig::smooth().await;
    let base = format!("{}/pages/h12345678", rig.standins.urls.statuspage);
    let send = async |method: Method, path: &str, body: Value| {
        let request = rig.client.request(method, format!("{base}/{path}"));
        rig.send(request.header("authorization", format!("OAuth {}", rig.keys.statuspage)).json(&body)).await
    };
    let body = json!({"incident": {"name": "Contacts are slow", "status": "investigating", "body": "We look into it.",
        "components": {"8kbf7d35c070": "degraded_performance"}, "deliver_notifications": false}});
    let made = send(Method::POST, "incidents", body).await;
    assert_eq!(made.status, 201);
    let path = format!("incidents/{}", made.json()["id"].as_str().unwrap());
    let resolved =
        send(Method::PATCH, &path, json!({"incident": {"status": "resolved", "body": "Over."}})).await.json();
    assert_eq!(resolved["incident_updates"].as_array().unwrap().len(), 2);
    assert_eq!(resolved["incident_updates"][0]["status"], "resolved", "the newest first");
    assert_eq!(resolved["components"][0]["status"], "degraded_performance");
    let summary = rig
        .send(rig.client.get(format!("{}/api/v2/summary.json", base.split("/v1").next().unwrap())))
        .await
        .json();
    assert_eq!(summary["status"]["indicator"], "minor");
    let back =
        send(Method::PATCH, "components/8kbf7d35c070", json!({"component": {"status": "operational"}})).await;
    assert_eq!(back.json()["status"], "operational");
    assert_eq!(send(Method::POST, "incidents", json!({"incident": {}})).await.status, 422);
    assert_eq!(rig.world.read(|state| (state.incidents.len(), state.statuspage.len())), (1, 3));
}

#[tokio::test]
async fn the_pager_knows_an_alert_by_its_key() {
    let rig = Rig::smooth().await;
    let send = async |body: Value| {
        rig.send(rig.client.post(format!("{}/enqueue", rig.standins.urls.pagerduty)).json(&body)).await
    };
    let key = rig.keys.pagerduty.clone();
    let payload =
        json!({"summary": "Error rate 6.1 %", "source": "app.logosvision.com", "severity": "critical"});
    let alert = json!({"routing_key": key, "event_action": "trigger", "dedup_key": "run-7/error-rate", "payload": payload});
    let answer = send(alert).await;
    assert_eq!((answer.status, &answer.json()["dedup_key"]), (202, &json!("run-7/error-rate")));
    assert_eq!(
        send(json!({"routing_key": key, "event_action": "resolve", "dedup_key": "run-7/error-rate"}))
            .await
            .status,
        202
    );
    let poor = send(json!({"routing_key": key, "event_action": "trigger", "payload": {"summary": "x", "severity": "bad"}})).await;
    assert_eq!(poor.json()["errors"].as_array().unwrap().len(), 2);
    assert_eq!(rig.world.read(|state| state.pagerduty.len()), 2);
}

#[tokio::test]
async fn every_profile_of_pulse_comes_once_page_by_page() {
    let rig = Rig::new("smooth", 2_345).await;
    let (mut ids, mut emails, mut offset) = (BTreeSet::new(), BTreeSet::new(), 0);
    loop {
        let page = rig.pulse(&format!("relationship-profiles?limit=1000&offset={offset}")).await.json();
        assert_eq!(page["pagination"]["total"], 2_345);
        for profile in page["data"].as_array().unwrap() {
            ids.insert(profile["id"].as_str().unwrap().to_owned());
            emails.insert(profile["canonical_email"].as_str().unwrap().to_owned());
            assert!((0..=100).contains(&profile["relationship_score"].as_i64().unwrap()));
            assert!(profile["display_name"].is_string());
        }
        offset += page["data"].as_array().unwrap().len();
        if page["pagination"]["has_more"] == false {
            break;
        }
    }
    assert_eq!((ids.len(), emails.len(), offset), (2_345, 2_345, 2_345));
    assert_eq!(rig.pulse("relationship-profiles?limit=1001").await.json()["error"], "invalid_request");
    let since = (rig.now() - TimeDelta::hours(6)).format("%Y-%m-%dT%H:%M:%SZ");
    let changed = rig.pulse(&format!("relationship-profiles?limit=1000&modified_since={since}")).await.json();
    assert!(
        (50..400).contains(&changed["pagination"]["total"].as_i64().unwrap()),
        "{}",
        changed["pagination"]
    );
    let id = ids.first().unwrap();
    let talks = rig.pulse(&format!("{id}/interactions?days=90&limit=100")).await.json();
    assert_eq!(talks["profile_id"], **id);
    assert_eq!(
        talks["summary"]["total_interactions"].as_u64().unwrap(),
        talks["interactions"].as_array().unwrap().len() as u64
    );
    assert_eq!(rig.pulse("00000000-0000-0000-0000-000000000000/interactions").await.status, 404);
}

#[tokio::test]
async fn bad_data_holds_what_a_database_refuses() {
    let rig = Rig::new("bad-data", 1_000).await;
    let page = rig.pulse("relationship-profiles?limit=1000").await.json();
    let profiles = page["data"].as_array().unwrap();
    let any = |is: &dyn Fn(&Value) -> bool| profiles.iter().any(is);
    assert!(any(&|one| one["relationship_score"] == 140));
    assert!(any(&|one| one["relationship_score"].is_object()));
    assert!(any(&|one| one["notes"].as_str().is_some_and(|notes| notes.contains('\0'))));
    assert!(any(&|one| one["communication_frequency"] == "fortnightly"));
    let emails: Vec<String> =
        profiles.iter().filter_map(|one| Some(one["canonical_email"].as_str()?.to_lowercase())).collect();
    assert!(emails.iter().collect::<BTreeSet<_>>().len() < emails.len(), "duplicates");
    let updated: Vec<&str> = profiles.iter().filter_map(|one| one["updated_at"].as_str()).collect();
    assert!(updated.is_sorted_by(|a, b| a >= b), "the last changed first");
}
