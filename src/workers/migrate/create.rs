//! What a CREATE makes, what it locks besides, and what happens where the name is taken.

use super::classify::{
    Built, Clause, Kind, Need, Serves, Shape, Transaction, need_all, on_table, referenced,
};
use super::cursor::Cursor;
use super::define::{Taken, Thing};
use super::lock::LockMode;
use super::split::Token;

/// Reads a CREATE after its first word.
pub(super) fn create(shape: &mut Shape, mut at: Cursor<'_>, tokens: &[Token]) {
    let replaces = at.eat(&["or", "replace"]);
    let unique = at.eat(&["unique"]);
    if at.eat(&["index"]) {
        let built = if at.eat(&["concurrently"]) { Built::Concurrently } else { Built::Plainly };
        let exists = at.exists();
        let name = if at.peek().is_some_and(|token| token.is("on")) { None } else { at.name() };
        at.eat(&["on"]);
        at.eat(&["only"]);
        let table = at.name().unwrap_or_default();
        let mode = match built {
            Built::Plainly => LockMode::Share,
            Built::Concurrently => LockMode::ShareUpdateExclusive,
        };
        shape.needs.push(Need { relation: table.clone(), mode });
        if built == Built::Concurrently {
            shape.transaction = Transaction::Never;
        }
        let serves = if unique { Serves::Uniqueness } else { Serves::Speed };
        shape.kind = Kind::CreateIndex { name, table, exists, built, serves };
        return;
    }
    debug_assert!(!unique, "only an index is unique");
    for word in ["global", "local", "temporary", "temp", "unlogged", "constraint", "recursive"] {
        at.eat(&[word]);
    }
    let taken = |clause: Clause| match clause {
        _ if replaces => Taken::Replaced,
        Clause::Lenient => Taken::Skipped,
        Clause::Strict => Taken::Refused,
    };
    if at.eat(&["table"]) {
        let exists = at.exists();
        let name = at.name().unwrap_or_default();
        if at.eat(&["partition", "of"]) {
            need_all(shape, at.name().into_iter().collect(), LockMode::AccessExclusive);
        }
        let own = name.clone();
        let others = referenced(tokens).into_iter().filter(|other| *other != own).collect();
        need_all(shape, others, LockMode::ShareRowExclusive);
        shape.kind = Kind::CreateTable { name, exists };
    } else if at.eat(&["schema"]) {
        let exists = at.exists();
        shape.kind = Kind::CreateSchema { name: at.name().unwrap_or_default(), exists };
    } else if at.eat(&["trigger"]) {
        let name = at.name().unwrap_or_default();
        while at.peek().is_some_and(|token| !token.is("on")) {
            at.next();
        }
        at.eat(&["on"]);
        let table = at.name().unwrap_or_default();
        shape.needs.push(Need { relation: table.clone(), mode: LockMode::ShareRowExclusive });
        let (what, taken) = (Thing::Trigger, taken(Clause::Strict));
        shape.kind = Kind::Create { what, name, on: Some(table), taken };
    } else if at.eat(&["view"]) {
        let name = at.name().unwrap_or_default();
        shape.needs.push(Need { relation: name.clone(), mode: LockMode::AccessExclusive });
        shape.kind = Kind::Create { what: Thing::View, name, on: None, taken: taken(Clause::Strict) };
    } else if at.eat(&["policy"]) {
        on_table(shape, at);
        let (name, on) =
            (at.name().unwrap_or_default(), shape.needs.last().map(|need| need.relation.clone()));
        shape.kind = Kind::Create { what: Thing::Policy, name, on, taken: Taken::Refused };
    } else if at.eat(&["rule"]) {
        on_table(shape, at);
    } else if let Some(what) = thing(&mut at) {
        let clause = at.exists();
        let name = at.name().unwrap_or_default();
        shape.kind = Kind::Create { what, name, on: None, taken: taken(clause) };
    } else if at.eat(&["database"]) || at.eat(&["tablespace"]) || at.eat(&["subscription"]) {
        shape.transaction = Transaction::Never;
    }
}

/// What has a name in a schema and locks nothing that clients use.
pub(super) fn thing(at: &mut Cursor<'_>) -> Option<Thing> {
    [
        (&["materialized", "view"][..], Thing::MaterializedView),
        (&["sequence"], Thing::Sequence),
        (&["function"], Thing::Function),
        (&["procedure"], Thing::Function),
        (&["type"], Thing::Type),
        (&["domain"], Thing::Type),
        (&["extension"], Thing::Extension),
    ]
    .into_iter()
    .find_map(|(words, what)| at.eat(words).then_some(what))
}
