//! Is the working session still there, while it answers nothing? A firewall that forgets an idle connection tells nobody: the answer
//! to a statement of forty minutes is thrown away, and the client would wait for ever. So the session is looked at from outside, and
//! one that the server ended, or finished with long ago, or that cannot be looked at for too long, is given up with words.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use super::database::Database;
use crate::run::job::Failure;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// A look that takes longer has met the same fate.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// The server says that it has finished, and for so long nothing has come.
const DELIVERED_WITHIN: f64 = 10.0;
/// Nobody has reached the server for so long.
const REACHED_WITHIN: Duration = Duration::from_mins(1);

/// What names a session for certain: numbers of processes come again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Who {
    pub(crate) pid: i32,
    /// When it began, as the server writes it.
    pub(crate) since: String,
}

/// Ends when the session is known to be lost, with what is known of it. It may be dropped at any time.
pub(crate) async fn lost(db: &Database, who: &Who) -> Failure {
    let mut session = None;
    let mut reached = Instant::now();
    loop {
        tokio::time::sleep(EVERY).await;
        if session.is_none() {
            session = db.session("lifeline").await.ok();
        }
        let seen = match &mut session {
            Some(open) => {
                tokio::time::timeout(ANSWERS_WITHIN, look(open, who)).await.ok().and_then(Result::ok)
            }
            None => None,
        };
        match seen {
            None => {
                session = None;
                if reached.elapsed() > REACHED_WITHIN {
                    let after = REACHED_WITHIN.as_secs();
                    return gone(
                        format!("{} has not been reached for {after} s", db.place()),
                        "nobody could ask the server",
                    );
                }
            }
            Some(Seen::Working) => reached = Instant::now(),
            Some(Seen::Ended) => {
                return gone(
                    format!("{} has no session {} any more, and no answer came from it", db.place(), who.pid),
                    "the server rolled back what was not committed",
                );
            }
            Some(Seen::Finished(seconds)) => {
                let ended = match &mut session {
                    Some(open) => tokio::time::timeout(ANSWERS_WITHIN, end(open, who))
                        .await
                        .is_ok_and(|ended| ended.is_ok()),
                    None => false,
                };
                let state = if ended {
                    "that session was ended, so that it holds no lock"
                } else {
                    "that session may hold its locks still"
                };
                return gone(
                    format!(
                        "{} finished the statement {seconds:.0} s ago, and its answer never came: the connection was cut on its way",
                        db.place()
                    ),
                    state,
                );
            }
        }
    }
}

/// Whether an idle session still answers, before it is trusted with anything.
pub(crate) async fn answers(db: &Database, session: &mut PgConnection) -> Result<(), Failure> {
    match tokio::time::timeout(ANSWERS_WITHIN, session.ping()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure { state: STANDS.into(), ..db.failed(&error) }),
        Err(_) => {
            let after = ANSWERS_WITHIN.as_secs();
            Err(gone(
                format!(
                    "{} has not answered for {after} s; the connection was cut while it idled",
                    db.place()
                ),
                "nothing was asked of it",
            ))
        }
    }
}

const STANDS: &str = "the connection is gone; the bookkeeping in the database says what was done";

fn gone(what: String, more: &str) -> Failure {
    Failure {
        what,
        state: format!("{STANDS}; {more}"),
        next: "look at what stands between here and the server, then run again: it goes on after the recorded steps".into(),
    }
}

enum Seen {
    Working,
    Ended,
    /// So many seconds ago.
    Finished(f64),
}

async fn look(session: &mut PgConnection, who: &Who) -> Result<Seen, sqlx::Error> {
    let row = sqlx::query(
        "SELECT coalesce(state, 'hidden'), coalesce(extract(epoch FROM clock_timestamp() - state_change), 0)::float8
         FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
    );
    let Some(row) = row.bind(who.pid).bind(&who.since).fetch_optional(session).await? else {
        return Ok(Seen::Ended);
    };
    let (state, since): (String, f64) = (row.try_get(0)?, row.try_get(1)?);
    let idle = matches!(state.as_str(), "idle" | "idle in transaction" | "idle in transaction (aborted)");
    Ok(if idle && since > DELIVERED_WITHIN { Seen::Finished(since) } else { Seen::Working })
}

/// Ends our own session from outside, and no other.
async fn end(session: &mut PgConnection, who: &Who) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
    )
    .bind(who.pid)
    .bind(&who.since)
    .execute(session)
    .await?;
    Ok(())
}
