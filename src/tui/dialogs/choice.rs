//! One of some answers: an item's (GREEN, YELLOW, RED), how the run ended, which message.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::Instant;

use super::words::{Purpose, Words};
use super::{Answer, Overlay, Seen, open};
use crate::plan::{Action, ItemId, ItemKind, Phase};
use crate::run::event::Ending;
use crate::run::job::JobKind;
use crate::run::live::Conflict;
use crate::run::upkeep::Settle;
use crate::run::{Actor, Command};
use crate::tui::Order;
use crate::tui::acts;
use crate::tui::panes::{Scene, World, import};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, columns, lines};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// An item's answer.
    Item(ItemId),
    /// How the run ended.
    Ending,
    /// Which message is to be sent.
    Message,
    /// Whose contact a profile is: the one at that place of the import's pane.
    Conflict(Option<usize>),
}

/// The dialog.
#[derive(Debug)]
pub struct Choice {
    question: Question,
    about: String,
    options: Vec<String>,
    /// What each option asks for, where that is a job.
    jobs: Vec<JobKind>,
    picked: usize,
    pub(super) seen: Seen,
}

impl Choice {
    /// With the answers that the plan allows.
    pub fn new(question: Question, world: &World<'_>) -> Self {
        let (mut picked, mut jobs) = (0, Vec::new());
        let (about, options) = match &question {
            Question::Item(id) => {
                world.plan().and_then(|plan| plan.item(id)).map_or_else(Default::default, |(_, item)| {
                    let options = match &item.kind {
                        ItemKind::Choice { of } => of.clone(),
                        ItemKind::Tick | ItemKind::Value { .. } => Vec::new(),
                    };
                    (item.text.clone(), options)
                })
            }
            Question::Ending => {
                let likely = acts::likely_ending(world);
                picked = Ending::ALL.iter().position(|ending| *ending == likely).unwrap_or(0);
                let words = Ending::ALL.iter().map(|ending| ending.words().to_owned()).collect();
                ("The run ends; only notes can be added after it.".into(), words)
            }
            Question::Message => ("Which message?".into(), messages(world)),
            Question::Conflict(pick) => {
                let (about, ways) = ways(import::selected(world, *pick));
                let (options, kinds) = ways.into_iter().unzip();
                jobs = kinds;
                // To leave it as it is changes nobody, and so is what a hasty key finds.
                picked = jobs.len().saturating_sub(1);
                (about, options)
            }
        };
        Self { question, about, options, jobs, picked, seen: Seen::default() }
    }

    pub(super) fn key(&mut self, key: KeyEvent, seat: &Actor, world: &World<'_>, at: Instant) -> Answer {
        let last = self.options.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Answer::Close,
            KeyCode::Up | KeyCode::Char('k') => self.picked = self.picked.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.picked = (self.picked + 1).min(last),
            KeyCode::Char(digit @ '1'..='9') => {
                let place = usize::try_from(digit.to_digit(10).unwrap_or(1)).unwrap_or(1) - 1;
                self.picked = place.min(last);
            }
            KeyCode::Enter if self.seen.is_read(at) => return self.chosen(seat, world),
            _ => {}
        }
        Answer::Stay
    }

    fn chosen(&self, seat: &Actor, world: &World<'_>) -> Answer {
        let Some(option) = self.options.get(self.picked) else { return Answer::Close };
        let command = match &self.question {
            Question::Item(item) => Command::Tick { item: item.clone(), value: Some(option.clone()) },
            Question::Ending => Command::Close(Ending::ALL[self.picked.min(Ending::ALL.len() - 1)]),
            Question::Conflict(_) => match self.jobs.get(self.picked) {
                Some(kind) => Command::Request(kind.clone()),
                None => return Answer::Close,
            },
            Question::Message => {
                let words = Words::new(Purpose::Announce(option.clone()), world);
                return Answer::Instead(Box::new(Overlay::Words(Box::new(words))), Vec::new());
            }
        };
        Answer::Orders(vec![Order::Command { by: seat.clone(), command }])
    }

    pub(super) fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        let title = match self.question {
            Question::Item(_) => "Answer",
            Question::Ending => "End the run",
            Question::Message => "Announce",
            Question::Conflict(_) => "Whose contact is it?",
        };
        let inner = open(
            scene,
            buf,
            area,
            (
                if matches!(self.question, Question::Conflict(_)) { 76 } else { 64 },
                columns(self.options.len()) + 4,
            ),
            title,
            Role::Accent,
        );
        let mut rows = lines(inner);
        let mut put = |row: Row<'_>, picked: bool| {
            if let Some(area) = rows.next() {
                if picked {
                    buf.set_style(area, scene.of(Role::Selected));
                }
                row.draw(buf, area);
            }
        };
        put(Row::new().put(self.about.as_str(), scene.of(Role::Muted)), false);
        put(Row::new(), false);
        for (place, option) in self.options.iter().enumerate() {
            let picked = place == self.picked;
            let (mark, role) = if picked { ("▸ ", Role::Accent) } else { ("  ", Role::Text) };
            put(
                Row::new().put(mark, scene.of(role)).put(format!("{} {option}", place + 1), scene.of(role)),
                picked,
            );
        }
        put(Row::new(), false);
        put(
            Row::new()
                .put("⏎", scene.of(Role::Accent))
                .put(" this one   ", scene.of(Role::Text))
                .put("esc", scene.of(Role::Accent))
                .put(" leave it", scene.of(Role::Text)),
            false,
        );
    }
}

/// What can be decided about a profile, and the job that carries it out.
fn ways(conflict: Option<&Conflict>) -> (String, Vec<(String, JobKind)>) {
    let Some(conflict) = conflict else {
        return ("no profile waits for a person any more".into(), Vec::new());
    };
    let value = |values: &[String], field: &str| {
        let place = conflict.pulse.iter().position(|(own, _)| own == field);
        place.and_then(|place| values.get(place)).cloned().unwrap_or_default()
    };
    let pulse: Vec<String> = conflict.pulse.iter().map(|(_, value)| value.clone()).collect();
    let about = format!("{} at Pulse: {}", value(&pulse, "name"), conflict.reason);
    let job = |settle| JobKind::Resolve { profile: conflict.profile.clone(), settle };
    let mut ways: Vec<(String, JobKind)> = conflict
        .contacts
        .iter()
        .filter(|rival| rival.taken_by.as_ref().is_none_or(|profile| *profile == conflict.profile))
        .map(|rival| {
            let short: String = rival.contact.chars().take(8).collect();
            let name = value(&rival.values, "name");
            let words = format!("contact {short}, {name}: take what Pulse says for it");
            (words, job(Settle::Link { contact: rival.contact.clone() }))
        })
        .collect();
    ways.push(("nobody of these: take it from Pulse as a new contact".into(), job(Settle::Add)));
    ways.push(("keep the CRM as it is; ask again when the profile changes".into(), job(Settle::Keep)));
    (about, ways)
}

/// The messages that the plan names, and one for a plain status.
fn messages(world: &World<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for item in world.plan().into_iter().flat_map(|plan| plan.checklist.phases.iter().flat_map(Phase::items))
    {
        if let Some(Action::Announce { message }) = &item.action
            && !names.contains(message)
        {
            names.push(message.clone());
        }
    }
    if !names.iter().any(|name| name == "status") {
        names.push("status".into());
    }
    names
}
