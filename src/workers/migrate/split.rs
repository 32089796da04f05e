//! Splits a migration into its statements with a real parser, so that a semicolon in a dollar quote, a DO block or a comment is
//! no end. What does not parse, or belongs to psql, or steers transactions, never gets past this room. No database here.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use squawk_syntax::ast::{AstNode, Stmt};
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode};

use super::classify::{Shape, classify};
use super::marks::{Marks, marks};
use super::psql::{is_variable, only_for_psql};
use crate::run::job::Failure;

/// One statement of a migration.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text, without what stands before and after it.
    pub text: Arc<str>,
    /// The line of its first word in its file, from 1.
    pub line: u32,
    /// What it does, in a line.
    pub title: Arc<str>,
    /// What it is, what it locks, and where it may run.
    pub(crate) shape: Shape,
    /// Over its text; the name of the statement in the bookkeeping.
    pub checksum: Arc<str>,
    /// What the comments above it say about how it is run.
    pub(crate) marks: Marks,
}

/// A word or a sign of a statement, as the parser saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: SyntaxKind,
    pub(crate) text: String,
}

impl Token {
    /// Whether it is this keyword or sign.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }
}

/// The hexadecimal SHA-256 of a text.
pub fn checksum(text: &str) -> Arc<str> {
    use std::fmt::Write as _;
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
        .into()
}

/// The statements of a text, and whether BEGIN and COMMIT stood around them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Splits {
    pub(crate) statements: Vec<Statement>,
    pub(crate) frame: Frame,
}

/// What stood around the statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    None,
    /// BEGIN in that line, and COMMIT at the end: all of it, or nothing.
    Transaction(u32),
}

/// More than this are rows, not changes: each statement is a step that is shown, recorded and can be resumed at.
const MOST_STATEMENTS: usize = 20_000;

/// The statements of `text`, which begins at line `first_line` of `file`.
pub fn split(file: &str, text: &str, first_line: u32) -> Result<Vec<Statement>, Failure> {
    Ok(split_framed(file, text, first_line)?.statements)
}

/// The same, with what stood around them.
pub(crate) fn split_framed(file: &str, text: &str, first_line: u32) -> Result<Splits, Failure> {
    let refused =
        |what: String, next: &str| Failure { what, state: "nothing was run".into(), next: next.into() };
    let lines = Lines::of(text, first_line);
    if let Some(at) = text.find('\0') {
        return Err(refused(
            format!("{file}:{}: a NUL byte; this is not a text file of SQL", lines.line(at)),
            "save the file as UTF-8 text",
        ));
    }
    let parse = SourceFile::parse(text);
    let root = parse.syntax_node();
    if let Some(failure) = only_for_psql(file, text, &root, &lines) {
        return Err(failure);
    }
    if let Some(error) = parse.errors().first() {
        let at = usize::from(error.range().start()).min(text.len());
        let next = if is_variable(text.get(at..).unwrap_or_default()) {
            "variables of psql are not filled in here: write the value"
        } else {
            "correct the file and plan again"
        };
        return Err(refused(format!("{file}:{}: syntax error: {}", lines.place(at), error.message()), next));
    }

    let mut statements = Vec::new();
    let mut steers = Vec::new();
    let mut before = 0;
    for stmt in root.children().filter_map(Stmt::cast) {
        let Some((start, end)) = bounds(stmt.syntax()) else { continue };
        let Some(body) = text.get(start..end) else { continue };
        let line = lines.line(start);
        let tokens = tokens(stmt.syntax());
        if tokens.is_empty() {
            continue;
        }
        let shape = classify(&tokens, body);
        if shape.steers_transactions() {
            steers.push(Steer { before: statements.len(), line, words: first_words(&tokens, tokens.len()) });
            continue;
        }
        if statements.len() == MOST_STATEMENTS {
            return Err(refused(
                format!(
                    "{file}:{line}: more than {MOST_STATEMENTS} statements, each of which would be a step"
                ),
                "these are rows rather than changes: load them by COPY or an import, or put many rows into one INSERT",
            ));
        }
        statements.push(Statement {
            text: body.into(),
            line,
            // A literal may hold line breaks; a title is a line.
            title: shape.title(&tokens).split_whitespace().collect::<Vec<_>>().join(" ").into(),
            shape,
            checksum: checksum(&body.replace("\r\n", "\n")),
            marks: marks(file, text, before..start, Some(body), &lines)?,
        });
        before = end;
    }
    marks(file, text, before..text.len(), None, &lines)?;
    let frame = frame(file, &steers, statements.len())?;
    Ok(Splits { statements, frame })
}

/// A statement that begins or ends a transaction.
struct Steer {
    /// How many statements stand before it.
    before: usize,
    line: u32,
    words: String,
}

/// BEGIN first and COMMIT last say what is done here anyway. Any other steering would take the bookkeeping apart.
fn frame(file: &str, steers: &[Steer], statements: usize) -> Result<Frame, Failure> {
    const BEGINS: [&str; 4] = ["begin", "begin work", "begin transaction", "start transaction"];
    const ENDS: [&str; 6] =
        ["commit", "commit work", "commit transaction", "end", "end work", "end transaction"];
    let is = |steer: &Steer, words: &[&str]| words.contains(&steer.words.to_lowercase().as_str());
    match steers {
        [] => Ok(Frame::None),
        [first, last]
            if first.before == 0 && last.before == statements && is(first, &BEGINS) && is(last, &ENDS) =>
        {
            Ok(Frame::Transaction(first.line))
        }
        [first, ..] => Err(Failure {
            what: format!("{file}:{}: {} inside a migration", first.line, first.words),
            state: "nothing was run".into(),
            next: "take it out: transactions are begun and ended here, so that each step can be recorded in its own; \
                   only one BEGIN before the first statement with a COMMIT after the last is understood"
                .into(),
        }),
    }
}

/// Where the lines of a text begin, so that a large file is not counted through for every statement.
pub(crate) struct Lines<'a> {
    text: &'a str,
    breaks: Vec<usize>,
    first: u32,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str, first: u32) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { text, breaks, first }
    }

    /// The line of a byte.
    pub(crate) fn line(&self, at: usize) -> u32 {
        let before = self.breaks.partition_point(|line_break| *line_break < at);
        self.first.saturating_add(u32::try_from(before).unwrap_or(u32::MAX))
    }

    /// "line:column" of a byte, the column in characters.
    fn place(&self, at: usize) -> String {
        let before = self.breaks.partition_point(|line_break| *line_break < at);
        let begins = before.checked_sub(1).and_then(|last| self.breaks.get(last)).map_or(0, |last| last + 1);
        let column = self.text.get(begins..at).map_or(0, |line| line.chars().count()) + 1;
        format!("{}:{column}", self.line(at))
    }
}

/// The line of byte `at`, where `text` begins at `first_line`.
pub(crate) fn line_of(text: &str, at: usize, first_line: u32) -> u32 {
    let breaks = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    first_line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX))
}

/// The words and signs of a node, without blanks, comments and the semicolon.
pub(crate) fn tokens(node: &SyntaxNode) -> Vec<Token> {
    node.descendants_with_tokens()
        .filter_map(squawk_syntax::SyntaxElement::into_token)
        .filter(|token| !is_trivia(token.kind()) && token.kind() != SyntaxKind::SEMICOLON)
        .map(|token| Token { kind: token.kind(), text: token.text().to_owned() })
        .collect()
}

fn is_trivia(kind: SyntaxKind) -> bool {
    matches!(kind, SyntaxKind::WHITESPACE | SyntaxKind::COMMENT)
}

/// The byte after the last word of a node.
pub(crate) fn last_word(node: &SyntaxNode) -> Option<usize> {
    bounds(node).map(|(_, end)| end)
}

/// First word to last word, without the semicolon.
fn bounds(node: &SyntaxNode) -> Option<(usize, usize)> {
    let mut words = node
        .descendants_with_tokens()
        .filter_map(squawk_syntax::SyntaxElement::into_token)
        .filter(|token| !is_trivia(token.kind()) && token.kind() != SyntaxKind::SEMICOLON);
    let first = words.next()?;
    let start = usize::from(first.text_range().start());
    let end = words.last().map_or(first.text_range().end(), |last| last.text_range().end());
    Some((start, usize::from(end)))
}

/// The first `n` words, as one text.
pub(crate) fn first_words(tokens: &[Token], n: usize) -> String {
    tokens.iter().take(n).map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
}
