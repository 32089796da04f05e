//! Fingerprints of rows: how many there are, and a hash over every value of every row, whatever their order. Equal on two
//! servers for equal values: what prints a value differently there is set alike in both sessions first.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::tables::{Column, list};
use crate::workers::migrate::database::run;

/// How values are written, so that two servers write them alike; `row_security` makes a filtered read an error.
pub(crate) const ALIKE: &str = "SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; \
    SET extra_float_digits = 1; SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET row_security = off; \
    SET client_encoding = 'UTF8'";

/// What rows come to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Print {
    /// How many.
    pub rows: i64,
    /// Over all their values.
    pub hash: String,
}

impl std::fmt::Display for Print {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows, fingerprint {}", self.rows, self.hash)
    }
}

/// Makes the session write values as [`ALIKE`] says.
pub(crate) async fn alike(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    run(session, ALIKE).await.map(drop)
}

/// The fingerprint of these columns of a table, or of anything that can stand after FROM.
pub(crate) async fn print(
    session: &mut PgConnection,
    table: &str,
    columns: &[Column],
) -> Result<Print, sqlx::Error> {
    let sql = format!(
        "SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0)::text FROM {table} AS t",
        list(columns)
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(session).await?;
    Ok(Print { rows: row.try_get(0)?, hash: row.try_get(1)? })
}
