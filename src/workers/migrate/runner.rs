//! One runner at a time. The lock is polled with `pg_try_advisory_lock`, because a session that waits inside `pg_advisory_lock`
//! holds a snapshot that CREATE INDEX CONCURRENTLY then waits for; and it is proven on the very session that does the work,
//! because behind a pooler a lock may be taken on a session that is never seen again.

use std::time::{Duration, Instant};

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::database::Database;
use super::errors::{next, say};
use super::lifeline::Who;
use crate::run::job::Failure;
use crate::run::live::Blocker;

/// "gonogo" in ASCII, so that it can be told in pg_locks.
const KEY: i64 = 0x67_6f_6e_6f_67_6f;
const POLL: Duration = Duration::from_millis(200);

/// The session that holds the lock and does the work.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) session: PgConnection,
    pub(crate) pid: i32,
    /// Names the session for those who look at it from outside.
    pub(crate) who: Who,
}

impl Runner {
    /// Waits at most `patience` for another runner to end; `seen` is told who that is.
    pub(crate) async fn start(
        db: &Database,
        patience: Duration,
        mut seen: impl FnMut(&Blocker),
    ) -> Result<Self, Failure> {
        let mut session = db.session("migrate").await?;
        let deadline = Instant::now() + patience;
        loop {
            let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(KEY)
                .fetch_one(&mut session)
                .await
                .map_err(|error| db.failed(&error))?;
            if taken {
                break;
            }
            let holder = holder(&mut session).await.map_err(|error| db.failed(&error))?;
            if let Some(holder) = &holder {
                seen(holder);
            }
            if Instant::now() >= deadline {
                let who = holder.map_or_else(|| "somebody".to_owned(), |holder| describe(&holder));
                return Err(Failure {
                    what: format!("another runner migrates {}: {who}", db.place()),
                    state: "nothing was run".into(),
                    next: "watch that run, or wait for its end; the lock goes with its session".into(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
        let proof = sqlx::query(
            "SELECT pg_backend_pid(), EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
               AND pid = pg_backend_pid() AND (classid::bigint << 32) | objid::bigint = $1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
               (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid())",
        );
        let proof = proof.bind(KEY).fetch_one(&mut session).await.map_err(|error| db.failed(&error))?;
        let (pid, held) = (proof.try_get(0).unwrap_or(0), proof.try_get(1).unwrap_or(false));
        if !held {
            return Err(Failure {
                what: format!("{}: the lock was taken on another session than the one that asks", db.place()),
                state: "nothing was run".into(),
                next: "there is a pooler between: use the direct address or the session pooler, on port 5432"
                    .into(),
            });
        }
        let since = proof.try_get::<Option<String>, _>(2).ok().flatten().unwrap_or_default();
        Ok(Self { session, pid, who: Who { pid, since } })
    }
}

/// Who holds the runner's lock.
async fn holder(session: &mut PgConnection) -> Result<Option<Blocker>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), coalesce(a.state, ''),
                coalesce(extract(epoch FROM clock_timestamp() - a.backend_start), 0)::float8, left(coalesce(a.query, ''), 200)
         FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
           AND (l.classid::bigint << 32) | l.objid::bigint = $1
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    row.bind(KEY).fetch_optional(session).await?.map(|row| blocker(&row)).transpose()
}

/// A row of pid, application, user, state, age, query.
pub(crate) fn blocker(row: &sqlx::postgres::PgRow) -> Result<Blocker, sqlx::Error> {
    Ok(Blocker {
        pid: row.try_get(0)?,
        app: row.try_get(1)?,
        user: row.try_get(2)?,
        state: row.try_get(3)?,
        age: row.try_get(4)?,
        query: row.try_get::<String, _>(5)?.split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

/// "pid 4711 (worker-2, app), idle in transaction for 3 min".
pub(crate) fn describe(blocker: &Blocker) -> String {
    let who = match (blocker.app.as_str(), blocker.user.as_str()) {
        ("", "") => String::new(),
        ("", one) | (one, "") => format!(" ({one})"),
        (app, user) => format!(" ({app}, {user})"),
    };
    let age = if blocker.age < 120.0 {
        format!("{:.1} s", blocker.age)
    } else {
        format!("{:.0} min", blocker.age / 60.0)
    };
    let state = if blocker.state.is_empty() { "holding a lock" } else { &blocker.state };
    format!("pid {}{who}, {state} for {age}", blocker.pid)
}

/// A failure of the bookkeeping or a look, in mid-run.
pub(crate) fn broke(doing: &str, error: &sqlx::Error) -> Failure {
    Failure { what: format!("{doing}: {}", say(error)), state: String::new(), next: next(error).into() }
}
