//! The steps of a job: a sign, a name, how long it took, what came of it.

use chrono::{DateTime, Utc};
use ratatui::style::Style;

use super::text::{Row, span};
use crate::run::job::{Job, JobStatus, Outcome, Step, StepOutcome, StepStatus};
use crate::tui::theme::{Role, Theme};

/// A step's sign and its role.
pub const fn sign(step: &Step) -> (&'static str, Role) {
    match &step.status {
        StepStatus::Waiting => ("○", Role::Muted),
        StepStatus::Running { .. } => ("▸", Role::Accent),
        StepStatus::Ended { outcome, .. } => match outcome {
            StepOutcome::Done { .. } => ("✔", Role::Muted),
            StepOutcome::Skipped { .. } => ("−", Role::Muted),
            StepOutcome::Failed { .. } => ("✘", Role::Bad),
            StepOutcome::NotRun { .. } => ("·", Role::Warn),
        },
    }
}

/// A step in a line, under the group that it belongs to.
pub fn indented<'a>(step: &'a Step, theme: &Theme, now: DateTime<Utc>) -> Row<'a> {
    told(Row::new().put("    ", Style::new()), step, theme, now)
}

/// A step in a line.
pub fn row<'a>(step: &'a Step, theme: &Theme, now: DateTime<Utc>) -> Row<'a> {
    told(Row::new(), step, theme, now)
}

fn told<'a>(row: Row<'a>, step: &'a Step, theme: &Theme, now: DateTime<Utc>) -> Row<'a> {
    let (mark, role) = sign(step);
    let text = match &step.status {
        StepStatus::Running { .. } => Role::Text,
        StepStatus::Ended { outcome: StepOutcome::Failed { .. }, .. } => Role::Bad,
        _ => Role::Muted,
    };
    let row = row.put(format!("{mark} "), theme.of(role)).put(&*step.plan.name, theme.of(text));
    let (note, took) = match &step.status {
        StepStatus::Waiting => (None, None),
        StepStatus::Running { since } => (None, Some(now - *since)),
        StepStatus::Ended { since, at, outcome } => {
            let note = match outcome {
                StepOutcome::Done { note } => note.as_deref(),
                StepOutcome::Skipped { why } => Some(why.as_str()),
                StepOutcome::Failed { failure } => Some(failure.what.as_str()),
                StepOutcome::NotRun { because } => Some(because.as_str()),
            };
            (note, since.map(|since| *at - since))
        }
    };
    let row = match note {
        Some(note) => row.put("  ", Style::new()).put(note, theme.of(Role::Muted)),
        None => row,
    };
    match took {
        Some(took) => row.end(span(took), theme.of(Role::Muted)),
        None => row,
    }
}

/// How a job stands, in a word, with its sign and role.
pub fn status(job: &Job) -> (&'static str, &'static str, Role) {
    match &job.status {
        JobStatus::Requested => ("○", "asked for", Role::Accent),
        JobStatus::Running(_) if job.question().is_some() => ("?", "asks", Role::Warn),
        JobStatus::Running(_) => ("▸", "running", Role::Accent),
        JobStatus::Paused(_) => ("‖", "paused", Role::Warn),
        JobStatus::Cancelling(_) => ("◂", "giving up", Role::Warn),
        JobStatus::Ended { outcome, .. } => match outcome {
            Outcome::Succeeded { .. } => ("✔", "done", Role::Ok),
            Outcome::Failed { .. } => ("✘", "FAILED", Role::Bad),
            Outcome::Cancelled { .. } => ("−", "cancelled", Role::Warn),
        },
    }
}

/// When work on a job began: its first step, or else the request.
pub fn began(job: &Job) -> DateTime<Utc> {
    let first = job.steps.iter().filter_map(|step| match step.status {
        StepStatus::Running { since } => Some(since),
        StepStatus::Ended { since, .. } => since,
        StepStatus::Waiting => None,
    });
    first.min().unwrap_or(job.requested)
}

/// When a job ended, if it did.
pub const fn ended(job: &Job) -> Option<DateTime<Utc>> {
    match job.status {
        JobStatus::Ended { at, .. } => Some(at),
        _ => None,
    }
}
