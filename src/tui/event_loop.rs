//! The loop: keys, state, progress, notices, time in; frames and orders out. A key is painted at once; what streams in is
//! gathered for up to 16 ms. Nothing changes, nothing is drawn. It is generic over terminal and input, so that a test drives the
//! whole application.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use color_eyre::eyre::WrapErr;
use crossterm::event::Event as Term;
use futures_util::{Stream, StreamExt};
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Duration, Instant, sleep_until};

use super::app::{App, Input};
use super::panes::{Scene, World};
use super::{Boot, Feed, Notice, Options, Order, screen};
use crate::run::{Live, State};

/// What streams in is drawn no oftener than this.
const FRAME: Duration = Duration::from_millis(16);
/// How often the clock on the screen moves: by the second, or smoothly where a rehearsal's clock races.
const SECOND: Duration = Duration::from_secs(1);
const PACED: Duration = Duration::from_millis(250);

/// Why the loop turns once more.
enum Wake {
    Term(Option<io::Result<Term>>),
    State(Ear),
    Live(Ear),
    Boot(Ear),
    Trouble(Ear),
    Notice(Option<Notice>),
    Tick,
    Stop,
}

/// Runs until the person leaves, the input ends, or `stop` does.
pub async fn drive<B>(
    terminal: &mut Terminal<B>,
    mut input: impl Stream<Item = io::Result<Term>> + Unpin,
    stop: impl Future<Output = ()>,
    mut feed: Feed,
    options: Options,
) -> color_eyre::Result<()>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
{
    let mut app = App::new(feed.seat.clone());
    let mut ears = Ears::default();
    let tick = if feed.clock.pace().is_some_and(|pace| pace.speed > 2.0) { PACED } else { SECOND };
    let mut stop = std::pin::pin!(stop);
    let mut next_tick = Instant::now() + tick;
    let mut last_draw = paint(terminal, &mut app, &feed, &options)?;
    let mut due: Option<Instant> = None;
    while !app.is_leaving() {
        let now = Instant::now();
        if due.is_some_and(|due| due <= now) {
            last_draw = paint(terminal, &mut app, &feed, &options)?;
            due = None;
        }
        let until = due.into_iter().chain([next_tick]).chain(app.wakes_at(now)).min().unwrap_or(next_tick);
        let wake = tokio::select! {
            biased;
            () = &mut stop => Wake::Stop,
            term = input.next() => Wake::Term(term),
            changed = feed.state.changed(), if ears.state == Ear::Open => Wake::State(Ear::after(&changed)),
            notice = feed.notices.recv(), if ears.notices == Ear::Open => Wake::Notice(notice),
            changed = feed.boot.changed(), if ears.boot == Ear::Open => Wake::Boot(Ear::after(&changed)),
            changed = feed.trouble.changed(), if ears.trouble == Ear::Open => Wake::Trouble(Ear::after(&changed)),
            changed = feed.live.changed(), if ears.live == Ear::Open => Wake::Live(Ear::after(&changed)),
            () = sleep_until(until) => Wake::Tick,
        };
        let gathered = due.unwrap_or(last_draw + FRAME);
        match wake {
            // Told to, or the terminal is gone.
            Wake::Stop | Wake::Term(None | Some(Err(_))) => break,
            Wake::Term(Some(Ok(term))) => {
                take(&mut app, Input::Term(term), &feed, &options);
                // A paste, or a key held down, is many events: one frame for all that are here.
                while let Poll::Ready(Some(Ok(term))) = here(&mut input).await {
                    if app.is_leaving() {
                        break;
                    }
                    take(&mut app, Input::Term(term), &feed, &options);
                }
                due = Some(Instant::now());
            }
            Wake::State(ear) => {
                ears.state = ear;
                take(&mut app, Input::State, &feed, &options);
                due = Some(gathered);
            }
            Wake::Live(ear) => {
                ears.live = ear;
                due = Some(gathered);
            }
            Wake::Boot(ear) => {
                ears.boot = ear;
                due = Some(gathered);
            }
            Wake::Trouble(ear) => {
                ears.trouble = ear;
                due = Some(gathered);
            }
            Wake::Notice(None) => ears.notices = Ear::Closed,
            Wake::Notice(Some(notice)) => {
                take(&mut app, Input::Notice(notice), &feed, &options);
                due = Some(gathered);
            }
            Wake::Tick => {
                let now = Instant::now();
                if now >= next_tick {
                    next_tick = now + tick;
                    due = Some(now);
                }
                if app.wakes_at(now).is_some() {
                    due = Some(now);
                }
                take(&mut app, Input::Tick, &feed, &options);
            }
        }
    }
    Ok(())
}

/// What is here already, asked with the task's own waker: a stream wakes whoever asked last, and one who asked in passing
/// (`now_or_never`) would be woken in vain while the loop sleeps on.
async fn here<S: Stream + Unpin>(input: &mut S) -> Poll<Option<S::Item>> {
    std::future::poll_fn(|context| Poll::Ready(input.poll_next_unpin(context))).await
}

/// Which channels still have a sender; a closed one would wake the loop for ever.
#[derive(Debug)]
struct Ears {
    state: Ear,
    live: Ear,
    boot: Ear,
    trouble: Ear,
    notices: Ear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ear {
    Open,
    Closed,
}

impl Ear {
    const fn after<T, E>(heard: &Result<T, E>) -> Self {
        if heard.is_ok() { Self::Open } else { Self::Closed }
    }
}

impl Default for Ears {
    fn default() -> Self {
        Self { state: Ear::Open, live: Ear::Open, boot: Ear::Open, trouble: Ear::Open, notices: Ear::Open }
    }
}

/// What the channels hold at a moment, taken out so that nobody who sends has to wait for a frame.
struct Seen {
    state: Arc<State>,
    live: Arc<Live>,
    boot: Boot,
    trouble: Option<Arc<str>>,
}

impl Seen {
    fn of(feed: &Feed) -> Self {
        Self {
            state: Arc::clone(&feed.state.borrow()),
            live: Arc::clone(&feed.live.borrow()),
            boot: feed.boot.borrow().clone(),
            trouble: feed.trouble.borrow().clone(),
        }
    }

    fn world<'a>(&'a self, feed: &'a Feed, options: &'a Options) -> World<'a> {
        World {
            state: &self.state,
            live: &self.live,
            boot: &self.boot,
            trouble: self.trouble.as_deref(),
            now: feed.clock.now(),
            lag: feed.clock.lag(),
            cockpit: &feed.cockpit,
            faults: &options.faults,
        }
    }
}

/// Hands an input to the app, and what it orders to whoever acts.
fn take(app: &mut App, input: Input, feed: &Feed, options: &Options) {
    let seen = Seen::of(feed);
    let world = seen.world(feed, options);
    let at = Instant::now();
    for order in app.update(input, &world, at) {
        let quits = order == Order::Quit;
        let lost = match feed.orders.try_send(order) {
            Ok(()) => continue,
            Err(TrySendError::Full(_)) => "the cockpit is busy, this was not ordered; press again",
            Err(TrySendError::Closed(_)) => "nothing takes orders any more; leave with q and start again",
        };
        if !quits {
            app.update(Input::Notice(Notice::Failed(lost.into())), &world, at);
        }
    }
}

fn paint<B>(
    terminal: &mut Terminal<B>,
    app: &mut App,
    feed: &Feed,
    options: &Options,
) -> color_eyre::Result<Instant>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
{
    let seen = Seen::of(feed);
    let world = seen.world(feed, options);
    let frame = terminal
        .draw(|frame| {
            let area = frame.area();
            screen::draw(&Scene { world, app, theme: &options.theme }, frame.buffer_mut(), area);
        })
        .wrap_err("the terminal takes no frame")?;
    let (at, area) = (Instant::now(), frame.area);
    app.painted(at, area);
    Ok(at)
}
