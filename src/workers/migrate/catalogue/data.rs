//! What a table holds, as a number that any order of its rows and any server gives alike. It reads rows and tells none.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::workers::migrate::database::run;

/// Rows and their hash.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint {
    /// How many rows.
    pub rows: u64,
    /// Over every value of the chosen columns; equal for equal rows in any order.
    pub hash: String,
}

/// How values are written must not depend on a server's or a role's settings.
const WRITTEN: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; \
                       SET extra_float_digits = 1; SET bytea_output = 'hex'";

/// Over all columns of a table, by its full name as SQL writes it. Sets for this session how values are written.
pub async fn fingerprint(session: &mut PgConnection, table: &str) -> Result<Fingerprint, sqlx::Error> {
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1",
    )
    .bind(table)
    .fetch_all(&mut *session)
    .await?;
    fingerprint_of(session, table, &columns).await
}

/// Over these columns alone, in this order; names as they are, not quoted.
pub async fn fingerprint_of(
    session: &mut PgConnection,
    table: &str,
    columns: &[String],
) -> Result<Fingerprint, sqlx::Error> {
    run(session, WRITTEN).await?;
    let columns: Vec<String> =
        columns.iter().map(|name| format!("t.\"{}\"", name.replace('"', "\"\""))).collect();
    let sql = format!(
        "SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0)::text FROM ONLY {table} AS t",
        columns.join(", ")
    );
    let row = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(session).await?;
    Ok(Fingerprint { rows: u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0), hash: row.try_get(1)? })
}
