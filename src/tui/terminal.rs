//! The terminal, borrowed: raw mode, alternate screen, bracketed paste, hidden cursor; given back on every way out, be it
//! quit, error, panic or signal. It is never asked a question: an answer that does not come would hold the first frame up.
//! Its keys are read by a thread of their own, which alone suffers when the terminal goes away under it.

use std::future::Future;
use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use futures_util::Stream;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Mouse;

/// A terminal that writes each frame in one piece.
pub type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Gives the terminal back when it goes.
#[derive(Debug)]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Takes the terminal over.
pub fn take(mouse: Mouse) -> io::Result<(Guard, Screen)> {
    give_back_on_panic();
    enable_raw_mode()?;
    let guard = Guard(()); // from here on every way out passes it
    let mut out = io::stdout();
    execute!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
    if mouse == Mouse::On {
        execute!(out, EnableMouseCapture)?;
    }
    let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stdout()));
    Ok((guard, Terminal::new(backend)?))
}

/// What is not there any more cannot be given back: a hung-up terminal answers with errors, and they change nothing.
fn give_back() {
    let mut out = io::stdout();
    let left = execute!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let cooked = disable_raw_mode();
    let flushed = out.flush();
    for error in [left, cooked, flushed].into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "the terminal could not be given back whole");
    }
}

/// A panic of the screen's own thread gives the terminal back before it is reported. One of a worker's task ends that task,
/// not the cockpit: it goes to the log, for written here it would only tear the screen.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    let screen = std::thread::current().id();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == screen {
                give_back();
                report(panic);
            } else {
                tracing::error!(%panic, "a task panicked");
            }
        }));
    });
}

/// Events of the terminal that wait to be taken: a long paste is one event, and nobody types so fast.
const WAITING: usize = 256;

/// What comes from the terminal. The thread that reads it ends with the process, or when nobody listens any more.
///
/// `crossterm::event::EventStream` reads on the thread that asks as well. A terminal that is gone answers each read with an
/// error, over which crossterm tries again for ever; on the screen's own thread that would be a cockpit which neither draws
/// nor hears that it is told to end.
pub fn input() -> io::Result<impl Stream<Item = io::Result<Event>> + Unpin> {
    let (heard, mut events) = mpsc::channel(WAITING);
    std::thread::Builder::new().name("keys".into()).spawn(move || {
        loop {
            let event = crossterm::event::read();
            let last = event.is_err();
            if heard.blocking_send(event).is_err() || last {
                return;
            }
        }
    })?;
    Ok(futures_util::stream::poll_fn(move |context| events.poll_recv(context)))
}

/// Ends when the process is told to (SIGTERM) or its terminal is gone (SIGHUP). Listens from the call on.
pub fn told_to_end() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
