//! Numbers over time, in the new form and in the old.
//!
//! It guarantees that the newest bucket says that it is incomplete, until ninety seconds after its end, and that the old form
//! leaves it out unless it is asked for.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ask::{Ask, Params, period};
use super::refusal;
use super::rows::Row;
use super::table::{Field, matching};
use crate::rehearsal::standin::site::Site;

const MOST_POINTS: i64 = 10_000;
/// How long after a bucket's end counts still come in.
const LATE: TimeDelta = TimeDelta::seconds(90);

/// A question about axes over buckets, answered.
struct Series {
    dataset: String,
    interval: i64,
    starts: Vec<DateTime<Utc>>,
    axes: Vec<(String, Field)>,
    rows: Vec<Row>,
    ask: Ask,
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer, and is sent at once")]
impl Series {
    fn read(site: &Site, params: Params, interval: impl Fn(&Ask) -> Option<i64>) -> Result<Self, Response> {
        let ask = Ask::read(params, site.now())?;
        let span = (ask.to - ask.from).num_seconds().max(1);
        // An interval that makes no sense is replaced in silence.
        let interval = interval(&ask)
            .filter(|seconds| *seconds > 0 && span / seconds <= MOST_POINTS)
            .unwrap_or(60.max(span / MOST_POINTS));
        let mut names: Vec<&str> = ask.all("yAxis").collect();
        if names.is_empty() {
            names.push("count()");
        }
        let parse = |name: &str| match Field::parse(name) {
            Ok(field @ Field::Function { .. }) => Ok((name.to_owned(), field)),
            Ok(Field::Column(_)) => Err(format!("{name} is not a valid yAxis")),
            Err(why) => Err(why),
        };
        let axes: Result<Vec<_>, String> = names.into_iter().map(parse).collect();
        let axes = axes.map_err(|why| refusal(StatusCode::BAD_REQUEST, &why))?;
        let first = ask.from.timestamp().div_euclid(interval);
        let last = (ask.to - TimeDelta::milliseconds(1)).timestamp().div_euclid(interval);
        let starts =
            (first..=last).filter_map(|bucket| DateTime::from_timestamp(bucket * interval, 0)).collect();
        let (dataset, mut rows) = matching(site, &ask)?;
        rows.sort_by_key(|row| row.at);
        Ok(Self { dataset, interval, starts, axes, rows, ask })
    }

    fn bucket(&self, start: DateTime<Utc>) -> Vec<&Row> {
        let end = start + TimeDelta::seconds(self.interval);
        let first = self.rows.partition_point(|row| row.at < start);
        self.rows[first..].iter().take_while(|row| row.at < end).collect()
    }

    fn incomplete(&self, start: DateTime<Utc>) -> bool {
        start + TimeDelta::seconds(self.interval) + LATE > self.ask.now
    }

    fn value(&self, field: &Field, rows: &[&Row]) -> Value {
        field.over(rows, TimeDelta::seconds(self.interval))
    }
}

pub(super) async fn timeseries(State(site): State<Site>, params: Params) -> Response {
    let interval = |ask: &Ask| ask.one("interval").and_then(|text| text.parse().ok());
    let series = match Series::read(&site, params, interval) {
        Ok(series) => series,
        Err(refused) => return refused,
    };
    let rate = if series.dataset == "spans" { json!(0.1) } else { json!(1.0) };
    let axis = |(name, field): &(String, Field)| {
        let values: Vec<Value> = series
            .starts
            .iter()
            .map(|start| {
                let rows = series.bucket(*start);
                let mut point = json!({"timestamp": start.timestamp_millis(), "value": series.value(field, &rows),
                    "incomplete": series.incomplete(*start), "sampleCount": rows.len(), "sampleRate": rate,
                    "confidence": if rows.len() > 20 { "high" } else { "low" }});
                if series.incomplete(*start) {
                    point["incompleteReason"] = "INCOMPLETE_BUCKET".into();
                }
                point
            })
            .collect();
        let (kind, unit) = field.kind();
        json!({"yAxis": name, "values": values,
            "meta": {"interval": series.interval * 1_000, "valueType": kind, "valueUnit": unit, "dataScanned": "full"}})
    };
    let all: Vec<Value> = series.axes.iter().map(axis).collect();
    Json(json!({"meta": {"dataset": series.dataset, "start": series.ask.from.timestamp_millis(),
        "end": series.ask.to.timestamp_millis()}, "timeSeries": all}))
    .into_response()
}

pub(super) async fn stats(State(site): State<Site>, params: Params) -> Response {
    let interval = |ask: &Ask| ask.one("interval").and_then(period).map(|span| span.num_seconds());
    let series = match Series::read(&site, params, interval) {
        Ok(series) => series,
        Err(refused) => return refused,
    };
    let partial = series.ask.one("partial") == Some("1");
    let shown =
        |start: &&DateTime<Utc>| partial || **start + TimeDelta::seconds(series.interval) <= series.ask.now;
    let axis = |order: usize, (name, field): &(String, Field)| {
        let point = |start: &DateTime<Utc>| json!([start.timestamp(), [{"count": series.value(field, &series.bucket(*start))}]]);
        let data: Vec<Value> = series.starts.iter().filter(shown).map(point).collect();
        let (kind, unit) = field.kind();
        json!({"data": data, "order": order, "start": series.ask.from.timestamp(), "end": series.ask.to.timestamp(),
            "meta": {"fields": {name: kind}, "units": {name: unit}}, "isMetricsData": false})
    };
    match series.axes.as_slice() {
        [one] => Json(axis(0, one)).into_response(),
        many => {
            let all: serde_json::Map<_, _> =
                many.iter().enumerate().map(|(order, one)| (one.0.clone(), axis(order, one))).collect();
            Json(Value::Object(all)).into_response()
        }
    }
}
