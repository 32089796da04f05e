//! Looks at the working session from outside, four times a second: what it waits for and behind whom, who waits behind it, how
//! far the server says it is, how much log it has written. Every figure says where it comes from.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::database::Database;
use super::now::Now;
use super::runner::{blocker, describe};
use super::watch::Watcher;

const EVERY: Duration = Duration::from_millis(250);

/// Samples until it is dropped.
pub(crate) async fn sample(db: &Database, pid: i32, now: &Now, watcher: &dyn Watcher) {
    let mut session = None;
    let mut began: Option<String> = None;
    loop {
        if session.is_none() {
            session = db.session("watch").await.ok();
        }
        if let Some(open) = &mut session {
            match look(open, pid, &mut began, now).await {
                Ok(()) => watcher.moment(now.moment()),
                Err(error) => {
                    tracing::debug!(error = super::errors::say(&error), "the sampler lost its session");
                    session = None;
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(
    session: &mut PgConnection,
    pid: i32,
    began: &mut Option<String>,
    now: &Now,
) -> Result<(), sqlx::Error> {
    if began.is_none() {
        *began =
            Some(sqlx::query_scalar("SELECT pg_current_wal_lsn()::text").fetch_one(&mut *session).await?);
    }
    let row = sqlx::query(
        "SELECT (pg_current_wal_lsn() - $2::pg_lsn)::bigint,
                (SELECT count(*) FROM pg_stat_activity q
                 WHERE q.wait_event_type = 'Lock' AND $1 = ANY (pg_blocking_pids(q.pid)))::int,
                i.phase, i.blocks_done, i.blocks_total, i.tuples_done, i.tuples_total, i.lockers_done, i.lockers_total,
                c.tuples_processed,
                (SELECT a.wait_event_type = 'Lock' FROM pg_stat_activity a WHERE a.pid = $1)
         FROM (SELECT) AS one
         LEFT JOIN pg_stat_progress_create_index i ON i.pid = $1
         LEFT JOIN pg_stat_progress_copy c ON c.pid = $1",
    );
    let row = row.bind(pid).bind(began.as_deref()).fetch_one(&mut *session).await?;
    let waits = row.try_get::<Option<bool>, _>(10)?.unwrap_or(false);
    let blockers = if waits { tree(session, pid).await? } else { Vec::new() };
    let wal: Option<i64> = row.try_get(0)?;
    let queue: i32 = row.try_get(1)?;
    let phase: Option<String> = row.try_get(2)?;
    let counts =
        (3..=9).map(|column| row.try_get::<Option<i64>, _>(column)).collect::<Result<Vec<_>, _>>()?;
    now.change(|moment| {
        moment.live.wal = wal.and_then(|bytes| u64::try_from(bytes).ok());
        moment.live.queue = u32::try_from(queue).unwrap_or(0);
        let count = |at: usize| counts.get(at).copied().flatten().and_then(|n| u64::try_from(n).ok());
        if let Some(phase) = phase {
            let shown = [(0, 1, "blocks"), (2, 3, "tuples"), (4, 5, "lockers")]
                .into_iter()
                .find(|(_, total, _)| count(*total).is_some_and(|total| total > 0));
            "pg_stat_progress_create_index".clone_into(&mut moment.source);
            moment.doing = phase;
            if let Some((done, total, unit)) = shown {
                (moment.done, moment.total) = (count(done).unwrap_or(0), count(total));
                unit.clone_into(&mut moment.unit);
            }
        } else if let Some(tuples) = count(6) {
            "pg_stat_progress_copy".clone_into(&mut moment.source);
            (moment.done, moment.total) = (tuples, None);
            "rows".clone_into(&mut moment.unit);
        }
        if let Some(first) = blockers.first() {
            moment.doing = format!("waiting for {}", describe(first));
            moment.live.blockers = blockers;
        } else if waits {
            // In the instant between the two looks the wait ended, or it is for something without a holder.
        } else if !moment.doing.starts_with("looking") {
            moment.live.blockers.clear();
        }
    });
    Ok(())
}

/// Those in our way, nearest first, then those in theirs.
async fn tree(session: &mut PgConnection, pid: i32) -> Result<Vec<crate::run::live::Blocker>, sqlx::Error> {
    let rows = sqlx::query(
        "WITH RECURSIVE way (pid, depth) AS (
           SELECT unnest(pg_blocking_pids($1)), 1
           UNION
           SELECT unnest(pg_blocking_pids(w.pid)), w.depth + 1 FROM way w WHERE w.depth < 4
         )
         SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), coalesce(a.state, ''),
                coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8, left(coalesce(a.query, ''), 200)
         FROM (SELECT pid, min(depth) AS depth FROM way WHERE pid <> $1 GROUP BY pid) AS w JOIN pg_stat_activity a USING (pid)
         ORDER BY w.depth, a.xact_start",
    );
    rows.bind(pid).fetch_all(session).await?.iter().map(blocker).collect()
}
