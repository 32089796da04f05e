//! What is firing, the oldest first, each with its age, who saw it, and the way out beside it; then what did not start.
//! Nothing is drawn while nothing fires; nothing here ever takes the focus.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Scene, World};
use crate::plan::Severity;
use crate::run::state::Guard;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, age};

/// How many lines there are to show.
pub fn count(world: &World<'_>) -> usize {
    let failures = if world.boot.is_starting() { 0 } else { world.boot.failures().count() };
    world.state.alerts.len() + failures
}

/// A line for each; the last says how many more there are.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let state = scene.world.state;
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
