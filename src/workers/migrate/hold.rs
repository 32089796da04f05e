//! Does what a step made still hold? A step that the bookkeeping calls done is believed only as far as the catalogue agrees.

use sqlx::postgres::PgConnection;

use super::classify::Kind;
use super::define::definition;
use super::inspect::is_there;
use super::split::Statement;

/// Whether the catalogue shows what the statement made. What leaves no trace there is believed.
pub(crate) async fn holds(session: &mut PgConnection, statement: &Statement) -> Result<bool, sqlx::Error> {
    match &statement.shape.kind {
        Kind::CreateIndex { name: Some(name), table, .. } => {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                   WHERE i.indrelid = to_regclass($2) AND x.relname = (parse_ident($1))[cardinality(parse_ident($1))]
                     AND i.indisvalid AND i.indisready)",
            )
            .bind(&**name)
            .bind(&**table)
            .fetch_one(session)
            .await
        }
        Kind::CreateTable { name, .. } => is_there(session, name).await,
        Kind::Create { what, name, on, .. } => {
            Ok(definition(session, *what, name, on.as_ref()).await?.is_some())
        }
        Kind::CreateSchema { name, .. } => {
            sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL").bind(&**name).fetch_one(session).await
        }
        Kind::AlterTable { table, additions, validates, .. } => {
            let columns: Vec<&str> = additions.iter().map(|add| &*add.column).collect();
            let checks: Vec<&str> = validates.iter().map(|name| &**name).collect();
            sqlx::query_scalar(
                "SELECT NOT EXISTS (SELECT FROM unnest($2::text[]) AS w (name) WHERE NOT EXISTS (
                   SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND NOT a.attisdropped
                     AND a.attname = (parse_ident(w.name))[1]))
                 AND NOT EXISTS (SELECT FROM unnest($3::text[]) AS w (name) WHERE NOT EXISTS (
                   SELECT FROM pg_constraint c WHERE c.conrelid = to_regclass($1) AND c.convalidated
                     AND c.conname = (parse_ident(w.name))[1]))",
            )
            .bind(&**table)
            .bind(&columns)
            .bind(&checks)
            .fetch_one(session)
            .await
        }
        Kind::DropIndex { names, .. } | Kind::DropRelation { names, .. } => {
            for name in names {
                if is_there(session, name).await? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(true),
    }
}

/// Whether a later statement takes away or renames what this one made, so that its absence proves nothing.
pub(crate) fn undone_by(statement: &Statement, later: &Statement) -> bool {
    let name = match &statement.shape.kind {
        Kind::CreateIndex { name: Some(name), .. }
        | Kind::CreateTable { name, .. }
        | Kind::Create { name, .. }
        | Kind::CreateSchema { name, .. } => name,
        Kind::AlterTable { table, .. } => table,
        Kind::DropIndex { names, .. } | Kind::DropRelation { names, .. } => {
            return names.iter().any(|name| later.text.contains(bare(name)));
        }
        _ => return false,
    };
    let text = later.text.to_ascii_lowercase();
    let moves = ["drop", "rename", "set schema"].iter().any(|word| text.contains(word));
    moves && text.contains(&bare(name).to_ascii_lowercase())
}

fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
