//! What a statement works on the tables that it names, and under which lock: the ground of the rule about locks that are held
//! through long work, and of every forecast. From its words alone.

use super::squawk::unsteady_defaults;
use super::work::Work;
use crate::workers::migrate::classify::{Built, Kind, LockMode};
use crate::workers::migrate::deed::{Action, Column, Constraint, Deed, Demand, Looks, write};
use crate::workers::migrate::names::canonical;
use crate::workers::migrate::split::Statement;

/// A piece of work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effort {
    /// The table whose rows it goes through, with its schema.
    pub(crate) table: String,
    /// The lock that it needs on that table.
    pub(crate) mode: LockMode,
    /// What it does.
    pub(crate) work: Work,
}

/// Every piece of work of a statement; none where it only changes the catalogue.
pub(crate) fn efforts(statement: &Statement, actions: &[Action]) -> Vec<Effort> {
    let on = |table: &str, mode, work| vec![Effort { table: canonical(table), mode, work }];
    match &statement.shape.kind {
        Kind::AlterTable { table, .. } => {
            let unsteady = unsteady_defaults(&statement.text);
            let found = actions.iter().filter_map(|action| alter(action, &unsteady));
            found.map(|(mode, work)| Effort { table: canonical(table), mode, work }).collect()
        }
        Kind::CreateIndex { table, built: Built::Plainly, .. } => on(table, LockMode::Share, Work::Build),
        Kind::Write { .. } => write(&statement.text)
            .filter(|write| !write.narrowed)
            .map_or_else(Vec::new, |write| on(&write.table, LockMode::RowExclusive, Work::Writes)),
        _ => Vec::new(),
    }
}

fn alter(action: &Action, unsteady: &[std::ops::Range<usize>]) -> Option<(LockMode, Work)> {
    const ALL: LockMode = LockMode::AccessExclusive;
    match &action.deed {
        Deed::AddColumn(column) if rewrites(column, unsteady) => Some((ALL, Work::Rewrite)),
        Deed::AddColumn(column) => column.constraints.iter().find_map(|(_, one)| demands(one)),
        Deed::AddConstraint(constraint) => demands(constraint),
        Deed::Validate { .. } => Some((LockMode::ShareUpdateExclusive, Work::Scan)),
        Deed::SetNotNull { .. } => Some((ALL, Work::Scan)),
        Deed::SetType { .. } => Some((ALL, Work::Rewrite)),
        _ => None,
    }
}

/// Whether adding the column writes every row anew.
pub(crate) fn rewrites(column: &Column, unsteady: &[std::ops::Range<usize>]) -> bool {
    let worked_out = column
        .default
        .as_ref()
        .is_some_and(|(_, at)| unsteady.iter().any(|found| found.start < at.end && at.start < found.end));
    column.generated || column.is_serial() || worked_out
}

fn demands(constraint: &Constraint) -> Option<(LockMode, Work)> {
    if constraint.looks == Looks::Later {
        return None;
    }
    match constraint.kind {
        Demand::Check { .. } | Demand::NotNullCheck { .. } => Some((LockMode::AccessExclusive, Work::Scan)),
        Demand::Reference { .. } => Some((LockMode::ShareRowExclusive, Work::Keys)),
        Demand::Unique { .. } | Demand::Primary { .. } | Demand::Other => {
            Some((LockMode::AccessExclusive, Work::Build))
        }
        Demand::UsingIndex => None,
    }
}
