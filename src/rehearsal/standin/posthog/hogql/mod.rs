//! Enough of HogQL to answer questions about a deployment: one SELECT over `events`, with conditions, groups and order.
//!
//! It guarantees that a statement is either evaluated as ClickHouse would, over the rows there are, or refused with the place
//! that was not understood; nothing is ever answered by guessing from the statement's looks.

mod eval;
mod functions;
mod lex;
mod parse;
mod tree;
mod value;

pub(super) use self::eval::{Table, run};
pub(super) use self::parse::parse;
pub(super) use self::value::Datum;

/// Why a statement is refused, in the vendor's style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// The statement is wrong, and where.
    Invalid(String),
    /// The statement has no lower bound on time.
    Unbounded,
}
