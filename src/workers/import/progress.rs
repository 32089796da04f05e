//! What the import shows while it runs: figures, rate, forecast, and why it waits.
//!
//! It guarantees at most ten tellings a second of wall time, a rate that is weighted by time and not by the number of
//! readings, and no forecast before there is something to base it on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::line::Line;
use crate::run::Progress;
use crate::run::job::ImportTotals;
use crate::run::live::{ImportLive, More, Signals};

const EVERY: Duration = Duration::from_millis(100);
/// How far back the rate looks, in seconds of the clock.
const MEMORY: f64 = 20.0;

#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) step: u32,
    pub(super) doing: String,
    pub(super) done: u64,
    pub(super) total: Option<u64>,
    pub(super) live: ImportLive,
    last: Option<(DateTime<Utc>, u64)>,
    rate: Option<f64>,
    told: Option<Instant>,
}

/// Tells a job's progress.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    line: Line<'a>,
    shown: Mutex<Shown>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(line: Line<'a>) -> Self {
        Self { line, shown: Mutex::default() }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        // What is shown is replaced as a whole; a panic between leaves an older picture.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count something else.
    pub(super) fn begin(&self, step: u32, doing: &str, done: u64, total: Option<u64>) {
        let mut shown = self.shown();
        shown.step = step;
        shown.doing = doing.into();
        (shown.done, shown.total, shown.last, shown.rate) = (done, total, None, None);
        shown.live.waiting = None;
        self.tell(&mut shown, true);
    }

    /// Says how much is done.
    pub(super) fn done(&self, done: u64, total: Option<u64>, totals: &ImportTotals) {
        let mut shown = self.shown();
        let now = self.line.clock().now();
        let start = (now, shown.done);
        let before = *shown.last.get_or_insert(start);
        let seconds = (now - before.0).num_milliseconds() as f64 / 1_000.0;
        if seconds > 0.0 && done > before.1 {
            let rate = (done - before.1) as f64 / seconds;
            let weight = 1.0 - (-seconds / MEMORY).exp();
            shown.rate = Some(shown.rate.map_or(rate, |old| old + (rate - old) * weight));
            shown.last = Some((now, done));
        }
        (shown.done, shown.total, shown.live.totals) = (done, total, totals.clone());
        shown.live.waiting = None;
        self.tell(&mut shown, false);
    }

    /// Changes what is shown besides.
    pub(super) fn also(&self, change: impl FnOnce(&mut ImportLive)) {
        let mut shown = self.shown();
        change(&mut shown.live);
        self.tell(&mut shown, false);
    }

    /// Says why it waits, at once.
    pub(super) fn waiting(&self, why: String) {
        let mut shown = self.shown();
        shown.live.waiting = Some(why);
        self.tell(&mut shown, true);
    }

    /// Says at once that it stands still for the sake of others.
    pub(super) fn braked(&self, signals: &Signals, why: String) {
        let mut shown = self.shown();
        shown.live.signals = Some(signals.clone());
        shown.live.throttled = Some(why);
        self.tell(&mut shown, true);
    }

    /// Says that it goes on. How long it rested is no part of its rate.
    pub(super) fn rested(&self, rested: Duration, pace: Option<u8>) {
        let mut shown = self.shown();
        if pace.is_none() {
            shown.live.throttled = None;
        }
        let speed = self.line.clock().pace().map_or(1.0, |pace| pace.speed);
        if let (Some((at, _)), Ok(rested)) =
            (&mut shown.last, TimeDelta::from_std(rested.mul_f64(speed.max(0.0))))
        {
            *at += rested;
        }
        self.tell(&mut shown, false);
    }

    fn tell(&self, shown: &mut Shown, now: bool) {
        let Some(job) = self.line.job() else { return };
        if !now && shown.told.is_some_and(|told| told.elapsed() < EVERY) {
            return;
        }
        shown.told = Some(Instant::now());
        self.line.tell(Progress {
            job,
            at: self.line.clock().now(),
            step: Some(shown.step),
            doing: shown.live.waiting.clone().unwrap_or_else(|| shown.doing.clone()),
            done: shown.done,
            total: shown.total,
            unit: "contacts".into(),
            source: "ours".into(),
            rate: shown.rate,
            left: left(shown),
            more: More::Import(shown.live.clone()),
        });
    }
}

/// A quarter faster to a half slower than so far.
fn left(shown: &Shown) -> Option<(u64, u64)> {
    let rate = shown.rate.filter(|rate| *rate > 0.0)?;
    let seconds = shown.total?.saturating_sub(shown.done) as f64 / rate;
    let whole = |seconds: f64| Duration::try_from_secs_f64(seconds).ok().map(|span| span.as_secs());
    Some((whole(seconds * 0.75)?, whole((seconds * 1.5).ceil())?))
}
