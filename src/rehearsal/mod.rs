//! The rehearsal: the whole deployment against things that behave like the real ones, on this machine alone.
//!
//! It guarantees that nothing outside this machine is touched, except the database whose schema `--from` reads. Rules and
//! workers may not enter: a rehearsal runs the same code as the day itself, and only puts something else at the other
//! end of the sockets. No stand-in may be reached but through its socket; the one who runs the rehearsal holds the
//! [`world::World`] and may throw faults into it.

pub mod contacts;
pub mod draw;
pub mod faults;
pub mod scenario;
pub mod scratch;
pub mod standin;
pub mod state;
pub mod traffic;
pub mod world;
