//! The migrations: every statement a step, grouped by migration, with what it waits for and what others wait for because of it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

mod ahead;
mod live;

use super::{Pane, Scene, World};
use crate::plan::RungKind;
use crate::run::job::{Facts, JobKind, Outcome, Step, StepOutcome, StepStatus, WorkerId};
use crate::run::live::{Judged, Linted, MigrateLive, More, Progress};
use crate::run::{Job, JobId};
use crate::tui::screen;
use crate::tui::theme::Role;
use crate::tui::widgets::bar::bar;
use crate::tui::widgets::steps;
use crate::tui::widgets::text::{Row, age, columns, hour, span, wrap};

/// A line of the pane.
#[derive(Debug, Clone, Copy)]
pub enum Line<'a> {
    /// A migration, as its last job ran it.
    Group(&'a Job, &'a str, &'a [Step]),
    /// One of its statements.
    Step(&'a Step),
    /// A migration that is still to be run.
    Ahead(&'a Linted),
    /// One of its statements.
    Statement(&'a Judged),
}

/// The migrations in the order in which they first came, each as its newest job has it.
fn groups<'a>(world: &World<'a>) -> Vec<(&'a Job, &'a str, &'a [Step])> {
    let mut groups: Vec<(&Job, &str, &[Step])> = Vec::new();
    let ours = |kind: &JobKind| {
        kind.worker() == WorkerId::Migrate
            || matches!(kind, JobKind::Rollback { kind: RungKind::Database, .. })
    };
    for job in world.state.jobs.values().filter(|job| ours(&job.kind)) {
        let down = leads_back(&job.kind);
        for part in job.steps.chunk_by(|a, b| a.plan.group == b.plan.group) {
            let name = part[0].plan.group.as_deref().unwrap_or(match job.kind {
                JobKind::Backup => "backup",
                _ => "before and after",
            });
            let old =
                groups.iter().position(|(other, known, _)| *known == name && down == leads_back(&other.kind));
            match old {
                Some(place) => groups[place] = (job, name, part),
                None => groups.push((job, name, part)),
            }
        }
    }
    groups
}

/// Whether its steps take something back.
const fn leads_back(kind: &JobKind) -> bool {
    matches!(kind, JobKind::MigrateDown { .. } | JobKind::Rollback { .. })
}

/// When a migration was last rehearsed with success, and how long it took there and back, in milliseconds.
fn rehearsed(scene: &Scene<'_>, title: &str) -> Option<String> {
    let (at, migrations) = scene.world.state.rehearsed()?;
    let one = migrations.iter().find(|one| one.title == title)?;
    let back = one.back_ms.map_or(", not back", |_| "");
    Some(format!("rehearsed {}{back}", hour(at, scene.world.zone())))
}

/// All lines of the pane.
pub fn rows<'a>(world: &World<'a>) -> Vec<Line<'a>> {
    let groups = groups(world);
    let ahead = ahead::pending(world, &groups);
    let planned = groups.into_iter().flat_map(|(job, name, steps)| {
        std::iter::once(Line::Group(job, name, steps)).chain(steps.iter().map(Line::Step))
    });
    let ahead = ahead.into_iter().flat_map(|linted| {
        std::iter::once(Line::Ahead(linted)).chain(linted.statements.iter().map(Line::Statement))
    });
    planned.chain(ahead).collect()
}

/// The line that matters now: what runs or failed, else what comes next, else the last.
pub fn current(world: &World<'_>) -> usize {
    let rows = rows(world);
    let matters = |line: &Line<'_>| match line {
        Line::Step(step) => matches!(
            step.status,
            StepStatus::Running { .. } | StepStatus::Ended { outcome: StepOutcome::Failed { .. }, .. }
        ),
        Line::Group(..) | Line::Ahead(_) | Line::Statement(_) => false,
    };
    let next = || rows.iter().position(|line| matches!(line, Line::Ahead(_)));
    rows.iter().rposition(matters).or_else(next).unwrap_or(rows.len().saturating_sub(1))
}

fn running<'a>(scene: &Scene<'a>) -> Option<(&'a Job, Option<&'a Progress>)> {
    let open = scene
        .world
        .state
        .jobs
        .values()
        .rev()
        .find(|job| job.kind.worker() == WorkerId::Migrate && !job.is_over())?;
    Some((open, progress(scene, open.id)))
}

fn progress<'a>(scene: &Scene<'a>, job: JobId) -> Option<&'a Progress> {
    scene.world.live.progress.get(&job).map(|progress| &**progress)
}

/// What runs, and who runs it; else how the last one ended.
pub fn note(scene: &Scene<'_>) -> (String, Role) {
    if let Some((job, _)) = running(scene) {
        let (sign, word, role) = steps::status(job);
        return (format!("{sign} {word} {}", job.id), role);
    }
    let last = scene.world.state.last_job(|kind| kind.worker() == WorkerId::Migrate);
    if let Some(Outcome::Failed { .. }) = last.and_then(Job::outcome) {
        return ("✘ FAILED".into(), Role::Bad);
    }
    match last {
        Some(job) => {
            let (sign, word, _) = steps::status(job);
            let ago = steps::ended(job).map(|at| format!(", {} ago", age(scene.world.now - at)));
            let title = job.kind.title();
            (format!("{sign} {title} {} {word}{}", job.id, ago.unwrap_or_default()), Role::Muted)
        }
        None => ("nothing ran yet".into(), Role::Muted),
    }
}

/// A line for each migration, and what goes on under the one that runs.
pub fn brief(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let groups = groups(&scene.world);
    let pending = ahead::pending(&scene.world, &groups);
    if groups.is_empty() && pending.is_empty() {
        let row = match running(scene) {
            Some((job, _)) => {
                let words = format!("{} {} is asked for", job.kind.title(), job.id);
                Row::new().put(words, scene.of(Role::Muted))
            }
            None => ahead::nothing(scene),
        };
        row.draw(buf, area);
        return;
    }
    let room = usize::from(area.height);
    let whole = groups.iter().map(|(_, _, part)| part.len() + 2).sum::<usize>() <= room;
    let mut page: Vec<(Row<'_>, Option<&Progress>)> = Vec::new();
    // Where there is no room for all, what was begun last is seen before what is still ahead.
    let mut begun = 0;
    for (job, name, part) in groups {
        page.push((group_row(scene, job, name, part), None));
        if whole {
            page.extend(part.iter().map(|step| (steps::indented(step, scene.theme, scene.world.now), None)));
        }
        let active = part.iter().any(|step| matches!(step.status, StepStatus::Running { .. }));
        if active && let Some(progress) = progress(scene, job.id) {
            page.push((Row::new(), Some(progress)));
        }
        let failure = part.iter().find_map(|step| match &step.status {
            StepStatus::Ended { outcome: StepOutcome::Failed { failure }, .. } => Some(failure),
            _ => None,
        });
        if let Some(failure) = failure {
            page.push((Row::new().put(format!("    {}", failure.what), scene.of(Role::Bad)), None));
        }
        if part.iter().any(|step| !matches!(step.status, StepStatus::Waiting)) {
            begun = page.len();
        }
    }
    page.extend(pending.into_iter().map(|linted| (ahead::row(scene, linted), None)));
    let from = begun.saturating_sub(room);
    for ((row, progress), line) in page.iter().skip(from).zip(area.rows()) {
        match progress {
            Some(progress) => doing(scene, buf, line, progress),
            None => row.draw(buf, line),
        }
    }
}

fn group_row<'a>(scene: &Scene<'_>, job: &Job, name: &'a str, part: &[Step]) -> Row<'a> {
    let over = part.iter().filter(|step| matches!(step.status, StepStatus::Ended { .. })).count();
    let bad = part
        .iter()
        .any(|step| matches!(step.status, StepStatus::Ended { outcome: StepOutcome::Failed { .. }, .. }));
    let begun = part.iter().any(|step| !matches!(step.status, StepStatus::Waiting));
    let cut = part
        .iter()
        .any(|step| matches!(step.status, StepStatus::Ended { outcome: StepOutcome::NotRun { .. }, .. }));
    let (sign, role) = match (bad, over == part.len(), begun) {
        (true, ..) => ("✘", Role::Bad),
        (_, true, _) if cut => ("·", Role::Warn),
        (_, true, _) => ("✔", Role::Muted),
        (_, _, true) => ("▸", Role::Accent),
        _ => ("○", Role::Muted),
    };
    let done = part
        .iter()
        .filter(|step| {
            let StepStatus::Ended { outcome, .. } = &step.status else { return false };
            matches!(outcome, StepOutcome::Done { .. } | StepOutcome::Skipped { .. })
        })
        .count();
    let down = if leads_back(&job.kind) { " ↓ down" } else { "" };
    let text = if role == Role::Accent { Role::Title } else { role };
    let times = part.iter().filter_map(|step| match step.status {
        StepStatus::Ended { since: Some(since), at, .. } => Some((since, at)),
        StepStatus::Running { since } => Some((since, scene.world.now)),
        _ => None,
    });
    let (from, to) = times.fold((None, None), |(from, to), (a, b)| {
        (Some(from.unwrap_or(a).min(a)), Some(to.unwrap_or(b).max(b)))
    });
    let took = from.zip(to).map(|(from, to)| span(to - from)).unwrap_or_default();
    let worst = match job.outcome() {
        Some(Outcome::Succeeded { facts: Facts::Migrated { worst_wait_ms: Some(wait), .. }, .. }) => {
            format!("   waits ≤ {wait:.0} ms")
        }
        _ => rehearsed(scene, name).map_or_else(String::new, |words| format!("   {words}")),
    };
    let counts =
        (!leads_back(&job.kind) && done < part.len()).then(|| ahead::counts_of(scene, name)).flatten();
    let row = Row::new()
        .put(format!("{sign} "), scene.of(role))
        .column(&format!("{name}{down}"), 31, scene.of(text))
        .number(&format!("{done}/{} steps", part.len()), 12, scene.of(Role::Muted))
        .number(&took, 8, scene.of(Role::Muted))
        .put(worst, scene.of(Role::Muted));
    match counts {
        Some((words, role)) => row.put(format!("   {words}"), scene.of(role)),
        None => row,
    }
}

/// What the running statement does, in a line: a bar where the whole is known, then words.
fn doing(scene: &Scene<'_>, buf: &mut Buffer, area: Rect, progress: &Progress) {
    let indent = Rect { x: area.x + 4, width: area.width.saturating_sub(4), ..area };
    let mut words = area;
    if progress.total.is_some() {
        let wide = (indent.width / 4).min(24);
        bar(buf, Rect { width: wide, ..indent }, scene.theme, progress.done, progress.total);
        words = Rect { x: indent.x + wide + 1, width: indent.width.saturating_sub(wide + 1), ..area };
    } else {
        words = Rect { x: indent.x, width: indent.width, ..words };
    }
    let mut row = Row::new().put(progress.doing.as_str(), scene.of(Role::Text));
    if let More::Migrate(live) = &progress.more {
        row = row.put(canary(live), scene.of(Role::Muted));
    }
    row.draw(buf, words);
}

fn canary(live: &MigrateLive) -> String {
    let mut parts = Vec::new();
    parts.extend(live.canary_ms.map(|ms| format!("clients wait {ms:.0} ms")));
    parts.extend(live.worst_ms.map(|ms| format!("worst {ms:.0} ms")));
    parts.extend((live.queue > 0).then(|| format!("{} wait behind us", live.queue)));
    parts.extend((live.tries > 1).then(|| format!("try {}", live.tries)));
    parts.extend(live.wal.map(|bytes| format!("WAL {} MB", bytes / 1_000_000)));
    if parts.is_empty() { String::new() } else { format!("   {}", parts.join("  ")) }
}

/// The whole pane: the steps, what goes on now, and the statement under the cursor. Side by side where there is room.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let (words, role) = note(scene);
    let inner = screen::full(scene, buf, area, Pane::Migrations, words, role);
    let lines = rows(&scene.world);
    if lines.is_empty() {
        brief(scene, buf, inner);
        return;
    }
    let picked =
        scene.app.pick(Pane::Migrations).unwrap_or_else(|| current(&scene.world)).min(lines.len() - 1);
    let now = match running(scene) {
        Some((job, Some(progress))) => live::facts(scene, job, progress),
        _ => Vec::new(),
    };
    let wide = inner.width >= 110;
    let steps_wide = (inner.width * 9 / 20).max(53);
    let columns_of_detail = usize::from(if wide { inner.width - steps_wide - 2 } else { inner.width });
    let about = selected(scene, &lines[picked], columns_of_detail);
    let (list, detail) = if wide {
        let [list, _, detail] =
            Layout::horizontal([Constraint::Length(steps_wide), Constraint::Length(2), Constraint::Fill(1)])
                .areas(inner);
        (list, detail)
    } else {
        // What goes on comes whole; the statement has what the steps leave.
        let wanted = columns(now.len() + usize::from(!now.is_empty()) + about.len().min(4));
        let room = inner.height.saturating_sub(inner.height.min(5) + 1);
        let [list, _, detail] = Layout::vertical([
            Constraint::Fill(1),
            Constraint::Length(1),
            Constraint::Length(wanted.clamp(inner.height / 3, room.max(inner.height / 3))),
        ])
        .areas(inner);
        (list, detail)
    };
    let room = usize::from(list.height);
    let from = picked.saturating_sub(room / 2).min(lines.len().saturating_sub(room));
    for ((place, line), area) in lines.iter().enumerate().skip(from).zip(list.rows()) {
        if place == picked {
            buf.set_style(area, scene.of(Role::Selected));
        }
        match line {
            Line::Group(job, name, part) => group_row(scene, job, name, part).draw(buf, area),
            Line::Step(step) => ahead::beside(scene, step, steps::row(step, scene.theme, scene.world.now))
                .draw(buf, inward(area)),
            Line::Ahead(linted) => ahead::row(scene, linted).draw(buf, area),
            Line::Statement(judged) => ahead::statement(scene, judged).draw(buf, inward(area)),
        }
    }
    let gap = (!now.is_empty()).then(Row::new);
    for (row, line) in now.iter().chain(gap.as_ref()).chain(&about).zip(detail.rows()) {
        row.draw(buf, line);
    }
}

const fn inward(area: Rect) -> Rect {
    Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area }
}

/// What is selected: its words, how it ended, and its statement.
fn selected<'a>(scene: &Scene<'_>, line: &Line<'a>, width: usize) -> Vec<Row<'a>> {
    let mut page = Vec::new();
    let mut put = |words: &str, role: Role| {
        page.extend(wrap(words, width).into_iter().map(|line| Row::new().put(line, scene.of(role))));
    };
    match line {
        Line::Ahead(linted) => page.extend(ahead::about(scene, linted, width)),
        Line::Statement(judged) => page.extend(ahead::remarks(scene, judged, width)),
        Line::Group(job, name, _) => {
            let end = format!("{} {}", job.kind.title(), job.id);
            page.push(Row::new().put(*name, scene.of(Role::Title)).end(end, scene.of(Role::Muted)));
            if let Some(outcome) = job.outcome() {
                page.extend(ending(scene, outcome, width));
            }
        }
        Line::Step(step) => {
            put(&step.plan.name, Role::Title);
            if let Some(lock) = &step.plan.lock {
                put(&format!("asks for {lock}"), Role::Muted);
            }
            match &step.status {
                StepStatus::Ended { outcome: StepOutcome::Failed { failure }, .. } => {
                    // The server's detail, hint and place are lines of their own.
                    let mut what = failure.what.clone();
                    for part in ["detail: ", "hint: ", "where: "] {
                        what = what.replace(&format!("; {part}"), &format!("\n{part}"));
                    }
                    put(&what, Role::Bad);
                    put(&failure.state, Role::Text);
                    put(&format!("→ {}", failure.next), Role::Accent);
                }
                StepStatus::Ended { outcome: StepOutcome::Skipped { why }, .. } => {
                    put(&format!("not needed: {why}"), Role::Text);
                }
                StepStatus::Ended { outcome: StepOutcome::Done { note: Some(note) }, .. } => {
                    put(note, Role::Text);
                }
                StepStatus::Ended { outcome: StepOutcome::NotRun { because }, .. } => {
                    put(&format!("not run: {because}"), Role::Warn);
                }
                _ => {}
            }
            page.extend(ahead::still(scene, step, width));
            let sql = step.plan.detail.as_deref().unwrap_or("no text stands behind this step");
            page.extend(sql.lines().map(|line| Row::new().put(line, scene.of(Role::Muted))));
        }
    }
    page
}

/// How a job ended, in lines.
pub fn ending<'a>(scene: &Scene<'_>, outcome: &Outcome, width: usize) -> Vec<Row<'a>> {
    let lines = |text: &str, role: Role| -> Vec<Row<'a>> {
        wrap(text, width).into_iter().map(|line| Row::new().put(line, scene.of(role))).collect()
    };
    match outcome {
        Outcome::Succeeded { summary, .. } => lines(&format!("✔ {summary}"), Role::Text),
        Outcome::Cancelled { state } => lines(&format!("− cancelled: {state}"), Role::Warn),
        Outcome::Failed { failure } => {
            let mut page = lines(&format!("✘ {}", failure.what), Role::Bad);
            page.extend(lines(&failure.state, Role::Text));
            page.extend(lines(&format!("→ {}", failure.next), Role::Accent));
            page
        }
    }
}
