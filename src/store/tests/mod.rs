//! The store under load, under two processes, and under bad files. What several of these tests need stands here.

mod bad_files;
mod beside;
mod laws;
mod processes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::plan::Role;
use crate::run::event::NoteKind;
use crate::run::{Actor, Command, Mode, Record};
use crate::store::{Store, SubmitError};

/// A test that waits longer than this for a condition has failed.
const DEADLINE: Duration = Duration::from_secs(20);

fn lea() -> Actor {
    Actor::person("lea", Role::Lead)
}

fn note(text: &str) -> Command {
    Command::Note { item: None, kind: NoteKind::Note, text: text.into() }
}

async fn open(path: &Path) -> Store {
    Store::open(path, Clock::wall()).await.expect("the store opens")
}

async fn begin(store: &Store) -> Vec<Arc<Record>> {
    let plan = Arc::new(crate::run::tests::plan());
    store.submit(&lea(), Command::Open { plan, mode: Mode::Rehearsal }).await.expect("the run opens")
}

async fn write(store: &Store, text: &str) -> u64 {
    store.submit(&lea(), note(text)).await.expect("a note is taken")[0].seq
}

/// A directory with a journal of a run with some notes, closed.
async fn journal(notes: usize) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.sqlite");
    let store = open(&path).await;
    begin(&store).await;
    for number in 1..=notes {
        write(&store, &format!("note {number}")).await;
    }
    (dir, path)
}

fn words(outcome: Result<Vec<Arc<Record>>, SubmitError>) -> String {
    outcome.map_or_else(|error| error.to_string(), |records| format!("{} events", records.len()))
}
