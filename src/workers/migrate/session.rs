//! The session in which a file's statements run. Every file begins in the state that the engine defines, whatever the one before
//! it has set; what a file sets holds to its end, and is set again where a run goes on in its middle. A role that a file puts on is
//! worn by its statements alone: bookkeeping and looks are always ours.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::classify::Kind;
use super::database::{Database, run};
use super::errors::sqlstate;
use super::halt::Stop;
use super::lifeline;
use super::plan::{Act, Task};
use super::runner::broke;
use super::split::Statement;
use super::step::Crew;
use crate::run::job::Failure;

/// For how long a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// SET, RESET, `set_config(…, false)`.
    Session,
    /// SET LOCAL, SET CONSTRAINTS, `set_config(…, true)`.
    Transaction,
}

/// As whom statements run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Who {
    user: String,
    role: String,
}

/// A role that the file has put on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Worn {
    who: Who,
    lasts: Lasts,
}

/// Which file the session was made ready for, and as whom its statements run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attire {
    file: Option<(u64, Of)>,
    ours: Who,
    worn: Option<Worn>,
}

/// Which file of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Script,
    Checks,
}

/// What one file leaves to the next in one session, without the advisory lock, by which we are the only runner.
const LEFT_BEHIND: &str = "RESET SESSION AUTHORIZATION; RESET ROLE; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; \
                           DISCARD TEMP; RESET ALL";

impl Crew<'_> {
    /// Makes the session ready for the file of this step, where the step before was of another.
    pub(crate) async fn ready(&mut self, task: &Task<'_>) -> Result<(), Failure> {
        let of = match task.act {
            Act::Check(..) => Of::Checks,
            Act::Run { .. } | Act::Point { .. } => Of::Script,
        };
        let file = (task.migration.number, of);
        if self.attire.file == Some(file) {
            return Ok(());
        }
        let ours = cleared(self.db, &mut self.runner.session).await;
        let ours = ours.map_err(|e| broke("making the session ready for the next file", &e))?;
        self.attire = Attire { file: Some(file), ours, worn: None };
        Ok(())
    }

    /// Makes a setting of the file again, in the session of another attempt.
    pub(crate) async fn again(&mut self, statement: &Statement) -> Result<(), Stop> {
        self.cancellable(&statement.text, lasts(statement)).await.map(drop)
    }

    /// What the file has put on so far, to be put back with [`Crew::taken_back`].
    pub(crate) fn attire(&self) -> Attire {
        self.attire.clone()
    }

    /// The transaction was rolled back, and with it what its statements put on.
    pub(crate) fn taken_back(&mut self, before: Attire) {
        self.attire = before;
    }

    /// The transaction has ended well: what was put on for it alone is off.
    pub(crate) fn ended(&mut self) {
        self.attire.worn.take_if(|worn| worn.lasts == Lasts::Transaction);
    }

    /// SQL of a file, in the role that the file has put on; a role that it puts on itself holds for so long. A person may have
    /// it cancelled; else the rows that it touched.
    pub(crate) async fn cancellable(&mut self, sql: &str, lasts: Lasts) -> Result<u64, Stop> {
        let worn = self.attire.worn.clone();
        if let Some(worn) = &worn {
            put_on(&mut self.runner.session, &worn.who).await?;
        }
        let ran = self.uncovered(sql).await;
        let words = sql.to_ascii_lowercase();
        if worn.is_none() && !words.contains("role") && !words.contains("authorization") {
            return ran;
        }
        match ran {
            Ok(rows) => {
                let session = &mut self.runner.session;
                let now = whose(session).await?;
                if now == self.attire.ours {
                    self.attire.worn = None;
                } else {
                    let kept = worn.filter(|worn| worn.who == now);
                    self.attire.worn = Some(kept.unwrap_or(Worn { who: now, lasts }));
                    take_off(session).await?;
                }
                Ok(rows)
            }
            // In a transaction that failed nothing can be taken off, and its end does so.
            Err(stop @ Stop::Lost(_)) => Err(stop),
            Err(stop) => {
                drop(take_off(&mut self.runner.session).await);
                Err(stop)
            }
        }
    }

    async fn uncovered(&mut self, sql: &str) -> Result<u64, Stop> {
        let (db, pid, watcher) = (self.db, self.runner.pid, self.watcher);
        let (result, cancelled) = {
            let lost = lifeline::lost(db, &self.runner.who);
            tokio::pin!(lost);
            let running = run(&mut self.runner.session, sql);
            tokio::pin!(running);
            tokio::select! {
                // An answer that has come is worth more than any doubt about it.
                biased;
                result = &mut running => (result, false),
                failure = &mut lost => return Err(Stop::Lost(failure)),
                () = watcher.cancelled() => {
                    if let Err(failure) = db.cancel_own(pid).await {
                        tracing::warn!(%failure, "the running statement could not be cancelled");
                    }
                    tokio::select! {
                        result = &mut running => (result, true),
                        failure = &mut lost => return Err(Stop::Lost(failure)),
                    }
                }
            }
        };
        match result {
            Err(error) if cancelled && sqlstate(&error) == Some("57014") => Err(Stop::Cancelled),
            Err(error) => Err(error.into()),
            Ok(rows) => Ok(rows),
        }
    }
}

/// For how long what the statement sets will hold; of a block by its words.
pub(crate) fn lasts(statement: &Statement) -> Lasts {
    match statement.shape.kind {
        Kind::Sets(lasts) => lasts,
        _ if statement.text.to_ascii_lowercase().contains("set local") => Lasts::Transaction,
        _ => Lasts::Session,
    }
}

/// Whether this step sets something for the rest of its file.
pub(crate) fn sets(task: &Task<'_>) -> bool {
    matches!(task.act, Act::Run { statement, .. } if statement.shape.kind == Kind::Sets(Lasts::Session))
}

/// As a session of ours begins; whose it then is.
async fn cleared(db: &Database, session: &mut PgConnection) -> Result<Who, sqlx::Error> {
    // The name tells our own sessions apart, and behind a pooler the server does not know it for the session's default.
    let name: String =
        sqlx::query_scalar("SELECT current_setting('application_name')").fetch_one(&mut *session).await?;
    run(session, LEFT_BEHIND).await?;
    sqlx::query("SELECT set_config('application_name', $1, false)").bind(name).execute(&mut *session).await?;
    db.settings(session).await?;
    whose(session).await
}

async fn whose(session: &mut PgConnection) -> Result<Who, sqlx::Error> {
    let sql = "SELECT session_user::text, current_setting('role')";
    let row = sqlx::query(sql).fetch_one(session).await?;
    Ok(Who { user: row.try_get(0)?, role: row.try_get(1)? })
}

async fn put_on(session: &mut PgConnection, who: &Who) -> Result<(), sqlx::Error> {
    let sql = "SELECT CASE WHEN session_user <> $1 THEN set_config('session_authorization', $1, false) END";
    sqlx::query(sql).bind(&who.user).execute(&mut *session).await?;
    let sql = "SELECT set_config('role', $1, false)";
    sqlx::query(sql).bind(&who.role).execute(session).await.map(drop)
}

async fn take_off(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    run(session, "RESET SESSION AUTHORIZATION; RESET ROLE").await.map(drop)
}
