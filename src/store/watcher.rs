//! Notices what other processes wrote, and writes for them what this one has. Looks at the write-ahead logs' sizes and
//! times eight times a second, which costs next to nothing; reads only when one has changed.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::{Inner, StoreError, beside};

/// With the reading itself this keeps an event's way to another process well under 250 ms.
const LOOK: Duration = Duration::from_millis(125);
/// Two writes within one tick of the file system's clock look like one: look again this often after a change, and this
/// often without one.
const AGAIN: u32 = 2;
const ANYWAY: u32 = 10;

pub(super) async fn watch(store: Weak<Inner>, journal: PathBuf) {
    let mut facts = Log::of(&journal);
    let mut progress = Log::of(&beside::path_of(&journal));
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        if store.beside.has_news()
            && let Err(error) = store.beside.flush().await
        {
            tracing::warn!(%error, "progress and samples were not shared");
        }
        let unwritten = store.unwritten.load(Ordering::Relaxed);
        // What cannot be written is looked at as often as what is new.
        if facts.is_to_be_read() || unwritten {
            let mut open = store.journal.lock().await;
            let mut followed = open.catch_up().await;
            store.publish(open.head());
            if unwritten && followed.is_ok() {
                followed = open.try_to_write().await;
                store.unwritten.store(followed.is_err(), Ordering::Relaxed);
            }
            drop(open);
            tell(&store, followed);
        }
        if progress.is_to_be_read()
            && let Err(error) = follow(&store).await
        {
            tracing::warn!(%error, "what stands beside the journal cannot be followed");
        }
    }
}

/// Takes in what other processes wrote beside the journal; what this one wrote itself costs no reading.
async fn follow(store: &Inner) -> Result<(), StoreError> {
    let Some(version) = store.beside.news_of_others().await? else {
        store.beside.expire();
        return Ok(());
    };
    if let Some(pace) = store.beside.pace().await? {
        store.clock.follow(pace);
    }
    store.beside.refresh().await?;
    store.beside.has_taken_in(version);
    Ok(())
}

/// The write-ahead log of one file, and when it is worth a reading.
struct Log {
    file: PathBuf,
    seen: Option<(u64, SystemTime)>,
    again: u32,
    quiet: u32,
}

impl Log {
    fn of(file: &Path) -> Self {
        let mut name = file.as_os_str().to_owned();
        name.push("-wal");
        Self { file: name.into(), seen: None, again: 0, quiet: 0 }
    }

    fn is_to_be_read(&mut self) -> bool {
        let now = stamp(&self.file);
        if now != self.seen {
            (self.seen, self.again, self.quiet) = (now, AGAIN, 0);
            true
        } else if self.again > 0 {
            self.again -= 1;
            true
        } else {
            self.quiet = (self.quiet + 1) % (ANYWAY + 1);
            self.quiet == 0
        }
    }
}

/// Says once that there is trouble, and once that it is over.
fn tell(store: &Inner, followed: Result<(), StoreError>) {
    let known = store.trouble.borrow().as_ref().map(ToString::to_string);
    let now = followed.err();
    if known != now.as_ref().map(ToString::to_string) {
        if let Some(error) = &now {
            tracing::error!(%error, "the journal cannot be followed or written");
        }
        store.trouble.send_replace(now.map(Arc::new));
    }
}

fn stamp(log: &Path) -> Option<(u64, SystemTime)> {
    let about = std::fs::metadata(log).ok()?;
    Some((about.len(), about.modified().ok()?))
}
