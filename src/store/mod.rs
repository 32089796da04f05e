//! The shared state store: the journal, and beside it what changes too fast to be history.
//!
//! It guarantees that an acknowledged event survives a kill at any moment; that `decide` ran on the newest state, inside
//! the one transaction that appends, so that two cockpits cannot both win; that every process on the same file sees an
//! event within 250 ms; and that a journal altered by hand is noticed. It judges nothing itself: the rules are `run::decide`'s.

pub mod beside;
pub mod chain;
mod error;
pub mod journal;
mod rows;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;
use tokio::sync::{Mutex, watch};

pub use error::{StoreError, SubmitError};

use self::beside::Beside;
use self::journal::{Head, Journal};
use crate::clock::{Clock, Pace};
use crate::run::live::{Advice, Conflicts, HistoryLive, Outlook};
use crate::run::{Actor, Command, Live, Progress, Record, Sample, State, decide};

/// A handle on the store of one run; clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    path: PathBuf,
    journal: Mutex<Journal>,
    beside: Beside,
    state: watch::Sender<Arc<State>>,
    trouble: watch::Sender<Option<Arc<StoreError>>>,
    /// The last write failed: whether the next will not is tried by the watcher.
    unwritten: AtomicBool,
    watcher: std::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Ok(mut watcher) = self.watcher.lock()
            && let Some(watcher) = watcher.take()
        {
            watcher.abort();
        }
    }
}

impl Store {
    /// Opens the journal at `path`, makes it if there is none, folds it, and begins to watch it.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        let (journal, state) = Journal::open(path).await?;
        let beside = Beside::open(path).await?;
        if let Some(pace) = beside.pace().await? {
            clock.follow(pace);
        }
        let inner = Arc::new(Inner {
            clock,
            path: path.to_owned(),
            journal: Mutex::new(journal),
            beside,
            state: watch::Sender::new(state),
            trouble: watch::Sender::new(None),
            unwritten: AtomicBool::new(false),
            watcher: std::sync::Mutex::new(None),
        });
        inner.beside.refresh().await?;
        let task = tokio::spawn(watcher::watch(Arc::downgrade(&inner), path.to_owned()));
        if let Ok(mut watcher) = inner.watcher.lock() {
            *watcher = Some(task);
        }
        Ok(Self(inner))
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The run's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The state, and its changes.
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.0.state.subscribe()
    }

    /// The state now.
    pub fn now(&self) -> Arc<State> {
        Arc::clone(&self.0.state.borrow())
    }

    /// What keeps the journal from being followed or written, while something does. The state may be as old as that trouble
    /// then, and whoever shows the state must show this beside it.
    pub fn trouble(&self) -> watch::Receiver<Option<Arc<StoreError>>> {
        self.0.trouble.subscribe()
    }

    /// What stands beside the journal, and its changes.
    pub fn live(&self) -> watch::Receiver<Arc<Live>> {
        self.0.beside.live()
    }

    /// Asks for something: decides on the newest state and appends, or says why not. When it returns records, they are
    /// on disk.
    pub async fn submit(&self, by: &Actor, command: Command) -> Result<Vec<Arc<Record>>, SubmitError> {
        let mut journal = self.0.journal.lock().await;
        let outcome =
            journal.append(&self.0.clock, |state| Ok((by.clone(), decide(state, by, command)?))).await;
        self.publish(journal.head());
        if matches!(outcome, Err(SubmitError::Store(_))) {
            self.0.unwritten.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Records from number `from` on, at most `limit`.
    pub async fn records(&self, from: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.0.journal.lock().await.records(from, limit).await
    }

    /// Tells how far a job is. Never waits; the latest wins.
    pub fn progress(&self, progress: Progress) {
        self.0.beside.progress(progress);
    }

    /// Adds a reading of a gauge. Never waits.
    pub fn sample(&self, sample: Sample) {
        self.0.beside.sample(sample);
    }

    /// Tells which profiles wait for a person. Never waits; the latest wins.
    pub fn conflicts(&self, conflicts: Conflicts) {
        self.0.beside.conflicts(conflicts);
    }

    /// Tells how far the history of interactions is. Never waits; the latest wins.
    pub fn history(&self, history: HistoryLive) {
        self.0.beside.history(history);
    }

    /// Tells what taking the database back would lose. Never waits; the latest wins.
    pub fn outlook(&self, outlook: Outlook) {
        self.0.beside.outlook(outlook);
    }

    /// Tells what the linter says of the migrations ahead. Never waits; the latest wins.
    pub fn advice(&self, advice: Advice) {
        self.0.beside.advice(advice);
    }

    /// The leases and the presence of cockpits.
    pub fn beside(&self) -> &Beside {
        &self.0.beside
    }

    /// Sets how this rehearsal's clock runs, for every process on the same file.
    pub async fn set_pace(&self, pace: Pace) -> Result<(), StoreError> {
        // Written first: the watcher follows what is written, and would undo what is not.
        self.0.beside.set_pace(pace).await?;
        self.0.clock.follow(pace);
        Ok(())
    }

    /// Moves a rehearsal's clock forward to `at`, for every process on the same file. Never back, and never the wall's.
    pub async fn jump_to(&self, at: DateTime<Utc>) -> Result<(), StoreError> {
        match self.0.clock.pace() {
            Some(pace) if at > self.0.clock.now() => {
                self.set_pace(Pace { wall: Clock::wall().now(), shown: at, ..pace }).await
            }
            _ => Ok(()),
        }
    }

    fn publish(&self, head: &Head) {
        self.0.publish(head);
    }
}

impl Inner {
    fn publish(&self, head: &Head) {
        self.state.send_if_modified(|state| {
            let newer = head.state.seq > state.seq;
            if newer {
                *state = Arc::clone(&head.state);
            }
            newer
        });
    }
}

/// How long a write waits for another process's.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// Opens an SQLite file as both stores need it.
async fn connect(
    path: &Path,
    synchronous: sqlx::sqlite::SqliteSynchronous,
) -> Result<SqliteConnection, StoreError> {
    use sqlx::ConnectOptions;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(PATIENCE)
        .disable_statement_logging();
    options.connect().await.map_err(|error| StoreError::from_sqlx(path, error))
}

#[cfg(test)]
mod tests;
