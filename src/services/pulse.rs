//! Pulse: relationship profiles and their interactions, page by page.
//!
//! Guarantees that Pulse's limits are obeyed before it has to refuse, and that one malformed profile does not cost the page it
//! came in: it is handed over raw, with the reason. What becomes of a profile is not decided here.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use url::Url;

use super::dialect::{Dialect, Words, usual_words};
use super::http::{Auth, Budget, Http, Options};
use super::limits::LimitHeaders;
use super::request::{Reply, Request, segment};
use super::retry::Backoff;
use super::{Answer, Outcome, RateBudget, ServiceError, lenient};
use crate::clock::Clock;

static DIALECT: Dialect = Dialect {
    service: "Pulse",
    throttled: &[],
    transient: &[],
    limits: LimitHeaders::Standard,
    ids: &["x-request-id", "x-correlation-id"],
    words,
};

/// The most profiles that a page may hold.
pub const MAX_PROFILES: u32 = 1000;
/// The most interactions that a page may hold.
pub const MAX_INTERACTIONS: u32 = 100;
/// The most days that interactions are kept for.
pub const MAX_DAYS: u32 = 90;

/// Where Pulse is and who asks.
#[derive(Debug, Clone)]
pub struct Config {
    /// The base URL, without `/api`.
    pub api: Url,
    /// The token; it lasts one hour.
    pub token: SecretString,
    /// The time for one request, in wall time; the plan says 10 s.
    pub timeout: Duration,
}

/// Which profiles to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// How many, at most [`MAX_PROFILES`].
    pub limit: u32,
    /// From which on.
    pub offset: u64,
    /// Only those changed since.
    pub modified_since: Option<DateTime<Utc>>,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Pulse's id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// The name to show.
    pub display_name: String,
    /// The address that Pulse settled on.
    #[serde(default)]
    pub canonical_email: Option<String>,
    /// First name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// Phone number.
    #[serde(default)]
    pub phone_number: Option<String>,
    /// Company.
    #[serde(default)]
    pub company: Option<String>,
    /// Title.
    #[serde(default)]
    pub title: Option<String>,
    /// LinkedIn page.
    #[serde(default)]
    pub linkedin_url: Option<String>,
    /// Time zone.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Picture.
    #[serde(default)]
    pub avatar_url: Option<String>,
    /// 0 to 100, as sent: the range is not checked here.
    #[serde(default)]
    pub relationship_score: Option<i64>,
    /// The trend, in Pulse's words.
    #[serde(default)]
    pub relationship_trend: Option<String>,
    /// How many interactions.
    #[serde(default)]
    pub total_interactions: Option<i64>,
    /// The last of them.
    #[serde(default, deserialize_with = "moment")]
    pub last_interaction_date: Option<DateTime<Utc>>,
    /// How often, in Pulse's words.
    #[serde(default)]
    pub communication_frequency: Option<String>,
    /// By which channel, in Pulse's words.
    #[serde(default)]
    pub preferred_channel: Option<String>,
    /// Tags.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub tags: Vec<String>,
    /// Notes.
    #[serde(default)]
    pub notes: Option<String>,
    /// Marked as favourite.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub is_favorite: bool,
    /// Blocked.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub is_blocked: bool,
    /// When it was made.
    #[serde(default, deserialize_with = "moment")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    #[serde(default, deserialize_with = "moment")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// An interaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// Pulse's id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// The type, in Pulse's words.
    pub interaction_type: String,
    /// When it was.
    #[serde(default, deserialize_with = "moment")]
    pub interaction_date: Option<DateTime<Utc>>,
    /// Subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// The beginning of the text.
    #[serde(default)]
    pub snippet: Option<String>,
    /// −1 to 1.
    #[serde(default)]
    pub sentiment_score: Option<f64>,
    /// Topics.
    #[serde(default)]
    pub ai_topics: Value,
    /// Action items.
    #[serde(default)]
    pub ai_action_items: Value,
    /// Summary.
    #[serde(default)]
    pub ai_summary: Option<String>,
    /// What the channel adds.
    #[serde(default)]
    pub channel_metadata: Value,
    /// How long it took.
    #[serde(default)]
    pub duration_minutes: Option<i64>,
}

/// An item that could not be read, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct BadItem {
    /// The item.
    pub raw: Value,
    /// Its id, if at least that can be read.
    pub id: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

/// A profile that could not be read.
pub type BadProfile = BadItem;

/// A page of profiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The profiles, readable or not, in Pulse's order.
    pub profiles: Vec<Result<Profile, BadProfile>>,
    /// How many there are in all.
    pub total: Option<u64>,
    /// From which on this page is.
    pub offset: u64,
    /// Whether there are more.
    pub has_more: bool,
}

#[derive(Deserialize)]
struct RawPage {
    data: Vec<Value>,
    pagination: RawPagination,
}

#[derive(Deserialize)]
struct RawPagination {
    #[serde(default, deserialize_with = "lenient::maybe_count")]
    total: Option<u64>,
    #[serde(default, deserialize_with = "lenient::maybe_count")]
    offset: Option<u64>,
    has_more: bool,
}

#[derive(Deserialize)]
struct RawInteractions {
    interactions: Vec<Value>,
}

/// The client. Profiles and interactions have limits of their own, and so ways of their own.
#[derive(Debug)]
pub struct Pulse {
    profiles: Http,
    interactions: Http,
}

impl Pulse {
    /// Prepares the client; nothing is sent.
    pub fn new(config: &Config, clock: &Clock) -> Result<Self, ServiceError> {
        let way = || {
            let backoff = Backoff { attempts: 3, ..Backoff::default() };
            let options = Options { timeout: config.timeout, backoff, budget: Budget::Obey, ..Options::default() };
            Http::new(&DIALECT, config.api.clone(), &Auth::bearer(&config.token), clock.clone(), options)
        };
        Ok(Self { profiles: way()?, interactions: way()? })
    }

    /// What Pulse says is left of the limit for profiles.
    pub fn profile_budget(&self) -> watch::Receiver<Option<RateBudget>> {
        self.profiles.budget()
    }

    /// What Pulse says is left of the limit for interactions.
    pub fn interaction_budget(&self) -> watch::Receiver<Option<RateBudget>> {
        self.interactions.budget()
    }

    /// Whether Pulse is there and lets us in, and how many profiles it has; costs one request of the budget.
    pub async fn authorised(&self) -> Outcome<Option<u64>> {
        let page = self.profiles(&PageQuery { limit: 1, ..PageQuery::default() }).await?;
        Ok(page.map(|page| page.total))
    }

    /// A page of profiles.
    pub async fn profiles(&self, query: &PageQuery) -> Outcome<Page> {
        let since = query.modified_since.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        let request = Request::get("api/contacts/relationship-profiles", "read profiles")
            .query("limit", query.limit.clamp(1, MAX_PROFILES))
            .query("offset", query.offset)
            .maybe_query("modified_since", since);
        let raw: Answer<RawPage> = self.profiles.json(request).await?;
        Ok(raw.map(|raw| Page {
            profiles: raw.data.into_iter().map(item).collect(),
            total: raw.pagination.total,
            offset: raw.pagination.offset.unwrap_or(query.offset),
            has_more: raw.pagination.has_more,
        }))
    }

    /// The latest interactions of a profile.
    pub async fn interactions(
        &self,
        profile: &str,
        limit: u32,
        days: u32,
    ) -> Outcome<Vec<Result<Interaction, BadItem>>> {
        let path = format!("api/contacts/{}/interactions", segment(profile));
        let request = Request::get(path, "read a profile's interactions")
            .query("limit", limit.clamp(1, MAX_INTERACTIONS))
            .query("days", days.clamp(1, MAX_DAYS));
        let raw: Answer<RawInteractions> = self.interactions.json(request).await?;
        Ok(raw.map(|raw| raw.interactions.into_iter().map(item).collect()))
    }
}

fn item<T: DeserializeOwned>(raw: Value) -> Result<T, BadItem> {
    T::deserialize(&raw).map_err(|error| BadItem {
        id: raw.get("id").and_then(lenient::text),
        reason: error.to_string(),
        raw,
    })
}

/// A time or nothing; text that is no time is an error, so that it is not imported as "never".
fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    lenient::time(&text).map(Some).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a time")))
}

fn words(reply: &Reply) -> Words {
    let mut words = usual_words(reply);
    let body = reply.value().unwrap_or_default();
    words.code = body.get("error").and_then(Value::as_str).map(str::to_owned);
    if let Some(message) = body.get("message").and_then(Value::as_str) {
        words.detail = Some(message.to_owned());
    }
    let wait = body.get("retry_after_seconds").and_then(lenient::number);
    words.wait = wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    if reply.status == 401 {
        words.next = Some("set a fresh token: Pulse's last one hour".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json as object;

    use super::*;
    use crate::services::error::Fault;
    use crate::services::testing::{SECRET, Vendor, json, secret, text};

    fn pulse(vendor: &Vendor) -> Pulse {
        let config = Config { api: vendor.url.clone(), token: secret(), timeout: Duration::from_secs(5) };
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
        let vendor = Vendor::script(vec![json(200, &page(&object!([profile("p1"), late, nameless, "text"]), true))]).await;
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
        let vendor = Vendor::script(vec![spent, json(200, &object!({"interactions": [{"id": 1, "interaction_type": "call"}, {}]})), json(200, &page(&object!([]), false))]).await;
        let pulse = pulse(&vendor);
        pulse.profiles(&PageQuery::default()).await.unwrap();
        assert_eq!(pulse.profile_budget().borrow().map(|budget| budget.remaining), Some(0));
        let interactions = pulse.interactions("p/1", 30, 30).await.unwrap().value;
        assert!(interactions[0].is_ok() && interactions[1].is_err());
        pulse.profiles(&PageQuery::default()).await.unwrap();
        let seen = vendor.seen();
        assert_eq!(seen[1].path, "/api/contacts/p%2F1/interactions");
        assert!(seen[1].at < reset, "interactions have a budget of their own");
        assert!(seen[2].at >= reset);
    }

    #[tokio::test]
    async fn failures_are_tried_three_times_and_told() {
        let vendor = Vendor::script(vec![text(503, r#"{"error":"service_unavailable","message":"maintenance"}"#)]).await;
        let error = pulse(&vendor).authorised().await.unwrap_err();
        assert_eq!(vendor.seen().len(), 3);
        assert!(matches!(error.fault(), Fault::Broken { status: 503, detail, .. } if detail == "maintenance"));
        let vendor = Vendor::script(vec![json(401, &object!({"error": "unauthorized", "message": format!("bad {SECRET}")}))]).await;
        let client = pulse(&vendor);
        let error = client.authorised().await.unwrap_err();
        assert!(error.to_string().contains("one hour"), "{error}");
        assert!(!format!("{error} {error:?} {client:?}").contains(SECRET));
    }
}
