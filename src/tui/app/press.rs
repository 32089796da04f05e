//! What each act does to the view, and what it orders. An act that the rules refuse is refused here, with their words,
//! before a dialog asks for anything.

use tokio::time::Instant;

use super::{App, Cursor, SLIDE};
use crate::plan::{Action, Item, ItemKind};
use crate::run::event::NoteKind;
use crate::run::job::{JobStatus, Nature};
use crate::run::state::{PhaseStatus, State};
use crate::run::upkeep::Upkeep;
use crate::run::{Command, Mode, Steer};
use crate::tui::acts;
use crate::tui::dialogs::choice::{Choice, Question};
use crate::tui::dialogs::confirm::Confirm;
use crate::tui::dialogs::countdown::Countdown;
use crate::tui::dialogs::faults::Faults;
use crate::tui::dialogs::filter::Filter;
use crate::tui::dialogs::help::Help;
use crate::tui::dialogs::palette::Palette;
use crate::tui::dialogs::seat::Seat;
use crate::tui::dialogs::session::EndSession;
use crate::tui::dialogs::typed::Typed;
use crate::tui::dialogs::words::{Purpose, Words};
use crate::tui::dialogs::{Overlay, quit};
use crate::tui::keymap::Act;
use crate::tui::panes::{Pane, World};
use crate::tui::rows::Spot;
use crate::tui::{Notice, Order};

/// Whether an act changes the run by what is under the cursor.
const fn is_about_the_cursor(act: Act) -> bool {
    matches!(act, Act::Tick | Act::Enter | Act::Skip | Act::Fail | Act::Reopen)
}

impl App {
    pub(super) fn press(&mut self, act: Act, world: &World<'_>, at: Instant) -> Vec<Order> {
        self.notice = None;
        if self.slid.is_some_and(|slid| at < slid + SLIDE) && self.follows() && is_about_the_cursor(act) {
            self.say(
                Notice::Info("somebody settled what stood here just now; look, then press again".into()),
                at,
            );
            return Vec::new();
        }
        if let Some(why) = acts::hindrance(act, self, world) {
            self.say(Notice::Refused(why), at);
            return Vec::new();
        }
        match act {
            Act::Show(pane) => self.pane = pane,
            Act::NextPane => self.turn(1),
            Act::PrevPane => self.turn(Pane::ALL.len() - 1),
            Act::Move(step) => self.step(step, world),
            Act::Back => self.back(),
            Act::Filter => self.overlays.push(Overlay::Filter(Filter::new(self.filter(self.pane)))),
            Act::Palette => self.overlays.push(Overlay::Palette(Palette::new(self, world))),
            Act::Help => self.overlays.push(Overlay::Help(Help::default())),
            Act::Seat => self.overlays.push(Overlay::Seat(Seat::new(&self.seat, world))),
            Act::Faults => self.overlays.push(Overlay::Faults(Faults::default())),
            Act::Jump => return vec![Order::Jump],
            Act::Quit => return self.quit(world),
            Act::Tick => return self.tick(world),
            Act::Enter => return self.enter(world),
            Act::Note => self.note(NoteKind::Note, world),
            Act::Deviation => self.note(NoteKind::Deviation, world),
            Act::Skip => self.about_item(world, Purpose::Skip),
            Act::Fail => self.about_item(world, Purpose::Fail),
            Act::Reopen => self.about_item(world, Purpose::Reopen),
            Act::Go => self.go(world),
            Act::NoGo => {
                if let Some(phase) = world.state.current_phase() {
                    self.write(Purpose::NoGo(phase.id.clone()), world);
                }
            }
            Act::End => self.overlays.push(Overlay::Choice(Choice::new(Question::Ending, world))),
            Act::WayOut => self.way_out(world, at),
            Act::Cancel => self.cancel(world),
            Act::GoOn => {
                if let Some(job) = acts::asking(world) {
                    self.write(Purpose::GoOn(job.id), world);
                }
            }
            Act::Announce => self.announce(world),
            Act::LetGo => return self.let_go(world),
            Act::LeaveOut => return self.leave_out(world),
            Act::EndSession => {
                if let Some(job) = acts::migration(world) {
                    let blockers = acts::in_the_way(world, job.id).to_vec();
                    self.overlays.push(Overlay::EndSession(EndSession::new(job.id, blockers)));
                }
            }
            Act::Settle => self
                .overlays
                .push(Overlay::Choice(Choice::new(Question::Conflict(self.pick(Pane::Import)), world))),
            Act::SyncSwitch => self.switch(Upkeep::Sync, world),
            Act::HistorySwitch => self.switch(Upkeep::History, world),
            Act::Mock => self.write(Purpose::Mock, world),
            Act::Arm | Act::Pause | Act::Acknowledge | Act::Hold | Act::Faster | Act::Slower => {
                if let Ok(Some(command)) = acts::wish(act, self, world) {
                    return vec![self.command(command)];
                }
            }
        }
        Vec::new()
    }

    fn command(&self, command: Command) -> Order {
        Order::Command { by: self.seat.clone(), command }
    }

    fn turn(&mut self, by: usize) {
        self.pane = Pane::ALL[(self.pane as usize + by) % Pane::ALL.len()];
    }

    fn back(&mut self) {
        let filter = &mut self.filter[self.pane as usize];
        if !filter.is_empty() {
            filter.clear();
        } else if self.picks[self.pane as usize].take().is_some() {
            // The pane shows again what matters now.
        } else if self.cursor != Cursor::Follow {
            self.cursor = Cursor::Follow;
        } else {
            self.pane = Pane::Overview;
        }
    }

    fn quit(&mut self, world: &World<'_>) -> Vec<Order> {
        let mine = world.state.jobs.values().find(|job| match &job.status {
            JobStatus::Running(attempt) | JobStatus::Paused(attempt) | JobStatus::Cancelling(attempt) => {
                *attempt.cockpit == *world.cockpit
            }
            JobStatus::Requested | JobStatus::Ended { .. } => false,
        });
        if let Some(job) = mine {
            self.overlays.push(Overlay::Confirm(quit(job)));
            return Vec::new();
        }
        self.leaving = true;
        vec![Order::Quit]
    }

    fn tick(&mut self, world: &World<'_>) -> Vec<Order> {
        if let Some(Spot::Gate(id)) = self.spot(world) {
            let Some((phase, section, gate)) = world.plan().and_then(|plan| plan.gate(&id)) else {
                return Vec::new();
            };
            let under = if section.title.is_empty() { &phase.title } else { &section.title };
            let lines = vec![
                format!("{} puts a name under {:?}, as {}.", self.seat.name, gate.title, self.seat.role),
                format!("It says that {under:?} is whole. A signature is not taken back."),
            ];
            let order = self.command(Command::Sign(id));
            self.overlays.push(Overlay::Confirm(Confirm::new("Sign", lines, order)));
            return Vec::new();
        }
        let Some(item) = self.item(world) else { return Vec::new() };
        match &item.kind {
            ItemKind::Tick => {
                self.go_on_from(&item.id, world);
                vec![self.command(Command::Tick { item: item.id.clone(), value: None })]
            }
            ItemKind::Value { .. } => {
                self.write(Purpose::Value(item.id.clone()), world);
                Vec::new()
            }
            ItemKind::Choice { .. } => {
                self.overlays.push(Overlay::Choice(Choice::new(Question::Item(item.id.clone()), world)));
                Vec::new()
            }
        }
    }

    fn enter(&mut self, world: &World<'_>) -> Vec<Order> {
        let Some(item) = self.runnable(world) else {
            if self.pane == Pane::Overview {
                self.pane = Pane::Checklist;
            }
            return Vec::new();
        };
        let order = self.command(Command::Run(item.id.clone()));
        match consequence(item, world.state) {
            Some(lines) => {
                self.overlays.push(Overlay::Confirm(Confirm::new("Run", lines, order)));
                Vec::new()
            }
            None => vec![order],
        }
    }

    fn about_item(&mut self, world: &World<'_>, purpose: impl Fn(crate::plan::ItemId) -> Purpose) {
        if let Some(item) = self.item(world) {
            self.write(purpose(item.id.clone()), world);
        }
    }

    fn note(&mut self, kind: NoteKind, world: &World<'_>) {
        let item = self.item(world).map(|item| item.id.clone());
        self.write(Purpose::Note(kind, item), world);
    }

    fn write(&mut self, purpose: Purpose, world: &World<'_>) {
        self.overlays.push(Overlay::Words(Box::new(Words::new(purpose, world))));
    }

    fn go(&mut self, world: &World<'_>) {
        let (Ok(command), Some(phase)) = (acts::go(world), world.state.current_phase()) else { return };
        let (settled, all) = world.state.tally(phase);
        let (title, lines) = if world.state.phase(phase) == PhaseStatus::Active {
            let lines = vec![
                format!("GO for {:?}: {settled} of {all} items settled, every gate signed.", phase.title),
                "The phase is closed by it; what comes later is written down as a deviation.".into(),
            ];
            ("GO", lines)
        } else {
            let takes = phase.takes.and_then(|takes| chrono::TimeDelta::from_std(takes).ok());
            let takes =
                takes.map(|takes| format!(", planned for {}", crate::tui::widgets::text::span(takes)));
            let lines = vec![
                format!("{:?} begins: {all} items{}.", phase.title, takes.unwrap_or_default()),
                "Everybody's cockpit shows it as running from now on.".into(),
            ];
            ("Start", lines)
        };
        let order = self.command(command);
        self.overlays.push(Overlay::Confirm(Confirm::new(title, lines, order)));
    }

    fn way_out(&mut self, world: &World<'_>, at: Instant) {
        let Some(rung) = self.rung(world) else { return };
        let overlay = if rung.confirm.is_some() || rung.kind.loses_data() {
            Overlay::Typed(Typed::new(rung, &self.seat, world))
        } else {
            Overlay::Countdown(Countdown::new(rung, &self.seat, world, at))
        };
        self.overlays.push(overlay);
    }

    /// Off needs a reason; on again needs one yes, for it writes to the database by itself.
    fn switch(&mut self, what: Upkeep, world: &World<'_>) {
        let Some(hold) = world.state.held.get(&what) else {
            self.write(Purpose::Hold(what), world);
            return;
        };
        let lines = vec![
            format!("{} switched {what} off: {}", hold.by.name, hold.why),
            "On again, it goes on by itself from where it was.".into(),
        ];
        let order = self.command(Command::Release(what));
        self.overlays.push(Overlay::Confirm(Confirm::new("Switch on", lines, order)));
    }

    fn cancel(&mut self, world: &World<'_>) {
        let Some(job) = acts::job(world) else { return };
        let (done, all) = job.steps_done();
        let lines = vec![
            format!("{} {} is asked to give up; {done} of {all} steps are over.", job.kind.title(), job.id),
            "It stops at its next safe edge and says what was done and what was not.".into(),
        ];
        let order = self.command(Command::Cancel(job.id));
        self.overlays.push(Overlay::Confirm(Confirm::new("Cancel the job", lines, order)));
    }

    fn let_go(&mut self, world: &World<'_>) -> Vec<Order> {
        let Ok(Some(command)) = acts::wish(Act::LetGo, self, world) else { return Vec::new() };
        let Command::Steer { job, steer: Steer::Let { step } } = &command else { return Vec::new() };
        let steps = world.state.jobs.get(job).map_or(&[][..], |job| job.steps.as_slice());
        let no_return = steps.iter().any(|one| one.plan.name == *step && one.plan.nature == Nature::NoReturn);
        let order = self.command(command.clone());
        if !no_return {
            return vec![order];
        }
        let lines = vec![
            step.to_string(),
            format!(
                "{} lets the run go beyond it, as {}; that is written down.",
                self.seat.name, self.seat.role
            ),
        ];
        self.overlays.push(Overlay::Confirm(Confirm::new("Go beyond", lines, order)));
        Vec::new()
    }

    fn leave_out(&mut self, world: &World<'_>) -> Vec<Order> {
        let Ok(Some(command)) = acts::wish(Act::LeaveOut, self, world) else { return Vec::new() };
        let Command::Steer { steer: Steer::LeaveOut { step }, .. } = &command else { return Vec::new() };
        let lines = vec![
            format!("{step} is not run."),
            "Checks that look for the index will name it as missing; the next run builds it.".into(),
        ];
        let order = self.command(command.clone());
        self.overlays.push(Overlay::Confirm(Confirm::new("Leave out", lines, order)));
        Vec::new()
    }

    fn announce(&mut self, world: &World<'_>) {
        let of_item = self.item(world).and_then(|item| match &item.action {
            Some(Action::Announce { message }) => Some(message.clone()),
            _ => None,
        });
        match of_item {
            Some(message) => self.write(Purpose::Announce(message), world),
            None => self.overlays.push(Overlay::Choice(Choice::new(Question::Message, world))),
        }
    }
}

/// What an item's action does to the world, for the one confirmation; nothing for what only proves or copies.
fn consequence(item: &Item, state: &State) -> Option<Vec<String>> {
    let what = match item.action.as_ref()? {
        Action::Backup => return None,
        Action::Migrate { to: Some(to) } => format!("The database is migrated, up to and including {to:03}."),
        Action::Migrate { to: None } => {
            "The database is migrated, every migration that is not applied yet.".into()
        }
        Action::Deploy => "The release goes live: production points at it.".into(),
        Action::Import => "Contacts are imported from Pulse into the database, in batches.".into(),
        Action::Sync => "What changed in Pulse is taken over now, and every 15 minutes from now on.".into(),
        Action::Announce { message } => format!("The message {message:?} is sent."),
        Action::Rollout { share } => format!("{share} % of the users get the feature."),
        Action::Drill { rung } => acts::drill_words(*rung),
    };
    let mode = match state.run.as_ref().map(|run| run.mode) {
        Some(Mode::Live) => "This is LIVE.",
        _ => "This is a rehearsal: stand-ins answer.",
    };
    Some(vec![format!("{:?}", item.text), what, mode.into()])
}
