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
                let who = holder.map_or_else(
                    || "somebody".to_owned(),
                    |holder| format!("{}; {}", describe(&holder), holder.holds),
                );
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
                coalesce(extract(epoch FROM clock_timestamp() - a.backend_start), 0)::float8, left(coalesce(a.query, ''), 200),
                a.backend_start, '', 0
         FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
           AND (l.classid::bigint << 32) | l.objid::bigint = $1
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    let found = row.bind(KEY).fetch_optional(&mut *session).await?.map(|row| blocker(&row)).transpose()?;
    let Some(mut found) = found else { return Ok(None) };
    found.holds = standing(session).await?;
    Ok(Some(found))
}

/// Where the run of the lock's holder stands, as far as the bookkeeping tells.
async fn standing(session: &mut PgConnection) -> Result<String, sqlx::Error> {
    if !super::book::exists(session).await? {
        return Ok("it has begun nothing yet".into());
    }
    let row = sqlx::query(
        "SELECT m.number, m.name, m.state, m.steps,
                (SELECT count(*) FROM gonogo.steps s WHERE s.number = m.number AND s.direction = d.word AND s.step > 0 AND s.state = 'done'),
                (SELECT s.title FROM gonogo.steps s WHERE s.number = m.number AND s.direction = d.word AND s.state = 'started'
                   AND s.note IS NULL ORDER BY s.started_at DESC LIMIT 1)
         FROM gonogo.migrations m,
              LATERAL (SELECT CASE WHEN m.state IN ('reverting', 'reverted') THEN 'down' ELSE 'up' END) AS d (word)
         WHERE m.state IN ('applying', 'reverting') ORDER BY m.number LIMIT 1",
    );
    let Some(row) = row.fetch_optional(session).await? else {
        return Ok("its bookkeeping shows no migration under way".into());
    };
    let (number, name, state): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (steps, done): (i32, i64) = (row.try_get(3)?, row.try_get(4)?);
    let of = if state == "applying" { format!(" of {steps}") } else { String::new() };
    let at = row.try_get::<Option<String>, _>(5)?.map_or_else(String::new, |title| format!(", at {title}"));
    Ok(format!("{state} {number:03} {name}, {done}{of} steps done{at}"))
}

/// A row of pid, application, user, state, age, query, begin of the backend, what it holds, and how far it is from us.
pub(crate) fn blocker(row: &sqlx::postgres::PgRow) -> Result<Blocker, sqlx::Error> {
    Ok(Blocker {
        pid: row.try_get(0)?,
        app: row.try_get(1)?,
        user: row.try_get(2)?,
        state: row.try_get(3)?,
        age: row.try_get(4)?,
        query: row.try_get::<String, _>(5)?.split_whitespace().collect::<Vec<_>>().join(" "),
        since: row.try_get(6)?,
        holds: row.try_get(7)?,
        depth: u8::try_from(row.try_get::<i32, _>(8)?).unwrap_or(u8::MAX),
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
