//! Behind the screen: opens the cockpit while the first frame is already there, carries what the store says to the screen
//! and the screen's orders to the store.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::cockpit::Cockpit;
use crate::plan::schedule::schedule;
use crate::rehearsal::director;
use crate::rehearsal::world::World;
use crate::run::next::{Next, next};
use crate::run::{Actor, Live, State};
use crate::store::{Store, SubmitError};
use crate::tui::{Boot, BootStatus, BootStep, Feed, Notice, Order};

/// Orders and notices that wait; a person does not press keys faster than they are carried.
const WAITING: usize = 64;

/// What is open behind the screen.
pub(super) struct Opened {
    /// The seat.
    pub(super) cockpit: Cockpit,
    /// The stand-ins' world, in a rehearsal that this process holds.
    pub(super) world: Option<Arc<World>>,
    /// What must live as long as the cockpit, and the tasks that end with it.
    pub(super) backstage: Backstage,
}

/// What else a rehearsal keeps running.
#[derive(Default)]
pub(super) struct Backstage {
    pub(super) stage: Option<crate::rehearsal::stage::Stage>,
    pub(super) tasks: Vec<JoinHandle<()>>,
}

impl Drop for Backstage {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The other end of a [`Feed`].
pub(super) struct Front {
    state: watch::Sender<Arc<State>>,
    live: watch::Sender<Arc<Live>>,
    trouble: watch::Sender<Option<Arc<str>>>,
    pub(super) boot: Starting,
    notices: mpsc::Sender<Notice>,
    orders: mpsc::Receiver<Order>,
}

/// Tells the first screen how far the start-up is.
#[derive(Clone)]
pub(super) struct Starting(watch::Sender<Boot>);

impl Starting {
    /// A step's new status.
    pub(super) fn set(&self, step: usize, status: BootStatus) {
        self.0.send_modify(|boot| {
            if let Some(step) = boot.steps.get_mut(step) {
                step.status = status;
            }
        });
    }

    /// A step is over, and the next has begun.
    pub(super) fn done(&self, step: usize, note: impl Into<String>) {
        self.set(step, BootStatus::Done { note: note.into() });
        self.set(step + 1, BootStatus::Doing);
    }

    /// The step that is under way did not succeed.
    pub(super) fn failed(&self, what: &str, next: &str) {
        let doing =
            self.0.borrow().steps.iter().position(|step| !matches!(step.status, BootStatus::Done { .. }));
        if let Some(step) = doing {
            self.set(step, BootStatus::Failed { what: what.into(), next: next.into() });
        }
    }
}

/// A screen's two ends.
pub(super) fn pair(clock: Clock, seat: Actor, cockpit: Arc<str>, steps: &[&str]) -> (Feed, Front) {
    let steps = steps.iter().enumerate().map(|(place, name)| BootStep {
        name: (*name).into(),
        status: if place == 0 { BootStatus::Doing } else { BootStatus::Waiting },
    });
    let boot = watch::Sender::new(Boot { steps: steps.collect() });
    let (state, live, trouble) =
        (watch::Sender::default(), watch::Sender::default(), watch::Sender::default());
    let (notices, heard) = mpsc::channel(WAITING);
    let (given, orders) = mpsc::channel(WAITING);
    let feed = Feed {
        state: state.subscribe(),
        live: live.subscribe(),
        boot: boot.subscribe(),
        trouble: trouble.subscribe(),
        notices: heard,
        orders: given,
        clock,
        seat,
        cockpit,
    };
    (feed, Front { state, live, trouble, boot: Starting(boot), notices, orders })
}

impl Front {
    /// Serves the screen until the person leaves; then leaves the cockpit.
    pub(super) async fn serve(mut self, opened: Opened) {
        let store = opened.cockpit.store.clone();
        let (mut state, mut live, mut trouble) = (store.state(), store.live(), store.trouble());
        state.mark_changed();
        live.mark_changed();
        trouble.mark_changed();
        loop {
            tokio::select! {
                changed = state.changed() => {
                    if changed.is_err() { break }
                    self.state.send_replace(Arc::clone(&state.borrow_and_update()));
                }
                changed = live.changed() => {
                    if changed.is_err() { break }
                    self.live.send_replace(Arc::clone(&live.borrow_and_update()));
                }
                changed = trouble.changed() => {
                    if changed.is_err() { break }
                    let words = trouble.borrow_and_update().as_ref().map(|error| error.to_string().into());
                    self.trouble.send_replace(words);
                }
                order = self.orders.recv() => match order {
                    None | Some(Order::Quit) => break,
                    Some(order) => {
                        if let Some(notice) = carry(&store, opened.world.as_deref(), order).await {
                            // A full queue of notices means that the screen is gone or flooded; the log has them all.
                            if self.notices.try_send(notice).is_err() {
                                tracing::warn!("a notice was not shown");
                            }
                        }
                    }
                },
            }
        }
        opened.cockpit.leave().await;
        drop(opened.backstage);
    }

    /// Waits until the person leaves a screen that shows why nothing could be opened.
    pub(super) async fn stand_by(mut self) {
        while let Some(order) = self.orders.recv().await {
            if order == Order::Quit {
                return;
            }
        }
    }
}

async fn carry(store: &Store, world: Option<&World>, order: Order) -> Option<Notice> {
    match order {
        Order::Command { by, command } => match store.submit(&by, command).await {
            Ok(_) => None,
            Err(SubmitError::Refused(refusal)) => Some(Notice::Refused(refusal.to_string())),
            Err(SubmitError::Store(error)) => {
                tracing::error!(%error, "an order was not recorded");
                Some(Notice::Failed(format!("not recorded: {error}")))
            }
        },
        Order::Jump => jump(store).await,
        Order::Fault { name, on } => match world {
            Some(world) if director::throw(world, &name, on) => None,
            Some(_) => Some(Notice::Refused(format!("no fault is called {name:?}"))),
            None => Some(Notice::Refused("faults are thrown in where the rehearsal was begun".into())),
        },
        Order::Quit => None,
    }
}

/// Jumps a rehearsal's clock to what is waited for.
async fn jump(store: &Store) -> Option<Notice> {
    let state = store.now();
    let clock = store.clock();
    if clock.pace().is_none() {
        return Some(Notice::Refused("only a rehearsal's clock can be jumped".into()));
    }
    let at = match next(&state, clock.now()) {
        Next::Wait(_, at) => Some(at),
        Next::Start(phase) => state.plan().and_then(|plan| {
            let opened = state.run.as_ref()?.opened.with_timezone(&plan.timezone).date_naive();
            schedule(plan, plan.day.unwrap_or(opened)).slot(&phase).map(|slot| slot.starts)
        }),
        _ => None,
    };
    match at.filter(|at| *at > clock.now()) {
        None => Some(Notice::Info("nothing is waited for that only time brings".into())),
        Some(at) => match store.jump_to(at).await {
            Ok(()) => Some(Notice::Info("jumped to what was waited for".into())),
            Err(error) => Some(Notice::Failed(format!("the clock was not moved: {error}"))),
        },
    }
}
