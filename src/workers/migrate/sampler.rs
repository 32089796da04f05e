//! Looks at the working session from outside, four times a second: what it waits for and behind whom, who waits behind it, how
//! far the server says it is, how much log is written and how far the standbys are. Every figure says where it comes from, and
//! what could not be read is unknown, never nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::database::Database;
use super::now::Now;
use super::pace::whole;
use super::phase::{PHASES, phase};
use super::runner::{blocker, describe};
use super::watch::{Moment, Watcher};
use crate::run::live::{Asks, Blocker, Replica, Replicas, Waiter};

const EVERY: Duration = Duration::from_millis(250);
/// Standbys move slowly, and not every role sees them.
const STANDBYS_EVERY: Duration = Duration::from_secs(1);
/// The log's rate is that of the last seconds.
const RATE_OVER: Duration = Duration::from_secs(2);
/// More waiters than that are a number.
const SHOWN: i32 = 12;

/// Samples until it is dropped.
pub(crate) async fn sample(db: &Database, pid: i32, now: &Now, watcher: &dyn Watcher) {
    let mut session = None;
    let mut log = Log::default();
    let mut standbys = None;
    loop {
        if session.is_none() {
            session = db.session("watch").await.ok();
        }
        if let Some(open) = &mut session {
            let looked = async {
                look(open, pid, &mut log, now).await?;
                if standbys.is_none_or(|last: Instant| last.elapsed() >= STANDBYS_EVERY) {
                    standbys = Some(Instant::now());
                    let replicas = replicas(open).await;
                    now.change(|moment| moment.live.replicas = replicas);
                }
                Ok::<(), sqlx::Error>(())
            };
            match looked.await {
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

/// The server's log position, and what it was.
#[derive(Debug, Default)]
struct Log {
    began: Option<u64>,
    lately: VecDeque<(Instant, u64)>,
}

impl Log {
    /// Bytes since the first look, and in a second of late.
    fn at(&mut self, position: u64, now: Instant) -> (u64, Option<u64>) {
        let began = *self.began.get_or_insert(position);
        self.lately.push_back((now, position));
        while self.lately.len() > 2 && self.lately.get(1).is_some_and(|(at, _)| now - *at >= RATE_OVER) {
            self.lately.pop_front();
        }
        let rate = self.lately.front().and_then(|(at, was)| {
            let seconds = (now - *at).as_secs_f64();
            // Log written within less than a second says little about a second.
            (seconds >= 0.9).then(|| whole(position.saturating_sub(*was) as f64 / seconds))
        });
        (position.saturating_sub(began), rate)
    }
}

async fn look(session: &mut PgConnection, pid: i32, log: &mut Log, now: &Now) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint,
                coalesce((SELECT a.wait_event_type = 'Lock' FROM pg_stat_activity a WHERE a.pid = $1), false),
                (SELECT count(*) FROM pg_stat_activity q WHERE q.wait_event_type = 'Lock' AND q.pid <> $1)::int",
    );
    let row = row.bind(pid).fetch_one(&mut *session).await?;
    let position: i64 = row.try_get(0)?;
    let (waits, others): (bool, i32) = (row.try_get(1)?, row.try_get(2)?);
    let blockers = if waits { before(session, pid).await? } else { Vec::new() };
    let (queue, behind) = if others > 0 { after(session, pid).await? } else { (0, Vec::new()) };
    let phases = sqlx::raw_sql(sqlx::AssertSqlSafe(PHASES.replace("$1", &pid.to_string())));
    let phase = phases.fetch_optional(&mut *session).await?.map(|row| phase(&row)).transpose()?;
    let (wal, rate) = log.at(u64::try_from(position).unwrap_or(0), Instant::now());
    now.change(|moment| {
        (moment.live.wal, moment.live.wal_rate) = (Some(wal), rate);
        (moment.live.queue, moment.live.behind) = (queue, behind);
        if let Some(phase) = phase {
            moment.source.clone_from(&phase.view);
            moment.doing.clone_from(&phase.name);
            if let Some((unit, done, total)) = phase.counts.first() {
                (moment.done, moment.total) = (*done, *total);
                moment.unit.clone_from(unit);
            }
            moment.live.phase = Some(phase);
        } else if moment.live.phase.take().is_some() {
            "gonogo".clone_into(&mut moment.source);
        }
        met(moment, waits, blockers);
    });
    Ok(())
}

/// What the wait of the working session makes of the moment.
fn met(moment: &mut Moment, waits: bool, blockers: Vec<Blocker>) {
    // A run that waits for a person asks for no lock, and a look says itself whom it sees.
    let looks = moment.doing.starts_with("looking") || moment.live.asks != Asks::Nothing;
    if let Some(first) = blockers.first() {
        moment.doing = match &moment.live.phase {
            Some(phase) => format!("{}: for {}", phase.name, describe(first)),
            None => format!("waiting for {}", describe(first)),
        };
        moment.live.blockers = blockers;
    } else if !waits && !looks {
        moment.live.blockers.clear();
    }
    // Else: in the instant between the two looks the wait ended, or it is for something without a holder.
}

/// Those in our way, nearest first, then those in theirs, with what each holds that the one before it wants.
async fn before(session: &mut PgConnection, pid: i32) -> Result<Vec<Blocker>, sqlx::Error> {
    let rows = sqlx::query(
        "WITH RECURSIVE way (pid, behind, depth) AS (
           SELECT unnest(pg_blocking_pids($1)), $1, 0
           UNION
           SELECT unnest(pg_blocking_pids(w.pid)), w.pid, w.depth + 1 FROM way w WHERE w.depth < 4
         ), nearest AS (
           SELECT DISTINCT ON (pid) pid, behind, depth FROM way WHERE pid <> $1 ORDER BY pid, depth
         )
         SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), coalesce(a.state, ''),
                coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8, left(coalesce(a.query, ''), 200),
                a.backend_start,
                coalesce((SELECT h.mode || CASE WHEN h.granted THEN '' ELSE ' (asked for before us)' END
                                 || coalesce(' on ' || h.relation::regclass::text, '')
                          FROM pg_locks h JOIN pg_locks x ON x.pid = w.behind AND NOT x.granted
                            AND h.locktype = x.locktype AND h.relation IS NOT DISTINCT FROM x.relation
                            AND h.database IS NOT DISTINCT FROM x.database
                            AND h.virtualxid IS NOT DISTINCT FROM x.virtualxid
                            AND h.transactionid IS NOT DISTINCT FROM x.transactionid
                          WHERE h.pid = a.pid ORDER BY h.granted DESC LIMIT 1), ''),
                w.depth
         FROM nearest w JOIN pg_stat_activity a USING (pid)
         ORDER BY w.depth, a.xact_start NULLS LAST",
    );
    rows.bind(pid).fetch_all(session).await?.iter().map(blocker).collect()
}

/// Those who wait behind us, and behind those: how many, and the nearest and longest of them.
async fn after(session: &mut PgConnection, pid: i32) -> Result<(u32, Vec<Waiter>), sqlx::Error> {
    let rows = sqlx::query(
        "WITH RECURSIVE stuck AS MATERIALIZED (
           SELECT pid, pg_blocking_pids(pid) AS behind FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> $1
         ), queue (pid, depth) AS (
           SELECT pid, 0 FROM stuck WHERE $1 = ANY (behind)
           UNION
           SELECT s.pid, q.depth + 1 FROM queue q JOIN stuck s ON q.pid = ANY (s.behind) WHERE q.depth < 4
         ), nearest AS (SELECT pid, min(depth) AS depth FROM queue GROUP BY pid)
         SELECT a.pid, coalesce(a.application_name, ''),
                coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(l.waitstart) FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted)), 0)::float8,
                n.depth, left(coalesce(a.query, ''), 200), (count(*) OVER ())::int
         FROM nearest n JOIN pg_stat_activity a USING (pid) ORDER BY n.depth, 3 DESC LIMIT $2",
    );
    let rows = rows.bind(pid).bind(SHOWN).fetch_all(session).await?;
    let all = rows.first().map_or(Ok(0), |row| row.try_get::<i32, _>(5))?;
    let waiter = |row: &PgRow| {
        Ok(Waiter {
            pid: row.try_get(0)?,
            app: row.try_get(1)?,
            waits: row.try_get(2)?,
            depth: u8::try_from(row.try_get::<i32, _>(3)?).unwrap_or(u8::MAX),
            query: row.try_get::<String, _>(4)?.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    };
    Ok((u32::try_from(all).unwrap_or(0), rows.iter().map(waiter).collect::<Result<_, sqlx::Error>>()?))
}

async fn replicas(session: &mut PgConnection) -> Replicas {
    let rows = sqlx::query(
        "SELECT coalesce(nullif(application_name, ''), host(client_addr), 'pid ' || pid),
                pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint, extract(epoch FROM replay_lag)::float8
         FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' ORDER BY 3 DESC NULLS LAST",
    );
    let rows = match rows.fetch_all(session).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::debug!(error = super::errors::say(&error), "the standbys cannot be seen");
            return Replicas::Unknown;
        }
    };
    if rows.is_empty() {
        return Replicas::None;
    }
    let replica = |row: &PgRow| Replica {
        name: row.try_get(0).unwrap_or_default(),
        bytes: row.try_get::<Option<i64>, _>(1).ok().flatten().and_then(|bytes| u64::try_from(bytes).ok()),
        // The server forgets the delay of a standby that is idle and level.
        seconds: row.try_get::<Option<f64>, _>(2).ok().flatten(),
    };
    Replicas::Some(rows.iter().map(replica).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_counted_from_the_first_look_and_its_rate_over_seconds() {
        let start = Instant::now();
        let after = |ms: u64| start + Duration::from_millis(ms);
        let mut log = Log::default();
        assert_eq!(log.at(1_000, after(0)), (0, None));
        assert_eq!(log.at(2_000, after(250)), (1_000, None), "a quarter of a second is no rate");
        assert_eq!(log.at(5_000, after(1_000)), (4_000, Some(4_000)));
        for tick in 5..40 {
            log.at(5_000, after(tick * 250));
        }
        assert_eq!(
            log.at(5_000, after(10_000)),
            (4_000, Some(0)),
            "what was long ago is not the rate of now"
        );
        assert_eq!(log.at(10, after(10_250)).0, 0, "another server's log is not less than nothing");
    }
}
