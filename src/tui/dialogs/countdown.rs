//! The emergency: armed beforehand, then one key and three seconds in which Esc stops it and the same key goes at once.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::{Duration, Instant};

use super::progress::Progress;
use super::{Answer, Overlay, Seen, open};
use crate::plan::Rung;
use crate::run::Actor;
use crate::tui::panes::{Scene, World};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, lines};

/// How long there is to stop it.
pub const SPAN: Duration = Duration::from_secs(3);
/// How often the remaining time is drawn anew.
const FRAME: Duration = Duration::from_millis(100);

/// A countdown to a rung.
#[derive(Debug)]
pub struct Countdown {
    rung: u8,
    title: String,
    loses: String,
    goes: Instant,
    left: Duration,
    then: Option<Progress>,
    pub(super) seen: Seen,
}

impl Countdown {
    /// From now on, in that person's name.
    pub fn new(rung: &Rung, by: &Actor, world: &World<'_>, at: Instant) -> Self {
        Self {
            rung: rung.order,
            title: rung.title.clone(),
            loses: rung.loses.clone(),
            goes: at + SPAN,
            left: SPAN,
            then: Some(Progress::new(rung, None, by.clone(), world)),
            seen: Seen::default(),
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, at: Instant) -> Answer {
        match key.code {
            KeyCode::Esc => Answer::Close, // stopping is never made to wait
            KeyCode::Char('R') if self.seen.is_read(at) => self.go(),
            _ => Answer::Stay,
        }
    }

    fn go(&mut self) -> Answer {
        self.then.take().map_or(Answer::Close, |progress| {
            let orders = vec![progress.order()];
            Answer::Instead(Box::new(Overlay::Progress(progress)), orders)
        })
    }

    pub(super) fn tick(&mut self, at: Instant) -> Option<Answer> {
        self.left = self.goes.saturating_duration_since(at);
        self.left.is_zero().then(|| self.go())
    }

    pub(super) fn wakes_at(&self, now: Instant) -> Instant {
        (now + FRAME).min(self.goes.max(now))
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let inner = open(scene, buf, area, (64, 7), "WAY OUT", Role::Bad);
        let tenths = self.left.as_millis().div_ceil(100);
        let (text, muted, accent) = (scene.of(Role::Text), scene.of(Role::Muted), scene.of(Role::Accent));
        let mut rows = lines(inner);
        let mut put = |row: Row<'_>| {
            if let Some(area) = rows.next() {
                row.draw(buf, area);
            }
        };
        put(Row::new()
            .put(format!("{} {}", self.rung, self.title), scene.of(Role::Title))
            .end(format!("in {}.{} s", tenths / 10, tenths % 10), scene.of(Role::Bad)));
        put(Row::new().put(format!("loses {}", self.loses), text));
        put(Row::new().put("running imports, migrations and deployments are told to stop", muted));
        put(Row::new());
        let full = usize::from(inner.width);
        let filled = full * usize::try_from(self.left.as_millis()).unwrap_or(0) / 3_000;
        put(Row::new()
            .put("█".repeat(filled), scene.of(Role::Bad))
            .put("░".repeat(full - filled), scene.of(Role::Faint)));
        put(Row::new());
        put(Row::new().put("esc", accent).put(" stop   ", text).put("R", accent).put(" go now", text));
    }
}
