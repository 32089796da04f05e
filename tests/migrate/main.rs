//! The migration engine on a real server: there, back, interrupted, blocked, lied to.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as a test does: at once, and where it stands"
)]

mod bad_input;
mod command;
mod cut;
mod dryrun;
mod faults;
mod ground;
mod interrupted;
mod layouts;
mod live;
mod poolers;
mod proxy;
mod shipped;
mod theirs;
mod worker;
