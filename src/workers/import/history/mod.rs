//! The history of interactions, behind everything else: who gives most first, as fast as Pulse's thirty requests a minute allow.
//!
//! It guarantees that it never holds the import, a phase or a gate up: it waits while a job writes, and while a person holds
//! it; that a kill costs one batch of requests and no interaction; and that what Pulse already counted is not counted twice.
//! Which contacts are left is the database's to say, so that whoever takes the lease goes on where it was.

mod read;
mod write;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use self::write::Read;
use super::database;
use super::pace::Pace;
use super::trouble::Trouble;
use crate::run::command::Report;
use crate::run::live::HistoryLive;
use crate::run::state::Sync;
use crate::run::upkeep::Upkeep;
use crate::run::{Actor, Failure, JobKind, State, WorkerId};
use crate::services::pulse::{MAX_DAYS, MAX_INTERACTIONS, Pulse};
use crate::store::Store;
use crate::workers::desk::report_as;
use crate::workers::{Kit, Standing};

/// How many contacts are read before they are written: half a minute of requests.
const BATCH: usize = 15;
/// How many contacts are looked up at once.
const AHEAD: i64 = 60;
/// How long after trouble it tries again.
const AFTER_TROUBLE: Duration = Duration::from_mins(1);

/// Reads the history.
#[derive(Debug)]
pub struct HistoryStanding {
    kit: Kit,
}

/// Whether the history may be read now; if not, why it waits, where it would otherwise.
fn wanted(state: &State) -> Result<(), Option<String>> {
    let imported = state.last_job(|kind| *kind == JobKind::Import).is_some_and(crate::run::Job::succeeded);
    if !imported || state.mocked().is_some() || !state.taken_back.is_empty() || state.ended().is_some() {
        return Err(None);
    }
    if let Some(hold) = state.held.get(&Upkeep::History) {
        return Err(Some(format!("{} holds it: {}", hold.by.name, hold.why)));
    }
    // What imports writes the same contacts; what migrates or takes back may take the table away.
    let first = [WorkerId::Rollback, WorkerId::Migrate, WorkerId::Import];
    if let Some(job) = first.into_iter().find_map(|worker| state.open_jobs(worker).next()) {
        return Err(Some(format!("{} {} goes first", job.kind.title(), job.id)));
    }
    Ok(())
}

/// What brings new contacts: after it, what is left is looked up again.
fn mark(state: &State) -> (usize, u32) {
    let imports = state.jobs.values().filter(|job| job.kind.worker() == WorkerId::Import && job.is_over());
    let passes = match state.sync {
        Sync::On { passes, .. } => passes,
        Sync::Off => 0,
    };
    (imports.count(), passes)
}

impl HistoryStanding {
    /// Stands ready; nothing is read before an import ended well.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }

    async fn keep(&self, store: &Store) {
        let mut state = store.state();
        loop {
            if !self.until_wanted(store).await {
                return;
            }
            let before = mark(&store.now());
            match self.read(store).await {
                Ok(()) => {
                    let news = |state: &Arc<State>| mark(state) != before && wanted(state).is_ok();
                    if state.wait_for(news).await.is_err() {
                        return;
                    }
                }
                Err(Trouble::GivenUp) => {}
                Err(Trouble::Lost(what) | Trouble::Failed(Failure { what, .. })) => {
                    tracing::warn!(%what, "the history of interactions waits");
                    trouble(store, &what);
                    store.clock().sleep(AFTER_TROUBLE).await;
                    // A token lasts an hour, and the history longer: a fresh one may lie ready by now.
                    if let Ok(pulse) = self.kit.pulse() {
                        self.kit.fresh_pulse(&pulse);
                    }
                }
            }
        }
    }

    /// Waits until it may read, and says why it waits; false when the store is gone.
    async fn until_wanted(&self, store: &Store) -> bool {
        let mut state = store.state();
        let mut said = None;
        loop {
            let why = match wanted(&state.borrow_and_update()) {
                Ok(()) => return true,
                Err(why) => why,
            };
            if why != said {
                said.clone_from(&why);
                // Before the first import there is nothing to wait for.
                if let Some(live) = live(store).filter(|_| why.is_some()) {
                    store.history(HistoryLive { at: store.clock().now(), waiting: why, left: None, ..live });
                }
            }
            if state.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Reads all that is left, and reports when there was something.
    async fn read(&self, store: &Store) -> Result<(), Trouble> {
        let pulse = self.kit.pulse()?;
        let mut database = database::connect(&self.kit.database_url()?).await?;
        write::prepare(&mut database).await?;
        let mut reading = Reading {
            store,
            pulse: &pulse,
            pace: Pace::new(self.kit.config().import.interactions_per_minute),
            per_minute: self.kit.config().import.interactions_per_minute.max(1),
            live: live(store).unwrap_or_default(),
            since: None,
            asked: 0,
        };
        let mut any = false;
        loop {
            let left = read::left(&mut database, AHEAD).await?;
            if left.is_empty() {
                break;
            }
            any = true;
            for batch in left.chunks(BATCH) {
                reading.batch(&mut database, batch).await?;
            }
        }
        let figures = read::figures(&mut database).await?;
        reading.told(figures, None);
        if any {
            let report = Report::HistoryRead {
                contacts: figures.done,
                interactions: figures.interactions,
                failed: figures.failed,
            };
            report_as(store, &Actor::machine(WorkerId::History.word()), report).await?;
        }
        Ok(())
    }
}

/// What was told last.
fn live(store: &Store) -> Option<HistoryLive> {
    store.live().borrow().history.as_deref().cloned()
}

fn trouble(store: &Store, what: &str) {
    let at = store.clock().now();
    let live = live(store).unwrap_or_default();
    let waiting = Some(format!("{what}; tried again in a minute"));
    store.history(HistoryLive { at, waiting, left: None, error: Some((at, what.to_owned())), ..live });
}

/// One reading of what is left.
struct Reading<'a> {
    store: &'a Store,
    pulse: &'a Pulse,
    pace: Pace,
    per_minute: u32,
    live: HistoryLive,
    since: Option<DateTime<Utc>>,
    asked: u64,
}

impl Reading<'_> {
    /// Reads some contacts from Pulse and writes them in one transaction.
    async fn batch(&mut self, database: &mut PgConnection, contacts: &[read::Left]) -> Result<(), Trouble> {
        let figures = read::figures(database).await?;
        let mut reads = Vec::with_capacity(contacts.len());
        for contact in contacts {
            self.turn().await?;
            self.told(figures.with(reads.len() as u64), None);
            let answer = tokio::select! {
                answer = self.pulse.interactions(&contact.profile, MAX_INTERACTIONS, MAX_DAYS) => answer,
                () = self.unwanted() => return Err(Trouble::GivenUp),
            };
            self.asked += 1;
            let read = match answer {
                Ok(answer) => Read::of(contact, answer.value),
                // Pulse does not know it any more: that is an answer, not trouble.
                Err(error) if error.is_not_found() => {
                    Read::nothing(contact, "Pulse has no such profile any more")
                }
                Err(error) => {
                    // What was read is not read again.
                    write::write(database, &reads, self.store.clock().now()).await?;
                    return Err(Trouble::Failed(crate::workers::kit::failure(&error)));
                }
            };
            reads.push(read);
        }
        write::write(database, &reads, self.store.clock().now()).await
    }

    /// Waits until a request may start, and says why it waits where that is longer than the pace alone.
    async fn turn(&mut self) -> Result<(), Trouble> {
        loop {
            if wanted(&self.store.now()).is_err() {
                return Err(Trouble::GivenUp);
            }
            let now = self.store.clock().now();
            let budget = *self.pulse.interaction_budget().borrow();
            let Some((until, why)) = self.pace.wait(now, budget) else {
                self.pace.started(now);
                self.since.get_or_insert(now);
                return Ok(());
            };
            let why = format!("{why}; goes on at {} UTC", until.format("%H:%M:%S"));
            self.live.waiting = Some(why);
            self.live.at = now;
            self.store.history(self.live.clone());
            tokio::select! {
                () = self.store.clock().sleep_until(until) => {}
                () = self.unwanted() => return Err(Trouble::GivenUp),
            }
        }
    }

    async fn unwanted(&self) {
        let mut state = self.store.state();
        if state.wait_for(|state: &Arc<State>| wanted(state).is_err()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn told(&mut self, figures: read::Figures, waiting: Option<String>) {
        let now = self.store.clock().now();
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let budget =
            self.pulse.interaction_budget().borrow().map(|left| (small(left.remaining), small(left.limit)));
        let left = figures.total.saturating_sub(figures.done);
        self.live = HistoryLive {
            at: now,
            done: figures.done,
            total: figures.total,
            interactions: figures.interactions,
            failed: figures.failed,
            left: Some(forecast(left, self.per_minute, self.measured(now))).filter(|_| left > 0),
            budget,
            waiting,
            error: self.live.error.clone(),
        };
        self.store.history(self.live.clone());
    }

    /// Contacts a minute, once it was measured over more than a minute.
    fn measured(&self, now: DateTime<Utc>) -> Option<f64> {
        let span = now - self.since?;
        (span > TimeDelta::seconds(90)).then(|| self.asked as f64 * 60_000.0 / span.num_milliseconds() as f64)
    }
}

/// How long that many contacts still take, in seconds: at best the whole budget, at worst what was measured so far and a
/// quarter more; without a measurement, half as long again.
fn forecast(left: u64, per_minute: u32, measured: Option<f64>) -> (u64, u64) {
    let best = left as f64 * 60.0 / f64::from(per_minute.max(1));
    let worst = match measured.filter(|rate| *rate > 0.0) {
        Some(rate) => (left as f64 * 60.0 / rate * 1.25).max(best),
        None => best * 1.5,
    };
    let whole =
        |seconds: f64| Duration::try_from_secs_f64(seconds.ceil()).map_or(u64::MAX, |span| span.as_secs());
    (whole(best), whole(worst))
}

impl Standing for HistoryStanding {
    fn id(&self) -> WorkerId {
        WorkerId::History
    }

    fn stand<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.keep(store).await;
            // The store is gone, and with it this cockpit.
            std::future::pending::<()>().await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forecast_is_the_budget_at_best_and_never_better() {
        assert_eq!(forecast(1_000, 30, None), (2_000, 3_000), "over half an hour, as the limit says");
        assert_eq!(forecast(1_000, 30, Some(20.0)), (2_000, 3_750));
        assert_eq!(forecast(1_000, 30, Some(90.0)), (2_000, 2_000), "a burst at the start promises nothing");
        assert_eq!(forecast(0, 30, None), (0, 0));
    }
}
