//! Splits a migration into its statements with a real parser, so that a semicolon in a dollar quote, a DO block or a comment is
//! no end. What does not parse, or belongs to psql, or steers transactions, never gets past this room. No database here.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use squawk_syntax::ast::{AstNode, Stmt};
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode};

use super::classify::{Shape, classify};
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

/// The statements of `text`, which begins at line `first_line` of `file`.
pub fn split(file: &str, text: &str, first_line: u32) -> Result<Vec<Statement>, Failure> {
    let refused =
        |what: String, next: &str| Failure { what, state: "nothing was run".into(), next: next.into() };
    if let Some(at) = text.find('\0') {
        return Err(refused(
            format!("{file}:{}: a NUL byte; this is not a text file of SQL", line_of(text, at, first_line)),
            "save the file as UTF-8 text",
        ));
    }
    let parse = SourceFile::parse(text);
    let root = parse.syntax_node();
    if let Some((line, command)) = meta_command(text, &root, first_line) {
        return Err(refused(
            format!("{file}:{line}: {command} is a command of psql, which is not run here"),
            "write plain SQL, or take the line out",
        ));
    }
    if let Some(error) = parse.errors().first() {
        let at = usize::from(error.range().start()).min(text.len());
        return Err(refused(
            format!("{file}:{}: syntax error: {}", line_of(text, at, first_line), error.message()),
            "correct the file and plan again",
        ));
    }

    let mut statements = Vec::new();
    for stmt in root.children().filter_map(Stmt::cast) {
        let Some((start, end)) = bounds(stmt.syntax()) else { continue };
        let Some(body) = text.get(start..end) else { continue };
        let line = line_of(text, start, first_line);
        let tokens = tokens(stmt.syntax());
        if tokens.is_empty() {
            continue;
        }
        let shape = classify(&tokens, body);
        if shape.steers_transactions() {
            return Err(refused(
                format!("{file}:{line}: {} inside a migration", first_words(&tokens, 1)),
                "take it out: transactions are begun and ended here, so that each step can be recorded in its own",
            ));
        }
        statements.push(Statement {
            text: body.into(),
            line,
            title: shape.title(&tokens).into(),
            shape,
            checksum: checksum(body),
        });
    }
    Ok(statements)
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

/// A line that begins with a backslash outside of strings and comments.
fn meta_command(text: &str, root: &SyntaxNode, first_line: u32) -> Option<(u32, String)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let word = line.trim_start();
        if word.starts_with('\\') {
            let offset = u32::try_from(at + indent).ok()?;
            let inside = root
                .descendants_with_tokens()
                .filter_map(squawk_syntax::SyntaxElement::into_token)
                .find(|token| token.text_range().contains(offset.into()))
                .is_some_and(|token| usize::from(token.text_range().start()) < at + indent);
            if !inside {
                let command = word.split_whitespace().next().unwrap_or("\\").to_owned();
                return Some((line_of(text, at + indent, first_line), command));
            }
        }
        at += line.len();
    }
    None
}
