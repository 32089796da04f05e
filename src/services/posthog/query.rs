//! `HogQL` queries.
//!
//! Guarantees live answers (never PostHog's cache), values apart from the statement, and that an answer which is only promised
//! is waited for. What is asked stands in `readings`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{PostHog, lenient};
use crate::services::error::{Fault, seconds};
use crate::services::request::{Reply, Request, segment};
use crate::services::retry::Poll;
use crate::services::{Answer, Outcome};

/// How long a query that PostHog put into its queue may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A statement to run.
#[derive(Debug, Clone)]
pub struct Hogql {
    /// The statement, with `{name}` where a value goes; it must bound `timestamp`.
    pub statement: String,
    /// The values.
    pub values: Map<String, Value>,
    /// A name for PostHog's own query log.
    pub name: &'static str,
}

/// Rows, read by the name of the column.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Rows {
    columns: Vec<String>,
    results: Vec<Vec<Value>>,
    /// Whether there are more rows than the answer holds.
    #[serde(default, rename = "hasMore", deserialize_with = "lenient::or_default")]
    pub more: bool,
}

impl Rows {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// A value; none when there is no such row or column, or it is null.
    pub fn get(&self, row: usize, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.results.get(row)?.get(at).filter(|value| !value.is_null())
    }

    /// A finite number; NaN and null are none.
    pub fn number(&self, row: usize, column: &str) -> Option<f64> {
        self.get(row, column).and_then(lenient::number)
    }

    /// A count.
    pub fn count(&self, row: usize, column: &str) -> Option<u64> {
        self.get(row, column).and_then(lenient::count)
    }
}

#[derive(Deserialize)]
struct Status {
    id: Value,
    #[serde(default, deserialize_with = "lenient::or_default")]
    complete: bool,
    #[serde(default, deserialize_with = "lenient::or_default")]
    error: bool,
    #[serde(default)]
    error_message: Option<String>,
    #[serde(default)]
    results: Value,
}

impl PostHog {
    /// Runs a statement now.
    pub async fn query(&self, query: &Hogql) -> Outcome<Rows> {
        let asked = format!("run the query “{}”", query.name);
        let body = json!({
            "query": {"kind": "HogQLQuery", "query": query.statement, "values": query.values},
            "refresh": "force_blocking",
            "name": query.name,
        });
        let request = Request::ask(self.path("query/"), asked.clone()).needs("query:read").json(&body);
        let mut reply = self.queries.send(request).await?;
        let mut poll =
            Poll::new(self.queries.clock(), Duration::from_millis(500), Duration::from_secs(4), PATIENCE);
        loop {
            let body: Answer<Value> = self.queries.read(&reply)?;
            let status = body.value.get("query_status").filter(|status| !status.is_null());
            let Some(status) = status else { return self.rows(&reply, body.value) };
            let status = Status::deserialize(status)
                .map_err(|error| self.queries.unreadable(&reply, &error.to_string()))?;
            if status.error {
                let detail =
                    status.error_message.unwrap_or_else(|| "the query failed without a word".to_owned());
                return Err(self
                    .queries
                    .fail(&reply, refused(&reply, &self.queries.redactor().clean(&detail))));
            }
            if status.complete {
                // A blocking answer carries its status beside the rows.
                let whole = if status.results.is_null() { body.value } else { status.results };
                return self.rows(&reply, whole);
            }
            let Some(id) = lenient::text(&status.id) else {
                return Err(self.queries.unreadable(&reply, "the query has no id to ask for"));
            };
            if !poll.again().await {
                let waited = seconds(poll.waited());
                return Err(self
                    .queries
                    .fail(&reply, Fault::NotProven(format!("the query is not done after {waited}"))));
            }
            let path = self.path(&format!("query/{}/", segment(&id)));
            reply = self.queries.send(Request::get(path, asked.clone()).needs("query:read")).await?;
        }
    }

    fn rows(&self, reply: &Reply, body: Value) -> Outcome<Rows> {
        if let Some(error) = body.get("error").and_then(Value::as_str) {
            return Err(self.queries.fail(reply, refused(reply, &self.queries.redactor().clean(error))));
        }
        match serde_json::from_value(body) {
            Ok(value) => Ok(Answer { value, receipt: reply.receipt.clone() }),
            Err(error) => Err(self.queries.unreadable(reply, &error.to_string())),
        }
    }
}

fn refused(reply: &Reply, detail: &str) -> Fault {
    Fault::Refused { status: reply.status, code: None, detail: detail.to_owned() }
}
