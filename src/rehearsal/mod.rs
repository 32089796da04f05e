//! The rehearsal: what stands at the other end of the sockets while gonogo is tried out, and nothing that gonogo itself
//! decides with.
//!
//! It guarantees that a rehearsal differs from the day only in whom it talks to and how fast the clock runs. Nothing
//! outside this room may know that it exists, and no stand-in may be reached but through its socket; the one who runs the
//! rehearsal holds the [`world::World`] and may throw faults into it.

pub mod faults;
pub mod person;
pub mod scenario;
pub mod standin;
pub mod state;
pub mod traffic;
pub mod world;
