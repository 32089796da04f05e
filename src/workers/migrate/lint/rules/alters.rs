//! ALTER TABLE: scans that hide in a column's definition, a NOT NULL that loses its proof, locks asked for one by one.

use crate::workers::migrate::classify::LockMode;
use crate::workers::migrate::deed::{Deed, Demand, Looks};
use crate::workers::migrate::lint::finding::Severity;
use crate::workers::migrate::lint::known::Weight;
use crate::workers::migrate::lint::note::{Note, Said};
use crate::workers::migrate::lint::scene::{Line, Page, Scene};
use crate::workers::migrate::lint::work::Work;
use crate::workers::migrate::names::shown;

/// ADD COLUMN … CHECK looks at every row, as ADD CONSTRAINT does.
pub(super) fn checks_in_columns(_: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in page.lines.iter().filter(|line| line.is_alter()) {
        let Some(table) = line.table() else { continue };
        for action in &line.actions {
            let Deed::AddColumn(column) = &action.deed else { continue };
            for (at, constraint) in &column.constraints {
                if !matches!(constraint.kind, Demand::Check { .. } | Demand::NotNullCheck { .. })
                    || constraint.looks == Looks::Later
                {
                    continue;
                }
                let said = Said {
                    rule: "check-in-column",
                    severity: Severity::Stops,
                    weight: Weight::Load(Work::Scan),
                    tables: vec![table.clone()],
                    what: format!(
                        "everybody who uses {}, readers too, waits while each row is looked at for the check of {}",
                        shown(&table),
                        column.name
                    ),
                    safe: "ADD CONSTRAINT … CHECK … NOT VALID in the same ALTER, then VALIDATE CONSTRAINT in a statement of its own"
                        .into(),
                };
                notes.push(said.at(page, line, at.start));
            }
        }
    }
    notes
}

/// DROP CONSTRAINT runs before SET NOT NULL, whatever their order in the text, so the check is gone when its proof is wanted.
pub(super) fn not_null_with_drop(_: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in page.lines.iter().filter(|line| line.is_alter()) {
        let Some(table) = line.table() else { continue };
        let drops = line.actions.iter().any(|action| matches!(action.deed, Deed::DropConstraint { .. }));
        let sets = line.actions.iter().find(|action| matches!(action.deed, Deed::SetNotNull { .. }));
        if let (true, Some(set)) = (drops, sets) {
            let said = Said {
                rule: "not-null-with-drop",
                severity: Severity::Stops,
                weight: Weight::Load(Work::Scan),
                tables: vec![table.clone()],
                what: format!(
                    "the constraint is dropped first, and with it the proof: everybody who uses {}, readers too, waits while \
                     each row is looked at",
                    shown(&table)
                ),
                safe: "SET NOT NULL in one ALTER, DROP CONSTRAINT in the next".into(),
            };
            notes.push(said.at(page, line, set.at.start));
        }
    }
    notes
}

/// ALTERs of one table, one after the other, each with a request of its own for the whole table.
pub(super) fn several_alters(_: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut first: Option<&Line<'_>> = None;
    let mut count = 0;
    for line in &page.lines {
        let joins = line.is_alter()
            && line.statement.shape.needs.first().is_some_and(|need| need.mode == LockMode::AccessExclusive)
            && line.actions.iter().all(|action| could_join(&action.deed));
        let same = first.is_some_and(|first| first.table() == line.table());
        if joins && same {
            count += 1;
            continue;
        }
        notes.extend(told(page, first, count));
        (first, count) = if joins { (Some(line), 1) } else { (None, 0) };
    }
    notes.extend(told(page, first, count));
    notes
}

/// A drop of a check must not join the NOT NULL that it proves, nor a type that views depend on.
fn could_join(deed: &Deed) -> bool {
    matches!(deed, Deed::AddColumn(_) | Deed::SetDefault)
        || matches!(deed, Deed::AddConstraint(it) if it.looks == Looks::Later)
}

fn told(page: &Page<'_>, first: Option<&Line<'_>>, count: u32) -> Option<Note> {
    let line = first?;
    let table = line.table()?;
    let said = Said {
        rule: "several-alters",
        severity: Severity::Queues,
        weight: Weight::Load(Work::None),
        what: format!(
            "{count} ALTERs ask for the whole of {} one after the other, where one would do",
            shown(&table)
        ),
        tables: vec![table],
        safe: "one ALTER TABLE with all of these actions".into(),
    };
    (count > 1).then(|| said.at(page, line, 0))
}
