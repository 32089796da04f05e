//! A gauge as a bullet on a track: good is left, bad is right, and target and alert stand in the same two columns for every
//! gauge, so that one look down the marks compares things counted in different units.

use std::time::Duration;

use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::plan::{Better, Metric};
use crate::run::judge::{Blind, Verdict, figure, judge};
use crate::run::live::{Reading, Sample};
use crate::tui::panes::World;
use crate::tui::theme::{Role, Theme};

/// A gauge, judged at a moment.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// The metric.
    pub metric: &'a Metric,
    /// Its latest sample.
    pub latest: Option<&'a Sample>,
    /// What it is worth now.
    pub verdict: Verdict,
    /// How long a reading is fresh.
    pub good_for: Duration,
    /// How old the sample is.
    pub age: Option<TimeDelta>,
    /// Whether its alert is firing.
    pub firing: bool,
}

/// Beyond this many times its freshness an old number is taken off the screen: it is worse than none.
const REMOVED_AFTER: i32 = 3;

impl<'a> Judged<'a> {
    /// Judges a metric as the screen shows it.
    pub fn new(metric: &'a Metric, world: &World<'a>) -> Self {
        let latest = world.live.latest(&metric.id);
        Self {
            metric,
            latest,
            verdict: judge(metric, latest, world.now, world.lag),
            good_for: metric.fresh.max(world.lag),
            age: latest.map(|sample| (world.now - sample.at).max(TimeDelta::zero())),
            firing: world.state.alerts.contains_key(&metric.id),
        }
    }

    /// The number, and whether it is still worth showing plainly.
    pub fn value(&self) -> Option<(f64, Role)> {
        let Reading::Value { value, .. } = &self.latest?.reading else { return None };
        let good_for = TimeDelta::from_std(self.good_for).ok()?;
        let age = self.age?;
        if !value.is_finite() || age > good_for * REMOVED_AFTER {
            return None;
        }
        let role = match self.verdict {
            Verdict::CannotTell { why: Blind::Stale | Blind::TooFew } => Role::Muted,
            verdict => match Self::role_of(verdict) {
                Role::Ok => Role::Text,
                role => role,
            },
        };
        Some((*value, role))
    }

    /// The number in words, or a dash.
    pub fn figure(&self) -> (String, Role) {
        self.value()
            .map_or_else(|| ("—".into(), Role::Unknown), |(value, role)| (figure(self.metric, value), role))
    }

    /// How many observations it stands on.
    pub fn observations(&self) -> Option<u64> {
        match &self.latest?.reading {
            Reading::Value { n, .. } => Some(*n),
            _ => None,
        }
    }

    /// Its sign, its word and their role.
    pub fn sign(&self) -> (&'static str, &'static str, Role) {
        let role = Self::role_of(self.verdict);
        match self.verdict {
            Verdict::Ok if self.firing => ("▲", "recovering", Role::Warn),
            Verdict::Ok => ("●", "OK", role),
            Verdict::Warn => ("◆", "WARN", role),
            Verdict::Bad if self.firing => ("▲", "ALERT", role),
            Verdict::Bad => ("▲", "BAD", role),
            Verdict::CannotTell { why: Blind::Stale } => ("◌", "stale", role),
            Verdict::CannotTell { .. } => ("?", self.verdict.word(), role),
        }
    }

    /// Why it says nothing, in the source's words.
    pub fn why(&self) -> Option<&'a str> {
        match &self.latest?.reading {
            Reading::NoData { why } | Reading::Failed { why } => Some(why),
            Reading::Value { .. } => None,
        }
    }

    const fn role_of(verdict: Verdict) -> Role {
        match verdict {
            Verdict::Ok => Role::Ok,
            Verdict::Warn => Role::Warn,
            Verdict::Bad => Role::Bad,
            Verdict::CannotTell { .. } => Role::Unknown,
        }
    }
}

/// Where on the track the target and the alert stand.
const TARGET: f64 = 0.4;
const ALERT: f64 = 0.8;

/// Where a value stands on the track, 0 to 1: linear from the best to the target, to the alert, and beyond.
pub fn place(metric: &Metric, value: f64) -> f64 {
    let step = (metric.alert - metric.target).abs();
    let best = match metric.better {
        Better::Lower => 0.0,
        Better::Higher if metric.unit == crate::plan::Unit::Percent => 100.0,
        Better::Higher => metric.target + step,
    };
    // How far from the best, in whichever direction is worse.
    let bad = |at: f64| match metric.better {
        Better::Lower => at - best,
        Better::Higher => best - at,
    };
    let (value, target, alert) = (bad(value).max(0.0), bad(metric.target), bad(metric.alert));
    let share = |from: f64, to: f64| if to > from { (value - from) / (to - from) } else { 1.0 };
    if value <= target {
        TARGET * share(0.0, target)
    } else if value <= alert {
        TARGET + (ALERT - TARGET) * share(target, alert)
    } else {
        ALERT + (1.0 - ALERT) * share(alert, alert + (alert - target).max(f64::MIN_POSITIVE)).min(1.0)
    }
}

/// A threshold without its unit, as short as it can be said.
pub fn threshold(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Draws the track with its marks and the bullet.
pub fn bullet(buf: &mut Buffer, area: Rect, theme: &Theme, gauge: &Judged<'_>) {
    let width = usize::from(area.width);
    if width < 6 || area.intersection(buf.area) != area {
        return;
    }
    let column = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the width")]
        let at = (share * (width - 1) as f64).round() as u16;
        area.x + at
    };
    let faint = theme.of(Role::Faint);
    let blind = matches!(gauge.verdict, Verdict::CannotTell { .. }) && gauge.value().is_none();
    let line = if blind { "┄" } else { "─" };
    buf.set_stringn(area.x, area.y, line.repeat(width), width, faint);
    let unit = gauge.metric.unit.sign();
    let marks = [(TARGET, "┊", gauge.metric.target, ""), (ALERT, "┃", gauge.metric.alert, unit)];
    for (share, mark, value, unit) in marks {
        let x = column(share);
        buf.set_stringn(x, area.y, mark, 1, theme.of(Role::Muted));
        let label = format!("{}{unit}", threshold(value));
        let room = usize::from(area.right() - x).saturating_sub(1);
        if width >= 24 && label.chars().count() < room {
            buf.set_stringn(x + 1, area.y, label, room, theme.of(Role::Muted));
        }
    }
    if let Some((value, _)) = gauge.value() {
        let (sign, _, role) = gauge.sign();
        let sign = if matches!(gauge.verdict, Verdict::CannotTell { .. }) { "○" } else { sign };
        buf.set_stringn(column(place(gauge.metric, value)), area.y, sign, 1, theme.of(role));
    }
}
