//! Look first, then ask: before a lock that stops clients, see who holds the table, and wait while an old transaction does.
//! Asking behind such a transaction would make every client queue behind the request.

use std::time::{Duration, Instant};

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::classify::{Kind, LockMode, Need};
use super::now::Now;
use super::runner::{blocker, broke, describe};
use super::split::Statement;
use super::watch::{Edge, Watcher};
use crate::run::job::Failure;
use crate::run::live::Blocker;

const POLL: Duration = Duration::from_millis(25);

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// Nobody old holds what is needed.
    Free,
    /// A person stopped the wait.
    GivenUp,
}

/// Waits until nobody with a transaction older than a moment holds what these statements need.
pub(crate) async fn look(
    session: &mut PgConnection,
    statements: &[&Statement],
    deadline: Instant,
    now: &Now,
    watcher: &dyn Watcher,
) -> Result<Looked, Failure> {
    let mut needs = Vec::new();
    for statement in statements {
        for need in statement.shape.needs.iter().filter(|need| need.mode.stops_clients()) {
            let oids =
                relations(session, statement, need).await.map_err(|e| broke("looking for the tables", &e))?;
            needs.extend(oids.into_iter().map(|oid| (oid, need)));
        }
    }
    if needs.is_empty() {
        return Ok(Looked::Free);
    }
    loop {
        let mut found = None;
        for (oid, need) in &needs {
            let blockers =
                holders(session, *oid, need.mode).await.map_err(|e| broke("looking at the locks", &e))?;
            if let Some(first) = blockers.first() {
                let said = format!("looking: waiting for {}, which holds {}", describe(first), need.relation);
                found = Some((said, blockers));
                break;
            }
        }
        let Some((said, blockers)) = found else {
            now.free();
            return Ok(Looked::Free);
        };
        if Instant::now() >= deadline {
            return Err(Failure {
                what: format!("the wait for the lock is over its budget: {said}"),
                state: "this step asked for no lock and changed nothing".into(),
                next: "have that session end its transaction, then run again".into(),
            });
        }
        now.blocked(said, blockers);
        watcher.moment(now.moment());
        if watcher.edge().await == Edge::GiveUp {
            return Ok(Looked::GivenUp);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The tables behind a need: the table itself, an index's table, and the other end of foreign keys that a drop touches.
async fn relations(
    session: &mut PgConnection,
    statement: &Statement,
    need: &Need,
) -> Result<Vec<i64>, sqlx::Error> {
    let drops = matches!(statement.shape.kind, Kind::DropRelation { .. })
        || matches!(statement.shape.kind, Kind::AlterTable { .. })
            && statement.text.to_ascii_lowercase().contains("drop");
    let rows = sqlx::query(
        "SELECT DISTINCT o.oid::bigint FROM to_regclass($1) AS r (oid) CROSS JOIN LATERAL (
           SELECT r.oid::oid UNION ALL
           SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = r.oid UNION ALL
           SELECT f.confrelid FROM pg_constraint f WHERE $2 AND f.contype = 'f' AND f.conrelid = r.oid
         ) AS o (oid) WHERE o.oid IS NOT NULL",
    );
    let rows = rows.bind(&*need.relation).bind(drops).fetch_all(session).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Those who hold a conflicting lock in a transaction that is older than a client's.
async fn holders(session: &mut PgConnection, oid: i64, mode: LockMode) -> Result<Vec<Blocker>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT coalesce(l.pid, 0), coalesce(a.application_name, CASE WHEN l.pid IS NULL THEN 'prepared transaction' ELSE '' END),
                coalesce(a.usename::text, ''), coalesce(a.state, ''),
                coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8, left(coalesce(a.query, ''), 200),
                a.backend_start, l.mode || ' on ' || l.relation::regclass::text, 0
         FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
         WHERE l.locktype = 'relation' AND l.relation = $1::oid AND l.granted AND l.mode = ANY ($2)
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND l.pid IS DISTINCT FROM pg_backend_pid()
           -- Our own canary and sampler never hold for long, and wait for us rather than we for them.
           AND a.application_name IS DISTINCT FROM replace(current_setting('application_name'), ' migrate', ' canary')
           AND a.application_name IS DISTINCT FROM replace(current_setting('application_name'), ' migrate', ' watch')
           AND (a.xact_start IS NULL OR clock_timestamp() - a.xact_start > interval '100 milliseconds')
         ORDER BY a.xact_start NULLS FIRST",
    );
    let rows = rows.bind(oid).bind(mode.conflicts()).fetch_all(session).await?;
    rows.iter().map(blocker).collect()
}
