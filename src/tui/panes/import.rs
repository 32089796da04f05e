//! The import from Pulse: how much, how fast, how long still, what was set aside and why, what it waits for.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Pane, Scene};
use crate::run::job::{Facts, ImportTotals, JobStatus, Outcome};
use crate::run::live::{ImportLive, More, Progress};
use crate::run::{Job, JobKind};
use crate::tui::screen;
use crate::tui::theme::Role;
use crate::tui::widgets::bar::bar;
use crate::tui::widgets::steps;
use crate::tui::widgets::text::{Row, age, count, hour, span, wrap};

/// The newest import.
pub fn job<'a>(scene: &Scene<'a>) -> Option<&'a Job> {
    scene.world.state.last_job(|kind| *kind == JobKind::Import)
}

/// What is known of it: its figures while it runs or when it is over.
struct Known<'a> {
    totals: ImportTotals,
    progress: Option<&'a Progress>,
    live: Option<&'a ImportLive>,
}

fn known<'a>(scene: &Scene<'a>, job: &'a Job) -> Known<'a> {
    let progress =
        scene.world.live.progress.get(&job.id).filter(|_| !job.is_over()).map(|progress| &**progress);
    let live = progress.and_then(|progress| match &progress.more {
        More::Import(live) => Some(live),
        _ => None,
    });
    let ended = match job.outcome() {
        Some(Outcome::Succeeded { facts: Facts::Imported(totals), .. }) => Some(totals.clone()),
        _ => None,
    };
    let totals = ended.or_else(|| live.map(|live| live.totals.clone())).unwrap_or_default();
    Known { totals, progress, live }
}

/// How it stands.
pub fn note(scene: &Scene<'_>) -> (String, Role) {
    let Some(job) = job(scene) else { return ("not begun".into(), Role::Muted) };
    let (sign, word, role) = steps::status(job);
    let attempt = match &job.status {
        JobStatus::Running(attempt) | JobStatus::Paused(attempt) | JobStatus::Cancelling(attempt)
            if attempt.number > 1 =>
        {
            format!(", attempt {}", attempt.number)
        }
        _ => String::new(),
    };
    let role = if role == Role::Ok { Role::Muted } else { role };
    (format!("{sign} {word}{attempt}"), role)
}

/// Two lines: the bar and the figures.
pub fn brief(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let mut rows = area.rows();
    let Some(first) = rows.next() else { return };
    let Some(job) = job(scene) else {
        Row::new().put("not begun; the checklist says when", scene.of(Role::Muted)).draw(buf, first);
        return;
    };
    let known = known(scene, job);
    bar_line(scene, buf, first, &known);
    if let Some(second) = rows.next() {
        figures(scene, job, &known).draw(buf, second);
    }
    if let Some(third) = rows.next()
        && let Some(waiting) = known.live.and_then(|live| live.waiting.as_ref())
    {
        Row::new().put(format!("◌ waits: {waiting}"), scene.of(Role::Warn)).draw(buf, third);
    }
}

fn bar_line(scene: &Scene<'_>, buf: &mut Buffer, area: Rect, known: &Known<'_>) {
    let totals = &known.totals;
    let all = Some(totals.total).filter(|total| *total > 0);
    let done = totals.imported + totals.updated + totals.unchanged + totals.quarantined + totals.conflicts;
    let rate = known.progress.and_then(|progress| progress.rate).map(|rate| format!("  {rate:.0}/s"));
    let share = all.map(|all| format!("  {:>3} %", done * 100 / all)).unwrap_or_default();
    let of = all
        .map_or_else(|| format!("{} of ?", count(done)), |all| format!("{} of {}", count(done), count(all)));
    let words = format!("  {of}{share}{}", rate.unwrap_or_default());
    let wide = u16::try_from(words.chars().count()).unwrap_or(area.width);
    bar(buf, Rect { width: area.width.saturating_sub(wide), ..area }, scene.theme, done, all);
    Row::new().end(words, scene.of(Role::Text)).draw(buf, area);
}

fn figures(scene: &Scene<'_>, job: &Job, known: &Known<'_>) -> Row<'static> {
    let (text, muted) = (scene.of(Role::Text), scene.of(Role::Muted));
    let totals = &known.totals;
    let mut row = Row::new();
    for (name, number) in
        [("new", totals.imported), ("updated", totals.updated), ("unchanged", totals.unchanged)]
    {
        row = row.put(format!("{name} "), muted).put(format!("{}  ", count(number)), text);
    }
    let aside = if totals.quarantined > 0 { Role::Warn } else { Role::Muted };
    row = row.put(format!("quarantined {}  ", count(totals.quarantined)), scene.of(aside));
    if totals.conflicts > 0 {
        row = row.put(format!("conflicts {}  ", count(totals.conflicts)), scene.of(Role::Warn));
    }
    if let Some((from, to)) = known.progress.and_then(|progress| progress.left) {
        let at = |seconds: u64| {
            let span = chrono::TimeDelta::seconds(i64::try_from(seconds).unwrap_or(0));
            hour(scene.world.now + span, scene.world.zone())
        };
        let (from, to) = (at(from), at(to));
        row = row.put(if from == to { format!("ETA {from}  ") } else { format!("ETA {from}–{to}  ") }, text);
    }
    if let Some((left, all)) = known.live.and_then(|live| live.budget) {
        row = row.put(format!("budget {left}/{all}  "), muted);
    }
    if let Some(Outcome::Failed { failure }) = job.outcome() {
        row = Row::new().put(format!("✘ {failure}"), scene.of(Role::Bad));
    }
    if let Some(progress) = known.progress {
        row = row.end(age(scene.world.now - progress.at), muted);
    } else if let Some(at) = steps::ended(job) {
        row = row.end(format!("took {}", span(at - steps::began(job))), muted);
    }
    row
}

/// The whole pane.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let (words, role) = note(scene);
    let inner = screen::full(scene, buf, area, Pane::Import, words, role);
    brief(scene, buf, Rect { height: inner.height.min(3), ..inner });
    let Some(job) = job(scene) else { return };
    let known = known(scene, job);
    let mut page: Vec<Row<'_>> = Vec::new();
    if let Some(success) = known.totals.success() {
        let role = if success > 95.0 { Role::Text } else { Role::Warn };
        let retries = known.live.map_or(0, |live| live.retries);
        page.push(Row::new().put(format!("taken over {success:.2} %"), scene.of(role)).put(
            format!("   fetched {}   repeated requests {retries}", count(known.totals.fetched)),
            scene.of(Role::Muted),
        ));
    }
    if let Some(progress) = known.progress {
        page.push(
            Row::new()
                .put(progress.doing.as_str(), scene.of(Role::Text))
                .put(format!("   ({})", progress.source), scene.of(Role::Muted)),
        );
    }
    page.push(Row::new());
    if known.totals.reasons.is_empty() {
        page.push(Row::new().put("nothing set aside", scene.of(Role::Muted)));
    } else {
        page.push(Row::new().put("Set aside, and why", scene.of(Role::Title)));
    }
    for (reason, number) in &known.totals.reasons {
        let mut number = format!("{number:>6}  ");
        for line in wrap(reason, usize::from(inner.width).saturating_sub(8)) {
            page.push(Row::new().put(number, scene.of(Role::Warn)).put(line, scene.of(Role::Text)));
            number = " ".repeat(8);
        }
    }
    page.push(Row::new());
    page.push(Row::new().put("Steps", scene.of(Role::Title)));
    page.extend(job.steps.iter().map(|step| steps::row(step, scene.theme, scene.world.now)));
    if let Some(outcome) = job.outcome() {
        page.push(Row::new());
        page.extend(super::migrations::ending(scene, outcome, usize::from(inner.width)));
    }
    let below = Rect { y: inner.y + 3.min(inner.height), height: inner.height.saturating_sub(3), ..inner };
    let from =
        scene.app.pick(Pane::Import).unwrap_or(0).min(page.len().saturating_sub(usize::from(below.height)));
    for (row, line) in page.iter().skip(from).zip(below.rows()) {
        row.draw(buf, line);
    }
}
