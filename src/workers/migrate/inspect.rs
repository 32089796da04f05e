//! Is it there already, and is it the same? IF NOT EXISTS asks only for a name; this asks the server itself what the statement
//! would have made, in a savepoint that is rolled back, and compares definitions. Runs inside the caller's transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use squawk_syntax::SourceFile;
use squawk_syntax::ast::{AstNode, Stmt};

use super::alter::Addition;
use super::classify::{Clause, Kind};
use super::database::run;
use super::define::{Taken, Thing, definition, wanted};
use super::split::Statement;

/// What was found of what a statement is about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// Nothing, or nothing that matters: run it.
    Free,
    /// The same already.
    Same(String),
    /// There already, of another shape: in words.
    Other(String),
    /// An index that an interrupted build left, by its full name.
    Invalid(String),
    /// What should go is not there.
    Gone(String),
}

/// Looks for what the statement names.
pub(crate) async fn inspect(session: &mut PgConnection, statement: &Statement) -> Result<Found, sqlx::Error> {
    match &statement.shape.kind {
        Kind::CreateIndex { name: Some(name), table, exists, .. } => {
            index(session, statement, name, table, *exists).await
        }
        Kind::CreateTable { name, exists: Clause::Lenient } => table(session, statement, name).await,
        Kind::AlterTable { table, additions, actions, .. } => {
            columns(session, table, additions, *actions).await
        }
        Kind::CreateSchema { name, exists: Clause::Lenient } => {
            let there: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
                .bind(&**name)
                .fetch_one(session)
                .await?;
            Ok(if there { Found::Same(format!("schema {name} is there already")) } else { Found::Free })
        }
        Kind::Create { what, name, on, taken } => {
            made(session, statement, (*what, name, on.as_ref()), *taken).await
        }
        Kind::Drop { what, name, on, exists: Clause::Lenient } => {
            Ok(match definition(session, *what, name, on.as_ref()).await? {
                Some(_) => Found::Free,
                None => Found::Gone(format!("{} {name} is not there", what.word())),
            })
        }
        Kind::DropIndex { names, exists: Clause::Lenient }
        | Kind::DropRelation { names, exists: Clause::Lenient } => {
            for name in names {
                if is_there(session, name).await? {
                    return Ok(Found::Free);
                }
            }
            Ok(Found::Gone(format!("{} is not there", names.join(", "))))
        }
        _ => Ok(Found::Free),
    }
}

pub(crate) async fn is_there(session: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(session).await
}

async fn index(
    session: &mut PgConnection,
    statement: &Statement,
    name: &str,
    table: &str,
    exists: Clause,
) -> Result<Found, sqlx::Error> {
    let found = sqlx::query(
        "SELECT format('%I.%I', n.nspname, x.relname), coalesce(i.indisvalid AND i.indisready, false),
                coalesce(i.indrelid = to_regclass($2), false), coalesce(pg_get_indexdef(i.indexrelid), 'no index at all'),
                coalesce(i.indisunique, false)
         FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace LEFT JOIN pg_index i ON i.indexrelid = x.oid
         WHERE x.relname = (parse_ident($1))[cardinality(parse_ident($1))]
           AND x.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($2))",
    );
    let Some(row) = found.bind(name).bind(table).fetch_optional(&mut *session).await? else {
        return Ok(Found::Free);
    };
    let (full, valid, ours): (String, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (is, is_unique): (String, bool) = (row.try_get(3)?, row.try_get(4)?);
    if ours && !valid {
        return Ok(Found::Invalid(full));
    }
    let Some((unique, rest)) = index_tail(&statement.text) else { return Ok(Found::Free) };
    let word = if unique { "UNIQUE INDEX" } else { "INDEX" };
    let make = format!(
        "CREATE TEMP TABLE gonogo_shape (LIKE {table}); CREATE {word} gonogo_shape_index ON pg_temp.gonogo_shape {rest}"
    );
    let read = "SELECT pg_get_indexdef('pg_temp.gonogo_shape_index'::regclass)";
    let rows = shaped(session, &make, read).await?;
    let wanted: String = rows.first().map_or(Ok(String::new()), |row| row.try_get(0))?;
    let tail = |text: &str| text.split_once(" USING ").map_or(text, |(_, tail)| tail).to_owned();
    if ours && is_unique == unique && tail(&is) == tail(&wanted) {
        // Without IF NOT EXISTS the server refuses, as the author wanted.
        return Ok(match exists {
            Clause::Lenient => {
                Found::Same(format!("index {full} is there already, with the same definition"))
            }
            Clause::Strict => Found::Free,
        });
    }
    Ok(Found::Other(format!("index {full} is there already as {is}; wanted {word} USING {}", tail(&wanted))))
}

/// Whether an index is unique, and what follows its table's name. No tree may live across an await.
fn index_tail(text: &str) -> Option<(bool, String)> {
    let Stmt::CreateIndex(create) = SourceFile::parse(text).syntax_node().children().find_map(Stmt::cast)?
    else {
        return None;
    };
    let after = usize::from(create.table_relation_name()?.syntax().text_range().end());
    Some((create.unique_token().is_some(), text.get(after..)?.to_owned()))
}

/// What follows the name of a new table.
fn table_tail(text: &str) -> Option<String> {
    let Stmt::CreateTable(create) = SourceFile::parse(text).syntax_node().children().find_map(Stmt::cast)?
    else {
        return None;
    };
    let after = usize::from(create.table_name()?.syntax().text_range().end());
    Some(text.get(after..)?.trim_start().to_owned())
}

async fn table(session: &mut PgConnection, statement: &Statement, name: &str) -> Result<Found, sqlx::Error> {
    if !is_there(session, name).await? {
        return Ok(Found::Free);
    }
    let rest = table_tail(&statement.text).unwrap_or_default();
    if !rest.starts_with('(') {
        return Ok(Found::Same(format!("{name} is there already; its definition was not compared")));
    }
    let is = lines(&sqlx::query(sqlx::AssertSqlSafe(shape_of(name))).fetch_all(&mut *session).await?)?;
    let rows =
        shaped(session, &format!("CREATE TABLE gonogo.shape {rest}"), &shape_of("gonogo.shape")).await?;
    let wanted = lines(&rows)?;
    let mut differences = Vec::new();
    for ((kind, key), definition) in &wanted {
        match is.get(&(kind.clone(), key.clone())) {
            Some(found) if found == definition => {}
            Some(found) => differences.push(format!("{kind} {key} is {found}, wanted {definition}")),
            None => differences.push(format!("{kind} {key} is missing")),
        }
    }
    if !differences.is_empty() {
        return Ok(Found::Other(format!(
            "table {name} is there already in another shape: {}",
            differences.join("; ")
        )));
    }
    let more: Vec<String> = is
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .map(|(kind, key)| format!("{kind} {key}"))
        .collect();
    let besides =
        if more.is_empty() { String::new() } else { format!(", and has besides: {}", more.join(", ")) };
    Ok(Found::Same(format!("table {name} is there already, with all of this definition{besides}")))
}

/// A view, a sequence, a function and the like.
async fn made(
    session: &mut PgConnection,
    statement: &Statement,
    (what, name, on): (Thing, &Arc<str>, Option<&Arc<str>>),
    taken: Taken,
) -> Result<Found, sqlx::Error> {
    // Of functions several may have one name; the server tells them apart. What is replaced is compared afterwards.
    if taken == Taken::Replaced || what == Thing::Function {
        return Ok(Found::Free);
    }
    let Some(is) = definition(session, what, name, on).await? else { return Ok(Found::Free) };
    let word = what.word();
    if taken == Taken::Refused {
        return Ok(Found::Other(format!("{word} {name} is there already: {}", one_line(&is))));
    }
    let tail = statement.text.split_once(&**name).map_or("", |(_, tail)| tail);
    Ok(match wanted(session, what, tail).await? {
        Some(wanted) if wanted == is => {
            Found::Same(format!("{word} {name} is there already, with the same definition"))
        }
        Some(wanted) => Found::Other(format!(
            "{word} {name} is there already in another shape: {}, wanted {}",
            one_line(&is),
            one_line(&wanted)
        )),
        None => Found::Same(format!("{word} {name} is there already: {}", one_line(&is))),
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches(';').to_owned()
}

/// Rows of kind, key, definition: columns by name, constraints by definition.
fn shape_of(relation: &str) -> String {
    let oid = format!("to_regclass('{}')", relation.replace('\'', "''"));
    format!(
        "SELECT 'column', a.attname::text,
                concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                  CASE WHEN a.attidentity <> '' THEN 'IDENTITY' END,
                  CASE WHEN a.attgenerated <> '' THEN 'GENERATED' END,
                  'DEFAULT ' || CASE WHEN pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' THEN 'nextval'
                                     ELSE pg_get_expr(d.adbin, d.adrelid) END)
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped
         UNION ALL
         SELECT 'constraint', pg_get_constraintdef(c.oid), 'present' FROM pg_constraint c
         WHERE c.conrelid = {oid} AND c.contype IN ('c', 'f', 'p', 'u', 'x')"
    )
}

fn lines(rows: &[sqlx::postgres::PgRow]) -> Result<BTreeMap<(String, String), String>, sqlx::Error> {
    rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
}

async fn columns(
    session: &mut PgConnection,
    table: &str,
    additions: &[Addition],
    actions: usize,
) -> Result<Found, sqlx::Error> {
    let lenient: Vec<&Addition> = additions.iter().filter(|add| add.exists == Clause::Lenient).collect();
    if lenient.is_empty() || !is_there(session, table).await? {
        return Ok(Found::Free);
    }
    let is = lines(&sqlx::query(sqlx::AssertSqlSafe(shape_of(table))).fetch_all(&mut *session).await?)?;
    let mut there = Vec::new();
    for add in lenient {
        let name: Option<String> = sqlx::query_scalar("SELECT (parse_ident($1))[1]")
            .bind(&*add.column)
            .fetch_one(&mut *session)
            .await?;
        let key = ("column".to_owned(), name.unwrap_or_default());
        if let Some(definition) = is.get(&key) {
            there.push((add, key, definition));
        }
    }
    if there.is_empty() {
        return Ok(Found::Free);
    }
    let definitions: Vec<&str> = there.iter().map(|(add, ..)| &*add.definition).collect();
    let make = format!("CREATE TABLE gonogo.shape ({})", definitions.join(", "));
    let wanted = lines(&shaped(session, &make, &shape_of("gonogo.shape")).await?)?;
    let differences: Vec<String> = there
        .iter()
        .filter_map(|(_, key, is)| {
            let wanted = wanted.get(key).map_or("", String::as_str);
            (wanted != is.as_str()).then(|| format!("column {} is {is}, wanted {wanted}", key.1))
        })
        .collect();
    if !differences.is_empty() {
        return Ok(Found::Other(format!(
            "{table} has it already in another shape: {}",
            differences.join("; ")
        )));
    }
    Ok(if there.len() == actions {
        Found::Same(format!("{table} has all {actions} columns already, with the same definition"))
    } else {
        Found::Free
    })
}

/// Makes something in a savepoint, reads it, and takes it back.
async fn shaped(
    session: &mut PgConnection,
    make: &str,
    read: &str,
) -> Result<Vec<sqlx::postgres::PgRow>, sqlx::Error> {
    run(session, "SAVEPOINT gonogo_shape").await?;
    let rows = match run(session, make).await {
        Ok(_) => sqlx::raw_sql(sqlx::AssertSqlSafe(read)).fetch_all(&mut *session).await,
        Err(error) => Err(error),
    };
    run(session, "ROLLBACK TO SAVEPOINT gonogo_shape").await?;
    rows
}
