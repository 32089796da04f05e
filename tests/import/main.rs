//! The import as a process: killed, lied to, cut off, asked what it would do; against a model that knows nothing of its code.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as a test does: at once, and where it stands"
)]

mod bad_input;
mod chaos;
mod command;
mod contract;
mod down;
mod ground;
mod model;
mod people;
mod pulse;
