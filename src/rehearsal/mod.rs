//! The rehearsal: the whole deployment against things that behave like the real ones, on this machine alone.
//!
//! It guarantees that nothing outside this machine is touched, except the database whose schema `--from` reads. Rules and
//! workers may not enter: a rehearsal runs the same code as the day itself, and only puts something else at the other
//! end of the sockets.

pub mod contacts;
pub mod scratch;
