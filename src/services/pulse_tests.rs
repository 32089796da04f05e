//! Pulse's pages, limits and refusals, as its server sends them.

use serde_json::json as object;

use super::*;
use crate::services::error::Fault;
use crate::services::testing::{SECRET, Vendor, json, secret, text};

fn pulse(vendor: &Vendor) -> Pulse {
    let config =
        Config { api: vendor.url.clone(), token: secret(), timeout: Duration::from_secs(5), attempts: 3 };
    Pulse::new(&config, &vendor.clock).unwrap()
}

fn page(data: &Value, has_more: bool) -> Value {
    object!({"data": data, "pagination": {"total": 3, "limit": 1000, "offset": 0, "has_more": has_more}})
}

fn profile(id: &str) -> Value {
    object!({"id": id, "user_id": "u", "display_name": "Ada", "canonical_email": "ada@example.org", "relationship_score": 87,
        "total_interactions": 4, "last_interaction_date": "2026-10-01T12:00:00Z", "communication_frequency": "rare",
        "tags": ["board"], "is_favorite": null, "created_at": "2026-01-01T00:00:00", "updated_at": null, "invented": {}})
}

#[tokio::test]
async fn one_malformed_profile_does_not_cost_the_page() {
    let mut late = profile("p2");
    late["last_interaction_date"] = object!("yesterday");
    let mut nameless = profile("p3");
    nameless["display_name"] = Value::Null;
    let vendor =
        Vendor::script(vec![json(200, &page(&object!([profile("p1"), late, nameless, "text"]), true))]).await;
    let since = "2026-10-01T00:00:00Z".parse().unwrap();
    let query = PageQuery { limit: 5000, offset: 2000, modified_since: Some(since) };
    let read = pulse(&vendor).profiles(&query).await.unwrap().value;
    assert!(read.has_more);
    assert_eq!(read.profiles[0].as_ref().unwrap().relationship_score, Some(87));
    let bad = read.profiles[1].as_ref().unwrap_err();
    assert!(bad.id.as_deref() == Some("p2") && bad.reason.contains("yesterday"), "{bad:?}");
    assert!(read.profiles[2].is_err() && read.profiles[3].is_err());
    let seen = &vendor.seen()[0];
    assert_eq!(seen.query, "limit=1000&offset=2000&modified_since=2026-10-01T00%3A00%3A00.000Z");
}

#[tokio::test]
async fn a_page_without_its_envelope_is_an_error() {
    let vendor = Vendor::script(vec![json(200, &object!({"data": []}))]).await;
    let error = pulse(&vendor).profiles(&PageQuery::default()).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn a_429_waits_as_long_as_its_body_says() {
    let no = object!({"error": "rate_limit_exceeded", "message": "slow down", "retry_after_seconds": 30});
    let vendor = Vendor::script(vec![json(429, &no), json(200, &page(&object!([]), false))]).await;
    assert_eq!(pulse(&vendor).authorised().await.unwrap().value, Some(3));
    let seen = vendor.seen();
    assert!(seen[1].at - seen[0].at >= chrono::TimeDelta::seconds(30));
}

#[tokio::test]
async fn the_window_is_waited_for_before_it_is_overdrawn() {
    let reset: DateTime<Utc> = "2026-10-03T14:30:50Z".parse().unwrap();
    let spent = json(200, &page(&object!([]), true))
        .with("x-ratelimit-limit", 60)
        .with("x-ratelimit-remaining", 0)
        .with("x-ratelimit-reset", reset.timestamp());
    let vendor = Vendor::script(vec![
        spent,
        json(200, &object!({"interactions": [{"id": 1, "interaction_type": "call"}, {}]})),
        json(200, &page(&object!([]), false)),
    ])
    .await;
    let config =
        Config { api: vendor.url.clone(), token: secret(), timeout: Duration::from_secs(5), attempts: 3 };
    let clock = Clock::paced("2026-10-03T14:30:00Z".parse().unwrap(), 0.001);
    let pulse = Pulse::new(&config, &clock).unwrap();
    pulse.profiles(&PageQuery::default()).await.unwrap();
    assert_eq!(pulse.profile_budget().borrow().map(|budget| budget.remaining), Some(0));

    let next = PageQuery::default();
    let mut waiting = std::pin::pin!(pulse.profiles(&next));
    tokio::select! {
        _ = &mut waiting => panic!("the window is spent"),
        // These have a budget of their own.
        interactions = pulse.interactions("p/1", 30, 30) => {
            let interactions = interactions.unwrap().value;
            assert!(interactions[0].is_ok() && interactions[1].is_err());
        }
    }
    assert_eq!(vendor.seen()[1].path, "/api/contacts/p%2F1/interactions");
    assert!(clock.jump_to(reset + chrono::TimeDelta::seconds(1)));
    waiting.await.unwrap();
    assert_eq!(vendor.seen().len(), 3);
}

#[tokio::test]
async fn failures_are_tried_three_times_and_told() {
    let vendor =
        Vendor::script(vec![text(503, r#"{"error":"service_unavailable","message":"maintenance"}"#)]).await;
    let error = pulse(&vendor).authorised().await.unwrap_err();
    assert_eq!(vendor.seen().len(), 3);
    assert!(matches!(error.fault(), Fault::Broken { status: 503, detail, .. } if detail == "maintenance"));
    let vendor = Vendor::script(vec![json(
        401,
        &object!({"error": "unauthorized", "message": format!("bad {SECRET}")}),
    )])
    .await;
    let client = pulse(&vendor);
    let error = client.authorised().await.unwrap_err();
    assert!(error.to_string().contains("one hour"), "{error}");
    assert!(!format!("{error} {error:?} {client:?}").contains(SECRET));
}
