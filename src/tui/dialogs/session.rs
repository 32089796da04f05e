//! Ends what somebody else does in the database: who it is, what it runs and how long it has been there stand above the field in
//! which its process id is typed, letter by letter. What the rules refuse is said before anything is ordered.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::Instant;

use super::{Answer, Seen, open};
use crate::run::live::Blocker;
use crate::run::steer::{Extent, Session, Steer};
use crate::run::{Actor, Command, JobId, State, decide};
use crate::tui::Order;
use crate::tui::panes::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, cut, lines};

/// The dialog.
#[derive(Debug)]
pub struct EndSession {
    job: JobId,
    blockers: Vec<Blocker>,
    picked: usize,
    what: Extent,
    letters: String,
    pub(super) seen: Seen,
}

impl EndSession {
    /// About those who are in the way of that job now.
    pub fn new(job: JobId, blockers: Vec<Blocker>) -> Self {
        let mut this = Self {
            job,
            blockers,
            picked: 0,
            what: Extent::Query,
            letters: String::new(),
            seen: Seen::default(),
        };
        this.pick(0);
        this
    }

    fn pick(&mut self, at: usize) {
        self.picked = at.min(self.blockers.len().saturating_sub(1));
        self.letters.clear();
        // One that runs nothing has no query to cancel.
        let idle = self.blockers.get(self.picked).is_some_and(|one| one.state.starts_with("idle"));
        self.what = if idle { Extent::Session } else { Extent::Query };
    }

    fn command(&self) -> Option<Command> {
        let session = Session::of(self.blockers.get(self.picked)?)?;
        let steer = Steer::End { session, what: self.what, typed: self.letters.clone() };
        Some(Command::Steer { job: self.job, steer })
    }

    /// Why it would not be taken.
    fn hindrance(&self, state: &State, seat: &Actor) -> Option<String> {
        match self.command() {
            Some(command) => decide(state, seat, command).err().map(|refusal| refusal.to_string()),
            None => Some("it is not known which session that is".into()),
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, seat: &Actor, state: &State, at: Instant) -> Answer {
        match key.code {
            KeyCode::Esc => return Answer::Close,
            _ if !self.seen.is_read(at) => {}
            KeyCode::Up => self.pick(self.picked.saturating_sub(1)),
            KeyCode::Down => self.pick(self.picked + 1),
            KeyCode::Tab => {
                self.what = match self.what {
                    Extent::Query => Extent::Session,
                    Extent::Session => Extent::Query,
                };
            }
            KeyCode::Backspace => {
                self.letters.pop();
            }
            KeyCode::Char(letter) => self.letters.push(letter),
            KeyCode::Enter if self.hindrance(state, seat).is_none() => {
                if let Some(command) = self.command() {
                    return Answer::Orders(vec![Order::Command { by: seat.clone(), command }]);
                }
            }
            _ => {}
        }
        Answer::Stay
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let shown = self.blockers.len().min(4);
        let height = u16::try_from(shown).unwrap_or(4) + 9;
        let inner = open(scene, buf, area, (78, height), "END ANOTHER'S SESSION", Role::Bad);
        let (text, muted, accent) = (scene.of(Role::Text), scene.of(Role::Muted), scene.of(Role::Accent));
        let width = usize::from(inner.width);
        let mut rows = lines(inner);
        let mut put = |row: Row<'_>, picked: bool| {
            if let Some(area) = rows.next() {
                if picked {
                    buf.set_style(area, scene.of(Role::Selected));
                }
                row.draw(buf, area);
            }
        };
        let from = (self.picked + 1).saturating_sub(shown);
        for (place, one) in self.blockers.iter().enumerate().skip(from).take(shown) {
            let words = format!("pid {} {} ({})", one.pid, one.app, one.user);
            let row = Row::new().put(words, text).put(format!("  {}", one.holds), muted);
            put(
                row.end(format!("{} {:.0} s", one.state, one.age), scene.of(Role::Warn)),
                place == self.picked,
            );
        }
        let Some(one) = self.blockers.get(self.picked) else { return };
        let query = if one.query.is_empty() { "its query is not shown to this role" } else { &one.query };
        put(Row::new().put(cut(query, width).into_owned(), muted), false);
        put(Row::new(), false);
        let (does, loses) = match self.what {
            Extent::Query => ("pg_cancel_backend", "what it runs now is cancelled; it stays connected"),
            Extent::Session => ("pg_terminate_backend", "it is cut off, and its transaction is rolled back"),
        };
        put(Row::new().put(does, scene.of(Role::Title)).put(format!(": {loses}"), text), false);
        put(
            Row::new()
                .put("tab", accent)
                .put(" the other of the two   ", muted)
                .put("↑↓", accent)
                .put(" another session", muted),
            false,
        );
        put(Row::new(), false);
        let pid = one.pid.to_string();
        let row = Row::new()
            .put("Type its process id: ", text)
            .put(pid.clone(), scene.of(Role::Title))
            .put("  › ", muted);
        let role = if pid.starts_with(&self.letters) || one.app.starts_with(&self.letters) {
            Role::Accent
        } else {
            Role::Warn
        };
        put(row.put(self.letters.as_str(), scene.of(role)).put("▏", accent), false);
        let why = self.hindrance(scene.world.state, scene.app.seat());
        let why = why.filter(|_| !self.letters.is_empty()).unwrap_or_default();
        put(Row::new().put(cut(&why, width).into_owned(), scene.of(Role::Warn)), false);
        let ready = if self.hindrance(scene.world.state, scene.app.seat()).is_none() {
            Role::Text
        } else {
            Role::Faint
        };
        put(
            Row::new()
                .put("⏎", accent)
                .put(" end it   ", scene.of(ready))
                .put("esc", accent)
                .put(" leave it", text),
            false,
        );
    }
}
