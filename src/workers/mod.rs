//! What acts: each worker reads the state, does its work, and tells what it did as events.

pub mod migrate;
