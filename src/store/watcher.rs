//! Notices what other processes wrote, and writes for them what this one has. Looks at the write-ahead logs' sizes and
//! times ten times a second, which costs next to nothing; reads only when one has changed.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::{Inner, StoreError, beside};

/// With the reading itself this keeps an event's way to another process well under 250 ms.
const LOOK: Duration = Duration::from_millis(100);
/// Two writes within one tick of the file system's clock look like one: look again this often after a change, and this
/// often without one.
const AGAIN: u32 = 2;
const ANYWAY: u32 = 10;

pub(super) async fn watch(store: Weak<Inner>, journal: PathBuf) {
    let logs = [log_of(&journal), log_of(&beside::path_of(&journal))];
    let mut seen = [None, None];
    let (mut again, mut quiet) = (0, 0);
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
        let now = [stamp(&logs[0]), stamp(&logs[1])];
        let unwritten = store.unwritten.load(Ordering::Relaxed);
        if unwritten {
            // What cannot be written is looked at as often as what is new.
        } else if now != seen {
            (seen, again, quiet) = (now, AGAIN, 0);
        } else if again > 0 {
            again -= 1;
        } else if quiet < ANYWAY {
            quiet += 1;
            continue;
        } else {
            quiet = 0;
        }
        let mut open = store.journal.lock().await;
        let mut followed = open.catch_up().await;
        store.publish(open.head());
        if unwritten && followed.is_ok() {
            followed = open.try_to_write().await;
            store.unwritten.store(followed.is_err(), Ordering::Relaxed);
        }
        drop(open);
        tell(&store, followed);
        let followed = async {
            if let Some(pace) = store.beside.pace().await? {
                store.clock.follow(pace);
            }
            store.beside.refresh().await
        };
        if let Err(error) = followed.await {
            tracing::warn!(%error, "what stands beside the journal cannot be followed");
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

fn log_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn stamp(log: &Path) -> Option<(u64, SystemTime)> {
    let about = std::fs::metadata(log).ok()?;
    Some((about.len(), about.modified().ok()?))
}
