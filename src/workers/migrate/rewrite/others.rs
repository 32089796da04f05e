//! Indexes and writes of rows: built, dropped and written so that nobody waits for the whole.

use super::piece::{Form, Phase, Piece, Taken};
use super::world::World;
use crate::workers::migrate::classify::Clause;
use crate::workers::migrate::deed::{Verb, Write, words_of};
use crate::workers::migrate::names::{canonical, shown};

/// CREATE INDEX on a table that others use.
pub(crate) fn index(world: &World<'_>, table: &str, text: &str) -> Taken {
    if world.is_partitioned(&canonical(table)) {
        let why = format!(
            "{table} is partitioned: build the index ON ONLY it, then concurrently on each partition, and attach them"
        );
        return Taken::left(text, why);
    }
    match after(text, "index") {
        Some(at) => {
            let (head, tail) = text.split_at(at);
            let piece = Piece::whole(Phase::Index, table, format!("{head} CONCURRENTLY{tail}"));
            Taken::pieces(vec![piece.because("writers go on while it is built")])
        }
        None => Taken::stays(text),
    }
}

/// DROP INDEX: concurrently it takes one at a time.
pub(crate) fn drop_index(names: &[std::sync::Arc<str>], exists: Clause, text: &str) -> Taken {
    if words_of(text).iter().any(|word| word.is("cascade")) {
        return Taken::left(
            text,
            "DROP INDEX … CASCADE has no concurrent form: drop first what depends on it".into(),
        );
    }
    let lenient = if exists == Clause::Lenient { "IF EXISTS " } else { "" };
    let piece = |name: &std::sync::Arc<str>| {
        Piece::whole(Phase::Index, "", format!("DROP INDEX CONCURRENTLY {lenient}{name}"))
            .because("it asks for no lock that clients queue behind")
    };
    Taken::pieces(names.iter().map(piece).collect())
}

/// REINDEX of a table or an index.
pub(crate) fn reindex(text: &str) -> Taken {
    let words = words_of(text);
    let has = |word: &str| words.iter().any(|other| other.is(word));
    if has("concurrently") || has("system") || has("database") || has("schema") {
        return Taken::stays(text);
    }
    let at =
        after(text, "table").or_else(|| after(text.get(7..).unwrap_or_default(), "index").map(|at| at + 7));
    match at {
        Some(at) => {
            let (head, tail) = text.split_at(at);
            let piece = Piece::whole(Phase::Index, "", format!("{head} CONCURRENTLY{tail}"));
            Taken::pieces(vec![piece.because("readers and writers go on while it is built anew")])
        }
        None => Taken::stays(text),
    }
}

/// UPDATE and DELETE: in batches, where that comes to the same.
pub(crate) fn rows(world: &World<'_>, write: &Write, text: &str) -> Taken {
    let table = canonical(&write.table);
    let named = shown(&table);
    let verb = if write.verb == Verb::Update { "UPDATE" } else { "DELETE" };
    if world.is_made(&table) {
        return Taken::stays(text);
    }
    if write.joins {
        let why = format!(
            "the {verb} of {named} joins or returns: whether it comes to the same in batches is for a person to say"
        );
        return Taken::left(text, why);
    }
    let words = words_of(text);
    if words.iter().skip(1).any(|word| word.is("select")) {
        let why = format!(
            "the {verb} of {named} asks a query: in batches it could see what earlier batches have changed"
        );
        return Taken::left(text, why);
    }
    let Some(key) = world.key(&table) else {
        let why = format!(
            "the {verb} of {named} needs a key of one column to go in batches, and none is known{}",
            world.why_no_key()
        );
        return Taken::left(text, why);
    };
    // One row by its key is no pass over the table.
    let at = words.iter().position(|word| word.is("where"));
    let pinned = at.and_then(|at| words.get(at + 1..at + 3)).is_some_and(|two| {
        two.first().is_some_and(|name| name.is(&key)) && two.get(1).is_some_and(|sign| sign.is("="))
    });
    if pinned {
        return Taken::stays(text);
    }
    let form = Form::Batches { key, sql: text.to_owned() };
    let piece = Piece { phase: Phase::Fill, table: write.table.clone(), form, why: None };
    Taken::pieces(vec![
        piece.because("each batch is a transaction of its own, so nobody waits for the last row"),
    ])
}

/// The byte behind the first such word.
fn after(text: &str, word: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let whole = |at: usize| {
        let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        edge(lower.get(..at).and_then(|before| before.chars().next_back()))
            && edge(lower.get(at + word.len()..).and_then(|rest| rest.chars().next()))
    };
    lower.match_indices(word).map(|(at, _)| at).find(|at| whole(*at)).map(|at| at + word.len())
}
