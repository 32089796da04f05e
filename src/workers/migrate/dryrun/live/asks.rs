//! One question per demand of a statement. Each answer that matters becomes a finding with its place; what a statement earlier in
//! the plan makes or corrects is taken into account.

mod keys;
mod makes;

use keys::{foreign_key, validates};
use makes::{makes_column, makes_index, makes_table};

use super::{Asker, literal, normal};
use crate::run::job::Failure;
use crate::workers::migrate::dryrun::demands::{Demand, Nulls};
use crate::workers::migrate::dryrun::report::Weight;

/// What to do about rows that break a rule.
const CORRECT: &str = "find and correct them before the day; a rule that is NOT VALID still refuses every later UPDATE of such a row";
/// What to do about rows that are alike.
const RESOLVE: &str = "find and resolve the duplicates before the day";

pub(super) async fn demand(asker: &mut Asker<'_>, place: &str, demand: &Demand) -> Result<(), Failure> {
    match demand {
        Demand::MakesTable { name, columns, lenient } => {
            makes_table(asker, place, name, columns, *lenient).await
        }
        Demand::MakesColumn { .. } => makes_column(asker, place, demand).await,
        Demand::MakesIndex { table, name, columns, rest, lenient } => {
            makes_index(asker, place, table, name.as_deref(), columns, rest, *lenient).await
        }
        Demand::ForeignKey { table, columns, parent, parent_columns } => {
            foreign_key(asker, place, table, columns, parent, parent_columns).await
        }
        Demand::Check { table, expr } => {
            let what = format!("rows of {table} that break CHECK ({expr})");
            breaking(
                asker,
                place,
                table,
                (&what, CORRECT),
                &format!("SELECT count(*) FROM {table} WHERE NOT ({expr})"),
            )
            .await
        }
        Demand::NotNull { table, column } => {
            let what = format!("rows of {table} without {column}");
            breaking(
                asker,
                place,
                table,
                (&what, CORRECT),
                &format!("SELECT count(*) FROM {table} WHERE {column} IS NULL"),
            )
            .await
        }
        Demand::Unique { table, keys, filter, nulls } => {
            let mut conditions: Vec<String> = filter.iter().map(|filter| format!("({filter})")).collect();
            if *nulls == Nulls::Distinct {
                conditions.extend(keys.iter().map(|key| format!("({key}) IS NOT NULL")));
            }
            let filter = if conditions.is_empty() {
                String::new()
            } else {
                format!(" WHERE {}", conditions.join(" AND "))
            };
            let keys = keys.join(", ");
            let sql = format!(
                "SELECT coalesce(sum(n), 0)::bigint FROM (SELECT count(*) AS n FROM {table}{filter} GROUP BY {keys} HAVING count(*) > 1) AS twice"
            );
            breaking(
                asker,
                place,
                table,
                (&format!("rows of {table} that share their ({keys}) with another"), RESOLVE),
                &sql,
            )
            .await
        }
        Demand::Validates { table, constraint } => validates(asker, place, table, constraint).await,
        Demand::Retypes { table, column, ty } => {
            there(asker, place, table, Some(column)).await?;
            dependants(asker, place, table, Some(column), &format!("{table}.{column} becomes {ty}"), false)
                .await
        }
        Demand::DropsColumn { table, column, lenient, cascade } => {
            if !lenient {
                there(asker, place, table, Some(column)).await?;
            }
            if asker.type_of(table, column).await?.is_none() {
                return Ok(());
            }
            let sql = format!("SELECT count(*) FROM {table} WHERE {column} IS NOT NULL");
            if let Some(rows @ 1..) =
                asker.count(place, &format!("rows of {table} with {column}"), &sql).await?
            {
                let what = format!("{rows} rows of {table} hold a value in {column}, which goes");
                asker.dry.find(Weight::Warns, place, what, "keep a copy if anybody may want it back");
            }
            dependants(asker, place, table, Some(column), &format!("{table}.{column} goes"), *cascade).await
        }
        Demand::DropsRelation { name, lenient, cascade } => {
            if !lenient {
                there(asker, place, name, None).await?;
            }
            if !asker.exists(name).await? {
                return Ok(());
            }
            if let Some(rows @ 1..) = asker
                .count(place, &format!("rows of {name}"), &format!("SELECT count(*) FROM {name}"))
                .await?
            {
                asker.dry.find(
                    Weight::Warns,
                    place,
                    format!("{name} goes, with {rows} rows"),
                    "keep a copy if anybody may want it back",
                );
            }
            dependants(asker, place, name, None, &format!("{name} goes"), *cascade).await
        }
    }
}

/// A table, or its column, must be there or have been made by the plan.
async fn there(
    asker: &mut Asker<'_>,
    place: &str,
    table: &str,
    column: Option<&str>,
) -> Result<bool, Failure> {
    if asker.new.contains(&normal(table)) {
        return Ok(false);
    }
    if !asker.exists(table).await? {
        let dropped = asker.dropped.iter().any(|text| text.contains(&normal(table)));
        if !dropped {
            asker.dry.find(
                Weight::Fails,
                place,
                format!("{table} is not there"),
                "check the name, the schema and the order of the migrations",
            );
        }
        return Ok(false);
    }
    let Some(column) = column else { return Ok(true) };
    if asker.type_of(table, column).await?.is_none() {
        asker.dry.find(
            Weight::Fails,
            place,
            format!("{table} has no column {column}"),
            "check the name, and the order of the migrations",
        );
        return Ok(false);
    }
    Ok(!asker.made.contains_key(&(normal(table), normal(column))))
}

/// Rows that break a rule, where the table has any that can be asked.
async fn breaking(
    asker: &mut Asker<'_>,
    place: &str,
    table: &str,
    (what, next): (&str, &str),
    sql: &str,
) -> Result<(), Failure> {
    if !there(asker, place, table, None).await? {
        return Ok(());
    }
    if asker.made.keys().any(|(of, column)| *of == normal(table) && mentions(sql, column)) {
        return Ok(()); // what the plan itself adds is empty, or its default
    }
    let Some(rows) = asker.count(place, what, sql).await? else { return Ok(()) };
    if rows == 0 {
        return Ok(());
    }
    let corrected = asker.written.contains(&normal(table)) || asker.written.contains("*");
    let (weight, perhaps) = if corrected {
        (Weight::Warns, ", unless an earlier step corrects them")
    } else {
        (Weight::Fails, "")
    };
    asker.dry.find(weight, place, format!("{rows} {what}{perhaps}"), next);
    Ok(())
}

fn mentions(sql: &str, word: &str) -> bool {
    sql.to_lowercase().split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

/// Who depends on what goes or changes its type.
async fn dependants(
    asker: &mut Asker<'_>,
    place: &str,
    table: &str,
    column: Option<&str>,
    what: &str,
    cascade: bool,
) -> Result<(), Failure> {
    let on = match column {
        Some(column) => format!(
            "d.refobjsubid = (SELECT attnum FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = (parse_ident({}))[1])",
            literal(table),
            literal(column)
        ),
        None => "true".to_owned(),
    };
    let sql = format!(
        "SELECT coalesce(string_agg(DISTINCT coalesce('view ' || w.ev_class::regclass::text, pg_describe_object(d.classid, d.objid, d.objsubid)), chr(10)), '')
         FROM pg_depend d LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
         WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass({0}) AND {on} AND d.deptype = 'n'
           AND w.ev_class IS DISTINCT FROM to_regclass({0})
           AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (
             SELECT FROM pg_constraint k WHERE k.oid = d.objid AND k.conrelid = to_regclass({0})))",
        literal(table)
    );
    let found = asker.ask::<String>(&sql).await?.unwrap_or_default();
    for dependant in found.lines() {
        let name = dependant.rsplit([' ', '.']).next().unwrap_or(dependant);
        if asker.dropped.iter().any(|text| mentions(text, name)) {
            continue;
        }
        if cascade {
            asker.dry.find(
                Weight::Warns,
                place,
                format!("{what}, and takes {dependant} with it (CASCADE)"),
                "see that nobody needs it",
            );
        } else {
            asker.dry.find(
                Weight::Fails,
                place,
                format!("{what}, but {dependant} depends on it, so the server will refuse"),
                "drop or change what depends on it first, and make it again after",
            );
        }
    }
    Ok(())
}
