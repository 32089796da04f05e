//! The terminal as it was: on every way out the modes that were switched on are switched off, and nothing is left on it.

use crate::cockpit::{Bond, Cockpit};
use crate::stage::Stage;

const SIZE: (u16, u16) = (100, 30);

/// Modes of the terminal: what switches them on, and off.
const MODES: [(&str, &str, &str); 3] = [
    ("alternate screen", "\x1b[?1049h", "\x1b[?1049l"),
    ("bracketed paste", "\x1b[?2004h", "\x1b[?2004l"),
    ("hidden cursor", "\x1b[?25l", "\x1b[?25h"),
];

fn last(bytes: &[u8], sequence: &str) -> Option<usize> {
    bytes.windows(sequence.len()).rposition(|window| window == sequence.as_bytes())
}

#[track_caller]
fn is_given_back(cockpit: &Cockpit) {
    let bytes = cockpit.bytes();
    let shown = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(200)..]).into_owned();
    for (mode, on, off) in MODES {
        let taken = last(&bytes, on).unwrap_or_else(|| panic!("{mode} was never switched on"));
        let back = last(&bytes, off).unwrap_or_else(|| panic!("{mode} was not switched off: {shown:?}"));
        assert!(taken < back, "{mode} was switched on again after it was off: {shown:?}");
    }
    // Once the alternate screen is left, what is written stays in the person's shell.
    let left = last(&bytes, MODES[0].2).unwrap() + MODES[0].2.len();
    let rest = String::from_utf8_lossy(&bytes[left..]).replace("\x1b[?25h", "");
    assert_eq!(rest.trim(), "", "something was left behind in the shell");
    // A screen that the terminal itself keeps says the same.
    let mut terminal = vt100::Parser::new(30.try_into().unwrap(), 100.try_into().unwrap(), 0);
    terminal.process(&bytes);
    let screen = terminal.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    assert_eq!(screen.contents().trim(), "");
}

#[test]
fn by_quitting_by_sigterm_and_by_ctrl_c() {
    type Leave = fn(&mut Cockpit);
    let stage = Stage::new(&["--speed", "20", "--contacts", "20"]);
    let ways: [Leave; 3] =
        [|cockpit| cockpit.press("q"), |cockpit| cockpit.signal("TERM"), |cockpit| cockpit.press("\x03")];
    for leave in ways {
        let mut cockpit = stage.rehearse(SIZE);
        leave(&mut cockpit);
        let status = cockpit.end();
        assert!(status.success(), "{status:?}");
        is_given_back(&cockpit);
        assert!(stage.is_dark(), "PostgreSQL outlived its rehearsal");
    }
    let joined = stage.events("joined");
    assert!(!joined.is_empty(), "the run was there all the time");
}

#[test]
fn before_anything_is_connected() {
    let stage = Stage::new(&["--speed", "20", "--contacts", "20"]);
    // The first frame comes before there is a run, a PostgreSQL or a stand-in, and can be left at once.
    let arguments = ["rehearse", "--dir", "rehearsal", "--contacts", "20"];
    let mut cockpit = Cockpit::start(&arguments, stage.path(), SIZE);
    cockpit.wait_for("the start-up", |screen| screen.contains("▸ journal") || screen.contains("✔ journal"));
    cockpit.press("q");
    assert!(cockpit.end().success());
    is_given_back(&cockpit);
}

#[test]
fn by_a_lost_connection() {
    let stage = Stage::new(&["--speed", "20", "--contacts", "20"]);
    let mut cockpit = stage.rehearse(SIZE);
    // With the signal alone the terminal is still there, and is given back.
    cockpit.signal("HUP");
    assert!(cockpit.end().success());
    is_given_back(&cockpit);
}

#[test]
fn a_terminal_that_is_gone_ends_the_cockpit_and_all_that_it_started() {
    let stage = Stage::new(&["--speed", "20", "--contacts", "20"]);
    for bond in [Bond::Controlling, Bond::Loose] {
        let mut cockpit = stage.rehearse_bound(SIZE, bond);
        let postgres = stage.postgres().expect("it runs");
        cockpit.hang_up();
        cockpit.end();
        Stage::is_gone(postgres);
        assert!(stage.is_dark(), "PostgreSQL outlived its rehearsal");
    }
    // While nothing is connected yet as well.
    let arguments = ["rehearse", "--dir", "rehearsal", "--fresh", "--contacts", "20"];
    let mut cockpit = Cockpit::start(&arguments, stage.path(), SIZE);
    cockpit.wait_for("the start-up", |screen| screen.contains("▸ journal") || screen.contains("✔ journal"));
    cockpit.hang_up();
    cockpit.end();
    assert!(stage.is_dark(), "PostgreSQL outlived its rehearsal");
}
