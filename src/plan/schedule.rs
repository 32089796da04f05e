//! When each phase and item is planned, in UTC: the day and the clock times of the plan's zone, safe over its changes of
//! daylight-saving time. What the plan does not say stays unsaid.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::{Item, ItemId, Phase, PhaseId, PhaseKind, Plan};

/// The planned day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// The phases of the day whose time the plan tells, in order.
    pub slots: Vec<Slot>,
}

/// One phase's planned time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// The phase.
    pub phase: PhaseId,
    /// Its planned begin.
    pub starts: DateTime<Utc>,
    /// Its planned end, where the plan tells a length.
    pub ends: Option<DateTime<Utc>>,
    /// Its items that have a time of their own.
    pub items: Vec<Due>,
}

/// One item's planned time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    /// The item.
    pub item: ItemId,
    /// When it is due.
    pub at: DateTime<Utc>,
}

impl Schedule {
    /// From the first begin to the last end.
    pub fn total(&self) -> Option<TimeDelta> {
        let end = self.slots.iter().filter_map(|slot| slot.ends).max()?;
        Some(end - self.slots.first()?.starts)
    }

    /// The free time between each phase and the next one; negative where they overlap.
    pub fn floats(&self) -> impl Iterator<Item = (&PhaseId, TimeDelta)> {
        self.slots
            .iter()
            .zip(self.slots.iter().skip(1))
            .filter_map(|(slot, next)| Some((&slot.phase, next.starts - slot.ends?)))
    }

    /// The slot of a phase.
    pub fn slot(&self, phase: &PhaseId) -> Option<&Slot> {
        self.slots.iter().find(|slot| &slot.phase == phase)
    }
}

/// Plans the phases of `day`. A phase without a time begins where the one before it ends.
pub fn schedule(plan: &Plan, day: NaiveDate) -> Schedule {
    let mut slots: Vec<Slot> = Vec::new();
    let mut date = day;
    for phase in plan.checklist.phases.iter().filter(|phase| matches!(phase.kind, PhaseKind::Numbered(_))) {
        let before = slots.last();
        let starts = match phase.starts {
            Some(clock) => {
                let mut starts = utc(plan.timezone, date.and_time(clock));
                // Past midnight: the clock went round since the phase before.
                if before.is_some_and(|slot| starts < slot.starts) {
                    date = date.succ_opt().unwrap_or(date);
                    starts = utc(plan.timezone, date.and_time(clock));
                }
                Some(starts)
            }
            None => before.and_then(|slot| slot.ends),
        };
        let Some(starts) = starts else { continue };
        let ends = takes(phase).and_then(|takes| starts.checked_add_signed(takes));
        let due = |item: &Item| {
            let at = starts.checked_add_signed(TimeDelta::from_std(item.due?).ok()?)?;
            Some(Due { item: item.id.clone(), at })
        };
        slots.push(Slot {
            phase: phase.id.clone(),
            starts,
            ends,
            items: phase.items().filter_map(due).collect(),
        });
    }
    Schedule { slots }
}

/// A phase's planned length: what its heading says, else what its parts add up to.
pub fn takes(phase: &Phase) -> Option<TimeDelta> {
    let parts = || phase.sections.iter().filter_map(|section| section.takes);
    let whole = phase.takes.or_else(|| {
        parts().next().map(|_| parts().fold(std::time::Duration::ZERO, std::time::Duration::saturating_add))
    });
    whole.and_then(|takes| TimeDelta::from_std(takes).ok())
}

/// A local time in UTC. Of an hour that comes twice the first is meant; an hour that is skipped moves on to where the
/// clocks go on.
fn utc(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    for minutes in 0..=240 {
        match zone.from_local_datetime(&(local + TimeDelta::minutes(minutes))) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => return at.to_utc(),
            LocalResult::None => {}
        }
    }
    // No zone skips more than a day at once, and those that did so skipped it whole.
    local.and_utc()
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::checklist::read::read;
    use super::*;

    fn plan(markdown: &str, zone: Tz) -> Plan {
        Plan { timezone: zone, ..Config::default().plan(read(markdown, "a.md").unwrap()) }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn starts(markdown: &str, on: &str) -> Vec<String> {
        let schedule = schedule(&plan(markdown, chrono_tz::America::New_York), day(on));
        schedule.slots.iter().map(|slot| slot.starts.format("%d %H:%M").to_string()).collect()
    }

    #[test]
    fn times_are_meant_in_the_zone_of_the_plan() {
        let text = "## Phase 1: A (10:00, 20 min)\n- [ ] a {due=15m}\n## Phase 2: B (10:30, 15 min)\n- [ ] b\n## Phase 3: C (2 hours)\n- [ ] c\n";
        assert_eq!(starts(text, "2026-07-01"), ["01 14:00", "01 14:30", "01 14:45"]);
        assert_eq!(starts(text, "2026-12-01"), ["01 15:00", "01 15:30", "01 15:45"]);
        let schedule = schedule(&plan(text, Tz::UTC), day("2026-07-01"));
        assert_eq!(schedule.total(), Some(TimeDelta::minutes(165)));
        assert_eq!(schedule.floats().map(|(_, float)| float.num_minutes()).collect::<Vec<_>>(), [10, 0]);
        assert_eq!(schedule.slots[0].items[0].at.to_string(), "2026-07-01 10:15:00 UTC");
    }

    #[test]
    fn skipped_and_doubled_hours_have_one_answer() {
        assert_eq!(
            starts("## Phase 1: A (02:30)\n- [ ] a\n", "2026-03-08"),
            ["08 07:00"],
            "02:30 was skipped"
        );
        assert_eq!(starts("## Phase 1: A (01:30)\n- [ ] a\n", "2026-11-01"), ["01 05:30"], "the first 01:30");
    }

    #[test]
    fn the_night_goes_on_into_the_next_day() {
        assert_eq!(
            starts("## Phase 1: A (23:30, 1h)\n- [ ] a\n## Phase 2: B (00:45)\n- [ ] b\n", "2026-07-01"),
            ["02 03:30", "02 04:45"]
        );
    }

    #[test]
    fn what_the_plan_does_not_say_stays_unsaid() {
        assert_eq!(starts("- [ ] a\n", "2026-07-01"), Vec::<String>::new());
    }
}
