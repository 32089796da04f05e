//! A whole application on a screen of cells: scripted keys in, a store that decides as the real one does, orders out.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crossterm::event::{Event as Term, KeyCode, KeyEvent, KeyModifiers};
use futures_util::Stream;
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, TestBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Duration;

use crate::clock::{Clock, Pace};
use crate::plan::Role;
use crate::run::{Live, Record, State, decide};
use crate::tui::fixture::{self, Story, person};
use crate::tui::{Boot, Depth, Feed, Mouse, Notice, Options, Order, Theme, event_loop};

/// A backend that the test can look at while the application draws on it.
#[derive(Debug, Clone)]
pub(super) struct Glass {
    inner: Arc<Mutex<TestBackend>>,
    frames: Arc<Mutex<usize>>,
}

impl Glass {
    fn with<T>(&self, look: impl FnOnce(&mut TestBackend) -> T) -> T {
        look(&mut self.inner.lock().expect("no test panics inside"))
    }
}

impl Backend for Glass {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        *self.frames.lock().expect("no test panics inside") += 1;
        self.with(|inner| inner.draw(content)).map_err(|never| match never {})
    }
    fn hide_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Err(io::Error::other("the terminal must never be asked a question"))
    }
    fn set_cursor_position<P: Into<Position>>(&mut self, _: P) -> io::Result<()> {
        Ok(())
    }
    fn clear(&mut self) -> io::Result<()> {
        self.with(Backend::clear).map_err(|never| match never {})
    }
    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.with(|inner| inner.clear_region(region)).map_err(|never| match never {})
    }
    fn size(&self) -> io::Result<Size> {
        self.with(|inner| inner.size()).map_err(|never| match never {})
    }
    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.with(Backend::window_size).map_err(|never| match never {})
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keys from the least helpful of streams: whoever asked first while nothing was there is woken, and nobody who asked
/// after.
#[derive(Debug, Clone, Default)]
struct Keys(Arc<Mutex<(VecDeque<Term>, Option<Waker>)>>);

impl Keys {
    fn push(&self, key: Term) {
        let mut inner = self.0.lock().expect("no test panics inside");
        inner.0.push_back(key);
        if let Some(waker) = inner.1.take() {
            waker.wake();
        }
    }
}

impl Stream for Keys {
    type Item = io::Result<Term>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.0.lock().expect("no test panics inside");
        if let Some(key) = inner.0.pop_front() {
            return Poll::Ready(Some(Ok(key)));
        }
        inner.1.get_or_insert_with(|| context.waker().clone());
        Poll::Pending
    }
}

/// The application, and everything at its other end.
pub(super) struct Rig {
    glass: Glass,
    keys: Keys,
    pub(super) story: Story,
    state: Option<watch::Sender<Arc<State>>>,
    _live: watch::Sender<Arc<Live>>,
    _boot: watch::Sender<Boot>,
    trouble: watch::Sender<Option<Arc<str>>>,
    notices: Option<mpsc::Sender<Notice>>,
    orders: mpsc::Receiver<Order>,
    /// Everything that was ordered.
    pub(super) ordered: Vec<Order>,
    task: JoinHandle<color_eyre::Result<()>>,
}

impl Rig {
    pub(super) fn new(story: Story, role: Role) -> Self {
        Self::sized(story, role, (80, 24))
    }

    pub(super) fn sized(story: Story, role: Role, (width, height): (u16, u16)) -> Self {
        let glass =
            Glass { inner: Arc::new(Mutex::new(TestBackend::new(width, height))), frames: Arc::default() };
        let keys = Keys::default();
        let (state, states) = watch::channel(Arc::new(story.state.clone()));
        let (live, lives) = watch::channel(Arc::new(story.live.clone()));
        let (boot, boots) = watch::channel(Boot::default());
        let (trouble, troubles) = watch::channel(None);
        let (notices, heard) = mpsc::channel(8);
        let (order, orders) = mpsc::channel(8);
        // A clock that stands still: what moves in these tests is what the test moves.
        let clock = Clock::from_pace(Pace { wall: chrono::Utc::now(), shown: story.now, speed: 0.0 });
        let feed = Feed {
            state: states,
            live: lives,
            boot: boots,
            trouble: troubles,
            notices: heard,
            orders: order,
            clock,
            seat: person(role),
            cockpit: format!("{role}-cockpit").into(),
        };
        let theme = Theme::load("dark", Depth::True).expect("it ships");
        let options = Options { theme, mouse: Mouse::Off, faults: fixture::faults() };
        let input = keys.clone();
        let mut terminal = Terminal::new(glass.clone()).expect("cells");
        let task = tokio::spawn(async move {
            event_loop::drive(&mut terminal, input, std::future::pending(), feed, options).await
        });
        Self {
            glass,
            keys,
            story,
            state: Some(state),
            _live: live,
            _boot: boot,
            trouble,
            notices: Some(notices),
            orders,
            ordered: Vec::new(),
            task,
        }
    }

    /// Lets that much time pass, during which the store decides what is ordered.
    pub(super) async fn pass(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(20) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            while let Ok(order) = self.orders.try_recv() {
                self.ordered.push(order.clone());
                if let Order::Command { by, command } = order {
                    match decide(&self.story.state, &by, command) {
                        Ok(events) => {
                            for event in events {
                                let record = Record {
                                    seq: self.story.state.seq + 1,
                                    at: self.story.now,
                                    by: by.clone(),
                                    event,
                                };
                                self.story.state.apply(Arc::new(record));
                            }
                            self.publish();
                        }
                        Err(no) => self.say(Notice::Refused(no.to_string())),
                    }
                }
            }
        }
    }

    /// Shows the story as it stands.
    pub(super) fn publish(&self) {
        if let Some(state) = &self.state {
            state.send_replace(Arc::new(self.story.state.clone()));
        }
    }

    /// Something is the matter with the journal, or not any more.
    pub(super) fn trouble(&self, words: Option<&str>) {
        self.trouble.send_replace(words.map(Into::into));
    }

    pub(super) fn say(&self, notice: Notice) {
        self.notices.as_ref().expect("they are open").try_send(notice).expect("there is room");
    }

    /// Everything behind the screen goes away.
    pub(super) fn abandon(&mut self) {
        self.state = None;
        self.notices = None;
        self.orders.close();
    }

    /// Types without waiting between the keys.
    pub(super) fn type_ahead(&self, keys: &str) {
        for letter in keys.chars() {
            let code = match letter {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '\t' => KeyCode::Tab,
                '↓' => KeyCode::Down,
                letter => KeyCode::Char(letter),
            };
            self.keys.push(Term::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        }
    }

    pub(super) fn paste(&self, text: &str) {
        self.keys.push(Term::Paste(text.into()));
    }

    /// Types as a person does: each key after what came of the one before has been read.
    pub(super) async fn types(&mut self, keys: &str) {
        for letter in keys.chars() {
            self.type_ahead(&letter.to_string());
            self.pass(500).await;
        }
    }

    pub(super) fn text(&self) -> String {
        self.glass.with(|inner| inner.to_string())
    }

    pub(super) fn shows(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    pub(super) fn frames(&self) -> usize {
        *self.glass.frames.lock().expect("no test panics inside")
    }

    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// The commands that were ordered.
    pub(super) fn commands(&self) -> Vec<crate::run::Command> {
        let command = |order: &Order| match order {
            Order::Command { command, .. } => Some(command.clone()),
            _ => None,
        };
        self.ordered.iter().filter_map(command).collect()
    }
}
