//! The import's connections: named, and alone in their work on that database.
//!
//! It guarantees that two cockpits, or a job and a round of the sync, never merge into one database at the same time, that
//! nobody begins while a connection of a pass that was killed still finishes its last statement, and that the import never
//! holds the application up for long: it waits for a row no longer than its lock time-out. A dry run's session can write to
//! nothing but its own temporary tables.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use super::foresee;
use super::trouble::Trouble;

/// The key of the advisory lock of whoever imports: "gonogo" in ASCII.
const ALONE: i64 = 0x67_6f_6e_6f_67_6f;
/// The key that every connection which merges holds as well, shared.
const LANES: i64 = ALONE + 1;
// ALONE + 2 is whoever lays out the schema; it stands in sql/schema.sql and sql/history.sql.

const TABLES: &str = include_str!("sql/tables.sql");

/// Connects.
pub(super) async fn connect(url: &SecretString) -> Result<PgConnection, Trouble> {
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(|_| sqlx::Error::Configuration("unusable".into()))?
        .application_name("gonogo import")
        // Temporary tables go before the schema, which is how a dry run keeps to its own.
        .options([
            ("lock_timeout", "5s"),
            ("timezone", "UTC"),
            ("search_path", "gonogo"),
            // Staging grows from nothing to everybody: a plan that was kept from its first pages would read all of it for each page.
            ("plan_cache_mode", "force_custom_plan"),
        ])
        .disable_statement_logging();
    Ok(options.connect().await?)
}

/// Connects beside the first connection, for a part of the merge.
pub(super) async fn lane(url: &SecretString) -> Result<PgConnection, Trouble> {
    let mut database = connect(url).await?;
    sqlx::query("SELECT pg_advisory_lock_shared($1)").bind(LANES).execute(&mut database).await?;
    Ok(database)
}

/// Takes the lock that ends with the connection; false while another has it, or a part of an earlier merge lives on.
pub(super) async fn alone(database: &mut PgConnection) -> Result<bool, Trouble> {
    let alone: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(ALONE).fetch_one(&mut *database).await?;
    if !alone {
        return Ok(false);
    }
    let over: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LANES).fetch_one(&mut *database).await?;
    let release = if over { LANES } else { ALONE };
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(release).execute(database).await?;
    Ok(over)
}

/// Makes the import's tables where they are not there yet.
pub(super) async fn lay_out(database: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(include_str!("sql/schema.sql")).execute(&mut *database).await?;
    sqlx::raw_sql(TABLES).execute(database).await.map(drop)
}

/// Makes the same tables for this session alone, and then forbids it to write to any other. The server holds to that.
pub(super) async fn lay_out_dry(database: &mut PgConnection) -> Result<(), sqlx::Error> {
    let tables = TABLES
        .replace("CREATE UNLOGGED TABLE IF NOT EXISTS", "CREATE TEMP TABLE")
        .replace("CREATE TABLE IF NOT EXISTS", "CREATE TEMP TABLE");
    sqlx::raw_sql(AssertSqlSafe(tables)).execute(&mut *database).await?;
    foresee::lay_out(&mut *database).await?;
    sqlx::raw_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").execute(database).await.map(drop)
}
