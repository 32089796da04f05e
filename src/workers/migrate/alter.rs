//! What an ALTER TABLE locks, adds and validates, from its parsed actions. The strongest action decides, as in the server.

use std::sync::Arc;

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{AlterTableAction, AstNode, Stmt};

use super::classify::{Clause, Kind, LockMode, Need, Shape, Transaction, referenced};
use super::cursor::Cursor;
use super::split::tokens;

/// A column that an ALTER TABLE adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addition {
    /// Its name, as written.
    pub(crate) column: Arc<str>,
    /// Name, type and constraints, as CREATE TABLE would take them.
    pub(crate) definition: Arc<str>,
    /// Whether IF NOT EXISTS stands there.
    pub(crate) exists: Clause,
}

/// Fills `shape` from an ALTER TABLE whose first two words are read already.
pub(crate) fn alter_table(shape: &mut Shape, mut at: Cursor<'_>, text: &str) {
    at.eat(&["if", "exists"]);
    at.eat(&["only"]);
    let table = at.name().unwrap_or_default();
    let mut additions = Vec::new();
    let mut validates = Vec::new();
    let mut mode = None;
    let mut actions = 0;

    let parse = SourceFile::parse(text);
    let stmt = parse.syntax_node().children().find_map(Stmt::cast);
    if let Some(Stmt::AlterTable(alter)) = stmt {
        for action in alter.actions() {
            actions += 1;
            let words = tokens(action.syntax());
            let mut at = Cursor::new(&words);
            let asks = match &action {
                AlterTableAction::ValidateConstraint(_) => {
                    at.eat(&["validate", "constraint"]);
                    validates.extend(at.name());
                    LockMode::ShareUpdateExclusive
                }
                AlterTableAction::AddConstraint(_) => {
                    if words.iter().any(|word| word.is("foreign")) {
                        LockMode::ShareRowExclusive
                    } else {
                        LockMode::AccessExclusive
                    }
                }
                AlterTableAction::AddColumn(_) => {
                    additions.extend(addition(at, &action.syntax().text().to_string()));
                    LockMode::AccessExclusive
                }
                AlterTableAction::EnableTrigger(_)
                | AlterTableAction::DisableTrigger(_)
                | AlterTableAction::EnableAlwaysTrigger(_)
                | AlterTableAction::EnableReplicaTrigger(_) => LockMode::ShareRowExclusive,
                AlterTableAction::SetWithoutCluster(_)
                | AlterTableAction::ClusterOn(_)
                | AlterTableAction::AttachPartition(_)
                | AlterTableAction::SetOptions(_)
                | AlterTableAction::ResetOptions(_) => LockMode::ShareUpdateExclusive,
                AlterTableAction::DetachPartition(_) if words.iter().any(|word| word.is("concurrently")) => {
                    shape.transaction = Transaction::Never;
                    LockMode::ShareUpdateExclusive
                }
                _ => LockMode::AccessExclusive,
            };
            mode = mode.max(Some(asks));
            for other in referenced(&words) {
                if other != table {
                    shape.needs.push(Need { relation: other, mode: LockMode::ShareRowExclusive });
                }
            }
        }
    }
    let mode = mode.unwrap_or(LockMode::AccessExclusive);
    shape.needs.insert(0, Need { relation: table.clone(), mode });
    shape.kind = Kind::AlterTable { table, additions, validates, actions };
}

fn addition(mut at: Cursor<'_>, text: &str) -> Option<Addition> {
    at.eat(&["add"]);
    at.eat(&["column"]);
    let exists = if at.eat(&["if", "not", "exists"]) { Clause::Lenient } else { Clause::Strict };
    let column = at.peek()?.text.clone();
    // The words before the name hold no quotes, so the first place where the name follows a blank is the name.
    let skipped = tokens_before(text, &column)?;
    Some(Addition { column: column.into(), definition: text.get(skipped..)?.trim().into(), exists })
}

/// The byte at which the column's name begins, after `ADD [COLUMN] [IF NOT EXISTS]`.
fn tokens_before(text: &str, column: &str) -> Option<usize> {
    let mut at = 0;
    for word in ["add", "column", "if", "not", "exists"] {
        let rest = text.get(at..)?;
        let indent = rest.len() - rest.trim_start().len();
        let here = rest.trim_start();
        let whole = here.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && here.get(word.len()..).is_some_and(|after| after.starts_with(char::is_whitespace));
        if whole {
            at += indent + word.len();
        }
    }
    let rest = text.get(at..)?;
    rest.find(column).map(|found| at + found)
}
