//! PagerDuty: alerts raised, acknowledged and resolved, and changes noted.
//!
//! Guarantees that an alert may be sent again, since its key makes it one alert, and a change may not. "Accepted" is not "somebody
//! was called": a person must confirm the test alert.

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::dialect::{Dialect, Words, say, usual_words};
use super::http::Http;
use super::limits::LimitHeaders;
use super::options::{Auth, Options};
use super::request::{Reply, Request};
use super::{Answer, Outcome, ServiceError};
use crate::clock::Clock;

static DIALECT: Dialect = Dialect {
    service: "PagerDuty",
    throttled: &[],
    transient: &[],
    limits: LimitHeaders::None,
    ids: &["x-request-id"],
    words,
};

/// Where PagerDuty is and for which service.
#[derive(Debug, Clone)]
pub struct Config {
    /// The Events API, `https://events.pagerduty.com/v2`.
    pub api: Url,
    /// The integration key of a service, 32 characters.
    pub routing_key: SecretString,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Wakes people.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// For the record.
    Info,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The same key is the same alert, at most 255 characters.
    pub dedup_key: String,
    /// What is wrong; cut at 1024 characters.
    pub summary: String,
    /// Where.
    pub source: String,
    /// How bad.
    pub severity: Severity,
    /// When.
    pub at: DateTime<Utc>,
    /// Numbers and whatever else helps.
    pub details: Value,
}

/// What becomes of an open alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Somebody is on it.
    Acknowledge,
    /// It is over.
    Resolve,
}

/// The client.
#[derive(Debug)]
pub struct PagerDuty {
    http: Http,
    key: SecretString,
}

impl PagerDuty {
    /// Prepares the client; nothing is sent.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, ServiceError> {
        let auth = Auth::Elsewhere(config.routing_key.clone());
        let http = Http::new(&DIALECT, config.api.clone(), &auth, clock, Options::default())?;
        Ok(Self { http, key: config.routing_key.clone() })
    }

    /// Raises an alert, or updates the open one of the same key.
    pub async fn trigger(&self, alert: &Alert) -> Outcome<()> {
        let summary: String = alert.summary.chars().take(1024).collect();
        let body = json!({
            "routing_key": self.key.expose_secret(),
            "event_action": "trigger",
            "dedup_key": cut(&alert.dedup_key),
            "client": "gonogo",
            "payload": {
                "summary": summary,
                "source": alert.source,
                "severity": alert.severity.word(),
                "timestamp": alert.at.to_rfc3339_opts(SecondsFormat::Secs, true),
                "custom_details": alert.details,
            },
        });
        self.send(Request::post("enqueue", "raise the alert").repeatable().json(&body)).await
    }

    /// Acknowledges or resolves an alert; one that is not open is no error.
    pub async fn follow(&self, dedup_key: &str, follow: Follow) -> Outcome<()> {
        let action = if follow == Follow::Resolve { "resolve" } else { "acknowledge" };
        let body = json!({
            "routing_key": self.key.expose_secret(), "event_action": action, "dedup_key": cut(dedup_key),
        });
        self.send(Request::post("enqueue", format!("{action} the alert")).repeatable().json(&body)).await
    }

    /// Notes a change beside the incidents. Each call makes another note.
    pub async fn change(&self, summary: &str, at: DateTime<Utc>, details: &Value) -> Outcome<()> {
        let summary: String = summary.chars().take(1024).collect();
        let body = json!({
            "routing_key": self.key.expose_secret(),
            "payload": {
                "summary": summary,
                "timestamp": at.to_rfc3339_opts(SecondsFormat::Secs, true),
                "source": "gonogo",
                "custom_details": details,
            },
        });
        self.send(Request::post("change/enqueue", "note the change").json(&body)).await
    }

    async fn send(&self, request: Request) -> Outcome<()> {
        let reply = self.http.send(request).await?;
        let said: Answer<Value> = self.http.read(&reply)?;
        if said.value.get("status").and_then(Value::as_str) == Some("success") {
            return Ok(said.map(|_| ()));
        }
        Err(self.http.unreadable(&reply, "the answer does not say success"))
    }
}

fn cut(key: &str) -> String {
    key.chars().take(255).collect()
}

fn words(reply: &Reply) -> Words {
    let mut words = usual_words(reply);
    let body = reply.value().unwrap_or_default();
    if let Some(errors) = body.get("errors").and_then(say) {
        let message = words.detail.take().unwrap_or_default();
        words.detail = Some(format!("{message}: {errors}"));
    }
    if reply.status == 400 {
        words.next = Some(
            "check the routing key (32 characters) and what was sent; repeating does not help".to_owned(),
        );
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json as object;

    use super::*;
    use crate::services::error::{Effect, Fault};
    use crate::services::testing::{SECRET, Vendor, json, secret, text};

    fn pagerduty(vendor: &Vendor) -> PagerDuty {
        let config = Config { api: vendor.url.join("v2").unwrap(), routing_key: secret() };
        PagerDuty::new(&config, vendor.clock.clone()).unwrap()
    }

    fn alert() -> Alert {
        Alert {
            dedup_key: "gonogo/run-7/error-rate".into(),
            summary: "x".repeat(2000),
            source: "app.logosvision.com".into(),
            severity: Severity::Critical,
            at: "2026-10-03T15:41:00Z".parse().unwrap(),
            details: object!({"value": 6.1}),
        }
    }

    #[tokio::test]
    async fn an_alert_is_repeated_under_one_key() {
        let yes = object!({"status": "success", "message": "Event processed", "dedup_key": "k"});
        let vendor = Vendor::script(vec![text(502, "<html>"), json(202, &yes)]).await;
        let client = pagerduty(&vendor);
        client.trigger(&alert()).await.unwrap();
        client.follow("k", Follow::Resolve).await.unwrap();
        let seen = vendor.seen();
        assert_eq!((seen[1].path.as_str(), seen[0].json()), ("/v2/enqueue", seen[1].json()));
        assert_eq!(seen[1].json()["payload"]["summary"].as_str().unwrap().len(), 1024);
        assert_eq!(seen[2].json()["event_action"], "resolve");
    }

    #[tokio::test]
    async fn a_change_is_noted_once() {
        let vendor = Vendor::script(vec![text(502, "<html>")]).await;
        let error = pagerduty(&vendor).change("Deployed", Utc::now(), &Value::Null).await.unwrap_err();
        assert_eq!((error.effect(), vendor.seen().len()), (Effect::Unknown, 1));
    }

    #[tokio::test]
    async fn an_invalid_event_is_told_without_the_key() {
        let no = object!({"status": "invalid event", "message": "Event object is invalid", "errors": [format!("'routing_key' {SECRET} is wrong")]});
        let vendor = Vendor::script(vec![json(400, &no)]).await;
        let client = pagerduty(&vendor);
        let error = client.trigger(&alert()).await.unwrap_err();
        assert!(
            matches!(error.fault(), Fault::Refused { status: 400, detail, .. } if detail.contains("routing_key")),
            "{error}"
        );
        assert_eq!(vendor.seen().len(), 1);
        assert!(!format!("{error} {error:?} {client:?}").contains(SECRET));
    }
}
