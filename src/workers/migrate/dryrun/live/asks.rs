//! One question per demand of a statement. Each answer that matters becomes a finding with its place; what a statement earlier in
//! the plan makes or corrects is taken into account.

use super::{Asker, Unanswered, literal, normal};
use crate::run::job::Failure;
use crate::workers::migrate::dryrun::demands::{Demand, Nulls, Typed};
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

async fn makes_table(
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

async fn makes_column(asker: &mut Asker<'_>, place: &str, demand: &Demand) -> Result<(), Failure> {
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

async fn makes_index(
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

async fn foreign_key(
    asker: &mut Asker<'_>,
    place: &str,
    table: &str,
    columns: &[Typed],
    parent: &str,
    parent_columns: &[String],
) -> Result<(), Failure> {
    if !asker.new.contains(&normal(parent)) && !there(asker, place, parent, None).await? {
        return Ok(());
    }
    let mut parents = parent_columns.to_vec();
    if parents.is_empty() {
        // Without a list, the primary key is meant.
        let sql = format!(
            "SELECT coalesce(string_agg(quote_ident(a.attname), ',' ORDER BY k.n), '') FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (col, n)
             JOIN pg_attribute a ON a.attnum = k.col WHERE i.indrelid = to_regclass({}) AND i.indisprimary AND a.attrelid = i.indrelid",
            literal(parent)
        );
        let key = asker.ask::<String>(&sql).await?.unwrap_or_default();
        parents = key.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    }
    let mut equal = Vec::new();
    for ((column, ty), other) in columns.iter().zip(&parents) {
        let own = match ty {
            Some(ty) => Some(ty.clone()),
            None => asker.type_of(table, column).await?,
        };
        let theirs = asker.type_of(parent, other).await?;
        let (Some(own), Some(theirs)) = (own, theirs) else {
            if !asker.new.contains(&normal(parent)) && asker.type_of(parent, other).await?.is_none() {
                asker.dry.find(
                    Weight::Fails,
                    place,
                    format!("{parent} has no column {other} to refer to"),
                    "check the name",
                );
            }
            continue;
        };
        if let Err(Unanswered::Refused(_)) =
            asker.ask::<Option<bool>>(&format!("SELECT NULL::{own} = NULL::{theirs}")).await?
        {
            asker.dry.find(
                Weight::Fails,
                place,
                format!("{table}.{column} is {own}, but {parent}.{other}, which it refers to, is {theirs}: the two cannot be compared"),
                format!("give {column} the type {theirs}"),
            );
            continue;
        }
        equal.push((column.clone(), other.clone()));
    }
    if !asker.new.contains(&normal(parent)) && !parents.is_empty() {
        let names: Vec<String> = parents.iter().map(|name| literal(&normal(name))).collect();
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = to_regclass({}) AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
               AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
                 = (SELECT array_agg(n ORDER BY n) FROM unnest(ARRAY[{}]::text[]) n))",
            literal(parent),
            names.join(", ")
        );
        if let Ok(false) = asker.ask::<bool>(&sql).await? {
            let what = format!(
                "nothing says that {parent} ({}) is unique, so nothing can refer to it",
                parents.join(", ")
            );
            asker.dry.find(Weight::Fails, place, what, "refer to the primary key, or make it unique first");
        }
    }
    let asked = equal.len() == columns.len()
        && !equal.is_empty()
        && !asker.new.contains(&normal(table))
        && !asker.new.contains(&normal(parent));
    if asked {
        let matches: Vec<String> = equal.iter().map(|(own, other)| format!("c.{own} = p.{other}")).collect();
        let set: Vec<String> = equal.iter().map(|(own, _)| format!("c.{own} IS NOT NULL")).collect();
        let sql = format!(
            "SELECT count(*) FROM {table} AS c WHERE {} AND NOT EXISTS (SELECT FROM {parent} AS p WHERE {})",
            set.join(" AND "),
            matches.join(" AND ")
        );
        breaking(
            asker,
            place,
            table,
            (&format!("rows of {table} that refer to no row of {parent}"), CORRECT),
            &sql,
        )
        .await?;
    }
    Ok(())
}

async fn validates(asker: &mut Asker<'_>, place: &str, table: &str, constraint: &str) -> Result<(), Failure> {
    if !there(asker, place, table, None).await? {
        return Ok(());
    }
    let sql = format!(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass({}) AND conname = (parse_ident({}))[1] AND contype = 'c'",
        literal(table),
        literal(constraint)
    );
    let Ok(definition) = asker.ask::<String>(&sql).await? else { return Ok(()) };
    let inner = definition
        .strip_prefix("CHECK ")
        .map(|rest| rest.trim_end_matches(" NOT VALID").trim_end_matches(" NO INHERIT"));
    let Some(inner) = inner else { return Ok(()) };
    let what = format!("rows of {table} that break {constraint}");
    breaking(
        asker,
        place,
        table,
        (&what, CORRECT),
        &format!("SELECT count(*) FROM {table} WHERE NOT {inner}"),
    )
    .await
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
