//! The linter inside: squawk's rules and our own over a set of migrations, with the catalogue's knowledge on top. It says what
//! a statement stops, for whom, for how long on this table, and the form that is safe; and it runs nothing.

mod allow;
pub(crate) mod effort;
mod finding;
mod known;
mod learn;
mod note;
mod rules;
pub(crate) mod scene;
pub(crate) mod squawk;
mod work;

pub use finding::{Finding, Severity, Standing};
pub use known::{Has, Heat, Index, Knowledge, Source, Table, TableKind};
pub use learn::learn;
pub use work::{Basis, Forecast, Rates, Size, Work};

pub(crate) use rules::in_batches;
pub(crate) use work::Span;

use super::book::Direction;
use super::classify::Kind;
use super::deed::{Deed, Demand};
use super::files::MigrationSet;
use super::names::{canonical, last, shown};
use known::weigh;
use note::{Note, Said};
use scene::{Line, Page, Scene};

/// Everything that is to be said of a set, in the order of files and lines. What is not raised is there too, and says why.
///
/// Of a migration that is applied, only its way back is judged: what it did is done.
pub fn lint(set: &MigrationSet, known: &Knowledge) -> Vec<Finding> {
    let scene = Scene::new(set, known);
    let mut all = Vec::new();
    for page in &scene.pages {
        if page.direction == Direction::Up && known.applied.contains(&page.migration.number) {
            continue;
        }
        let mut notes = squawk_notes(&scene, page);
        notes.extend(rules::ask(&scene, page));
        let mut findings: Vec<Finding> = notes
            .into_iter()
            .map(|mut note| {
                let made = scene.made(page, note.finding.place);
                if note.finding.severity == Severity::Stops {
                    // What was measured of this very statement stands above any rate.
                    let checksum = page.lines.get(note.finding.place).map(|line| &*line.statement.checksum);
                    note.finding.forecast =
                        checksum.and_then(|checksum| known.rehearsed.get(checksum).copied());
                }
                weigh(&mut note.finding, note.weight, known, &made);
                note.finding
            })
            .collect();
        allow::apply(page, &mut findings);
        findings.sort_by(|a, b| {
            (a.line, a.column, a.severity, a.rule).cmp(&(b.line, b.column, b.severity, b.rule))
        });
        all.append(&mut findings);
    }
    all
}

/// Takes over what a rehearsal has measured, for as many rows as the tables have now.
pub fn rehearsed(known: &mut Knowledge, set: &MigrationSet, measured: &super::forecast::Forecast) {
    let scripts = set.migrations.iter().flat_map(|one| [Some(&one.up), one.down.as_ref()]).flatten();
    for statement in scripts.flat_map(|script| &script.statements) {
        let sizes = statement
            .shape
            .needs
            .iter()
            .filter_map(|need| known.tables.get(&canonical(&need.relation)).and_then(|table| table.size));
        let Some(rows) = sizes.map(|size| size.rows).max() else { continue };
        if let Some(estimate) = measured.estimate(&statement.checksum, rows) {
            let forecast = Forecast {
                low_ms: estimate.from_ms,
                high_ms: estimate.to_ms,
                rows: Some(rows),
                basis: Basis::Rehearsed,
            };
            known.rehearsed.insert(statement.checksum.to_string(), forecast);
        }
    }
}

fn squawk_notes(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let version = scene.known.source.as_ref().map(|source| source.version);
    let mut notes = Vec::new();
    for seen in squawk::ask(&page.script.text, page.script.unit, version) {
        // A way back takes away and renames by its nature; whether it may is a rule of our own.
        let waits = matches!(seen.meaning.severity, Severity::Stops | Severity::Queues);
        if page.direction == Direction::Down && !waits {
            continue;
        }
        let Some(line) = page.lines.iter().find(|line| line.at.contains(&seen.at)) else { continue };
        if rules::in_batches(line) {
            continue;
        }
        let offset = seen.at - line.at.start;
        // VALIDATE under a lock that the file holds: the rule about held locks says it with the lock's line.
        let validates = line
            .actions
            .iter()
            .any(|action| action.at.contains(&offset) && matches!(action.deed, Deed::Validate { .. }));
        if validates || proven(scene, page, line, offset) {
            continue;
        }
        let tables = tables(scene, line, offset);
        let named = tables.first().map_or("the table", |name| shown(name));
        let said = Said {
            rule: seen.meaning.name,
            severity: seen.meaning.severity,
            weight: seen.meaning.weight,
            what: seen.meaning.what.replace("{}", named),
            safe: seen.meaning.safe.to_owned(),
            tables,
        };
        notes.push(said.at(page, line, offset));
    }
    notes
}

/// SET NOT NULL on a column that a valid check of the database proves already looks at no row.
fn proven(scene: &Scene<'_>, page: &Page<'_>, line: &Line<'_>, offset: usize) -> bool {
    let Some(there) = line.table().and_then(|table| scene.known.tables.get(&table)) else { return false };
    let Some(action) = line.actions.iter().find(|action| action.at.contains(&offset)) else { return false };
    let Deed::SetNotNull { column } = &action.deed else { return false };
    let dropped =
        page.lines.iter().take(line.place + 1).any(|other| {
            other.actions.iter().any(|action| matches!(action.deed, Deed::DropConstraint { .. }))
        });
    there.columns.get(column).is_some_and(|column| column.not_null)
        || (there.proven.contains(column) && !dropped)
}

/// The tables that the words at this byte are about: the one that is worked on first.
fn tables(scene: &Scene<'_>, line: &Line<'_>, offset: usize) -> Vec<String> {
    if let Kind::DropIndex { names, .. } = &line.statement.shape.kind {
        return names
            .iter()
            .map(|name| index_table(scene, name))
            .collect::<Option<Vec<_>>>()
            .unwrap_or_default();
    }
    let mut tables: Vec<String> = line
        .table()
        .or_else(|| line.statement.shape.needs.first().map(|need| canonical(&need.relation)))
        .into_iter()
        .collect();
    let Some(action) = line.actions.iter().find(|action| action.at.contains(&offset)) else { return tables };
    let mut refers = |kind: &Demand| {
        if let Demand::Reference { table, .. } = kind {
            tables.push(canonical(table));
        }
    };
    match &action.deed {
        Deed::AddConstraint(constraint) => refers(&constraint.kind),
        Deed::AddColumn(column) => {
            column
                .constraints
                .iter()
                .filter(|(at, _)| at.contains(&offset))
                .for_each(|(_, one)| refers(&one.kind));
        }
        _ => {}
    }
    tables
}

/// The table of an index: by the catalogue, or by the file that builds it.
fn index_table(scene: &Scene<'_>, index: &str) -> Option<String> {
    let index = last(index);
    let there = scene.known.tables.iter().find(|(_, table)| table.indexes.contains_key(&index));
    there.map(|(name, _)| name.clone()).or_else(|| {
        let lines = scene.pages.iter().flat_map(|page: &Page<'_>| &page.lines);
        lines.into_iter().find_map(|line| match &line.statement.shape.kind {
            Kind::CreateIndex { name: Some(name), table, .. } if last(name) == index => {
                Some(canonical(table))
            }
            _ => None,
        })
    })
}
