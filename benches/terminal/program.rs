//! A program in a pseudo-terminal, and when it wrote what. It measures from outside and asks the program nothing; what a
//! program asks of its terminal is answered, as a terminal does.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// The size of all that is measured: columns and rows.
pub(crate) const SIZE: (u16, u16) = (120, 40);
/// What follows within this time of what was written before is the same frame.
const SAME_FRAME: Duration = Duration::from_millis(3);
/// What no program here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// What it wrote, and when.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) chunks: Vec<(Instant, Vec<u8>)>,
    ended: bool,
}

/// A program in a terminal; dropped, it is killed.
pub(crate) struct Program {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    keys: Arc<Mutex<Box<dyn Write + Send>>>,
    written: Arc<Mutex<Written>>,
    pub(crate) since: Instant,
}

impl Program {
    pub(crate) fn start(command: &[String], dir: &Path) -> Self {
        let (columns, rows) = SIZE;
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut builder = CommandBuilder::new(&command[0]);
        builder.args(&command[1..]);
        builder.cwd(dir);
        builder.env("TERM", "xterm-256color");
        builder.env_remove("NO_COLOR");
        let keys = Arc::new(Mutex::new(pair.master.take_writer().expect("its keys")));
        let mut output = pair.master.try_clone_reader().expect("its output");
        let written = Arc::<Mutex<Written>>::default();
        let since = Instant::now();
        let child = pair.slave.spawn_command(builder).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        drop(pair.slave);
        std::thread::spawn({
            let (written, keys) = (Arc::clone(&written), Arc::clone(&keys));
            move || {
                let mut chunk = vec![0; 1 << 16];
                loop {
                    let count = output.read(&mut chunk).unwrap_or(0);
                    let now = Instant::now();
                    answer(&chunk[..count], &keys);
                    let mut written = written.lock().expect("nobody panics with it");
                    written.chunks.push((now, chunk[..count].to_vec()));
                    written.ended = count == 0;
                    if written.ended {
                        return;
                    }
                }
            }
        });
        Self { child, _master: pair.master, keys, written, since }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().expect("nobody panics with it")
    }

    pub(crate) fn press(&self, keys: &str) -> Instant {
        let mut writer = self.keys.lock().expect("nobody panics with it");
        let at = Instant::now();
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).expect("it takes keys");
        at
    }

    /// How many chunks there are so far.
    pub(crate) fn mark(&self) -> usize {
        self.written().chunks.len()
    }

    /// Bytes written since that mark.
    pub(crate) fn bytes_since(&self, mark: usize) -> usize {
        self.written().chunks[mark..].iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Waits until it has written nothing for so long.
    pub(crate) fn quiet(&self, gap: Duration) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = self.written().chunks.last().map_or(self.since, |(at, _)| *at);
            let left = (last + gap).saturating_duration_since(Instant::now());
            if left.is_zero() || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(left);
        }
    }

    /// Replays what comes from `screen.read` on, until `so` holds of the screen; says when the frame was whole that made it so.
    pub(crate) fn when(
        &self,
        screen: &mut Screen,
        within: Duration,
        so: impl Fn(&Screen) -> bool,
    ) -> Option<Instant> {
        let deadline = Instant::now() + within;
        loop {
            let news: Vec<_> = self.written().chunks[screen.read..].to_vec();
            for (at, bytes) in news {
                screen.take(&bytes);
                if so(screen) {
                    return Some(self.whole_after(at, screen));
                }
            }
            if Instant::now() > deadline || self.written().ended {
                return None;
            }
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// The last chunk of the frame of which one came at `at`.
    fn whole_after(&self, at: Instant, screen: &mut Screen) -> Instant {
        let mut last = at;
        while last.elapsed() <= SAME_FRAME || self.mark() > screen.read {
            let news: Vec<_> = self.written().chunks[screen.read..].to_vec();
            for (at, bytes) in news {
                if at - last > SAME_FRAME {
                    return last;
                }
                last = at;
                screen.take(&bytes);
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        last
    }

    /// Everything that came so far, on a screen.
    pub(crate) fn screen(&self) -> Screen {
        let mut screen = Screen::new();
        for (_, bytes) in &self.written().chunks {
            screen.take(bytes);
        }
        screen
    }

    /// Waits until its screen holds that text.
    pub(crate) fn wait_for(&self, text: &str) {
        let mut screen = Screen::new();
        let seen = self.when(&mut screen, PATIENCE, |screen| screen.text().contains(text));
        assert!(seen.is_some(), "waited for {text:?}\n{}", screen.text());
    }

    /// Times at which frames were there that hold so many cells or more, since the start: the first with any at all, and the
    /// first with four fifths of `whole`.
    pub(crate) fn frames(&self, whole: usize) -> (Option<Duration>, Option<Duration>) {
        let (mut screen, mut first, mut full) = (Screen::new(), None, None);
        for (at, bytes) in &self.written().chunks {
            screen.take(bytes);
            let cells = screen.cells();
            if cells > 0 {
                first.get_or_insert(*at - self.since);
            }
            if cells * 5 >= whole * 4 {
                full.get_or_insert(*at - self.since);
            }
        }
        (first, full)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a terminal answers to the questions that programs ask at their start.
fn answer(asked: &[u8], keys: &Mutex<Box<dyn Write + Send>>) {
    let has = |question: &[u8]| asked.windows(question.len()).any(|window| window == question);
    for (question, reply) in
        [("\x1b[c", "\x1b[?62;22c"), ("\x1b[0c", "\x1b[?62;22c"), ("\x1b[6n", "\x1b[1;1R")]
    {
        if has(question.as_bytes()) {
            let mut keys = keys.lock().expect("nobody panics with it");
            drop(keys.write_all(reply.as_bytes()));
        }
    }
}

/// A screen, as a terminal would show it.
pub(crate) struct Screen {
    parser: vt100::Parser,
    read: usize,
}

impl Screen {
    fn new() -> Self {
        let (columns, rows) = SIZE;
        let cells = |n: u16| n.try_into().expect("more than none");
        Self { parser: vt100::Parser::new(cells(rows), cells(columns), 0), read: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.read += 1;
    }

    pub(crate) fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// Text and colours, to see any change.
    pub(crate) fn formatted(&self) -> Vec<u8> {
        self.parser.screen().contents_formatted().into_bytes()
    }

    /// Cells that are not blank.
    pub(crate) fn cells(&self) -> usize {
        self.text().chars().filter(|letter| !letter.is_whitespace()).count()
    }
}
