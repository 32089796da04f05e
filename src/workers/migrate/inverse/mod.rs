//! The way back from what happened: the catalogue as it was before a migration, what each step changed in it, and from that the
//! statements that undo exactly this. It stands beside the down file, shows where the two differ, and takes its place where there
//! is none. Nothing here is called a rollback before it was rehearsed.

mod compare;
pub(crate) mod ledger;
mod plan;
mod thing;
mod way;

pub use compare::Differences;
pub(crate) use ledger::{Ledger, Written, forget, holders, left, since, written};
pub use plan::{BackPlan, Recorded, back_plan, with_inverses};
pub(crate) use plan::{recorded, recorded_as};
pub use way::{Cost, Undo, Way};
