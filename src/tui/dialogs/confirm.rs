//! One confirmation on another key than the one that asked; what is not `y` changes nothing.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::Instant;

use super::{Answer, Seen, open};
use crate::tui::Order;
use crate::tui::panes::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, columns, lines, wrap};

/// A question with one yes.
#[derive(Debug)]
pub struct Confirm {
    title: &'static str,
    lines: Vec<String>,
    yes: Yes,
    pub(super) seen: Seen,
}

#[derive(Debug)]
enum Yes {
    Order(Box<Order>),
    Leave,
}

impl Confirm {
    /// A question whose yes is that order.
    pub fn new(title: &'static str, lines: Vec<String>, order: Order) -> Self {
        Self { title, lines, yes: Yes::Order(Box::new(order)), seen: Seen::default() }
    }

    /// A question whose yes is to leave.
    pub fn leaving(lines: Vec<String>) -> Self {
        Self { title: "Leave", lines, yes: Yes::Leave, seen: Seen::default() }
    }

    pub(super) fn key(&mut self, key: KeyEvent, at: Instant) -> Answer {
        match key.code {
            KeyCode::Esc | KeyCode::Char('n' | 'q') => Answer::Close,
            KeyCode::Char('y') if self.seen.is_read(at) => match &self.yes {
                Yes::Order(order) => Answer::Orders(vec![(**order).clone()]),
                Yes::Leave => Answer::Leave,
            },
            _ => Answer::Stay,
        }
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let width = 76.min(area.width);
        let text: Vec<String> =
            self.lines.iter().flat_map(|line| wrap(line, usize::from(width.saturating_sub(4)))).collect();
        let inner = open(scene, buf, area, (width, columns(text.len()) + 2), self.title, Role::Accent);
        let mut rows = lines(inner);
        for (line, row) in text.iter().zip(rows.by_ref()) {
            Row::new().put(line.as_str(), scene.of(Role::Text)).draw(buf, row);
        }
        if let Some(row) = rows.nth(inner.height.saturating_sub(columns(text.len()) + 1).into()) {
            Row::new()
                .put("y", scene.of(Role::Accent))
                .put(format!(" {}   ", self.title.to_lowercase()), scene.of(Role::Text))
                .put("esc", scene.of(Role::Accent))
                .put(" leave it", scene.of(Role::Text))
                .draw(buf, row);
        }
    }
}
