//! One range of the plan into contacts and mappings, in one transaction with its mark that it is done; and the before-images
//! that migration 001's way back needs.
//!
//! It guarantees that a range is written whole, with its mark, or not at all; that whoever locks several contacts locks them
//! in the order of their keys; and that no contact of the application's is written without its image from before. The rules
//! of the merge are SQL in `sql/`.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqlSafeStr, SqlStr};
use uuid::Uuid;

use super::checkpoint::bigint;
use super::plan::Range;
use super::profile;
use super::stage::set_aside;
use super::trouble::words;

/// What stands between a contact's notes and those of Pulse.
pub(super) const SEPARATOR: &str = "\n\n--- Pulse ---\n";

/// The fields of migration 001, and the key: what its before-images do not hold.
const NOT_NOTED: [&str; 16] = [
    "id",
    "pulse_profile_id",
    "relationship_score",
    "relationship_trend",
    "last_interaction_date",
    "total_interactions",
    "preferred_channel",
    "communication_frequency",
    "pulse_tags",
    "pulse_notes",
    "is_favorite",
    "is_blocked",
    "is_vip",
    "pulse_last_synced_at",
    "pulse_sync_status",
    "pulse_sync_error",
];

const GUARDS: [&str; 2] = [
    // Someone may have typed the person in since the addresses were looked up.
    "UPDATE pulse_plan p SET verdict = 'conflict', reason = 'a contact with this address was added here meanwhile', \
     rivals = ARRAY(SELECT c.id FROM public.contacts c WHERE c.email = ANY (ARRAY[p.email, p.email_key]) LIMIT 10) \
     WHERE p.n BETWEEN $1 AND $2 AND p.verdict = 'insert' AND p.email IS NOT NULL \
     AND EXISTS (SELECT FROM public.contacts c WHERE c.email = ANY (ARRAY[p.email, p.email_key]))",
    "UPDATE pulse_plan p SET verdict = 'conflict', reason = 'the contact it was merged into is not here any more' \
     WHERE p.n BETWEEN $1 AND $2 AND p.verdict = 'update' \
     AND NOT EXISTS (SELECT FROM public.contacts c WHERE c.id = p.contact_id)",
];

/// The statements that write contacts.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    insert: SqlStr,
    update: SqlStr,
    aside: &'static str,
}

/// What a range came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) imported: u64,
    pub(super) updated: u64,
    pub(super) both: u64,
    pub(super) conflicts: u64,
}

impl Writer {
    /// Finds out who takes the before-images. 001's triggers take them a row at a time, which costs more than the contact
    /// itself; where they stand aside for the import, it takes them a set at a time.
    pub(super) async fn of(database: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let stand_aside: bool = sqlx::query_scalar(
            "SELECT count(*) = 2 FROM pg_catalog.pg_trigger WHERE tgrelid = 'public.contacts'::regclass AND tgenabled <> 'D' \
             AND tgname IN ('contacts_note_sync_insert', 'contacts_note_sync_update') \
             AND strpos(pg_get_triggerdef(oid), 'gonogo.noted') > 0",
        )
        .fetch_one(&mut *database)
        .await?;
        let (insert, update) = (include_str!("sql/insert.sql"), include_str!("sql/update.sql"));
        if !stand_aside {
            return Ok(Self {
                insert: AssertSqlSafe(format!("WITH made AS ({insert}) SELECT count(*) FROM made"))
                    .into_sql_str(),
                update: AssertSqlSafe(format!("WITH made AS ({update}) {SUM}")).into_sql_str(),
                aside: "SELECT",
            });
        }
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT quote_ident(attname) FROM pg_catalog.pg_attribute \
             WHERE attrelid = 'public.contacts'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL ($1) ORDER BY attnum",
        )
        .bind(NOT_NOTED)
        .fetch_all(database)
        .await?;
        let of =
            |row: &str| columns.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ");
        let noted = |sql: &str| sql.replace("{columns}", &of("c")).replace("{before}", &of("b"));
        let insert = format!(
            "WITH made AS ({insert}), noted AS ({}) SELECT count(*) FROM made",
            noted(include_str!("sql/insert_noted.sql"))
        );
        let update = format!(
            "WITH made AS ({update}), noted AS ({}) {SUM}",
            noted(include_str!("sql/update_noted.sql"))
        );
        Ok(Self {
            insert: AssertSqlSafe(insert).into_sql_str(),
            update: AssertSqlSafe(update).into_sql_str(),
            aside: "SET LOCAL gonogo.noted = 'by the import'",
        })
    }

    /// Writes a range.
    pub(super) async fn write(
        &self,
        database: &mut PgConnection,
        run: Uuid,
        range: Range,
        now: DateTime<Utc>,
    ) -> Result<Written, sqlx::Error> {
        let Range { first, last } = range;
        let mut transaction = database.begin().await?;
        sqlx::raw_sql(self.aside).execute(&mut *transaction).await?;
        let updates = sqlx::query(
            "SELECT FROM public.contacts c JOIN pulse_plan p ON p.contact_id = c.id \
             WHERE p.n BETWEEN $1 AND $2 AND p.verdict = 'update' ORDER BY c.id FOR UPDATE OF c",
        )
        .bind(first)
        .bind(last)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        for guard in GUARDS {
            sqlx::query(guard).bind(first).bind(last).execute(&mut *transaction).await?;
        }
        let imported: i64 = sqlx::query_scalar(self.insert.clone())
            .bind(first)
            .bind(last)
            .bind(now)
            .fetch_one(&mut *transaction)
            .await?;
        sqlx::query(include_str!("sql/map_new.sql"))
            .bind(first)
            .bind(last)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        let (updated, both): (i64, i64) = if updates == 0 {
            (0, 0)
        } else {
            let written = sqlx::query_as(self.update.clone())
                .bind(first)
                .bind(last)
                .bind(now)
                .bind(SEPARATOR)
                .fetch_one(&mut *transaction)
                .await?;
            sqlx::query(include_str!("sql/map.sql"))
                .bind(first)
                .bind(last)
                .bind(now)
                .bind(["update"])
                .execute(&mut *transaction)
                .await?;
            written
        };
        let conflicts = sqlx::query(include_str!("sql/conflicts.sql"))
            .bind(first)
            .bind(last)
            .bind(now)
            .bind(run)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        let written = Written {
            imported: imported.unsigned_abs(),
            updated: updated.unsigned_abs(),
            both: both.unsigned_abs(),
            conflicts,
        };
        mark(&mut transaction, run, range, range.len(), written).await?;
        transaction.commit().await?;
        Ok(written)
    }
}

const SUM: &str = "SELECT count(*), count(*) FILTER (WHERE both_changed) FROM made";

/// Marks a range as done, within whatever transaction is open.
async fn mark(
    database: &mut PgConnection,
    run: Uuid,
    range: Range,
    rows: u64,
    written: Written,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO import_batches (run, first_n, last_n, rows, imported, updated, both_changed) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(run)
    .bind(range.first)
    .bind(range.last)
    .bind(bigint(rows))
    .bind(bigint(written.imported))
    .bind(bigint(written.updated))
    .bind(bigint(written.both))
    .execute(database)
    .await
    .map(drop)
}

/// Sets the one row of a range aside, which passed every check of ours and was refused by the database all the same.
pub(super) async fn refuse(
    database: &mut PgConnection,
    (run, round): (Uuid, i32),
    range: Range,
    error: &sqlx::Error,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let mut transaction = database.begin().await?;
    let row =
        sqlx::query(include_str!("sql/refused.sql")).bind(range.first).fetch_one(&mut *transaction).await?;
    let (id, raw): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    sqlx::query("DELETE FROM pulse_staging WHERE pulse_id = $1").bind(&id).execute(&mut *transaction).await?;
    sqlx::query("UPDATE import_state SET staged = staged - 1 WHERE run = $1")
        .bind(run)
        .execute(&mut *transaction)
        .await?;
    let constraint = error.as_database_error().and_then(|database| database.constraint());
    let reason = match constraint {
        Some(constraint) => format!("the database refused it: {constraint}"),
        None => "the database refused it".to_owned(),
    };
    let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let reject = profile::refused(Some(id), &reason, &words(error), &raw);
    set_aside(&mut transaction, (run, round), &reject, state.as_deref(), now).await?;
    mark(&mut transaction, run, range, 0, Written::default()).await?;
    transaction.commit().await
}
