//! The import's connection: one, named, and alone in its work on that database.
//!
//! It guarantees that two cockpits, or a job and a round of the sync, never merge into one database at the same time,
//! and that the import never holds the application up for long: it waits for a row no longer than its lock time-out.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use super::trouble::Trouble;

/// The key of the advisory lock: "gonogo" in ASCII.
const ALONE: i64 = 0x67_6f_6e_6f_67_6f;

/// Connects.
pub(super) async fn connect(url: &SecretString) -> Result<PgConnection, Trouble> {
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(|_| sqlx::Error::Configuration("unusable".into()))?
        .application_name("gonogo import")
        .options([("lock_timeout", "5s"), ("timezone", "UTC")])
        .disable_statement_logging();
    Ok(options.connect().await?)
}

/// Takes the lock that ends with the connection; false while another has it.
pub(super) async fn alone(database: &mut PgConnection) -> Result<bool, Trouble> {
    Ok(sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(ALONE).fetch_one(database).await?)
}
