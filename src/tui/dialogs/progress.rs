//! After the act the dialog becomes the act's progress, until it is verified or has failed. It may be closed before; the act
//! goes on, and the way-out pane shows it as well.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Answer, open};
use crate::plan::Rung;
use crate::run::job::Outcome;
use crate::run::{Actor, Command, Job, JobId, JobKind, State};
use crate::tui::panes::{Scene, World};
use crate::tui::theme::Role;
use crate::tui::widgets::steps;
use crate::tui::widgets::text::{Row, columns, lines, span, wrap};
use crate::tui::{Notice, Order};

/// A rollback on its way.
#[derive(Debug)]
pub struct Progress {
    rung: u8,
    title: String,
    confirmed: Option<String>,
    by: Actor,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Ordered; jobs up to this one are older.
    Asked(Option<JobId>),
    /// This is the job.
    Taken(JobId),
    /// A rule, or the store, said no.
    Refused(String),
}

impl Progress {
    /// Of that rung, from what is known before it is ordered.
    pub fn new(rung: &Rung, confirmed: Option<String>, by: Actor, world: &World<'_>) -> Self {
        let last = world.state.jobs.last_key_value().map(|(id, _)| *id);
        Self { rung: rung.order, title: rung.title.clone(), confirmed, by, stage: Stage::Asked(last) }
    }

    /// What is ordered.
    pub fn order(&self) -> Order {
        let command = Command::Rollback { rung: self.rung, confirmed: self.confirmed.clone() };
        Order::Command { by: self.by.clone(), command }
    }

    pub(super) fn state_changed(&mut self, world: &World<'_>) {
        if let Stage::Asked(last) = self.stage {
            let mine = |job: &&Job| matches!(job.kind, JobKind::Rollback { rung, .. } if rung == self.rung);
            let newer = world.state.jobs.values().filter(|job| last.is_none_or(|last| job.id > last));
            if let Some(job) = newer.rev().find(mine) {
                self.stage = Stage::Taken(job.id);
            }
        }
    }

    pub(super) fn hears(&mut self, notice: &Notice) {
        if let (Stage::Asked(_), Notice::Refused(why) | Notice::Failed(why)) = (&self.stage, notice) {
            self.stage = Stage::Refused(why.clone());
        }
    }

    fn job<'a>(&self, state: &'a State) -> Option<&'a Job> {
        match self.stage {
            Stage::Taken(id) => state.jobs.get(&id),
            Stage::Asked(_) | Stage::Refused(_) => None,
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, world: &World<'_>) -> Answer {
        let over = self.job(world.state).is_some_and(Job::is_over) || matches!(self.stage, Stage::Refused(_));
        match key.code {
            KeyCode::Esc => Answer::Close,
            KeyCode::Enter | KeyCode::Char('q') if over => Answer::Close,
            _ => Answer::Stay,
        }
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let job = self.job(scene.world.state);
        let count = job.map_or(0, |job| job.steps.len());
        let height = columns(count + 6).clamp(8, area.height.saturating_sub(4).max(8));
        let inner = open(scene, buf, area, (84, height), "Way out", Role::Accent);
        let now = scene.world.now;
        let mut rows = lines(inner);
        let mut put = |row: Row<'_>| {
            if let Some(area) = rows.next() {
                row.draw(buf, area);
            }
        };
        let title = Row::new().put(format!("{} {}", self.rung, self.title), scene.of(Role::Title));
        let Some(job) = job else {
            let (words, role) = match &self.stage {
                Stage::Refused(why) => (format!("not begun: {why}"), Role::Bad),
                _ => ("asked for; no worker has it yet".into(), Role::Accent),
            };
            put(title);
            for line in wrap(&words, usize::from(inner.width)) {
                put(Row::new().put(line, scene.of(role)));
            }
            put(Row::new());
            put(Row::new().put("esc", scene.of(Role::Accent)).put(" close", scene.of(Role::Text)));
            return;
        };
        let (sign, word, role) = steps::status(job);
        let took = steps::ended(job).unwrap_or(now) - job.requested;
        put(title.end(format!("{sign} {word}  {}", span(took)), scene.of(role)));
        put(Row::new());
        let room = usize::from(inner.height).saturating_sub(6);
        let running = job
            .steps
            .iter()
            .position(|step| !matches!(step.status, crate::run::job::StepStatus::Ended { .. }));
        let from = running.unwrap_or(count).saturating_sub(room / 2).min(count.saturating_sub(room));
        for step in job.steps.iter().skip(from).take(room) {
            put(steps::row(step, scene.theme, now));
        }
        put(Row::new());
        let (words, role) = match job.outcome() {
            None => ("users are safe when the last step has proven it from outside".into(), Role::Muted),
            Some(Outcome::Succeeded { summary, .. }) => (format!("VERIFIED: {summary}"), Role::Ok),
            Some(Outcome::Failed { failure }) => (format!("FAILED: {failure}"), Role::Bad),
            Some(Outcome::Cancelled { state }) => (format!("CANCELLED: {state}"), Role::Warn),
        };
        for line in wrap(&words, usize::from(inner.width)).into_iter().take(2) {
            put(Row::new().put(line, scene.of(role)));
        }
        let close = if job.is_over() { " close" } else { " close; it goes on" };
        put(Row::new().put("esc", scene.of(Role::Accent)).put(close, scene.of(Role::Text)));
    }
}
