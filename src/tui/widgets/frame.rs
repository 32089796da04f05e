//! A light border with the title in it, or, where rows are dear, a rule with the title in it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Widget};

use crate::tui::theme::{Role, Theme};

/// A frame around a pane.
#[derive(Debug, Clone)]
pub struct Panel<'a> {
    /// Its name.
    pub title: &'a str,
    /// What is said at its right end, and in which role.
    pub note: (String, Role),
    /// How it is drawn.
    pub shape: Shape,
}

/// How a frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Four sides.
    Box,
    /// Four sides in the accent: here is the focus.
    Focus,
    /// A rule above.
    Rule,
}

impl<'a> Panel<'a> {
    /// A frame of four sides without a note.
    pub const fn new(title: &'a str) -> Self {
        Self { title, note: (String::new(), Role::Muted), shape: Shape::Box }
    }

    /// With a note at the right end.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>, role: Role) -> Self {
        self.note = (note.into(), role);
        self
    }

    /// In that shape.
    #[must_use]
    pub const fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }
}

/// Draws a frame and returns what is inside.
pub fn panel(buf: &mut Buffer, area: Rect, theme: &Theme, panel: &Panel<'_>) -> Rect {
    let (borders, line) = match panel.shape {
        Shape::Box => (Borders::ALL, theme.of(Role::Faint)),
        Shape::Focus => (
            Borders::ALL,
            Style { add_modifier: ratatui::style::Modifier::empty(), ..theme.of(Role::Accent) },
        ),
        Shape::Rule => (Borders::TOP, theme.of(Role::Faint)),
    };
    let mut block = Block::new().borders(borders).border_type(BorderType::Rounded).border_style(line);
    let name = if panel.shape == Shape::Focus { Role::Accent } else { Role::Title };
    let room = usize::from(area.width.saturating_sub(4));
    let (note, role) = &panel.note;
    let title = super::text::cut(panel.title, room.saturating_sub(2));
    block = block.title_top(Line::from(Span::styled(format!(" {title} "), theme.of(name))));
    let left = room.saturating_sub(unicode_width::UnicodeWidthStr::width(&*title) + 4);
    if !note.is_empty() && left > 4 {
        let note = super::text::cut(note, left);
        block =
            block.title_top(Line::from(Span::styled(format!(" {note} "), theme.of(*role))).right_aligned());
    }
    let inner = block.inner(area);
    block.render(area, buf);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}
