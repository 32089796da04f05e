//! What no pane may be read without: that the journal cannot be followed or written; what is firing, the oldest first, each
//! with its age, who saw it, and the way out beside it; what did not start.
//! Nothing is drawn while all is well; nothing here ever takes the focus.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::{Scene, World};
use crate::plan::Severity;
use crate::run::state::Guard;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, age, clock, columns, wrap};

/// Alerts and failures share so many lines; the journal's trouble has its own.
const LINES: usize = 2;
const TROUBLE: usize = 4;

/// How many alerts and failures there are to show.
fn count(world: &World<'_>) -> usize {
    // Without a plan the start-up itself fills the screen, and says it at length.
    let failures = if world.plan().is_none() { 0 } else { world.boot.failures().count() };
    world.state.alerts.len() + failures
}

/// How many lines it all takes on a screen of that width.
pub fn height(world: &World<'_>, width: u16) -> u16 {
    columns(trouble(world, width).len() + count(world).min(LINES))
}

/// What is the matter with the journal, and what that means for all that is on the screen.
fn trouble(world: &World<'_>, width: u16) -> Vec<String> {
    let Some(what) = world.trouble else { return Vec::new() };
    let since = clock(world.state.at, world.zone());
    let words = format!("nothing can be recorded, and what is shown is the run as of {since}: {what}");
    let mut lines = wrap(&words, usize::from(width).saturating_sub(SIGN.chars().count() + 1));
    lines.truncate(TROUBLE);
    lines
}

const SIGN: &str = " ✘ JOURNAL ";

/// A line for each; the last says how many more there are.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let state = scene.world.state;
    let trouble = trouble(&scene.world, area.width);
    let [above, area] =
        Layout::vertical([Constraint::Length(columns(trouble.len())), Constraint::Fill(1)]).areas(area);
    for (place, (words, line)) in trouble.into_iter().zip(above.rows()).enumerate() {
        let sign = if place == 0 { SIGN.to_owned() } else { " ".repeat(SIGN.chars().count()) };
        Row::new()
            .put(sign, scene.of(Role::Bad))
            .put(words, scene.of(if place == 0 { Role::Bad } else { Role::Text }))
            .draw(buf, line);
    }
    let mut firing: Vec<_> = state.alerts.iter().collect();
    firing.sort_by_key(|(_, alert)| alert.fired);
    let lines = usize::from(area.height);
    let more = count(&scene.world).saturating_sub(lines);
    let mut rows = area.rows();
    for (place, ((id, alert), line)) in firing.into_iter().zip(rows.by_ref()).enumerate() {
        let metric = scene.world.plan().and_then(|plan| plan.metric(id));
        let critical = metric.is_some_and(|metric| metric.severity == Severity::Critical);
        let (sign, role) =
            if critical { (" ▲ CRITICAL ", Role::Bad) } else { (" ◆ WARNING ", Role::Warn) };
        let label = metric.map_or_else(|| id.to_string(), |metric| metric.label.clone());
        let seen = alert
            .seen
            .as_ref()
            .map_or_else(|| "not yet seen (a)".into(), |seen| format!("seen by {}", seen.by.name));
        let mut row = Row::new()
            .put(sign, scene.of(role))
            .put(format!(" {label} {}", alert.reading), scene.of(Role::Text))
            .put(format!("  for {}  {seen}", age(scene.world.now - alert.since)), scene.of(Role::Muted));
        if place + 1 == lines && more > 0 {
            row = row.end(format!("and {more} more "), scene.of(role));
        } else if critical && let Some(rung) = scene.app.rung(&scene.world) {
            let key = if state.guard == Guard::Closed { "A then R" } else { "R" };
            row = row
                .end(key, scene.of(Role::Accent))
                .end(format!(" {}, loses {} ", rung.title, rung.loses), scene.of(Role::Text));
        }
        row.draw(buf, line);
    }
    for ((name, what, next), line) in scene.world.boot.failures().zip(rows) {
        Row::new()
            .put(" ✘ not started ", scene.of(Role::Warn))
            .put(format!(" {name}: {what} → {next}"), scene.of(Role::Text))
            .draw(buf, line);
    }
}
