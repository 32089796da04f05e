//! The legs of a rehearsal: every migration there, back by its down file, all there again, and back once more by what was recorded of
//! it, for a way back counts only where it was gone.

use super::report::Level;
use crate::run::job::StepPlan;
use crate::workers::migrate::files::Migration;

/// One leg of the way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leg<'a> {
    There(usize, &'a Migration),
    Back(usize, &'a Migration),
    Again,
    /// Back by the recorded inverse.
    Undo(usize, &'a Migration),
}

/// There one by one; back as far as there are ways back; there again; and back as it was recorded.
pub(super) fn legs<'a>(pending: &[&'a Migration], level: Level) -> Vec<Leg<'a>> {
    let mut legs: Vec<Leg<'_>> =
        pending.iter().copied().enumerate().map(|(at, migration)| Leg::There(at, migration)).collect();
    if level == Level::Rehearsed {
        let back =
            pending.iter().copied().enumerate().rev().take_while(|(_, migration)| migration.down.is_some());
        let back: Vec<Leg<'_>> = back.map(|(at, migration)| Leg::Back(at, migration)).collect();
        if !back.is_empty() {
            legs.extend(back);
            legs.push(Leg::Again);
        }
        legs.extend(
            pending.iter().copied().enumerate().rev().map(|(at, migration)| Leg::Undo(at, migration)),
        );
    }
    legs
}

impl Leg<'_> {
    pub(super) fn plan(&self) -> StepPlan {
        let (name, detail) = match self {
            Self::There(_, migration) => {
                let file = &migration.up.file;
                (
                    format!("{} there", migration.title()),
                    format!("{file} runs on the clone, statement by statement, its checks before and after"),
                )
            }
            Self::Back(_, migration) => (
                format!("{} back", migration.title()),
                format!("{} runs; then schema and rows are compared with before", down_file(migration)),
            ),
            Self::Again => (
                "all there again".to_owned(),
                "every up file once more; then schema and rows are compared with the first time".to_owned(),
            ),
            Self::Undo(_, migration) => (
                format!("{} back by its record", migration.title()),
                "what was recorded of it is undone; then schema and rows are compared with before".to_owned(),
            ),
        };
        StepPlan {
            name: name.into(),
            detail: Some(detail.into()),
            group: Some("rehearsal on a clone".into()),
            ..StepPlan::default()
        }
    }

    pub(super) const fn way(&self) -> &'static str {
        match self {
            Self::There(..) => "up",
            Self::Back(..) => "down",
            Self::Again => "up again",
            Self::Undo(..) => "inverse",
        }
    }
}

/// The file of its way back, for messages.
pub(super) fn down_file(migration: &Migration) -> String {
    migration.down.as_ref().map_or_else(|| migration.title(), |down| down.file.to_string())
}
