//! Words to be written: a note, a deviation, a reason, a value, an announcement. Enter sends, Alt+Enter breaks the line.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use tui_textarea::{TextArea, WrapMode};

use super::{Answer, open};
use crate::plan::{ItemId, ItemKind, PhaseId};
use crate::run::event::NoteKind;
use crate::run::job::{JobId, JobKind};
use crate::run::upkeep::Upkeep;
use crate::run::{Actor, Command};
use crate::tui::Order;
use crate::tui::panes::{Scene, World};
use crate::tui::theme::Role;
use crate::tui::widgets::text::Row;

/// What the words are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A note or a deviation, on an item if one is selected.
    Note(NoteKind, Option<ItemId>),
    /// Why an item is skipped.
    Skip(ItemId),
    /// What failed.
    Fail(ItemId),
    /// Why an item is reopened.
    Reopen(ItemId),
    /// What an item asks for.
    Value(ItemId),
    /// Why NO-GO.
    NoGo(PhaseId),
    /// Why a job that asks goes on.
    GoOn(JobId),
    /// The text of a message.
    Announce(String),
    /// Why standing work is switched off.
    Hold(Upkeep),
    /// Why mock data stand in for Pulse's.
    Mock,
}

impl Purpose {
    fn title(&self) -> String {
        match self {
            Self::Note(NoteKind::Note, _) => "Note".into(),
            Self::Note(NoteKind::Deviation, _) => "Deviation".into(),
            Self::Skip(_) => "Skip: why?".into(),
            Self::Fail(_) => "Failed: what happened?".into(),
            Self::Reopen(_) => "Reopen: why?".into(),
            Self::Value(_) => "Value".into(),
            Self::NoGo(_) => "NO-GO: why?".into(),
            Self::GoOn(_) => "Go on: why?".into(),
            Self::Announce(message) => format!("Announcement: {message}"),
            Self::Hold(what) => format!("Switch {what} off: why?"),
            Self::Mock => "Go on with MOCK data: why?".into(),
        }
    }

    fn command(&self, text: String) -> Command {
        match self.clone() {
            Self::Note(kind, item) => Command::Note { item, kind, text },
            Self::Skip(item) => Command::Skip { item, reason: text },
            Self::Fail(item) => Command::Fail { item, reason: text },
            Self::Reopen(item) => Command::Reopen { item, reason: text },
            Self::Value(item) => Command::Tick { item, value: Some(text) },
            Self::Hold(what) => Command::Hold { what, why: text },
            Self::Mock => Command::Mock { why: text },
            Self::NoGo(phase) => Command::NoGo { phase, reason: text },
            Self::GoOn(job) => Command::GoOn { job, reason: text },
            Self::Announce(message) => {
                let text = Some(text).filter(|text| !text.trim().is_empty());
                Command::Request(JobKind::Announce { message, text })
            }
        }
    }

    const fn may_be_empty(&self) -> bool {
        matches!(self, Self::Announce(_))
    }
}

/// The dialog.
#[derive(Debug)]
pub struct Words {
    purpose: Purpose,
    about: String,
    area: TextArea<'static>,
}

impl Words {
    /// For that purpose.
    pub fn new(purpose: Purpose, world: &World<'_>) -> Self {
        let mut area = TextArea::default();
        area.set_cursor_line_style(Style::new());
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        let plan = world.plan();
        let about = match &purpose {
            Purpose::Note(_, None) => "on the run as a whole".into(),
            Purpose::Note(_, Some(id)) | Purpose::Skip(id) | Purpose::Fail(id) | Purpose::Reopen(id) => {
                plan.and_then(|plan| plan.item(id)).map_or_else(String::new, |(_, item)| item.text.clone())
            }
            Purpose::Value(id) => {
                plan.and_then(|plan| plan.item(id)).map_or_else(String::new, |(_, item)| match &item.kind {
                    ItemKind::Value { expect: Some(expect) } => {
                        format!("{}  (expected: {expect})", item.text)
                    }
                    _ => item.text.clone(),
                })
            }
            Purpose::NoGo(id) => plan
                .and_then(|plan| plan.phase(id))
                .map_or_else(String::new, |phase| format!("{}; the phase stays open", phase.title)),
            Purpose::GoOn(id) => {
                let question = world.state.jobs.get(id).and_then(|job| job.question());
                question.map_or_else(String::new, |question| {
                    format!("{}; going on: {}", question.what, question.going_on)
                })
            }
            Purpose::Hold(_) => {
                "the application stays as it is; what is held goes on from where it was".into()
            }
            Purpose::Mock => {
                "invented people apart from real ones; the run cannot end as SUCCESS with them".into()
            }
            Purpose::Announce(_) => "empty: the text of the plan's message".into(),
        };
        Self { purpose, about, area }
    }

    fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.area.insert_str(text.replace('\r', "\n"));
    }

    pub(super) fn key(&mut self, key: KeyEvent, seat: &Actor) -> Answer {
        match key.code {
            KeyCode::Esc => return Answer::Close,
            KeyCode::Enter if key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SHIFT) => {
                self.area.insert_newline();
            }
            KeyCode::Enter => {
                let text = self.text();
                if !text.trim().is_empty() || self.purpose.may_be_empty() {
                    let command = self.purpose.command(text);
                    return Answer::Orders(vec![Order::Command { by: seat.clone(), command }]);
                }
            }
            _ => {
                self.area.input(key);
            }
        }
        Answer::Stay
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let high = match self.purpose {
            Purpose::Value(_) => 1,
            _ => 4,
        };
        let inner = open(scene, buf, area, (72, high + 4), &self.purpose.title(), Role::Accent);
        let muted = scene.of(Role::Muted);
        Row::new().put(self.about.as_str(), muted).draw(buf, inner);
        let field = Rect { y: inner.y + 2, height: high.min(inner.height.saturating_sub(3)), ..inner };
        buf.set_style(field, scene.of(Role::Selected));
        self.area.render(field, buf);
        let accent = scene.of(Role::Accent);
        let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
        Row::new()
            .put("⏎", accent)
            .put(" send   ", scene.of(Role::Text))
            .put("alt-⏎", accent)
            .put(" new line   ", scene.of(Role::Text))
            .put("esc", accent)
            .put(" leave it", scene.of(Role::Text))
            .draw(buf, last);
    }
}
