//! What lies on top of the panes. Each dialog owns the keys while it is there. One that changes what is hard to change back
//! takes no key before it has stood on the screen for 400 ms, and never a paste: nothing typed ahead can confirm it.

pub mod choice;
pub mod confirm;
pub mod countdown;
pub mod faults;
pub mod filter;
pub mod help;
pub mod palette;
pub mod progress;
pub mod seat;
pub mod session;
pub mod typed;
pub mod words;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};
use tokio::time::{Duration, Instant};

use super::keymap::Act;
use super::panes::{Scene, World};
use super::theme::Role;
use super::widgets::frame::{Panel, Shape, panel};
use super::{Notice, Order};
use crate::run::{Actor, Job};

/// What lies on top; with it, the mode that the keys are in.
#[derive(Debug)]
pub enum Overlay {
    /// The keys.
    Help(help::Help),
    /// Everything by its name.
    Palette(palette::Palette),
    /// The filter of a list.
    Filter(filter::Filter),
    /// Words to be written.
    Words(Box<words::Words>),
    /// One of some answers.
    Choice(choice::Choice),
    /// A yes, on another key than the one that asked.
    Confirm(confirm::Confirm),
    /// Three seconds to stop the emergency.
    Countdown(countdown::Countdown),
    /// A name to be typed before data is lost.
    Typed(typed::Typed),
    /// A rollback on its way.
    Progress(progress::Progress),
    /// Another seat.
    Seat(seat::Seat),
    /// Somebody else's session, to be ended.
    EndSession(session::EndSession),
    /// Faults of a rehearsal.
    Faults(faults::Faults),
}

/// What a key in a dialog amounts to.
#[derive(Debug)]
pub enum Answer {
    /// Nothing yet.
    Stay,
    /// It is gone.
    Close,
    /// It is gone, and this is ordered.
    Orders(Vec<Order>),
    /// Another one takes its place, and this is ordered.
    Instead(Box<Overlay>, Vec<Order>),
    /// Somebody else sits here.
    Sit(Actor),
    /// It is gone, and this is as if its key were pressed.
    Press(Act),
    /// The filter is this; the dialog stays.
    Filter(String),
    /// The person leaves.
    Leave,
}

/// When a dialog was first seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen(Option<Instant>);

/// How long a dialog must have been seen before it takes a key that changes something.
pub const READ: Duration = Duration::from_millis(400);

impl Seen {
    /// It stands on the screen.
    pub fn painted(&mut self, at: Instant) {
        self.0.get_or_insert(at);
    }

    /// Whether it can have been read.
    pub fn is_read(self, at: Instant) -> bool {
        self.0.is_some_and(|seen| at >= seen + READ)
    }
}

impl Overlay {
    /// A key.
    pub fn key(&mut self, key: KeyEvent, seat: &Actor, world: &World<'_>, at: Instant) -> Answer {
        match self {
            Self::Help(help) => help.key(key),
            Self::Palette(palette) => palette.key(key, seat),
            Self::Filter(filter) => filter.key(key),
            Self::Words(words) => words.key(key, seat),
            Self::Choice(choice) => choice.key(key, seat, world, at),
            Self::Confirm(confirm) => confirm.key(key, at),
            Self::Countdown(countdown) => countdown.key(key, at),
            Self::Typed(typed) => typed.key(key, at),
            Self::Progress(progress) => progress.key(key, world),
            Self::Seat(seat) => seat.key(key),
            Self::EndSession(end) => end.key(key, seat, world.state, at),
            Self::Faults(faults) => faults.key(key, world),
        }
    }

    /// Something pasted. Only where words are written; what confirms never takes it.
    pub fn paste(&mut self, text: &str) {
        match self {
            Self::Words(words) => words.paste(text),
            Self::Filter(filter) => filter.paste(text),
            _ => {}
        }
    }

    /// It was drawn.
    pub fn painted(&mut self, at: Instant) {
        match self {
            Self::Confirm(confirm) => confirm.seen.painted(at),
            Self::Countdown(countdown) => countdown.seen.painted(at),
            Self::Typed(typed) => typed.seen.painted(at),
            Self::Choice(choice) => choice.seen.painted(at),
            Self::EndSession(end) => end.seen.painted(at),
            _ => {}
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, at: Instant) -> Option<Answer> {
        match self {
            Self::Countdown(countdown) => countdown.tick(at),
            _ => None,
        }
    }

    /// When it changes by itself next.
    pub fn wakes_at(&self, now: Instant) -> Option<Instant> {
        match self {
            Self::Countdown(countdown) => Some(countdown.wakes_at(now)),
            _ => None,
        }
    }

    /// The state is another one.
    pub fn state_changed(&mut self, world: &World<'_>) {
        if let Self::Progress(progress) = self {
            progress.state_changed(world);
        }
    }

    /// A word that may be the answer to what it ordered.
    pub fn hears(&mut self, notice: &Notice) {
        if let Self::Progress(progress) = self {
            progress.hears(notice);
        }
    }

    /// Draws it.
    pub fn draw(&self, scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
        match self {
            Self::Help(help) => help.draw(scene, buf, area),
            Self::Palette(palette) => palette.draw(scene, buf, area),
            Self::Filter(filter) => filter.draw(scene, buf, area),
            Self::Words(words) => words.draw(scene, buf, area),
            Self::Choice(choice) => choice.draw(scene, buf, area),
            Self::Confirm(confirm) => confirm.draw(scene, buf, area),
            Self::Countdown(countdown) => countdown.draw(scene, buf, area),
            Self::Typed(typed) => typed.draw(scene, buf, area),
            Self::Progress(progress) => progress.draw(scene, buf, area),
            Self::Seat(seat) => seat.draw(scene, buf, area),
            Self::EndSession(end) => end.draw(scene, buf, area),
            Self::Faults(faults) => faults.draw(scene, buf, area),
        }
    }
}

/// A box in the middle, as wide and high as asked where there is room; returns what is inside.
pub(super) fn open(
    scene: &Scene<'_>,
    buf: &mut Buffer,
    area: Rect,
    (width, height): (u16, u16),
    title: &str,
    role: Role,
) -> Rect {
    let (width, height) = (width.min(area.width), (height + 2).min(area.height));
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(place, buf);
    buf.set_style(place, scene.of(Role::Ground).patch(scene.of(Role::Text)));
    let inner = panel(buf, place, scene.theme, &Panel::new(title).shape(Shape::Focus));
    if role != Role::Accent {
        // The frame itself says what kind of question it is.
        let style = scene.of(role);
        buf.set_stringn(place.x + 2, place.y, format!(" {title} "), usize::from(width), style);
    }
    inner
}

/// The confirmation before a cockpit is left in which a job runs.
pub fn quit(job: &Job) -> confirm::Confirm {
    let lines = vec![
        format!("{} {} runs in this cockpit.", job.kind.title(), job.id),
        "It stops where it is; another cockpit with its credentials, or the next start of this one, goes on."
            .into(),
    ];
    confirm::Confirm::leaving(lines)
}
