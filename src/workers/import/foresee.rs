//! What the database would refuse, tried beforehand: every row that an import would write, by the import's own statements, into a
//! table of this session's own that has the checks, the types, the lengths and the unique keys of contacts.
//!
//! It guarantees that nothing which others see is written, locked or left to be vacuumed, that a row is found as the merge would find
//! it, by halving, and stands among this session's rejects with the same reason. Foreign keys and triggers are not in that table;
//! the contract check tries them.

use std::collections::VecDeque;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::checkpoint::Checkpoint;
use super::line::Line;
use super::plan::Range;
use super::progress::Teller;
use super::stage::Aside;
use super::trouble::{Trouble, is_about_rows};
use super::write::{SEPARATOR, refuse};

/// The table, made before the session may write to nothing else. It is empty after each transaction.
const TABLE: &str = "CREATE TEMP TABLE gonogo_trial (LIKE public.contacts INCLUDING CONSTRAINTS INCLUDING DEFAULTS \
     INCLUDING GENERATED INCLUDING INDEXES) ON COMMIT DELETE ROWS";

/// How many rows are tried at once: few enough that halving is cheap.
pub(super) const ROWS: u32 = 2_000;

/// Makes the table.
pub(super) async fn lay_out(database: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(TABLE).execute(database).await.map(drop)
}

/// Tries these ranges, and sets aside what is refused.
pub(super) async fn try_all(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    mut queue: VecDeque<Range>,
    line: Line<'_>,
    teller: &Teller<'_>,
) -> Result<(), Trouble> {
    let copy = copy(database).await?;
    let (mut done, all) = (0, queue.iter().map(|range| range.len()).sum());
    while let Some(range) = queue.pop_front() {
        line.edge().await?;
        match attempt(database, range, &copy).await {
            Ok(()) => {}
            Err(error) if is_about_rows(&error) => {
                if let Some([one, other]) = range.halves() {
                    queue.push_front(other);
                    queue.push_front(one);
                    continue;
                }
                let now = line.clock().now();
                refuse(database, (checkpoint.run, checkpoint.round), range, &error, now).await?;
                checkpoint.staged = checkpoint.staged.saturating_sub(1);
                checkpoint.aside = Aside::of(database, checkpoint.run).await?;
            }
            Err(error) => return Err(error.into()),
        }
        done += range.len();
        teller.done(done, Some(all), &checkpoint.totals());
    }
    Ok(())
}

/// How a contact comes into the table as it stands: without what the table computes by itself.
async fn copy(database: &mut PgConnection) -> Result<String, sqlx::Error> {
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(attname) FROM pg_catalog.pg_attribute \
         WHERE attrelid = 'public.contacts'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
    )
    .fetch_all(database)
    .await?;
    let of = |row: &str| columns.iter().map(|column| format!("{row}{column}")).collect::<Vec<_>>().join(", ");
    Ok(format!(
        "INSERT INTO gonogo_trial ({}) SELECT {} FROM public.contacts c JOIN pulse_plan p ON p.contact_id = c.id \
         WHERE p.n BETWEEN $1 AND $2 AND p.verdict = 'update'",
        of(""),
        of("c.")
    ))
}

async fn attempt(database: &mut PgConnection, range: Range, copy: &str) -> Result<(), sqlx::Error> {
    let Range { first, last } = range;
    let here = |sql: &str| AssertSqlSafe(sql.replace("public.contacts", "gonogo_trial"));
    let now = chrono::DateTime::UNIX_EPOCH;
    let mut transaction = database.begin().await?;
    sqlx::query(AssertSqlSafe(copy.to_owned())).bind(first).bind(last).execute(&mut *transaction).await?;
    sqlx::query(here(include_str!("sql/insert.sql")))
        .bind(first)
        .bind(last)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(here(include_str!("sql/update.sql")))
        .bind(first)
        .bind(last)
        .bind(now)
        .bind(SEPARATOR)
        .execute(&mut *transaction)
        .await?;
    transaction.rollback().await
}
