//! The rehearsal: the whole deployment against things that behave like the real ones, on this machine alone.
//!
//! It guarantees that a rehearsal differs from the day only in whom it talks to and how fast the clock runs, and that
//! nothing outside this machine is touched, except the database whose schema `--from` reads. Nothing outside this room
//! may know that it exists; no stand-in may be reached but through its socket; rules and workers may not enter. The one
//! who runs the rehearsal holds the [`world::World`] and may throw faults into it.

pub mod autopilot;
pub mod contacts;
pub mod director;
pub mod draw;
pub mod faults;
pub mod proof;
pub mod scenario;
pub mod settings;
pub mod stage;
pub mod standin;
pub mod state;
pub mod traffic;
pub mod world;
