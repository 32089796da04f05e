//! What the import has set aside, for a person: read only, as it stands in the database.
//!
//! It guarantees that asking changes nothing, and that a database without an import says so instead of saying "nothing".

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use sqlx::{PgConnection, Row};

use super::database;
use super::trouble::{Trouble, words};
use crate::run::Failure;

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// What it is known by: the profile's id, or a digest of what came.
    pub pulse_key: String,
    /// The profile's id, if it has one.
    pub pulse_id: Option<String>,
    /// Why, in words that are the same for all alike.
    pub reason: String,
    /// The value in question.
    pub detail: String,
    /// What the database called it, where it was the database that refused.
    pub sqlstate: Option<String>,
    /// When it was seen last.
    pub seen_at: DateTime<Utc>,
    /// The record as it came; cut where it was longer than a million bytes.
    pub raw: String,
}

/// Everything that is set aside, the most frequent reason first.
pub async fn quarantined(url: &SecretString) -> Result<Vec<Quarantined>, Failure> {
    let failed = |what: String| Failure {
        what: format!("what was set aside cannot be read: {what}"),
        state: "nothing was changed".into(),
        next: "run the import first; if it ran, look at the database".into(),
    };
    let mut database = match database::connect(url).await {
        Ok(database) => database,
        Err(Trouble::Failed(failure)) => return Err(failure),
        Err(Trouble::Lost(words)) => return Err(failed(words)),
        Err(Trouble::GivenUp) => return Err(failed("it was given up".into())),
    };
    read(&mut database).await.map_err(|error| failed(words(&error)))
}

async fn read(database: &mut PgConnection) -> Result<Vec<Quarantined>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT pulse_key, pulse_id, reason, detail, sqlstate, seen_at, raw FROM gonogo.import_rejects \
         ORDER BY count(*) OVER (PARTITION BY reason) DESC, reason, pulse_key",
    )
    .fetch_all(database)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Quarantined {
                pulse_key: row.try_get("pulse_key")?,
                pulse_id: row.try_get("pulse_id")?,
                reason: row.try_get("reason")?,
                detail: row.try_get("detail")?,
                sqlstate: row.try_get("sqlstate")?,
                seen_at: row.try_get("seen_at")?,
                raw: row.try_get("raw")?,
            })
        })
        .collect()
}
