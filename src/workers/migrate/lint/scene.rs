//! A set of migrations laid out for the rules: each file a page, each statement a line with its place in the text and its deeds.
//! Also what the set makes, so that a rule can tell what is new from what was there.

use std::collections::BTreeMap;
use std::ops::Range;

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{AstNode, Stmt};

use super::known::{Knowledge, Made};
use crate::workers::migrate::book::Direction;
use crate::workers::migrate::classify::Kind;
use crate::workers::migrate::deed::{Action, Constraint, Deed, Demand, actions, words_of};
use crate::workers::migrate::define::Thing;
use crate::workers::migrate::files::{Migration, MigrationSet, Script};
use crate::workers::migrate::names::{canonical, chosen, last};
use crate::workers::migrate::split::{Statement, tokens};

/// A file in one direction.
pub(crate) struct Page<'a> {
    pub(crate) migration: &'a Migration,
    pub(crate) direction: Direction,
    pub(crate) script: &'a Script,
    pub(crate) lines: Vec<Line<'a>>,
}

/// A statement with its place.
pub(crate) struct Line<'a> {
    pub(crate) statement: &'a Statement,
    /// Its place in the file, from 0.
    pub(crate) place: usize,
    /// Its bytes within the file's text.
    pub(crate) at: Range<usize>,
    /// The comments between the statement before and this one.
    pub(crate) above: String,
    /// What it does, where it is an ALTER TABLE or CREATE TABLE.
    pub(crate) actions: Vec<Action>,
}

/// Everything that the rules may look at.
pub(crate) struct Scene<'a> {
    pub(crate) pages: Vec<Page<'a>>,
    pub(crate) known: &'a Knowledge,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(set: &'a MigrationSet, known: &'a Knowledge) -> Self {
        let mut pages = Vec::new();
        for migration in &set.migrations {
            pages.push(Page::new(migration, Direction::Up, &migration.up));
            pages.extend(migration.down.as_ref().map(|down| Page::new(migration, Direction::Down, down)));
        }
        Self { pages, known }
    }

    /// The tables that are new when this line runs, with who makes them. On the way back nothing is new that was not made on it:
    /// what the way there has made holds data by then.
    pub(crate) fn made(&self, page: &Page<'_>, place: usize) -> Made {
        let mut made = Made::new();
        for other in &self.pages {
            let same = std::ptr::eq(other.script, page.script);
            // Without a database nobody knows which of the other files were applied long ago.
            let earlier = page.direction == Direction::Up
                && other.direction == Direction::Up
                && other.migration.number < page.migration.number
                && self.known.source.is_some()
                && !self.known.applied.contains(&other.migration.number);
            if !same && !earlier {
                continue;
            }
            for line in other.lines.iter().filter(|line| !same || line.place <= place) {
                if let Kind::CreateTable { name, .. } = &line.statement.shape.kind {
                    let name = canonical(name);
                    // IF NOT EXISTS on what is there makes nothing.
                    if !self.known.tables.contains_key(&name) {
                        made.insert(name, other.script.file.to_string());
                    }
                }
            }
        }
        made
    }

    /// The type of a column when this line runs: as the set adds it, else as the catalogue has it.
    pub(crate) fn column_type(&self, page: &Page<'_>, table: &str, column: &str) -> Option<String> {
        let there = self.known.tables.get(table).and_then(|table| table.columns.get(column));
        if let Some(there) = there {
            return Some(there.ty.clone());
        }
        let pages = self.pages.iter().filter(|other| {
            other.direction == Direction::Up && other.migration.number <= page.migration.number
        });
        let mut found = None;
        for line in pages.flat_map(|page| &page.lines) {
            if line.table().as_deref() != Some(table) {
                continue;
            }
            for action in &line.actions {
                if let Deed::AddColumn(added) = &action.deed
                    && added.name == column
                {
                    found = Some(added.ty.clone());
                }
            }
        }
        found
    }
}

impl<'a> Page<'a> {
    fn new(migration: &'a Migration, direction: Direction, script: &'a Script) -> Self {
        let mut lines: Vec<Line<'a>> = Vec::new();
        let mut before = 0;
        for ((place, statement), at) in script.statements.iter().enumerate().zip(spans(&script.text)) {
            let above = script.text.get(before..at.start).unwrap_or_default().to_owned();
            before = at.end;
            lines.push(Line { statement, place, at, above, actions: actions(&statement.text) });
        }
        Self { migration, direction, script, lines }
    }

    /// Line and column in the file of a byte of its text.
    pub(crate) fn position(&self, line: &Line<'_>, at: usize) -> (u32, u32) {
        let text = &self.script.text;
        let start = line.at.start.min(text.len());
        let at = at.clamp(start, text.len());
        let breaks = text.get(start..at).unwrap_or_default().matches('\n').count();
        let begins = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |found| found + 1);
        let column = text.get(begins..at).unwrap_or_default().chars().count() + 1;
        let line = line.statement.line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        (line, u32::try_from(column).unwrap_or(u32::MAX))
    }
}

impl Line<'_> {
    /// The table that it makes or alters, with its schema.
    pub(crate) fn table(&self) -> Option<String> {
        match &self.statement.shape.kind {
            Kind::AlterTable { table, .. } => Some(canonical(table)),
            Kind::CreateTable { name, .. } => Some(canonical(name)),
            _ => None,
        }
    }

    pub(crate) fn is_alter(&self) -> bool {
        matches!(self.statement.shape.kind, Kind::AlterTable { .. })
    }
}

/// The bytes of each statement within a text, counted as the splitter counts statements.
pub(crate) fn spans(text: &str) -> Vec<Range<usize>> {
    let root = SourceFile::parse(text).syntax_node();
    let mut spans = Vec::new();
    for stmt in root.children().filter_map(Stmt::cast) {
        if tokens(stmt.syntax()).is_empty() {
            continue;
        }
        let mut said = stmt
            .syntax()
            .descendants_with_tokens()
            .filter_map(squawk_syntax::SyntaxElement::into_token)
            .filter(|token| {
                !token.kind().is_trivia() && token.kind() != squawk_syntax::SyntaxKind::SEMICOLON
            });
        let Some(first) = said.next().map(|token| token.text_range()) else { continue };
        let end = said.last().map_or(first.end(), |token| token.text_range().end());
        spans.push(usize::from(first.start())..usize::from(end));
    }
    spans
}

/// What a file makes, by kind and name: what its way back may take away.
pub(crate) fn creations(lines: &[Line<'_>]) -> BTreeMap<(&'static str, String), usize> {
    let mut made = BTreeMap::new();
    for line in lines {
        let place = line.place;
        let mut put = |kind: &'static str, name: String| {
            made.entry((kind, name)).or_insert(place);
        };
        let table = line.table();
        match &line.statement.shape.kind {
            Kind::CreateTable { name, .. }
            | Kind::Create { what: Thing::View | Thing::MaterializedView | Thing::Sequence, name, .. }
            | Kind::CreateIndex { name: Some(name), .. } => put("relation", last(name)),
            Kind::CreateIndex { name: None, table, .. } => put("unnamed index of", last(table)),
            Kind::CreateSchema { name, .. } => put("schema", last(name)),
            Kind::Create { what: Thing::Trigger, name, on: Some(table), .. } => {
                put("trigger", format!("{}.{}", last(table), last(name)));
            }
            Kind::Create { .. } | Kind::Other => {
                if let Some((kind, name)) = created(&line.statement.text) {
                    put(kind, name);
                }
            }
            _ => {}
        }
        let Some(table) = table.as_deref().map(last) else { continue };
        for action in &line.actions {
            match &action.deed {
                Deed::AddColumn(column) => {
                    put("column", format!("{table}.{}", column.name));
                    for (_, constraint) in &column.constraints {
                        put("constraint", format!("{table}.{}", constraint_name(constraint, &table)));
                    }
                }
                Deed::AddConstraint(constraint) => {
                    put("constraint", format!("{table}.{}", constraint_name(constraint, &table)));
                }
                _ => {}
            }
        }
    }
    made
}

/// Functions and types, by the name that the words give them.
fn created(text: &str) -> Option<(&'static str, String)> {
    let words = words_of(text);
    let mut rest =
        words.iter().skip_while(|word| ["create", "or", "replace"].iter().any(|skip| word.is(skip)));
    let kind = rest.next()?;
    let kind =
        ["function", "procedure", "type", "domain", "sequence"].into_iter().find(|known| kind.is(known))?;
    let name: String = rest
        .skip_while(|word| ["if", "not", "exists"].iter().any(|skip| word.is(skip)))
        .map(|word| word.text.as_str())
        .take_while(|word| {
            *word == "." || word.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"')
        })
        .scan(true, |open, word| {
            // Two words without a dot between them are no longer the name.
            let part = if word == "." { true } else { std::mem::replace(open, false) };
            if word == "." {
                *open = true;
            }
            part.then_some(word)
        })
        .collect();
    // A sequence is a relation, and is dropped as one.
    Some((if kind == "sequence" { "relation" } else { kind }, last(&name)))
}

/// The columns that an index carries besides its key; the server names the constraint after these too.
fn included(body: &str) -> Vec<String> {
    let after = body.to_ascii_uppercase().find("INCLUDE").and_then(|at| body.get(at..));
    let list = after.and_then(|after| after.split_once('(')).and_then(|(_, rest)| rest.split_once(')'));
    list.map_or_else(Vec::new, |(names, _)| names.split(',').map(|name| last(name.trim())).collect())
}

/// The name of a constraint: its own, or the one that the server chooses.
pub(crate) fn constraint_name(constraint: &Constraint, table: &str) -> String {
    if let Some(name) = &constraint.name {
        return last(name);
    }
    match &constraint.kind {
        Demand::Check { names } => {
            let one = if let [one] = names.as_slice() { one.as_str() } else { "" };
            chosen(table, one, "check")
        }
        Demand::NotNullCheck { column } => chosen(table, column, "check"),
        Demand::Reference { from, .. } => chosen(table, &from.join("_"), "fkey"),
        Demand::Unique { columns } => {
            let all: Vec<String> = columns.iter().cloned().chain(included(&constraint.body)).collect();
            chosen(table, &all.join("_"), "key")
        }
        Demand::Primary { .. } => chosen(table, "", "pkey"),
        Demand::UsingIndex | Demand::Other => String::new(),
    }
}
