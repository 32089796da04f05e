//! What a leg of a rehearsal has proven: the state after it beside the state that it should lead to, a mark for the migration, and
//! what is said of it.

use super::legs::{Leg, down_file};
use super::record::Passed;
use super::recorded::Undone;
use super::rehearse::Walk;
use super::report::Weight;
use super::states::{Differs, State, compare};
use crate::run::job::Failure;
use crate::workers::migrate::files::Migration;
use crate::workers::migrate::watch::Report;

impl Walk<'_> {
    pub(super) fn went_there(
        &mut self,
        at: usize,
        migration: &Migration,
        report: &Report,
        now: State,
    ) -> String {
        let changes = self.states.last().map(|before| compare(before, &now)).unwrap_or_default();
        if let Some(mark) = self.record.marks.get_mut(at) {
            mark.passed = Passed::There;
            mark.worst_wait_ms = report.worst_wait_ms;
        }
        self.states.push(now);
        let note = format!(
            "{} steps done, {} not needed; {} changes of the schema",
            report.done,
            report.skipped,
            changes.schema.len()
        );
        self.dry.seen(format!("{} there: {note}", migration.title()));
        for change in changes.schema {
            self.dry.seen(format!("  {change}"));
        }
        note
    }

    pub(super) fn came_back(
        &mut self,
        at: usize,
        migration: &Migration,
        now: &State,
    ) -> Result<String, Failure> {
        let Some(before) = self.states.get(at) else { return Ok("nothing to compare with".into()) };
        let differs = compare(before, now);
        if differs.is_empty() {
            if let Some(mark) = self.record.marks.get_mut(at) {
                mark.passed = Passed::ThereAndBack;
            }
            let note = format!("schema and {} rows are as before", before.rows());
            self.dry.seen(format!("{} back: {note}", migration.title()));
            return Ok(note);
        }
        let what = format!("{} does not lead back to what was before", down_file(migration));
        Err(astray(&what, &differs, "correct the down file, then rehearse again"))
    }

    pub(super) fn went_again(&mut self, now: &State) -> Result<String, Failure> {
        let Some(first) = self.states.last() else { return Ok("nothing to compare with".into()) };
        let differs = compare(first, now);
        if differs.is_empty() {
            let note = "the same schema and rows as the first time".to_owned();
            self.dry.seen(format!("there again: {note}"));
            return Ok(note);
        }
        let next = "find out what the way back left behind, then rehearse again";
        Err(astray("there again is not as it was the first time", &differs, next))
    }

    /// A leg that failed takes its mark with it.
    pub(super) fn failed(&mut self, leg: Leg<'_>, failure: Failure) {
        // What the engine says begins with the file and the line, wherever it knows them.
        let said = failure.what.split(": ").find(|part| part.contains(".sql") && !part.contains(' '));
        let place = said.map_or_else(
            || match leg {
                Leg::There(_, migration) => migration.up.file.to_string(),
                Leg::Back(_, migration) => down_file(migration),
                Leg::Undo(_, migration) => migration.title(),
                Leg::Again => self.set.origin.to_string(),
            },
            str::to_owned,
        );
        let passed = || Passed::Failed { what: failure.what.clone() };
        match leg {
            Leg::There(at, _) | Leg::Back(at, _) => {
                if let Some(mark) = self.record.marks.get_mut(at) {
                    mark.passed = passed();
                }
            }
            Leg::Again => self.record.marks.iter_mut().for_each(|mark| mark.passed = passed()),
            Leg::Undo(at, _) => {
                if let Some(mark) = self.record.marks.get_mut(at)
                    && matches!(mark.inverse, Undone::Back { .. })
                {
                    mark.inverse = Undone::Failed { what: failure.what.clone() };
                }
                // The files have passed; what takes their place where there is no down file has not.
                self.dry.find(Weight::Warns, place, failure.what, failure.next);
                return;
            }
        }
        self.dry.find(Weight::Fails, place, failure.what, failure.next);
    }

    pub(super) fn undone(
        &mut self,
        at: usize,
        migration: &Migration,
        now: &State,
    ) -> Result<String, Failure> {
        let Some(before) = self.states.get(at) else { return Ok("nothing to compare with".into()) };
        let whole = matches!(self.record.marks.get(at).map(|mark| &mark.inverse), Some(Undone::Back { .. }));
        let differs = compare(before, now);
        if !whole {
            return Ok("its record is not whole; taken back by its down file".into());
        }
        if differs.is_empty() {
            let note = format!("schema and {} rows are as before", before.rows());
            self.dry.seen(format!("{} back by its record: {note}", migration.title()));
            return Ok(note);
        }
        let what =
            format!("the recorded inverse of {} does not lead back to what was before", migration.title());
        let next = "rely on the down file, or on the backup; the recorded inverse is no rollback";
        Err(astray(&what, &differs, next))
    }
}

/// A leg that led elsewhere, and how that differs.
fn astray(what: &str, differs: &Differs, next: &str) -> Failure {
    Failure {
        what: format!("{what}: {}", differs.lines().join("; ")),
        state: "this was on a clone; the live database was only read".into(),
        next: next.into(),
    }
}
