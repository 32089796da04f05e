//! Marks above a statement: `-- gonogo: …` comments that change how the statement is run. A mark that nobody knows is refused,
//! for a point of no return with a slip of the pen would be none. No database here.

use std::sync::Arc;

use super::files::refused;
use super::slice::{Slice, slice};
use super::split::Lines;
use crate::run::job::Failure;

/// What stands above a statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Marks {
    /// `point-of-no-return WORDS`: a person lets the run go on here, on these grounds.
    pub(crate) no_return: Option<Arc<str>>,
    /// `batches of N by KEY`: the statement in ranges of a key.
    pub(crate) batches: Option<Batches>,
}

/// A statement in ranges of a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batches {
    /// Keys of the first batch; later ones are as large as is good.
    pub(crate) size: u32,
    /// The statement with a gap for the range.
    pub(crate) slice: Slice,
}

/// What other readers make of a comment, or what is said about a whole file.
const OTHERS: &[&str] = &["no-transaction", "allow", "before", "after", "after-down"];

/// The marks in the comments between two statements; `lines` are those of `text` in `file`.
pub(crate) fn marks(
    file: &str,
    text: &str,
    gap: std::ops::Range<usize>,
    statement: Option<&str>,
    lines: &Lines<'_>,
) -> Result<Marks, Failure> {
    let mut marks = Marks::default();
    let mut at = gap.start;
    for line in text.get(gap).unwrap_or_default().split_inclusive('\n') {
        let place = lines.line(at);
        at += line.len();
        let Some(said) = said(line) else { continue };
        let (word, rest) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
        let rest = rest.trim();
        if OTHERS.contains(&word) {
            continue;
        }
        let Some(statement) = statement else {
            return Err(refused(
                format!("{file}:{place}: `-- gonogo: {word}` stands above no statement"),
                "put it directly above the statement that it is about",
            ));
        };
        match word {
            "point-of-no-return" if rest.is_empty() => {
                return Err(refused(
                    format!("{file}:{place}: a point of no return without words"),
                    "say after it what cannot be taken back: whoever lets the run go on will read it",
                ));
            }
            "point-of-no-return" => marks.no_return = Some(rest.into()),
            "batches" => {
                let Some((size, key)) = batches(rest) else {
                    return Err(refused(
                        format!("{file}:{place}: cannot read `batches {rest}`"),
                        "the form is `-- gonogo: batches of 1000 by id`: how many keys at first, and which column",
                    ));
                };
                let slice = slice(statement, key).map_err(|why| {
                    refused(
                        format!("{file}:{place}: this statement cannot go in batches: {why}"),
                        "write an UPDATE, DELETE or INSERT … SELECT of plain rows, or take the mark away",
                    )
                })?;
                marks.batches = Some(Batches { size, slice });
            }
            other => {
                return Err(refused(
                    format!("{file}:{place}: unknown mark `-- gonogo: {other}`"),
                    "the marks are `no-transaction`, `point-of-no-return WORDS`, `batches of N by KEY` and `allow RULE because …`",
                ));
            }
        }
    }
    Ok(marks)
}

/// What a comment says to gonogo.
fn said(line: &str) -> Option<&str> {
    line.trim().strip_prefix("--")?.trim().strip_prefix("gonogo:").map(str::trim)
}

/// `of 1000 by id`.
fn batches(rest: &str) -> Option<(u32, &str)> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    match words.as_slice() {
        ["of", size, "by", key] => {
            size.replace('_', "").parse().ok().filter(|size| *size > 0).map(|size| (size, *key))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::split::split;

    #[test]
    fn a_mark_belongs_to_the_statement_under_it() {
        let text = "-- gonogo: no-transaction\n-- prose\nSELECT 1;\n-- gonogo: point-of-no-return old emails are gone\n\n-- gonogo: batches of 1_000 by id\nUPDATE t SET a = 1;\nSELECT 2;\n";
        let statements = split("1_a.up.sql", text, 1).expect("it reads");
        let of = |at: usize| &statements[at].marks;
        assert_eq!((of(0).no_return.as_deref(), of(2).no_return.as_deref()), (None, None));
        assert_eq!(of(1).no_return.as_deref(), Some("old emails are gone"));
        assert_eq!(of(1).batches.as_ref().map(|batches| batches.size), Some(1000));
    }

    #[test]
    fn a_slip_of_the_pen_is_refused_where_it_stands() {
        for (text, said) in [
            ("SELECT 1;\n-- gonogo: point-of-no-retrun x\nSELECT 2;", "a.sql:2: unknown mark"),
            ("-- gonogo: point-of-no-return\nSELECT 2;", "a.sql:1: a point of no return without words"),
            (
                "SELECT 1;\n\n-- gonogo: point-of-no-return x\n",
                "a.sql:3: `-- gonogo: point-of-no-return` stands above no",
            ),
            ("-- gonogo: batches of many by id\nUPDATE t SET a = 1;", "cannot read `batches of many by id`"),
            ("-- gonogo: batches of 10 by id\nCREATE TABLE t ();", "cannot go in batches"),
        ] {
            let failure = split("a.sql", text, 1).expect_err(text);
            assert!(failure.what.contains(said), "{failure}");
        }
    }
}
