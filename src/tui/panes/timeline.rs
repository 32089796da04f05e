//! The day, planned against actual against forecast, in the plan's own zone.

use chrono::{DateTime, TimeDelta, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Pane, Scene};
use crate::tui::schedule::{Schedule, Span, Times, schedule};
use crate::tui::screen;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, hour, slip, span};

/// A phase longer than this is drawn up to it and goes on beyond the edge: weeks would leave no room for minutes.
const LONG: TimeDelta = TimeDelta::hours(4);
const STUB: TimeDelta = TimeDelta::minutes(20);

/// When the day ends as things stand.
pub fn note(scene: &Scene<'_>) -> (String, Role) {
    let Some(plan) = scene.world.plan() else { return (String::new(), Role::Muted) };
    let day = schedule(plan, scene.world.state, scene.world.now);
    let short = day.phases.iter().rev().find(|times| times.forecast.1 - times.forecast.0 <= LONG);
    let Some(last) = short else { return (String::new(), Role::Muted) };
    let by = day.slip.map(|by| format!(", {}", slip(by))).unwrap_or_default();
    (format!("watch ends {}{by}", hour(last.forecast.1, plan.timezone)), Role::Muted)
}

/// Time as columns.
struct Scale {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    x: u16,
    width: u16,
}

impl Scale {
    fn of(day: &Schedule<'_>, now: DateTime<Utc>, area: Rect, label: u16) -> Option<Self> {
        let spans = || day.phases.iter().flat_map(spans_of);
        let from = spans().map(|(from, _)| from).min()?;
        let to = spans().map(|(from, to)| if to - from > LONG { from + STUB } else { to }).max()?;
        // Far before or after the day, now has no column of its own.
        let to = if now > to && now - to < LONG { now } else { to };
        (to > from && area.width > label + 4).then(|| Self {
            from,
            to,
            x: area.x + label,
            width: area.width - label,
        })
    }

    fn column(&self, at: DateTime<Utc>) -> u16 {
        let share = (at - self.from).num_seconds() as f64 / (self.to - self.from).num_seconds().max(1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the width")]
        let column = (share.clamp(0.0, 1.0) * f64::from(self.width.saturating_sub(1))).round() as u16;
        self.x + column
    }

    fn fill(&self, buf: &mut Buffer, y: u16, (from, to): Span, sign: &str, style: ratatui::style::Style) {
        let (a, b) = (self.column(from), self.column(to));
        let wide = usize::from(b.saturating_sub(a)).max(1);
        buf.set_stringn(a, y, sign.repeat(wide), wide, style);
    }
}

fn spans_of(times: &Times<'_>) -> Vec<Span> {
    times.planned.into_iter().chain([times.forecast]).collect()
}

/// Two lines, or four with an axis where there is room.
pub fn brief(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let Some(plan) = scene.world.plan() else { return };
    let now = scene.world.now;
    let day = schedule(plan, scene.world.state, now);
    let Some(scale) = Scale::of(&day, now, area, 8) else { return };
    let mut rows = area.rows();
    if area.height >= 3
        && let Some(line) = rows.next()
    {
        axis(scene, buf, line, &scale);
    }
    if let Some(line) = rows.next() {
        Row::new().put("plan", scene.of(Role::Muted)).draw(buf, line);
        for times in &day.phases {
            if let Some(planned) = times.planned {
                scale.fill(buf, line.y, planned, "━", scene.of(Role::Muted));
                number(scene, buf, line.y, &scale, times, planned.0);
            }
        }
    }
    if let Some(line) = rows.next() {
        Row::new().put("actual", scene.of(Role::Muted)).draw(buf, line);
        for times in &day.phases {
            real(scene, buf, line.y, &scale, times);
            number(scene, buf, line.y, &scale, times, times.forecast.0);
        }
        if now >= scale.from && now <= scale.to {
            buf.set_stringn(scale.column(now), line.y, "│", 1, scene.of(Role::Accent));
        }
    }
}

fn number(scene: &Scene<'_>, buf: &mut Buffer, y: u16, scale: &Scale, times: &Times<'_>, at: DateTime<Utc>) {
    let label = times.phase.number().map(|number| number.to_string()).unwrap_or_default();
    buf.set_stringn(scale.column(at), y, label, 2, scene.of(Role::Title));
}

/// What happened is solid, what runs is half, what is forecast is light.
fn real(scene: &Scene<'_>, buf: &mut Buffer, y: u16, scale: &Scale, times: &Times<'_>) {
    let now = scene.world.now;
    let (solid, light) = (scene.of(Role::Progress), scene.of(Role::Faint));
    match times.actual {
        Some((since, Some(end))) => scale.fill(buf, y, (since, end), "█", solid),
        Some((since, None)) => {
            scale.fill(buf, y, (since, times.forecast.1), "▒", solid);
            scale.fill(buf, y, (since, now), "█", solid);
        }
        None => scale.fill(buf, y, times.forecast, "░", light),
    }
}

fn axis(scene: &Scene<'_>, buf: &mut Buffer, line: Rect, scale: &Scale) {
    let zone = scene.world.zone();
    let step = if scale.width >= 120 { TimeDelta::minutes(30) } else { TimeDelta::hours(1) };
    let mut at = scale.from;
    while at <= scale.to {
        let x = scale.column(at);
        if line.right().saturating_sub(x) >= 6 {
            buf.set_stringn(x, line.y, hour(at, zone), 5, scene.of(Role::Faint));
        }
        at += step;
    }
}

/// The whole pane: a phase a block, with its times.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let (words, role) = note(scene);
    let inner = screen::full(scene, buf, area, Pane::Timeline, words, role);
    let Some(plan) = scene.world.plan() else { return };
    let now = scene.world.now;
    let day = schedule(plan, scene.world.state, now);
    let zone = plan.timezone;
    let label = if inner.width >= 110 { 30 } else { 8 };
    let Some(scale) = Scale::of(&day, now, inner, label) else {
        Row::new().put("the plan names no times", scene.of(Role::Muted)).draw(buf, inner);
        return;
    };
    axis(scene, buf, Rect { height: 1, ..inner }, &scale);
    let each: u16 = if inner.height >= 26 { 4 } else { 3 };
    for (place, times) in day.phases.iter().enumerate() {
        let y = inner.y + 1 + u16::try_from(place).unwrap_or(0) * each;
        if y + 2 > inner.bottom() {
            break;
        }
        let title = format!("{} {}", times.phase.number().unwrap_or(0), times.phase.title);
        let range = |(from, to): Span| {
            let end = if to - from > LONG { format!("+{}", span(to - from)) } else { hour(to, zone) };
            format!("{}–{end}", hour(from, zone))
        };
        let planned = times.planned.map(|planned| format!("planned {}", range(planned))).unwrap_or_default();
        let (word, real_words) = match times.actual {
            Some((_, Some(_))) => ("was", range(times.forecast)),
            Some((_, None)) => ("runs", range(times.forecast)),
            None => ("forecast", range(times.forecast)),
        };
        let late = times.planned.map(|planned| times.forecast.1 - planned.1);
        let late = late.map(slip).unwrap_or_default();
        Row::new()
            .put(title, scene.of(Role::Title))
            .end(format!("{planned}   {word} {real_words}   {late:>6}"), scene.of(Role::Muted))
            .draw(buf, Rect { y, height: 1, ..inner });
        if let Some(planned) = times.planned {
            scale.fill(buf, y + 1, planned, "━", scene.of(Role::Muted));
        }
        if each == 4 && y + 2 < inner.bottom() {
            real(scene, buf, y + 2, &scale, times);
        } else {
            // Two rows only: what happened lies over the plan.
            real(scene, buf, y + 1, &scale, times);
        }
    }
}
