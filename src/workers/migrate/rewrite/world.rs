//! What the rewriter may know: the file's other statements, and the catalogue where there is one. Without it less is offered,
//! never more.

use std::collections::{BTreeMap, BTreeSet};

use crate::workers::migrate::classify::Kind;
use crate::workers::migrate::deed::{Action, Deed, Demand, Looks, Verb, Write};
use crate::workers::migrate::lint::scene::constraint_name;
use crate::workers::migrate::lint::{Knowledge, TableKind};
use crate::workers::migrate::names::{canonical, last};
use crate::workers::migrate::split::Statement;

/// What is known beyond a statement.
pub(crate) struct World<'a> {
    known: &'a Knowledge,
    /// Tables that this file makes, with their primary keys.
    made: BTreeMap<String, Vec<String>>,
    /// Columns that this file adds.
    added: BTreeSet<(String, String)>,
    /// Columns that this file writes.
    filled: BTreeSet<(String, String)>,
    /// Columns that a check of this file proves, once it is validated.
    checked: BTreeSet<(String, String)>,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        known: &'a Knowledge,
        statements: &'a [Statement],
        actions: &[Vec<Action>],
        writes: &[Option<Write>],
    ) -> Self {
        let mut world = Self {
            known,
            made: BTreeMap::new(),
            added: BTreeSet::new(),
            filled: BTreeSet::new(),
            checked: BTreeSet::new(),
        };
        let mut validated: BTreeSet<(String, String)> = BTreeSet::new();
        let mut claims: Vec<(String, String, String, Looks)> = Vec::new();
        for ((statement, actions), write) in statements.iter().zip(actions).zip(writes) {
            if let Some(write) = write
                && write.verb == Verb::Update
            {
                let table = canonical(&write.table);
                world.filled.extend(write.sets.iter().map(|set| (table.clone(), set.clone())));
            }
            let (table, makes) = match &statement.shape.kind {
                Kind::CreateTable { name, .. } => (canonical(name), true),
                Kind::AlterTable { table, .. } => (canonical(table), false),
                _ => continue,
            };
            if makes && !known.tables.contains_key(&table) {
                world.made.entry(table.clone()).or_default();
            }
            for action in actions {
                let mut demands: Vec<&Demand> = Vec::new();
                match &action.deed {
                    Deed::AddColumn(column) => {
                        world.added.insert((table.clone(), column.name.clone()));
                        demands.extend(column.constraints.iter().map(|(_, one)| &one.kind));
                    }
                    Deed::AddConstraint(constraint) => {
                        if let Demand::NotNullCheck { column } = &constraint.kind {
                            let name = constraint_name(constraint, &last(&table));
                            claims.push((table.clone(), name, column.clone(), constraint.looks));
                        }
                        demands.push(&constraint.kind);
                    }
                    Deed::Validate { name } => {
                        validated.insert((table.clone(), name.clone()));
                    }
                    _ => {}
                }
                for demand in demands {
                    if let (Demand::Primary { columns }, Some(key)) = (demand, world.made.get_mut(&table)) {
                        key.clone_from(columns);
                    }
                }
            }
        }
        for (table, name, column, looks) in claims {
            if looks == Looks::Now || validated.contains(&(table.clone(), name)) {
                world.checked.insert((table, column));
            }
        }
        world
    }

    /// Whether this file makes the table: then nobody uses it yet.
    pub(crate) fn is_made(&self, table: &str) -> bool {
        self.made.contains_key(table)
    }

    /// The one column by which rows can be gone through in batches.
    pub(crate) fn key(&self, table: &str) -> Option<String> {
        let key = self.known.tables.get(table).map(|table| &table.key).or_else(|| self.made.get(table))?;
        if let [one] = key.as_slice() { Some(one.clone()) } else { None }
    }

    pub(crate) fn why_no_key(&self) -> &'static str {
        if self.known.source.is_some() { " in the catalogue" } else { ": connect to a database to know it" }
    }

    pub(crate) fn is_added(&self, table: &str, column: &str) -> bool {
        self.added.contains(&(table.to_owned(), column.to_owned()))
    }

    pub(crate) fn is_filled(&self, table: &str, columns: &[String]) -> bool {
        columns.iter().any(|column| self.filled.contains(&(table.to_owned(), column.clone())))
    }

    pub(crate) fn is_not_null(&self, table: &str, column: &str) -> bool {
        self.known
            .tables
            .get(table)
            .and_then(|table| table.columns.get(column))
            .is_some_and(|column| column.not_null)
    }

    /// Whether a valid check, of the database or of this file, proves it.
    pub(crate) fn is_proven(&self, table: &str, column: &str) -> bool {
        self.is_not_null(table, column)
            || self.checked.contains(&(table.to_owned(), column.to_owned()))
            || self.known.tables.get(table).is_some_and(|table| table.proven.contains(column))
    }

    pub(crate) fn is_partitioned(&self, table: &str) -> bool {
        self.known.tables.get(table).is_some_and(|table| table.kind == TableKind::Partitioned)
    }

    /// Whether a new type only widens the old one, so that no row is written: varchar(n) to a longer one or to text.
    pub(crate) fn widens(&self, table: &str, column: &str, ty: &str) -> bool {
        let Some(has) = self.known.tables.get(table).and_then(|table| table.columns.get(column)) else {
            return false;
        };
        let length = |ty: &str| {
            let ty = ty.to_ascii_lowercase().replace("character varying", "varchar");
            let rest = ty.trim().strip_prefix("varchar")?.trim();
            if rest.is_empty() {
                return Some(u32::MAX);
            }
            rest.strip_prefix('(')?.strip_suffix(')')?.trim().parse().ok()
        };
        match (length(&has.ty), length(ty), ty.trim().eq_ignore_ascii_case("text")) {
            (Some(_), _, true) => true,
            (Some(was), Some(becomes), _) => becomes >= was,
            _ => false,
        }
    }
}
