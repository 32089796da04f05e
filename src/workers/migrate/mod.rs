//! Migrations, there and back: read from anybody's files, split by a real parser, taken step by step on a live table without
//! stopping its clients, proven by checks, resumed at the step after any kill. The engine knows a [`Watcher`] and a
//! [`Database`], nothing of journals, jobs or screens.

mod adopt;
mod adviser;
mod ahead;
mod alter;
pub mod backup;
mod batch;
pub mod book;
mod canary;
pub mod catalogue;
pub mod checks;
pub mod classify;
mod create;
mod cursor;
pub mod database;
mod deed;
mod define;
pub mod dryrun;
pub mod engine;
mod errors;
pub mod files;
mod flyway;
pub mod forecast;
mod found;
mod halt;
mod hands;
mod hold;
mod inspect;
pub mod inverse;
mod layout;
mod ledger;
mod lifeline;
pub mod lint;
mod lock;
mod look;
mod marks;
mod names;
mod naming;
mod now;
mod pace;
mod person;
mod phase;
mod plan;
mod pooler;
mod psql;
mod replaced;
pub mod restore;
pub mod rewrite;
mod runner;
mod sampler;
mod sections;
mod session;
mod slice;
pub mod split;
mod step;
pub mod survey;
mod text;
mod theirs;
pub mod watch;
pub mod worker;

#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod split_laws;
#[cfg(test)]
mod split_tests;

pub use adopt::{Adopted, Changed, adopt};
pub use adviser::Adviser;
pub use backup::{Target, backup};
pub use database::Database;
pub use engine::{down, up};
pub use files::MigrationSet;
pub use layout::{Reading, Tool};
pub use naming::Aside;
pub use survey::{Foreigners, foreigners, loss, status, steps, verify, verify_back};
pub use theirs::{Foreign, Sameness};
pub use watch::{BackupGate, Edge, Ended, Moment, Options, Probe, Report, Watcher};
pub use worker::{DeskWatcher, MigrateWorker};
