//! Keeps, in the database's own bookkeeping, the catalogue as it was before each migration and what each of its steps changed.
//! The first is durable before the first step; the second is written after each, and found again from the catalogue where
//! a kill came between. It holds no lock of the tables it describes: it looks before a step asks for any, and after it gave all back.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use sqlx::types::Json;

use super::thing::{Catalogue, Change, catalogue, changes, follow};
use crate::workers::migrate::database::run;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS gonogo.catalogue (
  number bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), things jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS gonogo.inverse (
  number bigint NOT NULL, step integer NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changes jsonb NOT NULL, written jsonb, PRIMARY KEY (number, step));
ALTER TABLE gonogo.catalogue ENABLE ROW LEVEL SECURITY;
ALTER TABLE gonogo.inverse ENABLE ROW LEVEL SECURITY";

/// Rows that a step wrote, by table.
pub(crate) type Written = BTreeMap<String, i64>;

/// A step's line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) step: u32,
    pub(crate) changes: Vec<Change>,
    /// None where the server could not tell.
    pub(crate) written: Option<Written>,
}

/// What is recorded of one migration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) before: Catalogue,
    pub(crate) entries: Vec<Entry>,
}

/// The record under way.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: Option<Open>,
    /// What the step's own transaction has written, read before it ended.
    pub(crate) written: Option<Written>,
    /// Tables and columns that were there before the migration that is taken back.
    guarded: Option<(u64, BTreeSet<String>)>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    last: Catalogue,
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

async fn there(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('gonogo.inverse') IS NOT NULL").fetch_one(session).await
}

/// Reads what is recorded of a migration; none where it was applied before records were kept.
pub(crate) async fn read(session: &mut PgConnection, number: u64) -> Result<Option<Record>, sqlx::Error> {
    if !there(session).await? {
        return Ok(None);
    }
    let before = sqlx::query("SELECT things FROM gonogo.catalogue WHERE number = $1").bind(signed(number));
    let Some(row) = before.fetch_optional(&mut *session).await? else { return Ok(None) };
    let Json(before): Json<Catalogue> = row.try_get(0)?;
    let rows =
        sqlx::query("SELECT step, changes, written FROM gonogo.inverse WHERE number = $1 ORDER BY step");
    let mut entries = Vec::new();
    for row in rows.bind(signed(number)).fetch_all(session).await? {
        let Json(changes): Json<Vec<Change>> = row.try_get(1)?;
        let written: Option<Json<Written>> = row.try_get(2)?;
        let step = u32::try_from(row.try_get::<i32, _>(0)?).unwrap_or(u32::MAX);
        entries.push(Entry { step, changes, written: written.map(|written| written.0) });
    }
    Ok(Some(Record { before, entries }))
}

/// Every thing that came with a recorded step, by its key, and when that was recorded.
pub(crate) async fn came(session: &mut PgConnection) -> Result<Vec<(String, DateTime<Utc>)>, sqlx::Error> {
    if !there(session).await? {
        return Ok(Vec::new());
    }
    let sql =
        "SELECT c ->> 'key', i.at FROM gonogo.inverse i CROSS JOIN LATERAL jsonb_array_elements(i.changes) c
               WHERE NOT c ? 'was'";
    sqlx::query_as(sql).fetch_all(session).await
}

/// The migration is taken back: its record has served.
pub(crate) async fn forget(session: &mut PgConnection, number: u64) -> Result<(), sqlx::Error> {
    if !there(session).await? {
        return Ok(());
    }
    let sql = "WITH one AS (DELETE FROM gonogo.catalogue WHERE number = $1) DELETE FROM gonogo.inverse WHERE number = $1";
    sqlx::query(sql).bind(signed(number)).execute(session).await.map(drop)
}

/// Where the catalogue is not as it was before the migration, in words; nothing where that was never recorded.
pub(crate) async fn left(session: &mut PgConnection, number: u64) -> Result<Vec<String>, sqlx::Error> {
    const MOST: usize = 12;
    let Some(record) = read(session, number).await? else { return Ok(Vec::new()) };
    let now = catalogue(session).await?;
    let mut changed = changes(&record.before, &now);
    // What came or went with something else is not named besides.
    let whole: BTreeSet<String> = changed
        .iter()
        .filter(|one| one.was.is_none() || one.is.is_none())
        .map(|one| one.key.clone())
        .collect();
    changed.retain(|one| {
        let parent = one.is.as_ref().or(one.was.as_ref()).and_then(|thing| thing.parent.as_ref());
        parent.is_none_or(|parent| !whole.contains(parent))
    });
    let mut words: Vec<String> = changed
        .iter()
        .take(MOST)
        .map(|change| match (&change.was, &change.is) {
            (None, _) => format!("{} is there and was not before", change.key),
            (Some(_), None) => format!("{} was there before and is gone", change.key),
            (Some(_), Some(_)) => format!("{} is not as it was before", change.key),
        })
        .collect();
    if changed.len() > MOST {
        words.push(format!("and {} more", changed.len() - MOST));
    }
    Ok(words)
}

impl Ledger {
    /// Before a step of a migration: the catalogue as it is, durable. `done` is the last step that an earlier attempt finished.
    pub(crate) async fn before(
        &mut self,
        session: &mut PgConnection,
        number: u64,
        done: u32,
    ) -> Result<(), sqlx::Error> {
        if self.open.as_ref().is_some_and(|open| open.number == number) {
            return Ok(());
        }
        if !there(session).await? {
            run(session, TABLES).await?;
        }
        let now = catalogue(session).await?;
        match read(session, number).await? {
            None if done == 0 => {
                sqlx::query("INSERT INTO gonogo.catalogue (number, things) VALUES ($1, $2)")
                    .bind(signed(number))
                    .bind(Json(&now))
                    .execute(&mut *session)
                    .await?;
                self.open = Some(Open { number, last: now });
            }
            // Begun by a gonogo that kept no records: half of one would be taken for a whole.
            None => self.open = None,
            Some(record) => {
                let mut last = record.before;
                for entry in &record.entries {
                    follow(&mut last, &entry.changes);
                }
                let missed = changes(&last, &now);
                if !missed.is_empty() {
                    write(session, number, done, &missed, None).await?;
                }
                self.open = Some(Open { number, last: now });
            }
        }
        Ok(())
    }

    /// After a step: what it changed.
    pub(crate) async fn after(
        &mut self,
        session: &mut PgConnection,
        number: u64,
        step: u32,
    ) -> Result<(), sqlx::Error> {
        let written = self.written.take();
        let Some(open) = self.open.as_mut().filter(|open| open.number == number) else { return Ok(()) };
        let now = catalogue(session).await?;
        let changed = changes(&open.last, &now);
        open.last = now;
        if !changed.is_empty() || written.as_ref().is_some_and(|written| !written.is_empty()) {
            write(session, number, step, &changed, written.as_ref()).await?;
        }
        Ok(())
    }

    /// In a step's transaction on the way back: what it would take away that was there before the migration, rows and all.
    pub(crate) async fn trespass(
        &mut self,
        session: &mut PgConnection,
        number: u64,
        held: &BTreeSet<String>,
    ) -> Result<Vec<String>, sqlx::Error> {
        if self.guarded.as_ref().is_none_or(|(of, _)| *of != number) {
            let record = read(session, number).await?;
            let keys = record.map(|record| record.before).unwrap_or_default().into_iter();
            let keys = keys
                .filter(|(_, thing)| matches!(thing.kind.as_str(), "table" | "column"))
                .map(|(key, _)| key);
            self.guarded = Some((number, keys.collect()));
        }
        let now = holders(session).await?;
        let guarded = self.guarded.as_ref().map(|(_, keys)| keys);
        let gone =
            held.iter().filter(|key| !now.contains(*key) && guarded.is_some_and(|keys| keys.contains(*key)));
        Ok(gone.cloned().collect())
    }
}

/// The keys of all that holds rows or values: tables and columns.
pub(crate) async fn holders(session: &mut PgConnection) -> Result<BTreeSet<String>, sqlx::Error> {
    let sql = "SELECT 'table ' || format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|gonogo)' AND n.nspname <> 'information_schema'
               UNION ALL
               SELECT 'column ' || format('%I.%I', n.nspname, c.relname) || '.' || a.attname
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
               WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|gonogo)' AND n.nspname <> 'information_schema'
                 AND a.attnum > 0 AND NOT a.attisdropped";
    let keys: Vec<String> = sqlx::query_scalar(sql).fetch_all(session).await?;
    Ok(keys.into_iter().collect())
}

/// Rows that this session's open transaction has written so far, by the server's own count, gonogo's tables left out.
pub(crate) async fn written(session: &mut PgConnection) -> Result<Written, sqlx::Error> {
    let sql = "SELECT format('%I.%I', schemaname, relname), n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables
               WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND schemaname !~ '^gonogo'";
    let rows = sqlx::query(sql).fetch_all(session).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// What was written between two looks.
pub(crate) fn since(before: &Written, now: &Written) -> Written {
    let more = |(table, rows): (&String, &i64)| {
        let more = rows - before.get(table).copied().unwrap_or(0);
        (more > 0).then(|| (table.clone(), more))
    };
    now.iter().filter_map(more).collect()
}

async fn write(
    session: &mut PgConnection,
    number: u64,
    step: u32,
    changed: &[Change],
    written: Option<&Written>,
) -> Result<(), sqlx::Error> {
    // On disk with whatever is next, at the latest with the next step: a log is flushed in its order. Definitions that are lost
    // with a server which crashes before are found again, as what the catalogue has and nobody wrote down; rows are not.
    let wait = if written.is_some_and(|written| !written.is_empty()) { "on" } else { "off" };
    let sql = "WITH wait AS MATERIALIZED (SELECT set_config('synchronous_commit', $5, true))
               INSERT INTO gonogo.inverse AS i (number, step, changes, written) SELECT $1, $2, $3, $4 FROM wait
               ON CONFLICT (number, step) DO UPDATE SET changes = i.changes || EXCLUDED.changes,
                 written = coalesce(EXCLUDED.written, i.written), at = EXCLUDED.at";
    sqlx::query(sql)
        .bind(signed(number))
        .bind(i32::try_from(step).unwrap_or(i32::MAX))
        .bind(Json(changed))
        .bind(written.map(Json))
        .bind(wait)
        .execute(session)
        .await
        .map(drop)
}
