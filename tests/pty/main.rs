//! The real program in a real terminal of a given size, driven by its keys alone: what a person sees is what is waited for.
//!
//! Nothing in here sleeps for a time: every wait is for something on the screen, in the byte stream or in the journal, with a
//! deadline. The rehearsals run one after the other, for each brings a PostgreSQL of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as a test does: at once, and where it stands"
)]

mod bad_input;
mod by_hand;
mod cockpit;
mod given_back;
mod killed;
mod operator;
mod stage;
mod together;
mod trouble;
