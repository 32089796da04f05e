//! Statements that write or take a whole table at once.

use crate::workers::migrate::classify::Kind;
use crate::workers::migrate::deed::{Verb, words_of, write};
use crate::workers::migrate::lint::finding::Severity;
use crate::workers::migrate::lint::known::Weight;
use crate::workers::migrate::lint::note::{Note, Said};
use crate::workers::migrate::lint::scene::{Line, Page, Scene};
use crate::workers::migrate::lint::work::Work;
use crate::workers::migrate::names::{canonical, shown};

/// Every row stays locked until the statement ends.
pub(super) fn all_rows(_: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in &page.lines {
        let Some(write) = write(&line.statement.text) else { continue };
        if write.narrowed || in_batches(line) {
            continue;
        }
        let table = canonical(&write.table);
        let verb = if write.verb == Verb::Update { "writes" } else { "deletes" };
        let said = Said {
            rule: "all-rows-at-once",
            severity: Severity::Stops,
            weight: Weight::Load(Work::Writes),
            what: format!(
                "{verb} every row of {} in one statement: who writes to a row waits until the last is done, and the pool empties",
                shown(&table)
            ),
            tables: vec![table],
            safe: "in batches by key, each a transaction of its own".into(),
        };
        notes.push(said.at(page, line, 0));
    }
    notes
}

/// Whether a mark above the statement, or inside it, has it run in batches.
pub(crate) fn in_batches(line: &Line<'_>) -> bool {
    let rows = line.above.lines().chain(line.statement.text.lines());
    rows.filter_map(|row| row.trim().strip_prefix("--"))
        .any(|said| said.trim().to_ascii_lowercase().starts_with("gonogo: batch"))
}

/// LOCK, TRUNCATE, VACUUM FULL, CLUSTER, REFRESH: the whole table for the whole time.
pub(super) fn whole_table(_: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in &page.lines {
        let words = words_of(&line.statement.text);
        let first = words.first().map(|word| word.text.to_ascii_lowercase()).unwrap_or_default();
        let has = |word: &str| words.iter().any(|other| other.is(word));
        let tables: Vec<String> =
            line.statement.shape.needs.iter().map(|need| canonical(&need.relation)).collect();
        let named = tables.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
        let named = if named.is_empty() { "the table".to_owned() } else { named };
        let (severity, work, what, safe) = match first.as_str() {
            "lock" if line.statement.shape.kind != Kind::Steers => (
                Severity::Stops,
                Weight::Load(Work::None),
                format!("{named} is locked until the transaction ends, whatever comes after"),
                "leave the lock to the statement that needs it",
            ),
            "truncate" => (
                Severity::Breaks,
                Weight::Rows,
                format!("every row of {named} is gone at once, for readers of older snapshots too"),
                "DELETE in batches, after a backup of the rows",
            ),
            "vacuum" if has("full") => (
                Severity::Stops,
                Weight::Load(Work::Rewrite),
                format!("everybody who uses {named}, readers too, waits while it is written anew"),
                "VACUUM without FULL; what it does not give back is used again",
            ),
            "cluster" => (
                Severity::Stops,
                Weight::Load(Work::Rewrite),
                format!("everybody who uses {named}, readers too, waits while it is written anew in order"),
                "not in a live window",
            ),
            "refresh" if has("materialized") && !has("concurrently") => (
                Severity::Stops,
                Weight::Load(Work::Rewrite),
                format!("readers of {named} wait while its query runs"),
                "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on it",
            ),
            _ => continue,
        };
        let said = Said { rule: "whole-table", severity, weight: work, tables, what, safe: safe.into() };
        notes.push(said.at(page, line, 0));
    }
    notes
}
