//! What is told, where, and what becomes of it when the answer is lost.

use chrono::TimeDelta;
use gonogo::rehearsal::faults::{Fault, Vendor};
use gonogo::run::{JobKind, Mode};
use serde_json::Value;

use crate::rig::Rig;

fn message(name: &str) -> JobKind {
    JobKind::Announce { message: name.into(), text: None }
}

async fn say(rig: &Rig, name: &str) -> String {
    let job = rig.request(message(name)).await;
    rig.succeeds(job).await
}

fn slack(rig: &Rig) -> Vec<Value> {
    rig.world.read(|world| world.slack.iter().map(|sent| sent.body.clone()).collect())
}

#[tokio::test]
async fn messages_go_to_their_channels_with_what_is_known() {
    let rig = Rig::new().await;
    let _crew = rig.crew("a");
    let told = say(&rig, "started").await;
    assert!(told.contains("Slack #deployment (C0DEPLOY01, ts "), "{told}");
    let told = say(&rig, "incident").await;
    assert!(told.contains("C0INCIDEN1"), "{told}");
    let sent = slack(&rig);
    let first = sent[0]["text"].as_str().unwrap();
    assert!(first.starts_with("Contacts Redesign 2.0.0 has begun. Lead: lea. Next update at 10:"), "{first}");
    assert!(first.trim_end_matches('.').ends_with("EDT"), "{first}");
    let second = sent[1]["text"].as_str().unwrap();
    assert!(second.contains("Users affected: unknown"), "{second}");
    rig.world.read(|world| {
        assert_eq!(world.pagerduty.len(), 1, "an incident calls whoever is on call");
        assert_eq!(world.pagerduty[0].body["event_action"], "trigger");
    });
}

#[tokio::test]
async fn a_confirmed_text_is_sent_as_it_is() {
    let rig = Rig::new().await;
    let _crew = rig.crew("a");
    let text = "All <well> & done, {share}".to_owned();
    let job = rig.request(JobKind::Announce { message: "success".into(), text: Some(text) }).await;
    rig.succeeds(job).await;
    assert_eq!(slack(&rig)[0]["text"], "All &lt;well&gt; &amp; done, {share}");
}

#[tokio::test]
async fn a_no_behind_a_200_is_a_failure() {
    let rig = Rig::with(Mode::Rehearsal, "[services.slack.channels]\ndeployment = \"#nowhere\"").await;
    let _crew = rig.crew("a");
    let job = rig.request(message("started")).await;
    let failure = rig.fails(job).await;
    assert!(
        failure.what.contains("channel_not_found") && failure.next.contains("invite the bot"),
        "{failure}"
    );
    assert!(slack(&rig).is_empty());
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_is_sent_once_more_and_says_so() {
    let rig = Rig::new().await;
    rig.world.inject(Fault::Reset { vendor: Vendor::Slack }, None);
    let _crew = rig.crew("a");
    let job = rig.request(message("started")).await;
    let failure = rig.fails(job).await;
    assert!(failure.state.contains("not known"), "{failure}");
    let sent = slack(&rig);
    assert_eq!(sent.len(), 2, "once more, and no oftener");
    assert_eq!(
        sent[1]["text"].as_str(),
        sent[0]["text"].as_str().map(|text| format!("(repeated) {text}")).as_deref()
    );
}

#[tokio::test]
async fn a_maintenance_and_an_incident_move_from_state_to_state() {
    let rig = Rig::new().await;
    let _crew = rig.crew("a");
    for name in ["maintenance-scheduled", "maintenance-started", "operational"] {
        let told = say(&rig, name).await;
        assert!(told.contains("https://stspg.io/"), "{told}");
    }
    for name in ["investigating", "identified", "monitoring", "resolved"] {
        say(&rig, name).await;
    }
    rig.world.read(|world| {
        assert_eq!(world.incidents.len(), 2, "one maintenance, one incident");
        let said = |place: usize| {
            let updates = world.incidents[place]["incident_updates"].as_array().unwrap();
            updates.iter().rev().map(|update| update["status"].as_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(said(0), ["scheduled", "in_progress", "completed"]);
        assert_eq!(said(1), ["investigating", "identified", "monitoring", "resolved"]);
        let mailed =
            world.statuspage.iter().any(|sent| sent.body["incident"]["deliver_notifications"] != false);
        assert!(!mailed, "nobody is mailed in a rehearsal");
        let contacts = world.components.iter().find(|(id, ..)| id == "8kbf7d35c071").unwrap();
        assert_eq!(contacts.2, "operational", "set back, which resolving does not do by itself");
    });
    let told = say(&rig, "resolved").await;
    assert!(told.contains("nothing to end"), "{told}");
}

#[tokio::test]
async fn on_the_day_itself_subscribers_are_mailed() {
    let rig = Rig::with(Mode::Live, "").await;
    let _crew = rig.crew("a");
    say(&rig, "investigating").await;
    rig.world.read(|world| assert_eq!(world.statuspage[0].body["incident"]["deliver_notifications"], true));
}

#[tokio::test]
async fn a_page_that_is_throttled_is_waited_for() {
    let rig = Rig::new().await;
    let fault = Fault::RateLimit { vendor: Vendor::Statuspage };
    rig.world.inject(fault, Some(TimeDelta::seconds(90)));
    let _crew = rig.crew("a");
    say(&rig, "investigating").await;
    assert_eq!(rig.world.read(|world| world.incidents.len()), 1);
}

#[tokio::test]
async fn an_unknown_message_is_said_to_be() {
    let rig = Rig::new().await;
    let _crew = rig.crew("a");
    let job = rig.request(message("nonsense")).await;
    assert!(rig.fails(job).await.next.contains("[messages.nonsense]"));
}
