//! What a rule wants of the rows that are there: a foreign key of its two ends, a validation of every row.

use super::super::{Asker, Unanswered, literal, normal};
use super::{CORRECT, breaking, there};
use crate::run::job::Failure;
use crate::workers::migrate::dryrun::demands::Typed;
use crate::workers::migrate::dryrun::report::Weight;

pub(super) async fn foreign_key(
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

pub(super) async fn validates(
    asker: &mut Asker<'_>,
    place: &str,
    table: &str,
    constraint: &str,
) -> Result<(), Failure> {
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
