//! A way back that takes away what its way there has not made, and with it data that were there before.

use crate::workers::migrate::book::Direction;
use crate::workers::migrate::classify::{Clause, Kind};
use crate::workers::migrate::deed::{Deed, words_of};
use crate::workers::migrate::lint::finding::Severity;
use crate::workers::migrate::lint::known::Weight;
use crate::workers::migrate::lint::note::{Note, Said};
use crate::workers::migrate::lint::scene::{Line, Page, Scene, creations};
use crate::workers::migrate::names::{canonical, last, parts};

/// What a statement takes away.
struct Gone {
    kind: &'static str,
    /// With its table, where it is part of one.
    name: String,
    at: usize,
}

pub(super) fn not_own(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    if page.direction == Direction::Up {
        return Vec::new();
    }
    let up = scene
        .pages
        .iter()
        .find(|other| other.direction == Direction::Up && other.migration.number == page.migration.number);
    let Some(up) = up else { return Vec::new() };
    let (made, made_here) = (creations(&up.lines), creations(&page.lines));
    let mut notes = Vec::new();
    for line in &page.lines {
        for gone in taken(line) {
            let key = (gone.kind, gone.name.clone());
            let table = gone.name.split('.').next().unwrap_or_default();
            let of_own_table = gone.name.contains('.')
                && (made.contains_key(&("relation", table.to_owned()))
                    || made_here.contains_key(&("relation", table.to_owned())));
            let before = made_here.get(&key).is_some_and(|place| *place < line.place);
            let there = was_there(scene, up, &gone);
            if !there && (made.contains_key(&key) || before || of_own_table || in_a_block(up, &gone.name)) {
                continue;
            }
            let what = if there {
                format!(
                    "{} {} is in the database already: {} will skip it, and this would take it away, with what was in it before",
                    gone.kind, gone.name, up.script.file
                )
            } else {
                format!("{} {} is taken away, and {} does not make it", gone.kind, gone.name, up.script.file)
            };
            let said = Said {
                rule: "drop-not-own",
                severity: Severity::Breaks,
                weight: Weight::Always,
                tables: Vec::new(),
                what,
                safe: "take back only what the way there has made; write down before it what was there"
                    .into(),
            };
            notes.push(said.at(page, line, gone.at));
        }
    }
    notes
}

/// Whether the way there finds it already, so that its IF NOT EXISTS makes nothing.
fn was_there(scene: &Scene<'_>, up: &Page<'_>, gone: &Gone) -> bool {
    if gone.kind != "column" || scene.known.applied.contains(&up.migration.number) {
        return false;
    }
    up.lines.iter().filter(|line| line.is_alter()).any(|line| {
        let Some(table) = line.table() else { return false };
        line.actions.iter().any(|action| match &action.deed {
            Deed::AddColumn(column) => {
                column.exists == Clause::Lenient
                    && format!("{}.{}", last(&table), column.name) == gone.name
                    && scene
                        .known
                        .tables
                        .get(&table)
                        .is_some_and(|there| there.columns.contains_key(&column.name))
            }
            _ => false,
        })
    })
}

/// A DO block may make anything; one that speaks of the name is believed.
fn in_a_block(up: &Page<'_>, name: &str) -> bool {
    let bare = name.rsplit('.').next().unwrap_or_default();
    up.lines.iter().any(|line| line.statement.shape.kind == Kind::Block && line.statement.text.contains(bare))
}

fn taken(line: &Line<'_>) -> Vec<Gone> {
    let words = words_of(&line.statement.text);
    let mut gone = Vec::new();
    match &line.statement.shape.kind {
        Kind::DropIndex { names, .. } | Kind::DropRelation { names, .. } => {
            gone.extend(names.iter().map(|name| Gone { kind: "relation", name: last(name), at: 0 }));
        }
        Kind::AlterTable { table, .. } => {
            let table = last(&canonical(table));
            for action in &line.actions {
                let (kind, name) = match &action.deed {
                    Deed::DropColumn { column } => ("column", column),
                    Deed::DropConstraint { name } => ("constraint", name),
                    _ => continue,
                };
                gone.push(Gone { kind, name: format!("{table}.{name}"), at: action.at.start });
            }
        }
        _ if words.first().is_some_and(|word| word.is("drop")) => {
            let kind = ["function", "procedure", "schema", "type", "domain", "trigger"]
                .into_iter()
                .find(|kind| words.get(1).is_some_and(|word| word.is(kind)));
            let Some(kind) = kind else { return gone };
            let rest: Vec<&str> = words
                .iter()
                .skip(2)
                .filter(|word| !word.is("if") && !word.is("exists"))
                .take_while(|word| !matches!(word.text.as_str(), "(" | ","))
                .map(|word| word.text.as_str())
                .collect();
            let on = rest.iter().position(|word| word.eq_ignore_ascii_case("on"));
            let name = rest.get(..on.unwrap_or(rest.len())).unwrap_or_default().concat();
            let name = match on.and_then(|on| rest.get(on + 1..)) {
                Some(table) => format!("{}.{}", last(&table.concat()), last(&name)),
                None => parts(&name).pop().unwrap_or_default(),
            };
            gone.push(Gone { kind, name, at: 0 });
        }
        _ => {}
    }
    gone
}
