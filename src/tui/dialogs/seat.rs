//! Another seat, in a rehearsal: one person can play every role, and the journal still says who did what as whom.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Answer, open};
use crate::plan::Role as Duty;
use crate::run::Actor;
use crate::tui::panes::{Scene, World};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, columns, lines};

/// The dialog.
#[derive(Debug)]
pub struct Seat {
    name: String,
    named: Vec<(Duty, String)>,
    picked: usize,
    typing: Typing,
}

/// Whose the name in the field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typing {
    /// The plan's, or made of the role.
    Suggested,
    /// The person's.
    Own,
}

impl Seat {
    /// Beginning with who sits here.
    pub fn new(seat: &Actor, world: &World<'_>) -> Self {
        let named = world.plan().map_or_else(Vec::new, |plan| {
            let pairs = |operator: &crate::plan::Operator| {
                operator.roles.iter().map(|role| (*role, operator.name.clone())).collect::<Vec<_>>()
            };
            plan.operators.iter().flat_map(pairs).collect()
        });
        let picked = Duty::PEOPLE.iter().position(|role| *role == seat.role).unwrap_or(0);
        Self { name: seat.name.to_string(), named, picked, typing: Typing::Suggested }
    }

    /// Whoever the plan names for the role, until a name is typed; else a name made of the role.
    fn suggest(&mut self) {
        if self.typing == Typing::Own {
            return;
        }
        let role = Duty::PEOPLE[self.picked];
        let named = self.named.iter().find(|(named, _)| *named == role);
        self.name = named.map_or_else(|| role.word().to_owned(), |(_, name)| name.clone());
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        match key.code {
            KeyCode::Esc => return Answer::Close,
            KeyCode::Up => {
                self.picked = self.picked.saturating_sub(1);
                self.suggest();
            }
            KeyCode::Down => {
                self.picked = (self.picked + 1).min(Duty::PEOPLE.len() - 1);
                self.suggest();
            }
            KeyCode::Backspace => {
                self.typing = Typing::Own;
                self.name.pop();
            }
            KeyCode::Char(letter) => {
                if self.typing == Typing::Suggested {
                    self.name.clear();
                    self.typing = Typing::Own;
                }
                self.name.push(letter);
            }
            KeyCode::Enter if !self.name.trim().is_empty() => {
                return Answer::Sit(Actor::person(self.name.trim(), Duty::PEOPLE[self.picked]));
            }
            _ => {}
        }
        Answer::Stay
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let inner =
            open(scene, buf, area, (52, columns(Duty::PEOPLE.len()) + 4), "Take a seat", Role::Accent);
        let mut rows = lines(inner);
        let mut put = |row: Row<'_>, picked: bool| {
            if let Some(area) = rows.next() {
                if picked {
                    buf.set_style(area, scene.of(Role::Selected));
                }
                row.draw(buf, area);
            }
        };
        put(
            Row::new()
                .put("name  ", scene.of(Role::Muted))
                .put(self.name.as_str(), scene.of(Role::Text))
                .put("▏", scene.of(Role::Accent)),
            false,
        );
        put(Row::new(), false);
        for (place, role) in Duty::PEOPLE.iter().enumerate() {
            let picked = place == self.picked;
            let (mark, style) = if picked { ("▸ ", Role::Accent) } else { ("  ", Role::Text) };
            put(Row::new().put(mark, scene.of(style)).put(role.word(), scene.of(style)), picked);
        }
        put(Row::new(), false);
        put(Row::new().put("type the name  ↑↓ role  ⏎ sit down  esc leave it", scene.of(Role::Muted)), false);
    }
}
