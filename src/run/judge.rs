//! What a reading is worth. Pure: a metric, its latest sample and the time in; a verdict out.
//!
//! Unknown is not good: no data, old data, too little data and a failed query are verdicts of their own, and none of them
//! ever counts as OK. One error in three requests is not an error rate of 33 %: a rate is only called bad when so many
//! errors would be a rare accident for a release that keeps its target.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::command::Report;
use super::live::{Reading, Sample};
use super::state::{Alert, Health};
use crate::plan::{Better, Metric};

/// What a gauge says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verdict {
    /// Within the target.
    Ok,
    /// Beyond the target, within the alert.
    Warn,
    /// Beyond the alert.
    Bad,
    /// It cannot be told.
    CannotTell {
        /// Why not.
        why: Blind,
    },
}

/// Why a gauge says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blind {
    /// No source has answered yet.
    NoReading,
    /// The source answered, and had nothing.
    NoData,
    /// The last answer is too old.
    Stale,
    /// Too few observations.
    TooFew,
    /// The source does not answer.
    Failing,
}

impl Verdict {
    /// The word on the screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Bad => "BAD",
            Self::CannotTell { why } => match why {
                Blind::NoReading => "no reading",
                Blind::NoData => "no data",
                Blind::Stale => "stale",
                Blind::TooFew => "too few",
                Blind::Failing => "failing",
            },
        }
    }
}

/// Fewer bad observations than this are never called an alert.
const MIN_BAD: u64 = 3;
/// How rare an accident must be before it is not called one.
const RARE: f64 = 0.01;

/// Judges the latest sample of a metric. `lag` is `Clock::lag`: a reading that could not have come sooner is not stale for it.
pub fn judge(metric: &Metric, latest: Option<&Sample>, now: DateTime<Utc>, lag: Duration) -> Verdict {
    let Some(sample) = latest else { return Verdict::CannotTell { why: Blind::NoReading } };
    let age = (now - sample.at).to_std().unwrap_or_default();
    if age > metric.fresh.max(lag) {
        return Verdict::CannotTell { why: Blind::Stale };
    }
    match &sample.reading {
        Reading::NoData { .. } => Verdict::CannotTell { why: Blind::NoData },
        Reading::Failed { .. } => Verdict::CannotTell { why: Blind::Failing },
        Reading::Value { value, .. } if !value.is_finite() => Verdict::CannotTell { why: Blind::NoData },
        Reading::Value { value, n, bad } => judge_value(metric, *value, *n, *bad),
    }
}

fn judge_value(metric: &Metric, value: f64, n: u64, bad: Option<u64>) -> Verdict {
    let beyond = |limit: f64| match metric.better {
        Better::Lower => value > limit,
        Better::Higher => value < limit,
    };
    let too_few = n < metric.min_samples;
    if beyond(metric.alert) {
        let sure = match bad {
            Some(bad) => bad >= MIN_BAD && at_least(bad, n, promised_bad(metric)) < RARE,
            None => !too_few,
        };
        if sure {
            return Verdict::Bad;
        }
    }
    if too_few {
        return Verdict::CannotTell { why: Blind::TooFew };
    }
    if beyond(metric.target) { Verdict::Warn } else { Verdict::Ok }
}

/// The share of bad observations that the target allows, 0 to 1.
fn promised_bad(metric: &Metric) -> f64 {
    let share = match metric.better {
        Better::Lower => metric.target / 100.0,
        Better::Higher => 1.0 - metric.target / 100.0,
    };
    share.clamp(1e-9, 1.0 - 1e-9)
}

/// The probability of at least `bad` bad ones among `n` when each is bad with probability `p`: the exact binomial tail.
pub fn at_least(bad: u64, n: u64, p: f64) -> f64 {
    if bad == 0 {
        return 1.0;
    }
    if bad > n {
        return 0.0;
    }
    // From the term of `bad` upward; in logarithms, because the first terms of a long sum underflow.
    let odds = (p / (1.0 - p)).ln();
    let mut term =
        (1..=bad).fold(n as f64 * (1.0 - p).ln(), |sum, k| sum + ((n - k + 1) as f64 / k as f64).ln() + odds);
    let mut tail = term.exp();
    for k in bad + 1..=n {
        term += ((n - k + 1) as f64 / k as f64).ln() + odds;
        let add = term.exp();
        tail += add;
        if add < tail * 1e-12 {
            break;
        }
    }
    tail.min(1.0)
}

/// How long a gauge must be well before its alert ends, at least.
const QUIET: Duration = Duration::from_mins(1);

/// What the alert of a metric does next, given its verdict and whether it has fired. Everything it needs is in the
/// journal, so it goes on after a crash where it was.
pub fn alert_step(
    metric: &Metric,
    health: Option<&Health>,
    alert: Option<&Alert>,
    now: DateTime<Utc>,
) -> Option<Report> {
    let health = health?;
    let held = (now - health.since).to_std().unwrap_or_default();
    match (health.verdict, alert) {
        (Verdict::Bad, None) if held >= metric.hold => Some(Report::AlertFired {
            metric: metric.id.clone(),
            reading: health.reading.clone(),
            since: health.since,
        }),
        (Verdict::Ok, Some(_)) if held >= metric.hold.max(QUIET) => {
            Some(Report::AlertCleared { metric: metric.id.clone() })
        }
        _ => None,
    }
}

/// The reading of a sample in words ("6.1 %, n 412").
pub fn words(metric: &Metric, sample: &Sample) -> String {
    match &sample.reading {
        Reading::Value { value, n, .. } => format!("{} , n {n}", figure(metric, *value)).replace(" ,", ","),
        Reading::NoData { why } => format!("no data: {why}"),
        Reading::Failed { why } => format!("failed: {why}"),
    }
}

/// A value with its unit, as precise as its size deserves.
pub fn figure(metric: &Metric, value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    let sign = metric.unit.sign();
    if sign.is_empty() { format!("{value:.digits$}") } else { format!("{value:.digits$} {sign}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Severity, Unit};

    fn error_rate() -> Metric {
        Metric {
            id: "error_rate".into(),
            label: "error rate".into(),
            unit: Unit::Percent,
            better: Better::Lower,
            target: 0.5,
            alert: 5.0,
            severity: Severity::Critical,
            source: "sentry-error-rate".into(),
            window: Duration::from_mins(5),
            min_samples: 20,
            fresh: Duration::from_mins(2),
            hold: Duration::from_mins(1),
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).expect("a valid moment")
    }

    /// As on the day itself.
    fn judged(metric: &Metric, latest: Option<&Sample>, now: DateTime<Utc>) -> Verdict {
        judge(metric, latest, now, Duration::ZERO)
    }

    fn rate(bad: u64, n: u64) -> Sample {
        let value = bad as f64 * 100.0 / n.max(1) as f64;
        Sample {
            metric: "error_rate".into(),
            at: now(),
            reading: Reading::Value { value, n, bad: Some(bad) },
        }
    }

    #[test]
    fn readings_and_their_verdicts() {
        let blind = |why| Verdict::CannotTell { why };
        let table = [
            (1, 3, blind(Blind::TooFew)), // 33 %, and an accident
            (3, 3, Verdict::Bad),         // few, and no accident
            (0, 19, blind(Blind::TooFew)),
            (0, 20, Verdict::Ok),
            (1, 100, Verdict::Warn),
            (5, 100, Verdict::Warn),
            (6, 100, Verdict::Bad),
            (2, 25, Verdict::Warn), // 8 %, but two errors may happen
            (300, 4_000, Verdict::Bad),
        ];
        for (bad, n, expected) in table {
            assert_eq!(judged(&error_rate(), Some(&rate(bad, n)), now()), expected, "{bad} of {n}");
        }
    }

    #[test]
    fn what_is_not_known_is_never_ok() {
        let metric = error_rate();
        let later = now() + TimeDelta::minutes(3);
        assert_eq!(judged(&metric, None, now()), Verdict::CannotTell { why: Blind::NoReading });
        assert_eq!(judged(&metric, Some(&rate(0, 500)), later), Verdict::CannotTell { why: Blind::Stale });
        let silent = Sample { reading: Reading::NoData { why: "no page views".into() }, ..rate(0, 1) };
        assert_eq!(judged(&metric, Some(&silent), now()), Verdict::CannotTell { why: Blind::NoData });
        let nan = Sample { reading: Reading::Value { value: f64::NAN, n: 900, bad: None }, ..rate(0, 1) };
        assert_eq!(judged(&metric, Some(&nan), now()), Verdict::CannotTell { why: Blind::NoData });
    }

    #[test]
    fn a_racing_clock_makes_nothing_stale_that_could_not_have_come_sooner() {
        let metric = error_rate();
        let stale = Verdict::CannotTell { why: Blind::Stale };
        let at = |minutes| now() + TimeDelta::minutes(minutes);
        let raced = |minutes| judge(&metric, Some(&rate(0, 500)), at(minutes), Duration::from_mins(8));
        assert_eq!((raced(3), raced(8), raced(9)), (Verdict::Ok, Verdict::Ok, stale));
        assert_eq!(judged(&metric, Some(&rate(0, 500)), at(3)), stale, "the day itself");
        // A plan that allows more than the clock asks for keeps its own.
        assert_eq!(judge(&metric, Some(&rate(0, 500)), at(2), Duration::from_secs(20)), Verdict::Ok);
    }

    #[test]
    fn an_alert_fires_after_its_hold_and_clears_after_quiet() {
        let metric = error_rate();
        let health = |verdict| Health { verdict, since: now(), reading: "6 %, n 100".into() };
        let bad = health(Verdict::Bad);
        assert_eq!(alert_step(&metric, Some(&bad), None, now() + TimeDelta::seconds(59)), None);
        let fired = alert_step(&metric, Some(&bad), None, now() + TimeDelta::seconds(60));
        assert!(matches!(fired, Some(Report::AlertFired { since, .. }) if since == now()));
        let alert = Alert { fired: now(), since: now(), reading: String::new(), seen: None };
        let blind = health(Verdict::CannotTell { why: Blind::NoData });
        assert_eq!(
            alert_step(&metric, Some(&blind), Some(&alert), now() + TimeDelta::hours(1)),
            None,
            "silence"
        );
        let ok = health(Verdict::Ok);
        let cleared = alert_step(&metric, Some(&ok), Some(&alert), now() + TimeDelta::seconds(60));
        assert!(matches!(cleared, Some(Report::AlertCleared { .. })));
    }

    #[test]
    fn the_tail_agrees_with_known_values() {
        for (bad, n, p, expected) in [(1, 3, 0.05, 0.142_6), (2, 3, 0.05, 0.007_25), (3, 20, 0.05, 0.075_5)] {
            assert!((at_least(bad, n, p) - expected).abs() < 1e-3, "{bad} of {n} at {p}");
        }
    }

    proptest! {
        #[test]
        fn more_errors_never_look_better(n in 1_u64..5_000, a in 0_u64..5_000, b in 0_u64..5_000) {
            let rank = |verdict| match verdict {
                Verdict::Ok | Verdict::CannotTell { .. } => 0,
                Verdict::Warn => 1,
                Verdict::Bad => 2,
            };
            let (few, many) = (a.min(b).min(n), a.max(b).min(n));
            let ranked = |bad| rank(judged(&error_rate(), Some(&rate(bad, n)), now()));
            prop_assert!(ranked(few) <= ranked(many));
        }

        #[test]
        fn the_tail_is_a_probability_and_falls(n in 1_u64..2_000, bad in 1_u64..2_000, p in 0.0001_f64..0.5) {
            let tail = at_least(bad, n, p);
            prop_assert!((0.0..=1.0).contains(&tail));
            prop_assert!(at_least(bad + 1, n, p) <= tail + 1e-9);
        }
    }
}
