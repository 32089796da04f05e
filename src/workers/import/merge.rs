//! Staging into contacts and mappings: set by set, in the order of keys, each set one transaction with its checkpoint.
//!
//! It guarantees that a kill anywhere leaves whole sets only, that no contact is made twice, and that a row which the
//! database refuses against all expectation is found by halving and set aside alone. The rules are in `sql/`.

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::checkpoint::Checkpoint;
use super::line::Line;
use super::profile;
use super::progress::Teller;
use super::stage::{aside, set_aside};
use super::trouble::{Trouble, is_about_rows, words};
use crate::run::job::ImportTotals;

/// What stands between a contact's notes and those of Pulse.
pub(super) const SEPARATOR: &str = "\n\n--- Pulse ---\n";

const GUARDS: [&str; 2] = [
    // Someone may have typed the person in since the addresses were looked up.
    "UPDATE gonogo.pulse_staging s SET verdict = 'conflict', reason = 'a contact with this address was added here meanwhile', \
     rivals = ARRAY(SELECT c.id FROM public.contacts c WHERE c.email IN (s.email, s.email_key) LIMIT 10) \
     WHERE s.pulse_id = ANY ($1) AND s.verdict = 'insert' AND s.email IS NOT NULL \
     AND EXISTS (SELECT FROM public.contacts c WHERE c.email IN (s.email, s.email_key))",
    "UPDATE gonogo.pulse_staging s SET verdict = 'conflict', reason = 'the contact it was merged into is not here any more' \
     WHERE s.pulse_id = ANY ($1) AND s.verdict = 'update' \
     AND NOT EXISTS (SELECT FROM public.contacts c WHERE c.id = s.contact_id)",
];

const CONFLICTS: &str = "INSERT INTO gonogo.import_conflicts (pulse_id, email_key, reason, contacts, profile, run, seen_at) \
     SELECT s.pulse_id, s.email_key, s.reason, s.rivals, \
            to_jsonb(s) - ARRAY['run', 'round', 'verdict', 'reason', 'contact_id', 'rivals', 'done'], $3, $2 \
     FROM gonogo.pulse_staging s WHERE s.pulse_id = ANY ($1) AND s.verdict = 'conflict' \
     ON CONFLICT (pulse_id) DO UPDATE SET email_key = EXCLUDED.email_key, reason = EXCLUDED.reason, \
     contacts = EXCLUDED.contacts, profile = EXCLUDED.profile, run = EXCLUDED.run, seen_at = EXCLUDED.seen_at";

/// Merges everything that is staged and not merged yet, `set` rows in a transaction.
pub(super) async fn merge(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    line: Line<'_>,
    teller: &Teller<'_>,
    set: i64,
) -> Result<(), Trouble> {
    teller.waiting("matching profiles with contacts".into());
    sqlx::raw_sql("ANALYZE gonogo.pulse_staging").execute(&mut *database).await?;
    sqlx::query(include_str!("sql/resolve.sql")).execute(&mut *database).await?;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM gonogo.pulse_staging WHERE NOT done")
        .fetch_one(&mut *database)
        .await?;
    let total = checkpoint.staged;
    let mut done = total.saturating_sub(left.unsigned_abs());
    let mut after = String::new();
    loop {
        line.edge().await?;
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT pulse_id FROM gonogo.pulse_staging WHERE NOT done AND pulse_id > $1 ORDER BY pulse_id LIMIT $2",
        )
        .bind(&after)
        .bind(set)
        .fetch_all(&mut *database)
        .await?;
        let Some(last) = ids.last() else { return Ok(()) };
        after.clone_from(last);
        done += u64::try_from(ids.len()).unwrap_or_default();
        halve(database, checkpoint, ids, line).await?;
        teller.done(done, Some(total), &totals(database, checkpoint).await?);
    }
}

/// Merges a set; one that is refused, in halves, until the row that is to blame stands alone.
async fn halve(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    ids: Vec<String>,
    line: Line<'_>,
) -> Result<(), Trouble> {
    let mut sets = vec![ids];
    while let Some(mut ids) = sets.pop() {
        let now = line.clock().now();
        let error = match write(database, checkpoint, &ids, now).await {
            Ok(()) => continue,
            Err(error) if is_about_rows(&error) => error,
            Err(error) => return Err(error.into()),
        };
        if ids.len() > 1 {
            let second = ids.split_off(ids.len() / 2);
            sets.push(second);
            sets.push(ids);
        } else if let Some(id) = ids.pop() {
            refuse(database, checkpoint, &id, &error, now).await?;
        }
    }
    Ok(())
}

async fn write(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    ids: &[String],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let mut next = checkpoint.clone();
    let mut transaction = database.begin().await?;
    // In the order of keys, so that two who lock several never wait for each other in a ring.
    sqlx::query(
        "SELECT FROM public.contacts c JOIN gonogo.pulse_staging s ON s.contact_id = c.id \
         WHERE s.pulse_id = ANY ($1) AND s.verdict = 'update' ORDER BY c.id FOR UPDATE OF c",
    )
    .bind(ids)
    .execute(&mut *transaction)
    .await?;
    for guard in GUARDS {
        sqlx::query(guard).bind(ids).execute(&mut *transaction).await?;
    }
    let imported = sqlx::query(include_str!("sql/insert.sql"))
        .bind(ids)
        .bind(now)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    let updated = sqlx::query(include_str!("sql/update.sql"))
        .bind(ids)
        .bind(now)
        .bind(SEPARATOR)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    sqlx::query(include_str!("sql/map.sql")).bind(ids).bind(now).execute(&mut *transaction).await?;
    sqlx::query(CONFLICTS).bind(ids).bind(now).bind(next.run).execute(&mut *transaction).await?;
    sqlx::query(
        "DELETE FROM gonogo.import_conflicts f USING gonogo.pulse_staging s \
         WHERE s.pulse_id = ANY ($1) AND s.verdict <> 'conflict' AND f.pulse_id = s.pulse_id",
    )
    .bind(ids)
    .execute(&mut *transaction)
    .await?;
    let unchanged: i64 = sqlx::query_scalar(
        "WITH over AS (UPDATE gonogo.pulse_staging SET done = true WHERE pulse_id = ANY ($1) RETURNING verdict) \
         SELECT count(*) FROM over WHERE verdict = 'unchanged'",
    )
    .bind(ids)
    .fetch_one(&mut *transaction)
    .await?;
    next.imported += imported;
    next.updated += updated;
    next.unchanged += unchanged.unsigned_abs();
    next.save(&mut transaction).await?;
    transaction.commit().await?;
    *checkpoint = next;
    Ok(())
}

/// Sets a row aside that passed every check of ours and was refused all the same.
async fn refuse(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    id: &str,
    error: &sqlx::Error,
    now: DateTime<Utc>,
) -> Result<(), Trouble> {
    let mut next = checkpoint.clone();
    let mut transaction = database.begin().await?;
    let raw: String = sqlx::query_scalar(
        "DELETE FROM gonogo.pulse_staging s WHERE pulse_id = $1 RETURNING to_jsonb(s)::text",
    )
    .bind(id)
    .fetch_one(&mut *transaction)
    .await?;
    let constraint = error.as_database_error().and_then(|database| database.constraint());
    let reason = match constraint {
        Some(constraint) => format!("the database refused it: {constraint}"),
        None => "the database refused it".to_owned(),
    };
    let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let reject = profile::refused(Some(id.to_owned()), &reason, &words(error), &raw);
    set_aside(&mut transaction, &next, &reject, state.as_deref(), now).await?;
    next.staged = next.staged.saturating_sub(1);
    next.save(&mut transaction).await?;
    transaction.commit().await?;
    *checkpoint = next;
    Ok(())
}

/// The figures so far.
pub(super) async fn totals(
    database: &mut PgConnection,
    checkpoint: &Checkpoint,
) -> Result<ImportTotals, sqlx::Error> {
    let (quarantined, conflicts, reasons) = aside(database, checkpoint).await?;
    Ok(ImportTotals {
        total: checkpoint.total.unwrap_or(checkpoint.staged + quarantined),
        fetched: checkpoint.staged + quarantined,
        imported: checkpoint.imported,
        updated: checkpoint.updated,
        unchanged: checkpoint.unchanged,
        quarantined,
        conflicts,
        reasons,
    })
}
