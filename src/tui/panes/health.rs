//! The gauges: value, place on the track, verdict, observations, age. What cannot be told never looks like zero, nor like good.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{Pane, Scene};
use crate::plan::{Better, Metric};
use crate::run::judge::{Verdict, figure};
use crate::run::live::Reading;
use crate::run::state::Sync;
use crate::tui::screen;
use crate::tui::theme::Role;
use crate::tui::widgets::bar::trend;
use crate::tui::widgets::gauge::{Judged, bullet};
use crate::tui::widgets::text::{Row, age, count, span, wrap};

fn gauges<'a>(scene: &Scene<'a>) -> Vec<Judged<'a>> {
    let metrics = scene.world.plan().map_or(&[][..], |plan| plan.metrics.as_slice());
    metrics.iter().map(|metric| Judged::new(metric, &scene.world)).collect()
}

/// Whether every gauge says something.
pub fn note(scene: &Scene<'_>) -> (String, Role) {
    let gauges = gauges(scene);
    let blind = gauges.iter().filter(|gauge| matches!(gauge.verdict, Verdict::CannotTell { .. })).count();
    if gauges.is_empty() {
        ("the plan names no gauge".into(), Role::Muted)
    } else if blind == 0 {
        ("all sources alive".into(), Role::Muted)
    } else {
        (format!("CANNOT TELL {blind} of {}", gauges.len()), Role::Unknown)
    }
}

/// A line each.
pub fn brief(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let gauges = gauges(scene);
    let every = if usize::from(area.height) + 1 >= gauges.len() * 2 && area.height >= 8 { 2 } else { 1 };
    for (place, gauge) in gauges.iter().enumerate() {
        let y = area.y + u16::try_from(place * every).unwrap_or(u16::MAX / 2);
        if y >= area.bottom() {
            break;
        }
        line(scene, buf, Rect { y, height: 1, ..area }, gauge);
    }
}

/// From this width on a line has room for words in the place of its track.
const WIDE: u16 = 84;

const fn label(area: Rect) -> u16 {
    if area.width >= WIDE { 15 } else { 14 }
}

const fn right(area: Rect) -> u16 {
    if area.width >= WIDE { 29 } else { 26 }
}

/// Between the value and the verdict.
fn track(area: Rect) -> Rect {
    let from = area.x + label(area) + 9 + 2;
    Rect { x: from, width: area.right().saturating_sub(from + right(area) + 2), ..area }
}

fn line(scene: &Scene<'_>, buf: &mut Buffer, area: Rect, gauge: &Judged<'_>) {
    let wide = area.width >= WIDE;
    let (value, value_role) = gauge.figure();
    let (sign, word, role) = gauge.sign();
    let label = label(area);
    let left = Row::new().column(&gauge.metric.label, label.into(), scene.of(Role::Text)).number(
        &value,
        9,
        scene.of(value_role),
    );
    let n = gauge.observations().map_or_else(String::new, |n| format!("n {}", count(n)));
    let old = gauge.age.map_or_else(String::new, age);
    let right = right(area);
    let end = Row::new().put(format!("{sign} "), scene.of(role)).column(word, 10, scene.of(role));
    let end = if wide {
        end.number(&n, 10, scene.of(Role::Muted))
    } else {
        end.number(&n, 8, scene.of(Role::Muted))
    };
    let end = end.number(&old, if wide { 7 } else { 6 }, scene.of(Role::Muted));
    left.draw(buf, area);
    let mut track = track(area);
    if track.width >= 64 {
        let (values, low, high) = picture(scene, gauge.metric);
        Row::new().put(trend(&values, 24, low, high), scene.of(Role::Faint)).draw(buf, track);
        track = Rect { x: track.x + 26, width: track.width - 26, ..track };
    }
    match gauge.why().filter(|_| wide) {
        Some(why) => Row::new().put(why, scene.of(Role::Unknown)).draw(buf, track),
        None => bullet(buf, track, scene.theme, gauge),
    }
    end.draw(buf, Rect { x: area.right().saturating_sub(right), width: right, ..area });
}

/// The whole pane.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let (words, role) = note(scene);
    let inner = screen::full(scene, buf, area, Pane::Health, words, role);
    let gauges = gauges(scene);
    let each = if usize::from(inner.height) >= gauges.len() * 4 + 2 { 4 } else { 3 };
    let spare = if each == 4 { 2 } else { 1 };
    let picked = scene.app.pick(Pane::Health).unwrap_or(0).min(gauges.len().saturating_sub(1));
    for (place, gauge) in gauges.iter().enumerate() {
        let y = inner.y + u16::try_from(place * each).unwrap_or(u16::MAX / 2);
        if y + 1 >= inner.bottom() {
            break;
        }
        let head = Rect { y, height: 1, ..inner };
        if place == picked {
            buf.set_style(head, scene.of(Role::Selected));
        }
        line(scene, buf, head, gauge);
        if y + 1 < inner.bottom() {
            story(scene, gauge).draw(buf, Rect { y: y + 1, height: 1, ..inner });
        }
        // Why nothing can be told is told whole, where the line had no room for it.
        let why =
            gauge.why().filter(|why| inner.width < WIDE || why.width() > usize::from(track(head).width));
        let below = Rect { y: y + 2, height: spare, ..inner }.intersection(inner);
        let lines = why.map(|why| wrap(why, usize::from(inner.width).saturating_sub(2))).unwrap_or_default();
        for (words, line) in lines.into_iter().zip(below.rows()) {
            Row::new().put("  ", scene.of(Role::Text)).put(words, scene.of(Role::Unknown)).draw(buf, line);
        }
    }
    let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    if usize::from(inner.height) > gauges.len() * each {
        sync(scene).draw(buf, last);
    }
}

/// The recent values, and the range in which they are drawn. The alert bounds it, so that a height means something.
fn picture(scene: &Scene<'_>, metric: &Metric) -> (Vec<Option<f64>>, f64, f64) {
    let series = scene.world.live.series.get(&metric.id);
    let values: Vec<Option<f64>> = series
        .into_iter()
        .flatten()
        .map(|sample| match sample.reading {
            Reading::Value { value, .. } if value.is_finite() => Some(value),
            _ => None,
        })
        .collect();
    let seen = values.iter().flatten().copied();
    let (low, high) = match metric.better {
        Better::Lower => (0.0, seen.fold(metric.target * 2.0, f64::max)),
        Better::Higher => (seen.fold(metric.alert, f64::min), 100.0_f64.max(metric.target)),
    };
    (values, low, high)
}

/// The last readings, and what the gauge stands on.
fn story(scene: &Scene<'_>, gauge: &Judged<'_>) -> Row<'static> {
    let metric = gauge.metric;
    let (values, low, high) = picture(scene, metric);
    let versus = match metric.better {
        Better::Lower => ("<", ">"),
        Better::Higher => (">", "<"),
    };
    let (window, fresh) = (chrono_span(metric.window), chrono_span(metric.fresh));
    let facts = format!(
        "  target {} {}  alert {} {}  over {window}, fresh {fresh}, min n {}  {}",
        versus.0,
        figure(metric, metric.target),
        versus.1,
        figure(metric, metric.alert),
        metric.min_samples,
        metric.source
    );
    let alert = scene.world.state.alerts.get(&metric.id);
    let row = Row::new()
        .put(trend(&values, 28, low, high), scene.of(Role::Progress))
        .put(facts, scene.of(Role::Muted));
    match alert {
        Some(alert) => {
            row.end(format!("▲ since {}", span(scene.world.now - alert.since)), scene.of(Role::Bad))
        }
        None => row,
    }
}

fn chrono_span(of: std::time::Duration) -> String {
    chrono::TimeDelta::from_std(of).map(span).unwrap_or_default()
}

fn sync(scene: &Scene<'_>) -> Row<'static> {
    let row = Row::new().put("incremental sync  ", scene.of(Role::Text));
    match &scene.world.state.sync {
        Sync::Off => row.put("off", scene.of(Role::Muted)),
        Sync::On { last, passes, good, bad } => row.put(
            format!("pass {passes}, {good} settled, {bad} failed, {} ago", age(scene.world.now - *last)),
            scene.of(if *bad > 0 { Role::Warn } else { Role::Muted }),
        ),
    }
}
