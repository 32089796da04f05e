//! What is selected in the checklist, whole: text, owner, answer, evidence, commands, notes; signatures; what holds a GO.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{sign, spot};
use crate::plan::{Gate, Item, ItemKind, Phase, Section};
use crate::run::event::NoteKind;
use crate::run::state::{Decision, ItemState, PhaseStatus};
use crate::run::{JobId, obstacles};
use crate::tui::panes::Scene;
use crate::tui::rows::Spot;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, clock, wrap};

/// Lines that are gathered and then drawn as far as there is room.
struct Page<'a, 'b> {
    scene: &'a Scene<'b>,
    width: usize,
    lines: Vec<(String, Role)>,
}

impl Page<'_, '_> {
    fn say(&mut self, text: &str, role: Role) {
        self.lines.extend(wrap(text, self.width).into_iter().map(|line| (line, role)));
    }

    fn literal(&mut self, text: &str, role: Role) {
        self.lines.extend(text.lines().map(|line| (format!("  {line}"), role)));
    }

    fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push((String::new(), Role::Text));
        }
    }

    fn signed(&self, by: &crate::run::Actor, at: chrono::DateTime<chrono::Utc>) -> String {
        format!("{} ({}) at {}", by.name, by.role, clock(at, self.scene.world.zone()))
    }
}

pub(super) fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let Some((plan, spot)) = scene.world.plan().zip(spot(scene)) else { return };
    let mut page = Page { scene, width: usize::from(area.width), lines: Vec::new() };
    match &spot {
        Spot::Phase(id) => {
            if let Some(found) = plan.phase(id) {
                phase(&mut page, found);
            }
        }
        Spot::Item(id) => {
            if let Some((_, found)) = plan.item(id) {
                item(&mut page, found);
            }
        }
        Spot::Gate(id) => {
            if let Some((_, section, found)) = plan.gate(id) {
                gate(&mut page, section, found);
            }
        }
    }
    for ((text, role), line) in page.lines.iter().zip(area.rows()) {
        Row::new().put(text.as_str(), scene.of(*role)).draw(buf, line);
    }
}

fn phase(page: &mut Page<'_, '_>, phase: &Phase) {
    let state = page.scene.world.state;
    page.say(&phase.title, Role::Title);
    let status = match state.phase(phase) {
        PhaseStatus::Locked => "behind a gate without GO",
        PhaseStatus::Ready => "may begin",
        PhaseStatus::Active => "being worked on",
        PhaseStatus::Done => "through its gate",
    };
    let owner = phase.owner.map(|owner| format!("{owner}, ")).unwrap_or_default();
    page.say(&format!("{owner}{status}"), Role::Muted);
    if let Some(known) = state.phases.get(&phase.id) {
        let called = |page: &mut Page<'_, '_>, word: &str, call: &Decision, role| {
            let who = page.signed(&call.by, call.at);
            page.say(&format!("{word} by {who}: {}", call.words), role);
        };
        for call in &known.no_gos {
            called(page, "NO-GO", call, Role::Warn);
        }
        if let Some(call) = &known.go {
            called(page, "GO", call, Role::Text);
        }
    }
    if state.phase(phase) == PhaseStatus::Active {
        let held = obstacles(state, phase);
        page.gap();
        page.say(
            if held.is_empty() { "Nothing stands between this phase and its GO." } else { "Before GO:" },
            Role::Text,
        );
        for what in held.iter().take(12) {
            page.say(&format!("○ {what}"), Role::Muted);
        }
    }
    for section in phase.sections.iter().filter(|section| !section.prose.trim().is_empty()) {
        page.gap();
        page.literal(section.prose.trim(), Role::Muted);
    }
}

fn item(page: &mut Page<'_, '_>, item: &Item) {
    let scene = page.scene;
    let state = scene.world.state;
    let (mark, role, _) = sign(scene, item);
    let title = if role == Role::Muted { Role::Title } else { role };
    page.say(&format!("{mark} {}", item.text), title);
    let mut facts = Vec::new();
    facts.extend(state.owner(&item.id).map(|owner| owner.to_string()));
    facts.extend(item.action.as_ref().map(|action| format!("action {}", spoken(action))));
    facts.extend(item.check.as_ref().map(|check| format!("check {}", spoken(check))));
    match &item.kind {
        ItemKind::Tick => {}
        ItemKind::Value { expect: Some(expect) } => {
            facts.push(format!("asks for a value, expected {expect}"));
        }
        ItemKind::Value { expect: None } => facts.push("asks for a value".into()),
        ItemKind::Choice { of } => facts.push(format!("one of {}", of.join(", "))),
    }
    facts.push(format!("line {}", item.line));
    page.say(&facts.join(" · "), Role::Muted);
    match state.item(&item.id) {
        ItemState::Open => {}
        ItemState::Running { job } => running(page, *job),
        ItemState::Done { by, at, value, evidence } => {
            let who = page.signed(by, *at);
            page.say(&format!("done by {who}"), Role::Text);
            if let Some(value) = value {
                page.say(&format!("value {value}"), Role::Text);
            }
            if let Some(evidence) = evidence {
                page.say(&format!("proven: {evidence}"), Role::Text);
            }
        }
        ItemState::Skipped { by, at, reason } => {
            let who = page.signed(by, *at);
            page.say(&format!("skipped by {who}: {reason}"), Role::Warn);
        }
        ItemState::Failed { by, at, reason } => {
            let who = page.signed(by, *at);
            page.say(&format!("failed, {who}: {reason}"), Role::Bad);
        }
    }
    for block in &item.commands {
        page.gap();
        page.literal(&block.text, Role::Text);
    }
    let notes: Vec<_> = state.notes.iter().filter(|note| note.item.as_ref() == Some(&item.id)).collect();
    if !notes.is_empty() {
        page.gap();
    }
    for note in notes {
        let who = page.signed(&note.by, note.at);
        let (kind, role) = match note.kind {
            NoteKind::Note => ("note", Role::Muted),
            NoteKind::Deviation => ("deviation", Role::Warn),
        };
        page.say(&format!("{kind} by {who}: {}", note.text), role);
    }
}

fn running(page: &mut Page<'_, '_>, id: JobId) {
    let world = &page.scene.world;
    let Some(job) = world.state.jobs.get(&id) else { return };
    let (done, all) = job.steps_done();
    page.say(&format!("▸ {} {id}, {done} of {all} steps", job.kind.title()), Role::Accent);
    if let Some(progress) = world.live.progress.get(&id) {
        page.say(&progress.doing, Role::Text);
    }
}

fn gate(page: &mut Page<'_, '_>, section: &Section, gate: &Gate) {
    let state = page.scene.world.state;
    page.say(&gate.title, Role::Title);
    if !section.title.is_empty() {
        page.say(&format!("over {:?}", section.title), Role::Muted);
    }
    let signed = state.signatures.get(&gate.id).map_or(&[][..], Vec::as_slice);
    for signature in signed {
        let who = page.signed(&signature.by, signature.at);
        page.say(&format!("◆ signed by {who}"), Role::Text);
    }
    for role in gate.roles.iter().filter(|role| !signed.iter().any(|signature| signature.by.role == **role)) {
        page.say(&format!("◇ {role} has not signed"), Role::Muted);
    }
    if gate.people > 1 {
        page.say(&format!("{} different people must sign", gate.people), Role::Muted);
    }
    let open = section.all_items().filter(|item| !state.item(&item.id).is_settled()).count();
    if open > 0 {
        page.say(&format!("{open} items above it are open"), Role::Muted);
    }
}

/// An action or a check as the file would say it.
fn spoken(what: &impl serde::Serialize) -> String {
    let Ok(serde_json::Value::Object(map)) = serde_json::to_value(what) else { return String::new() };
    let plain = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let name = ["do", "prove"].iter().find_map(|key| map.get(*key)).map(plain).unwrap_or_default();
    let rest = map.iter().filter(|(key, value)| !["do", "prove"].contains(&key.as_str()) && !value.is_null());
    let rest: Vec<String> = rest.map(|(key, value)| format!("{key}={}", plain(value))).collect();
    std::iter::once(name).chain(rest).collect::<Vec<_>>().join(" ")
}
