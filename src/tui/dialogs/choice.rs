//! One of some answers: an item's (GREEN, YELLOW, RED), how the run ended, which message.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::Instant;

use super::words::{Purpose, Words};
use super::{Answer, Overlay, Seen, open};
use crate::plan::{Action, ItemId, ItemKind, Phase};
use crate::run::event::Ending;
use crate::run::{Actor, Command};
use crate::tui::Order;
use crate::tui::acts;
use crate::tui::panes::{Scene, World};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, columns, lines};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// An item's answer.
    Item(ItemId),
    /// How the run ended.
    Ending,
    /// Which message is to be sent.
    Message,
}

/// The dialog.
#[derive(Debug)]
pub struct Choice {
    question: Question,
    about: String,
    options: Vec<String>,
    picked: usize,
    pub(super) seen: Seen,
}

impl Choice {
    /// With the answers that the plan allows.
    pub fn new(question: Question, world: &World<'_>) -> Self {
        let mut picked = 0;
        let (about, options) = match &question {
            Question::Item(id) => {
                world.plan().and_then(|plan| plan.item(id)).map_or_else(Default::default, |(_, item)| {
                    let options = match &item.kind {
                        ItemKind::Choice { of } => of.clone(),
                        ItemKind::Tick | ItemKind::Value { .. } => Vec::new(),
                    };
                    (item.text.clone(), options)
                })
            }
            Question::Ending => {
                let likely = acts::likely_ending(world);
                picked = Ending::ALL.iter().position(|ending| *ending == likely).unwrap_or(0);
                let words = Ending::ALL.iter().map(|ending| ending.words().to_owned()).collect();
                ("The run ends; only notes can be added after it.".into(), words)
            }
            Question::Message => ("Which message?".into(), messages(world)),
        };
        Self { question, about, options, picked, seen: Seen::default() }
    }

    pub(super) fn key(&mut self, key: KeyEvent, seat: &Actor, world: &World<'_>, at: Instant) -> Answer {
        let last = self.options.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Answer::Close,
            KeyCode::Up | KeyCode::Char('k') => self.picked = self.picked.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.picked = (self.picked + 1).min(last),
            KeyCode::Char(digit @ '1'..='9') => {
                let place = usize::try_from(digit.to_digit(10).unwrap_or(1)).unwrap_or(1) - 1;
                self.picked = place.min(last);
            }
            KeyCode::Enter if self.seen.is_read(at) => return self.chosen(seat, world),
            _ => {}
        }
        Answer::Stay
    }

    fn chosen(&self, seat: &Actor, world: &World<'_>) -> Answer {
        let Some(option) = self.options.get(self.picked) else { return Answer::Close };
        let command = match &self.question {
            Question::Item(item) => Command::Tick { item: item.clone(), value: Some(option.clone()) },
            Question::Ending => Command::Close(Ending::ALL[self.picked.min(Ending::ALL.len() - 1)]),
            Question::Message => {
                let words = Words::new(Purpose::Announce(option.clone()), world);
                return Answer::Instead(Box::new(Overlay::Words(Box::new(words))), Vec::new());
            }
        };
        Answer::Orders(vec![Order::Command { by: seat.clone(), command }])
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let title = match self.question {
            Question::Item(_) => "Answer",
            Question::Ending => "End the run",
            Question::Message => "Announce",
        };
        let inner = open(scene, buf, area, (64, columns(self.options.len()) + 4), title, Role::Accent);
        let mut rows = lines(inner);
        let mut put = |row: Row<'_>, picked: bool| {
            if let Some(area) = rows.next() {
                if picked {
                    buf.set_style(area, scene.of(Role::Selected));
                }
                row.draw(buf, area);
            }
        };
        put(Row::new().put(self.about.as_str(), scene.of(Role::Muted)), false);
        put(Row::new(), false);
        for (place, option) in self.options.iter().enumerate() {
            let picked = place == self.picked;
            let (mark, role) = if picked { ("▸ ", Role::Accent) } else { ("  ", Role::Text) };
            put(
                Row::new().put(mark, scene.of(role)).put(format!("{} {option}", place + 1), scene.of(role)),
                picked,
            );
        }
        put(Row::new(), false);
        put(
            Row::new()
                .put("⏎", scene.of(Role::Accent))
                .put(" this one   ", scene.of(Role::Text))
                .put("esc", scene.of(Role::Accent))
                .put(" leave it", scene.of(Role::Text)),
            false,
        );
    }
}

/// The messages that the plan names, and one for a plain status.
fn messages(world: &World<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for item in world.plan().into_iter().flat_map(|plan| plan.checklist.phases.iter().flat_map(Phase::items))
    {
        if let Some(Action::Announce { message }) = &item.action
            && !names.contains(message)
        {
            names.push(message.clone());
        }
    }
    if !names.iter().any(|name| name == "status") {
        names.push("status".into());
    }
    names
}
