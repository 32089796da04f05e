//! The import from Pulse: how much, how fast, how long still, what was set aside and why, what it waits for.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::{Pane, Scene, World};
use crate::run::job::{Asked, Facts, ImportTotals, JobStatus, Outcome};
use crate::run::live::{ImportLive, More, Progress};
use crate::run::upkeep::Mock;
use crate::run::{Job, JobKind};
use crate::tui::screen;
use crate::tui::theme::Role;
use crate::tui::widgets::bar::bar;
use crate::tui::widgets::steps;
use crate::tui::widgets::text::{Row, age, count, hour, span, wrap};

mod beside;

pub use beside::selected;

/// How far the pane can be scrolled where no conflict is there to be selected.
const SCROLLS: usize = 60;

/// How many places the cursor has: the conflicts; without one, lines to scroll.
pub fn rows(world: &World<'_>) -> usize {
    world.live.conflicts.as_ref().map(|list| list.first.len()).filter(|many| *many > 0).unwrap_or(SCROLLS)
}

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

/// The mock data that stand where an import would: none while one runs, which says how it goes.
fn in_its_place<'a>(scene: &Scene<'a>) -> Option<&'a Mock> {
    scene.world.state.mocked().filter(|_| job(scene).is_none_or(Job::is_over))
}

/// How it stands.
pub fn note(scene: &Scene<'_>) -> (String, Role) {
    if in_its_place(scene).is_some() {
        return ("✘ NOT imported: MOCK DATA".into(), Role::Bad);
    }
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
    if let Some(mock) = in_its_place(scene) {
        let since = hour(mock.at, scene.world.zone());
        let words = format!("MOCK DATA since {since}: NOTHING of Pulse's is imported");
        Row::new().put(words, scene.of(Role::Bad)).draw(buf, first);
        if let (Some(job), Some(second)) = (job(scene), rows.next()) {
            figures(scene, job, &known(scene, job), second.width).draw(buf, second);
        }
        return;
    }
    let Some(job) = job(scene) else {
        Row::new().put("not begun; the checklist says when", scene.of(Role::Muted)).draw(buf, first);
        return;
    };
    let known = known(scene, job);
    bar_line(scene, buf, first, &known);
    if let Some(second) = rows.next() {
        figures(scene, job, &known, second.width).draw(buf, second);
    }
    if let Some(question) = job.question()
        && let Some(third) = rows.next()
    {
        let words = format!("? {}; y goes on: {}", question.what, question.going_on);
        Row::new().put(words, scene.of(Role::Warn)).draw(buf, third);
    } else if let Some(third) = rows.next()
        && let Some((how, why)) = known.live.and_then(held_up)
    {
        Row::new().put(format!("◌ {how}: {why}"), scene.of(Role::Warn)).draw(buf, third);
    }
}

/// Whether it waits or goes slower, and why.
fn held_up(live: &ImportLive) -> Option<(&'static str, &str)> {
    let waits = live.waiting.as_deref().map(|why| ("waits", why));
    waits.or_else(|| live.throttled.as_deref().map(|why| ("throttled", why)))
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

/// How willingly a figure gives way on a narrow screen: the forecast never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gives {
    Never,
    Last,
    Later,
    Soon,
    First,
}

fn figures(scene: &Scene<'_>, job: &Job, known: &Known<'_>, width: u16) -> Row<'static> {
    let (text, muted) = (scene.of(Role::Text), scene.of(Role::Muted));
    let totals = &known.totals;
    let end = match known.progress {
        Some(progress) => Some(age(scene.world.now - progress.at)),
        None => steps::ended(job).map(|at| format!("took {}", span(at - steps::began(job)))),
    };
    let mut row = Row::new();
    if let Some(Outcome::Failed { failure }) = job.outcome() {
        row = row.put(format!("✘ {failure}"), scene.of(Role::Bad));
        return row.end(end.unwrap_or_default(), muted);
    }
    let aside = scene.of(if totals.quarantined > 0 { Role::Warn } else { Role::Muted });
    let mut parts = vec![
        (Gives::Later, Row::new().put("new ", muted).put(count(totals.imported), text)),
        (Gives::Later, Row::new().put("updated ", muted).put(count(totals.updated), text)),
        (Gives::Soon, Row::new().put("unchanged ", muted).put(count(totals.unchanged), text)),
        (Gives::Last, Row::new().put(format!("quarantined {}", count(totals.quarantined)), aside)),
    ];
    if totals.conflicts > 0 {
        let words = format!("conflicts {}", count(totals.conflicts));
        parts.push((Gives::Last, Row::new().put(words, scene.of(Role::Warn))));
    }
    if let Some((from, to)) = known.progress.and_then(|progress| progress.left) {
        let at = |seconds: u64| {
            let span = chrono::TimeDelta::seconds(i64::try_from(seconds).unwrap_or(0));
            hour(scene.world.now + span, scene.world.zone())
        };
        let (from, to) = (at(from), at(to));
        let words = if from == to { format!("ETA {from}") } else { format!("ETA {from}–{to}") };
        parts.push((Gives::Never, Row::new().put(words, text)));
    }
    if let Some((left, all)) = known.live.and_then(|live| live.budget) {
        parts.push((Gives::First, Row::new().put(format!("budget {left}/{all}"), muted)));
    }
    let room = usize::from(width).saturating_sub(end.as_ref().map_or(0, |end| end.chars().count() + 1));
    let wide =
        |parts: &[(Gives, Row<'_>)]| parts.iter().map(|(_, part)| part.width() + GAP.len()).sum::<usize>();
    while wide(&parts) > room + GAP.len()
        && let Some((place, _)) = parts
            .iter()
            .map(|(gives, _)| *gives)
            .enumerate()
            .filter(|(_, gives)| *gives != Gives::Never)
            .max_by_key(|(_, gives)| *gives)
    {
        parts.remove(place);
    }
    for (place, (_, part)) in parts.into_iter().enumerate() {
        row = if place > 0 { row.put(GAP, muted) } else { row }.with(part);
    }
    row.end(end.unwrap_or_default(), muted)
}

/// Between two figures.
const GAP: &str = "  ";

/// From this width on what is known stands beside what was done.
const BESIDE: u16 = 150;

/// The whole pane.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let (words, role) = note(scene);
    let inner = screen::full(scene, buf, area, Pane::Import, words, role);
    brief(scene, buf, Rect { height: inner.height.min(3), ..inner });
    let below = Rect { y: inner.y + 3.min(inner.height), height: inner.height.saturating_sub(3), ..inner };
    let job = job(scene);
    let known = job.map(|job| known(scene, job));
    if below.width >= BESIDE {
        let [left, _, right] =
            Layout::horizontal([Constraint::Percentage(56), Constraint::Length(3), Constraint::Fill(1)])
                .areas(below);
        let (page, shown) = now(scene, known.as_ref(), usize::from(left.width));
        lay(scene, buf, left, &page, &shown);
        lay(scene, buf, right, &past(scene, job, known.as_ref(), usize::from(right.width)), &(0..0));
    } else {
        let width = usize::from(below.width);
        let (mut page, shown) = now(scene, known.as_ref(), width);
        page.push(Row::new());
        page.extend(past(scene, job, known.as_ref(), width));
        lay(scene, buf, below, &page, &shown);
    }
}

/// Lays a page out, so that what is selected is seen; without a selection it is scrolled by lines.
fn lay(scene: &Scene<'_>, buf: &mut Buffer, area: Rect, page: &[Row<'_>], shown: &std::ops::Range<usize>) {
    let height = usize::from(area.height);
    let pick = scene.app.pick(Pane::Import);
    let from = match pick {
        None => 0,
        Some(from) if shown.is_empty() => from,
        Some(_) => shown.end.saturating_sub(height).min(shown.start),
    };
    let from = from.min(page.len().saturating_sub(height));
    for (row, line) in page.iter().skip(from).zip(area.rows()) {
        row.draw(buf, line);
    }
}

/// What is so now: how it goes, what stands around it, who waits for a person.
fn now<'a>(
    scene: &Scene<'a>,
    known: Option<&Known<'a>>,
    width: usize,
) -> (Vec<Row<'a>>, std::ops::Range<usize>) {
    let mut page: Vec<Row<'a>> = Vec::new();
    if let Some(success) = known.and_then(|known| known.totals.success()) {
        let role = if success > 95.0 { Role::Text } else { Role::Warn };
        let retries = known.and_then(|known| known.live).map_or(0, |live| live.retries);
        let fetched = known.map_or(0, |known| known.totals.fetched);
        page.push(Row::new().put(format!("taken over {success:.2} %"), scene.of(role)).put(
            format!("   fetched {}   repeated requests {retries}", count(fetched)),
            scene.of(Role::Muted),
        ));
    }
    if let Some(progress) = known.and_then(|known| known.progress) {
        page.push(
            Row::new()
                .put(progress.doing.as_str(), scene.of(Role::Text))
                .put(format!("   ({})", progress.source), scene.of(Role::Muted)),
        );
    }
    if let Some(asked) = job(scene).and_then(|job| job.asked.as_ref()) {
        page.extend(question(scene, asked, width));
    }
    page.extend(beside::standing(scene, known.and_then(|known| known.live), width));
    let (conflicts, shown) = beside::conflicts(scene, width);
    if !conflicts.is_empty() {
        page.push(Row::new());
    }
    let shift = page.len();
    page.extend(conflicts);
    (page, shown.start + shift..shown.end + shift)
}

/// What was done: what was set aside and why, what went wrong, the steps.
fn past<'a>(
    scene: &Scene<'a>,
    job: Option<&'a Job>,
    known: Option<&Known<'a>>,
    width: usize,
) -> Vec<Row<'a>> {
    let mut page: Vec<Row<'a>> = Vec::new();
    let (Some(job), Some(known)) = (job, known) else { return page };
    if known.totals.reasons.is_empty() {
        page.push(Row::new().put("nothing set aside", scene.of(Role::Muted)));
    } else {
        page.extend(reasons(scene, "Set aside, and why", &known.totals.reasons, width));
    }
    if !known.totals.doubts.is_empty() {
        page.push(Row::new());
        page.extend(reasons(scene, "For a person to decide, and why", &known.totals.doubts, width));
    }
    if let Some(live) = known.live.filter(|live| !live.errors.is_empty()) {
        page.push(Row::new());
        page.extend(beside::errors(scene, &live.errors, width));
    }
    page.push(Row::new());
    page.push(Row::new().put("Steps", scene.of(Role::Title)));
    page.extend(job.steps.iter().map(|step| steps::row(step, scene.theme, scene.world.now)));
    if let Some(outcome) = job.outcome() {
        page.push(Row::new());
        page.extend(super::migrations::ending(scene, outcome, width));
    }
    page
}

/// Reasons under their head, each with how many it holds for.
fn reasons<'a>(
    scene: &Scene<'_>,
    head: &'static str,
    reasons: &[(String, u64)],
    width: usize,
) -> Vec<Row<'a>> {
    let mut page = vec![Row::new().put(head, scene.of(Role::Title))];
    for (reason, number) in reasons {
        let mut number = format!("{number:>6}  ");
        for line in wrap(reason, width.saturating_sub(8)) {
            page.push(Row::new().put(number, scene.of(Role::Warn)).put(line, scene.of(Role::Text)));
            number = " ".repeat(8);
        }
    }
    page
}

/// What the job asked, what either answer means, and who decided.
fn question<'a>(scene: &Scene<'a>, asked: &'a Asked, width: usize) -> Vec<Row<'a>> {
    let lines = |text: String, role: Role| {
        let style = scene.of(role);
        wrap(&text, width).into_iter().map(move |line| Row::new().put(line, style)).collect::<Vec<_>>()
    };
    let Asked { question, answer, .. } = asked;
    let mut page = vec![Row::new()];
    match answer {
        None => {
            page.extend(lines(format!("It asks: {}", question.what), Role::Warn));
            page.extend(lines(format!("y  go on: {}", question.going_on), Role::Text));
            page.extend(lines(format!("x  give up: {}", question.giving_up), Role::Text));
        }
        Some(answer) => {
            page.extend(lines(format!("It asked: {}", question.what), Role::Muted));
            let at = hour(answer.at, scene.world.zone());
            let words = format!(
                "{} ({}) decided at {at} to go on: {}",
                answer.by.name, answer.by.role, answer.reason
            );
            page.extend(lines(words, Role::Text));
        }
    }
    page
}
