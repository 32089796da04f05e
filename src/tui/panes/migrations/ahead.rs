//! What is still to be run, before anybody runs it: per migration how many of its statements stop clients or break something, and
//! beside each statement the first of it in words. What nobody has judged is said to be unknown.

use super::super::{Scene, World};
use super::leads_back;
use crate::run::Job;
use crate::run::job::{Step, StepOutcome, StepStatus};
use crate::run::live::{Advice, Judged, Linted, Said, Weight};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, age, wrap};

/// The migrations that no job has planned, or that the last one took back.
pub(super) fn pending<'a>(world: &World<'a>, groups: &[(&Job, &str, &[Step])]) -> Vec<&'a Linted> {
    let is_ahead = |linted: &&Linted| {
        let of = groups.iter().filter(|(_, name, _)| *name == linted.title).map(|(job, ..)| *job);
        of.max_by_key(|job| job.id).is_none_or(|job| leads_back(&job.kind) && job.is_over())
    };
    let advice: Option<&'a Advice> = world.live.advice.as_deref();
    advice.map_or(&[][..], Advice::migrations).iter().filter(is_ahead).collect()
}

/// The statement behind a step, where it was judged.
fn of<'a>(world: &World<'a>, step: &Step) -> Option<&'a Judged> {
    let advice: &'a Advice = world.live.advice.as_deref()?;
    let title = step.plan.group.as_deref()?;
    let linted = advice.migrations().iter().find(|linted| linted.title == title)?;
    linted.statements.iter().find(|judged| judged.name == step.plan.name)
}

const fn is_ahead(step: &Step) -> bool {
    matches!(step.status, StepStatus::Waiting | StepStatus::Ended { outcome: StepOutcome::NotRun { .. }, .. })
}

/// A planned step with what is said of its statement, while it is still to be run.
pub(super) fn beside<'a>(scene: &Scene<'a>, step: &Step, row: Row<'a>) -> Row<'a> {
    match of(&scene.world, step).filter(|_| is_ahead(step)) {
        Some(judged) => worst(scene, judged, row),
        None => row,
    }
}

/// A planned step under the cursor, while it is still to be run.
pub(super) fn still<'a>(scene: &Scene<'_>, step: &Step, width: usize) -> Vec<Row<'a>> {
    let advice = scene.world.live.advice.as_deref().map(|advice| &advice.said);
    match (is_ahead(step), advice) {
        (false, _) => Vec::new(),
        (true, Some(Said::Linted { .. })) => {
            of(&scene.world, step).map(|judged| reasons(scene, judged, width)).unwrap_or_default()
        }
        (true, None) => lines(scene, "what it stops is unknown: not linted yet", width, Role::Unknown),
        (true, Some(Said::Unknown { why })) => {
            lines(scene, &format!("what it stops is unknown: {why}"), width, Role::Unknown)
        }
    }
}

fn worst<'a>(scene: &Scene<'_>, judged: &'a Judged, row: Row<'a>) -> Row<'a> {
    let Some((first, more)) = judged.worst() else { return row };
    let row = row.put(format!("  {} ", first.weight.word()), scene.of(Role::Warn));
    let row = row.put(first.what.as_str(), scene.of(Role::Text));
    if more > 0 { row.end(format!("+{more}"), scene.of(Role::Warn)) } else { row }
}

/// "2 STOPS 1 BREAKS".
fn counts(linted: &Linted) -> (String, Role) {
    let counts = [Weight::Stops, Weight::Breaks].map(|weight| (linted.count(weight), weight.word()));
    let words: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if words.is_empty() {
        ("stops and breaks nothing".into(), Role::Muted)
    } else {
        (words.join(" "), Role::Warn)
    }
}

/// The same, of a migration that a job has planned and that is still ahead.
pub(super) fn counts_of(scene: &Scene<'_>, title: &str) -> Option<(String, Role)> {
    let advice = scene.world.live.advice.as_deref()?;
    advice.migrations().iter().find(|linted| linted.title == title).map(counts)
}

/// A migration in a line.
pub(super) fn row<'a>(scene: &Scene<'_>, linted: &'a Linted) -> Row<'a> {
    let (words, role) = counts(linted);
    let row = Row::new()
        .put("○ ", scene.of(Role::Muted))
        .column(&linted.title, 30, scene.of(Role::Muted))
        .put(format!("  {words}"), scene.of(role))
        .put(format!("  {} steps", linted.statements.len()), scene.of(Role::Muted));
    match super::rehearsed(scene, &linted.title) {
        Some(words) => row.put(format!("  {words}"), scene.of(Role::Muted)),
        None => row,
    }
}

/// A statement in a line.
pub(super) fn statement<'a>(scene: &Scene<'_>, judged: &'a Judged) -> Row<'a> {
    let row = Row::new().put("○ ", scene.of(Role::Muted)).put(&*judged.name, scene.of(Role::Muted));
    worst(scene, judged, row)
}

/// A migration under the cursor: when it was judged, and knowing what.
pub(super) fn about<'a>(scene: &Scene<'_>, linted: &'a Linted, width: usize) -> Vec<Row<'a>> {
    let (words, role) = counts(linted);
    let title = linted.title.as_str();
    let mut page =
        vec![Row::new().put(title, scene.of(Role::Title)).end("not run yet", scene.of(Role::Muted))];
    page.push(Row::new().put(words, scene.of(role)));
    if let Some(Advice { at, said: Said::Linted { knowing, .. } }) = scene.world.live.advice.as_deref() {
        let ago = age(scene.world.now - *at);
        page.extend(lines(scene, &format!("judged {ago} ago by {knowing}"), width, Role::Muted));
    }
    page
}

/// A statement under the cursor: all that is said of it, then its text.
pub(super) fn remarks<'a>(scene: &Scene<'_>, judged: &'a Judged, width: usize) -> Vec<Row<'a>> {
    let mut page = lines(scene, &judged.name, width, Role::Title);
    page.extend(reasons(scene, judged, width));
    page.extend(judged.sql.lines().map(|line| Row::new().put(line, scene.of(Role::Muted))));
    page
}

/// All that is said of a statement.
fn reasons<'a>(scene: &Scene<'_>, judged: &Judged, width: usize) -> Vec<Row<'a>> {
    let mut page = Vec::new();
    for remark in &judged.remarks {
        let role = if remark.weight.is_no_go() { Role::Warn } else { Role::Text };
        page.extend(lines(scene, &format!("{} {}", remark.weight.word(), remark.what), width, role));
        page.extend(lines(scene, &format!("safe: {}", remark.safe), width, Role::Text));
    }
    page
}

/// Where nothing ran and nothing is known to be ahead.
pub(super) fn nothing<'a>(scene: &Scene<'_>) -> Row<'a> {
    let ran = Row::new().put("none ran yet", scene.of(Role::Muted));
    match scene.world.live.advice.as_deref().map(|advice| &advice.said) {
        None => ran.put("; what they stop is unknown: not linted yet", scene.of(Role::Unknown)),
        Some(Said::Unknown { why }) => {
            ran.put(format!("; what they stop is unknown: {why}"), scene.of(Role::Unknown))
        }
        Some(Said::Linted { .. }) => ran.put(", and none is still to be run", scene.of(Role::Muted)),
    }
}

fn lines<'a>(scene: &Scene<'_>, text: &str, width: usize, role: Role) -> Vec<Row<'a>> {
    wrap(text, width).into_iter().map(|line| Row::new().put(line, scene.of(role))).collect()
}
