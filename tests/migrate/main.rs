//! The migration engine on a real server: there, back, interrupted, blocked, lied to.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as a test does: at once, and where it stands"
)]

mod command;
mod faults;
mod ground;
mod interrupted;
mod live;
mod shipped;
mod worker;
