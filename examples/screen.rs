//! Draws a moment of the fixture's day as an SVG: `cargo run --example screen -- MOMENT WIDTH HEIGHT THEME PANE > picture.svg`.
//! For looking at a layout while working on it; the README's picture is made by `gonogo` itself.

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::sync::Arc;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use gonogo::run::Live;
use gonogo::tui::app::{App, Input};
use gonogo::tui::panes::{Scene, World};
use gonogo::tui::picture::svg;
use gonogo::tui::{Boot, Depth, Theme, screen};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |place: usize, default: &str| args.get(place).cloned().unwrap_or_else(|| default.to_owned());
    let story = match arg(0, "import").as_str() {
        "migrating" => fixture::moments::migrating(),
        "failed" => fixture::moments::migration_failed(),
        "alert" => fixture::moments::alert(),
        "rolling" => fixture::moments::rolling_back(),
        "rolled" => fixture::moments::rolled_back(),
        "rehearsal" => fixture::moments::importing(gonogo::run::Mode::Rehearsal),
        "boot" => fixture::Story {
            state: gonogo::run::State::default(),
            live: Live::default(),
            now: fixture::at(8, 30, 0),
        },
        _ => fixture::moments::mid_import(),
    };
    let boot = if arg(0, "") == "boot" { fixture::boot() } else { Boot::default() };
    let size = |place, default| arg(place, default).parse().unwrap_or(80);
    let area = Rect::new(0, 0, size(1, "120"), size(2, "40"));
    let theme = Theme::load(&arg(3, "dark"), Depth::True).unwrap_or_else(|error| panic!("{error}"));
    let mut app = App::new(fixture::person(gonogo::plan::Role::Lead));
    let faults = fixture::faults();
    let world = World {
        state: &Arc::new(story.state),
        live: &story.live,
        boot: &boot,
        now: story.now,
        cockpit: "lead-cockpit",
        faults: &faults,
    };
    let now = Instant::now();
    for letter in arg(4, "").chars() {
        let code = match letter {
            '_' => KeyCode::Down,
            '\n' => KeyCode::Enter,
            letter => KeyCode::Char(letter),
        };
        let key = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        drop(app.update(Input::Term(key), &world, now));
    }
    let mut buf = Buffer::empty(area);
    screen::draw(&Scene { world, app: &app, theme: &theme }, &mut buf, area);
    println!("{}", svg(&buf, &theme));
}
