//! What is in the database already, and is not what the statement would make. IF NOT EXISTS asks only for a name. Only with a
//! catalogue; the run itself compares again, by the server's own words.

use crate::workers::migrate::book::Direction;
use crate::workers::migrate::classify::{Clause, Kind};
use crate::workers::migrate::deed::{Column, Deed, Demand};
use crate::workers::migrate::lint::finding::Severity;
use crate::workers::migrate::lint::known::{Has, Weight};
use crate::workers::migrate::lint::note::{Note, Said};
use crate::workers::migrate::lint::scene::{Page, Scene};
use crate::workers::migrate::names::{canonical, last, shown};

pub(super) fn other_shape(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    if page.direction == Direction::Down {
        return notes;
    }
    for line in &page.lines {
        let Some(name) = line.table() else { continue };
        let Some(table) = scene.known.tables.get(&name) else { continue };
        let lenient_table =
            matches!(line.statement.shape.kind, Kind::CreateTable { exists: Clause::Lenient, .. });
        for action in &line.actions {
            let Deed::AddColumn(column) = &action.deed else { continue };
            let difference = match table.columns.get(&column.name) {
                Some(there) if line.is_alter() && column.exists == Clause::Strict => {
                    format!("is there already, as {}; the server refuses the statement", described(there))
                }
                Some(there) => match differs(column, there) {
                    Some(wanted) => format!(
                        "is there already as {}, where {wanted} is wanted: the server skips it in silence, and gonogo stops here",
                        described(there)
                    ),
                    None => continue,
                },
                None if lenient_table => {
                    "is missing in the table that is there already, and IF NOT EXISTS will not add it"
                        .to_owned()
                }
                None => continue,
            };
            let said = Said {
                rule: "there-in-another-shape",
                severity: Severity::Breaks,
                weight: Weight::Always,
                tables: vec![name.clone()],
                what: format!("{}.{} {difference}", shown(&name), column.name),
                safe: "find out whose it is, and what is in it, before anything else".into(),
            };
            notes.push(said.at(page, line, action.at.start));
        }
    }
    notes
}

fn described(there: &Has) -> String {
    format!("{}{}", there.ty, if there.not_null { " NOT NULL" } else { "" })
}

/// What is wanted, where it is not what is there.
fn differs(column: &Column, there: &Has) -> Option<String> {
    let required = column.not_null
        || column.constraints.iter().any(|(_, one)| matches!(one.kind, Demand::Primary { .. }));
    let same =
        one_name(&column.ty) == one_name(&there.ty) && (required || column.is_serial()) == there.not_null;
    (!same).then(|| format!("{}{}", column.ty, if required { " NOT NULL" } else { "" }))
}

/// A type under one of its names, its length with it.
fn one_name(ty: &str) -> String {
    let lower = ty.to_ascii_lowercase().replace(' ', "");
    let (head, tail) = lower.split_at(lower.find(['(', '[']).unwrap_or(lower.len()));
    let head = match head {
        "int" | "int4" | "serial" | "serial4" => "integer",
        "int8" | "bigserial" | "serial8" => "bigint",
        "int2" | "smallserial" | "serial2" => "smallint",
        "charactervarying" => "varchar",
        "character" | "bpchar" => "char",
        "bool" => "boolean",
        "float8" | "float" => "doubleprecision",
        "float4" => "real",
        "decimal" => "numeric",
        "timestampwithtimezone" => "timestamptz",
        "timestampwithouttimezone" => "timestamp",
        other => other,
    };
    format!("{head}{tail}")
}

/// An index that an interrupted build has left is no index, but has the name of one.
pub(super) fn invalid_index(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in &page.lines {
        let Kind::CreateIndex { name: Some(name), table, exists, .. } = &line.statement.shape.kind else {
            continue;
        };
        let schema = canonical(table).split('.').next().unwrap_or_default().to_owned();
        if !scene.known.invalid.contains(&format!("{schema}.{}", last(name))) {
            continue;
        }
        let then = match exists {
            Clause::Lenient => "IF NOT EXISTS would take it for the index",
            Clause::Strict => "the statement would be refused",
        };
        let said = Said {
            rule: "invalid-index",
            severity: Severity::Hint,
            weight: Weight::Always,
            tables: vec![canonical(table)],
            what: format!("{} is there, and invalid, as an interrupted build leaves it: {then}", last(name)),
            safe: "run it with gonogo, which drops an invalid index first; anything else skips it".into(),
        };
        notes.push(said.at(page, line, 0));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_the_same_under_each_of_its_names() {
        for (one, other) in [
            ("varchar(50)", "character varying(50)"),
            ("int", "integer"),
            ("timestamptz", "timestamp with time zone"),
            ("TEXT[]", "text[]"),
            ("numeric(12, 2)", "numeric(12,2)"),
        ] {
            assert_eq!(one_name(one), one_name(other));
        }
        assert_ne!(one_name("varchar(50)"), one_name("character varying(20)"));
    }
}
