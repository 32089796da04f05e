//! Where the person looks and what they are in the middle of. `update` is pure: an input and the world in, orders out; it
//! sends, waits for and draws nothing.

use crossterm::event::{Event as Term, KeyEventKind, MouseButton, MouseEventKind};
use ratatui::layout::{Position, Rect};
use tokio::time::{Duration, Instant};

use super::dialogs::{Answer, Overlay};
use super::keymap::{self, Step};
use super::panes::{Pane, World, overview};
use super::rows::{self, Spot, Unfolded};
use super::{Notice, Order};
use crate::plan::{Item, ItemId, Phase, Rung};
use crate::run::Actor;
use crate::run::state::ItemState;

mod press;

/// Something that comes in.
#[derive(Debug)]
pub enum Input {
    /// From the terminal.
    Term(Term),
    /// The state is another one.
    State,
    /// A word to the person.
    Notice(Notice),
    /// Time has passed.
    Tick,
}

/// Where the cursor of the checklist is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cursor {
    /// On what comes next, whatever that is.
    Follow,
    /// Where the person put it.
    At(Spot),
}

/// The view's own state.
#[derive(Debug)]
pub struct App {
    seat: Actor,
    pane: Pane,
    cursor: Cursor,
    picks: [Option<usize>; Pane::ALL.len()],
    filter: [String; Pane::ALL.len()],
    overlays: Vec<Overlay>,
    notice: Option<(Notice, Instant)>,
    area: Rect,
    /// What the cursor was on, and when somebody else's doing moved it.
    last_spot: Option<Spot>,
    slid: Option<Instant>,
    leaving: bool,
}

/// How long a word to the person stands.
const NOTICE: Duration = Duration::from_secs(12);
/// How long after the list moved on by itself a key that changes something is not taken: it was meant for what stood there.
const SLIDE: Duration = Duration::from_millis(400);

impl App {
    /// A view from that seat.
    pub fn new(seat: Actor) -> Self {
        Self {
            seat,
            pane: Pane::Overview,
            cursor: Cursor::Follow,
            picks: [None; Pane::ALL.len()],
            filter: Default::default(),
            overlays: Vec::new(),
            notice: None,
            area: Rect::new(0, 0, 80, 24),
            last_spot: None,
            slid: None,
            leaving: false,
        }
    }

    /// Who sits here.
    pub const fn seat(&self) -> &Actor {
        &self.seat
    }

    /// What is shown.
    pub const fn pane(&self) -> Pane {
        self.pane
    }

    /// What lies on top, the uppermost last.
    pub fn overlays(&self) -> &[Overlay] {
        &self.overlays
    }

    /// The word to the person, if one stands.
    pub fn notice(&self) -> Option<&Notice> {
        self.notice.as_ref().map(|(notice, _)| notice)
    }

    /// Whether the person has left.
    pub const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// The row that was picked in a pane that has its own list; without one the pane shows what matters now.
    pub const fn pick(&self, pane: Pane) -> Option<usize> {
        self.picks[pane as usize]
    }

    /// The filter of a pane.
    pub fn filter(&self, pane: Pane) -> &str {
        &self.filter[pane as usize]
    }

    /// Where the cursor of the checklist is.
    pub fn spot(&self, world: &World<'_>) -> Option<Spot> {
        match &self.cursor {
            Cursor::At(spot) => Some(spot.clone()),
            Cursor::Follow => rows::next_spot(world.state, world.now),
        }
    }

    /// Whether the cursor follows what comes next.
    pub fn follows(&self) -> bool {
        self.cursor == Cursor::Follow
    }

    /// The item under the cursor.
    pub fn item<'a>(&self, world: &World<'a>) -> Option<&'a Item> {
        match self.spot(world)? {
            Spot::Item(id) => world.plan()?.item(&id).map(|(_, item)| item),
            Spot::Phase(_) | Spot::Gate(_) => None,
        }
    }

    /// The item under the cursor, if a machine has something to do for it.
    pub fn runnable<'a>(&self, world: &World<'a>) -> Option<&'a Item> {
        let item = self.item(world)?;
        let open = matches!(world.state.item(&item.id), ItemState::Open | ItemState::Failed { .. });
        (matches!(self.pane, Pane::Overview | Pane::Checklist)
            && open
            && (item.action.is_some() || item.check.is_some()))
        .then_some(item)
    }

    /// The phase that the overview unfolds.
    pub fn phase<'a>(&self, world: &World<'a>) -> Option<&'a Phase> {
        let plan = world.plan()?;
        match &self.cursor {
            Cursor::At(spot @ (Spot::Item(_) | Spot::Gate(_))) => rows::phase_of(plan, spot),
            _ => world.state.current_phase().or(plan.checklist.phases.last()),
        }
    }

    /// The rung that the emergency key means: the one picked in its pane, else the first that was not taken.
    pub fn rung<'a>(&self, world: &World<'a>) -> Option<&'a Rung> {
        let ladder = &world.plan()?.ladder;
        if let (Pane::WayOut, Some(pick)) = (self.pane, self.pick(Pane::WayOut)) {
            return ladder.get(pick.min(ladder.len().saturating_sub(1)));
        }
        ladder.iter().find(|rung| !world.state.taken_back.contains(&rung.order))
    }

    /// When something on the screen changes by itself next, beside the clock.
    pub fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let overlay = self.overlays.last().and_then(|overlay| overlay.wakes_at(now));
        let notice = self.notice.as_ref().map(|(_, since)| *since + NOTICE);
        overlay.into_iter().chain(notice).min()
    }

    /// The screen as it stands was painted: what lies on top has been seen from now on.
    pub fn painted(&mut self, at: Instant, area: Rect) {
        self.area = area;
        if let Some(overlay) = self.overlays.last_mut() {
            overlay.painted(at);
        }
    }

    /// Takes an input.
    pub fn update(&mut self, input: Input, world: &World<'_>, at: Instant) -> Vec<Order> {
        match input {
            Input::Term(term) => return self.term(term, world, at),
            Input::State => self.state_changed(world, at),
            Input::Notice(notice) => {
                for overlay in &mut self.overlays {
                    overlay.hears(&notice);
                }
                self.notice = Some((notice, at));
            }
            Input::Tick => {
                if self.notice.as_ref().is_some_and(|(_, since)| at >= *since + NOTICE) {
                    self.notice = None;
                }
                if let Some(overlay) = self.overlays.last_mut()
                    && let Some(answer) = overlay.tick(at)
                {
                    return self.answer(answer, world, at);
                }
            }
        }
        Vec::new()
    }

    fn say(&mut self, notice: Notice, at: Instant) {
        self.notice = Some((notice, at));
    }

    fn state_changed(&mut self, world: &World<'_>, at: Instant) {
        for overlay in &mut self.overlays {
            overlay.state_changed(world);
        }
        let spot = self.spot(world);
        let by_me = world.state.tail.back().is_none_or(|record| record.by == self.seat);
        if self.last_spot.is_some() && spot != self.last_spot && !by_me {
            self.slid = Some(at);
        }
        self.last_spot = spot;
    }

    fn term(&mut self, term: Term, world: &World<'_>, at: Instant) -> Vec<Order> {
        match term {
            Term::Key(key) if key.kind != KeyEventKind::Release => {
                if let Some(overlay) = self.overlays.last_mut() {
                    let answer = overlay.key(key, &self.seat, world, at);
                    return self.answer(answer, world, at);
                }
                match keymap::lookup(key, self.pane) {
                    Some(act) => self.press(act, world, at),
                    None => Vec::new(),
                }
            }
            Term::Paste(text) => {
                if let Some(overlay) = self.overlays.last_mut() {
                    overlay.paste(&text);
                }
                Vec::new()
            }
            Term::Mouse(mouse) if self.overlays.is_empty() => {
                match mouse.kind {
                    MouseEventKind::ScrollUp => self.step(Step::Up, world),
                    MouseEventKind::ScrollDown => self.step(Step::Down, world),
                    MouseEventKind::Down(MouseButton::Left) if self.pane == Pane::Overview => {
                        let at = Position::new(mouse.column, mouse.row);
                        if let Some(pane) = overview::pane_at(self.area, world, at) {
                            self.pane = pane;
                        }
                    }
                    _ => {}
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn answer(&mut self, answer: Answer, world: &World<'_>, at: Instant) -> Vec<Order> {
        match answer {
            Answer::Stay => Vec::new(),
            Answer::Close => {
                self.overlays.pop();
                Vec::new()
            }
            Answer::Orders(orders) => {
                self.overlays.pop();
                self.notice = None;
                orders
            }
            Answer::Instead(overlay, orders) => {
                self.overlays.pop();
                self.overlays.push(*overlay);
                orders
            }
            Answer::Sit(seat) => {
                self.overlays.pop();
                let order = Order::Command { by: seat.clone(), command: crate::run::Command::Join };
                self.say(Notice::Info(format!("you are {}, {}", seat.name, seat.role)), at);
                self.seat = seat;
                vec![order]
            }
            Answer::Press(act) => {
                self.overlays.pop();
                self.press(act, world, at)
            }
            Answer::Filter(text) => {
                self.filter[self.pane as usize] = text;
                Vec::new()
            }
            Answer::Leave => {
                self.leaving = true;
                vec![Order::Quit]
            }
        }
    }

    fn step(&mut self, step: Step, world: &World<'_>) {
        let page = usize::from(self.area.height.saturating_sub(6)).max(1);
        match self.pane {
            Pane::Overview | Pane::Checklist => self.step_checklist(step, world, page),
            pane => {
                let last = pane_rows(pane, self, world).saturating_sub(1);
                let at = self.picks[pane as usize].unwrap_or_else(|| pane_start(pane, self, world)).min(last);
                // The log stands on its head: 0 is the newest line, at the bottom.
                let step = if pane == Pane::Log { turned(step) } else { step };
                self.picks[pane as usize] = Some(moved(at, step, page, last));
            }
        }
    }

    fn step_checklist(&mut self, step: Step, world: &World<'_>, page: usize) {
        let Some(plan) = world.plan() else { return };
        let spot = self.spot(world);
        let only = self.phase(world).map(|phase| phase.id.clone());
        let unfolded = match (&only, self.pane) {
            (Some(id), Pane::Overview) => Unfolded::Only(id),
            _ => Unfolded::All,
        };
        let rows = rows::rows(plan, unfolded, self.filter(self.pane));
        let places: Vec<_> = rows.iter().filter(|row| row.spot().is_some()).collect();
        let at = spot.as_ref().and_then(|spot| places.iter().position(|row| row.is(spot))).unwrap_or(0);
        let phases = || places.iter().enumerate().filter(|(_, row)| matches!(row, rows::Row::Phase(_)));
        let to = match step {
            Step::Left => phases().map(|(place, _)| place).rfind(|place| *place < at).unwrap_or(at),
            Step::Right => phases().map(|(place, _)| place).find(|place| *place > at).unwrap_or(at),
            step => moved(at, step, page, places.len().saturating_sub(1)),
        };
        if let Some(spot) = places.get(to).and_then(|row| row.spot()) {
            self.cursor = Cursor::At(spot);
        }
    }

    /// After an item was settled the cursor goes on to the next open one.
    fn go_on_from(&mut self, id: &ItemId, world: &World<'_>) {
        if self.follows() {
            return;
        }
        if rows::next_spot(world.state, world.now) == Some(Spot::Item(id.clone())) {
            self.cursor = Cursor::Follow;
            return;
        }
        let Some((phase, _)) = world.plan().and_then(|plan| plan.item(id)) else { return };
        let after = phase.items().skip_while(|item| item.id != *id).skip(1);
        let open = after.into_iter().find(|item| !world.state.item(&item.id).is_settled());
        if let Some(item) = open {
            self.cursor = Cursor::At(Spot::Item(item.id.clone()));
        }
    }
}

fn pane_rows(pane: Pane, app: &App, world: &World<'_>) -> usize {
    match pane {
        Pane::Migrations => super::panes::migrations::rows(world).len(),
        Pane::Health => world.plan().map_or(0, |plan| plan.metrics.len()),
        Pane::WayOut => world.plan().map_or(0, |plan| plan.ladder.len()),
        Pane::Log => super::panes::log::records(world, app.filter(Pane::Log)).len(),
        Pane::Import => super::panes::import::rows(world),
        Pane::Overview | Pane::Checklist | Pane::Timeline => 1,
    }
}

/// Where the cursor of a pane is before it was moved.
fn pane_start(pane: Pane, app: &App, world: &World<'_>) -> usize {
    match pane {
        Pane::Migrations => super::panes::migrations::current(world),
        Pane::WayOut => {
            let aim = app.rung(world).map(|rung| rung.order);
            let ladder = world.plan().map_or(&[][..], |plan| plan.ladder.as_slice());
            ladder.iter().position(|rung| Some(rung.order) == aim).unwrap_or(0)
        }
        _ => 0,
    }
}

const fn turned(step: Step) -> Step {
    match step {
        Step::Up => Step::Down,
        Step::Down => Step::Up,
        Step::PageUp => Step::PageDown,
        Step::PageDown => Step::PageUp,
        Step::Home => Step::End,
        Step::End => Step::Home,
        other => other,
    }
}

const fn moved(at: usize, step: Step, page: usize, last: usize) -> usize {
    let to = match step {
        Step::Up | Step::Left => at.saturating_sub(1),
        Step::Down | Step::Right => at + 1,
        Step::PageUp => at.saturating_sub(page),
        Step::PageDown => at + page,
        Step::Home => 0,
        Step::End => last,
    };
    if to > last { last } else { to }
}
