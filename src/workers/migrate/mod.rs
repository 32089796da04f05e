//! The migrate worker: files, statements, the engine, the proofs.
mod alter;
pub mod classify;
pub mod files;
mod layout;
mod sections;
pub mod split;
#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod split_tests;
