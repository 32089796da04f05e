//! The loop: keys, state, progress, notices, time in; frames and orders out. A key is painted at once; what streams in is
//! gathered for up to 16 ms. Nothing changes, nothing is drawn. It is generic over terminal and input, so that a test drives the
//! whole application.

use std::io;

use color_eyre::eyre::WrapErr;
use crossterm::event::Event as Term;
use futures_util::{FutureExt, Stream, StreamExt};
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Duration, Instant, sleep_until};

use super::app::{App, Input};
use super::panes::{Scene, World};
use super::{Feed, Notice, Options, Order, screen};

/// What streams in is drawn no oftener than this.
const FRAME: Duration = Duration::from_millis(16);
/// How often the clock on the screen moves: by the second, or smoothly where a rehearsal's clock runs.
const SECOND: Duration = Duration::from_secs(1);
const PACED: Duration = Duration::from_millis(250);

/// Why the loop turns once more.
enum Wake {
    Term(Option<io::Result<Term>>),
    State(bool),
    Live(bool),
    Boot(bool),
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
    let tick = if feed.clock.pace().is_some() { PACED } else { SECOND };
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
            changed = feed.state.changed(), if ears.state => Wake::State(changed.is_ok()),
            notice = feed.notices.recv(), if ears.notices => Wake::Notice(notice),
            changed = feed.boot.changed(), if ears.boot => Wake::Boot(changed.is_ok()),
            changed = feed.live.changed(), if ears.live => Wake::Live(changed.is_ok()),
            () = sleep_until(until) => Wake::Tick,
        };
        let gathered = due.unwrap_or(last_draw + FRAME);
        match wake {
            Wake::Stop => break,
            Wake::Term(None | Some(Err(_))) => break, // the terminal is gone
            Wake::Term(Some(Ok(term))) => {
                take(&mut app, Input::Term(term), &feed, &options);
                // A paste, or a key held down, is many events: one frame for all that are here.
                while let Some(Some(Ok(term))) = input.next().now_or_never() {
                    if app.is_leaving() {
                        break;
                    }
                    take(&mut app, Input::Term(term), &feed, &options);
                }
                due = Some(Instant::now());
            }
            Wake::State(alive) => {
                ears.state = alive;
                take(&mut app, Input::State, &feed, &options);
                due = Some(gathered);
            }
            Wake::Live(alive) => {
                ears.live = alive;
                due = Some(gathered);
            }
            Wake::Boot(alive) => {
                ears.boot = alive;
                due = Some(gathered);
            }
            Wake::Notice(None) => ears.notices = false,
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

/// Which senders are still there; a closed channel would wake the loop for ever.
#[derive(Debug)]
struct Ears {
    state: bool,
    live: bool,
    boot: bool,
    notices: bool,
}

impl Default for Ears {
    fn default() -> Self {
        Self { state: true, live: true, boot: true, notices: true }
    }
}

/// Hands an input to the app, and what it orders to whoever acts.
fn take(app: &mut App, input: Input, feed: &Feed, options: &Options) {
    let (state, live, boot) =
        (feed.state.borrow().clone(), feed.live.borrow().clone(), feed.boot.borrow().clone());
    let world = World {
        state: &state,
        live: &live,
        boot: &boot,
        now: feed.clock.now(),
        cockpit: &feed.cockpit,
        faults: &options.faults,
    };
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
    let (state, live, boot) =
        (feed.state.borrow().clone(), feed.live.borrow().clone(), feed.boot.borrow().clone());
    let world = World {
        state: &state,
        live: &live,
        boot: &boot,
        now: feed.clock.now(),
        cockpit: &feed.cockpit,
        faults: &options.faults,
    };
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
