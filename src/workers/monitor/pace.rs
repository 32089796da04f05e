//! How often a source is asked: on the run's clock, never faster than a service bears in wall time, and more and more seldom
//! while it fails. No reading and no rule in here.

use std::time::Duration;

use uuid::Uuid;

use crate::clock::Clock;

/// How often gauges are judged when no reading comes, on the run's clock.
pub(super) const TICK: Duration = Duration::from_secs(5);
/// The shortest pause in wall time, however fast a rehearsal runs.
const FLOOR: Duration = Duration::from_millis(100);
/// How many times the usual pause a failing source rests at most.
const MOST: u32 = 8;

/// The pauses of one source.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    factor: u32,
}

impl Pace {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, factor: 1 }
    }

    /// Takes note of how a reading went.
    pub(super) fn went(&mut self, well: bool) {
        self.factor = if well { 1 } else { (self.factor * 2).min(MOST) };
    }

    /// The next pause: a failing source's is spread, so that several do not come back at once.
    fn next(&self, drawn: f64) -> Duration {
        if self.factor == 1 {
            self.every
        } else {
            self.every.mul_f64(f64::from(self.factor) * (0.5 + drawn / 2.0))
        }
    }

    pub(super) async fn rest(&self, clock: &Clock) {
        let drawn = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
        floored(clock, self.next(drawn)).await;
    }
}

/// Sleeps for `span` of the clock's time, and for the floor of the wall's at least.
pub(super) async fn floored(clock: &Clock, span: Duration) {
    let asleep = clock.sleep(span);
    if clock.wall_of(span) < FLOOR {
        tokio::join!(asleep, tokio::time::sleep(FLOOR));
    } else {
        asleep.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_source_is_asked_more_and_more_seldom_and_at_once_again_when_it_answers() {
        let mut pace = Pace::new(Duration::from_secs(10));
        assert_eq!(pace.next(0.3), Duration::from_secs(10));
        for longest in [20, 40, 80, 80] {
            pace.went(false);
            assert_eq!(pace.next(1.0), Duration::from_secs(longest));
            assert_eq!(pace.next(0.0), Duration::from_secs(longest / 2));
        }
        pace.went(true);
        assert_eq!(pace.next(1.0), Duration::from_secs(10));
    }
}
