//! How fast Pulse may be asked: the plan's own ceiling and what Pulse says is left, whichever is later.
//!
//! It guarantees that no window of a minute holds more requests of ours than the ceiling, and that nothing is sent while
//! Pulse says that nothing is left; and that neither costs more time than it must: a second a minute is 17 profiles a second.
//! Pure: it says until when to wait, and others wait.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use crate::services::RateBudget;

const WINDOW: TimeDelta = TimeDelta::minutes(1);

/// The starts of the last minute.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    /// When the requests of the last minute were answered: Pulse counted them no later.
    starts: VecDeque<DateTime<Utc>>,
}

impl Pace {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { most: usize::try_from(per_minute.max(1)).unwrap_or(usize::MAX), starts: VecDeque::new() }
    }

    /// Until when to wait, and why; nothing when a request may start now.
    pub(super) fn wait(
        &mut self,
        now: DateTime<Utc>,
        budget: Option<RateBudget>,
    ) -> Option<(DateTime<Utc>, String)> {
        while self.starts.front().is_some_and(|start| *start + WINDOW <= now) {
            self.starts.pop_front();
        }
        let spent = budget.filter(|budget| budget.remaining == 0).and_then(|budget| {
            let until = budget.over()?;
            // A reset far away is a clock that differs, not a window.
            (until > now).then(|| {
                (
                    until.min(now + WINDOW * 2),
                    format!("Pulse's limit of {} requests is used up", budget.limit),
                )
            })
        });
        let full = self.starts.front().filter(|_| self.starts.len() >= self.most).map(|first| {
            (*first + WINDOW, format!("{} requests a minute are the ceiling of this plan", self.most))
        });
        [spent, full].into_iter().flatten().max_by_key(|(until, _)| *until)
    }

    /// Notes that a request starts.
    pub(super) fn started(&mut self, now: DateTime<Utc>) {
        self.starts.push_back(now);
    }

    /// Notes that the last request was answered.
    pub(super) fn answered(&mut self, now: DateTime<Utc>) {
        if let Some(last) = self.starts.back_mut() {
            *last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + second, 0).unwrap()
    }

    #[test]
    fn no_minute_holds_more_than_the_ceiling() {
        let mut pace = Pace::new(3);
        for second in [0, 10, 20] {
            assert_eq!(pace.wait(at(second), None), None);
            pace.started(at(second));
        }
        assert_eq!(pace.wait(at(30), None).map(|(until, _)| until), Some(at(60)));
        assert_eq!(pace.wait(at(60), None), None);
    }

    #[test]
    fn a_spent_budget_is_waited_for_and_an_old_one_is_not() {
        let mut pace = Pace::new(60);
        let budget = |remaining| Some(RateBudget { limit: 60, remaining, reset: Some(at(40)), sure: None });
        assert_eq!(pace.wait(at(0), budget(0)).map(|(until, _)| until), Some(at(41)));
        assert_eq!(pace.wait(at(0), budget(1)), None);
        assert_eq!(pace.wait(at(50), budget(0)), None);
        let sure = |budget: RateBudget| RateBudget { sure: Some(at(44)), ..budget };
        assert_eq!(pace.wait(at(0), budget(0).map(sure)).map(|(until, _)| until), Some(at(44)));
    }

    #[test]
    fn a_slow_answer_does_not_let_the_next_minute_begin_early() {
        let mut pace = Pace::new(1);
        pace.started(at(0));
        pace.answered(at(8));
        assert_eq!(pace.wait(at(61), None).map(|(until, _)| until), Some(at(68)));
    }
}
