//! What has happened: events, the state they fold into, the commands people and workers give, and the rules.
//!
//! `decide` holds every rule and `apply` every consequence; both are pure, so that the cockpit, the command line and a
//! second cockpit can never disagree. No clock, no I/O, no async may enter, nor anything that draws (a test holds that line).

pub mod apply;
pub mod command;
pub mod decide;
pub mod event;
pub mod job;
pub mod judge;
pub mod live;
pub mod next;
pub mod permission;
pub mod state;
pub mod steer;
pub mod summary;
pub mod upkeep;
pub mod words;

pub use command::Command;
pub use decide::{Refusal, decide, obstacles};
pub use event::{Actor, Event, Mode, Record};
pub use job::{Failure, Job, JobId, JobKind, JobStatus, Outcome, Step, StepOutcome, StepPlan, WorkerId};
pub use live::{Live, Progress, Sample};
pub use state::State;
pub use steer::{Steer, Steered};

#[cfg(test)]
pub(crate) mod tests;
