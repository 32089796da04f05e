//! Ends what another session does, when a person has asked for just that: only a session that stands in the way at this moment,
//! only the very one that was shown, and with a look afterwards at what came of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::database::Database;
use super::errors::{next, say};
use super::now::Now;
use super::watch::Watcher;
use crate::run::job::{Failure, StepOutcome};
use crate::run::steer::{Extent, Session, Steer};

const POLL: Duration = Duration::from_millis(100);
/// How long the server may take until a session shows that it was ended.
const SHOWS_WITHIN: Duration = Duration::from_secs(5);

/// Carries out, one after the other, what people ask for.
pub(crate) struct Hands<'a> {
    db: &'a Database,
    now: &'a Now,
    watcher: &'a dyn Watcher,
    /// Wishes that were taken up.
    taken: BTreeSet<usize>,
    /// What was done and not looked at yet.
    open: Option<(usize, Session, Extent)>,
}

impl<'a> Hands<'a> {
    pub(crate) fn new(db: &'a Database, now: &'a Now, watcher: &'a dyn Watcher) -> Self {
        Self { db, now, watcher, taken: BTreeSet::new(), open: None }
    }

    /// Waits for wishes until it is dropped.
    pub(crate) async fn serve(&mut self) {
        loop {
            for (place, steered) in self.watcher.steered().into_iter().enumerate() {
                let Steer::End { session, what, .. } = steered.steer else { continue };
                if steered.answer.is_some() || !self.taken.insert(place) {
                    continue;
                }
                self.open = Some((place, session, what));
                let outcome = self.end().await;
                self.answer(outcome).await;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The run is over; what was begun is looked at to its end, for somebody was told that it would be.
    pub(crate) async fn settle(&mut self) {
        if let Some((_, session, what)) = self.open.clone() {
            let outcome = match self.db.session("hands").await {
                Ok(mut own) => shown(&mut own, &session, what).await,
                Err(failure) => StepOutcome::Failed { failure },
            };
            self.answer(outcome).await;
        }
    }

    async fn answer(&mut self, outcome: StepOutcome) {
        let Some((place, ..)) = self.open.take() else { return };
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        if let Err(failure) = self.watcher.answered(place, outcome).await {
            tracing::warn!(%failure, "what came of ending a session could not be recorded");
        }
    }

    async fn end(&self) -> StepOutcome {
        let Some((_, session, what)) = &self.open else {
            return StepOutcome::NotRun { because: "nobody is to be ended".into() };
        };
        let in_the_way = self
            .now
            .moment()
            .live
            .blockers
            .iter()
            .any(|blocker| Session::of(blocker).is_some_and(|other| other.is(session)));
        if !in_the_way {
            return StepOutcome::NotRun { because: format!("{session} is not in the way any more") };
        }
        let mut own = match self.db.session("hands").await {
            Ok(own) => own,
            Err(failure) => return StepOutcome::Failed { failure },
        };
        let function = match what {
            Extent::Query => "pg_cancel_backend",
            Extent::Session => "pg_terminate_backend",
        };
        // The begin of the backend stands in the same statement: a process id may have been given to somebody else since.
        let sql =
            format!("SELECT {function}(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2");
        let sent: Result<Option<bool>, _> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(session.pid)
            .bind(session.since)
            .fetch_optional(&mut own)
            .await;
        match sent {
            Ok(Some(true)) => shown(&mut own, session, *what).await,
            Ok(_) => StepOutcome::NotRun { because: format!("{session} is gone already") },
            Err(error) => StepOutcome::Failed {
                failure: Failure {
                    what: format!("{session} could not be ended: {}", say(&error)),
                    state: "it goes on as it was".into(),
                    next: next(&error).into(),
                },
            },
        }
    }
}

/// Looks until the session shows that it was ended.
async fn shown(own: &mut PgConnection, session: &Session, what: Extent) -> StepOutcome {
    let began = Instant::now();
    loop {
        let found = sqlx::query(
            "SELECT coalesce(state, ''), xact_start IS NOT NULL FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2",
        );
        let found = found.bind(session.pid).bind(session.since).fetch_optional(&mut *own).await;
        let after = began.elapsed().as_secs_f64();
        let row = match found {
            Ok(row) => row,
            Err(error) => {
                return StepOutcome::Failed {
                    failure: Failure {
                        what: format!(
                            "{session} was told to end, and could not be looked at: {}",
                            say(&error)
                        ),
                        state: "whether it has ended is not known".into(),
                        next: next(&error).into(),
                    },
                };
            }
        };
        let Some(row) = row else {
            return StepOutcome::Done { note: Some(format!("{session} is gone after {after:.1} s")) };
        };
        let state: String = row.try_get(0).unwrap_or_default();
        let in_transaction = row.try_get(1).unwrap_or(true);
        if what == Extent::Query && state != "active" {
            return if in_transaction {
                StepOutcome::NotRun {
                    because: format!(
                        "{session} runs no query after {after:.1} s, but its transaction is open: {state}"
                    ),
                }
            } else {
                StepOutcome::Done { note: Some(format!("the query of {session} ended after {after:.1} s")) }
            };
        }
        if began.elapsed() >= SHOWS_WITHIN {
            return StepOutcome::Failed {
                failure: Failure {
                    what: format!("{session} was told to end and is still there after {after:.0} s: {state}"),
                    state: "it holds what it held".into(),
                    next: match what {
                        Extent::Query => "end its session, where its work may be lost".into(),
                        Extent::Session => "look at that process on the server's machine".into(),
                    },
                },
            };
        }
        tokio::time::sleep(POLL).await;
    }
}
