//! What a frame costs: the screen drawn whole into a fresh buffer, as a key or a sample makes it be. Aim: the overview at
//! 200x60 under 1 ms.

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use divan::Bencher;
use gonogo::plan::Role;
use gonogo::tui::app::App;
use gonogo::tui::panes::{Scene, World};
use gonogo::tui::{Boot, Depth, Theme, screen};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

fn main() {
    divan::main();
}

#[divan::bench(args = [(80, 24), (120, 40), (200, 60)])]
fn overview(bencher: Bencher<'_, '_>, size: (u16, u16)) {
    drawn(bencher, "alert", &Boot::default(), size);
}

#[divan::bench(args = [(120, 40)])]
fn first_frame(bencher: Bencher<'_, '_>, size: (u16, u16)) {
    drawn(bencher, "empty", &fixture::boot(), size);
}

fn drawn(bencher: Bencher<'_, '_>, moment: &str, boot: &Boot, (width, height): (u16, u16)) {
    let story = fixture::moments::named(moment).expect("a moment");
    let faults = fixture::faults();
    let world = World {
        state: &story.state,
        live: &story.live,
        boot,
        trouble: None,
        now: story.now,
        lag: std::time::Duration::ZERO,
        cockpit: "lead-cockpit",
        faults: &faults,
    };
    let theme = Theme::load("dark", Depth::True).expect("it ships");
    let app = App::new(fixture::person(Role::Lead));
    let area = Rect::new(0, 0, width, height);
    bencher.bench_local(|| {
        let mut buf = Buffer::empty(area);
        screen::draw(&Scene { world, app: &app, theme: &theme }, &mut buf, area);
        buf
    });
}
