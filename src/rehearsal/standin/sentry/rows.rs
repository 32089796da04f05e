//! The rows that questions to Sentry are asked of: errors, and page loads as spans.
//!
//! It guarantees that both come from the same visits: an error is one that a page load threw, a span stands for ten page loads
//! since the browser traces a tenth. What the DSN took in is among the errors once it is processed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{PROJECT, PROJECT_ID};
use crate::rehearsal::state::State;
use crate::rehearsal::traffic::{History, View};

/// What a data set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dataset {
    Errors,
    Spans,
    /// Others that exist, and hold nothing here.
    Empty,
}

impl Dataset {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "errors" => Some(Self::Errors),
            "spans" => Some(Self::Spans),
            "logs" | "profile_functions" | "tracemetrics" | "uptime_results" => Some(Self::Empty),
            _ => None,
        }
    }
}

/// A group of errors.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) id: &'static str,
    pub(super) short: &'static str,
    pub(super) title: &'static str,
    pub(super) culprit: &'static str,
}

/// What the redesigned page throws.
pub(super) const NEW_ISSUE: Issue = Issue {
    id: "6507376925",
    short: "CRM-WEB-241",
    title: "TypeError: Cannot read properties of undefined (reading 'score')",
    culprit: "ContactCard(src/components/contacts/ContactCard)",
};
/// What was thrown now and then before.
pub(super) const OLD_ISSUE: Issue = Issue {
    id: "6400000007",
    short: "CRM-WEB-7",
    title: "TypeError: Failed to fetch",
    culprit: "loadDashboard(src/pages/dashboard)",
};
/// What the DSN took in.
pub(super) const CHECK_ISSUE: Issue =
    Issue { id: "6507380001", short: "CRM-WEB-240", title: "gonogo check", culprit: "" };

/// One error or one span.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) at: DateTime<Utc>,
    /// How many it stands for.
    pub(super) weight: u32,
    pub(super) issue: Option<&'static Issue>,
    user: String,
    release: Arc<str>,
    lcp: Option<f64>,
    page: &'static str,
    /// The event that the DSN took in.
    sent: Option<Arc<Value>>,
}

impl Row {
    /// A column's value, or null where the row has none.
    pub(super) fn column(&self, name: &str) -> Value {
        let issue = |of: fn(&Issue) -> Value| self.issue.map_or(Value::Null, of);
        match name {
            "issue" => issue(|issue| issue.short.into()),
            "issue.id" => issue(|issue| issue.id.parse::<u64>().map_or(Value::Null, Into::into)),
            "title" | "message" => match &self.sent {
                Some(sent) => sent["message"]["formatted"]
                    .as_str()
                    .or(sent["message"].as_str())
                    .unwrap_or_default()
                    .into(),
                None => issue(|issue| issue.title.into()),
            },
            "release" => (*self.release).into(),
            "environment" => {
                self.sent.as_ref().map_or(json!("production"), |sent| sent["environment"].clone())
            }
            "user" | "user.id" => self.user.as_str().into(),
            "project" | "project.name" => PROJECT.into(),
            "project.id" | "project_id" => PROJECT_ID.into(),
            "level" => self.sent.as_ref().map_or(json!("error"), |sent| sent["level"].clone()),
            "transaction" | "span.description" => self.page.into(),
            "timestamp" => self.at.to_rfc3339().into(),
            "is_transaction" => {
                if self.issue.is_none() {
                    "true".into()
                } else {
                    Value::Null
                }
            }
            "event.type" => {
                if self.issue.is_some() {
                    "error".into()
                } else {
                    "transaction".into()
                }
            }
            "span.op" => {
                if self.issue.is_none() {
                    "pageload".into()
                } else {
                    Value::Null
                }
            }
            "span.duration" => self.lcp.map_or(Value::Null, |lcp| (lcp * 0.78).into()),
            "measurements.lcp" => self.lcp.map_or(Value::Null, Into::into),
            "sdk.name" => match &self.sent {
                Some(_) => "gonogo".into(),
                None => "sentry.javascript.react".into(),
            },
            _ => self.sent.as_ref().map_or(Value::Null, |sent| sent["tags"][name].clone()),
        }
    }
}

/// The rows of a data set between two moments, as far as Sentry knows of them now.
pub(super) fn rows(
    state: &State,
    dataset: Dataset,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Row> {
    if dataset == Dataset::Empty {
        return Vec::new();
    }
    let sample = History::of(state).known(from, to, now);
    let kept = sample.views.iter().filter(|view| !view.lost_at_sentry);
    if dataset == Dataset::Spans {
        let traced = kept.filter(|view| view.traced);
        return traced.map(|view| row(view, None, Some(view.lcp_ms), sample.weight * 10)).collect();
    }
    let mut rows: Vec<Row> = kept.flat_map(|view| thrown(view, sample.weight)).collect();
    let taken_in =
        state.envelopes.iter().filter(|event| event.visible <= now && event.at >= from && event.at < to);
    rows.extend(taken_in.map(|event| Row {
        at: event.at,
        weight: 1,
        issue: Some(&CHECK_ISSUE),
        user: String::new(),
        release: event.body["release"].as_str().unwrap_or_default().into(),
        lcp: None,
        page: "",
        sent: Some(Arc::new(event.body.clone())),
    }));
    rows
}

fn row(view: &View, issue: Option<&'static Issue>, lcp: Option<f64>, weight: u32) -> Row {
    let user = format!("user-{}", view.user);
    Row {
        at: view.at,
        weight,
        issue,
        user,
        release: Arc::clone(&view.release),
        lcp,
        page: view.page,
        sent: None,
    }
}

fn thrown(view: &View, weight: u32) -> impl Iterator<Item = Row> {
    let of = move |issue, count: u32| (0..count).map(move |_| row(view, Some(issue), None, weight));
    of(&NEW_ISSUE, view.new_errors).chain(of(&OLD_ISSUE, view.old_errors))
}
