//! The keys, made from the table of keys and nothing else; what cannot be done now, by this role, is dim and says why below.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Answer, open};
use crate::tui::acts;
use crate::tui::keymap::{BINDINGS, Group, Where};
use crate::tui::panes::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, columns, lines};

/// The help.
#[derive(Debug, Default)]
pub struct Help {
    from: usize,
}

impl Help {
    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        match key.code {
            KeyCode::Down | KeyCode::Char('j') | KeyCode::PageDown => self.from += 1,
            KeyCode::Up | KeyCode::Char('k') | KeyCode::PageUp => self.from = self.from.saturating_sub(1),
            _ => return Answer::Close,
        }
        Answer::Stay
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let wide = area.width >= 120;
        let mut table: Vec<Row<'_>> = Vec::new();
        let mut halves = Vec::new();
        for group in Group::ALL {
            if group == Group::Rehearsal && !scene.world.rehearses() {
                continue;
            }
            if group == Group::Look {
                halves.push(table.len());
            }
            if !table.is_empty() {
                table.push(Row::new());
            }
            table.push(Row::new().put(group.title(), scene.of(Role::Title)));
            for binding in BINDINGS.iter().filter(|binding| binding.group == group) {
                let why = acts::hindrance(binding.act, scene.app, &scene.world);
                let role = if why.is_some() { Role::Faint } else { Role::Text };
                let key = if why.is_some() { Role::Faint } else { Role::Accent };
                let place = if matches!(binding.place, Where::In(_)) { " (in its panes)" } else { "" };
                table.push(
                    Row::new()
                        .put("  ", scene.of(role))
                        .column(&binding.label(), 10, scene.of(key))
                        .put(binding.help, scene.of(role))
                        .put(place, scene.of(Role::Muted)),
                );
            }
        }
        let split = if wide { halves.first().copied().unwrap_or(table.len()) } else { table.len() };
        let longest = split.max(table.len() - split);
        let height = columns(longest + 2).min(area.height.saturating_sub(2));
        let inner = open(scene, buf, area, (if wide { 128 } else { 78 }, height), "Keys", Role::Accent);
        let room = usize::from(inner.height.saturating_sub(1));
        let from = self.from.min(longest.saturating_sub(room));
        let column = if wide { inner.width / 2 } else { inner.width };
        for (part, x) in [(&table[..split], inner.x), (&table[split..], inner.x + column)] {
            let place = Rect {
                x,
                width: column.min(inner.right().saturating_sub(x)),
                height: columns(room),
                ..inner
            };
            for (row, line) in part.iter().skip(from).zip(lines(place)) {
                row.draw(buf, line);
            }
        }
        let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
        Row::new()
            .put("dim: not now, or not in this role", scene.of(Role::Muted))
            .end("↑↓ scroll  any other key closes", scene.of(Role::Muted))
            .draw(buf, last);
    }
}
