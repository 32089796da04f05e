//! The stand-ins over real sockets. The clock stands nearly still and is jumped, so that no test waits for time to pass.

mod clients;
mod coupling;
mod doors;
mod faults;
mod monitors;
mod records;
mod rollout;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

use super::*;
use crate::clock::Clock;
use crate::rehearsal::scenario::Scenario;
use crate::rehearsal::state::Credentials;
use crate::rehearsal::world::World;

/// A rehearsal without its cockpit.
struct Rig {
    world: Arc<World>,
    clock: Clock,
    standins: Standins,
    client: Client,
    keys: Credentials,
}

/// An answer, read whole.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Rig {
    async fn new(scenario: &str, contacts: u32) -> Self {
        // A second install is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::paced(DateTime::from_timestamp(1_790_000_000, 0).unwrap(), 0.001);
        let world =
            Arc::new(World::in_memory(clock.clone(), Scenario::shipped(scenario).unwrap(), 7, contacts));
        let standins = Standins::start(Arc::clone(&world)).await.unwrap();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let keys = world.credentials();
        Self { world, clock, standins, client, keys }
    }

    async fn smooth() -> Self {
        Self::new("smooth", 300).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn pass(&self, seconds: i64) {
        self.clock.jump_to(self.clock.now() + TimeDelta::seconds(seconds));
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    async fn sentry(&self, path: &str) -> Answer {
        self.send(
            self.client
                .get(format!("{}/api/0/{path}", self.standins.urls.sentry_api))
                .bearer_auth(&self.keys.sentry),
        )
        .await
    }

    async fn posthog(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = format!("{}/api/projects/{}/{path}", self.standins.urls.posthog_api, NAMES.posthog_project);
        let request = self.client.request(method, url).bearer_auth(&self.keys.posthog);
        self.send(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    /// One fresh HogQL statement.
    async fn hogql(&self, statement: &str) -> Answer {
        let query =
            serde_json::json!({"kind": "HogQLQuery", "query": statement, "values": {"event": "$pageview"}});
        self.posthog(
            Method::POST,
            "query/",
            Some(serde_json::json!({"query": query, "refresh": "force_blocking"})),
        )
        .await
    }

    async fn vercel(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let join = if path.contains('?') { '&' } else { '?' };
        let url = format!("{}{path}{join}teamId={}", self.standins.urls.vercel, NAMES.vercel_team);
        let request = self.client.request(method, url).bearer_auth(&self.keys.vercel);
        self.send(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    async fn pulse(&self, path: &str) -> Answer {
        self.send(
            self.client
                .get(format!("{}/api/contacts/{path}", self.standins.urls.pulse))
                .bearer_auth(&self.keys.pulse),
        )
        .await
    }

    async fn app(&self, path: &str) -> Answer {
        self.send(self.client.get(format!("{}{path}", self.standins.urls.app))).await
    }

    async fn flag(&self) -> Value {
        let found = self.posthog(Method::GET, "feature_flags/?search=contacts_redesign", None).await.json();
        found["results"][0].clone()
    }

    /// The flag as somebody outside the team, or of it, is told.
    async fn told(&self, email: &str) -> Value {
        let body = serde_json::json!({"token": self.keys.posthog_project, "distinct_id": "gonogo-probe-1",
            "person_properties": {"email": email}});
        let answer = self
            .send(self.client.post(format!("{}/flags/?v=2", self.standins.urls.posthog_ingest)).json(&body))
            .await;
        answer.json()["flags"]["contacts_redesign"].clone()
    }

    /// Puts the new build live.
    async fn go_live(&self) {
        let answer = self
            .vercel(Method::POST, "/v10/projects/prj_8Kq2Zt/promote/dpl_9NewAbc", Some(serde_json::json!({})))
            .await;
        assert_eq!(answer.status, 201);
        self.pass(15);
    }

    /// Errors per page load, by Sentry's own counts of the last minutes.
    async fn error_rate(&self, minutes: u32) -> f64 {
        let count = async |dataset: &str, query: &str| {
            let path = format!(
                "organizations/logos/events/?dataset={dataset}&field=count()&query={query}&statsPeriod={minutes}m&project=-1"
            );
            let answer = self.sentry(&path).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.json()["data"][0]["count()"].as_f64().unwrap()
        };
        count("errors", "!has:gonogo.check").await / count("spans", "is_transaction:true").await
    }
}
