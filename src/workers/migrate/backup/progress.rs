//! How far a copy is, as the server counts it, looked at from a second session.

use std::time::{Duration, Instant};

use sqlx::Row as _;

use crate::workers::migrate::database::Database;
use crate::workers::migrate::now::Now;
use crate::workers::migrate::watch::Watcher;

const EVERY: Duration = Duration::from_millis(250);
/// Before this no rate is worth a forecast.
const SETTLED: Duration = Duration::from_secs(2);

/// Samples the COPY of `pid` until it is dropped; `rows` is how many there are, counted in the same snapshot.
pub(crate) async fn sample(db: &Database, pid: i32, rows: u64, what: &str, now: &Now, watcher: &dyn Watcher) {
    let began = Instant::now();
    let mut session = None;
    loop {
        if session.is_none() {
            session = db.session("watch").await.ok();
        }
        if let Some(open) = &mut session {
            let sql = "SELECT tuples_processed, bytes_processed FROM pg_stat_progress_copy WHERE pid = $1";
            match sqlx::query(sql).bind(pid).fetch_optional(open).await {
                Ok(Some(row)) => {
                    let count =
                        |at: usize| row.try_get::<i64, _>(at).ok().and_then(|n| u64::try_from(n).ok());
                    let (done, bytes) = (count(0).unwrap_or(0), count(1).unwrap_or(0));
                    now.change(|moment| {
                        moment.doing =
                            format!("{what}: {} MB read{}", bytes / 1_000_000, left(began, done, rows));
                        (moment.done, moment.total) = (done, Some(rows));
                        "rows".clone_into(&mut moment.unit);
                        "pg_stat_progress_copy".clone_into(&mut moment.source);
                    });
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(
                        error = crate::workers::migrate::errors::say(&error),
                        "the look at the copy failed"
                    );
                    session = None;
                }
            }
        }
        watcher.moment(now.moment());
        tokio::time::sleep(EVERY).await;
    }
}

/// A forecast by the pace so far.
fn left(began: Instant, done: u64, rows: u64) -> String {
    let took = began.elapsed();
    if took < SETTLED || done == 0 || rows <= done {
        return String::new();
    }
    let seconds = took.as_secs_f64() * (rows - done) as f64 / done as f64;
    format!(", about {seconds:.0} s left (forecast by the pace so far)")
}
