//! What stands around the import: mock data, throttle, sync, history, and the profiles that wait for a person.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::{Pane, Scene, World};
use crate::run::live::{Conflict, HistoryLive, ImportLive};
use crate::run::state::Sync;
use crate::run::upkeep::{Hold, Upkeep};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, age, count, fit, hour, wrap};

/// The widest that a value of either side is shown.
const WIDEST: usize = 34;

/// The conflict that the keys mean.
pub fn selected<'a>(world: &World<'a>, pick: Option<usize>) -> Option<&'a Conflict> {
    let list = &world.live.conflicts.as_ref()?.first;
    list.get(pick.unwrap_or(0).min(list.len().saturating_sub(1)))
}

fn label<'a>(scene: &Scene<'_>, name: &'static str) -> Row<'a> {
    Row::new().put(format!("{name:<10}"), scene.of(Role::Muted))
}

/// Mock data, throttle, sync and history, a line or two each.
pub(super) fn standing(scene: &Scene<'_>, live: Option<&ImportLive>, width: usize) -> Vec<Row<'static>> {
    let mut page = Vec::new();
    mock(scene, width, &mut page);
    throttle(scene, live, width, &mut page);
    sync(scene, width, &mut page);
    history(scene, width, &mut page);
    page
}

/// A label, and words that may need more than one line.
fn lines(
    scene: &Scene<'_>,
    name: &'static str,
    words: &str,
    role: Role,
    width: usize,
    page: &mut Vec<Row<'static>>,
) {
    for (place, line) in wrap(words, width.saturating_sub(10)).into_iter().enumerate() {
        let row = label(scene, if place == 0 { name } else { "" });
        page.push(row.put(line, scene.of(role)));
    }
}

fn mock(scene: &Scene<'_>, width: usize, page: &mut Vec<Row<'static>>) {
    let Some(mock) = scene.world.state.mocked() else { return };
    let words = format!(
        "MOCK DATA since {} by {}: {}. Pulse's contacts are NOT imported; the run cannot end as SUCCESS, and no more than the \
         first stage sees it. An import from Pulse replaces them.",
        hour(mock.at, scene.world.zone()),
        mock.by.name,
        mock.why
    );
    lines(scene, "mock", &words, Role::Bad, width, page);
}

fn throttle(scene: &Scene<'_>, live: Option<&ImportLive>, width: usize, page: &mut Vec<Row<'static>>) {
    // Above, the line under the bar says the reason, unless something else holds it up as well.
    let also = live.filter(|live| live.waiting.is_some()).and_then(|live| live.throttled.as_ref());
    if let Some(why) = also {
        lines(scene, "throttled", why, Role::Warn, width, page);
    } else if let Some(share) = scene.world.state.pace {
        lines(scene, "pace", &format!("{share} % of the time, by hand"), Role::Text, width, page);
    }
    if let Some(signals) = live.and_then(|live| live.signals.as_ref()) {
        let ms = |value: Option<f64>, none: &str| {
            value.map_or_else(|| none.to_owned(), |ms| format!("{ms:.0} ms"))
        };
        let words = format!(
            "a read of contacts {}, longest wait behind us {}, replica {}",
            ms(signals.latency_ms, "not measured"),
            ms(signals.blocked_ms, "none"),
            signals
                .lag_ms
                .map_or_else(|| "none seen".to_owned(), |ms| format!("{:.1} s behind", ms / 1_000.0)),
        );
        lines(scene, "database", &words, Role::Muted, width, page);
    }
}

fn off(scene: &Scene<'_>, hold: &Hold) -> String {
    let at = hour(hold.at, scene.world.zone());
    format!("OFF since {at} by {}: {}", hold.by.name, hold.why)
}

fn sync(scene: &Scene<'_>, width: usize, page: &mut Vec<Row<'static>>) {
    let state = scene.world.state;
    if let Some(hold) = state.held.get(&Upkeep::Sync) {
        lines(scene, "sync", &off(scene, hold), Role::Warn, width, page);
        return;
    }
    if let Some(trouble) = &state.sync_trouble {
        let words =
            format!("does not pass, since {}: {}", hour(trouble.since, scene.world.zone()), trouble.what);
        lines(scene, "sync", &words, Role::Bad, width, page);
        return;
    }
    match state.sync {
        Sync::Off if state.mocked().is_some() => {
            let words = "cannot begin: MOCK DATA stand, and there is nothing to sync";
            lines(scene, "sync", words, Role::Warn, width, page);
        }
        Sync::Off => lines(scene, "sync", "not begun", Role::Muted, width, page),
        Sync::On { last, passes, good, bad } => {
            let role = if bad > 0 { Role::Warn } else { Role::Text };
            let words = format!(
                "on, {passes} passes, the last {} ago: {} taken over, {} failed",
                age(scene.world.now - last),
                count(good),
                count(bad)
            );
            lines(scene, "sync", &words, role, width, page);
        }
    }
}

fn history(scene: &Scene<'_>, width: usize, page: &mut Vec<Row<'static>>) {
    let state = scene.world.state;
    let live = scene.world.live.history.as_deref();
    if let Some(hold) = state.held.get(&Upkeep::History) {
        let so_far = live.map(|live| format!("; {}", so_far(live))).unwrap_or_default();
        lines(scene, "history", &format!("{}{so_far}", off(scene, hold)), Role::Warn, width, page);
        return;
    }
    if let Some(live) = live {
        let role = if live.failed > 0 { Role::Warn } else { Role::Text };
        let left = live
            .left
            .filter(|_| live.done < live.total)
            .map(|(from, to)| format!(", done {}–{}", clock(scene, from), clock(scene, to)));
        let budget = live.budget.map(|(left, all)| format!(", budget {left}/{all}")).unwrap_or_default();
        lines(
            scene,
            "history",
            &format!("{}{}{budget}", so_far(live), left.unwrap_or_default()),
            role,
            width,
            page,
        );
        if let Some(why) = &live.waiting {
            lines(scene, "", &format!("waits: {why}"), Role::Muted, width, page);
        }
    } else if let Some(history) = &state.history {
        let words = format!(
            "{} interactions of {} contacts, read",
            count(history.interactions),
            count(history.contacts)
        );
        lines(scene, "history", &words, Role::Text, width, page);
    } else {
        lines(scene, "history", "follows the import, most valuable contacts first", Role::Muted, width, page);
    }
}

fn so_far(live: &HistoryLive) -> String {
    let failed = if live.failed > 0 { format!(", {} failed", count(live.failed)) } else { String::new() };
    format!(
        "{} of {} contacts, {} interactions{failed}",
        count(live.done),
        count(live.total),
        count(live.interactions)
    )
}

/// The time of day that many seconds from now.
fn clock(scene: &Scene<'_>, seconds: u64) -> String {
    let span = TimeDelta::seconds(i64::try_from(seconds).unwrap_or(0));
    hour(scene.world.now + span, scene.world.zone())
}

/// The last errors, newest first.
pub(super) fn errors(
    scene: &Scene<'_>,
    errors: &VecDeque<(DateTime<Utc>, String)>,
    width: usize,
) -> Vec<Row<'static>> {
    let mut page = Vec::new();
    if errors.is_empty() {
        return page;
    }
    page.push(Row::new().put("Last errors", scene.of(Role::Title)));
    for (at, what) in errors {
        let mut when = format!("{:<7}", hour(*at, scene.world.zone()));
        for line in wrap(what, width.saturating_sub(7)) {
            page.push(Row::new().put(when, scene.of(Role::Muted)).put(line, scene.of(Role::Text)));
            when = " ".repeat(7);
        }
    }
    page
}

/// The profiles that wait for a person: each in a line, the selected one with both sides' values.
pub(super) fn conflicts(scene: &Scene<'_>, width: usize) -> (Vec<Row<'static>>, std::ops::Range<usize>) {
    let mut page = Vec::new();
    let Some(list) = scene.world.live.conflicts.as_deref() else { return (page, 0..0) };
    if let Some(why) = &list.trouble {
        for line in wrap(&format!("conflicts cannot be read: {why}; what is listed is older"), width) {
            page.push(Row::new().put(line, scene.of(Role::Warn)));
        }
    }
    if list.total == 0 {
        page.push(Row::new().put("no profile waits for a person", scene.of(Role::Muted)));
        return (page, 0..0);
    }
    let pick = scene.app.pick(Pane::Import).unwrap_or(0).min(list.first.len().saturating_sub(1));
    let more = list.total - list.first.len() as u64;
    let more = if more > 0 { format!(", the first {} listed", list.first.len()) } else { String::new() };
    page.push(
        Row::new()
            .put("Conflicts ", scene.of(Role::Title))
            .put(format!("{} for a person to decide{more}", count(list.total)), scene.of(Role::Warn))
            .end("c settles the selected one", scene.of(Role::Muted)),
    );
    let mut shown = 0..0;
    for (place, conflict) in list.first.iter().enumerate() {
        let chosen = place == pick;
        let start = page.len();
        let name = conflict.pulse.first().map_or(conflict.profile.as_str(), |(_, name)| name.as_str());
        let (mark, role) = if chosen { ("▸ ", Role::Accent) } else { ("  ", Role::Text) };
        page.push(
            Row::new()
                .put(mark, scene.of(role))
                .put(format!("{} ", fit(name, 24)), scene.of(role))
                .put(conflict.reason.clone(), scene.of(Role::Text)),
        );
        if chosen {
            page.extend(sides(scene, conflict, width));
            shown = start..page.len();
        }
    }
    (page, shown)
}

/// Both sides, field by field; what differs is set off.
fn sides(scene: &Scene<'_>, conflict: &Conflict, width: usize) -> Vec<Row<'static>> {
    let many = conflict.contacts.len().max(1);
    let room = width.saturating_sub(4 + 9) / (many + 1);
    let wide = room.saturating_sub(2).clamp(8, WIDEST);
    let fits = (width.saturating_sub(13) / (wide + 2)).saturating_sub(1).max(1);
    let (muted, text) = (scene.of(Role::Muted), scene.of(Role::Text));
    let mut head =
        Row::new().put(format!("    {:<9}", ""), muted).put(format!("{}  ", fit("Pulse", wide)), muted);
    for rival in conflict.contacts.iter().take(fits) {
        let taken = if rival.taken_by.is_some() { " (taken)" } else { "" };
        let short: String = rival.contact.chars().take(8).collect();
        head = head.put(format!("{}  ", fit(&format!("{short}{taken}"), wide)), muted);
    }
    if conflict.contacts.is_empty() {
        head = head.put("no contact here", muted);
    }
    let mut rows = vec![head];
    for (place, (field, pulse)) in conflict.pulse.iter().enumerate() {
        let mut row =
            Row::new().put(format!("    {field:<9}"), muted).put(format!("{}  ", fit(pulse, wide)), text);
        for rival in conflict.contacts.iter().take(fits) {
            let own = rival.values.get(place).map_or("", String::as_str);
            let same = own.eq_ignore_ascii_case(pulse);
            row = row
                .put(format!("{}  ", fit(own, wide)), scene.of(if same { Role::Muted } else { Role::Text }));
        }
        rows.push(row);
    }
    let hidden = conflict.contacts.len().saturating_sub(fits);
    if hidden > 0 {
        rows.push(Row::new().put(format!("    and {hidden} more contacts; c lists them all"), muted));
    }
    rows
}
