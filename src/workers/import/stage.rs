//! A page into staging: checked, copied, counted, and its place noted, all in one transaction.
//!
//! It guarantees that a page is staged whole or not at all, that the latest reading of a profile wins, and that a profile
//! stands either in staging or among the rejects, never in both.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::checkpoint::{Checkpoint, Kind};
use super::profile::{self, Reject, Row};
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
    let (mut rows, mut rejects) = (Vec::with_capacity(batch.items.len()), Vec::new());
    for item in batch.items {
        match profile::read(item) {
            Ok(row) => rows.push(row),
            Err(reject) => rejects.push(reject),
        }
    }
    let rows = latest(rows);
    let ids: Vec<&str> = rows.iter().map(|row| row.pulse_id.as_str()).collect();
    let mut next = checkpoint.clone();
    let mut transaction = database.begin().await?;
    // A server that crashes loses what is unlogged, and with it all that this commit says: it need not wait for the disk.
    sqlx::raw_sql("SET LOCAL synchronous_commit = off").execute(&mut *transaction).await?;
    let (known, met): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE round = $2) FROM pulse_staging WHERE pulse_id = ANY ($1)",
    )
    // Planned anew for each page: a plan kept from the first ones would read all of staging for each later one.
    .persistent(false)
    .bind(&ids)
    .bind(next.round)
    .fetch_one(&mut *transaction)
    .await?;
    let count = ids.len() as u64;
    let (unknown, fresh) = (count - known.unsigned_abs(), count - met.unsigned_abs());
    copy(&mut transaction, &rows, known, (next.run, next.round)).await?;
    // What is judged again stays where it is until it is merged: it stands nowhere else.
    let mended = if next.kind == Kind::Retry {
        0
    } else {
        sqlx::query("DELETE FROM import_rejects WHERE pulse_key = ANY ($1)")
            .bind(&ids)
            .execute(&mut *transaction)
            .await?
            .rows_affected()
    };
    next.offset = batch.next;
    next.pages += 1;
    next.total = batch.total.or(next.total);
    next.staged += unknown;
    let refused = reject(&mut transaction, &mut next, &rejects, now).await?;
    next.save(&mut transaction).await?;
    transaction.commit().await?;
    if mended > 0 || !rejects.is_empty() {
        next.aside = Aside::of(database, next.run).await?;
    }
    *checkpoint = next;
    Ok(fresh + refused)
}

/// Each profile once, as it was read last.
fn latest(rows: Vec<Row>) -> Vec<Row> {
    let mut met = HashSet::with_capacity(rows.len());
    let mut kept: Vec<Row> = rows.into_iter().rev().filter(|row| met.insert(row.pulse_id.clone())).collect();
    kept.reverse();
    kept
}

/// Copies rows into staging. A page of which nothing is `known` there, which in a first reading is every page, goes straight in;
/// any other replaces what it finds.
async fn copy(
    transaction: &mut PgConnection,
    rows: &[Row],
    known: i64,
    (run, round): (Uuid, i32),
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut lines = String::with_capacity(rows.len() * 400);
    for row in rows {
        row.write(run, round, &mut lines);
    }
    let table = if known == 0 { "pulse_staging" } else { "gonogo_page" };
    let mut copy = transaction
        .copy_in_raw(&format!("COPY {table} ({}) FROM STDIN WITH (FORMAT csv)", profile::COLUMNS))
        .await?;
    copy.send(lines.as_bytes()).await?;
    copy.finish().await?;
    if known > 0 {
        sqlx::query(include_str!("sql/stage.sql")).execute(transaction).await?;
    }
    Ok(())
}

/// Puts profiles among the rejects, and says how many of them this round had not met before.
async fn reject(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    rejects: &[Reject],
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    if rejects.is_empty() {
        return Ok(0);
    }
    let keys: Vec<&str> = rejects.iter().map(|reject| reject.key.as_str()).collect();
    let refused: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT k) FROM unnest($1::text[]) k WHERE NOT EXISTS \
         (SELECT FROM import_rejects r WHERE r.pulse_key = k AND r.run = $2 AND r.round = $3)",
    )
    .bind(&keys)
    .bind(checkpoint.run)
    .bind(checkpoint.round)
    .fetch_one(&mut *database)
    .await?;
    let gone = sqlx::query("DELETE FROM pulse_staging WHERE pulse_id = ANY ($1)")
        .bind(&keys)
        .execute(&mut *database)
        .await?
        .rows_affected();
    for reject in rejects {
        set_aside(database, (checkpoint.run, checkpoint.round), reject, None, now).await?;
    }
    checkpoint.staged = checkpoint.staged.saturating_sub(gone);
    Ok(refused.unsigned_abs())
}

/// Puts a profile among the rejects.
pub(super) async fn set_aside(
    database: &mut PgConnection,
    (run, round): (Uuid, i32),
    reject: &Reject,
    sqlstate: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO import_rejects (pulse_key, pulse_id, reason, detail, sqlstate, raw, run, round, seen_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (pulse_key) DO UPDATE SET \
         reason = $3, detail = $4, sqlstate = $5, raw = $6, run = $7, round = $8, seen_at = $9",
    )
    .bind(&reject.key)
    .bind(&reject.pulse_id)
    .bind(&reject.reason)
    .bind(&reject.detail)
    .bind(sqlstate)
    .bind(&reject.raw)
    .bind(run)
    .bind(round)
    .bind(now)
    .execute(database)
    .await
    .map(drop)
}

/// What of this run was set aside, and what a person must decide on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Aside {
    pub(super) quarantined: u64,
    pub(super) conflicts: u64,
    /// Why the ones were set aside, most frequent first.
    pub(super) reasons: Vec<(String, u64)>,
    /// Why the others are a person's to decide.
    pub(super) doubts: Vec<(String, u64)>,
}

impl Aside {
    /// Counts it.
    pub(super) async fn of(database: &mut PgConnection, run: Uuid) -> Result<Self, sqlx::Error> {
        let rows: Vec<(bool, String, i64)> = sqlx::query_as(
            "SELECT true, reason, count(*) FROM import_rejects WHERE run = $1 GROUP BY reason \
             UNION ALL SELECT false, reason, count(*) FROM import_conflicts WHERE run = $1 GROUP BY reason \
             ORDER BY 3 DESC, 2",
        )
        .bind(run)
        .fetch_all(database)
        .await?;
        let (aside, doubt): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.0);
        let said = |rows: Vec<(bool, String, i64)>| -> Vec<(String, u64)> {
            rows.into_iter().map(|(_, reason, n)| (reason, n.unsigned_abs())).collect()
        };
        let sum = |said: &[(String, u64)]| said.iter().map(|(_, n)| n).sum();
        let (reasons, doubts) = (said(aside), said(doubt));
        Ok(Self { quarantined: sum(&reasons), conflicts: sum(&doubts), reasons, doubts })
    }
}
