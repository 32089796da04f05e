//! The pieces that a safe plan is put together from, and the order they go in: what a research of lock times and traps on a million
//! rows found to stop clients least. Backfill before indexes, proofs before NOT NULL, what only tidies up last.

use std::sync::Arc;

/// When a piece runs, against the others between two statements that may not be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// New tables and whatever else nobody uses yet.
    Make,
    /// One ALTER per table: new columns, defaults, checks NOT VALID that no row breaks.
    Add,
    /// What could not be made safe, each in a statement of its own.
    Rest,
    /// Rows are written in batches.
    Fill,
    /// Checks NOT VALID that hold only after the rows are filled.
    Check,
    /// Each row is looked at, and nobody waits.
    Validate,
    /// SET NOT NULL, which believes a valid check.
    NotNull,
    /// The helping checks go, in an ALTER of their own.
    Help,
    /// Indexes, built and dropped while clients work on.
    Index,
    /// Constraints that take a finished index.
    Using,
    /// Foreign keys NOT VALID, now that what they refer to is unique.
    Key,
    /// Their keys are looked up, and nobody waits.
    KeyValidate,
    /// COMMENT and ANALYZE.
    Upkeep,
}

/// How it stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    /// A whole statement, without its semicolon.
    Whole(String),
    /// An action of an ALTER TABLE, which may be joined with others of its table and phase.
    Action(String),
    /// A write in batches by this key.
    Batches { key: String, sql: String },
}

/// A piece of the plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) phase: Phase,
    /// The table as the file writes it; empty where there is none.
    pub(crate) table: String,
    pub(crate) form: Form,
    /// Why it is not as it was; none where it is.
    pub(crate) why: Option<Arc<str>>,
}

impl Piece {
    pub(crate) fn whole(phase: Phase, table: &str, sql: impl Into<String>) -> Self {
        Self { phase, table: table.to_owned(), form: Form::Whole(sql.into()), why: None }
    }

    pub(crate) fn action(phase: Phase, table: &str, action: impl Into<String>) -> Self {
        Self { phase, table: table.to_owned(), form: Form::Action(action.into()), why: None }
    }

    pub(crate) fn because(mut self, why: impl Into<Arc<str>>) -> Self {
        self.why = Some(why.into());
        self
    }
}

/// What became of one statement. What could not be made safe is said beside it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Taken {
    /// It may not be moved, nor anything past it.
    Stays { sql: String, left: Vec<String> },
    /// In pieces.
    Pieces { pieces: Vec<Piece>, left: Vec<String> },
}

impl Taken {
    pub(crate) fn stays(sql: impl Into<String>) -> Self {
        Self::Stays { sql: sql.into(), left: Vec::new() }
    }

    pub(crate) fn left(sql: impl Into<String>, why: String) -> Self {
        Self::Stays { sql: sql.into(), left: vec![why] }
    }

    pub(crate) fn pieces(pieces: Vec<Piece>) -> Self {
        Self::Pieces { pieces, left: Vec::new() }
    }
}

/// Puts the pieces in order and joins what one ALTER can do; each statement with why it is there.
pub(crate) fn compose(taken: Vec<Taken>) -> Vec<(String, Option<Arc<str>>)> {
    let mut out = Vec::new();
    let mut open: Vec<Piece> = Vec::new();
    for one in taken {
        match one {
            Taken::Pieces { pieces, .. } => open.extend(pieces),
            Taken::Stays { sql, .. } => {
                settle(&mut open, &mut out);
                out.push((sql, None));
            }
        }
    }
    settle(&mut open, &mut out);
    out
}

fn settle(open: &mut Vec<Piece>, out: &mut Vec<(String, Option<Arc<str>>)>) {
    open.sort_by_key(|piece| piece.phase);
    let mut pieces = open.drain(..).peekable();
    while let Some(piece) = pieces.next() {
        let Form::Action(first) = piece.form else {
            out.push((written(piece.form), piece.why));
            continue;
        };
        let mut actions = vec![first];
        let mut whys: Vec<Arc<str>> = piece.why.into_iter().collect();
        // VALIDATE looks at every row: each in a statement of its own, so that a stop in between loses little.
        let joins = !matches!(piece.phase, Phase::Validate | Phase::KeyValidate | Phase::Using);
        while let Some(next) = pieces.next_if(|next| {
            joins
                && next.phase == piece.phase
                && next.table == piece.table
                && matches!(next.form, Form::Action(_))
        }) {
            if let Form::Action(action) = next.form {
                actions.push(action);
            }
            whys.extend(next.why.filter(|why| !whys.contains(why)));
        }
        let sql = format!("ALTER TABLE {}\n  {}", piece.table, actions.join(",\n  "));
        let sql = if actions.len() == 1 { sql.replacen("\n  ", " ", 1) } else { sql };
        let why = (!whys.is_empty()).then(|| whys.join("; ").into());
        out.push((sql, why));
    }
}

fn written(form: Form) -> String {
    match form {
        Form::Whole(sql) | Form::Action(sql) => sql,
        Form::Batches { key, sql } => format!("-- gonogo: batches of 1000 by {key}\n{sql}"),
    }
}
