//! How large the next batch is, how fast it goes, how long it still takes, and what slows it. Arithmetic on what was measured; it
//! waits for nothing and asks nobody.

use std::time::Duration;

use super::watch::Options;
use crate::run::live::{MigrateLive, Replicas};

/// No batch is smaller, unless its file says so.
const LEAST: u32 = 10;
/// No batch is larger: its rows are locked until its end.
const MOST: u32 = 100_000;
/// The part of the way after which a forecast is worth its name.
const TELLING: f64 = 0.01;
/// Seconds after which a forecast is worth its name.
const TELLING_AFTER: f64 = 2.0;
/// What a forecast allows for what nobody foresees.
const DOUBT: f64 = 1.15;

/// The keys of the next batch, from those of the last and how long it took. It grows slowly and shrinks fast, for a batch that
/// is too long is felt, and one that is too short only costs a little.
pub(crate) fn next_size(size: u32, took: Duration, target: Duration, first: u32) -> u32 {
    let took = took.as_secs_f64().max(0.000_1);
    let by = (target.as_secs_f64() / took).clamp(0.5, 1.25);
    let wanted = (f64::from(size) * by).round();
    let least = LEAST.min(first);
    u32::try_from(whole(wanted.clamp(f64::from(least), f64::from(MOST)))).unwrap_or(MOST)
}

/// The whole part of a figure that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is cut is the fraction")]
pub(crate) fn whole(figure: f64) -> u64 {
    figure.max(0.0) as u64
}

/// How long a batch should take at that pace.
pub(crate) fn target(usual: Duration, pace: u16) -> Duration {
    if pace > 100 { usual.mul_f64(f64::from(pace) / 100.0) } else { usual }
}

/// How long to rest after a batch at that pace.
pub(crate) fn rest(took: Duration, pace: u16) -> Duration {
    match pace {
        1..100 => took.mul_f64(f64::from(100 - pace) / f64::from(pace)),
        _ => Duration::ZERO,
    }
}

/// Why the next batch waits, if it does: what a client felt, who waits behind us, what the standbys and the log bear.
pub(crate) fn brake(live: &MigrateLive, felt_ms: Option<f64>, options: &Options) -> Option<String> {
    let budget = options.client_budget.as_secs_f64() * 1000.0;
    if let Some(felt) = felt_ms.filter(|felt| *felt > budget) {
        return Some(format!("a client waited {felt:.0} ms, over the budget of {budget:.0} ms"));
    }
    if live.queue > 0 {
        return Some(format!("{} sessions wait behind us", live.queue));
    }
    if let Replicas::Some(replicas) = &live.replicas {
        let most = options.lag_budget.as_secs_f64();
        let late = replicas.iter().find(|replica| replica.seconds.is_some_and(|seconds| seconds > most));
        if let Some(late) = late {
            let behind = late.seconds.unwrap_or_default();
            return Some(format!("the standby {} is {behind:.0} s behind, budget {most:.0} s", late.name));
        }
    }
    if let Some(rate) = live.wal_rate.filter(|rate| *rate > options.wal_budget) {
        return Some(format!(
            "the server writes {} MB of log a second, budget {} MB",
            rate / 1_000_000,
            options.wal_budget / 1_000_000
        ));
    }
    None
}

/// Measures keys per second, over the last seconds and over a longer while; how far the two differ is how sure it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meter {
    lately: Option<f64>,
    longer: Option<f64>,
    seconds: f64,
}

impl Meter {
    /// So many keys, in so many seconds since the last time.
    pub(crate) fn add(&mut self, keys: u64, seconds: f64) {
        let seconds = seconds.max(0.000_1);
        self.seconds += seconds;
        let rate = keys as f64 / seconds;
        let blend = |old: Option<f64>, over: f64| {
            let share = 1.0 - (-seconds / over).exp();
            Some(old.map_or(rate, |old| old + (rate - old) * share))
        };
        self.lately = blend(self.lately, 5.0);
        self.longer = blend(self.longer, 30.0);
    }

    /// Keys per second.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.lately.filter(|_| self.seconds >= TELLING_AFTER)
    }

    /// Seconds still to go, from and to; nothing where it is too early to tell.
    pub(crate) fn left(&self, done: u64, total: u64) -> Option<(u64, u64)> {
        if self.seconds < TELLING_AFTER || (done as f64) < total as f64 * TELLING {
            return None;
        }
        let (lately, longer) = (self.lately?, self.longer?);
        let left = total.saturating_sub(done) as f64;
        let (fast, slow) = (lately.max(longer), lately.min(longer));
        if slow <= 0.0 {
            return None;
        }
        Some((whole(left / fast), whole((left / slow * DOUBT).ceil())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::live::Replica;

    const TARGET: Duration = Duration::from_millis(50);

    #[test]
    fn a_batch_comes_to_its_target_from_both_sides() {
        for (mut size, per_key) in [(1_000, 0.000_2), (1_000, 0.000_005), (10, 0.001)] {
            for _ in 0..60 {
                let took = Duration::from_secs_f64(f64::from(size) * per_key);
                size = next_size(size, took, TARGET, 1_000);
            }
            let took = f64::from(size) * per_key;
            assert!((0.045..0.055).contains(&took), "{size} keys take {took} s");
        }
        assert_eq!(next_size(10, Duration::from_mins(1), TARGET, 1_000), LEAST, "never nothing");
        assert_eq!(next_size(3, Duration::from_mins(1), TARGET, 3), 3, "a file may want less");
    }

    #[test]
    fn a_pace_rests_or_takes_more() {
        assert_eq!(rest(TARGET, 50), TARGET);
        assert_eq!(rest(TARGET, 25), TARGET * 3);
        assert_eq!((rest(TARGET, 100), rest(TARGET, 200)), (Duration::ZERO, Duration::ZERO));
        assert_eq!((target(TARGET, 50), target(TARGET, 200)), (TARGET, TARGET * 2));
    }

    #[test]
    fn each_brake_says_why() {
        let options = Options::default();
        let calm = MigrateLive { replicas: Replicas::None, wal_rate: Some(1_000), ..MigrateLive::default() };
        assert_eq!(brake(&calm, Some(20.0), &options), None);
        assert_eq!(
            brake(&MigrateLive::default(), None, &options),
            None,
            "what nobody measured stops nothing"
        );
        let said = |live: &MigrateLive, felt| brake(live, felt, &options).unwrap_or_default();
        assert!(said(&calm, Some(250.0)).contains("250 ms"));
        assert!(said(&MigrateLive { queue: 2, ..calm.clone() }, None).contains("2 sessions"));
        let late = Replica { name: "eu-2".into(), bytes: Some(9), seconds: Some(12.0) };
        let late = Replicas::Some(vec![Replica::default(), late]);
        assert!(said(&MigrateLive { replicas: late, ..calm.clone() }, None).contains("eu-2 is 12 s behind"));
        assert!(said(&MigrateLive { wal_rate: Some(300_000_000), ..calm }, None).contains("300 MB"));
    }

    #[test]
    fn a_forecast_is_a_range_and_waits_until_it_can_tell() {
        let mut meter = Meter::default();
        meter.add(1_000, 1.0);
        assert_eq!((meter.rate(), meter.left(1_000, 100_000)), (None, None), "too early");
        for _ in 0..60 {
            meter.add(1_000, 1.0);
        }
        let (from, to) = meter.left(61_000, 100_000).expect("it can tell");
        assert!(from >= 38 && to >= from && to < 50, "{from} to {to}");
        for _ in 0..5 {
            meter.add(250, 1.0);
        }
        let (from, to) = meter.left(62_250, 100_000).expect("it can tell");
        assert!(to > from * 13 / 10, "less sure once it slowed: {from} to {to}");
    }
}
