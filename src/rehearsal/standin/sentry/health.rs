//! Release health by the hour, and what became of the events that were sent.
//!
//! It guarantees that rates without sessions are null, and that events which Sentry dropped are counted as dropped.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ask::{Ask, Params, period};
use super::{PROJECT_ID, refusal};
use crate::rehearsal::standin::site::Site;
use crate::rehearsal::traffic::{History, View};

/// Page loads by the bucket they fall into, over a window rounded to the interval.
struct Hours {
    starts: Vec<DateTime<Utc>>,
    interval: i64,
    weight: u32,
    views: Vec<View>,
}

impl Hours {
    fn read(site: &Site, ask: &Ask) -> Result<Self, String> {
        let interval =
            ask.one("interval").map_or(Some(TimeDelta::hours(1)), period).map(|span| span.num_seconds());
        let interval = interval
            .filter(|seconds| (3_600..=86_400).contains(seconds) && 86_400 % seconds == 0)
            .ok_or("The interval has to be at least one hour, at most one day and a divisor of a day.")?;
        let first = ask.from.timestamp().div_euclid(interval) * interval;
        let last = (ask.to - TimeDelta::milliseconds(1)).timestamp();
        let starts: Vec<_> = (0..=(last - first).max(0) / interval)
            .map(|n| first + n * interval)
            .filter_map(|start| DateTime::from_timestamp(start, 0))
            .collect();
        if starts.len() > 10_000 {
            return Err("Your interval and date range would create too many results.".into());
        }
        let end = starts.last().map_or(ask.to, |start| *start + TimeDelta::seconds(interval));
        let sample =
            site.world.read(History::of).known(starts.first().copied().unwrap_or(ask.from), end, ask.now);
        Ok(Self { starts, interval, weight: sample.weight, views: sample.views })
    }

    fn place(&self, at: DateTime<Utc>) -> usize {
        let past = (at - self.starts[0]).num_seconds() / self.interval;
        usize::try_from(past).unwrap_or(0).min(self.starts.len() - 1)
    }

    fn intervals(&self) -> Vec<String> {
        self.starts.iter().map(|start| start.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)).collect()
    }
}

/// How a session ended. Here a session is a page load, as with the browser SDK's default.
fn status(view: &View) -> &'static str {
    match view.errors() {
        0 => "healthy",
        _ if view.number.is_multiple_of(4) => "crashed",
        _ => "errored",
    }
}

fn measure(field: &str, views: &[&View], weight: u32) -> Result<Value, String> {
    let share = |bad: &dyn Fn(&View) -> bool| {
        let total = views.len();
        if total == 0 {
            Value::Null
        } else {
            (views.iter().filter(|view| bad(view)).count() as f64 / total as f64).into()
        }
    };
    let complement = |rate: Value| rate.as_f64().map_or(Value::Null, |rate| (1.0 - rate).into());
    let crashed = |view: &View| status(view) == "crashed";
    Ok(match field {
        "sum(session)" => (views.len() as u64 * u64::from(weight)).into(),
        "count_unique(user)" => {
            views.iter().map(|view| view.user).collect::<std::collections::BTreeSet<_>>().len().into()
        }
        "crash_rate(session)" | "crash_rate(user)" => share(&crashed),
        "crash_free_rate(session)" | "crash_free_rate(user)" => complement(share(&crashed)),
        "errored_rate(session)" | "unhealthy_rate(session)" => share(&|view| view.errors() > 0),
        "abnormal_rate(session)" => share(&|_| false),
        other => return Err(format!("Invalid field: {other}")),
    })
}

pub(super) async fn sessions(State(site): State<Site>, params: Params) -> Response {
    let ask = match Ask::read(params, site.now()) {
        Ok(ask) => ask,
        Err(refused) => return refused,
    };
    by_session(&site, &ask)
        .map_or_else(|why| refusal(StatusCode::BAD_REQUEST, &why), |body| Json(body).into_response())
}

fn by_session(site: &Site, ask: &Ask) -> Result<Value, String> {
    let hours = Hours::read(site, ask)?;
    let fields: Vec<&str> = ask.all("field").collect();
    let by: Vec<&str> = ask.all("groupBy").collect();
    if fields.is_empty() {
        return Err("Request is missing a \"field\"".into());
    }
    if by.contains(&"session.status") && fields.iter().any(|field| field.contains("crash")) {
        return Err("Cannot group by session.status with a crash rate".into());
    }
    let search = super::search::Search::parse(ask.one("query").unwrap_or_default())?;
    let column = |view: &View, name: &str| match name {
        "release" => Ok(json!(&*view.release)),
        "environment" => Ok(json!("production")),
        "project" => Ok(json!(PROJECT_ID)),
        "session.status" => Ok(json!(status(view))),
        other => Err(format!("Invalid groupBy: {other}")),
    };
    let mut groups: BTreeMap<String, Vec<&View>> = BTreeMap::new();
    if by.is_empty() {
        groups.insert("{}".into(), Vec::new());
    }
    for view in &hours.views {
        if view.lost_at_sentry || !search.matches(|name| column(view, name).unwrap_or_default()) {
            continue;
        }
        let key: Result<serde_json::Map<_, _>, String> =
            by.iter().map(|name| Ok(((*name).to_owned(), column(view, name)?))).collect();
        groups.entry(Value::Object(key?).to_string()).or_default().push(view);
    }
    let mut shown = Vec::new();
    for (key, views) in &groups {
        let mut buckets: Vec<Vec<&View>> = vec![Vec::new(); hours.starts.len()];
        for view in views {
            buckets[hours.place(view.at)].push(view);
        }
        let (mut totals, mut series) = (serde_json::Map::new(), serde_json::Map::new());
        for field in &fields {
            totals.insert((*field).to_owned(), measure(field, views, hours.weight)?);
            let points: Result<Vec<_>, _> =
                buckets.iter().map(|views| measure(field, views, hours.weight)).collect();
            series.insert((*field).to_owned(), points?.into());
        }
        let mut group =
            json!({"by": serde_json::from_str::<Value>(key).unwrap_or_default(), "totals": totals});
        if ask.one("includeSeries") != Some("0") {
            group["series"] = series.into();
        }
        shown.push(group);
    }
    let intervals = hours.intervals();
    let end = hours.starts.last().map(|start| *start + TimeDelta::seconds(hours.interval));
    Ok(json!({"start": intervals.first(), "end": end, "intervals": intervals, "groups": shown,
        "query": ask.one("query").unwrap_or_default()}))
}

pub(super) async fn volume(State(site): State<Site>, params: Params) -> Response {
    let ask = match Ask::read(params, site.now()) {
        Ok(ask) => ask,
        Err(refused) => return refused,
    };
    by_outcome(&site, &ask)
        .map_or_else(|why| refusal(StatusCode::BAD_REQUEST, &why), |body| Json(body).into_response())
}

fn by_outcome(site: &Site, ask: &Ask) -> Result<Value, String> {
    let field = ask.one("field").filter(|field| matches!(*field, "sum(quantity)" | "sum(times_seen)"));
    let field = field.ok_or("Request is missing a \"field\"")?;
    let by: Vec<&str> = ask.all("groupBy").collect();
    if by.is_empty() {
        return Err("Request is missing a \"groupBy\"".into());
    }
    let hours = Hours::read(site, ask)?;
    let categories: Vec<&str> = ask.all("category").collect();
    let mut groups: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut add = |category: &str, outcome: &str, place: usize, count: u64| {
        if !categories.is_empty() && !categories.contains(&category) {
            return;
        }
        let value = |name: &str| match name {
            "outcome" => json!(outcome),
            "category" => json!(category),
            "project" => json!(PROJECT_ID),
            "reason" => json!(if outcome == "rate_limited" { "key_quota" } else { "none" }),
            _ => Value::Null,
        };
        let key: serde_json::Map<_, _> = by.iter().map(|name| ((*name).to_owned(), value(name))).collect();
        groups.entry(Value::Object(key).to_string()).or_insert_with(|| vec![0; hours.starts.len()])[place] +=
            count;
    };
    for view in &hours.views {
        let outcome = if view.lost_at_sentry { "rate_limited" } else { "accepted" };
        let weight = u64::from(hours.weight);
        let place = hours.place(view.at);
        add("error", outcome, place, u64::from(view.errors()) * weight);
        if view.traced {
            add("transaction", outcome, place, weight);
            add("span", outcome, place, 12 * weight);
        }
    }
    // An outcome of a newer Sentry, which clients must bear with.
    add("error", "held_back", 0, 0);
    let group = |(key, series): (&String, &Vec<u64>)| {
        let mut group = json!({"by": serde_json::from_str::<Value>(key).unwrap_or_default(),
            "totals": {field: series.iter().sum::<u64>()}});
        // Sentry switches the series off when projects are told apart.
        if !by.contains(&"project") {
            group["series"] = json!({field: series});
        }
        group
    };
    let intervals = hours.intervals();
    let end = hours.starts.last().map(|start| *start + TimeDelta::seconds(hours.interval));
    let shown: Vec<Value> = groups.iter().map(group).collect();
    Ok(json!({"start": intervals.first(), "end": end, "intervals": intervals, "groups": shown}))
}
