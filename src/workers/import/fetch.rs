//! Pulse's pages, one after the other, as fast as Pulse allows and no faster.
//!
//! It guarantees that an outage costs time and not the place, that a token which ran out is asked for and not fatal, that
//! what cannot be read is narrowed down to the profile it is, that a list which shifts while it is read is noticed and read
//! again from before the shift, that every list comes to an end whatever `has_more` says, and that every wait has its reason
//! on the screen.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::sync::mpsc;

use super::batch::Batch;
use super::line::Line;
use super::pace::Pace;
use super::progress::Teller;
use super::trouble::Trouble;
use crate::run::Failure;
use crate::services::pulse::{BadItem, Page, PageQuery, Profile, Pulse};
use crate::services::retry::jitter;
use crate::services::{Fault, Outcome, ServiceError};
use crate::workers::Kit;

/// How long Pulse may be away, by the clock, and how often it is asked in that time at least.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);
const ASKED: u32 = 4;
/// The first pause after a failure; it doubles.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(2);
/// The pause after "too many requests" where Pulse does not say how long.
const UNNAMED: Duration = Duration::from_mins(1);
/// After so much wall time without an answer the screen says so.
const SLOW: Duration = Duration::from_secs(2);
/// How often one profile is asked for that cannot be read, before it is set aside or given up: garbage may pass.
const TRIES: u32 = 3;
/// How often it is looked whether a fresh token is there, in wall time; and how often the old one is tried again by the clock.
const LOOK: Duration = Duration::from_secs(1);
const TRY_AGAIN: TimeDelta = TimeDelta::seconds(30);
/// How often in a row a place is gone back from, because the list has shifted.
const BACK: u32 = 3;
/// Profiles that cannot be read one by one, in a row, before it is Pulse that is broken and not they.
const UNREADABLE: u32 = 3;

/// Reads Pulse's list.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    kit: &'a Kit,
    pulse: Arc<Pulse>,
    line: Line<'a>,
    teller: &'a Teller<'a>,
    pace: Pace,
    page_size: u32,
}

enum Read {
    Page(Page),
    Unreadable(Fault),
}

/// Where a walk is.
#[derive(Debug)]
struct Place {
    offset: u64,
    limit: u32,
    /// The last profile of the page before, which is the first of the next one while the list stands still.
    seam: Option<String>,
    /// How often the present place was gone back from.
    back: u32,
    /// How often the present profile could not be read, alone.
    tries: u32,
    /// How many in a row could not be read.
    unreadable: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(kit: &'a Kit, line: Line<'a>, teller: &'a Teller<'a>) -> Result<Self, Failure> {
        let config = &kit.config().import;
        Ok(Self {
            kit,
            pulse: kit.pulse()?,
            line,
            teller,
            pace: Pace::new(config.requests_per_minute),
            page_size: config.page_size.max(1),
        })
    }

    /// Whether Pulse lets us in, and how many profiles it says it has.
    pub(super) async fn total(&mut self) -> Result<Option<u64>, Trouble> {
        let mut tries = 0;
        loop {
            let why = match self.page(&PageQuery { limit: 1, ..PageQuery::default() }).await? {
                Read::Page(page) => return Ok(page.total),
                Read::Unreadable(why) => why,
            };
            tries += 1;
            if tries >= TRIES {
                return Err(self.broken(&why.to_string(), 0).await?);
            }
            let until = self.line.clock().now() + TimeDelta::seconds(i64::from(tries));
            self.wait(until, &format!("Pulse: {why}")).await?;
        }
    }

    /// Sends page after page until the list ends or nobody takes them any more. Neighbours share one profile, so that a
    /// list that shifts while it is read is noticed: where the shared one is missing, some may have moved past us, and the
    /// walk goes back.
    pub(super) async fn walk(
        &mut self,
        from: u64,
        since: Option<DateTime<Utc>>,
        pages: mpsc::Sender<Batch>,
    ) -> Result<(), Trouble> {
        let mut place =
            Place { offset: from, limit: self.page_size, seam: None, back: 0, tries: 0, unreadable: 0 };
        loop {
            let query = PageQuery { limit: place.limit, offset: place.offset, modified_since: since };
            let read = tokio::select! {
                read = self.page(&query) => read?,
                () = pages.closed() => return Ok(()),
            };
            let step = match read {
                Read::Unreadable(fault) => self.narrow(&mut place, &fault).await?,
                Read::Page(page) => Some(place.follow(page, self.page_size)),
            };
            let Some((batch, more)) = step else { continue };
            if pages.send(batch).await.is_err() || !more {
                return Ok(());
            }
        }
    }

    /// Asks for half as many; for a single one, again; and then sets it aside.
    async fn narrow(&self, place: &mut Place, fault: &Fault) -> Result<Option<(Batch, bool)>, Trouble> {
        if place.limit > 1 {
            place.limit = (place.limit / 2).max(1);
            return Ok(None);
        }
        place.tries += 1;
        if place.tries < TRIES && !matches!(fault, Fault::TooLarge(_)) {
            let until = self.line.clock().now() + TimeDelta::seconds(i64::from(place.tries));
            self.wait(until, &format!("Pulse: {fault}")).await?;
            return Ok(None);
        }
        place.tries = 0;
        place.unreadable += 1;
        if place.unreadable >= UNREADABLE {
            return Err(self.broken(&fault.to_string(), place.offset).await?);
        }
        let reason = fault.to_string();
        let raw = json!({"offset": place.offset, "unreadable": reason});
        place.offset += 1;
        place.seam = None;
        let bad = BadItem { raw, id: None, reason };
        Ok(Some((Batch { items: vec![Err(bad)], total: None, next: place.offset, pages: 1 }, true)))
    }

    /// What is told when nothing of Pulse's can be read.
    async fn broken(&self, why: &str, offset: u64) -> Result<Trouble, Trouble> {
        let what = format!("Pulse sends pages that cannot be read, even one profile at a time: {why}");
        self.line.pulse_failed(&what).await?;
        Ok(Trouble::Failed(Failure {
            what,
            state: kept(offset),
            next: format!(
                "check that the base URL is Pulse's API and not a page or a proxy; then run it again: it goes on from profile {offset}"
            ),
        }))
    }

    async fn page(&mut self, query: &PageQuery) -> Result<Read, Trouble> {
        let mut away: Option<(DateTime<Utc>, u32)> = None;
        loop {
            self.turn().await?;
            let pulse = Arc::clone(&self.pulse);
            let answer = self.ask(pulse.page(query)).await?;
            let (now, left) = (self.line.clock().now(), *pulse.profile_budget().borrow());
            self.pace.answered(now);
            let error = match answer {
                Ok(answer) => {
                    let again = away.map_or(0, |(_, asked)| asked);
                    let budget = left.map(|left| {
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
                return Ok(Read::Unreadable(error.fault().clone()));
            }
            if let Fault::Unauthenticated(_) = error.fault() {
                self.fresh_token(&error).await?;
                continue;
            }
            let (since, asked) = away.map_or((now, 1), |(since, asked)| (since, asked + 1));
            away = Some((since, asked));
            if !error.is_transient() || (asked >= ASKED && now - since >= PATIENCE) {
                if error.is_its_own() {
                    self.line.pulse_failed(&error.fault().to_string()).await?;
                }
                return Err(gone(&error, query, now - since));
            }
            let until = now + TimeDelta::from_std(pause(&error, asked)).unwrap_or_default();
            let what = format!("Pulse: {}", error.fault());
            self.teller.also(|live| live.failed(now, what.clone()));
            self.wait(until, &what).await?;
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

    /// Waits until there is another token, or the old one may be good again. Pulse's last one hour, and an import may take
    /// longer than what is left of it.
    async fn fresh_token(&mut self, error: &ServiceError) -> Result<(), Trouble> {
        let place = self.kit.pulse_token_place()?;
        let why =
            format!("Pulse: {}: put a fresh token into {place}, and it goes on by itself", error.fault());
        let until = self.line.clock().now() + TRY_AGAIN;
        self.teller.waiting(why);
        loop {
            if let Some(fresh) = self.kit.fresh_pulse(&self.pulse) {
                self.pulse = fresh;
                return Ok(());
            }
            if self.line.clock().now() >= until {
                return Ok(());
            }
            tokio::select! {
                // A person writes a file in wall time.
                () = tokio::time::sleep(LOOK) => {}
                () = self.line.clock().sleep_until(until) => {}
                () = self.line.given_up() => return Err(Trouble::GivenUp),
            }
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
                    self.teller.waiting(format!("no page from Pulse for {seconds} s"));
                }
            }
        }
    }
}

impl Place {
    /// Takes a page: what it brings, and whether there is more.
    fn follow(&mut self, page: Page, most: u32) -> (Batch, bool) {
        (self.tries, self.unreadable) = (0, 0);
        let ids: Vec<Option<&String>> = page.profiles.iter().map(id).collect();
        let torn = self.seam.as_ref().is_some_and(|seam| !ids.contains(&Some(seam)));
        let last = ids.last().copied().flatten().cloned();
        let got = page.profiles.len() as u64;
        let end = self.offset + got;
        let more = got > 0 && (page.has_more || page.total.is_some_and(|total| end < total));
        if torn && self.back < BACK {
            // Those before have become fewer, and some have slid past: from further up again, further each time.
            self.back += 1;
            let step = (u64::from(most) / 10).max(1) << self.back;
            self.offset = self.offset.saturating_sub(step);
            return (Batch { items: page.profiles, total: page.total, next: self.offset, pages: 1 }, true);
        }
        self.back = 0;
        self.offset = if more && got > 1 { end - 1 } else { end };
        self.seam = last.filter(|_| more && got > 1);
        self.limit = (self.limit * 2).min(most);
        (Batch { items: page.profiles, total: page.total, next: self.offset, pages: 1 }, more)
    }
}

fn id(item: &Result<Profile, BadItem>) -> Option<&String> {
    match item {
        Ok(profile) => Some(&profile.id),
        Err(bad) => bad.id.as_ref(),
    }
}

/// How long before the next attempt: what Pulse named and a little more, or twice as long each time, spread so that those
/// who were refused together do not come back together.
fn pause(error: &ServiceError, asked: u32) -> Duration {
    let named = match error.fault() {
        Fault::Throttled { retry_after, .. } => Some(retry_after.unwrap_or(UNNAMED)),
        _ => error.retry_after(),
    };
    if let Some(named) = named {
        return named.min(LONGEST) + jitter(Duration::from_millis(500));
    }
    let doubled = (FIRST * 2_u32.pow(asked.min(8) - 1)).min(LONGEST / 2);
    doubled / 2 + jitter(doubled / 2)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: std::ops::Range<u32>, has_more: bool) -> Page {
        let raw = |id: u32| format!("{{\"id\": \"{id}\", \"display_name\": \"x\"}}");
        let profiles = ids.map(|id| crate::services::pulse::profile(&raw(id))).collect();
        Page { profiles, total: None, offset: 0, has_more }
    }

    fn place() -> Place {
        Place { offset: 0, limit: 100, seam: None, back: 0, tries: 0, unreadable: 0 }
    }

    #[test]
    fn neighbours_share_one_profile_while_the_list_stands_still() {
        let mut place = place();
        assert_eq!(place.follow(page(0..100, true), 100).0.next, 99);
        assert_eq!(place.follow(page(99..199, true), 100).0.next, 198);
        let (batch, more) = place.follow(page(198..210, false), 100);
        assert_eq!((batch.next, more), (210, false));
    }

    #[test]
    fn a_list_that_slid_past_is_gone_back_in_further_each_time_and_not_for_ever() {
        let mut place = place();
        place.follow(page(0..100, true), 100);
        // Five before were taken away: what stood at 99 to 103 is not in this page.
        let (batch, more) = place.follow(page(104..204, true), 100);
        assert_eq!((batch.next, more, batch.items.len()), (79, true, 100));
        // Here it is again, and the walk goes on.
        assert_eq!(place.follow(page(84..184, true), 100).0.next, 178);
        let mut backs = 0;
        for turn in 0..8 {
            let before = place.offset;
            let next = place.follow(page(1_000 * turn..1_000 * turn + 100, true), 100).0.next;
            backs += u32::from(next < before);
        }
        assert!(backs > 1 && backs < 8, "{backs}");
    }

    #[test]
    fn a_list_that_was_added_to_in_front_loses_nobody_and_is_not_gone_back_in() {
        let mut place = place();
        place.follow(page(0..100, true), 100);
        // Three came in front: the shared one is here, further down.
        assert_eq!(place.follow(page(96..196, true), 100).0.next, 198);
    }
}
