//! The filter of a list: every letter narrows it at once; Enter keeps it, Esc takes it away.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use super::Answer;
use crate::tui::panes::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::text::Row;

/// The line in which a filter is written.
#[derive(Debug)]
pub struct Filter {
    text: String,
}

impl Filter {
    /// Beginning with what is there.
    pub fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.text.extend(text.chars().filter(|letter| !letter.is_control()));
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        match key.code {
            KeyCode::Enter => return Answer::Close,
            KeyCode::Esc if self.text.is_empty() => return Answer::Close,
            KeyCode::Esc => self.text.clear(),
            KeyCode::Backspace => {
                self.text.pop();
            }
            KeyCode::Char(letter) => self.text.push(letter),
            _ => return Answer::Stay,
        }
        Answer::Filter(self.text.clone())
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let line = Rect { y: area.bottom().saturating_sub(1), height: 1.min(area.height), ..area };
        Clear.render(line, buf);
        buf.set_style(line, scene.of(Role::Ground));
        Row::new()
            .put(" / ", scene.of(Role::Accent))
            .put(self.text.as_str(), scene.of(Role::Text))
            .put("▏", scene.of(Role::Accent))
            .end("⏎ keep  esc clear ", scene.of(Role::Muted))
            .draw(buf, line);
    }
}
