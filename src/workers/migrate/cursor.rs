//! A place in a statement's words, and the ways to go on from it. It reads and decides nothing.

use std::sync::Arc;

use super::classify::Clause;
use super::split::Token;

/// A place in a statement's words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [Token],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(tokens: &'a [Token]) -> Self {
        Self { rest: tokens }
    }

    /// Goes past these words if they stand here.
    pub(crate) fn eat(&mut self, words: &[&str]) -> bool {
        let here =
            self.rest.len() >= words.len() && self.rest.iter().zip(words).all(|(token, word)| token.is(word));
        if here {
            self.rest = self.rest.get(words.len()..).unwrap_or_default();
        }
        here
    }

    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.rest.first()
    }

    pub(crate) fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Reads `name` or `schema.name`.
    pub(crate) fn name(&mut self) -> Option<Arc<str>> {
        let mut name = self.next()?.text.clone();
        while self.eat(&["."]) {
            name.push('.');
            name.push_str(&self.next()?.text);
        }
        Some(name.into())
    }

    pub(crate) fn names(&mut self) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        loop {
            names.extend(self.name());
            self.eat(&["*"]);
            if !self.eat(&[","]) {
                return names;
            }
        }
    }

    /// Whether no other thing is named after this one; the arguments of a function are no things.
    pub(crate) fn is_last(&self) -> bool {
        let mut depth = 0_u32;
        for token in self.rest {
            match token.text.as_str() {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                "," if depth == 0 => return false,
                _ => {}
            }
        }
        true
    }

    pub(crate) fn exists(&mut self) -> Clause {
        if self.eat(&["if", "not", "exists"]) || self.eat(&["if", "exists"]) {
            Clause::Lenient
        } else {
            Clause::Strict
        }
    }
}
