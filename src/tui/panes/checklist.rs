//! The checklist: as a whole with the details of what is selected, or, in the overview, its phases with the current one
//! unfolded.

use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::{Pane, Scene};
use crate::plan::{Gate, Item, Phase, Role as Duty};
use crate::run::state::{ItemState, PhaseStatus};
use crate::tui::rows::{Row as Line, Spot, Unfolded, rows};
use crate::tui::screen;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, span};

mod details;

/// The whole pane.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let Some(plan) = scene.world.plan() else { return };
    let filter = scene.app.filter(Pane::Checklist);
    let note = if filter.is_empty() { tally(scene) } else { format!("/{filter}") };
    let inner = screen::full(scene, buf, area, Pane::Checklist, note, Role::Muted);
    let lines = rows(plan, Unfolded::All, filter);
    let (list, more) = if inner.width >= 96 {
        let [list, _, more] =
            Layout::horizontal([Constraint::Fill(3), Constraint::Length(2), Constraint::Fill(2)])
                .areas(inner);
        (list, more)
    } else {
        let below = (inner.height / 3).max(5);
        let [list, _, more] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(1), Constraint::Length(below)])
                .areas(inner);
        (list, more)
    };
    draw_rows(scene, buf, list, &lines);
    details::draw(scene, buf, more);
}

/// As it stands in the overview.
pub fn brief(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let Some(plan) = scene.world.plan() else { return };
    let Some(open) = scene.app.phase(&scene.world) else { return };
    draw_rows(scene, buf, area, &rows(plan, Unfolded::Only(&open.id), ""));
}

/// The current phase alone, for small screens.
pub fn current(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let Some(plan) = scene.world.plan() else { return };
    let Some(open) = scene.app.phase(&scene.world) else { return };
    let lines: Vec<_> = rows(plan, Unfolded::Only(&open.id), "")
        .into_iter()
        .filter(|line| !matches!(line, Line::Phase(phase) if phase.id != open.id))
        .collect();
    draw_rows(scene, buf, area, &lines);
}

/// Settled and all.
pub fn tally(scene: &Scene<'_>) -> String {
    let phases = scene.world.plan().map_or(&[][..], |plan| plan.checklist.phases.as_slice());
    let (settled, all) = phases
        .iter()
        .map(|phase| scene.world.state.tally(phase))
        .fold((0, 0), |(a, b), (settled, all)| (a + settled, b + all));
    format!("{settled}/{all}")
}

fn draw_rows(scene: &Scene<'_>, buf: &mut Buffer, area: Rect, lines: &[Line<'_>]) {
    let spot = scene.app.spot(&scene.world);
    let at = spot.as_ref().and_then(|spot| lines.iter().position(|line| line.is(spot)));
    let room = usize::from(area.height);
    let from = at.unwrap_or(0).saturating_sub(room / 2).min(lines.len().saturating_sub(room));
    for ((place, line), area) in lines.iter().enumerate().skip(from).zip(area.rows()) {
        if Some(place) == at {
            buf.set_style(area, scene.of(Role::Selected));
        }
        match line {
            Line::Phase(phase) => phase_row(scene, phase),
            Line::Section(section) => {
                Row::new().put("  ", scene.of(Role::Muted)).put(section.title.as_str(), scene.of(Role::Muted))
            }
            Line::Item(_, item, depth) => item_row(scene, item, *depth),
            Line::Gate(_, gate) => gate_row(scene, gate),
        }
        .draw(buf, area);
    }
}

fn phase_row<'a>(scene: &Scene<'_>, phase: &'a Phase) -> Row<'a> {
    let state = scene.world.state;
    let known = state.phases.get(&phase.id);
    let (sign, role) = match state.phase(phase) {
        PhaseStatus::Done => ("✔", Role::Muted),
        PhaseStatus::Active => ("▸", Role::Title),
        PhaseStatus::Ready => ("○", Role::Text),
        PhaseStatus::Locked => ("○", Role::Muted),
    };
    let took = known.filter(|_| phase.number().is_some()).map(|known| {
        let end = known.go.as_ref().map_or(scene.world.now, |go| go.at);
        span(end - known.since)
    });
    let planned = || phase.takes.and_then(|takes| TimeDelta::from_std(takes).ok()).map(span);
    let (settled, all) = state.tally(phase);
    let number = phase.number().map(|number| format!("{number} ")).unwrap_or_default();
    let mut row = Row::new()
        .put(format!("{sign} "), scene.of(if role == Role::Title { Role::Accent } else { role }))
        .put(number, scene.of(role))
        .put(phase.title.as_str(), scene.of(role));
    if known.is_some_and(|known| known.go.is_none() && !known.no_gos.is_empty()) {
        row = row.put("  NO-GO", scene.of(Role::Warn));
    }
    let time = took.or_else(planned).unwrap_or_default();
    row.end(format!("{time:>7}"), scene.of(Role::Muted))
        .end(format!("{:>8}", format!("{settled}/{all}")), scene.of(role))
}

/// An item's sign and roles for sign and text.
pub fn sign(scene: &Scene<'_>, item: &Item) -> (&'static str, Role, Role) {
    match scene.world.state.item(&item.id) {
        ItemState::Open => ("○", Role::Muted, Role::Text),
        ItemState::Running { .. } => ("▸", Role::Accent, Role::Title),
        ItemState::Done { .. } => ("✔", Role::Muted, Role::Muted),
        ItemState::Skipped { .. } => ("−", Role::Warn, Role::Muted),
        ItemState::Failed { .. } => ("✘", Role::Bad, Role::Text),
    }
}

fn item_row<'a>(scene: &Scene<'_>, item: &'a Item, depth: usize) -> Row<'a> {
    let (sign, mark, text) = sign(scene, item);
    let mut row = Row::new()
        .put(format!("{}{sign} ", "  ".repeat(depth + 1)), scene.of(mark))
        .put(item.text.as_str(), scene.of(text));
    let state = scene.world.state;
    let (extra, role) = match state.item(&item.id) {
        ItemState::Done { value: Some(value), .. } => (format!("  {value}"), Role::Text),
        ItemState::Done { evidence: Some(_), .. } => ("  proven".into(), Role::Muted),
        ItemState::Skipped { reason, .. } => (format!("  skipped: {reason}"), Role::Warn),
        ItemState::Failed { reason, .. } => (format!("  {reason}"), Role::Bad),
        ItemState::Running { job } => (format!("  {job}"), Role::Muted),
        _ => (String::new(), Role::Muted),
    };
    if !extra.is_empty() {
        row = row.put(extra, scene.of(role));
    }
    if let Some(due) = due(scene, item) {
        row = row.end(due.0, scene.of(due.1)).end("  ", scene.of(Role::Muted));
    }
    let owner = state.owner(&item.id).map(Duty::word).unwrap_or_default();
    let mine = owner == scene.app.seat().role.word() && !state.item(&item.id).is_settled();
    row.end(format!("{owner:>7}"), scene.of(if mine { Role::Text } else { Role::Muted }))
}

/// When an open item is due, if its phase runs and the plan says when.
fn due(scene: &Scene<'_>, item: &Item) -> Option<(String, Role)> {
    let world = &scene.world;
    if world.state.item(&item.id).is_settled() {
        return None;
    }
    let (phase, _) = world.plan()?.item(&item.id)?;
    let began = world.state.phases.get(&phase.id)?.since;
    let left = began + TimeDelta::from_std(item.due?).ok()? - world.now;
    Some(if left >= TimeDelta::zero() {
        (format!("in {}", span(left)), Role::Muted)
    } else {
        (format!("due {} ago", span(-left)), Role::Warn)
    })
}

fn gate_row<'a>(scene: &Scene<'_>, gate: &'a Gate) -> Row<'a> {
    let state = scene.world.state;
    let signed = state.signatures.get(&gate.id).map_or(&[][..], Vec::as_slice);
    let whole = state.gate_is_signed(gate);
    let (sign, role) = if whole { ("◆", Role::Muted) } else { ("◇", Role::Text) };
    let names: Vec<&str> = signed.iter().map(|signature| &*signature.by.name).collect();
    let missing: Vec<&str> = gate
        .roles
        .iter()
        .filter(|role| !signed.iter().any(|signature| signature.by.role == **role))
        .map(|role| role.word())
        .collect();
    let row = Row::new().put(format!("  {sign} "), scene.of(role)).put(gate.title.as_str(), scene.of(role));
    let row = if names.is_empty() {
        row
    } else {
        row.put(format!("  {}", names.join(", ")), scene.of(Role::Muted))
    };
    if whole { row } else { row.end(missing.join(" "), scene.of(Role::Muted)) }
}

/// The place under the cursor, for the details.
fn spot(scene: &Scene<'_>) -> Option<Spot> {
    scene.app.spot(&scene.world)
}
