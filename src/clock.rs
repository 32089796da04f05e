//! The one clock. Whatever waits, ages or stamps asks this; nothing else in the crate reads the time of day.
//!
//! It guarantees that a rehearsal at any speed runs the same code as the day itself: only the pace differs, and waits that
//! nothing but time ends can be jumped over. Network time-outs are the exception, and stay in wall time: a socket does
//! not get faster because a rehearsal does.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How a rehearsal's clock runs; enough for a second process to read the same time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// A moment of wall time.
    pub wall: DateTime<Utc>,
    /// What the rehearsal's clock said at that moment.
    pub shown: DateTime<Utc>,
    /// Rehearsal seconds per wall second.
    pub speed: f64,
}

impl Pace {
    fn at(&self, wall: DateTime<Utc>) -> DateTime<Utc> {
        let micros = (wall - self.wall).num_microseconds().unwrap_or(i64::MAX) as f64 * self.speed;
        // A rehearsal spans weeks; i64 microseconds hold 292,000 years.
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and only past the year 292,000")]
        let shown = TimeDelta::microseconds(micros as i64);
        self.shown + shown
    }
}

/// What one request and its answer may take on a busy machine, in wall time.
const WORK: Duration = Duration::from_secs(2);

#[derive(Debug)]
enum Kind {
    Wall,
    Paced(watch::Sender<Pace>),
}

/// A handle on the clock; clones read the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Kind>);

impl Clock {
    /// The time of day, as it is.
    pub fn wall() -> Self {
        Self(Arc::new(Kind::Wall))
    }

    /// A rehearsal's clock that shows `start` now and runs `speed` times as fast as the wall's.
    pub fn paced(start: DateTime<Utc>, speed: f64) -> Self {
        Self::from_pace(Pace { wall: Utc::now(), shown: start, speed })
    }

    /// The clock of a rehearsal that another process began.
    pub fn from_pace(pace: Pace) -> Self {
        Self(Arc::new(Kind::Paced(watch::Sender::new(pace))))
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        match &*self.0 {
            Kind::Wall => Utc::now(),
            Kind::Paced(pace) => pace.borrow().at(Utc::now()),
        }
    }

    /// How the clock runs, if it is a rehearsal's.
    pub fn pace(&self) -> Option<Pace> {
        match &*self.0 {
            Kind::Wall => None,
            Kind::Paced(pace) => Some(*pace.borrow()),
        }
    }

    /// Takes a pace over, jumps included; everyone who sleeps past a jump wakes. On the wall's clock this does nothing.
    pub fn follow(&self, pace: Pace) {
        if let Kind::Paced(sender) = &*self.0 {
            sender.send_if_modified(|old| {
                let changed = *old != pace;
                *old = pace;
                changed
            });
        }
    }

    /// Moves a rehearsal's clock forward to `at`, in this process alone (`Store::jump_to` moves everybody's). Never back,
    /// and never the wall's. Returns whether the clock moved.
    pub fn jump_to(&self, at: DateTime<Utc>) -> bool {
        match self.pace() {
            Some(pace) if at > self.now() => {
                self.follow(Pace { wall: Utc::now(), shown: at, ..pace });
                true
            }
            _ => false,
        }
    }

    /// Sleeps for `span` of this clock's time.
    pub async fn sleep(&self, span: Duration) {
        let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
        let until = self.now().checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.sleep_until(until).await;
    }

    /// Sleeps until this clock shows `until`.
    pub async fn sleep_until(&self, until: DateTime<Utc>) {
        match &*self.0 {
            Kind::Wall => tokio::time::sleep((until - Utc::now()).to_std().unwrap_or_default()).await,
            Kind::Paced(sender) => {
                let mut changes = sender.subscribe();
                loop {
                    let pace = *changes.borrow_and_update();
                    let left = (until - pace.at(Utc::now())).to_std().unwrap_or_default();
                    if left.is_zero() {
                        return;
                    }
                    let wall = left.div_f64(pace.speed.max(f64::MIN_POSITIVE)).max(Duration::from_millis(1));
                    tokio::select! {
                        () = tokio::time::sleep(wall) => {}
                        changed = changes.changed() => if changed.is_err() { return },
                    }
                }
            }
        }
    }

    /// How much of this clock's time may pass while honest work is still under way: a request takes the seconds of the wall that
    /// it takes, and at speed 240 two of them are eight minutes. Nothing on the wall's own clock: there a reading is as old as
    /// it is.
    pub fn lag(&self) -> Duration {
        self.pace().map_or(Duration::ZERO, |pace| WORK.mul_f64(pace.speed.max(0.0)))
    }

    /// The wall time that `span` of this clock takes.
    pub fn wall_of(&self, span: Duration) -> Duration {
        self.pace().map_or(span, |pace| span.div_f64(pace.speed.max(f64::MIN_POSITIVE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).expect("a valid moment")
    }

    #[test]
    fn a_paced_clock_runs_faster_by_its_speed() {
        let pace = Pace { wall: noon(), shown: noon() + TimeDelta::days(1), speed: 240.0 };
        assert_eq!(
            pace.at(noon() + TimeDelta::seconds(1)),
            noon() + TimeDelta::days(1) + TimeDelta::minutes(4)
        );
    }

    #[tokio::test]
    async fn a_jump_wakes_those_who_sleep_past_it() {
        let clock = Clock::paced(noon(), 1.0);
        let week = clock.sleep_until(noon() + TimeDelta::weeks(1));
        let (moved, ()) = tokio::join!(async { clock.jump_to(noon() + TimeDelta::weeks(2)) }, week);
        assert!(moved);
        assert!(!clock.jump_to(noon()), "never back");
    }

    #[test]
    fn only_a_clock_that_races_leaves_honest_work_behind() {
        assert_eq!(Clock::wall().lag(), Duration::ZERO);
        assert_eq!(Clock::paced(noon(), 240.0).lag(), Duration::from_mins(8));
    }

    #[test]
    fn the_wall_clock_follows_nobody() {
        let clock = Clock::wall();
        clock.follow(Pace { wall: Utc::now(), shown: Utc::now() + TimeDelta::days(1), speed: 1.0 });
        assert!(clock.now() < Utc::now() + TimeDelta::hours(1));
        assert_eq!(clock.pace(), None);
    }
}
