//! The safe rewrite: what people write first in, the form that stops nobody out, beside each other. It proposes and never runs;
//! whether both come to the same end is proven on a copy, and where it is not, that is said.

mod alter;
mod others;
mod piece;
mod prove;
mod stop;
mod table;
mod world;

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::book::Direction;
use super::classify::{Built, Kind};
use super::deed::{Action, Write, words_of, write};
use super::files::{MigrationSet, Script};
use super::lint::scene::{Line, Scene};
use super::lint::{Knowledge, Severity, in_batches, lint};
use super::names::canonical;
use crate::run::job::Failure;
use piece::{Phase, Piece, Taken, compose};
use world::World;

pub use prove::{Branches, Measured, Proof, prove};
pub use stop::Stop;

/// A safe plan for one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// The migration's number.
    pub number: u64,
    /// The file that it is made from.
    pub file: Arc<str>,
    /// In order.
    pub statements: Vec<Proposed>,
    /// What could not be made safe, and why.
    pub left: Vec<String>,
    /// The whole file.
    pub text: String,
    /// Whether anything is otherwise than in the file.
    pub verdict: Verdict,
}

/// Whether there is anything to propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The file is as it should be.
    Unchanged,
    /// It is otherwise.
    Rewritten,
}

/// One statement of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposed {
    /// The statement, with its mark where it has one.
    pub sql: String,
    /// Why it is there; none where it is as it was.
    pub why: Option<Arc<str>>,
}

/// The safe plan for the way there of a migration; none where the set has no such number.
pub fn rewrite(set: &MigrationSet, number: u64, known: &Knowledge) -> Option<Proposal> {
    let scene = Scene::new(set, known);
    let page =
        scene.pages.iter().find(|page| page.migration.number == number && page.direction == Direction::Up)?;
    let actions: Vec<Vec<Action>> = page.lines.iter().map(|line| line.actions.clone()).collect();
    let writes: Vec<Option<Write>> = page.lines.iter().map(|line| write(&line.statement.text)).collect();
    let world = World::new(known, &page.script.statements, &actions, &writes);
    let taken: Vec<Taken> =
        page.lines.iter().zip(&writes).map(|(line, write)| take(&world, line, write.as_ref())).collect();
    let left = taken.iter().flat_map(|one| match one {
        Taken::Stays { left, .. } | Taken::Pieces { left, .. } => left.clone(),
    });
    let left = left.collect();
    let composed = compose(taken);
    let same = unchanged(&composed, &page.lines)
        || (moved_only(&composed, &page.lines) && !troubled(set, number, known));
    let statements: Vec<Proposed> = composed.into_iter().map(|(sql, why)| Proposed { sql, why }).collect();
    let text =
        if same { page.script.text.to_string() } else { file(page.migration.title().as_str(), &statements) };
    Some(Proposal {
        number,
        file: page.script.file.clone(),
        statements,
        left,
        text,
        verdict: if same { Verdict::Unchanged } else { Verdict::Rewritten },
    })
}

/// The longest stop of the file as it is, and of its safe plan.
pub fn stops(set: &MigrationSet, proposal: &Proposal, known: &Knowledge) -> (Option<Stop>, Option<Stop>) {
    let of = |set: &MigrationSet| {
        let scene = Scene::new(set, known);
        let page = scene
            .pages
            .iter()
            .find(|page| page.migration.number == proposal.number && page.direction == Direction::Up)?;
        let made = scene.made(page, usize::MAX);
        stop::longest(page, known, |table| made.contains_key(table))
    };
    (of(set), replaced(set, proposal).ok().as_ref().and_then(of))
}

/// The set with the safe plan in the place of the file.
pub fn replaced(set: &MigrationSet, proposal: &Proposal) -> Result<MigrationSet, Failure> {
    let name = format!("{}_rewritten.sql", proposal.number);
    let read = MigrationSet::embedded(&set.origin, [(name.as_str(), proposal.text.as_str())])?;
    let script = read.migrations.into_iter().next().map(|only| only.up);
    let mut set = set.clone();
    for migration in set.migrations.iter_mut().filter(|migration| migration.number == proposal.number) {
        if let Some(script) = &script {
            migration.up = Script { file: proposal.file.clone(), ..script.clone() };
        }
    }
    Ok(set)
}

fn take(world: &World<'_>, line: &Line<'_>, write: Option<&Write>) -> Taken {
    let text = &*line.statement.text;
    match &line.statement.shape.kind {
        Kind::AlterTable { table, .. } if !world.is_made(&canonical(table)) => {
            alter::alter(world, table, text, &line.actions)
        }
        Kind::CreateTable { name, .. } if !line.actions.is_empty() => table::create(world, name, text, &line.actions),
        Kind::CreateIndex { table, built: Built::Plainly, .. } if !world.is_made(&canonical(table)) => {
            others::index(world, table, text)
        }
        Kind::CreateIndex { table, built: Built::Concurrently, .. } => {
            Taken::pieces(vec![Piece::whole(Phase::Index, table, text)])
        }
        Kind::DropIndex { names, exists } if !words_of(text).iter().any(|word| word.is("concurrently")) => {
            others::drop_index(names, *exists, text)
        }
        Kind::DropIndex { .. } => Taken::pieces(vec![Piece::whole(Phase::Index, "", text)]),
        Kind::Write { .. } if in_batches(line) => {
            let mark = line.above.lines().rev().find(|row| row.contains("gonogo: batch")).unwrap_or_default().trim();
            Taken::pieces(vec![Piece::whole(Phase::Fill, "", format!("{mark}\n{text}").trim_start())])
        }
        Kind::Write { .. } => write.map_or_else(|| Taken::stays(text), |write| others::rows(world, write, text)),
        Kind::Upkeep => upkeep(text),
        _ if first(text, "comment") => Taken::pieces(vec![Piece::whole(Phase::Upkeep, "", text)]),
        _ if first(text, "refresh") && !text.to_ascii_lowercase().contains("concurrently") => Taken::left(
            text,
            "REFRESH MATERIALIZED VIEW stops its readers: CONCURRENTLY would not, but needs a unique index on the view".into(),
        ),
        _ => Taken::stays(text),
    }
}

fn upkeep(text: &str) -> Taken {
    let words = words_of(text);
    if first(text, "reindex") {
        return others::reindex(text);
    }
    if first(text, "analyze") || first(text, "analyse") {
        return Taken::pieces(vec![Piece::whole(Phase::Upkeep, "", text)]);
    }
    if first(text, "cluster") || words.iter().any(|word| word.is("full")) {
        return Taken::left(
            text,
            format!("{text}: everybody waits while the table is written anew, and no form does not"),
        );
    }
    Taken::stays(text)
}

fn first(text: &str, word: &str) -> bool {
    text.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case(word))
}

fn unchanged(composed: &[(String, Option<Arc<str>>)], lines: &[Line<'_>]) -> bool {
    composed.len() == lines.len() && composed.iter().zip(lines).all(|((sql, _), line)| like(sql, line))
}

/// Whether only the order is another.
fn moved_only(composed: &[(String, Option<Arc<str>>)], lines: &[Line<'_>]) -> bool {
    composed.len() == lines.len() && composed.iter().all(|(sql, _)| lines.iter().any(|line| like(sql, line)))
}

/// Whether the linter has anything against the file as it is. A safe file in another order is no worse than ours.
fn troubled(set: &MigrationSet, number: u64, known: &Knowledge) -> bool {
    lint(set, known).iter().any(|one| {
        (one.number, one.direction) == (number, Direction::Up)
            && one.is_raised()
            && one.severity != Severity::Hint
    })
}

/// Whether it is the statement that it was, however it is set, and goes in batches if that did.
fn like(sql: &str, line: &Line<'_>) -> bool {
    let bare = |text: &str| {
        words_of(text).into_iter().map(|word| word.text.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let batched = sql.lines().any(|row| row.trim_start().starts_with("-- gonogo: batches "));
    batched == in_batches(line) && bare(sql) == bare(&line.statement.text)
}

fn file(title: &str, statements: &[Proposed]) -> String {
    let mut text = format!(
        "-- gonogo: no-transaction\n--\n-- {title}, in steps that stop nobody: each is recorded, and resumed, on its own.\n"
    );
    for one in statements {
        text.push('\n');
        if let Some(why) = &one.why {
            for row in wrapped(why) {
                let _ = writeln!(text, "-- {row}");
            }
        }
        let _ = writeln!(text, "{};", one.sql);
    }
    text
}

/// In lines that a comment can hold.
fn wrapped(words: &str) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in words.split_whitespace() {
        let Some(row) = rows.last_mut() else { continue };
        if row.len() + word.len() > 115 {
            rows.push(word.to_owned());
        } else {
            if !row.is_empty() {
                row.push(' ');
            }
            row.push_str(word);
        }
    }
    rows
}
