//! Where a pass is, as the database has it: written in the transaction whose work it records.
//!
//! It guarantees that a pass goes on only on its own staging, complete, over the mapping table that it began with; any
//! doubt starts it over, which costs time and never a contact.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use super::database;
use super::stage::Aside;
use super::trouble::Trouble;
use crate::run::Failure;
use crate::run::job::ImportTotals;

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
    /// What was set aside, judged again.
    Retry,
}

/// Whether a pass writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It does.
    Written,
    /// It only says what it would do; its session cannot write.
    Dry,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Sync => "sync",
            Self::Retry => "retry",
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
    /// Of the updated: changed on both sides since they last agreed.
    pub(super) both: u64,
    pub(super) unchanged: u64,
    /// Up to which share (0 to 1) a person allowed profiles to be set aside, if one was asked.
    pub(super) allowed: Option<f64>,
    pub(super) aside: Aside,
}

fn count(row: &sqlx::postgres::PgRow, name: &str) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default())
}

/// A count as the database holds it.
pub(super) fn bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Says whether the schema is the one that the import writes to: the mapping table's number.
async fn ready(database: &mut PgConnection) -> Result<i64, Trouble> {
    let ready: Option<i64> = sqlx::query_scalar(
        "SELECT to_regclass('public.entity_mappings')::oid::bigint \
         WHERE EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('public.contacts') \
                       AND attname = 'pulse_last_synced_at' AND NOT attisdropped)",
    )
    .fetch_optional(database)
    .await?
    .flatten();
    Ok(ready.ok_or_else(|| Failure {
        what: "the database has no Pulse fields on contacts, or no entity_mappings".into(),
        state: "nothing was read and nothing was written".into(),
        next: "run migrations 001 to 003 first".into(),
    })?)
}

/// Goes on with the pass that was left, or begins one.
pub(super) async fn open(
    database: &mut PgConnection,
    kind: Kind,
    effect: Effect,
    now: DateTime<Utc>,
) -> Result<Checkpoint, Trouble> {
    let mappings = ready(database).await?;
    let since = match (kind, effect) {
        (Kind::Import | Kind::Retry, _) => None,
        // What a dry run would read is asked of the tables that it does not see any more once it has its own.
        (Kind::Sync, _) => Some(watermark(database).await? - OVERLAP),
    };
    match effect {
        Effect::Dry => database::lay_out_dry(database).await?,
        Effect::Written => database::lay_out(database).await?,
    }
    if kind == Kind::Import
        && effect == Effect::Written
        && let Some(found) = resumable(database, mappings, now).await?
    {
        return Ok(found);
    }
    let checkpoint = Checkpoint {
        kind,
        run: Uuid::new_v4(),
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
        both: 0,
        unchanged: 0,
        allowed: None,
        aside: Aside::default(),
    };
    checkpoint.begin(database, mappings, effect).await?;
    Ok(checkpoint)
}

async fn resumable(
    database: &mut PgConnection,
    mappings: i64,
    now: DateTime<Utc>,
) -> Result<Option<Checkpoint>, Trouble> {
    let row = sqlx::query(
        "SELECT s.*, (SELECT count(*) FROM pulse_staging p WHERE p.run = s.run) AS there, \
         (SELECT count(*) FROM pulse_plan p JOIN import_batches b ON b.run = s.run AND p.n BETWEEN b.first_n AND b.last_n) AS merged, \
         done.rows, done.imported, done.updated, done.both_changed FROM import_state s CROSS JOIN LATERAL \
         (SELECT coalesce(sum(b.rows), 0)::bigint AS rows, coalesce(sum(b.imported), 0)::bigint AS imported, \
                 coalesce(sum(b.updated), 0)::bigint AS updated, coalesce(sum(b.both_changed), 0)::bigint AS both_changed \
          FROM import_batches b WHERE b.run = s.run) done \
         WHERE s.kind = 'import' AND s.mappings = $1 AND s.started_at BETWEEN $2 AND $3",
    )
    .bind(mappings)
    .bind(now - KEEPS)
    .bind(now)
    .fetch_optional(&mut *database)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(phase) = Phase::read(row.try_get("phase")?) else { return Ok(None) };
    let staged = count(&row, "staged")?;
    // After a crash of the server the unlogged staging is empty; after a sync it is another's.
    if count(&row, "there")? != staged || count(&row, "merged")? != count(&row, "rows")? {
        return Ok(None);
    }
    let mut found = Checkpoint {
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
        both: count(&row, "both_changed")?,
        unchanged: count(&row, "unchanged")?,
        allowed: row.try_get("allowed")?,
        aside: Aside::default(),
    };
    found.aside = Aside::of(database, found.run).await?;
    Ok(Some(found))
}

/// From when on changes have not been taken over yet.
async fn watermark(database: &mut PgConnection) -> Result<DateTime<Utc>, Trouble> {
    let begun: bool = sqlx::query_scalar("SELECT to_regclass('gonogo.import_state') IS NOT NULL")
        .fetch_one(&mut *database)
        .await?;
    let at: Option<DateTime<Utc>> = if begun {
        sqlx::query_scalar(
            "SELECT max(CASE WHEN phase = 'done' THEN started_at ELSE since END) FROM gonogo.import_state \
             WHERE kind = 'sync' OR (kind = 'import' AND phase = 'done')",
        )
        .fetch_one(database)
        .await?
    } else {
        None
    };
    at.ok_or_else(|| {
        Trouble::Failed(Failure {
            what: "no import has ended in this database, so there is nothing to sync from".into(),
            state: "nothing was read and nothing was written".into(),
            next: "run the import first".into(),
        })
    })
}

impl Checkpoint {
    /// Writes down that it begins. What an earlier pass left is of no use to it.
    async fn begin(
        &self,
        database: &mut PgConnection,
        mappings: i64,
        effect: Effect,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = database.begin().await?;
        if effect == Effect::Written {
            sqlx::raw_sql("TRUNCATE pulse_staging, pulse_plan; DELETE FROM import_batches")
                .execute(&mut *transaction)
                .await?;
        }
        if self.kind == Kind::Import {
            // Every profile is looked at again, so what was said of them before is no longer of use.
            sqlx::raw_sql("DELETE FROM import_rejects; DELETE FROM import_conflicts")
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(
            "INSERT INTO import_state (kind, run, phase, mappings, started_at, since) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (kind) DO UPDATE SET run = $2, phase = $3, mappings = $4, started_at = $5, since = $6, round = 1, \
             next_offset = 0, pages = 0, staged = 0, total = NULL, unchanged = 0, allowed = NULL",
        )
        .bind(self.kind.word())
        .bind(self.run)
        .bind(self.phase.word())
        .bind(mappings)
        .bind(self.started)
        .bind(self.since)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Writes down where it is, within whatever transaction is open.
    pub(super) async fn save(&self, database: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE import_state SET phase = $2, round = $3, next_offset = $4, pages = $5, staged = $6, total = $7, \
             unchanged = $8, allowed = $9 WHERE kind = $1",
        )
        .bind(self.kind.word())
        .bind(self.phase.word())
        .bind(self.round)
        .bind(bigint(self.offset))
        .bind(bigint(self.pages))
        .bind(bigint(self.staged))
        .bind(self.total.map(bigint))
        .bind(bigint(self.unchanged))
        .bind(self.allowed)
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

    /// Says that nothing of this pass is to be gone on with: it is done.
    pub(super) async fn close(&self, database: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut transaction = database.begin().await?;
        sqlx::query("UPDATE import_state SET phase = 'done' WHERE kind = $1")
            .bind(self.kind.word())
            .execute(&mut *transaction)
            .await?;
        if self.kind == Kind::Retry {
            // Those that were merged are set aside no more; those that were refused again are not staged any more.
            sqlx::query("DELETE FROM import_rejects r USING pulse_staging s WHERE r.pulse_key = s.pulse_id")
                .execute(&mut *transaction)
                .await?;
        }
        // People's data do not stay where they are not needed.
        sqlx::raw_sql("TRUNCATE pulse_staging, pulse_plan; DELETE FROM import_batches")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// The figures so far.
    pub(super) fn totals(&self) -> ImportTotals {
        let Aside { quarantined, conflicts, reasons, doubts } = self.aside.clone();
        ImportTotals {
            total: self.total.unwrap_or(self.staged + quarantined),
            fetched: self.staged + quarantined,
            imported: self.imported,
            updated: self.updated,
            both: self.both,
            unchanged: self.unchanged,
            quarantined,
            conflicts,
            reasons,
            doubts,
        }
    }
}
