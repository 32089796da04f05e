//! What is new and what is lost: issues since the release, and events that never became numbers.
//!
//! Guarantees that a list cut short says so, and that losses are counted by outcome. It judges neither.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Sentry, Window, plain};
use crate::services::{Answer, Outcome, lenient};

/// Pages of a hundred that a list is followed for.
const MAX_PAGES: usize = 10;

/// What makes an issue new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewSince {
    /// First seen in this release.
    Release(String),
    /// First seen after this moment; for apps that set no release.
    Time(DateTime<Utc>),
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// Its id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// The id that people use, such as `CRM-WEB-41`.
    #[serde(default)]
    pub short_id: Option<String>,
    /// The error's type and message.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub title: String,
    /// Where in the code.
    #[serde(default)]
    pub culprit: Option<String>,
    /// Its page.
    #[serde(default)]
    pub permalink: Option<String>,
    /// The level: error, warning, info…
    #[serde(default)]
    pub level: Option<String>,
    /// How many events.
    #[serde(default, deserialize_with = "lenient::maybe_count")]
    pub count: Option<u64>,
    /// How many users.
    #[serde(default, deserialize_with = "lenient::maybe_count")]
    pub user_count: Option<u64>,
    /// First seen.
    #[serde(default, deserialize_with = "lenient::maybe_time")]
    pub first_seen: Option<DateTime<Utc>>,
    /// Last seen.
    #[serde(default, deserialize_with = "lenient::maybe_time")]
    pub last_seen: Option<DateTime<Utc>>,
}

/// Issues, and whether these are all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueList {
    /// The issues, newest first.
    pub issues: Vec<Issue>,
    /// How many there are, where Sentry says.
    pub total: Option<u64>,
    /// Whether the list was cut short.
    pub more: bool,
}

/// What became of the events that were sent, in category error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes(pub BTreeMap<String, u64>);

impl Outcomes {
    /// Events with this outcome; zero when none had it.
    pub fn of(&self, outcome: &str) -> u64 {
        self.0.get(outcome).copied().unwrap_or_default()
    }

    /// Events that arrived and are counted nowhere, because of quota, filter or form.
    pub fn lost(&self) -> u64 {
        ["rate_limited", "filtered", "invalid", "abuse", "cardinality_limited"]
            .iter()
            .map(|lost| self.of(lost))
            .sum()
    }
}

#[derive(Deserialize)]
struct RawOutcomes {
    groups: Vec<RawGroup>,
}

#[derive(Deserialize)]
struct RawGroup {
    by: BTreeMap<String, Value>,
    totals: BTreeMap<String, Value>,
}

impl Sentry {
    /// Unresolved issues that are new since the release or the moment.
    pub async fn new_issues(&self, since: &NewSince) -> Outcome<IssueList> {
        let query = match since {
            NewSince::Release(release) => format!("is:unresolved first-release:{release} !has:gonogo.check"),
            NewSince::Time(at) => format!("is:unresolved firstSeen:>{} !has:gonogo.check", plain(*at)),
        };
        let (mut issues, mut cursor, mut total) = (Vec::new(), None::<String>, None);
        let mut page = 0;
        loop {
            page += 1;
            let request = self
                .scoped("issues/", "list new issues", "event:read")
                .await?
                .query("query", &query)
                .query("sort", "new")
                .query("limit", 100)
                .query("collapse", "stats")
                .maybe_query("cursor", cursor.as_ref());
            let reply = self.http.send(request).await?;
            let answer: Answer<Vec<Issue>> = self.http.read(&reply)?;
            issues.extend(answer.value);
            total = total.or_else(|| reply.header("x-hits")?.parse().ok());
            cursor = reply.header("link").and_then(next_cursor);
            if cursor.is_none() || page == MAX_PAGES {
                let list = IssueList { issues, total, more: cursor.is_some() };
                return Ok(Answer { value: list, receipt: answer.receipt });
            }
        }
    }

    /// What became of errors sent in the window; whole hours, as Sentry keeps them.
    pub async fn outcomes(&self, window: Window) -> Outcome<Outcomes> {
        let window = match window {
            Window::Last(span) => Window::Last(Duration::from_hours(span.as_secs().div_ceil(3600).max(1))),
            between @ Window::Between(..) => between,
        };
        let project = self.project_id().await?;
        let request = super::Request::get(self.org_path("stats_v2/"), "read what became of events")
            .needs("org:read")
            .query("project", project)
            .query("field", "sum(quantity)")
            .query("groupBy", "outcome")
            .query("category", "error")
            .query("interval", "1h");
        let raw: Answer<RawOutcomes> = self.http.json(window.on(request)).await?;
        Ok(raw.map(|raw| {
            let mut outcomes = Outcomes::default();
            for group in raw.groups {
                let outcome = group.by.get("outcome").and_then(lenient::text);
                let count = group.totals.get("sum(quantity)").and_then(lenient::count);
                if let (Some(outcome), Some(count)) = (outcome, count) {
                    *outcomes.0.entry(outcome).or_default() += count;
                }
            }
            outcomes
        }))
    }
}

/// The cursor of the next page, if the `Link` header says that it has results.
fn next_cursor(link: &str) -> Option<String> {
    let next = link.split(", <").find(|part| part.contains("rel=\"next\""))?;
    if !next.contains("results=\"true\"") {
        return None;
    }
    let (_, cursor) = next.split_once("cursor=\"")?;
    cursor.split_once('"').map(|(cursor, _)| cursor.to_owned())
}
