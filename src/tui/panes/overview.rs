//! All at once: where we are, whether it is healthy, what is next, who does it, how we get out.
//!
//! ```text
//! wide (from 100 columns)                      narrow
//! ╭ Checklist ──╮╭ Health ───────────╮         ── current phase ──
//! │             ││ gauges            │         ── health ──
//! │             │├ Import ───────────┤         one line each
//! │             │├ Migrations ───────┤         work · way out
//! │             │├ Way out ──────────┤
//! ╰─────────────╯╰───────────────────╯
//! ╭ Timeline ────────────────────────╮
//! ╭ Log ─────────────────────────────╮
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use super::{Pane, Scene, World, checklist, health, import, log, migrations, timeline, wayout};
use crate::tui::screen::{self, WIDE};
use crate::tui::theme::Role;
use crate::tui::widgets::frame::Shape;
use crate::tui::widgets::text::columns;
use crate::tui::widgets::{Panel, panel};

/// The panes of a wide overview and their places.
fn places(area: Rect, world: &World<'_>) -> Vec<(Pane, Rect)> {
    let metrics = columns(world.plan().map_or(0, |plan| plan.metrics.len()));
    let rungs = columns(world.plan().map_or(0, |plan| plan.ladder.len()));
    let tall = area.height >= 46;
    let (timeline, log) = match area.height {
        46.. => (5, area.height / 4),
        34.. => (5, 8),
        _ => (4, area.height.saturating_sub(28).clamp(4, 10)),
    };
    let [top, time, logs] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(timeline), Constraint::Length(log)])
            .areas(area);
    let left = (area.width * 2 / 5).clamp(44, 76);
    let [list, right] = Layout::horizontal([Constraint::Length(left), Constraint::Fill(1)]).areas(top);
    let gap = u16::from(tall);
    let [health, import, migrations, wayout] = Layout::vertical([
        Constraint::Length(metrics * (1 + gap) + 2),
        Constraint::Length(4 + gap),
        Constraint::Fill(1),
        Constraint::Length(rungs + 2 + gap),
    ])
    .areas(right);
    vec![
        (Pane::Checklist, list),
        (Pane::Health, health),
        (Pane::Import, import),
        (Pane::Migrations, migrations),
        (Pane::WayOut, wayout),
        (Pane::Timeline, time),
        (Pane::Log, logs),
    ]
}

/// The pane under a place on the screen.
pub fn pane_at(screen: Rect, world: &World<'_>, at: Position) -> Option<Pane> {
    let [_, _, body, _] = screen::parts(screen, world);
    if body.width < WIDE {
        return None;
    }
    places(body, world).into_iter().find(|(_, place)| place.contains(at)).map(|(pane, _)| pane)
}

/// Draws it.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    if area.width < WIDE {
        narrow(scene, buf, area);
        return;
    }
    for (pane, place) in places(area, &scene.world) {
        let (note, role) = note(scene, pane);
        let shape = if pane == Pane::Checklist { Shape::Focus } else { Shape::Box };
        let inner = panel(buf, place, scene.theme, &Panel::new(pane.title()).note(note, role).shape(shape));
        brief(scene, buf, inner, pane);
    }
}

fn note(scene: &Scene<'_>, pane: Pane) -> (String, Role) {
    match pane {
        Pane::Checklist => (checklist::tally(scene), Role::Muted),
        Pane::Health => health::note(scene),
        Pane::Import => import::note(scene),
        Pane::Migrations => migrations::note(scene),
        Pane::WayOut => wayout::note(scene),
        Pane::Timeline => timeline::note(scene),
        Pane::Log | Pane::Overview => (String::new(), Role::Muted),
    }
}

fn brief(scene: &Scene<'_>, buf: &mut Buffer, area: Rect, pane: Pane) {
    match pane {
        Pane::Checklist => checklist::brief(scene, buf, area),
        Pane::Health => health::brief(scene, buf, area),
        Pane::Import => import::brief(scene, buf, area),
        Pane::Migrations => migrations::brief(scene, buf, area),
        Pane::WayOut => wayout::brief(scene, buf, area),
        Pane::Timeline => timeline::brief(scene, buf, area),
        Pane::Log => log::brief(scene, buf, area),
        Pane::Overview => {}
    }
}

/// Stacked: enough to run a deployment.
fn narrow(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let metrics = columns(scene.world.plan().map_or(0, |plan| plan.metrics.len()));
    let tall = area.height >= 34;
    let [phase, gauges, work, way, logs] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(metrics + 1),
        Constraint::Length(if tall { 5 } else { 2 }),
        Constraint::Length(if tall { 4 } else { 2 }),
        Constraint::Length(if tall { 6 } else { 0 }),
    ])
    .areas(area);
    let ruled = |buf: &mut Buffer, area: Rect, title: &str, (note, role): (String, Role)| {
        panel(buf, area, scene.theme, &Panel::new(title).note(note, role).shape(Shape::Rule))
    };
    let inner = ruled(buf, phase, "Checklist", (checklist::tally(scene), Role::Muted));
    checklist::current(scene, buf, inner);
    let inner = ruled(buf, gauges, "Health", health::note(scene));
    health::brief(scene, buf, inner);
    // One of the two is what matters now: the import once it was asked for, the migrations before.
    if import::job(scene).is_some() {
        let inner = ruled(buf, work, "Pulse import", import::note(scene));
        import::brief(scene, buf, inner);
    } else {
        let inner = ruled(buf, work, "Migrations", migrations::note(scene));
        migrations::brief(scene, buf, inner);
    }
    let inner = ruled(buf, way, "Way out", wayout::note(scene));
    if tall {
        wayout::brief(scene, buf, inner);
    } else {
        wayout::one(scene, buf, inner);
    }
    if tall {
        let inner = ruled(buf, logs, "Log", (String::new(), Role::Muted));
        log::brief(scene, buf, inner);
    }
}
