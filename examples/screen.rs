//! A moment of the fixture's day, to look at while working on a layout:
//!
//! `cargo run --example screen -- picture MOMENT WIDTH HEIGHT THEME [KEYS] > picture.svg` draws it, after those keys;
//! `cargo run --example screen -- live MOMENT [THEME]` shows it in the terminal, with nothing behind the screen that acts.

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::sync::Arc;

use color_eyre::eyre::{OptionExt, bail};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use gonogo::clock::Clock;
use gonogo::plan::Role;
use gonogo::tui::app::{App, Input};
use gonogo::tui::panes::{Scene, World};
use gonogo::tui::picture::svg;
use gonogo::tui::{Boot, Depth, Feed, Mouse, Notice, Options, Order, Theme, screen};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

fn main() -> color_eyre::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |place: usize, default: &str| args.get(place).cloned().unwrap_or_else(|| default.to_owned());
    let moment = arg(1, "import");
    let story = fixture::moments::named(&moment).ok_or_eyre("no moment of that name")?;
    let boot = if moment == "empty" { fixture::boot() } else { Boot::default() };
    match arg(0, "live").as_str() {
        "picture" => {
            let area = Rect::new(0, 0, arg(2, "120").parse()?, arg(3, "40").parse()?);
            let theme = Theme::load(&arg(4, "dark"), Depth::True)?;
            println!("{}", picture(&story, &boot, area, &theme, &arg(5, "")));
            Ok(())
        }
        "live" => {
            let depth = Depth::detect(|name| std::env::var(name).ok());
            let theme = Theme::load(&arg(2, "dark"), depth)?;
            tokio::runtime::Runtime::new()?.block_on(live(story, boot, theme))
        }
        other => bail!("{other:?} is neither picture nor live"),
    }
}

fn picture(story: &fixture::Story, boot: &Boot, area: Rect, theme: &Theme, keys: &str) -> String {
    let mut app = App::new(fixture::person(Role::Lead));
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
    for letter in keys.chars() {
        let code = match letter {
            '↓' => KeyCode::Down,
            '\n' => KeyCode::Enter,
            letter => KeyCode::Char(letter),
        };
        let key = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        app.update(Input::Term(key), &world, Instant::now());
    }
    let mut buf = Buffer::empty(area);
    screen::draw(&Scene { world, app: &app, theme }, &mut buf, area);
    svg(&buf, theme)
}

/// Nothing acts here: every order is answered with what it was.
async fn live(story: fixture::Story, boot: Boot, theme: Theme) -> color_eyre::Result<()> {
    let (_state, states) = watch::channel(Arc::new(story.state));
    let (_live, lives) = watch::channel(Arc::new(story.live));
    let (_boot, boots) = watch::channel(boot);
    let (_trouble, troubles) = watch::channel(None);
    let (notices, heard) = mpsc::channel(8);
    let (order, mut orders) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(order) = orders.recv().await {
            let words = match order {
                Order::Command { by, command } => format!("{} ordered {command:?}", by.name),
                other => format!("{other:?}"),
            };
            if notices.send(Notice::Info(words)).await.is_err() {
                return;
            }
        }
    });
    let feed = Feed {
        state: states,
        live: lives,
        boot: boots,
        trouble: troubles,
        notices: heard,
        orders: order,
        clock: Clock::paced(story.now, 1.0),
        seat: fixture::person(Role::Lead),
        cockpit: "lead-cockpit".into(),
    };
    gonogo::tui::run(feed, Options { theme, mouse: Mouse::Off, faults: fixture::faults() }).await
}
