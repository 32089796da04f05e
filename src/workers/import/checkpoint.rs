//! Where a pass is, as the database has it: written in the transaction whose work it records.
//!
//! It guarantees that a pass goes on only on its own staging, complete, over the mapping table that it began with; any
//! doubt starts it over, which costs time and never a contact.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use super::trouble::Trouble;
use crate::run::Failure;

/// How long a checkpoint may lie before the beginning is read again.
const KEEPS: TimeDelta = TimeDelta::hours(24);
/// How far back a reading of changes goes beyond the moment it continues from: clocks differ, and writes take time.
pub(super) const OVERLAP: TimeDelta = TimeDelta::minutes(2);

/// Which pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everything.
    Import,
    /// What changed.
    Sync,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Sync => "sync",
        }
    }
}

/// How far a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Reading page after page.
    Fetching,
    /// Reading what changed meanwhile.
    Sweeping,
    /// Writing contacts.
    Merging,
}

impl Phase {
    const fn word(self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::Sweeping => "sweeping",
            Self::Merging => "merging",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::Fetching, Self::Sweeping, Self::Merging].into_iter().find(|phase| phase.word() == word)
    }
}

/// Where a pass is.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) kind: Kind,
    pub(super) run: Uuid,
    pub(super) phase: Phase,
    pub(super) started: DateTime<Utc>,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) round: i32,
    pub(super) offset: u64,
    pub(super) pages: u64,
    pub(super) staged: u64,
    pub(super) total: Option<u64>,
    pub(super) imported: u64,
    pub(super) updated: u64,
    pub(super) unchanged: u64,
}

fn count(row: &sqlx::postgres::PgRow, name: &str) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default())
}

/// A count as the database holds it.
pub(super) fn bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Makes the import's own tables, and says whether the schema is the one that it writes to: the mapping table's number.
async fn prepare(database: &mut PgConnection) -> Result<i64, Trouble> {
    let ready: Option<i64> = sqlx::query_scalar(
        "SELECT to_regclass('public.entity_mappings')::oid::bigint \
         WHERE EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('public.contacts') \
                       AND attname = 'pulse_last_synced_at' AND NOT attisdropped)",
    )
    .fetch_optional(&mut *database)
    .await?
    .flatten();
    let mappings = ready.ok_or_else(|| Failure {
        what: "the database has no Pulse fields on contacts, or no entity_mappings".into(),
        state: "nothing was read and nothing was written".into(),
        next: "run migrations 001 to 003 first".into(),
    })?;
    sqlx::raw_sql(include_str!("sql/schema.sql")).execute(database).await?;
    Ok(mappings)
}

/// Goes on with the pass that was left, or begins one.
pub(super) async fn open(
    database: &mut PgConnection,
    kind: Kind,
    now: DateTime<Utc>,
) -> Result<Checkpoint, Trouble> {
    let mappings = prepare(database).await?;
    if kind == Kind::Import
        && let Some(found) = resumable(database, mappings, now).await?
    {
        return Ok(found);
    }
    let since = match kind {
        Kind::Import => None,
        Kind::Sync => Some(watermark(database).await? - OVERLAP),
    };
    let run = Uuid::new_v4();
    let mut transaction = database.begin().await?;
    sqlx::raw_sql("TRUNCATE gonogo.pulse_staging").execute(&mut *transaction).await?;
    if kind == Kind::Import {
        // Every profile is looked at again, so what was said of them before is no longer of use.
        sqlx::raw_sql("DELETE FROM gonogo.import_rejects; DELETE FROM gonogo.import_conflicts")
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query(
        "INSERT INTO gonogo.import_state (kind, run, phase, mappings, started_at, since) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (kind) DO UPDATE SET run = $2, phase = $3, mappings = $4, started_at = $5, since = $6, round = 1, \
         next_offset = 0, pages = 0, staged = 0, total = NULL, imported = 0, updated = 0, unchanged = 0",
    )
    .bind(kind.word())
    .bind(run)
    .bind(Phase::Fetching.word())
    .bind(mappings)
    .bind(now)
    .bind(since)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Checkpoint {
        kind,
        run,
        phase: Phase::Fetching,
        started: now,
        since,
        round: 1,
        offset: 0,
        pages: 0,
        staged: 0,
        total: None,
        imported: 0,
        updated: 0,
        unchanged: 0,
    })
}

async fn resumable(
    database: &mut PgConnection,
    mappings: i64,
    now: DateTime<Utc>,
) -> Result<Option<Checkpoint>, Trouble> {
    let row = sqlx::query(
        "SELECT s.*, (SELECT count(*) FROM gonogo.pulse_staging p WHERE p.run = s.run) AS there \
         FROM gonogo.import_state s WHERE s.kind = 'import' AND s.mappings = $1 AND s.started_at BETWEEN $2 AND $3",
    )
    .bind(mappings)
    .bind(now - KEEPS)
    .bind(now)
    .fetch_optional(database)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(phase) = Phase::read(row.try_get("phase")?) else { return Ok(None) };
    let staged = count(&row, "staged")?;
    // After a crash of the server the unlogged staging is empty; after a sync it is another's.
    if count(&row, "there")? != staged {
        return Ok(None);
    }
    Ok(Some(Checkpoint {
        kind: Kind::Import,
        run: row.try_get("run")?,
        phase,
        started: row.try_get("started_at")?,
        since: None,
        round: row.try_get("round")?,
        offset: count(&row, "next_offset")?,
        pages: count(&row, "pages")?,
        staged,
        total: row.try_get::<Option<i64>, _>("total")?.and_then(|total| u64::try_from(total).ok()),
        imported: count(&row, "imported")?,
        updated: count(&row, "updated")?,
        unchanged: count(&row, "unchanged")?,
    }))
}

/// From when on changes have not been taken over yet.
async fn watermark(database: &mut PgConnection) -> Result<DateTime<Utc>, Trouble> {
    let at: Option<DateTime<Utc>> = sqlx::query_scalar(
        "SELECT max(CASE WHEN phase = 'done' THEN started_at ELSE since END) FROM gonogo.import_state \
         WHERE phase = 'done' OR kind = 'sync'",
    )
    .fetch_one(database)
    .await?;
    at.ok_or_else(|| {
        Trouble::Failed(Failure {
            what: "no import has ended in this database, so there is nothing to sync from".into(),
            state: "nothing was read and nothing was written".into(),
            next: "run the import first".into(),
        })
    })
}

impl Checkpoint {
    /// Writes down where it is, within whatever transaction is open.
    pub(super) async fn save(&self, database: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE gonogo.import_state SET phase = $2, round = $3, next_offset = $4, pages = $5, staged = $6, total = $7, \
             imported = $8, updated = $9, unchanged = $10 WHERE kind = $1",
        )
        .bind(self.kind.word())
        .bind(self.phase.word())
        .bind(self.round)
        .bind(bigint(self.offset))
        .bind(bigint(self.pages))
        .bind(bigint(self.staged))
        .bind(self.total.map(bigint))
        .bind(bigint(self.imported))
        .bind(bigint(self.updated))
        .bind(bigint(self.unchanged))
        .execute(database)
        .await
        .map(drop)
    }

    /// Enters the next part.
    pub(super) async fn enter(
        &mut self,
        database: &mut PgConnection,
        phase: Phase,
    ) -> Result<(), sqlx::Error> {
        self.phase = phase;
        self.round += 1;
        self.offset = 0;
        self.save(database).await
    }

    /// Says that nothing of this pass is to be gone on with: it is done, or must begin anew.
    pub(super) async fn close(&self, database: &mut PgConnection, how: &str) -> Result<(), sqlx::Error> {
        let mut transaction = database.begin().await?;
        sqlx::query("UPDATE gonogo.import_state SET phase = $2 WHERE kind = $1")
            .bind(self.kind.word())
            .bind(how)
            .execute(&mut *transaction)
            .await?;
        // People's data do not stay where they are not needed.
        sqlx::raw_sql("TRUNCATE gonogo.pulse_staging").execute(&mut *transaction).await?;
        transaction.commit().await
    }
}
