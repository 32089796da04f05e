//! What a statement wants to make, and what is there already under its name: a table, a column, an index.

use super::super::{Asker, literal, normal};
use super::{mentions, there};
use crate::run::job::Failure;
use crate::workers::migrate::dryrun::demands::{Demand, Typed};
use crate::workers::migrate::dryrun::report::Weight;

pub(super) async fn makes_table(
    asker: &mut Asker<'_>,
    place: &str,
    name: &str,
    columns: &[Typed],
    lenient: bool,
) -> Result<(), Failure> {
    let before = asker.new.contains(&normal(name));
    if !before && asker.exists(name).await? {
        if lenient {
            let mut differences = Vec::new();
            for (column, ty) in columns {
                match (asker.type_of(name, column).await?, ty) {
                    (None, _) => differences.push(format!("column {column} is missing")),
                    (Some(is), Some(wanted)) if !same_type(asker, &is, wanted).await? => {
                        differences.push(format!("column {column} is {is}, wanted {wanted}"));
                    }
                    _ => {}
                }
            }
            said_of_existing(asker, place, name, &differences);
        } else {
            let what = format!("{name} is there already");
            asker.dry.find(Weight::Fails, place, what, "find out whose it is before anything else");
        }
    } else {
        asker.new.insert(normal(name));
    }
    for (column, ty) in columns {
        let ty = ty.clone().unwrap_or_default();
        asker.made.entry((normal(name), normal(column))).or_insert(ty);
    }
    Ok(())
}

fn said_of_existing(asker: &mut Asker<'_>, place: &str, name: &str, differences: &[String]) {
    if differences.is_empty() {
        asker.dry.find(
            Weight::Notes,
            place,
            format!("{name} is there already, in this shape: IF NOT EXISTS will skip it"),
            "",
        );
    } else {
        asker.dry.find(
            Weight::Fails,
            place,
            format!(
                "{name} is there already, in another shape, and IF NOT EXISTS would skip it: {}",
                differences.join("; ")
            ),
            "find out whose it is; rename or remove it, or correct the migration",
        );
    }
}

pub(super) async fn makes_column(asker: &mut Asker<'_>, place: &str, demand: &Demand) -> Result<(), Failure> {
    let Demand::MakesColumn { table, column, ty, not_null, default, lenient } = demand else { return Ok(()) };
    if !there(asker, place, table, None).await? {
        asker.made.insert((normal(table), normal(column)), ty.clone());
        return Ok(());
    }
    match asker.type_of(table, column).await? {
        Some(_) if !lenient && !asker.dropped.iter().any(|text| mentions(text, &normal(column))) => {
            asker.dry.find(
                Weight::Fails,
                place,
                format!("{table} has a column {column} already"),
                "find out whose it is before anything else",
            );
        }
        Some(is) => {
            let differences = if same_type(asker, &is, ty).await? {
                Vec::new()
            } else {
                vec![format!("it is {is}, wanted {ty}")]
            };
            said_of_existing(asker, place, &format!("{table}.{column}"), &differences);
        }
        None => {
            asker.made.insert((normal(table), normal(column)), ty.clone());
            if *not_null && !*default {
                let sql = format!("SELECT count(*) FROM (SELECT FROM {table} LIMIT 1) AS any_row");
                if let Some(1..) = asker.count(place, &format!("rows of {table}"), &sql).await? {
                    asker.dry.find(
                        Weight::Fails,
                        place,
                        format!(
                            "{table}.{column} is added NOT NULL and without a default, and the table has rows"
                        ),
                        "add a default, or add it nullable, fill it, and make it NOT NULL after",
                    );
                }
            }
        }
    }
    Ok(())
}

/// Whether both name one type, lengths included.
async fn same_type(asker: &mut Asker<'_>, is: &str, wanted: &str) -> Result<bool, Failure> {
    let wanted = match wanted.to_ascii_lowercase().as_str() {
        "serial" | "serial4" => "integer".to_owned(),
        "bigserial" | "serial8" => "bigint".to_owned(),
        "smallserial" | "serial2" => "smallint".to_owned(),
        _ => wanted.to_owned(),
    };
    let length = |text: &str| -> String {
        text.split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .map(|(inside, _)| inside.replace(' ', ""))
            .unwrap_or_default()
    };
    if length(is) != length(&wanted) {
        return Ok(false);
    }
    let sql =
        format!("SELECT coalesce(to_regtype({}) = to_regtype({}), true)", literal(is), literal(&wanted));
    Ok(asker.ask::<bool>(&sql).await?.unwrap_or(true))
}

pub(super) async fn makes_index(
    asker: &mut Asker<'_>,
    place: &str,
    table: &str,
    name: Option<&str>,
    columns: &[String],
    rest: &str,
    lenient: bool,
) -> Result<(), Failure> {
    if !there(asker, place, table, None).await? {
        return Ok(());
    }
    for column in columns {
        there(asker, place, table, Some(column)).await?;
    }
    let Some(name) = name else { return Ok(()) };
    let sql = format!(
        "SELECT concat(i.indrelid = to_regclass({0}), chr(9), i.indisvalid, chr(9), pg_get_indexdef(i.indexrelid)) FROM pg_index i
         JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = to_regclass({0})
         WHERE x.relname = (parse_ident({1}))[1] AND x.relnamespace = t.relnamespace",
        literal(table),
        literal(name)
    );
    let Ok(found) = asker.ask::<String>(&sql).await? else { return Ok(()) };
    let mut parts = found.splitn(3, '\t');
    let (ours, valid, is) =
        (parts.next() == Some("t"), parts.next() == Some("t"), parts.next().unwrap_or_default());
    if ours && !valid {
        let what = format!(
            "index {name} is there, left invalid by an interrupted build: the run will drop it and build it anew"
        );
        asker.dry.find(Weight::Notes, place, what, "");
    } else if ours && lenient {
        let plain = |text: &str| -> String {
            text.to_lowercase()
                .replace("using btree", "")
                .chars()
                .filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"'))
                .collect()
        };
        let tail = is
            .split_once(" USING ")
            .map_or(is, |(_, tail)| tail.split_once(' ').map_or(tail, |(_, tail)| tail));
        if plain(tail) == plain(rest) {
            said_of_existing(asker, place, &format!("index {name}"), &[]);
        } else {
            let what = format!("index {name} is there already as {is}; wanted {rest}");
            asker.dry.find(
                Weight::Warns,
                place,
                what,
                "if the two differ in more than spelling, the run will stop here: the trace will tell",
            );
        }
    } else if !asker.dropped.iter().any(|text| mentions(text, &normal(name))) {
        let of = if ours { "" } else { ", on another table" };
        asker.dry.find(
            Weight::Fails,
            place,
            format!("index {name} is there already{of}: {is}"),
            "find out whose it is before anything else",
        );
    }
    Ok(())
}
