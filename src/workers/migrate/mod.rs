//! Migrations, there and back: read from anybody's files, split by a real parser, taken step by step on a live table without
//! stopping its clients, proven by checks, resumed at the step after any kill. The engine knows a [`Watcher`] and a
//! [`Database`], nothing of journals, jobs or screens.

mod alter;
pub mod backup;
pub mod book;
mod canary;
pub mod checks;
pub mod classify;
pub mod database;
pub mod engine;
mod errors;
pub mod files;
mod hold;
mod inspect;
mod layout;
mod lock;
mod look;
mod now;
mod plan;
mod runner;
mod sampler;
mod sections;
pub mod split;
mod step;
pub mod survey;
pub mod watch;
pub mod worker;

#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod split_tests;

pub use backup::backup;
pub use database::Database;
pub use engine::{down, up};
pub use files::MigrationSet;
pub use survey::{loss, status, steps, verify};
pub use watch::{BackupGate, Edge, Ended, Moment, Options, Report, Watcher};
pub use worker::{DeskWatcher, MigrateWorker};
