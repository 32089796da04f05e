//! Faults of a rehearsal: throw one in, take it away.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Answer, open};
use crate::run::{Event, State};
use crate::tui::Order;
use crate::tui::panes::{Scene, World};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, columns, lines};

/// The dialog.
#[derive(Debug, Default)]
pub struct Faults {
    picked: usize,
}

impl Faults {
    pub(super) fn key(&mut self, key: KeyEvent, world: &World<'_>) -> Answer {
        let last = world.faults.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Answer::Close,
            KeyCode::Up | KeyCode::Char('k') => self.picked = self.picked.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.picked = (self.picked + 1).min(last),
            KeyCode::Enter | KeyCode::Char(' ') => {
                if let Some(fault) = world.faults.get(self.picked) {
                    let on = !is_on(world.state, &fault.name);
                    return Answer::Orders(vec![Order::Fault { name: fault.name.clone(), on }]);
                }
            }
            _ => {}
        }
        Answer::Stay
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let faults = scene.world.faults;
        let inner = open(scene, buf, area, (76, columns(faults.len()).max(1) + 2), "Faults", Role::Accent);
        let mut rows = lines(inner);
        if faults.is_empty()
            && let Some(row) = rows.next()
        {
            Row::new().put("this rehearsal offers none", scene.of(Role::Muted)).draw(buf, row);
        }
        for ((place, fault), row) in faults.iter().enumerate().zip(rows.by_ref()) {
            if place == self.picked {
                buf.set_style(row, scene.of(Role::Selected));
            }
            let (sign, role) = if is_on(scene.world.state, &fault.name) {
                ("◆ on  ", Role::Warn)
            } else {
                ("○ off ", Role::Text)
            };
            Row::new()
                .put(sign, scene.of(role))
                .column(&fault.name, 18, scene.of(role))
                .put(fault.words.as_str(), scene.of(Role::Muted))
                .draw(buf, row);
        }
        let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
        Row::new().put("⏎ throw in or take away   esc leave it", scene.of(Role::Muted)).draw(buf, last);
    }
}

/// Whether a fault is in, as far as the newest records tell.
fn is_on(state: &State, name: &str) -> bool {
    state
        .tail
        .iter()
        .rev()
        .find_map(|record| match &record.event {
            Event::FaultInjected { fault } if fault == name => Some(true),
            Event::FaultCleared { fault } if fault == name => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}
