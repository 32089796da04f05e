//! What a statement is, which tables it locks how strongly, and whether it may run in a transaction. It reads the parser's words
//! only; what depends on the catalogue (which table an index is on) is looked up by the engine. An unknown statement counts as
//! one that may lock anything, never as harmless.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::alter::{Addition, alter_table};
use super::create::{create, thing};
use super::cursor::Cursor;
use super::define::{Taken, Thing};
pub use super::lock::LockMode;
use super::session::Lasts;
use super::split::{Token, first_words};

/// A lock that a statement takes on something that may exist already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Need {
    /// The table, or the index whose table it is, as the statement writes it.
    pub(crate) relation: Arc<str>,
    /// How strongly.
    pub(crate) mode: LockMode,
}

/// Where a statement may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transaction {
    /// Inside one.
    May,
    /// Only outside of one.
    Never,
}

/// What to do when the named thing is there already, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clause {
    /// The server raises an error.
    Strict,
    /// IF NOT EXISTS, IF EXISTS: the server says nothing and goes on.
    Lenient,
}

/// Kinds of statement that the engine treats differently.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// CREATE INDEX.
    CreateIndex { name: Option<Arc<str>>, table: Arc<str>, exists: Clause, built: Built, serves: Serves },
    /// DROP INDEX.
    DropIndex { names: Vec<Arc<str>>, exists: Clause },
    /// CREATE TABLE.
    CreateTable { name: Arc<str>, exists: Clause },
    /// ALTER TABLE.
    AlterTable { table: Arc<str>, additions: Vec<Addition>, validates: Vec<Arc<str>>, actions: usize },
    /// CREATE SCHEMA.
    CreateSchema { name: Arc<str>, exists: Clause },
    /// CREATE of what is no table, no index and no schema.
    Create { what: Thing, name: Arc<str>, on: Option<Arc<str>>, taken: Taken },
    /// DROP of one such thing.
    Drop { what: Thing, name: Arc<str>, on: Option<Arc<str>>, exists: Clause },
    /// DROP TABLE, DROP VIEW and the like.
    DropRelation { names: Vec<Arc<str>>, exists: Clause },
    /// INSERT, UPDATE, DELETE, MERGE.
    Write { table: Option<Arc<str>> },
    /// A DO block, which may do anything.
    Block,
    /// BEGIN, COMMIT and the like.
    Steers,
    /// What can be run again whenever it was interrupted: ANALYZE, VACUUM, REINDEX.
    Upkeep,
    /// SET, RESET, and a SELECT of nothing but `set_config`.
    Sets(Lasts),
    /// Everything else.
    Other,
}

/// What depends on an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// How fast rows are found.
    Speed,
    /// That no two rows are alike.
    Uniqueness,
}

/// How an index is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Built {
    /// Writers wait.
    Plainly,
    /// Nobody waits; may leave an invalid index behind.
    Concurrently,
}

/// All that is known of a statement from its words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    /// What it is.
    pub(crate) kind: Kind,
    /// What it locks.
    pub(crate) needs: Vec<Need>,
    /// Where it may run.
    pub(crate) transaction: Transaction,
}

impl Shape {
    /// Whether it begins or ends a transaction.
    pub(crate) fn steers_transactions(&self) -> bool {
        self.kind == Kind::Steers
    }

    /// A line that names it.
    pub(crate) fn title(&self, tokens: &[Token]) -> String {
        match &self.kind {
            Kind::CreateIndex { name, table, .. } => {
                format!("create index {} on {table}", name.as_deref().unwrap_or("(unnamed)"))
            }
            Kind::AlterTable { table, additions, validates, .. } => {
                match (additions.len(), validates.as_slice()) {
                    (0, [one]) => format!("validate {one} on {table}"),
                    (0, _) => {
                        let mut at = Cursor::new(tokens);
                        at.eat(&["alter", "table"]);
                        at.eat(&["if", "exists"]);
                        at.eat(&["only"]);
                        at.name();
                        format!("alter table {table}: {}", first_words(at.rest, 5))
                    }
                    (1, _) => format!(
                        "alter table {table}: add {}",
                        additions.first().map_or("", |add| &add.column)
                    ),
                    (n, _) => format!("alter table {table}: add {n} columns"),
                }
            }
            Kind::Block => "do block".into(),
            Kind::Write { table: Some(table) } => {
                format!("{} {table}", first_words(tokens, 1).to_lowercase())
            }
            _ => {
                let words: Vec<&str> = tokens
                    .iter()
                    .take_while(|token| token.text != "(" && !token.is("as"))
                    .take(9)
                    .map(|token| token.text.as_str())
                    .collect();
                words.join(" ").replace(" . ", ".").replace(" ,", ",")
            }
        }
    }
}

/// Every table after REFERENCES.
pub(crate) fn referenced(tokens: &[Token]) -> Vec<Arc<str>> {
    let after = tokens.iter().enumerate().filter(|(_, token)| token.is("references"));
    after.filter_map(|(at, _)| Cursor::new(tokens.get(at + 1..)?).name()).collect()
}

/// Reads what a statement is from its words.
pub(crate) fn classify(tokens: &[Token], text: &str) -> Shape {
    let mut at = Cursor::new(tokens);
    let mut shape = Shape { kind: Kind::Other, needs: Vec::new(), transaction: Transaction::May };
    let Some(first) = at.next() else { return shape };
    match first.text.to_lowercase().as_str() {
        "create" => create(&mut shape, at, tokens),
        "alter" if at.eat(&["table"]) => alter_table(&mut shape, at, text),
        "alter" => alter(&mut shape, at),
        "drop" => drop_any(&mut shape, at),
        "do" => shape.kind = Kind::Block,
        "begin" | "start" | "commit" | "rollback" | "end" | "abort" | "savepoint" | "release" => {
            shape.kind = Kind::Steers;
        }
        "reset" => shape.kind = Kind::Sets(Lasts::Session),
        "set" => {
            let once = ["local", "constraints", "transaction"].iter().any(|word| at.eat(&[word]));
            shape.kind = Kind::Sets(if once { Lasts::Transaction } else { Lasts::Session });
        }
        "select" => shape.kind = set_config(at).map_or(Kind::Other, Kind::Sets),
        "prepare" if at.eat(&["transaction"]) => shape.kind = Kind::Steers,
        "insert" | "update" | "delete" | "merge" => {
            at.eat(&["into"]);
            at.eat(&["from"]);
            at.eat(&["only"]);
            let table = at.name();
            shape.needs.extend(table.clone().map(|relation| Need { relation, mode: LockMode::RowExclusive }));
            shape.kind = Kind::Write { table };
        }
        "comment" if at.eat(&["on", "column"]) => {
            let column = at.name().unwrap_or_default();
            if let Some((relation, _)) = column.rsplit_once('.') {
                shape.needs.push(Need { relation: relation.into(), mode: LockMode::ShareUpdateExclusive });
            }
        }
        "comment" if at.eat(&["on", "table"]) => {
            need_all(&mut shape, at.name().into_iter().collect(), LockMode::ShareUpdateExclusive);
        }
        "analyze" | "analyse" => {
            at.eat(&["verbose"]);
            shape.kind = Kind::Upkeep;
            need_all(&mut shape, at.name().into_iter().collect(), LockMode::ShareUpdateExclusive);
        }
        "vacuum" | "cluster" | "reindex" => {
            shape.kind = Kind::Upkeep;
            let concurrently = tokens.iter().any(|token| token.is("concurrently"));
            let whole = tokens.iter().any(|token| token.is("system") || token.is("database"));
            if first.is("vacuum") || concurrently || whole {
                shape.transaction = Transaction::Never;
            }
            if first.is("vacuum") {
                vacuum(&mut shape, at);
            }
        }
        "refresh" => {
            at.eat(&["materialized", "view"]);
            let concurrently = at.eat(&["concurrently"]);
            let mode = if concurrently { LockMode::RowExclusive } else { LockMode::AccessExclusive };
            need_all(&mut shape, at.name().into_iter().collect(), mode);
        }
        "lock" | "truncate" => {
            at.eat(&["table"]);
            at.eat(&["only"]);
            need_all(&mut shape, at.names(), LockMode::AccessExclusive);
        }
        _ => {}
    }
    shape
}

/// The tables after VACUUM's options; FULL writes them anew.
fn vacuum(shape: &mut Shape, mut at: Cursor<'_>) {
    let mut mode = LockMode::ShareUpdateExclusive;
    let mut depth = 0_u32;
    while let Some(token) = at.peek() {
        match token.text.to_ascii_lowercase().as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "full" => mode = LockMode::AccessExclusive,
            "freeze" | "verbose" | "analyze" | "analyse" => {}
            _ if depth == 0 => break,
            _ => {}
        }
        at.next();
    }
    if at.peek().is_some_and(|token| token.text != ";") {
        need_all(shape, at.names(), mode);
    }
}

/// `set_config(name, value, local)` alone, as pg_dump writes it.
fn set_config(mut at: Cursor<'_>) -> Option<Lasts> {
    at.eat(&["pg_catalog", "."]);
    if !at.eat(&["set_config", "("]) {
        return None;
    }
    let (mut last, mut rest) = (None, at);
    while let Some(token) = rest.next() {
        if token.is(")") {
            rest.eat(&[";"]);
            let lasts = match last {
                Some("false") => Lasts::Session,
                Some("true") => Lasts::Transaction,
                _ => return None,
            };
            return rest.peek().is_none().then_some(lasts);
        }
        // A value that is asked for, or put together, may be another the next time.
        let plain = token.text.starts_with('\'') || [",", "true", "false"].iter().any(|word| token.is(word));
        if !plain {
            return None;
        }
        last = Some(token.text.as_str());
    }
    None
}

pub(super) fn need_all(shape: &mut Shape, names: Vec<Arc<str>>, mode: LockMode) {
    shape.needs.extend(names.into_iter().map(|relation| Need { relation, mode }));
}

/// `name ON table`, as policies, rules and dropped triggers have it: ACCESS EXCLUSIVE.
pub(super) fn on_table(shape: &mut Shape, mut at: Cursor<'_>) {
    while at.peek().is_some_and(|token| !token.is("on") && !token.is("to")) {
        at.next();
    }
    at.next();
    need_all(shape, at.name().into_iter().collect(), LockMode::AccessExclusive);
}

fn alter(shape: &mut Shape, mut at: Cursor<'_>) {
    if at.eat(&["index"]) {
        at.exists();
        need_all(shape, at.name().into_iter().collect(), LockMode::ShareUpdateExclusive);
    } else if at.eat(&["policy"]) || at.eat(&["trigger"]) || at.eat(&["rule"]) {
        on_table(shape, at);
    } else if at.eat(&["view"]) || at.eat(&["materialized", "view"]) {
        at.exists();
        need_all(shape, at.name().into_iter().collect(), LockMode::AccessExclusive);
    } else if at.eat(&["system"]) || at.eat(&["database"]) {
        shape.transaction = Transaction::Never;
    }
}

fn drop_any(shape: &mut Shape, mut at: Cursor<'_>) {
    if at.eat(&["index"]) {
        let concurrently = at.eat(&["concurrently"]);
        let exists = at.exists();
        let names = at.names();
        let mode = if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
        need_all(shape, names.clone(), mode);
        if concurrently {
            shape.transaction = Transaction::Never;
        }
        shape.kind = Kind::DropIndex { names, exists };
    } else if at.eat(&["table"])
        || at.eat(&["view"])
        || at.eat(&["materialized", "view"])
        || at.eat(&["sequence"])
    {
        let exists = at.exists();
        let names = at.names();
        need_all(shape, names.clone(), LockMode::AccessExclusive);
        shape.kind = Kind::DropRelation { names, exists };
    } else if at.eat(&["trigger"]) {
        dropped_on(shape, at, Thing::Trigger);
    } else if at.eat(&["policy"]) {
        dropped_on(shape, at, Thing::Policy);
    } else if at.eat(&["rule"]) {
        at.exists();
        on_table(shape, at);
    } else if let Some(what) = thing(&mut at) {
        let exists = at.exists();
        let name = at.name().unwrap_or_default();
        // Of several things it would not be said which is missing.
        if at.is_last() {
            shape.kind = Kind::Drop { what, name, on: None, exists };
        }
    } else if at.eat(&["database"]) || at.eat(&["tablespace"]) || at.eat(&["subscription"]) {
        shape.transaction = Transaction::Never;
    }
}

fn dropped_on(shape: &mut Shape, mut at: Cursor<'_>, what: Thing) {
    let exists = at.exists();
    on_table(shape, at);
    let (name, on) = (at.name().unwrap_or_default(), shape.needs.last().map(|need| need.relation.clone()));
    shape.kind = Kind::Drop { what, name, on, exists };
}
