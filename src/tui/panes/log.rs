//! What happened, in words, the newest last. It follows what comes in until the person scrolls up.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Pane, Scene, World};
use crate::run::words::{Tone, tone, words};
use crate::run::{Event, Record};
use crate::tui::screen;
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, clock};

/// The records that match, oldest first.
pub fn records<'a>(world: &World<'a>, filter: &str) -> Vec<&'a Record> {
    let filter = filter.to_lowercase();
    let wanted = |record: &Record| {
        filter.is_empty()
            || record.by.name.to_lowercase().contains(&filter)
            || words(record, Some(world.state)).to_lowercase().contains(&filter)
    };
    world.state.tail.iter().map(|record| &**record).filter(|record| wanted(record)).collect()
}

fn row<'a>(scene: &Scene<'_>, record: &'a Record) -> Row<'a> {
    let role = match tone(&record.event) {
        Tone::Detail => Role::Muted,
        Tone::Plain => Role::Text,
        Tone::Warn => Role::Warn,
        Tone::Bad => Role::Bad,
    };
    let who = match record.by.role {
        crate::plan::Role::Machine => record.by.name.to_string(),
        role if *record.by.name == *role.word() => role.word().into(),
        role => format!("{} ({role})", record.by.name),
    };
    let sign = match tone(&record.event) {
        Tone::Bad => "▲ ",
        Tone::Warn => "◆ ",
        Tone::Plain | Tone::Detail => "  ",
    };
    Row::new()
        .put(clock(record.at, scene.world.zone()), scene.of(Role::Muted))
        .put("  ", scene.of(Role::Muted))
        .column(&who, 14, scene.of(Role::Muted))
        .put(sign, scene.of(role))
        .put(words(record, Some(scene.world.state)), scene.of(role))
}

/// The newest, without the small steps of jobs.
pub fn brief(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let room = usize::from(area.height);
    let mut shown: Vec<&Record> = scene
        .world
        .state
        .tail
        .iter()
        .rev()
        .map(|record| &**record)
        .filter(|record| tone(&record.event) != Tone::Detail && !matches!(record.event, Event::Joined))
        .take(room)
        .collect();
    shown.reverse();
    for (record, line) in shown.into_iter().zip(area.rows()) {
        row(scene, record).draw(buf, line);
    }
}

/// The whole pane.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let filter = scene.app.filter(Pane::Log);
    let shown = records(&scene.world, filter);
    let back = scene.app.pick(Pane::Log).unwrap_or(0).min(shown.len().saturating_sub(1));
    let follows = if back == 0 { "follows".to_owned() } else { format!("{back} back, end follows") };
    let note = if filter.is_empty() { follows } else { format!("/{filter}  {follows}") };
    let inner = screen::full(scene, buf, area, Pane::Log, note, Role::Muted);
    let end = shown.len() - back.min(shown.len());
    let from = end.saturating_sub(usize::from(inner.height));
    for (record, line) in shown[from..end].iter().zip(inner.rows()) {
        row(scene, record).draw(buf, line);
    }
}
