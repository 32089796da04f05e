//! The migration engine on a real server: there, back, interrupted, blocked, lied to.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as a test does: at once, and where it stands"
)]

mod backup;
mod bad_input;
mod batched;
mod command;
mod cut;
mod dryrun;
mod faults;
mod ground;
mod interrupted;
mod inverse;
mod layouts;
mod lint;
mod live;
mod matrix;
mod outcomes;
mod poolers;
mod proxy;
mod recorded;
mod replaced;
mod rewrite;
mod round_trip;
mod rung;
mod session;
mod shipped;
mod steered;
mod theirs;
mod versions;
mod worker;
