//! A page into staging: checked, copied, counted, and its place noted, all in one transaction.
//!
//! It guarantees that a page is staged whole or not at all, that the latest reading of a profile wins, and that a profile
//! stands either in staging or among the rejects, never in both.

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::checkpoint::Checkpoint;
use super::profile::{self, Reject};
use crate::services::pulse::{BadProfile, Profile};

/// A page on its way to staging.
#[derive(Debug)]
pub(super) struct Batch {
    /// The profiles.
    pub(super) items: Vec<Result<Profile, BadProfile>>,
    /// What Pulse says there are.
    pub(super) total: Option<u64>,
    /// From where the next page is to be read.
    pub(super) next: u64,
}

/// Stages a page, and says how many of its profiles this round had not met before.
pub(super) async fn stage(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    batch: Batch,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let mut lines = String::with_capacity(batch.items.len() * 300);
    let (mut ids, mut rejects) = (Vec::new(), Vec::new());
    for (n, item) in batch.items.into_iter().enumerate() {
        match profile::read(item) {
            Ok(row) => {
                row.write(n, &mut lines);
                ids.push(row.pulse_id);
            }
            Err(reject) => rejects.push(reject),
        }
    }
    let mut next = checkpoint.clone();
    let mut transaction = database.begin().await?;
    if !ids.is_empty() {
        let mut copy = transaction.copy_in_raw("COPY gonogo_page FROM STDIN WITH (FORMAT csv)").await?;
        copy.send(lines.as_bytes()).await?;
        copy.finish().await?;
    }
    let (fresh, unknown): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE s.round IS DISTINCT FROM $1), count(*) FILTER (WHERE s.pulse_id IS NULL) \
         FROM (SELECT DISTINCT pulse_id FROM gonogo_page) p LEFT JOIN gonogo.pulse_staging s USING (pulse_id)",
    )
    .bind(next.round)
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query(include_str!("sql/stage.sql"))
        .bind(next.run)
        .bind(next.round)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM gonogo.import_rejects WHERE pulse_key = ANY ($1)")
        .bind(&ids)
        .execute(&mut *transaction)
        .await?;
    let keys: Vec<&str> = rejects.iter().map(|reject| reject.key.as_str()).collect();
    let refused: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT k) FROM unnest($1::text[]) k WHERE NOT EXISTS \
         (SELECT FROM gonogo.import_rejects r WHERE r.pulse_key = k AND r.run = $2 AND r.round = $3)",
    )
    .bind(&keys)
    .bind(next.run)
    .bind(next.round)
    .fetch_one(&mut *transaction)
    .await?;
    let gone = sqlx::query("DELETE FROM gonogo.pulse_staging WHERE pulse_id = ANY ($1)")
        .bind(&keys)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    for reject in &rejects {
        set_aside(&mut transaction, &next, reject, None, now).await?;
    }
    next.offset = batch.next;
    next.pages += 1;
    next.total = batch.total.or(next.total);
    next.staged = (next.staged + unknown.unsigned_abs()).saturating_sub(gone);
    next.save(&mut transaction).await?;
    transaction.commit().await?;
    *checkpoint = next;
    Ok(fresh.unsigned_abs() + refused.unsigned_abs())
}

/// Puts a profile among the rejects.
pub(super) async fn set_aside(
    database: &mut PgConnection,
    checkpoint: &Checkpoint,
    reject: &Reject,
    sqlstate: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO gonogo.import_rejects (pulse_key, pulse_id, reason, detail, sqlstate, raw, run, round, seen_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (pulse_key) DO UPDATE SET \
         reason = $3, detail = $4, sqlstate = $5, raw = $6, run = $7, round = $8, seen_at = $9",
    )
    .bind(&reject.key)
    .bind(&reject.pulse_id)
    .bind(&reject.reason)
    .bind(&reject.detail)
    .bind(sqlstate)
    .bind(&reject.raw)
    .bind(checkpoint.run)
    .bind(checkpoint.round)
    .bind(now)
    .execute(database)
    .await
    .map(drop)
}

/// The figures of the rejects and conflicts of this run: how many, and the reasons, most frequent first.
pub(super) async fn aside(
    database: &mut PgConnection,
    checkpoint: &Checkpoint,
) -> Result<(u64, u64, Vec<(String, u64)>), sqlx::Error> {
    let rows: Vec<(bool, String, i64)> = sqlx::query_as(
        "SELECT true, reason, count(*) FROM gonogo.import_rejects WHERE run = $1 GROUP BY reason \
         UNION ALL SELECT false, reason, count(*) FROM gonogo.import_conflicts WHERE run = $1 GROUP BY reason \
         ORDER BY 3 DESC, 2",
    )
    .bind(checkpoint.run)
    .fetch_all(database)
    .await?;
    let sum =
        |rejected: bool| rows.iter().filter(|row| row.0 == rejected).map(|row| row.2.unsigned_abs()).sum();
    let (quarantined, conflicts) = (sum(true), sum(false));
    Ok((quarantined, conflicts, rows.into_iter().map(|(_, reason, n)| (reason, n.unsigned_abs())).collect()))
}
