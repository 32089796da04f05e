//! A run without a screen: one line for each event, and the summary at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::print;
use crate::run::summary::{Summary, summary};
use crate::run::words::words;
use crate::run::{Record, State};
use crate::store::{Store, StoreError};

/// The version of the lines' form.
const SCHEMA: u32 = 1;
/// How many records are read at once.
const PAGE: u32 = 500;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Words,
    /// A JSON value each.
    Json,
}

impl Form {
    /// The form that `--json` asks for.
    pub(super) const fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Words }
    }
}

/// Prints records as they come, for as long as the store lives; `printed` is the number of the last.
pub(super) async fn follow(store: &Store, printed: &AtomicU64, form: Form) -> Result<(), StoreError> {
    let mut state = store.state();
    loop {
        state.mark_unchanged();
        let last = rest(store, printed.load(Ordering::Relaxed), form).await?;
        printed.store(last, Ordering::Relaxed);
        if state.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Prints what is left after number `from`, and returns the last number.
pub(super) async fn rest(store: &Store, mut from: u64, form: Form) -> Result<u64, StoreError> {
    let now = store.now();
    while from < now.seq {
        for record in store.records(from + 1, PAGE).await? {
            from = record.seq;
            say(&line(&record, &now, form));
        }
    }
    Ok(from)
}

/// A record as a line.
pub(super) fn line(record: &Record, state: &State, form: Form) -> String {
    match form {
        Form::Words => {
            let zone = state.plan().map_or(chrono_tz::UTC, |plan| plan.timezone);
            let at = record.at.with_timezone(&zone).format("%a %H:%M:%S");
            format!("{at}  {:<9} {}", record.by.role.word(), words(record, Some(state)))
        }
        Form::Json => {
            let mut value = serde_json::to_value(record).unwrap_or(Value::Null);
            if let Some(object) = value.as_object_mut() {
                object.insert("schema".into(), SCHEMA.into());
                object.insert("type".into(), "event".into());
                object.insert("words".into(), words(record, Some(state)).into());
                // The plan is long, and `gonogo plan --json` prints it.
                if let Some(plan) = object.get_mut("plan") {
                    *plan = json!({ "name": plan["name"], "version": plan["version"] });
                }
            }
            value.to_string()
        }
    }
}

/// The summary as lines.
pub(super) fn sum_up(state: &State, proof: Option<Value>, form: Form) -> String {
    let summary = summary(state);
    match form {
        Form::Json => {
            let mut value = json!({ "schema": SCHEMA, "type": "summary", "summary": summary });
            if let Some(proof) = proof {
                value["proof"] = proof;
            }
            value.to_string()
        }
        Form::Words => in_words(&summary, proof.as_ref()),
    }
}

fn in_words(summary: &Summary, proof: Option<&Value>) -> String {
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(|| "-".into(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    let Summary { items, phases, .. } = summary;
    let mut lines = vec![
        format!("{}  {} {}", summary.ending, summary.name, summary.version),
        format!("  opened {}  closed {}", time(summary.opened), time(summary.closed)),
        format!("  phases {} of {}  events {}", phases.0, phases.1, summary.events),
        format!(
            "  items done {}  skipped {}  failed {}  of {}",
            items.done, items.skipped, items.failed, items.all
        ),
    ];
    if let Some(import) = &summary.import {
        lines.push(format!(
            "  import: {} new, {} updated, {} unchanged, {} quarantined, {} conflicts of {}",
            import.imported,
            import.updated,
            import.unchanged,
            import.quarantined,
            import.conflicts,
            import.total
        ));
    }
    if let Some(mock) = &summary.mock {
        let so = match mock.gone {
            None => "they STAND, and NOTHING of Pulse's is imported".to_owned(),
            Some(_) => {
                format!("gone {}, when Pulse's contacts were imported or they were removed", time(mock.gone))
            }
        };
        lines.push(format!(
            "  MOCK data: decided by {} {}: {}; {so}",
            mock.by.name,
            time(Some(mock.at)),
            mock.why
        ));
    }
    if let Some(recovery) = &summary.recovery {
        let seconds = |span: Option<i64>| span.map_or_else(|| "not measured".into(), |s| format!("{s} s"));
        let verified = if recovery.verified { "verified from outside" } else { "NOT VERIFIED" };
        lines.push(format!(
            "  {}: detected in {}, decided in {}, recovered in {}, {verified}",
            recovery.rungs.join(", "),
            seconds(recovery.detect_s),
            seconds(recovery.decide_s),
            seconds(recovery.recover_s),
        ));
    }
    if let Some(proof) = proof {
        lines.push(format!("  on the scratch database: {proof}"));
    }
    lines.join("\n")
}

/// Prints a line; a reader that went away is no failure.
pub(super) fn say(line: &str) {
    if let Err(error) = print(&format!("{line}\n")) {
        tracing::warn!(%error, "a line was not printed");
    }
}
