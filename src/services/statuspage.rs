//! Statuspage: incidents, maintenances, components, and what the public sees.
//!
//! Guarantees one request a second, that nothing is announced twice when an answer is lost, and that subscribers are mailed only
//! when the caller says so. When to announce what is not decided here.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::dialect::{Dialect, usual_words};
use super::error::Effect;
use super::http::Http;
use super::limits::{Gate, LimitHeaders};
use super::options::{Auth, Options};
use super::request::{Request, segment};
use super::{Answer, Outcome, ServiceError, lenient};
use crate::clock::Clock;

static DIALECT: Dialect = Dialect {
    service: "Statuspage",
    throttled: &[420],
    transient: &[],
    limits: LimitHeaders::None,
    ids: &["x-request-id"],
    words: usual_words,
};

/// Where Statuspage is and which page.
#[derive(Debug, Clone)]
pub struct Config {
    /// The API, `https://api.statuspage.io/v1`.
    pub api: Url,
    /// The page's id.
    pub page: String,
    /// The API key.
    pub key: SecretString,
    /// The public page, such as `https://status.logosvision.com`, to see what the public sees.
    pub public: Option<Url>,
}

/// How far an incident or a maintenance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Being looked into.
    Investigating,
    /// The cause is known.
    Identified,
    /// Mended, and watched.
    Monitoring,
    /// Over.
    Resolved,
    /// A maintenance to come.
    Scheduled,
    /// A maintenance that runs.
    InProgress,
    /// A maintenance being checked.
    Verifying,
    /// A maintenance that is over.
    Completed,
}

impl Stage {
    /// Statuspage's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
            Self::Scheduled => "scheduled",
            Self::InProgress => "in_progress",
            Self::Verifying => "verifying",
            Self::Completed => "completed",
        }
    }
}

/// How a part of the product does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentStatus {
    /// Well.
    Operational,
    /// Being worked on.
    UnderMaintenance,
    /// Slow.
    Degraded,
    /// Partly down.
    PartialOutage,
    /// Down.
    MajorOutage,
}

impl ComponentStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Operational => "operational",
            Self::UnderMaintenance => "under_maintenance",
            Self::Degraded => "degraded_performance",
            Self::PartialOutage => "partial_outage",
            Self::MajorOutage => "major_outage",
        }
    }
}

/// Whether subscribers are mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// All of them.
    Subscribers,
    /// Nobody: for rehearsals and tests.
    Nobody,
}

/// What to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// How far it is.
    pub stage: Stage,
    /// The text, at most 25 000 characters.
    pub body: String,
    /// Components and how they do; resolving does not set them back by itself.
    pub components: BTreeMap<String, ComponentStatus>,
    /// Whom to tell.
    pub notify: Notify,
}

/// A time for a maintenance. Statuspage moves it by the clock only if told so; here it is moved by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// From.
    pub from: DateTime<Utc>,
    /// Until.
    pub until: DateTime<Utc>,
}

/// An incident or a maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Incident {
    /// Its id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Its status, in Statuspage's words.
    pub status: String,
    /// Its public page.
    #[serde(default)]
    pub shortlink: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::maybe_time")]
    pub created_at: Option<DateTime<Utc>>,
    /// What was said, newest first.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub incident_updates: Vec<Update>,
}

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Update {
    /// The status then.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub status: String,
    /// The text.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub body: String,
}

/// A component.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Component {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// How it does, in Statuspage's words.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub status: String,
}

/// What the public sees.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Summary {
    /// The line at the top.
    pub status: Indicator,
    /// Open incidents.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub incidents: Vec<Incident>,
    /// Maintenances, to come or running.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub scheduled_maintenances: Vec<Incident>,
    /// Components.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub components: Vec<Component>,
}

/// The line at the top of the page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Indicator {
    /// none, minor, major or critical.
    pub indicator: String,
    /// The words, such as "All Systems Operational".
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub description: String,
}

/// The client.
#[derive(Debug)]
pub struct Statuspage {
    http: Http,
    public: Option<Http>,
    page: String,
}

impl Statuspage {
    /// Prepares the client; nothing is sent.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, ServiceError> {
        let auth = Auth::Header { scheme: "OAuth", secret: config.key.clone() };
        let options = Options { gate: Gate::new(1, Duration::from_secs(1)), ..Options::default() };
        let public = match &config.public {
            None => None,
            Some(url) => {
                Some(Http::new(&DIALECT, url.clone(), &Auth::None, clock.clone(), Options::default())?)
            }
        };
        let http = Http::new(&DIALECT, config.api.clone(), &auth, clock, options)?;
        Ok(Self { http, public, page: config.page.clone() })
    }

    /// Opens an incident.
    pub async fn open_incident(&self, name: &str, post: &Post) -> Outcome<Incident> {
        let request = Request::post(self.path("incidents"), "open the incident");
        self.create(name, request, incident(Some(name), post)).await
    }

    /// Announces a maintenance. It is moved on by [`Self::update`] alone, never by the clock.
    pub async fn schedule_maintenance(&self, name: &str, slot: Slot, post: &Post) -> Outcome<Incident> {
        let mut body = incident(Some(name), post);
        let inner = &mut body["incident"];
        inner["scheduled_for"] = json!(iso(slot.from));
        inner["scheduled_until"] = json!(iso(slot.until));
        inner["scheduled_auto_in_progress"] = json!(false);
        inner["scheduled_auto_completed"] = json!(false);
        let request = Request::post(self.path("incidents"), "announce the maintenance");
        self.create(name, request, body).await
    }

    async fn create(&self, name: &str, request: Request, body: Value) -> Outcome<Incident> {
        let since = self.http.clock().now() - TimeDelta::seconds(5);
        match self.http.json(request.json(&body)).await {
            Err(lost) if lost.effect() == Effect::Unknown => {
                let open = self.open().await.ok();
                let made = open.into_iter().flat_map(|list| {
                    let receipt = list.receipt;
                    list.value.into_iter().map(move |value| Answer { value, receipt: receipt.clone() })
                });
                let ours =
                    |it: &Answer<Incident>| it.value.name == name && it.value.created_at >= Some(since);
                made.into_iter().find(ours).ok_or(lost)
            }
            answer => answer,
        }
    }

    /// Adds an update to an incident or a maintenance. When the answer is lost, what stands there is read, and the update is
    /// taken for done if it is there.
    pub async fn update(&self, id: &str, post: &Post) -> Outcome<Incident> {
        let path = self.path(&format!("incidents/{}", segment(id)));
        // Each one mails and adds a line, so it is not a change to a fixed state.
        let request = Request::patch(&path, "update the status page").only_once().json(&incident(None, post));
        match self.http.json(request).await {
            Err(lost) if lost.effect() == Effect::Unknown => {
                let read = self.http.json(Request::get(path, "read the incident")).await;
                let read: Answer<Incident> = read.map_err(|_| lost.clone())?;
                let newest = read.value.incident_updates.first();
                let there = newest
                    .is_some_and(|newest| newest.body == post.body && newest.status == post.stage.word());
                if there { Ok(read) } else { Err(lost) }
            }
            answer => answer,
        }
    }

    /// Incidents and maintenances that are not over.
    pub async fn open(&self) -> Outcome<Vec<Incident>> {
        let unresolved = self.unresolved().await?;
        let mut all = unresolved.value;
        for list in ["incidents/upcoming", "incidents/active_maintenance"] {
            let more: Answer<Vec<Incident>> = self
                .http
                .json(Request::get(self.path(list), "list maintenances").query("limit", 100))
                .await?;
            for incident in more.value {
                if !all.iter().any(|known| known.id == incident.id) {
                    all.push(incident);
                }
            }
        }
        Ok(Answer { value: all, receipt: unresolved.receipt })
    }

    /// Incidents that are not resolved.
    pub async fn unresolved(&self) -> Outcome<Vec<Incident>> {
        self.http
            .json(Request::get(self.path("incidents/unresolved"), "list open incidents").query("limit", 100))
            .await
    }

    /// The components.
    pub async fn components(&self) -> Outcome<Vec<Component>> {
        self.http.json(Request::get(self.path("components"), "list components").query("per_page", 100)).await
    }

    /// Sets a component.
    pub async fn set_component(&self, id: &str, status: ComponentStatus) -> Outcome<Component> {
        let path = self.path(&format!("components/{}", segment(id)));
        let body = json!({"component": {"status": status.word()}});
        self.http.json(Request::patch(path, "set a component").json(&body)).await
    }

    /// What the public sees.
    pub async fn summary(&self) -> Outcome<Summary> {
        let Some(public) = &self.public else {
            let problem = "the public page's URL is not set";
            return Err(ServiceError::setup("Statuspage", "see what the public sees", problem));
        };
        public.json(Request::get("api/v2/summary.json", "see what the public sees")).await
    }

    fn path(&self, rest: &str) -> String {
        format!("pages/{}/{rest}", segment(&self.page))
    }
}

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn incident(name: Option<&str>, post: &Post) -> Value {
    let body: String = post.body.chars().take(25_000).collect();
    let components: BTreeMap<_, _> = post.components.iter().map(|(id, status)| (id, status.word())).collect();
    let mut incident = json!({
        "status": post.stage.word(),
        "body": body,
        "deliver_notifications": post.notify == Notify::Subscribers,
    });
    if let Some(name) = name {
        incident["name"] = json!(name.chars().take(255).collect::<String>());
    }
    if !components.is_empty() {
        incident["component_ids"] = json!(components.keys().collect::<Vec<_>>());
        incident["components"] = json!(components);
    }
    json!({"incident": incident})
}

#[cfg(test)]
#[path = "statuspage_tests.rs"]
mod tests;
