//! What down migrations set aside, put back after they were applied again. How it is put back is the migration's knowledge: its down
//! file writes a line with the SQL into `gonogo_backup.set_aside`; here it is run, in order, in one transaction, and may be run again.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::refused;
use crate::run::job::Failure;
use crate::workers::migrate::backup::print::alike;
use crate::workers::migrate::backup::proof::broke;
use crate::workers::migrate::book::{Book, State};
use crate::workers::migrate::database::{Database, run};

/// Something that a down migration set aside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Aside {
    /// The migration, as its down file calls it.
    pub migration: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The table that holds it.
    pub relation: String,
    /// Rows in it.
    pub rows: i64,
    /// When it was last put back; none if it was not.
    pub put_back_at: Option<DateTime<Utc>>,
    #[serde(skip)]
    sql: String,
}

/// What was set aside last by each migration, in the order of the migrations.
pub async fn asides(db: &Database) -> Result<Vec<Aside>, Failure> {
    let mut session = db.session("restore").await?;
    read(&mut session).await
}

async fn read(session: &mut PgConnection) -> Result<Vec<Aside>, Failure> {
    let failed = |e: &sqlx::Error| broke("reading gonogo_backup.set_aside", e);
    let there: bool = sqlx::query_scalar("SELECT to_regclass('gonogo_backup.set_aside') IS NOT NULL")
        .fetch_one(&mut *session)
        .await
        .map_err(|e| failed(&e))?;
    if !there {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT DISTINCT ON (migration) migration, set_aside_at, relation, put_back_at, put_back FROM gonogo_backup.set_aside
         ORDER BY migration, set_aside_at DESC",
    );
    let rows = rows.fetch_all(&mut *session).await.map_err(|e| failed(&e))?;
    let mut found = Vec::new();
    for row in rows {
        let one = |row: &sqlx::postgres::PgRow| {
            Ok::<_, sqlx::Error>(Aside {
                migration: row.try_get(0)?,
                at: row.try_get(1)?,
                relation: row.try_get(2)?,
                rows: 0,
                put_back_at: row.try_get(3)?,
                sql: row.try_get(4)?,
            })
        };
        let mut aside = one(&row).map_err(|e| failed(&e))?;
        let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(&aside.relation)
            .fetch_one(&mut *session)
            .await
            .map_err(|e| failed(&e))?;
        if !there {
            return Err(refused(
                format!(
                    "{} of {} was set aside in {}, which is gone",
                    aside.migration, aside.at, aside.relation
                ),
                "bring that table back, or take its line out of gonogo_backup.set_aside",
            ));
        }
        let sql = format!("SELECT count(*) FROM {}", aside.relation);
        aside.rows = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut *session)
            .await
            .map_err(|e| failed(&e))?;
        found.push(aside);
    }
    Ok(found)
}

/// Puts back what was set aside last. Answers with a line per migration; a second time there is nothing left to do.
pub async fn put_back(db: &Database) -> Result<Vec<String>, Failure> {
    let mut session = db.session("restore").await?;
    let found = read(&mut session).await?;
    if found.is_empty() {
        return Err(refused(
            "no rollback has set anything aside here".into(),
            "see migrate restore list for the backups",
        ));
    }
    let book = Book::read(&mut session).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    for aside in &found {
        let applied = aside.migration.parse().is_ok_and(|number: u64| {
            book.entries.get(&number).is_some_and(|entry| entry.state == State::Verified)
        });
        if !applied {
            return Err(refused(
                format!(
                    "migration {} is not applied and proven, so what it set aside has no place",
                    aside.migration
                ),
                "run migrate up first",
            ));
        }
    }
    // Values are compared as JSON, which writes times as the session does.
    alike(&mut session).await.map_err(|e| broke("making the session ready", &e))?;
    run(&mut session, "BEGIN; SET LOCAL lock_timeout = '5s'").await.map_err(|e| broke("beginning", &e))?;
    let mut said = Vec::new();
    for aside in &found {
        let doing = format!("putting back what {} set aside in {}", aside.migration, aside.relation);
        let ran = sqlx::raw_sql(sqlx::AssertSqlSafe(aside.sql.clone())).fetch_all(&mut session).await;
        let rows = ran.map_err(|error| Failure {
            state: "all of it was rolled back: nothing was put back".into(),
            ..broke(&doing, &error)
        })?;
        // Of its statements one answers, with how many rows it wrote.
        let done = rows.first().and_then(|row| row.try_get::<i64, _>(0).ok()).unwrap_or(0);
        sqlx::query("UPDATE gonogo_backup.set_aside SET put_back_at = now() WHERE migration = $1 AND set_aside_at = $2")
            .bind(&aside.migration)
            .bind(aside.at)
            .execute(&mut session)
            .await
            .map_err(|e| broke(&doing, &e))?;
        said.push(format!(
            "{}: {done} rows written from {} ({} rows)",
            aside.migration, aside.relation, aside.rows
        ));
    }
    run(&mut session, "COMMIT").await.map_err(|e| broke("ending the restore", &e))?;
    Ok(said)
}
