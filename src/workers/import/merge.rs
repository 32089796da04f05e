//! Staging into contacts and mappings: range by range, several connections at once.
//!
//! It guarantees that a kill anywhere leaves whole ranges only, that no contact is made twice, and that a row which the
//! database refuses against all expectation is found by halving and set aside alone.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::try_join_all;
use sqlx::PgConnection;

use super::brake::Brake;
use super::checkpoint::Checkpoint;
use super::line::Line;
use super::plan::Range;
use super::progress::Teller;
use super::stage::Aside;
use super::trouble::{Trouble, is_about_rows};
use super::write::{Writer, refuse};

/// What the connections share.
struct Shared<'a> {
    queue: VecDeque<Range>,
    checkpoint: &'a mut Checkpoint,
    done: u64,
    /// So many may be set aside in all; beyond, somebody is asked.
    most: u64,
}

/// Merges these ranges, each connection one at a time. Returns when all are merged, or when more than `most` profiles were
/// set aside; then ranges are left.
pub(super) async fn merge(
    lanes: &mut [PgConnection],
    checkpoint: &mut Checkpoint,
    queue: VecDeque<Range>,
    line: Line<'_>,
    teller: &Teller<'_>,
    brake: &Brake,
    most: u64,
) -> Result<(), Trouble> {
    let Some(first) = lanes.first_mut() else { return Ok(()) };
    let writer = Writer::of(first).await?;
    let left: u64 = queue.iter().map(|range| range.len()).sum();
    let done = checkpoint.staged.saturating_sub(left);
    let shared = Mutex::new(Shared { queue, checkpoint, done, most });
    try_join_all(lanes.iter_mut().map(|database| lane(database, &shared, &writer, line, (teller, brake))))
        .await
        .map(drop)
}

/// Takes the next range, until none is left.
async fn lane(
    database: &mut PgConnection,
    shared: &Mutex<Shared<'_>>,
    writer: &Writer,
    line: Line<'_>,
    (teller, brake): (&Teller<'_>, &Brake),
) -> Result<(), Trouble> {
    loop {
        line.edge().await?;
        let (run, round, range) = {
            let mut shared = lock(shared);
            if shared.checkpoint.aside.quarantined > shared.most {
                return Ok(());
            }
            let Some(range) = shared.queue.pop_front() else { return Ok(()) };
            (shared.checkpoint.run, shared.checkpoint.round, range)
        };
        let (now, began) = (line.clock().now(), Instant::now());
        match writer.write(database, run, range, now).await {
            Ok(written) => {
                let aside = if written.conflicts > 0 { Some(Aside::of(database, run).await?) } else { None };
                let mut shared = lock(shared);
                shared.checkpoint.imported += written.imported;
                shared.checkpoint.updated += written.updated;
                shared.checkpoint.both += written.both;
                if let Some(aside) = aside {
                    shared.checkpoint.aside = aside;
                }
                shared.done += range.len();
            }
            Err(error) if is_about_rows(&error) => {
                if let Some([one, other]) = range.halves() {
                    let mut shared = lock(shared);
                    shared.queue.push_front(other);
                    shared.queue.push_front(one);
                    continue;
                }
                refuse(database, (run, round), range, &error, now).await?;
                let aside = Aside::of(database, run).await?;
                let mut shared = lock(shared);
                shared.checkpoint.staged = shared.checkpoint.staged.saturating_sub(1);
                shared.checkpoint.aside = aside;
            }
            Err(error) => return Err(error.into()),
        }
        let (done, totals) = {
            let shared = lock(shared);
            (shared.done, shared.checkpoint.totals())
        };
        teller.done(done, Some(totals.fetched - totals.quarantined), &totals);
        brake.ease(line, teller, began.elapsed()).await?;
    }
}

fn lock<'a, 'b>(shared: &'a Mutex<Shared<'b>>) -> MutexGuard<'a, Shared<'b>> {
    // Every change is one of whole figures; a panic ends the pass, and the next one reads them from the database.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
