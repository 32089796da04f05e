//! The way out: the ladder with what each rung loses and takes, what was rehearsed, whether the guard is open.

use chrono::{DateTime, TimeDelta, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Pane, Scene};
use crate::plan::{Rung, RungKind};
use crate::run::job::JobKind;
use crate::run::live::Seen;
use crate::run::state::{Guard, State};
use crate::tui::screen;
use crate::tui::theme::Role;
use crate::tui::widgets::steps;
use crate::tui::widgets::text::{Row, age, hour, span, wrap};

/// Whether the key works.
pub fn note(scene: &Scene<'_>) -> (String, Role) {
    match &scene.world.state.guard {
        Guard::Closed => ("guard closed: A arms".into(), Role::Muted),
        Guard::Armed { by, at } => {
            (format!("ARMED by {} {}", by.name, hour(*at, scene.world.zone())), Role::Accent)
        }
    }
}

/// The last drill of a rung that ended well: how long it took, and when.
fn drilled(state: &State, rung: &Rung) -> Option<(TimeDelta, DateTime<Utc>)> {
    if rung.kind == RungKind::Database
        && let Some((at, migrations)) = state.rehearsed().filter(|(_, migrations)| !migrations.is_empty())
    {
        // The way back of every migration, on a clone; one that has none makes it no way back at all.
        let took = migrations.iter().map(|one| one.back_ms).sum::<Option<u64>>()?;
        return Some((TimeDelta::seconds(i64::try_from(took.div_ceil(1_000)).ok()?), at));
    }
    let order = rung.order;
    state.jobs.values().rev().find_map(|job| match job.kind {
        JobKind::Drill { rung, .. } if rung == order && job.succeeded() => {
            let at = steps::ended(job)?;
            Some((at - steps::began(job), at))
        }
        _ => None,
    })
}

/// How a rung stands, in a word.
fn stands(scene: &Scene<'_>, rung: &Rung) -> (String, Role) {
    let state = scene.world.state;
    let open = state.jobs.values().any(|job| {
        !job.is_over() && matches!(job.kind, JobKind::Rollback { rung: order, .. } if order == rung.order)
    });
    if open {
        ("running".into(), Role::Accent)
    } else if state.taken_back.contains(&rung.order) {
        ("TAKEN".into(), Role::Warn)
    } else {
        match rung.needs.filter(|needed| !state.taken_back.contains(needed)) {
            Some(needed) => (format!("after {needed}"), Role::Muted),
            None => ("ready".into(), Role::Text),
        }
    }
}

fn bound(rung: &Rung) -> String {
    TimeDelta::from_std(rung.bound).map(span).unwrap_or_default()
}

/// Below this width the plan's bound gives way: what a rung loses is never cut off for it.
const ROOMY: u16 = 90;

fn row<'a>(scene: &Scene<'_>, rung: &'a Rung, aimed: bool, width: u16) -> Row<'a> {
    let (words, role) = stands(scene, rung);
    let armed = scene.world.state.guard != Guard::Closed;
    let (key, key_role) = match (aimed, armed) {
        (true, true) => ("R ▸ ", Role::Accent),
        (true, false) => ("  ▸ ", Role::Muted),
        _ => ("    ", Role::Muted),
    };
    let drilled = drilled(scene.world.state, rung).map(|(took, _)| span(took));
    let (time, time_role) = match (drilled, width >= ROOMY) {
        (Some(took), true) => (format!("rehearsed {took}"), Role::Text),
        (Some(took), false) => (format!("in {took}"), Role::Text),
        (None, true) => ("never rehearsed".into(), Role::Unknown),
        (None, false) => ("no drill".into(), Role::Unknown),
    };
    let loses = if rung.kind.loses_data() && aimed { Role::Warn } else { Role::Text };
    let row = Row::new().put(key, scene.of(key_role));
    let name = format!("{} {}", rung.order, rung.title);
    let row = if width >= ROOMY {
        row.column(&name, 20, scene.of(Role::Text))
            .column(&words, 9, scene.of(role))
            .column(&time, 17, scene.of(time_role))
            .column(&format!("< {}", bound(rung)), 8, scene.of(Role::Muted))
    } else {
        let row = row.column(&name, 18, scene.of(Role::Text)).column(&words, 8, scene.of(role));
        row.column(&time, 9, scene.of(time_role))
    };
    row.put(format!("loses {}", rung.loses), scene.of(loses))
}

/// A line for each rung.
pub fn brief(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let Some(plan) = scene.world.plan() else { return };
    let aim = scene.app.rung(&scene.world).map(|rung| rung.order);
    for (rung, line) in plan.ladder.iter().zip(area.rows()) {
        row(scene, rung, aim == Some(rung.order), area.width).draw(buf, line);
    }
}

/// The rung that the key means, alone.
pub fn one(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    match scene.app.rung(&scene.world) {
        Some(rung) => row(scene, rung, true, area.width).draw(buf, area),
        None => Row::new().put("everything is taken back", scene.of(Role::Muted)).draw(buf, area),
    }
}

/// Words under a rung.
fn below<'a>(scene: &Scene<'_>, words: &str, width: usize, role: Role) -> Vec<(Row<'a>, bool)> {
    wrap(words, width.saturating_sub(6))
        .into_iter()
        .map(|line| (Row::new().put("      ", scene.of(role)).put(line, scene.of(role)), false))
        .collect()
}

/// The whole pane.
pub fn draw(scene: &Scene<'_>, buf: &mut Buffer, area: Rect) {
    let (words, role) = note(scene);
    let inner = screen::full(scene, buf, area, Pane::WayOut, words, role);
    let Some(plan) = scene.world.plan() else { return };
    let aim = scene.app.rung(&scene.world).map(|rung| rung.order);
    let width = usize::from(inner.width);
    let mut page: Vec<(Row<'_>, bool)> = Vec::new();
    for rung in &plan.ladder {
        let aimed = aim == Some(rung.order);
        page.push((row(scene, rung, aimed, inner.width), aimed));
        let when = match drilled(scene.world.state, rung) {
            Some((_, at)) => format!("rehearsed {} ago", age(scene.world.now - at)),
            None => "no drill of it ended well: how long it takes is the plan's guess".into(),
        };
        let confirm = match &rung.confirm {
            Some(word) => format!("asks for {word:?} to be typed"),
            None => "three seconds to stop it, no typing".into(),
        };
        // What it loses stands whole below, where the line had no room for it.
        let loses = format!("loses {}", rung.loses);
        if row(scene, rung, aimed, inner.width).width() > width {
            page.extend(below(scene, &loses, width, Role::Text));
        }
        page.extend(below(scene, &format!("{when}; {confirm}"), width, Role::Muted));
        if rung.kind.loses_data()
            && let Some(outlook) = &scene.world.live.outlook
        {
            let role = if matches!(outlook.seen, Seen::Counted { .. }) { Role::Warn } else { Role::Unknown };
            let words = format!("{} ago: {}", age(scene.world.now - outlook.at), outlook.words());
            page.extend(below(scene, &words, width, role));
        }
    }
    let taken =
        scene.world.state.last_job(|kind| matches!(kind, JobKind::Rollback { .. } | JobKind::Drill { .. }));
    if let Some(job) = taken {
        let (sign, word, role) = steps::status(job);
        page.push((Row::new(), false));
        let took = steps::ended(job).unwrap_or(scene.world.now) - job.requested;
        let title = Row::new()
            .put(format!("{} {} ", job.kind.title(), job.id), scene.of(Role::Title))
            .put(format!("by {}", job.by.name), scene.of(Role::Muted))
            .end(format!("{sign} {word}  {}", span(took)), scene.of(role));
        page.push((title, false));
        page.extend(job.steps.iter().map(|step| (steps::row(step, scene.theme, scene.world.now), false)));
        if let Some(outcome) = job.outcome() {
            page.extend(super::migrations::ending(scene, outcome, width).into_iter().map(|row| (row, false)));
        }
    }
    let marks = &scene.world.state.marks;
    let times = [
        ("detected", marks.fault.or(marks.bad_since), marks.detected),
        ("decided", marks.detected, marks.decided),
        ("recovered", marks.decided, marks.recovered),
    ];
    let times: Vec<String> = times
        .iter()
        .filter_map(|(word, from, to)| Some(format!("{word} in {}", span((*to)? - (*from)?))))
        .collect();
    if !times.is_empty() {
        page.push((Row::new(), false));
        page.extend(
            wrap(&times.join("   "), width)
                .into_iter()
                .map(|line| (Row::new().put(line, scene.of(Role::Text)), false)),
        );
    }
    for ((row, aimed), line) in page.iter().zip(inner.rows()) {
        if *aimed {
            buf.set_style(line, scene.of(Role::Selected));
        }
        row.draw(buf, line);
    }
}
