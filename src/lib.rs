//! gonogo: a terminal cockpit for go-live day. GO is proven, never declared.
//!
//! What happened is a journal of events; what you see is a fold of that journal; what acts is a worker that reads the
//! state and appends events. See `ARCHITECTURE.md` for the map.
//!
//! ```text
//! key -> action -> command -> decide(state, command, operator) -> events -> journal -> apply -> state -> panes
//!                                                                             ^                   `-> workers -> world
//!                                                                             `------- events <-------'
//! ```

pub mod cli;
pub mod clock;
pub mod cockpit;
pub mod plan;
pub mod rehearsal;
pub mod run;
pub mod scratch;
pub mod secrets;
pub mod services;
pub mod store;
pub mod tui;
pub mod workers;

// The fixture of the screen's tests is shared with the tests and benches outside, where this crate has its name.
#[cfg(test)]
extern crate self as gonogo;
