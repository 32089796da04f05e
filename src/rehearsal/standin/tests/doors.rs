//! Who is let in, in each vendor's own words; and how often.

use serde_json::json;

use super::*;

#[tokio::test]
async fn each_vendor_refuses_a_wrong_or_missing_key_in_its_own_words() {
    let rig = Rig::smooth().await;
    let urls = &rig.standins.urls;
    let get = async |url: String, key: Option<&str>| {
        let request = rig.client.get(url);
        rig.send(if let Some(key) = key { request.bearer_auth(key) } else { request }).await
    };
    let sentry = format!("{}/api/0/projects/logos/crm-web/", urls.sentry_api);
    let none = get(sentry.clone(), None).await;
    assert_eq!(
        (none.status, none.json()),
        (401, json!({"detail": "Authentication credentials were not provided."}))
    );
    let wrong = get(sentry.clone(), Some("sntryu_wrong")).await;
    assert_eq!((wrong.status, wrong.json()), (401, json!({"detail": "Invalid token"})));
    assert_eq!(get(sentry, Some(&rig.keys.sentry)).await.json()["id"], "4509062593708032");
    let issues = format!("{}/api/0/organizations/logos/issues/", urls.sentry_api);
    assert_eq!(get(issues, Some(&rig.keys.sentry_narrow)).await.status, 403);

    let flags = format!("{}/api/projects/81422/feature_flags/", urls.posthog_api);
    let public = get(flags.clone(), Some(&rig.keys.posthog_project)).await;
    assert_eq!((public.status, &public.json()["code"]), (401, &json!("authentication_failed")));
    assert_eq!(get(flags.clone(), None).await.json()["code"], "not_authenticated");
    let narrow = rig
        .client
        .patch(format!("{flags}30571/"))
        .bearer_auth(&rig.keys.posthog_narrow)
        .json(&json!({"active": false}));
    let narrow = rig.send(narrow).await;
    assert_eq!(
        (narrow.status, &narrow.json()["detail"]),
        (403, &json!("API key missing required scope 'feature_flag:write'"))
    );

    let vercel = format!("{}/v9/projects/prj_8Kq2Zt", urls.vercel);
    let wrong = get(format!("{vercel}?teamId={}", NAMES.vercel_team), Some("nope")).await;
    assert_eq!((wrong.status, &wrong.json()["error"]["invalidToken"]), (403, &json!(true)));
    assert_eq!(get(vercel, Some(&rig.keys.vercel)).await.status, 403, "without the team");

    let pulse = format!("{}/api/contacts/relationship-profiles", urls.pulse);
    let none = get(pulse, None).await;
    assert_eq!((none.status, &none.json()["error"]), (401, &json!("unauthorized")));

    let slack =
        rig.send(rig.client.post(format!("{}/auth.test", urls.slack)).bearer_auth("xoxb-wrong")).await;
    assert_eq!((slack.status, &slack.json()["error"]), (200, &json!("invalid_auth")));
    let page = format!("{}/pages/h12345678/components", urls.statuspage);
    assert_eq!(get(page, Some(&rig.keys.statuspage)).await.status, 401, "Bearer is not OAuth");
    let pager = rig
        .send(
            rig.client.post(format!("{}/enqueue", urls.pagerduty)).json(&json!({"event_action": "trigger"})),
        )
        .await;
    assert_eq!(pager.status, 400);
    assert_eq!(pager.json()["errors"], json!(["'routing_key' is missing or blank"]));
}

#[tokio::test]
async fn pulse_says_what_is_left_and_refuses_the_sixty_first() {
    let rig = Rig::smooth().await;
    let first = rig.pulse("relationship-profiles?limit=1").await;
    assert_eq!(first.header("x-ratelimit-remaining"), Some("59"));
    for _ in 0..59 {
        assert_eq!(rig.pulse("relationship-profiles?limit=1").await.status, 200);
    }
    let refused = rig.pulse("relationship-profiles?limit=1").await;
    assert_eq!((refused.status, &refused.json()["error"]), (429, &json!("rate_limit_exceeded")));
    let wait = refused.json()["retry_after_seconds"].as_i64().unwrap();
    let reset: i64 = refused.header("x-ratelimit-reset").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait) && (reset - rig.now().timestamp() - wait).abs() <= 1);
    rig.pass(wait);
    assert_eq!(rig.pulse("relationship-profiles?limit=1").await.status, 200);
}

#[tokio::test]
async fn sentry_s_429_claims_to_be_html_and_names_no_wait() {
    let rig = Rig::smooth().await;
    for _ in 0..40 {
        assert_eq!(rig.sentry("organizations/logos/releases/").await.status, 200);
    }
    let refused = rig.sentry("organizations/logos/releases/").await;
    assert_eq!(
        (refused.status, refused.header("content-type"), refused.header("retry-after")),
        (429, Some("text/html"), None)
    );
    assert_eq!(refused.header("x-sentry-rate-limit-remaining"), Some("0"));
    assert!(refused.json()["detail"].as_str().unwrap().contains("Limit is 40 requests in 1 seconds"));
    rig.pass(2);
    assert_eq!(rig.sentry("organizations/logos/releases/").await.status, 200);
}

#[tokio::test]
async fn a_limit_met_looks_different_at_each_vendor() {
    use crate::rehearsal::faults::{Fault, Vendor};
    let rig = Rig::smooth().await;
    for vendor in [Vendor::Posthog, Vendor::Vercel, Vendor::Slack, Vendor::Statuspage] {
        rig.world.inject(Fault::RateLimit { vendor }, None);
    }
    let posthog = rig.hogql("SELECT count() FROM events WHERE timestamp >= now() - INTERVAL 1 MINUTE").await;
    assert_eq!((posthog.status, &posthog.json()["type"]), (429, &json!("throttled_error")));
    assert!(posthog.header("retry-after").is_some());
    let vercel = rig.vercel(Method::GET, "/v9/projects/prj_8Kq2Zt", None).await;
    assert!(
        vercel.status == 429
            && vercel.json()["error"]["limit"]["reset"].as_i64().unwrap() > rig.now().timestamp()
    );
    let slack =
        rig.client.post(format!("{}/chat.postMessage", rig.standins.urls.slack)).bearer_auth(&rig.keys.slack);
    let slack = rig.send(slack.json(&json!({"channel": "C0DEPLOY01", "text": "hello"}))).await;
    assert_eq!((slack.status, slack.header("retry-after")), (429, Some("30")));
    let page = rig.client.get(format!("{}/pages/h12345678/components", rig.standins.urls.statuspage));
    let page = rig.send(page.header("authorization", format!("OAuth {}", rig.keys.statuspage))).await;
    assert_eq!(page.status, 420);
    rig.world.clear_all();
    assert_eq!(rig.vercel(Method::GET, "/v9/projects/prj_8Kq2Zt", None).await.status, 200);
}
