//! The screen: draws the state that it is given, and sends orders. It knows `plan`, `run` and `clock`, and nothing that
//! stores, acts or talks to the world; so a picture, a test and the cockpit itself are the same code.
//!
//! ```text
//! terminal ─ event_loop ─ app (keys → orders)          what is where: keymap · acts · dialogs
//!                 └────── screen (state → cells)       what is drawn: panes · widgets · theme
//! ```
//!
//! Nothing here waits inside a key handler, nothing is drawn that did not change, and no role of a colour is its only sign.

pub mod acts;
pub mod app;
pub mod dialogs;
pub mod event_loop;
pub mod keymap;
pub mod panes;
pub mod picture;
pub mod rows;
pub mod schedule;
pub mod screen;
pub mod terminal;
pub mod theme;
pub mod widgets;

#[cfg(test)]
#[path = "../../tests/fixture/mod.rs"]
mod fixture;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

pub use picture::picture;
pub use theme::{Depth, Theme};

use crate::clock::Clock;
use crate::run::{Actor, Command, Live, State};

/// What the screen lives on.
#[derive(Debug)]
pub struct Feed {
    /// The state, newest first and only.
    pub state: watch::Receiver<Arc<State>>,
    /// Progress, samples, presence.
    pub live: watch::Receiver<Arc<Live>>,
    /// How far the start-up is.
    pub boot: watch::Receiver<Boot>,
    /// What keeps the journal from being followed or written, in words, while something does.
    pub trouble: watch::Receiver<Option<Arc<str>>>,
    /// What the screen must say.
    pub notices: mpsc::Receiver<Notice>,
    /// What the person in front of it wants.
    pub orders: mpsc::Sender<Order>,
    /// The run's clock.
    pub clock: Clock,
    /// Who sits here.
    pub seat: Actor,
    /// This cockpit's id.
    pub cockpit: Arc<str>,
}

/// The start-up, as it is shown on the first frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// Its steps, in order.
    pub steps: Vec<BootStep>,
}

impl Boot {
    /// Whether it goes on.
    pub fn is_starting(&self) -> bool {
        let any = |status: fn(&BootStatus) -> bool| self.steps.iter().any(|step| status(&step.status));
        any(|status| *status == BootStatus::Doing)
            || (any(|status| *status == BootStatus::Waiting) && self.failures().next().is_none())
    }

    /// Whether it came to its end at a step that failed.
    pub fn has_failed(&self) -> bool {
        self.failures().next().is_some() && !self.is_starting()
    }

    /// What did not start: its name, what happened, what to do.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.steps.iter().filter_map(|step| match &step.status {
            BootStatus::Failed { what, next } => Some((step.name.as_str(), what.as_str(), next.as_str())),
            _ => None,
        })
    }
}

/// A step of the start-up ("opening the journal").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootStep {
    /// What is done.
    pub name: String,
    /// How far it is.
    pub status: BootStatus,
}

/// How far a step of the start-up is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootStatus {
    /// Not begun.
    Waiting,
    /// Begun.
    Doing,
    /// Over.
    Done {
        /// A remark ("3,120 events"); may be empty.
        note: String,
    },
    /// It did not succeed.
    Failed {
        /// What happened.
        what: String,
        /// What to do about it.
        next: String,
    },
}

/// A word to the person in front of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An order was refused by a rule.
    Refused(String),
    /// An order, or something behind the screen, did not succeed.
    Failed(String),
    /// Good to know.
    Info(String),
}

/// What the person in front of the screen wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Something of the run.
    Command {
        /// In whose name.
        by: Actor,
        /// What.
        command: Command,
    },
    /// Jump over the present wait; rehearsals only.
    Jump,
    /// Throw a fault in or take it away; rehearsals only.
    Fault {
        /// Its name.
        name: String,
        /// In, or away.
        on: bool,
    },
    /// Leave the cockpit. The run goes on where its workers are.
    Quit,
}

/// A fault that a rehearsal offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its name in orders and events.
    pub name: String,
    /// What it does, in a line.
    pub words: String,
}

/// How the screen is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its colours.
    pub theme: Theme,
    /// Whether the mouse is listened to; then the terminal's own selection needs Shift.
    pub mouse: Mouse,
    /// The faults that a rehearsal offers; empty on the day itself.
    pub faults: Vec<Fault>,
}

/// Whether the mouse is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mouse {
    /// It is the terminal's.
    Off,
    /// It moves the cursor and chooses panes.
    On,
}

/// Takes the terminal over until the person leaves, the process is told to end, or the terminal goes away.
pub async fn run(feed: Feed, options: Options) -> color_eyre::Result<()> {
    let stop = terminal::told_to_end()?;
    let (guard, mut screen) = terminal::take(options.mouse)?;
    let input = terminal::input()?;
    let ended = event_loop::drive(&mut screen, input, stop, feed, options).await;
    drop(guard);
    ended
}
