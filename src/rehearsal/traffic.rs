//! The people who use the application, as a pure function of the world's history and the time.
//!
//! It guarantees that the same history gives the same page loads, however often and by whichever stand-in it is asked,
//! so that Sentry and `PostHog` report of the same people; and that what people feel follows what is live for them: a
//! flag switched off or a build taken back reaches open tabs within a minute, not at once. No clock and no state in here.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::draw::{draw, fraction};
use super::faults::{self, Fault, Span};
use super::state::State;
use super::world::FLAG;

/// People with a tab open, each loading a page every [`BEAT_MS`]: two thousand page loads an hour.
const SLOTS: u64 = 40;
/// Of them, the team itself: a tenth.
const INTERNAL_SLOTS: u64 = 4;
const BEAT_MS: i64 = 72_000;
const SESSION_MS: i64 = 20 * 60_000;
/// How long an open tab may keep the flag and the build it has.
const TAB_LAG_MS: f64 = 60_000.0;
const BASE_ERRORS: f64 = 0.0002;
/// More page loads than this are not drawn for one question; wider windows look at every n-th beat.
const MOST_VIEWS: i64 = 20_000;

/// Who the flag lets in from a moment on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rule {
    internal: f64,
    everyone: f64,
}

#[derive(Debug, Clone)]
struct Spike {
    span: Span,
    rate: f64,
    share: f64,
}

#[derive(Debug, Clone)]
struct Build {
    release: Arc<str>,
    redesign: bool,
}

/// All of the world's past that people can feel.
#[derive(Debug, Clone)]
pub struct History {
    seed: u64,
    flag: Vec<(DateTime<Utc>, Rule)>,
    builds: Vec<(DateTime<Utc>, Build)>,
    faults: Vec<Span>,
    spikes: Vec<Spike>,
}

/// One page load and what came of it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "facts about one load; none is a mode")]
pub struct View {
    /// When the page was loaded.
    pub at: DateTime<Utc>,
    /// When the vendors know of it.
    pub arrives: DateTime<Utc>,
    /// A number that is this load's alone.
    pub number: u64,
    /// Who loaded it.
    pub user: u64,
    /// Whether they are of the team.
    pub internal: bool,
    /// The session it belongs to.
    pub session: u64,
    /// The release that their tab runs.
    pub release: Arc<str>,
    /// Whether their tab's build has the redesign, and their flag shows it.
    pub redesign: bool,
    /// What the flag said to their tab.
    pub flag: bool,
    /// Errors thrown, of the kind that always were.
    pub old_errors: u32,
    /// Errors thrown by the redesign.
    pub new_errors: u32,
    /// Largest contentful paint in milliseconds.
    pub lcp_ms: f64,
    /// Whether the load is among the traced tenth.
    pub traced: bool,
    /// The page.
    pub page: &'static str,
    /// Sentry dropped what came of it.
    pub lost_at_sentry: bool,
    /// `PostHog` dropped what came of it.
    pub lost_at_posthog: bool,
}

impl View {
    /// All errors of this load.
    pub const fn errors(&self) -> u32 {
        self.old_errors + self.new_errors
    }
}

/// Page loads, each standing for `weight` of them.
#[derive(Debug, Clone)]
pub struct Sample {
    /// How many loads each one stands for.
    pub weight: u32,
    /// The loads, by time.
    pub views: Vec<View>,
}

impl History {
    /// What people can feel of this world.
    pub fn of(state: &State) -> Self {
        let flag = state.flags.iter().find(|flag| flag.key == FLAG);
        let rule_at = |point: &super::state::FlagPoint| (point.at, rule(point.active, &point.filters));
        let flag = flag.map(|flag| flag.history.iter().map(rule_at).collect()).unwrap_or_default();
        let vercel = &state.vercel;
        let build = |id: &str| {
            let deployment = vercel.find(id)?;
            let release = format!("logos-vision-crm@{}", deployment.version).into();
            Some(Build { release, redesign: deployment.redesign })
        };
        let builds =
            vercel.served.iter().filter_map(|served| Some((served.at, build(&served.id)?))).collect();
        let mut history =
            Self { seed: state.seed, flag, builds, faults: state.faults.clone(), spikes: Vec::new() };
        let spike = |span: &Span| match span.fault {
            Fault::ErrorSpike { rate } => {
                Some(Spike { span: span.clone(), rate, share: history.exposure(span.from) })
            }
            _ => None,
        };
        history.spikes = state.faults.iter().filter_map(spike).collect();
        history
    }

    /// The share of people who are shown the redesign at `at`, tabs that lag behind left out.
    pub fn exposure(&self, at: DateTime<Utc>) -> f64 {
        let Some(build) = at_time(&self.builds, at).filter(|build| build.redesign) else { return 0.0 };
        debug_assert!(build.redesign);
        let internal = INTERNAL_SLOTS as f64 / SLOTS as f64;
        at_time(&self.flag, at)
            .map_or(0.0, |rule| rule.internal * internal + rule.everyone * (1.0 - internal))
    }

    /// The page loads between `from` and `to` that the vendors know of at `now`.
    pub fn known(&self, from: DateTime<Utc>, to: DateTime<Utc>, now: DateTime<Utc>) -> Sample {
        let (first, last) =
            (from.timestamp_millis().div_euclid(BEAT_MS), to.min(now).timestamp_millis().div_euclid(BEAT_MS));
        let slots = SLOTS.cast_signed();
        let weight = ((last - first) * slots / MOST_VIEWS + 1).max(1);
        let mut views: Vec<View> = (first..=last)
            .filter(|beat| beat.rem_euclid(weight) == 0)
            .flat_map(|beat| (0..SLOTS).filter_map(move |slot| self.view(beat, slot)))
            .filter(|view| view.at >= from && view.at < to && view.arrives <= now)
            .collect();
        views.sort_by_key(|view| view.at);
        Sample { weight: u32::try_from(weight).unwrap_or(u32::MAX), views }
    }

    fn view(&self, beat: i64, slot: u64) -> Option<View> {
        let number = draw(self.seed, &[beat.cast_unsigned(), slot]);
        let part = |salt: u64| fraction(draw(number, &[salt]));
        let millis = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "minutes in milliseconds, far below the limit"
            )]
            let millis = share as i64;
            TimeDelta::milliseconds(millis)
        };
        let at = DateTime::from_timestamp_millis(beat * BEAT_MS)? + millis(part(1) * BEAT_MS as f64);
        if faults::any(&self.faults, "app-down", at) {
            return None;
        }
        let internal = slot < INTERNAL_SLOTS;
        let session =
            draw(self.seed, &[2, slot, at.timestamp_millis().div_euclid(SESSION_MS).cast_unsigned()]);
        let user = if internal { 1_000 + session % 30 } else { 2_000 + session % 900 };
        let build = at_time(&self.builds, at - millis(part(3) * TAB_LAG_MS))?;
        let flag = at_time(&self.flag, at - millis(part(4) * TAB_LAG_MS))
            .is_some_and(|rule| lets_in(*rule, user, internal));
        let redesign = flag && build.redesign;
        let spike = self.spikes.iter().rev().find(|spike| spike.span.covers(at)).filter(|_| redesign);
        let new_errors = spike.map_or(0, |spike| thrown(spike, part(5)));
        let slow = self.faults.iter().filter(|span| span.covers(at)).find_map(|span| match span.fault {
            Fault::SlowPages { factor } => Some(factor),
            _ => None,
        });
        let normal = (-2.0 * (1.0 - part(6)).ln()).sqrt() * (std::f64::consts::TAU * part(7)).cos();
        let page = if part(8) < 0.6 { "/contacts" } else { "/dashboard" };
        Some(View {
            at,
            arrives: at + millis(1_000.0 + 89_000.0 * part(9).powi(5)),
            number,
            user,
            internal,
            session,
            release: Arc::clone(&build.release),
            redesign,
            flag,
            old_errors: u32::from(part(10) < BASE_ERRORS),
            new_errors,
            lcp_ms: 1_150.0 * (0.27 * normal).exp() * slow.unwrap_or(1.0),
            traced: part(11) < 0.1,
            page,
            lost_at_sentry: faults::any(&self.faults, "sentry-silent", at),
            lost_at_posthog: faults::any(&self.faults, "posthog-silent", at),
        })
    }
}

/// The errors of one load by somebody who is shown the redesign: what it takes for `rate` over everybody.
fn thrown(spike: &Spike, drawn: f64) -> u32 {
    let share = if spike.share > 0.0 { spike.share } else { 1.0 };
    let each = (spike.rate / share).min(3.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 3")]
    let whole = each as u32;
    whole + u32::from(drawn < each.fract())
}

fn at_time<T>(points: &[(DateTime<Utc>, T)], at: DateTime<Utc>) -> Option<&T> {
    points.iter().rev().find(|(since, _)| *since <= at).or(points.first()).map(|(_, what)| what)
}

/// Who a flag's conditions let in: the team (a condition on the address), everybody (no condition).
fn rule(active: bool, filters: &serde_json::Value) -> Rule {
    let mut rule = Rule { internal: 0.0, everyone: 0.0 };
    let groups = filters["groups"].as_array().filter(|_| active);
    for group in groups.into_iter().flatten() {
        let share = group["rollout_percentage"].as_f64().unwrap_or(100.0) / 100.0;
        if group["properties"].as_array().is_none_or(Vec::is_empty) {
            rule.everyone = rule.everyone.max(share);
            rule.internal = rule.internal.max(share);
        } else {
            rule.internal = rule.internal.max(share);
        }
    }
    rule
}

fn lets_in(rule: Rule, user: u64, internal: bool) -> bool {
    let share = if internal { rule.internal } else { rule.everyone };
    // The ends need no hash, and they are the common case.
    share > 0.0 && (share >= 1.0 || bucket(FLAG, &distinct_id(user)) <= share)
}

/// The name that `PostHog` knows a user by.
pub fn distinct_id(user: u64) -> String {
    format!("user-{user}")
}

/// Where a user stands in a flag's rollout, from 0 to 1: the same for ever, so that a growing share loses nobody.
pub fn bucket(key: &str, distinct_id: &str) -> f64 {
    let hash = Sha256::digest(format!("{key}.{distinct_id}"));
    let first = hash.iter().take(8).fold(0_u64, |acc, byte| (acc << 8) | u64::from(*byte));
    fraction(first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scenario::Scenario;
    use super::super::state::Served;
    use super::super::world::World;
    use super::*;
    use crate::clock::Clock;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn world() -> World {
        World::in_memory(Clock::paced(noon(), 1.0), Scenario::shipped("smooth").unwrap(), 7, 5)
    }

    /// The errors per page load in ten minutes from `minute` on, and how many loads those were.
    fn rate(state: &State, minute: i64) -> (f64, usize) {
        let from = noon() + TimeDelta::minutes(minute);
        let sample =
            History::of(state).known(from, from + TimeDelta::minutes(10), from + TimeDelta::hours(1));
        let errors: u32 = sample.views.iter().map(View::errors).sum();
        (f64::from(errors) / sample.views.len() as f64, sample.views.len())
    }

    /// The new build live at minute 0, the redesign throwing from minute 10 on.
    fn spiking() -> State {
        let mut state = world().read(State::clone);
        state.vercel.served.push(Served { at: noon(), id: "dpl_9NewAbc".into() });
        let from = noon() + TimeDelta::minutes(10);
        state.faults.push(Span { fault: Fault::ErrorSpike { rate: 0.12 }, from, until: None });
        state
    }

    #[test]
    fn two_thousand_page_loads_an_hour_of_which_hardly_any_fails() {
        let state = world().read(State::clone);
        let sample =
            History::of(&state).known(noon(), noon() + TimeDelta::hours(6), noon() + TimeDelta::hours(7));
        assert!((11_900..12_100).contains(&sample.views.len()), "{}", sample.views.len());
        assert_eq!(sample.weight, 1);
        let errors: u32 = sample.views.iter().map(View::errors).sum();
        assert!(errors < 12, "{errors}");
        let mut lcp: Vec<f64> = sample.views.iter().map(|view| view.lcp_ms).collect();
        lcp.sort_by(f64::total_cmp);
        assert!((1_600.0..2_000.0).contains(&lcp[lcp.len() * 95 / 100]));
    }

    #[test]
    fn a_wide_window_is_sampled_and_weighted() {
        let state = world().read(State::clone);
        let sample = History::of(&state).known(noon() - TimeDelta::days(7), noon(), noon());
        let stands_for = sample.views.len() as f64 * f64::from(sample.weight);
        assert!(sample.weight > 1 && (stands_for / (2_000.0 * 168.0) - 1.0).abs() < 0.05, "{stands_for}");
    }

    #[test]
    fn the_spike_is_felt_only_by_those_who_see_the_redesign() {
        let state = spiking();
        assert!(rate(&state, 0).0 < 0.01);
        let (spiking, loads) = rate(&state, 10);
        assert!((0.05..0.2).contains(&spiking) && loads > 300, "{spiking}");
    }

    #[test]
    fn flag_off_or_the_old_build_ends_the_spike_within_a_minute() {
        let mut flag_off = spiking();
        let off = noon() + TimeDelta::minutes(20);
        let mut point = flag_off.flags[0].now().clone();
        point.at = off;
        point.active = false;
        flag_off.flags[0].history.push(point);
        assert!(rate(&flag_off, 21).0 < 0.01, "{:?}", rate(&flag_off, 21));
        let history = History::of(&flag_off);
        let tabs = history.known(off, off + TimeDelta::minutes(1), off + TimeDelta::hours(1));
        assert!(tabs.views.iter().any(|view| view.redesign), "open tabs keep what they have for a while");
        let mut taken_back = spiking();
        taken_back.vercel.served.push(Served { at: off, id: "dpl_8OldXyz".into() });
        assert!(rate(&taken_back, 21).0 < 0.01);
    }

    #[test]
    fn the_newest_minutes_still_grow() {
        let history = History::of(&world().read(State::clone));
        let count = |now| history.known(noon(), noon() + TimeDelta::minutes(1), now).views.len();
        let at_once = count(noon() + TimeDelta::seconds(60));
        let later = count(noon() + TimeDelta::seconds(150));
        assert!(at_once < later, "{at_once} {later}");
        assert_eq!(later, count(noon() + TimeDelta::hours(1)));
    }

    #[test]
    fn a_growing_rollout_loses_nobody() {
        let share =
            |percent| rule(true, &json!({"groups": [{"properties": [], "rollout_percentage": percent}]}));
        let users =
            |percent| (0..900).filter(move |user| lets_in(share(percent), *user, false)).collect::<Vec<_>>();
        let (ten, fifty) = (users(10), users(50));
        assert!((60..130).contains(&ten.len()) && (400..500).contains(&fifty.len()));
        assert!(ten.iter().all(|user| fifty.contains(user)));
        assert_eq!(users(0).len() + 900 - users(100).len(), 0);
    }
}
