//! How fast Pulse may be asked: the plan's own ceiling and what Pulse says is left, whichever is later.
//!
//! It guarantees that no window of a minute holds more requests of ours than the ceiling, and that nothing is sent while
//! Pulse says that nothing is left; and that neither costs more time than it must: a second a minute is 17 profiles a second.
//! Pure: it says until when to wait, and others wait.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use crate::services::RateBudget;

const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// The reset comes in whole seconds, rounded down; a request in the second it names may still be one too many.
const ROUNDING: TimeDelta = TimeDelta::seconds(1);

/// The starts of the last minute.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    /// When the requests of the last minute were answered: Pulse counted them no later.
    starts: VecDeque<DateTime<Utc>>,
    /// When the request was answered that opened Pulse's present window.
    opened: Option<DateTime<Utc>>,
}

impl Pace {
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            most: usize::try_from(per_minute.max(1)).unwrap_or(usize::MAX),
            starts: VecDeque::new(),
            opened: None,
        }
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
            let reset = budget.reset?;
            // The window that our own request opened is over a minute after its answer, at the latest.
            let over = self.opened.map(|opened| opened + WINDOW).filter(|over| *over >= reset);
            let until = over.unwrap_or(reset + ROUNDING).min(reset + ROUNDING);
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

    /// Notes that the last request was answered, with what was left then.
    pub(super) fn answered(&mut self, now: DateTime<Utc>, budget: Option<RateBudget>) {
        if let Some(last) = self.starts.back_mut() {
            *last = now;
        }
        if budget.is_some_and(|budget| budget.remaining + 1 == budget.limit) {
            self.opened = Some(now);
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
        let budget = |remaining| Some(RateBudget { limit: 60, remaining, reset: Some(at(40)) });
        assert_eq!(pace.wait(at(0), budget(0)).map(|(until, _)| until), Some(at(41)));
        assert_eq!(pace.wait(at(0), budget(1)), None);
        assert_eq!(pace.wait(at(50), budget(0)), None);
    }

    #[test]
    fn a_window_that_we_opened_is_left_on_time_and_one_of_another_with_a_second_to_spare() {
        let ms = TimeDelta::milliseconds;
        let budget = |remaining| Some(RateBudget { limit: 60, remaining, reset: Some(at(60)) });
        let mut pace = Pace::new(1_000);
        pace.started(at(0) + ms(300));
        pace.answered(at(0) + ms(350), budget(59));
        let until = |pace: &mut Pace| pace.wait(at(5), budget(0)).map(|(until, _)| until);
        assert_eq!(until(&mut pace), Some(at(60) + ms(350)));
        // A window that was opened a minute before says nothing of this one.
        pace.opened = Some(at(-40));
        assert_eq!(until(&mut pace), Some(at(61)));
    }

    #[test]
    fn a_slow_answer_does_not_let_the_next_minute_begin_early() {
        let mut pace = Pace::new(1);
        pace.started(at(0));
        pace.answered(at(8), None);
        assert_eq!(pace.wait(at(61), None).map(|(until, _)| until), Some(at(68)));
    }
}
