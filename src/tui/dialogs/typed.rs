//! What loses data is confirmed by typing its name: letter by letter, never pasted, never typed ahead.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::Instant;

use super::progress::Progress;
use super::{Answer, Overlay, Seen, open};
use crate::plan::Rung;
use crate::run::Actor;
use crate::run::live::Seen as Outlooked;
use crate::tui::panes::{Scene, World};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, age, lines, wrap};

/// A name to be typed.
#[derive(Debug)]
pub struct Typed {
    title: String,
    loses: String,
    word: String,
    letters: String,
    then: Option<Progress>,
    pub(super) seen: Seen,
}

impl Typed {
    /// Before that rung, in that person's name.
    pub fn new(rung: &Rung, by: &Actor, world: &World<'_>) -> Self {
        let word = rung.confirm.clone().unwrap_or_else(|| rung.title.clone());
        let confirmed = rung.confirm.clone();
        Self {
            title: format!("{} {}", rung.order, rung.title),
            loses: rung.loses.clone(),
            word,
            letters: String::new(),
            then: Some(Progress::new(rung, confirmed, by.clone(), world)),
            seen: Seen::default(),
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, at: Instant) -> Answer {
        match key.code {
            KeyCode::Esc => return Answer::Close,
            _ if !self.seen.is_read(at) => {}
            KeyCode::Backspace => {
                self.letters.pop();
            }
            KeyCode::Char(letter) => self.letters.push(letter),
            KeyCode::Enter if self.letters == self.word => {
                if let Some(progress) = self.then.take() {
                    let orders = vec![progress.order()];
                    return Answer::Instead(Box::new(Overlay::Progress(progress)), orders);
                }
            }
            _ => {}
        }
        Answer::Stay
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let inner = open(scene, buf, area, (72, 12), "WAY OUT: THIS LOSES DATA", Role::Bad);
        let (text, muted, accent) = (scene.of(Role::Text), scene.of(Role::Muted), scene.of(Role::Accent));
        let mut rows = lines(inner);
        let mut put = |row: Row<'_>| {
            if let Some(area) = rows.next() {
                row.draw(buf, area);
            }
        };
        put(Row::new().put(self.title.as_str(), scene.of(Role::Title)));
        let mut loses = wrap(&format!("loses {}", self.loses), usize::from(inner.width));
        loses.resize(2, String::new());
        for line in loses.into_iter().take(2) {
            put(Row::new().put(line, scene.of(Role::Bad)));
        }
        // What it would lose in rows, counted while the guard is open; unknown is said, and is not nothing.
        let (now, role) = match &scene.world.live.outlook {
            Some(outlook) => {
                let age = age(scene.world.now - outlook.at);
                let role = if matches!(outlook.seen, Outlooked::Counted { .. }) {
                    Role::Warn
                } else {
                    Role::Unknown
                };
                (format!("{age} ago: {}", outlook.words()), role)
            }
            None => ("how many rows that is was not counted yet".into(), Role::Unknown),
        };
        let mut counted = wrap(&now, usize::from(inner.width));
        if counted.len() > 3 {
            counted.truncate(3);
            if let Some(last) = counted.last_mut() {
                last.push('…');
            }
        }
        counted.resize(3, String::new());
        for line in counted {
            put(Row::new().put(line, scene.of(role)));
        }
        put(Row::new().put("an emergency backup is made first; no back-up, no rollback", muted));
        put(Row::new());
        put(Row::new()
            .put("Type the name of the database: ", text)
            .put(self.word.as_str(), scene.of(Role::Title)));
        let role = if self.word.starts_with(&self.letters) { Role::Accent } else { Role::Warn };
        put(Row::new().put("› ", muted).put(self.letters.as_str(), scene.of(role)).put("▏", accent));
        put(Row::new());
        let ready = if self.letters == self.word { Role::Text } else { Role::Faint };
        put(Row::new()
            .put("⏎", accent)
            .put(" take the database back   ", scene.of(ready))
            .put("esc", accent)
            .put(" leave it", text));
    }
}
