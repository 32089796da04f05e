//! A batch of pages into staging: copied, counted, and its place noted, all in one transaction.
//!
//! It guarantees that a batch is staged whole or not at all, that the latest reading of a profile wins, and that a profile
//! stands either in staging or among the rejects, never in both.

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::batch::Judged;
use super::checkpoint::{Checkpoint, Kind};
use super::profile::{self, Reject};

/// Stages a batch, and says how many of its profiles this round had not met before.
pub(super) async fn stage(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    batch: Judged,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let Judged { ids, lines, rejects, total, next: offset, pages } = batch;
    let mut next = checkpoint.clone();
    let mut transaction = database.begin().await?;
    // A server that crashes loses what is unlogged, and with it all that this commit says: it need not wait for the disk.
    // And its ids are looked up one by one: staging has no statistics from which a planner could know better.
    sqlx::raw_sql("SET LOCAL synchronous_commit = off; SET LOCAL enable_seqscan = off")
        .execute(&mut *transaction)
        .await?;
    // What an earlier page brought is replaced whole; in a first reading that is the one profile which neighbours share.
    let replaced: Vec<i32> =
        sqlx::query_scalar("DELETE FROM pulse_staging WHERE pulse_id = ANY ($1) RETURNING round")
            .bind(&ids)
            .fetch_all(&mut *transaction)
            .await?;
    let unknown = ids.len() - replaced.len();
    let fresh = ids.len() - replaced.iter().filter(|round| **round == next.round).count();
    copy(&mut transaction, &lines).await?;
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
    next.offset = offset;
    next.pages += u64::from(pages);
    next.total = total.or(next.total);
    next.staged += unknown as u64;
    let refused = reject(&mut transaction, &mut next, &rejects, now).await?;
    next.save(&mut transaction).await?;
    transaction.commit().await?;
    if mended > 0 || !rejects.is_empty() {
        next.aside = Aside::of(database, next.run).await?;
    }
    *checkpoint = next;
    Ok(fresh as u64 + refused)
}

async fn copy(transaction: &mut PgConnection, lines: &str) -> Result<(), sqlx::Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut copy = transaction
        .copy_in_raw(&format!("COPY pulse_staging ({}) FROM STDIN WITH (FORMAT csv)", profile::COLUMNS))
        .await?;
    copy.send(lines.as_bytes()).await?;
    copy.finish().await.map(drop)
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
