//! Faults of the socket, as a client meets them.

use serde_json::json;

use super::*;
use crate::rehearsal::faults::{Fault, Vendor};

#[tokio::test]
async fn a_gateway_answers_in_html_and_a_hang_not_at_all() {
    let rig = Rig::smooth().await;
    rig.world.inject(Fault::BadGateway { vendor: Vendor::Vercel }, None);
    let answer = rig.vercel(Method::GET, "/v9/projects/prj_8Kq2Zt", None).await;
    assert!(answer.status == 502 && answer.text.starts_with("<html>"));
    rig.world.inject(Fault::Hang { vendor: Vendor::Pulse }, None);
    let url = format!("{}/api/contacts/relationship-profiles", rig.standins.urls.pulse);
    let patience = rig.client.get(&url).bearer_auth(&rig.keys.pulse).timeout(Duration::from_millis(200));
    assert!(patience.send().await.unwrap_err().is_timeout());
    rig.world.clear("hang");
    assert_eq!(rig.pulse("relationship-profiles").await.status, 200);
}

#[tokio::test]
async fn a_broken_answer_does_not_undo_what_was_done() {
    let rig = Rig::smooth().await;
    rig.world.inject(Fault::Reset { vendor: Vendor::Posthog }, None);
    let url = format!("{}/api/projects/81422/feature_flags/30571/", rig.standins.urls.posthog_api);
    let sent =
        rig.client.patch(url).bearer_auth(&rig.keys.posthog).json(&json!({"active": false})).send().await;
    let body = match sent {
        Ok(response) => response.text().await,
        Err(error) => Err(error),
    };
    assert!(body.is_err(), "the answer breaks off");
    rig.world.clear("reset");
    assert_eq!(rig.flag().await["active"], false);
}

#[tokio::test]
async fn pulse_goes_out_in_the_middle_of_the_import_and_comes_back() {
    let rig = Rig::new("pulse-outage", 300).await;
    assert_eq!(rig.pulse("relationship-profiles?limit=1").await.status, 200, "looking sets nothing off");
    for _ in 0..4 {
        assert_eq!(rig.pulse("relationship-profiles?limit=100").await.status, 200);
    }
    let out = rig.pulse("relationship-profiles?limit=100&offset=100").await;
    assert_eq!((out.status, &out.json()["error"]), (503, &json!("service_unavailable")));
    rig.pass(361);
    assert_eq!(rig.pulse("relationship-profiles?limit=100&offset=100").await.status, 200);
}

#[tokio::test]
async fn the_application_down_is_down_on_every_path_and_people_are_gone() {
    let rig = Rig::smooth().await;
    rig.world.inject(Fault::AppDown, Some(TimeDelta::minutes(10)));
    assert_eq!(rig.app("/health").await.status, 503);
    assert_eq!(rig.app("/contacts").await.status, 503);
    rig.pass(599);
    let seen = rig.hogql("SELECT count() AS n FROM events WHERE event = {event} AND timestamp >= now() - INTERVAL 8 MINUTE").await;
    assert_eq!(seen.json()["results"], json!([[0]]));
    rig.pass(2);
    assert_eq!(rig.app("/health").await.status, 200);
}

#[tokio::test]
async fn stopped_stand_ins_answer_no_more() {
    let rig = Rig::smooth().await;
    let Rig { standins, client, .. } = rig;
    let url = format!("{}/health", standins.urls.app);
    assert!(client.get(&url).send().await.is_ok());
    drop(standins);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while Client::new().get(&url).timeout(Duration::from_secs(1)).send().await.is_ok() {
        assert!(std::time::Instant::now() < deadline, "it still answers");
    }
}
