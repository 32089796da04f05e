//! Everything by its name: all keys, and the work that stands beside no item (bring it live again after a rollback, repeat a
//! drill). What the rules refuse now is shown dim, and says why when it is chosen.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::confirm::Confirm;
use super::{Answer, Overlay, open};
use crate::run::job::JobKind;
use crate::run::{Actor, Command, decide};
use crate::tui::Order;
use crate::tui::acts;
use crate::tui::app::App;
use crate::tui::keymap::{Act, BINDINGS};
use crate::tui::panes::{Scene, World};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, lines};

/// The palette.
#[derive(Debug)]
pub struct Palette {
    entries: Vec<Entry>,
    text: String,
    picked: usize,
}

#[derive(Debug)]
struct Entry {
    name: String,
    key: String,
    why: Option<String>,
    does: Does,
}

#[derive(Debug, Clone)]
enum Does {
    Act(Act),
    Work(JobKind),
}

impl Palette {
    /// With all that there is, in this run and from this seat.
    pub fn new(app: &App, world: &World<'_>) -> Self {
        let mut entries: Vec<Entry> = BINDINGS
            .iter()
            .filter(|binding| !matches!(binding.act, Act::Move(_) | Act::Palette | Act::Back))
            .map(|binding| Entry {
                name: binding.help.into(),
                key: binding.label(),
                why: acts::hindrance(binding.act, app, world),
                does: Does::Act(binding.act),
            })
            .collect();
        entries.extend(
            work(world).into_iter().map(|kind| Entry {
                name: format!("work: {}", kind.title()),
                key: String::new(),
                why: decide(world.state, app.seat(), Command::Request(kind.clone()))
                    .err()
                    .map(|no| no.to_string()),
                does: Does::Work(kind),
            }),
        );
        Self { entries, text: String::new(), picked: 0 }
    }

    fn shown(&self) -> Vec<&Entry> {
        let wanted = self.text.to_lowercase();
        let words: Vec<&str> = wanted.split_whitespace().collect();
        let mut shown: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| {
                let name = entry.name.to_lowercase();
                words.iter().all(|word| name.contains(word))
            })
            .collect();
        shown.sort_by_key(|entry| entry.why.is_some());
        shown
    }

    pub(super) fn key(&mut self, key: KeyEvent, seat: &Actor) -> Answer {
        match key.code {
            KeyCode::Esc => return Answer::Close,
            KeyCode::Up => self.picked = self.picked.saturating_sub(1),
            KeyCode::Down => self.picked = (self.picked + 1).min(self.shown().len().saturating_sub(1)),
            KeyCode::Backspace => {
                self.text.pop();
                self.picked = 0;
            }
            KeyCode::Char(letter) => {
                self.text.push(letter);
                self.picked = 0;
            }
            KeyCode::Enter => {
                let shown = self.shown();
                let Some(entry) = shown.get(self.picked) else { return Answer::Stay };
                return match &entry.does {
                    Does::Act(act) => Answer::Press(*act),
                    Does::Work(kind) => {
                        let mut lines = vec![format!("{} is asked for, beside the checklist.", kind.title())];
                        if let JobKind::Drill { rung, .. } = kind {
                            lines.push(acts::drill_words(*rung));
                        }
                        lines.extend(
                            entry.why.clone().map(|why| format!("It will be refused as things stand: {why}")),
                        );
                        let order =
                            Order::Command { by: seat.clone(), command: Command::Request(kind.clone()) };
                        let confirm = Confirm::new("Run", lines, order);
                        Answer::Instead(Box::new(Overlay::Confirm(confirm)), Vec::new())
                    }
                };
            }
            _ => {}
        }
        Answer::Stay
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let height = 18.min(area.height.saturating_sub(4));
        let inner = open(scene, buf, area, (76, height), "Commands", Role::Accent);
        Row::new()
            .put(": ", scene.of(Role::Accent))
            .put(self.text.as_str(), scene.of(Role::Text))
            .put("▏", scene.of(Role::Accent))
            .draw(buf, inner);
        let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(2), ..inner };
        let shown = self.shown();
        let room = usize::from(list.height);
        let from = self.picked.saturating_sub(room / 2).min(shown.len().saturating_sub(room));
        for ((place, entry), line) in shown.iter().enumerate().skip(from).zip(lines(list)) {
            if place == self.picked {
                buf.set_style(line, scene.of(Role::Selected));
            }
            let role = if entry.why.is_some() { Role::Faint } else { Role::Text };
            Row::new()
                .put(entry.name.as_str(), scene.of(role))
                .end(entry.key.as_str(), scene.of(Role::Muted))
                .draw(buf, line);
        }
        let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
        let why = shown.get(self.picked).and_then(|entry| entry.why.as_deref());
        Row::new().put(why.unwrap_or("⏎ do it   esc leave it"), scene.of(Role::Muted)).draw(buf, last);
    }
}

/// Work that may be asked for without an item.
fn work(world: &World<'_>) -> Vec<JobKind> {
    let Some(plan) = world.plan() else { return Vec::new() };
    let mut all = vec![
        JobKind::RehearseMigrations,
        JobKind::Backup,
        JobKind::MigrateUp { to: None },
        JobKind::Deploy,
        JobKind::Import,
        JobKind::Sync,
        JobKind::MockRemove,
        JobKind::Retry,
        JobKind::Rollout { share: 0 },
    ];
    all.extend(plan.rollout.iter().map(|stage| JobKind::Rollout { share: stage.share }));
    all.extend(plan.ladder.iter().map(|rung| JobKind::Drill { rung: rung.order, kind: rung.kind }));
    all
}
