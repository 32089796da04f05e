//! What is wrong only because of what comes before or after it in the file.

use std::collections::BTreeMap;

use crate::workers::migrate::book::Direction;
use crate::workers::migrate::classify::{Built, Clause, Kind, LockMode};
use crate::workers::migrate::deed::{Deed, Demand, Looks, Verb, words_of, write};
use crate::workers::migrate::files::Unit;
use crate::workers::migrate::lint::effort::efforts;
use crate::workers::migrate::lint::finding::Severity;
use crate::workers::migrate::lint::known::Weight;
use crate::workers::migrate::lint::note::{Note, Said};
use crate::workers::migrate::lint::scene::{Line, Page, Scene};
use crate::workers::migrate::names::{canonical, shown};

/// NOT VALID spares the rows that are there from being looked at, not from being checked when they are written next.
pub(super) fn not_null_check_before_backfill(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in page.lines.iter().filter(|line| line.is_alter()) {
        let Some(table) = line.table() else { continue };
        for action in &line.actions {
            let Deed::AddConstraint(constraint) = &action.deed else { continue };
            let Demand::NotNullCheck { column } = &constraint.kind else { continue };
            if constraint.looks == Looks::Now {
                continue;
            }
            let filled = |range: &[Line<'_>]| range.iter().any(|other| fills(other, &table, column));
            let (before, after) = page.lines.split_at(line.place);
            let there = scene.known.tables.get(&table).and_then(|table| table.columns.get(column));
            // Made in this file without a default, every row lacks it; from before, the catalogue knows.
            let lacking = match there {
                Some(there) => there.nulls,
                None => added_empty(before, line, &table, column).then_some(true),
            };
            if filled(before) || lacking == Some(false) || (lacking.is_none() && !filled(after)) {
                continue;
            }
            let said = Said {
                rule: "not-null-check-before-backfill",
                severity: Severity::Breaks,
                weight: Weight::Rows,
                tables: vec![table.clone()],
                what: format!(
                    "from here on every UPDATE of a row of {} that has no {column} yet fails, whoever makes it: NOT VALID is \
                     checked on each write",
                    shown(&table)
                ),
                safe: "fill the column first; then the check NOT VALID, VALIDATE, SET NOT NULL".into(),
            };
            notes.push(said.at(page, line, action.at.start));
        }
    }
    notes
}

fn fills(line: &Line<'_>, table: &str, column: &str) -> bool {
    write(&line.statement.text).is_some_and(|write| {
        write.verb == Verb::Update
            && canonical(&write.table) == table
            && write.sets.iter().any(|set| set == column)
    })
}

/// Whether the column was added in these lines or earlier in this one, with nothing to fill the rows that are there.
fn added_empty(before: &[Line<'_>], this: &Line<'_>, table: &str, column: &str) -> bool {
    let lines =
        before.iter().chain([this]).filter(|line| line.is_alter() && line.table().as_deref() == Some(table));
    lines.flat_map(|line| &line.actions).any(|action| {
        matches!(&action.deed, Deed::AddColumn(added)
            if added.name == column && added.default.is_none() && !added.generated && !added.is_serial())
    })
}

/// A concurrent build waits for old transactions; a lock_timeout counts that wait, and leaves an invalid index.
pub(super) fn lock_timeout_and_concurrently(_: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut set: Option<u32> = None;
    let mut notes = Vec::new();
    for line in &page.lines {
        let words = words_of(&line.statement.text);
        let first = |n: usize, word: &str| words.get(n).is_some_and(|token| token.is(word));
        let name = if first(1, "local") || first(1, "session") { 2 } else { 1 };
        if first(0, "set") && first(name, "lock_timeout") {
            let value = words.get(name + 2).map_or("", |token| token.text.trim_matches('\''));
            let off = value == "0" || value.eq_ignore_ascii_case("default");
            set = if off { None } else { Some(line.statement.line) };
        } else if first(0, "reset") && (first(1, "lock_timeout") || first(1, "all")) {
            set = None;
        }
        let Kind::CreateIndex { table, exists, built: Built::Concurrently, .. } = &line.statement.shape.kind
        else {
            continue;
        };
        let Some(from) = set else { continue };
        let skipped = match exists {
            Clause::Lenient => ", which IF NOT EXISTS then takes for the index",
            Clause::Strict => "",
        };
        let said = Said {
            rule: "lock-timeout-and-concurrently",
            severity: Severity::Breaks,
            weight: Weight::Rows,
            tables: vec![canonical(table)],
            what: format!(
                "the lock_timeout of line {from} counts the wait for old transactions, and leaves an invalid index behind{skipped}"
            ),
            safe: "SET lock_timeout = 0 before it: a concurrent build stops nobody while it waits".into(),
        };
        notes.push(said.at(page, line, 0));
    }
    notes
}

/// One transaction holds every lock to its end, so long work after a strong lock is as long a stop.
pub(super) fn locks_held_through(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    if page.script.unit != Unit::File {
        return Vec::new();
    }
    let mut held: BTreeMap<String, (LockMode, u32)> = BTreeMap::new();
    let mut notes = Vec::new();
    for line in &page.lines {
        let made = scene.made(page, line.place);
        let own = efforts(line.statement, &line.actions);
        for effort in &own {
            if made.contains_key(&effort.table) {
                continue;
            }
            let stopped = held.iter().find(|(table, (mode, _))| {
                // Its own rule has said it already, unless an earlier lock is stronger or on another table.
                *mode > effort.mode || **table != effort.table
            });
            let Some((table, (mode, from))) = stopped else { continue };
            let who = if *mode == LockMode::AccessExclusive { "everybody who uses" } else { "writers of" };
            let mut tables = vec![effort.table.clone()];
            if *table != effort.table {
                tables.push(table.clone());
            }
            let said = Said {
                rule: "locks-held-through",
                severity: Severity::Stops,
                weight: Weight::Load(effort.work),
                tables,
                what: format!(
                    "{who} {} waits for this work too: the file is one transaction, and has held {mode} on it since line {from}",
                    shown(table)
                ),
                safe: "`-- gonogo: no-transaction` at the head of the file: each statement is then recorded and resumed on its own"
                    .into(),
            };
            notes.push(said.at(page, line, 0));
            break;
        }
        for need in line.statement.shape.needs.iter().filter(|need| need.mode.stops_clients()) {
            let table = canonical(&need.relation);
            if !made.contains_key(&table) {
                let entry = held.entry(table).or_insert((need.mode, line.statement.line));
                if need.mode > entry.0 {
                    *entry = (need.mode, line.statement.line);
                }
            }
        }
    }
    notes
}

/// VACUUM and ANALYZE before the rows are written and the indexes built are work done twice.
pub(super) fn upkeep_too_early(_: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    if page.direction == Direction::Down {
        return notes;
    }
    for line in page.lines.iter().filter(|line| line.statement.shape.kind == Kind::Upkeep) {
        let Some(table) = line.statement.shape.needs.first().map(|need| canonical(&need.relation)) else {
            continue;
        };
        let later = page.lines.iter().skip(line.place + 1).find(|later| match &later.statement.shape.kind {
            Kind::Write { table: Some(written) } => canonical(written) == table,
            Kind::CreateIndex { table: indexed, .. } => canonical(indexed) == table,
            _ => false,
        });
        let Some(later) = later else { continue };
        let said = Said {
            rule: "upkeep-too-early",
            severity: Severity::Hint,
            weight: Weight::Always,
            what: format!(
                "line {} still changes {}: what {} finds here is out of date then, and it waits for VACUUM and for concurrent \
                 builds",
                later.statement.line,
                shown(&table),
                verb(line)
            ),
            tables: vec![table],
            safe: "once, at the end, together with the COMMENTs".into(),
        };
        notes.push(said.at(page, line, 0));
    }
    notes
}

fn verb(line: &Line<'_>) -> String {
    words_of(&line.statement.text).first().map_or_else(String::new, |word| word.text.to_uppercase())
}

/// A concurrent build waits for every transaction that holds its table, and ANALYZE waits for a concurrent build.
pub(super) fn upkeep_meets_build(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    if page.script.unit != Unit::File {
        return notes;
    }
    for line in page.lines.iter().filter(|line| line.statement.shape.kind == Kind::Upkeep) {
        let Some(table) = line.statement.shape.needs.first().map(|need| canonical(&need.relation)) else {
            continue;
        };
        let needs = |other: &&Line<'_>| {
            other.statement.shape.kind != Kind::Upkeep
                && other.statement.shape.needs.iter().any(|need| canonical(&need.relation) == table)
        };
        let Some(earlier) = page.lines.iter().take(line.place).find(needs) else { continue };
        if scene.made(page, line.place).contains_key(&table) {
            continue;
        }
        let said = Said {
            rule: "upkeep-meets-build",
            severity: Severity::Queues,
            weight: Weight::Rows,
            what: format!(
                "the file is one transaction, and holds {0} since line {1}: a CREATE INDEX CONCURRENTLY on {0}, whoever runs it, \
                 waits for its end, and {2} waits for that build: a deadlock, in which the server ends one of the two",
                shown(&table),
                earlier.statement.line,
                verb(line)
            ),
            tables: vec![table],
            safe: "in a file of its own with `-- gonogo: no-transaction`, after the work and the builds"
                .into(),
        };
        notes.push(said.at(page, line, 0));
    }
    notes
}
