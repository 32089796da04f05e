//! The terminal, borrowed: raw mode, alternate screen, bracketed paste, hidden cursor; given back on every way out, be it
//! quit, error, panic or signal. It is never asked a question: an answer that does not come would hold the first frame up.

use std::future::Future;
use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{SignalKind, signal};

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
