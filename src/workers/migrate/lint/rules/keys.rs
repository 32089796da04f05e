//! Foreign keys: types that cannot be compared, and the table that looks new but locks an old one.

use crate::workers::migrate::book::Direction;
use crate::workers::migrate::classify::Kind;
use crate::workers::migrate::deed::{Deed, Demand};
use crate::workers::migrate::lint::finding::Severity;
use crate::workers::migrate::lint::known::Weight;
use crate::workers::migrate::lint::note::{Note, Said};
use crate::workers::migrate::lint::scene::{Line, Page, Scene};
use crate::workers::migrate::lint::work::Work;
use crate::workers::migrate::names::{canonical, shown};

/// One reference of a statement: where it stands, its columns, the table and columns it refers to.
struct Key {
    at: usize,
    from: Vec<String>,
    table: String,
    to: Vec<String>,
}

fn keys(line: &Line<'_>) -> Vec<Key> {
    let mut found = Vec::new();
    let mut put = |at: usize, kind: &Demand| {
        if let Demand::Reference { from, table, to } = kind {
            found.push(Key { at, from: from.clone(), table: canonical(table), to: to.clone() });
        }
    };
    for action in &line.actions {
        match &action.deed {
            Deed::AddColumn(column) => {
                column.constraints.iter().for_each(|(at, constraint)| put(at.start, &constraint.kind));
            }
            Deed::AddConstraint(constraint) => put(action.at.start, &constraint.kind),
            _ => {}
        }
    }
    found
}

/// A key whose two ends have no common equality is refused by the server, and all that follows with it.
pub(super) fn types_differ(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in &page.lines {
        let Some(own) = line.table() else { continue };
        for key in keys(line) {
            let targets = if key.to.is_empty() { primary(scene, page, &key.table) } else { key.to.clone() };
            for (column, target) in key.from.iter().zip(&targets) {
                let own_type = here(line, column).or_else(|| scene.column_type(page, &own, column));
                let (Some(one), Some(other)) = (own_type, scene.column_type(page, &key.table, target)) else {
                    continue;
                };
                let (severity, how) = match meet(&one, &other) {
                    Meet::Same => continue,
                    Meet::Related => (Severity::Hint, "compares only by a conversion"),
                    Meet::Never => (Severity::Breaks, "is refused by the server"),
                };
                let said = Said {
                    rule: "foreign-key-type",
                    severity,
                    weight: Weight::Always,
                    tables: vec![own.clone(), key.table.clone()],
                    what: format!(
                        "{}.{column} is {one}, and {}.{target}, to which it refers, is {other}: the key {how}",
                        shown(&own),
                        shown(&key.table)
                    ),
                    safe: format!("give {column} the type {other}"),
                };
                notes.push(said.at(page, line, key.at));
            }
        }
    }
    notes
}

fn here(line: &Line<'_>, column: &str) -> Option<String> {
    line.actions.iter().find_map(|action| match &action.deed {
        Deed::AddColumn(added) if added.name == column => Some(added.ty.clone()),
        _ => None,
    })
}

/// The primary key's columns, from the catalogue or from the set.
fn primary(scene: &Scene<'_>, page: &Page<'_>, table: &str) -> Vec<String> {
    if let Some(there) = scene.known.tables.get(table) {
        return there.key.clone();
    }
    let pages = scene
        .pages
        .iter()
        .filter(|other| other.direction == Direction::Up && other.migration.number <= page.migration.number);
    let lines = pages.flat_map(|page| &page.lines).filter(|line| line.table().as_deref() == Some(table));
    for action in lines.flat_map(|line| &line.actions) {
        let constraints: Vec<&Demand> = match &action.deed {
            Deed::AddColumn(column) => column.constraints.iter().map(|(_, one)| &one.kind).collect(),
            Deed::AddConstraint(constraint) => vec![&constraint.kind],
            _ => Vec::new(),
        };
        for kind in constraints {
            if let Demand::Primary { columns } = kind {
                return columns.clone();
            }
        }
    }
    Vec::new()
}

#[derive(Debug, PartialEq, Eq)]
enum Meet {
    Same,
    Related,
    Never,
}

fn meet(one: &str, other: &str) -> Meet {
    let (one, other) = (family(one), family(other));
    match (&one, &other) {
        _ if one == other => Meet::Same,
        // A type of somebody's own may have an equality that nobody here knows.
        ((None, _), _) | (_, (None, _)) => Meet::Same,
        ((Some(a), _), (Some(b), _)) if a == b => Meet::Related,
        _ => Meet::Never,
    }
}

/// The family in which types compare, and the type's one name.
fn family(ty: &str) -> (Option<&'static str>, String) {
    let ty = ty.to_ascii_lowercase();
    let bare = ty.split('(').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let (family, name) = match bare.as_str() {
        "smallint" | "int2" | "smallserial" | "serial2" => (Some("number"), "smallint"),
        "integer" | "int" | "int4" | "serial" | "serial4" => (Some("number"), "integer"),
        "bigint" | "int8" | "bigserial" | "serial8" => (Some("number"), "bigint"),
        "numeric" | "decimal" => (Some("number"), "numeric"),
        "text" => (Some("text"), "text"),
        "varchar" | "character varying" => (Some("text"), "varchar"),
        "char" | "character" | "bpchar" => (Some("text"), "char"),
        "uuid" => (Some("uuid"), "uuid"),
        "date" => (Some("time"), "date"),
        "timestamptz" | "timestamp with time zone" => (Some("time"), "timestamptz"),
        "timestamp" | "timestamp without time zone" => (Some("time"), "timestamp"),
        "boolean" | "bool" => (Some("boolean"), "boolean"),
        "bytea" => (Some("bytes"), "bytea"),
        other => (None, other),
    };
    (family, name.to_owned())
}

/// CREATE TABLE … REFERENCES shuts writers out of the table that it refers to.
pub(super) fn reference_in_new_table(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in &page.lines {
        let Kind::CreateTable { .. } = &line.statement.shape.kind else { continue };
        let made = scene.made(page, line.place);
        for key in keys(line) {
            if made.contains_key(&key.table) || line.table().as_deref() == Some(&key.table) {
                continue;
            }
            let said = Said {
                rule: "reference-in-new-table",
                severity: Severity::Queues,
                weight: Weight::Load(Work::None),
                what: format!(
                    "the table is new, but {} is not: its writers queue behind the request for it, and wait until this \
                     transaction ends",
                    shown(&key.table)
                ),
                tables: vec![key.table],
                safe: "create it without the key, then ADD CONSTRAINT … NOT VALID and VALIDATE, each in a statement of its own".into(),
            };
            notes.push(said.at(page, line, key.at));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_meet_as_the_server_compares_them() {
        assert_eq!(meet("int", "integer"), Meet::Same);
        assert_eq!(meet("varchar(50)", "character varying(255)"), Meet::Same);
        assert_eq!(meet("int", "bigint"), Meet::Related);
        assert_eq!(meet("text", "uuid"), Meet::Never);
        assert_eq!(meet("integer", "uuid"), Meet::Never);
        assert_eq!(meet("mood", "uuid"), Meet::Same, "unknown types are the server's business");
    }
}
