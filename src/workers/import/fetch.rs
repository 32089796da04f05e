//! Pulse's pages, one after the other, as fast as Pulse allows and no faster.
//!
//! It guarantees that an outage costs time and not the place, that what cannot be read is narrowed down to the profile it
//! is, that every list comes to an end whatever `has_more` says, and that every wait has its reason on the screen.

use std::future::Future;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::sync::mpsc;

use super::line::Line;
use super::pace::Pace;
use super::progress::Teller;
use super::stage::Batch;
use super::trouble::Trouble;
use crate::plan::config::Import;
use crate::run::Failure;
use crate::services::pulse::{BadItem, Page, PageQuery, Pulse};
use crate::services::{Fault, Outcome, ServiceError};

/// How long Pulse may be away, by the clock, and how often it is asked in that time at least.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);
const ASKED: u32 = 4;
/// After so much wall time without an answer the screen says so.
const SLOW: Duration = Duration::from_secs(2);
/// Profiles that cannot be read one by one, in a row, before it is Pulse that is broken and not they.
const UNREADABLE: u32 = 3;

/// Reads Pulse's list.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pulse: &'a Pulse,
    line: Line<'a>,
    teller: &'a Teller<'a>,
    pace: Pace,
    page_size: u32,
}

enum Read {
    Page(Page),
    Unreadable(String),
}

impl<'a> Reader<'a> {
    pub(super) fn new(pulse: &'a Pulse, line: Line<'a>, teller: &'a Teller<'a>, config: &Import) -> Self {
        Self {
            pulse,
            line,
            teller,
            pace: Pace::new(config.requests_per_minute),
            page_size: config.page_size.max(1),
        }
    }

    /// Whether Pulse lets us in, and how many profiles it says it has.
    pub(super) async fn total(&mut self) -> Result<Option<u64>, Trouble> {
        match self.page(&PageQuery { limit: 1, ..PageQuery::default() }).await? {
            Read::Page(page) => Ok(page.total),
            Read::Unreadable(why) => Err(broken(&why, 0)),
        }
    }

    /// Sends page after page until the list ends or nobody takes them any more. Neighbours overlap a little, so that a
    /// list that shifts by a few while it is read loses nobody.
    pub(super) async fn walk(
        &mut self,
        from: u64,
        since: Option<DateTime<Utc>>,
        pages: mpsc::Sender<Batch>,
    ) -> Result<(), Trouble> {
        let (mut offset, mut limit, mut unreadable) = (from, self.page_size, 0);
        loop {
            let query = PageQuery { limit, offset, modified_since: since };
            let read = tokio::select! {
                read = self.page(&query) => read?,
                () = pages.closed() => return Ok(()),
            };
            let (batch, more) = match read {
                Read::Unreadable(_) if limit > 1 => {
                    limit = (limit / 2).max(1);
                    continue;
                }
                Read::Unreadable(why) => {
                    unreadable += 1;
                    if unreadable >= UNREADABLE {
                        return Err(broken(&why, offset));
                    }
                    let raw = json!({"offset": offset, "unreadable": why});
                    offset += 1;
                    let bad = BadItem { raw, id: None, reason: why };
                    (Batch { items: vec![Err(bad)], total: None, next: offset }, true)
                }
                Read::Page(page) => {
                    unreadable = 0;
                    let got = page.profiles.len() as u64;
                    let end = offset + got;
                    let more = got > 0 && (page.has_more || page.total.is_some_and(|total| end < total));
                    let overlap = u64::from(limit / 100).clamp(1, 10).min(got.saturating_sub(1));
                    offset = if more { end - overlap } else { end };
                    limit = (limit * 2).min(self.page_size);
                    (Batch { items: page.profiles, total: page.total, next: offset }, more)
                }
            };
            if pages.send(batch).await.is_err() || !more {
                return Ok(());
            }
        }
    }

    async fn page(&mut self, query: &PageQuery) -> Result<Read, Trouble> {
        let mut away: Option<(DateTime<Utc>, u32)> = None;
        loop {
            self.turn().await?;
            let error = match self.ask(self.pulse.profiles(query)).await? {
                Ok(answer) => {
                    let again =
                        answer.receipt.attempts.saturating_sub(1) + away.map_or(0, |(_, asked)| asked);
                    let budget = self.pulse.profile_budget().borrow().map(|left| {
                        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
                        (small(left.remaining), small(left.limit))
                    });
                    self.teller.also(|live| {
                        live.retries += again;
                        live.budget = budget;
                        live.waiting = None;
                    });
                    return Ok(Read::Page(answer.value));
                }
                Err(error) => error,
            };
            if let Fault::Unreadable { .. } | Fault::TooLarge(_) = error.fault() {
                return Ok(Read::Unreadable(error.fault().to_string()));
            }
            let now = self.line.clock().now();
            let (since, asked) = away.map_or((now, 1), |(since, asked)| (since, asked + 1));
            away = Some((since, asked));
            if !error.is_transient() || (asked >= ASKED && now - since >= PATIENCE) {
                return Err(gone(&error, query, now - since));
            }
            let wait = error.retry_after().unwrap_or(Duration::from_secs(5) * 2_u32.pow(asked.min(5) - 1));
            let until = now + TimeDelta::from_std(wait.min(Duration::from_mins(2))).unwrap_or_default();
            self.wait(until, &format!("Pulse: {}", error.fault())).await?;
        }
    }

    /// Waits until a request may start.
    async fn turn(&mut self) -> Result<(), Trouble> {
        loop {
            let now = self.line.clock().now();
            let budget = *self.pulse.profile_budget().borrow();
            let Some((until, why)) = self.pace.wait(now, budget) else {
                self.pace.started(now);
                return Ok(());
            };
            self.wait(until, &why).await?;
        }
    }

    async fn wait(&self, until: DateTime<Utc>, why: &str) -> Result<(), Trouble> {
        self.teller.waiting(format!("{why}; goes on at {} UTC", until.format("%H:%M:%S")));
        tokio::select! {
            () = self.line.clock().sleep_until(until) => Ok(()),
            () = self.line.given_up() => Err(Trouble::GivenUp),
        }
    }

    /// Waits for an answer, and says so when that takes long.
    async fn ask(&self, answer: impl Future<Output = Outcome<Page>>) -> Result<Outcome<Page>, Trouble> {
        let began = Instant::now();
        let mut answer = std::pin::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(answer),
                () = self.line.given_up() => return Err(Trouble::GivenUp),
                () = tokio::time::sleep(SLOW) => {
                    let seconds = began.elapsed().as_secs();
                    self.teller.waiting(format!("no page from Pulse for {seconds} s; each request is tried three times"));
                }
            }
        }
    }
}

fn kept(offset: u64) -> String {
    format!("the {offset} profiles before this place are staged, and no contact was changed by this reading")
}

fn gone(error: &ServiceError, query: &PageQuery, away: TimeDelta) -> Trouble {
    let long = match away.num_minutes() {
        0 => String::new(),
        minutes => format!(", and has been so for {minutes} min"),
    };
    Trouble::Failed(Failure {
        what: format!("Pulse: could not {}: {}{long}", error.asked(), error.fault()),
        state: kept(query.offset),
        next: format!("{}; then run it again: it goes on from profile {}", error.next(), query.offset),
    })
}

fn broken(why: &str, offset: u64) -> Trouble {
    Trouble::Failed(Failure {
        what: format!("Pulse sends pages that cannot be read, even one profile at a time: {why}"),
        state: kept(offset),
        next: format!(
            "check that the base URL is Pulse's API and not a page or a proxy; then run it again: it goes on from profile {offset}"
        ),
    })
}
