//! How an attempt that did not come to its end is told: what stopped it, in which state everything is, what to do next; and what it
//! left behind is taken away.

use super::classify::{Built, Kind, Transaction};
use super::database::run;
use super::errors::{is_cut, next, say_at};
use super::inspect::{Found, inspect};
use super::plan::Task;
use super::runner::broke;
use super::split::Statement;
use super::step::{Crew, statement};
use crate::run::job::Failure;

/// Why a batch did not come to its end; `at` counts within the batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Halt {
    Failed { at: usize, failure: Failure },
    GivenUp { at: usize, because: String },
}

/// What stopped an attempt.
pub(crate) enum Stop {
    Sql(sqlx::Error),
    Shape(String),
    Cancelled,
    /// Nobody will answer on this session any more; it is not to be used again.
    Lost(Failure),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Crew<'_> {
    pub(crate) async fn halt(&mut self, tasks: &[Task<'_>], at: usize, stop: Stop) -> Halt {
        let Some(task) = tasks.get(at) else {
            return Halt::GivenUp { at, because: "no such step".into() };
        };
        let Some(statement) = statement(task) else {
            return Halt::GivenUp { at, because: "no statement".into() };
        };
        let file = &task.script.file;
        let cut = matches!(&stop, Stop::Sql(error) if is_cut(error));
        let mut state = if cut {
            "the connection is gone; the bookkeeping in the database says what was done".to_owned()
        } else if statement.shape.transaction == Transaction::Never {
            "the steps before are done and recorded".to_owned()
        } else if tasks.len() > 1 {
            "the whole file was rolled back".to_owned()
        } else {
            "this statement was rolled back; the steps before are done and recorded".to_owned()
        };
        if !cut && let Some(left) = self.clean(statement).await {
            state = format!("{state}; {left}");
        }
        let failure = match stop {
            Stop::Lost(failure) => failure,
            Stop::Cancelled => {
                return Halt::GivenUp { at, because: format!("cancelled in mid-statement; {state}") };
            }
            Stop::Shape(what) => Failure {
                what: format!("{file}:{}: {what}", statement.line),
                state,
                next: "find out whose it is; rename or remove it, or correct the migration, then run again"
                    .into(),
            },
            Stop::Sql(error) => {
                Failure { what: say_at(&error, file, statement), state, next: next(&error).into() }
            }
        };
        Halt::Failed { at, failure }
    }

    /// Takes away the invalid index that a failed concurrent build leaves.
    async fn clean(&mut self, statement: &Statement) -> Option<String> {
        let Kind::CreateIndex { built: Built::Concurrently, .. } = &statement.shape.kind else { return None };
        let session = &mut self.runner.session;
        run(session, "BEGIN").await.ok()?;
        let found = inspect(session, statement).await;
        run(session, "ROLLBACK").await.ok()?;
        let Ok(Found::Invalid(index)) = found else { return None };
        // The drop waits for old transactions as the build did; a person who gave up should not wait with it.
        run(session, "SET lock_timeout = '1s'").await.ok()?;
        let dropped = run(session, &format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await;
        run(session, "SET lock_timeout = 0").await.ok()?;
        match dropped {
            Ok(_) => Some(format!("the invalid {index} that it left was dropped")),
            Err(error) => Some(
                broke(&format!("the invalid {index} that it left stays until the next run drops it"), &error)
                    .what,
            ),
        }
    }
}
