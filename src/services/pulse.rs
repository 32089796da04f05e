//! Pulse: relationship profiles and their interactions, page by page.
//!
//! Guarantees that Pulse's limits are obeyed before it has to refuse, and that one malformed profile does not cost the page it
//! came in: it is handed over raw, with the reason. What becomes of a profile is not decided here.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::watch;
use url::Url;

use super::dialect::{Dialect, Words, usual_words};
use super::http::Http;
use super::limits::{Gate, LimitHeaders};
use super::options::{Auth, Budget, Options};
use super::request::{Reply, Request, segment};
use super::retry::{Backoff, Repeat};
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

/// Pulse counts by the minute.
const WINDOW: TimeDelta = TimeDelta::minutes(1);
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
    /// Attempts for one request, at least 1.
    pub attempts: u32,
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
    /// The page at `LinkedIn`.
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
    data: Vec<Box<RawValue>>,
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
    interactions: Vec<Box<RawValue>>,
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
            let backoff = Backoff { attempts: config.attempts.max(1), ..Backoff::default() };
            // One at a time: only then is what Pulse says to be left what is left.
            let gate = Gate::new(1, Duration::ZERO);
            let options = Options {
                timeout: config.timeout,
                backoff,
                gate,
                budget: Budget::Obey(WINDOW),
                ..Options::default()
            };
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
        self.listed(query, Repeat::Safe).await
    }

    /// A page of profiles, asked for once: for whoever keeps a pace and repeats by it.
    pub async fn page(&self, query: &PageQuery) -> Outcome<Page> {
        self.listed(query, Repeat::Never).await
    }

    async fn listed(&self, query: &PageQuery, repeat: Repeat) -> Outcome<Page> {
        let since = query.modified_since.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        let request = Request::get("api/contacts/relationship-profiles", "read profiles")
            .query("limit", query.limit.clamp(1, MAX_PROFILES))
            .query("offset", query.offset)
            .maybe_query("modified_since", since)
            .repeat(repeat);
        let raw: Answer<RawPage> = self.profiles.json(request).await?;
        Ok(raw.map(|raw| Page {
            profiles: raw.data.iter().map(|raw| item(raw.get())).collect(),
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
        Ok(raw.map(|raw| raw.interactions.iter().map(|raw| item(raw.get())).collect()))
    }
}

/// Reads a profile as Pulse sends it, from the text of one.
pub fn profile(raw: &str) -> Result<Profile, BadProfile> {
    item(raw)
}

/// Reads one item. Only one that cannot be read is taken apart again for what can be said of it.
fn item<T: DeserializeOwned>(raw: &str) -> Result<T, BadItem> {
    serde_json::from_str(raw).map_err(|error| {
        let reason = error.to_string();
        let raw = serde_json::from_str(raw).unwrap_or_else(|_| Value::String(raw.to_owned()));
        BadItem { id: raw.get("id").and_then(lenient::text), reason, raw }
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
#[path = "pulse_tests.rs"]
mod tests;
