//! The whole screen: header, alerts, pane, footer, and what lies on top. From a scene to cells, and nothing else.
//!
//! ```text
//! header   where are we: name, LIVE or REHEARSAL, phase, clock, T, slip, guard, who is on
//! alerts   only when one fires
//! pane     the overview, or one of the seven others
//! footer   what is next and who does it (or the last refusal); the keys that do something now
//! ```

use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::panes::{self, Pane, Scene, World, alerts};
use super::schedule::schedule;
use super::theme::Role;
use super::widgets::text::{Row, slip, span};
use super::widgets::{Panel, panel};
use super::{BootStatus, BootStep};
use crate::plan::PhaseKind;
use crate::run::state::{Guard, PhaseStatus};

mod footer;

/// From this width on panes stand side by side.
pub const WIDE: u16 = 100;
/// From this width on the header needs one line only.
const ONE_LINE: u16 = 150;

/// The parts of the screen: header, alerts, pane, footer.
pub fn parts(area: Rect, world: &World<'_>) -> [Rect; 4] {
    let header = if area.width >= ONE_LINE { 1 } else { 2 };
    Layout::vertical([
        Constraint::Length(header),
        Constraint::Length(alerts::height(world, area.width)),
        Constraint::Fill(1),
        Constraint::Length(2),
    ])
    .areas(area)
}

/// Draws everything.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    buf.set_style(area, scene.of(Role::Ground).patch(scene.of(Role::Text)));
    let [head, alarm, body, foot] = parts(area, &scene.world);
    header(scene, buf, head);
    alerts::draw(scene, buf, alarm);
    if scene.world.plan().is_none() || scene.world.boot.is_starting() {
        boot(scene, buf, body);
    } else {
        panes::draw(scene, buf, body);
    }
    footer::draw(scene, buf, foot);
    for overlay in scene.app.overlays() {
        overlay.draw(scene, buf, area);
    }
}

fn header(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let world = &scene.world;
    let (text, muted) = (scene.of(Role::Text), scene.of(Role::Muted));
    let title = Row::new().put(" gonogo  ", muted);
    let Some((plan, run)) = world.plan().zip(world.state.run.as_ref()) else {
        let (words, style) = if world.boot.has_failed() {
            ("nothing was opened", scene.of(Role::Bad))
        } else {
            ("starting", text)
        };
        title.put(words, style).draw(buf, area);
        return;
    };
    let (sign, role) =
        if world.rehearses() { (" REHEARSAL ", Role::Rehearsal) } else { (" LIVE ", Role::Live) };
    let title = title
        .put(plan.name.as_str(), scene.of(Role::Title))
        .put(format!(" {}  ", plan.version), muted)
        .put(sign, scene.of(role));
    let all = plan.checklist.phases.iter().filter(|phase| phase.number().is_some()).count();
    let mock = world.state.mocked().is_some();
    let phase = match world.state.current_phase() {
        _ if run.ended.is_some() => {
            run.ended.map_or_else(String::new, |(_, ending)| ending.words().to_owned())
        }
        None => "all phases through".into(),
        Some(phase) => {
            let number = match phase.kind {
                PhaseKind::Numbered(number) => format!("phase {number}/{all} "),
                PhaseKind::Preparation | PhaseKind::AfterCare => String::new(),
            };
            let waits = if world.state.phase(phase) == PhaseStatus::Active { "" } else { " (not begun)" };
            format!("{number}{}{waits}", phase.title)
        }
    };
    let day = schedule(plan, world.state, world.now);
    let local = world.now.with_timezone(&plan.timezone);
    let clock = local.format("%H:%M:%S %Z").to_string();
    let t = day.zero.map(|zero| t_words(world.now - zero)).unwrap_or_default();
    let late = day.slip.unwrap_or_default();
    let late_role = if late >= TimeDelta::minutes(15) { Role::Warn } else { Role::Muted };
    let late = day.slip.map(|by| format!("slip {}", slip(by))).unwrap_or_default();
    let (guard, guard_role) = match &world.state.guard {
        Guard::Closed => ("guard closed", Role::Muted),
        Guard::Armed { .. } => ("ARMED", Role::Accent),
    };
    let mut people = Row::new();
    for person in &world.live.present {
        let me = *person.cockpit == *world.cockpit;
        let role = if me { Role::Accent } else { Role::Muted };
        people = people.end(format!("{} ", person.role), scene.of(role)).end("● ", scene.of(role));
    }
    if world.live.present.is_empty() {
        people = people.end(format!("{} ", scene.app.seat().role), scene.of(Role::Accent)).end("○ ", muted);
    }
    // Said before anything else on its line: nobody may take an invented person for a real one.
    let (before, first) = if area.height == 1 { (title, Row::new()) } else { (Row::new(), title) };
    let before = if mock { before.put(" MOCK DATA ", scene.of(Role::Bad)) } else { before };
    if area.height == 1 {
        before
            .put(format!("  {phase}   "), text)
            .put(clock, text)
            .put(format!("  {t}   "), muted)
            .put(late, scene.of(late_role))
            .put("   ", muted)
            .put(guard, scene.of(guard_role))
            .with_end_of(people)
            .draw(buf, area);
    } else {
        first
            .put("  ", muted)
            .put(guard, scene.of(guard_role))
            .end(clock, text)
            .end(" ", text)
            .draw(buf, area);
        let second = Rect { y: area.y + 1, height: 1, ..area };
        before
            .put(format!(" {phase}  "), text)
            .put(format!("{t}  "), muted)
            .put(late, scene.of(late_role))
            .with_end_of(people)
            .draw(buf, second);
    }
}

/// T+1:07:42, or T-3d04h while it is far.
fn t_words(t: TimeDelta) -> String {
    let sign = if t < TimeDelta::zero() { '-' } else { '+' };
    let t = t.abs();
    if t >= TimeDelta::days(1) {
        return format!("T{sign}{}", span(t));
    }
    let s = t.num_seconds();
    format!("T{sign}{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// The start-up, where the panes will be.
fn boot(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let steps = &scene.world.boot.steps;
    let (note, role) = if scene.world.boot.has_failed() {
        ("✘ did not start", Role::Bad)
    } else if scene.world.boot.is_starting() {
        ("starting", Role::Muted)
    } else {
        ("waiting for the run", Role::Muted)
    };
    let inner = panel(buf, area, scene.theme, &Panel::new("Start").note(note, role));
    let mut rows = inner.rows();
    let mut put = |row: Row<'_>| {
        if let Some(area) = rows.next() {
            row.draw(buf, area);
        }
    };
    for BootStep { name, status } in steps {
        let (sign, role) = match status {
            BootStatus::Waiting => ("○ ", Role::Muted),
            BootStatus::Doing => ("▸ ", Role::Accent),
            BootStatus::Done { .. } => ("✔ ", Role::Muted),
            BootStatus::Failed { .. } => ("✘ ", Role::Bad),
        };
        let words = if matches!(status, BootStatus::Doing) { Role::Text } else { role };
        let row = Row::new().put(sign, scene.of(role)).put(name.as_str(), scene.of(words));
        match status {
            BootStatus::Done { note } if !note.is_empty() => {
                put(row.put(format!("  {note}"), scene.of(Role::Muted)));
            }
            BootStatus::Failed { what, next } => {
                put(row);
                for line in super::widgets::text::wrap(what, usize::from(inner.width.saturating_sub(4))) {
                    put(Row::new().put("    ", scene.of(Role::Text)).put(line, scene.of(Role::Text)));
                }
                for line in super::widgets::text::wrap(next, usize::from(inner.width.saturating_sub(6))) {
                    put(Row::new().put("    → ", scene.of(Role::Accent)).put(line, scene.of(Role::Text)));
                }
            }
            _ => put(row),
        }
    }
    if steps.is_empty() {
        put(Row::new().put("no run is open here yet", scene.of(Role::Muted)));
    }
}

/// The title line of a full pane and what is inside.
pub(super) fn full(
    scene: &Scene<'_>,
    buf: &mut Buffer,
    area: Rect,
    pane: Pane,
    note: String,
    role: Role,
) -> Rect {
    let number = pane as usize + 1;
    let title = format!("{number} {}", pane.title());
    panel(
        buf,
        area,
        scene.theme,
        &Panel::new(&title).note(note, role).shape(super::widgets::frame::Shape::Focus),
    )
}
