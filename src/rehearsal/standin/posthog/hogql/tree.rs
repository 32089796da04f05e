//! A statement as a tree: what was asked, with nothing of how it was written.

use super::value::Datum;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Constant(Datum),
    /// A column's whole name, parts joined by dots.
    Column(String),
    Star,
    List(Vec<Self>),
    Not(Box<Self>),
    Binary(Op, Box<Self>, Box<Self>),
    IsNull(Box<Self>),
    Call {
        name: String,
        parameters: Vec<Self>,
        distinct: bool,
        arguments: Vec<Self>,
    },
}

/// An operator of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Like { fold: bool },
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Select {
    pub(super) distinct: bool,
    /// The name a column gets in the answer, and what it is; the flag says whether the name is an alias.
    pub(super) columns: Vec<(String, Expr)>,
    pub(super) aliases: Vec<(String, Expr)>,
    pub(super) condition: Option<Expr>,
    pub(super) groups: Vec<Expr>,
    pub(super) having: Option<Expr>,
    pub(super) order: Vec<(Expr, Direction)>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}
