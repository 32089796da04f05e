//! Which tables a backup must hold: those that migrations touch, those that they made, and those whose rows go or change with
//! them by a foreign key. Nothing of gonogo's own schemas.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::workers::migrate::classify::Kind;
use crate::workers::migrate::files::{Migration, MigrationSet};

/// A table that is to be backed up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// With its schema, quoted as SQL wants it.
    pub(crate) name: String,
    /// Without its schema.
    pub(crate) bare: String,
    /// Why it is in the backup.
    pub(crate) why: String,
    /// What is copied, in order: every column that is not computed.
    pub(crate) columns: Vec<Column>,
    /// The columns of its primary key; none where it has none.
    pub(crate) key: Vec<String>,
}

/// A column that is copied.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// Its name, quoted.
    pub name: String,
    /// Its type.
    pub of: String,
    /// A type of any PostgreSQL server that prints its values alike.
    pub plain: String,
}

impl Table {
    /// The columns, for a list in SQL.
    pub(crate) fn list(&self) -> String {
        list(&self.columns)
    }
}

/// Columns, for a list in SQL.
pub(crate) fn list(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The tables behind all migrations of the set.
pub(crate) async fn of_all(
    session: &mut PgConnection,
    set: &MigrationSet,
) -> Result<Vec<Table>, sqlx::Error> {
    of(session, &set.migrations.iter().collect::<Vec<_>>()).await
}

/// The tables behind these migrations, those that exist.
pub(crate) async fn of(
    session: &mut PgConnection,
    migrations: &[&Migration],
) -> Result<Vec<Table>, sqlx::Error> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for statement in migrations.iter().flat_map(|migration| &migration.up.statements) {
        let made = match &statement.shape.kind {
            Kind::CreateTable { name, .. } => Some(name),
            _ => None,
        };
        for name in statement.shape.needs.iter().map(|need| &need.relation).chain(made) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    // A row that cascades or is set to NULL is lost with the row it refers to.
    let rows = sqlx::query(
        "WITH RECURSIVE named (oid, depth, why) AS (
           SELECT coalesce(i.indrelid, c.oid), 0, 'a migration touches it'
           FROM unnest($1::text[]) AS w (name) JOIN pg_class c ON c.oid = to_regclass(w.name)
           LEFT JOIN pg_index i ON i.indexrelid = c.oid
           UNION
           SELECT f.conrelid, n.depth + 1, 'its rows go or change with those of ' || f.confrelid::regclass
           FROM named n JOIN pg_constraint f ON f.confrelid = n.oid
           WHERE f.contype = 'f' AND f.confdeltype IN ('c', 'n', 'd') AND n.depth < 8
         )
         SELECT DISTINCT ON (c.oid) format('%I.%I', s.nspname, c.relname), c.relname::text, n.why
         FROM named n JOIN pg_class c ON c.oid = n.oid JOIN pg_namespace s ON s.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND s.nspname NOT LIKE 'gonogo%'
           AND s.nspname NOT IN ('pg_catalog', 'information_schema')
         ORDER BY c.oid, n.depth",
    );
    let mut found = Vec::new();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    for row in rows.bind(&names).fetch_all(&mut *session).await? {
        let (name, bare, why): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (columns, key) = described(session, &name).await?;
        found.push(Table { name, bare, why, columns, key });
    }
    Ok(found)
}

/// A table's columns and its primary key, as they are now.
pub(crate) async fn described(
    session: &mut PgConnection,
    table: &str,
) -> Result<(Vec<Column>, Vec<String>), sqlx::Error> {
    let rows = sqlx::query(
        "SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                CASE WHEN s.nspname = 'pg_catalog' AND e.nspname IS NOT DISTINCT FROM CASE WHEN t.typelem <> 0 THEN 'pg_catalog' END
                          AND t.typtype IN ('b', 'r', 'm') AND t.typname !~ '^_?reg' THEN format_type(a.atttypid, a.atttypmod)
                     ELSE 'text' END,
                coalesce(a.attnum = ANY (k.indkey), false)
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace s ON s.oid = t.typnamespace
         LEFT JOIN pg_type et ON et.oid = t.typelem LEFT JOIN pg_namespace e ON e.oid = et.typnamespace
         LEFT JOIN pg_index k ON k.indrelid = a.attrelid AND k.indisprimary
         WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
         ORDER BY a.attnum",
    );
    let mut columns = Vec::new();
    let mut key = Vec::new();
    for row in rows.bind(table).fetch_all(session).await? {
        let name: String = row.try_get(0)?;
        if row.try_get(3)? {
            key.push(name.clone());
        }
        columns.push(Column { name, of: row.try_get(1)?, plain: row.try_get(2)? });
    }
    Ok((columns, key))
}
