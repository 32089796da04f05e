//! The table `events`: what the shared traffic did, as browsers would have sent it, and what was captured.
//!
//! It guarantees the same visits that Sentry counts, and that an event which has not arrived, or was dropped, is not there.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::hogql::{Datum, Table};
use crate::rehearsal::draw::{draw, fraction};
use crate::rehearsal::state::State;
use crate::rehearsal::traffic::{History, View, distinct_id};
use crate::rehearsal::world::FLAG;

enum Row {
    /// Something that a page load sent; the number tells its events apart.
    Visit { view: usize, event: &'static str, number: u32 },
    /// An event that came through the public door.
    Captured { at: DateTime<Utc>, body: Value },
}

/// The events of a window of time.
pub(super) struct Events {
    views: Vec<View>,
    weight: f64,
    rows: Vec<Row>,
}

impl Events {
    pub(super) fn read(state: &State, since: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let sample = History::of(state).known(since, now, now);
        let mut rows = Vec::new();
        for (view, loaded) in sample.views.iter().enumerate().filter(|(_, view)| !view.lost_at_posthog) {
            let mut add = |event, number| rows.push(Row::Visit { view, event, number });
            let chance = |salt| fraction(draw(loaded.number, &[salt]));
            add("$pageview", 0);
            add("$web_vitals", 0);
            (0..loaded.errors()).for_each(|number| add("$exception", number));
            if loaded.number.is_multiple_of(17) {
                add("$feature_flag_called", 0);
            }
            if loaded.page == "/contacts" {
                add("page_performance", 0);
                // The redesign is liked: half as many contacts again, and actions that were not there before.
                if chance(101) < if loaded.redesign { 0.75 } else { 0.5 } {
                    add("contact_viewed", 0);
                }
                if loaded.redesign && chance(102) < 0.35 {
                    add("action_completed", 0);
                }
            }
        }
        let captured = state.captured.iter().filter(|event| event.visible <= now).filter_map(|event| {
            let said =
                event.body["timestamp"].as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            let at = said.map_or(event.at, |at| at.to_utc());
            (at >= since).then(|| Row::Captured { at, body: event.body.clone() })
        });
        rows.extend(captured);
        Self { weight: f64::from(sample.weight), views: sample.views, rows }
    }
}

fn id(parts: &[u64]) -> String {
    let high = u128::from(draw(81, parts)) << 64;
    uuid::Builder::from_random_bytes((high | u128::from(draw(82, parts))).to_be_bytes())
        .into_uuid()
        .to_string()
}

fn property(view: &View, event: &str, name: &str) -> Datum {
    let text = |text: &str| Datum::Text(text.to_owned());
    let lcp = view.lcp_ms.round();
    match name {
        "$session_id" => Datum::Text(id(&[view.session])),
        "$current_url" => Datum::Text(format!("https://app.logosvision.com{}", view.page)),
        "$pathname" | "page" => text(view.page),
        "$lib" => text("web"),
        "$lib_version" => text("1.358.0"),
        "$feature_flag" if event == "$feature_flag_called" => text(FLAG),
        "$feature_flag_response" if event == "$feature_flag_called" => Datum::Bool(view.flag),
        "$web_vitals_LCP_value" if event == "$web_vitals" => Datum::Number(lcp),
        "$web_vitals_FCP_value" if event == "$web_vitals" => Datum::Number((lcp * 0.7).round()),
        "$web_vitals_INP_value" if event == "$web_vitals" => Datum::Number((lcp * 0.08).round()),
        "$web_vitals_CLS_value" if event == "$web_vitals" => Datum::Number(0.02),
        "load_time_ms" if event == "page_performance" => Datum::Number(lcp),
        "$exception_level" if event == "$exception" => text("error"),
        "$exception_types" if event == "$exception" => text("[\"TypeError\"]"),
        "app_version" | "release" => text(&view.release),
        other if other.strip_prefix("$feature/") == Some(FLAG) => Datum::Bool(view.flag),
        _ => Datum::Null,
    }
}

fn of_visit(view: &View, event: &str, number: u32, name: &str) -> Option<Datum> {
    Some(match name {
        "event" => Datum::Text(event.to_owned()),
        "timestamp" | "created_at" => Datum::Time(view.at),
        "uuid" => Datum::Text(id(&[view.number, u64::from(number), event.len() as u64])),
        "distinct_id" => Datum::Text(distinct_id(view.user)),
        "person_id" | "person.id" => Datum::Text(id(&[view.user])),
        "$session_id" => property(view, event, name),
        "person.properties.email" => {
            let domain = if view.internal { "logosvision.com" } else { "example.org" };
            Datum::Text(format!("{}@{domain}", distinct_id(view.user)))
        }
        "person.properties" | "properties" => Datum::Text("{}".into()),
        _ if name.starts_with("person.properties.") => Datum::Null,
        _ => property(view, event, name.strip_prefix("properties.")?),
    })
}

fn of_captured(at: DateTime<Utc>, body: &Value, name: &str) -> Option<Datum> {
    Some(match name {
        "timestamp" | "created_at" => Datum::Time(at),
        "event" | "uuid" | "distinct_id" => Datum::from_json(&body[name]),
        "person_id" | "person.id" => Datum::from_json(&body["distinct_id"]),
        "$session_id" => Datum::from_json(&body["properties"]["$session_id"]),
        "properties" => Datum::from_json(&body["properties"]),
        _ if name.starts_with("person.properties") => Datum::Null,
        _ => Datum::from_json(&body["properties"][name.strip_prefix("properties.")?]),
    })
}

impl Table for Events {
    fn column(&self, row: usize, name: &str) -> Option<Datum> {
        match self.rows.get(row)? {
            Row::Visit { view, event, number } => of_visit(&self.views[*view], event, *number, name),
            Row::Captured { at, body } => of_captured(*at, body, name),
        }
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }
}
