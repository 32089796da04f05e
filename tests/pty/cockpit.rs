//! A cockpit in a pseudo-terminal: its keys, and every frame it has shown.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// How long anything may take on a slow machine. Nothing waits so long where all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A terminal: columns and rows.
pub(crate) type Size = (u16, u16);

/// What came out of the program so far.
#[derive(Default)]
struct Shown {
    bytes: Vec<u8>,
    /// Each state of the screen, in order, as often as a read brought a new one.
    frames: Vec<String>,
    ended: bool,
}

/// A program in a terminal. Dropped, it is killed.
pub(crate) struct Cockpit {
    child: Box<dyn Child + Send + Sync>,
    keys: Option<Box<dyn Write + Send>>,
    master: Option<Box<dyn MasterPty + Send>>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    reader: Option<JoinHandle<()>>,
    /// Set, the reader lets go of the terminal after what it reads next.
    let_go: Arc<AtomicBool>,
    size: Size,
}

/// Whether the terminal is the one that the program belongs to, so that its end comes with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bond {
    /// As a shell in a terminal starts it.
    Controlling,
    /// As a program that only writes to a terminal has it: nothing tells it that the terminal is gone but the writing.
    Loose,
}

impl Cockpit {
    /// Starts gonogo with these arguments in that directory, in a terminal of that size.
    pub(crate) fn start(arguments: &[&str], dir: &Path, size: Size) -> Self {
        Self::start_bound(arguments, dir, size, Bond::Controlling)
    }

    /// The same, bound to its terminal so.
    pub(crate) fn start_bound(arguments: &[&str], dir: &Path, (columns, rows): Size, bond: Bond) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_gonogo"));
        command.args(arguments);
        command.cwd(dir);
        command.set_controlling_tty(bond == Bond::Controlling);
        for name in ["NO_COLOR", "GONOGO_ROLE", "GONOGO_NAME", "GONOGO_THEME", "GONOGO_LOG"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave); // with it open here the reader would never see the end
        let shown = Arc::<(Mutex<Shown>, Condvar)>::default();
        let let_go = Arc::<AtomicBool>::default();
        let mut output = pair.master.try_clone_reader().unwrap();
        let reader = std::thread::spawn({
            let (shown, let_go) = (Arc::clone(&shown), Arc::clone(&let_go));
            let size = |cells| NonZeroU16::new(cells).unwrap();
            let mut parser = vt100::Parser::new(size(rows), size(columns), 0);
            move || {
                let mut chunk = vec![0; 1 << 16];
                loop {
                    // A terminal whose program is gone answers with an error on Linux, with nothing elsewhere.
                    let count = output.read(&mut chunk).unwrap_or(0);
                    parser.process(&chunk[..count]);
                    let frame = parser.screen().contents();
                    let mut now = shown.0.lock().unwrap();
                    now.bytes.extend_from_slice(&chunk[..count]);
                    if now.frames.last() != Some(&frame) {
                        now.frames.push(frame);
                    }
                    now.ended = count == 0 || let_go.load(Ordering::SeqCst);
                    shown.1.notify_all();
                    if now.ended {
                        return;
                    }
                }
            }
        });
        let keys = Some(pair.master.take_writer().unwrap());
        let size = (columns, rows);
        Self { child, keys, master: Some(pair.master), shown, reader: Some(reader), let_go, size }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.0.lock().unwrap()
    }

    /// The screen as it is.
    pub(crate) fn screen(&self) -> String {
        self.shown().frames.last().cloned().unwrap_or_default()
    }

    /// The screen, once it stands still: a frame can arrive in pieces, and half of one names a key that the other half does not.
    pub(crate) fn settled(&self) -> String {
        let mut now = self.shown();
        loop {
            let before = now.bytes.len();
            let (then, waited) = self.shown.1.wait_timeout(now, Duration::from_millis(20)).unwrap();
            now = then;
            if now.ended || (waited.timed_out() && now.bytes.len() == before) {
                return now.frames.last().cloned().unwrap_or_default();
            }
        }
    }

    /// How many frames there were: what is seen from here on can be asked of [`Self::saw`].
    pub(crate) fn mark(&self) -> usize {
        self.shown().frames.len().saturating_sub(1)
    }

    /// Whether any frame since the mark was so, be it for ever so short.
    pub(crate) fn saw(&self, mark: usize, so: impl Fn(&str) -> bool) -> bool {
        self.shown().frames[mark..].iter().any(|frame| so(frame))
    }

    /// Every byte that was written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.shown().bytes.clone()
    }

    /// Presses keys, as they are sent.
    pub(crate) fn press(&mut self, keys: &str) {
        let writer = self.keys.as_mut().expect("the terminal is still there");
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Waits until the screen is so, at most until the deadline; says whether it is.
    pub(crate) fn is_within(&self, deadline: Instant, so: impl Fn(&str) -> bool) -> bool {
        let mut now = self.shown();
        loop {
            if now.frames.last().is_some_and(|frame| so(frame)) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || now.ended {
                return false;
            }
            now = self.shown.1.wait_timeout(now, left).unwrap().0;
        }
    }

    /// Waits until the screen is so.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, so: impl Fn(&str) -> bool) {
        let met = self.is_within(Instant::now() + PATIENCE, so);
        assert!(met, "waited for: {what}\n{}", self.screen());
    }

    /// Waits until the screen holds that.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |screen| screen.contains(text));
    }

    /// Presses a key until the screen is so. For keys that a dialog takes only once it can have been read.
    #[track_caller]
    pub(crate) fn press_until(&mut self, key: &str, what: &str, so: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so(&self.screen()) {
            assert!(Instant::now() < deadline, "pressed {key:?} for: {what}\n{}", self.screen());
            self.press(key);
            self.is_within(Instant::now() + Duration::from_millis(150), &so);
        }
    }

    /// Takes the terminal away, as a lost connection or a closed window does.
    pub(crate) fn hang_up(&mut self) {
        self.let_go.store(true, Ordering::SeqCst);
        // The reader holds the terminal as well, and lets go after what it reads next: another size makes the program write.
        let (columns, rows) = self.size;
        let size = PtySize { rows: rows - 1, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.as_ref().expect("the terminal is still there").resize(size).unwrap();
        self.reader.take().expect("it reads").join().unwrap();
        drop(self.keys.take());
        drop(self.master.take());
    }

    /// The program's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }

    /// Waits for the program's end and for the last of what it wrote.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                if let Some(reader) = self.reader.take() {
                    reader.join().unwrap();
                }
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.screen());
            // The program's end has no sign to wait for, but the end of its output; that one comes a moment before.
            let now = self.shown();
            drop(self.shown.1.wait_timeout(now, Duration::from_millis(20)).unwrap());
        }
    }
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal("KILL");
            self.child.wait().unwrap();
        }
    }
}
