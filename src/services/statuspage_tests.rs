//! Announcing once, and finding again what was announced when the answer was lost.

use serde_json::json as object;

use super::super::error::Fault;
use super::super::testing::{SECRET, Say, Vendor, json, secret, text};
use super::*;

fn statuspage(vendor: &Vendor) -> Statuspage {
    let config = Config {
        api: vendor.url.join("v1").unwrap(),
        page: "h12345678".into(),
        key: secret(),
        public: Some(vendor.url.clone()),
    };
    Statuspage::new(&config, vendor.clock.clone()).unwrap()
}

fn post(stage: Stage) -> Post {
    let components = BTreeMap::from([("8kbf7d35c070".to_owned(), ComponentStatus::Degraded)]);
    Post { stage, body: "We are looking into it.".into(), components, notify: Notify::Nobody }
}

fn made(name: &str, created: DateTime<Utc>, updates: &Value) -> Value {
    object!({"id": "p31zjtct2jer", "name": name, "status": "investigating", "impact": "invented", "shortlink": "https://stspg.io/abc",
        "created_at": created, "monitoring_at": null, "incident_updates": updates})
}

#[tokio::test]
async fn an_incident_is_opened_without_mail_unless_asked() {
    let vendor = Vendor::start(|seen, _| json(201, &made("Contacts are slow", seen.at, &Value::Null))).await;
    let opened =
        statuspage(&vendor).open_incident("Contacts are slow", &post(Stage::Investigating)).await.unwrap();
    assert_eq!(opened.value.id, "p31zjtct2jer");
    let seen = &vendor.seen()[0];
    assert_eq!(seen.path, "/v1/pages/h12345678/incidents");
    assert_eq!(seen.header("authorization"), format!("OAuth {SECRET}"));
    let sent = &seen.json()["incident"];
    assert_eq!(
        (&sent["deliver_notifications"], &sent["components"]["8kbf7d35c070"]),
        (&object!(false), &object!("degraded_performance"))
    );
}

#[tokio::test]
async fn a_maintenance_is_not_moved_by_the_clock() {
    let vendor = Vendor::start(|seen, _| json(201, &made("Maintenance", seen.at, &object!([])))).await;
    let from = vendor.clock.now();
    let slot = Slot { from, until: from + TimeDelta::hours(6) };
    statuspage(&vendor).schedule_maintenance("Maintenance", slot, &post(Stage::Scheduled)).await.unwrap();
    let sent = &vendor.seen()[0].json()["incident"];
    assert_eq!(
        (&sent["status"], &sent["scheduled_auto_in_progress"]),
        (&object!("scheduled"), &object!(false))
    );
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_not_announced_twice() {
    let vendor = Vendor::start(|seen, n| match n {
        0 => Say::Reset,
        1 => json(
            200,
            &object!([
                made("Old news", seen.at, &object!([])),
                made("Contacts are slow", seen.at, &object!([]))
            ]),
        ),
        _ => json(200, &object!([])),
    })
    .await;
    let opened =
        statuspage(&vendor).open_incident("Contacts are slow", &post(Stage::Investigating)).await.unwrap();
    assert_eq!(opened.value.name, "Contacts are slow");
    assert_eq!(vendor.seen().iter().filter(|seen| seen.method == "POST").count(), 1);

    let vendor = Vendor::start(|seen, n| match n {
        0 => Say::Reset,
        1 => json(200, &object!([made("Contacts are slow", seen.at - TimeDelta::days(3), &object!([]))])),
        _ => json(200, &object!([])),
    })
    .await;
    let error = statuspage(&vendor)
        .open_incident("Contacts are slow", &post(Stage::Investigating))
        .await
        .unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown, "an older one of that name is not ours");
}

#[tokio::test]
async fn an_update_is_sent_once_and_found_again() {
    let there = object!([{"status": "monitoring", "body": "We are looking into it."}, {"status": "investigating", "body": "x"}]);
    for (updates, found) in [(there, true), (object!([{"status": "investigating", "body": "x"}]), false)] {
        let vendor = Vendor::start(move |seen, n| match n {
            0 => text(502, "<html>"),
            _ => json(200, &made("Contacts are slow", seen.at, &updates)),
        })
        .await;
        let answer = statuspage(&vendor).update("p31zjtct2jer", &post(Stage::Monitoring)).await;
        assert_eq!(answer.is_ok(), found);
        assert_eq!(
            vendor.seen().iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(),
            ["PATCH", "GET"]
        );
    }
}

#[tokio::test]
async fn a_420_is_a_limit_too_and_both_error_forms_are_read() {
    let component = object!({"id": "8kbf7d35c070", "name": "Web app", "status": "operational"});
    let vendor = Vendor::script(vec![text(420, ""), json(200, &component)]).await;
    statuspage(&vendor).set_component("8kbf7d35c070", ComponentStatus::Operational).await.unwrap();
    let seen = vendor.seen();
    assert!(seen[1].at - seen[0].at >= TimeDelta::seconds(60), "nothing named: a minute");
    for body in [object!({"message": "no such component"}), object!({"error": ["no such component"]})] {
        let vendor = Vendor::script(vec![json(422, &body)]).await;
        let client = statuspage(&vendor);
        let error = client.set_component("x", ComponentStatus::Operational).await.unwrap_err();
        assert!(
            matches!(error.fault(), Fault::Refused { status: 422, detail, .. } if detail == "no such component"),
            "{error}"
        );
        assert!(!format!("{error} {error:?} {client:?}").contains(SECRET));
    }
}

#[tokio::test]
async fn what_the_public_sees_needs_no_key() {
    let summary = object!({"page": {}, "status": {"indicator": "none", "description": "All Systems Operational"}, "components": [], "incidents": [], "scheduled_maintenances": []});
    let vendor = Vendor::script(vec![json(200, &summary)]).await;
    let seen = statuspage(&vendor).summary().await.unwrap().value;
    assert_eq!(seen.status.description, "All Systems Operational");
    assert_eq!(vendor.seen()[0].header("authorization"), "");
}
