//! `/events/`: fields and functions over rows, in one table.
//!
//! It guarantees that each answer is keyed by the exact text of the field, that nothing matched is null or zero and never an
//! invented number, and that an unknown function is refused.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::ask::{Ask, Params};
use super::rows::{Dataset, Row, rows};
use super::search::Search;
use super::{page, refusal};
use crate::rehearsal::standin::site::Site;

/// A field of the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Column(String),
    Function { name: String, of: String },
}

/// A number's kind: what Sentry calls its type, and its unit.
type Kind = (&'static str, Option<&'static str>);

impl Field {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((name, rest)) = text.split_once('(') else { return Ok(Self::Column(text.to_owned())) };
        let of = rest.strip_suffix(')').ok_or_else(|| format!("{text} is not a valid function"))?;
        let known = matches!(
            name,
            "count"
                | "epm"
                | "eps"
                | "tpm"
                | "count_unique"
                | "failure_rate"
                | "failure_count"
                | "avg"
                | "sum"
                | "min"
                | "max"
                | "p50"
                | "p75"
                | "p90"
                | "p95"
                | "p99"
                | "p100"
                | "last_seen"
        );
        if !known {
            return Err(format!("{text} is not a valid function"));
        }
        Ok(Self::Function { name: name.to_owned(), of: of.to_owned() })
    }

    pub(super) fn kind(&self) -> Kind {
        let Self::Function { name, of } = self else { return ("string", None) };
        let duration = of.starts_with("measurements") || of == "span.duration";
        match name.as_str() {
            "count" | "count_unique" | "failure_count" => ("integer", None),
            "epm" | "tpm" => ("rate", Some("1/minute")),
            "eps" => ("rate", Some("1/second")),
            "failure_rate" => ("percentage", None),
            "last_seen" => ("date", None),
            _ if duration => ("duration", Some("millisecond")),
            _ => ("number", None),
        }
    }

    /// The value over some rows of a window.
    pub(super) fn over(&self, rows: &[&Row], window: TimeDelta) -> Value {
        let (name, of) = match self {
            Self::Column(name) => return rows.first().map_or(Value::Null, |row| row.column(name)),
            Self::Function { name, of } => (name.as_str(), of.as_str()),
        };
        let count: u64 = rows.iter().map(|row| u64::from(row.weight)).sum();
        let minutes = (window.num_milliseconds() as f64 / 60_000.0).max(f64::MIN_POSITIVE);
        let numbers = || {
            let mut numbers: Vec<f64> = rows.iter().filter_map(|row| row.column(of).as_f64()).collect();
            numbers.sort_by(f64::total_cmp);
            numbers
        };
        match name {
            "count" => count.into(),
            "epm" | "tpm" => (count as f64 / minutes).into(),
            "eps" => (count as f64 / minutes / 60.0).into(),
            "count_unique" => {
                let all: std::collections::BTreeSet<String> = rows
                    .iter()
                    .map(|row| row.column(of))
                    .filter(|value| !value.is_null() && *value != "")
                    .map(|value| value.to_string())
                    .collect();
                all.len().into()
            }
            // The status of a page load is not what its scripts threw: it stays near zero, spike or not.
            "failure_rate" => {
                if rows.is_empty() {
                    Value::Null
                } else {
                    0.0.into()
                }
            }
            "failure_count" => 0.into(),
            "last_seen" => {
                rows.iter().map(|row| row.at).max().map_or(Value::Null, |at| at.to_rfc3339().into())
            }
            "avg" => mean(&numbers()),
            "sum" => numbers().iter().sum::<f64>().into(),
            "min" => numbers().first().copied().into(),
            "max" | "p100" => numbers().last().copied().into(),
            _ => quantile(&numbers(), name[1..].parse().unwrap_or(50.0) / 100.0),
        }
    }
}

fn mean(numbers: &[f64]) -> Value {
    if numbers.is_empty() { Value::Null } else { (numbers.iter().sum::<f64>() / numbers.len() as f64).into() }
}

fn quantile(sorted: &[f64], share: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the length")]
    let place = (share * sorted.len() as f64) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().into()
}

/// The rows that a question is about, and its data set.
#[expect(clippy::result_large_err, reason = "the refusal is the answer, and is sent at once")]
pub(super) fn matching(site: &Site, ask: &Ask) -> Result<(String, Vec<Row>), Response> {
    let bad = |detail: &str| refusal(StatusCode::BAD_REQUEST, detail);
    let name = ask.one("dataset").ok_or_else(|| bad("dataset is required"))?;
    let dataset = Dataset::named(name).ok_or_else(|| bad(&format!("dataset must be one of: errors, spans, logs, profile_functions, tracemetrics, uptime_results; got {name}")))?;
    let search = Search::parse(ask.one("query").unwrap_or_default())
        .map_err(|why| bad(&format!("Invalid search query: {why}")))?;
    let mut found = site.world.read(|state| rows(state, dataset, ask.from, ask.to, ask.now));
    let environments: Vec<&str> = ask.all("environment").collect();
    found.retain(|row| {
        let environment = row.column("environment");
        search.matches(|column| row.column(column))
            && (environments.is_empty() || environments.iter().any(|one| environment == *one))
    });
    Ok((name.to_owned(), found))
}

fn table(ask: &Ask, found: &[Row], fields: &[(&str, Field)]) -> Vec<Value> {
    let columns: Vec<&str> =
        fields.iter().filter(|(_, field)| matches!(field, Field::Column(_))).map(|(text, _)| *text).collect();
    let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    if columns.is_empty() {
        groups.insert(String::new(), found.iter().collect());
    }
    for row in found.iter().filter(|_| !columns.is_empty()) {
        let key: Vec<Value> = columns.iter().map(|column| row.column(column)).collect();
        groups.entry(json!(key).to_string()).or_default().push(row);
    }
    let window = ask.to - ask.from;
    let line = |rows: &Vec<&Row>| {
        let mut line: serde_json::Map<String, Value> =
            fields.iter().map(|(text, field)| ((*text).to_owned(), field.over(rows, window))).collect();
        if columns.contains(&"issue") {
            line.insert("issue.id".into(), rows.first().map_or(Value::Null, |row| row.column("issue.id")));
        }
        Value::Object(line)
    };
    groups.values().map(line).collect()
}

fn sort(lines: &mut [Value], by: &str) {
    let (field, down) = by.strip_prefix('-').map_or((by, false), |field| (field, true));
    lines.sort_by(|a, b| {
        let order = match (a[field].as_f64(), b[field].as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => a[field].to_string().cmp(&b[field].to_string()),
        };
        if down { order.reverse() } else { order }
    });
}

pub(super) async fn events(State(site): State<Site>, params: Params) -> Response {
    answer(&site, params).unwrap_or_else(|refused| refused)
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer, and is sent at once")]
fn answer(site: &Site, params: Params) -> Result<Response, Response> {
    let ask = Ask::read(params, site.now())?;
    let parsed: Result<Vec<_>, String> =
        ask.all("field").map(|text| Ok((text, Field::parse(text)?))).collect();
    let fields = parsed.map_err(|why| refusal(StatusCode::BAD_REQUEST, &why))?;
    if fields.is_empty() || fields.len() > 20 {
        return Err(refusal(StatusCode::BAD_REQUEST, "You can view between 1 and 20 fields at a time"));
    }
    let (dataset, found) = matching(site, &ask)?;
    let mut lines = table(&ask, &found, &fields);
    if let Some(by) = ask.one("sort") {
        sort(&mut lines, by);
    }
    let kinds: serde_json::Map<_, _> =
        fields.iter().map(|(text, field)| ((*text).to_owned(), field.kind().0.into())).collect();
    let units: serde_json::Map<_, _> =
        fields.iter().map(|(text, field)| ((*text).to_owned(), json!(field.kind().1))).collect();
    let listed =
        page(site, "/api/0/organizations/logos/events/", &lines, ask.one("cursor"), ask.limit("per_page"));
    let link = listed.headers().get("link").cloned();
    let offset: usize =
        ask.one("cursor").and_then(|cursor| cursor.split(':').nth(1)?.parse().ok()).unwrap_or(0);
    let shown: Vec<&Value> = lines.iter().skip(offset).take(ask.limit("per_page")).collect();
    let mut answer = Json(json!({"data": shown, "meta": {"fields": kinds, "units": units, "isMetricsData": false,
        "isMetricsExtractedData": false, "tips": {"query": null, "columns": null}, "datasetReason": "unchanged",
        "dataset": dataset, "dataScanned": "full"}}))
    .into_response();
    if let Some(link) = link {
        answer.headers_mut().insert("link", link);
    }
    Ok(answer)
}
