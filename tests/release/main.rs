//! Going live, going back, moving the share and telling people: the workers on real sockets, over one simulated world.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as a test does: at once, and where it stands"
)]

mod announce;
mod compose;
mod deploy;
mod rig;
mod rollback;
mod rollout;
