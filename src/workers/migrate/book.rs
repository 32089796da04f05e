//! The bookkeeping in the database itself, in the private schema `gonogo`: what is applied, and which step of what is under way.
//! A step's line is written in the step's own transaction, so that no kill at any moment can make the two disagree.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::files::{Migration, MigrationSet};
use super::theirs::{self, Baseline};

/// Made once; nobody but the owner may look in.
const TABLES: &str = "
BEGIN;
CREATE SCHEMA IF NOT EXISTS gonogo;
REVOKE ALL ON SCHEMA gonogo FROM PUBLIC;
CREATE TABLE IF NOT EXISTS gonogo.migrations (
  number bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, script text NOT NULL,
  state text NOT NULL CHECK (state IN ('applying', 'applied', 'verified', 'reverting', 'reverted')),
  started_at timestamptz NOT NULL DEFAULT now(), applied_at timestamptz, by text NOT NULL, steps integer NOT NULL);
CREATE TABLE IF NOT EXISTS gonogo.steps (
  number bigint NOT NULL, direction text NOT NULL, step integer NOT NULL, checksum text NOT NULL, title text NOT NULL,
  state text NOT NULL CHECK (state IN ('started', 'done')), note text, started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz, PRIMARY KEY (number, direction, step));
CREATE TABLE IF NOT EXISTS gonogo.history (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  number bigint NOT NULL, name text NOT NULL, what text NOT NULL, by text NOT NULL, checksum text NOT NULL);
CREATE TABLE IF NOT EXISTS gonogo.backups (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), by text NOT NULL,
  source text NOT NULL, copy text NOT NULL, rows bigint NOT NULL, fingerprint text NOT NULL, proven_at timestamptz);
CREATE TABLE IF NOT EXISTS gonogo.canary (id integer PRIMARY KEY, sings boolean NOT NULL);
INSERT INTO gonogo.canary VALUES (1, true) ON CONFLICT DO NOTHING;
ALTER TABLE gonogo.migrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE gonogo.steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE gonogo.history ENABLE ROW LEVEL SECURITY;
ALTER TABLE gonogo.backups ENABLE ROW LEVEL SECURITY;
ALTER TABLE gonogo.canary ENABLE ROW LEVEL SECURITY;
COMMIT";

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// There.
    Up,
    /// Back.
    Down,
}

impl Direction {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Begun.
    Applying,
    /// Every statement ran; the checks have not passed yet.
    Applied,
    /// The checks passed.
    Verified,
    /// Its way back is begun.
    Reverting,
    /// Every statement of the way back ran; its checks have not passed yet.
    Reverted,
}

impl State {
    fn read(word: &str) -> Self {
        match word {
            "applied" => Self::Applied,
            "verified" => Self::Verified,
            "reverting" => Self::Reverting,
            "reverted" => Self::Reverted,
            // The table's check admits no other word.
            _ => Self::Applying,
        }
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Verified => "verified",
            Self::Reverting => "reverting",
            Self::Reverted => "reverted",
        }
    }
}

/// A line of the bookkeeping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The migration's number.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// Over the up file as it was run.
    pub checksum: String,
    /// That file.
    pub script: String,
    /// How far it is.
    pub state: State,
    /// When every statement had run.
    pub applied_at: Option<DateTime<Utc>>,
    /// In whose name.
    pub by: String,
}

/// A step that was begun, by an earlier attempt perhaps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trace {
    pub(crate) checksum: String,
    pub(crate) title: String,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    /// Who left it out, in words, if somebody did.
    pub(crate) left_out: Option<String>,
}

/// All of the bookkeeping.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    /// By number.
    pub entries: BTreeMap<u64, Entry>,
    pub(crate) traces: BTreeMap<(u64, Direction, u32), Trace>,
    pub(crate) baseline: Baseline,
}

impl Book {
    /// Reads it; empty where there is none.
    pub(crate) async fn read(session: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let mut book = Self::default();
        if !exists(session).await? {
            return Ok(book);
        }
        let rows = sqlx::query(
            "SELECT number, name, checksum, script, state, applied_at, by FROM gonogo.migrations",
        );
        for row in rows.fetch_all(&mut *session).await? {
            let number = number(&row)?;
            let entry = Entry {
                number,
                name: row.try_get(1)?,
                checksum: row.try_get(2)?,
                script: row.try_get(3)?,
                state: State::read(row.try_get(4)?),
                applied_at: row.try_get(5)?,
                by: row.try_get(6)?,
            };
            book.entries.insert(number, entry);
        }
        let rows =
            sqlx::query("SELECT number, direction, step, checksum, title, ended_at, note FROM gonogo.steps");
        for row in rows.fetch_all(session).await? {
            let direction =
                if row.try_get::<&str, _>(1)? == "down" { Direction::Down } else { Direction::Up };
            let step = u32::try_from(row.try_get::<i32, _>(2)?).unwrap_or(u32::MAX);
            let ended_at: Option<DateTime<Utc>> = row.try_get(5)?;
            // A step that is not done has a note only if it was left out.
            let left_out = row.try_get::<Option<String>, _>(6)?.filter(|_| ended_at.is_none());
            let trace = Trace { checksum: row.try_get(3)?, title: row.try_get(4)?, ended_at, left_out };
            book.traces.insert((number(&row)?, direction, step), trace);
        }
        Ok(book)
    }

    /// Reads it, and what other tools' bookkeeping says of the files of a set.
    pub(crate) async fn of(session: &mut PgConnection, set: &MigrationSet) -> Result<Self, sqlx::Error> {
        let mut book = Self::read(session).await?;
        book.baseline = theirs::read(session, set).await?;
        if let Baseline::One(theirs) = &mut book.baseline
            && exists(session).await?
        {
            let numbers: Vec<i64> =
                sqlx::query_scalar("SELECT DISTINCT number FROM gonogo.history WHERE what = 'adopted'")
                    .fetch_all(session)
                    .await?;
            theirs.adopted = numbers.into_iter().filter_map(|number| u64::try_from(number).ok()).collect();
        }
        Ok(book)
    }

    /// The numbers that are applied, whether proven yet or not.
    pub fn applied(&self) -> Vec<u64> {
        let done =
            self.entries.values().filter(|entry| matches!(entry.state, State::Applied | State::Verified));
        done.map(|entry| entry.number).collect()
    }
}

fn number(row: &sqlx::postgres::PgRow) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) async fn exists(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('gonogo.canary') IS NOT NULL").fetch_one(session).await
}

/// Makes the tables, where they are not there.
pub(crate) async fn ensure(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    if !exists(session).await?
        && let Err(error) = sqlx::raw_sql(TABLES).execute(&mut *session).await
    {
        drop(sqlx::raw_sql("ROLLBACK").execute(session).await);
        return Err(error);
    }
    Ok(())
}

/// A migration begins, or goes on with a file whose rest was corrected.
pub(crate) async fn begin(
    session: &mut PgConnection,
    migration: &Migration,
    by: &str,
) -> Result<(), sqlx::Error> {
    // Asked before every step, it writes nothing where all stands already: a commit with nothing in it waits for no disk.
    sqlx::query(
        "INSERT INTO gonogo.migrations (number, name, checksum, script, state, by, steps) SELECT $1, $2, $3, $4, 'applying', $5, $6
         WHERE NOT EXISTS (SELECT FROM gonogo.migrations m WHERE m.number = $1 AND m.state = 'applying' AND m.checksum = $3 AND m.steps = $6)
         ON CONFLICT (number) DO UPDATE SET checksum = EXCLUDED.checksum, script = EXCLUDED.script, steps = EXCLUDED.steps
         WHERE migrations.state = 'applying'",
    )
    .bind(signed(migration.number))
    .bind(&*migration.name)
    .bind(&*migration.up.checksum)
    .bind(&*migration.up.text)
    .bind(by)
    .bind(i32::try_from(migration.up.statements.len()).unwrap_or(i32::MAX))
    .execute(session)
    .await?;
    Ok(())
}

/// The state changes, and the history gets a line. Runs in the caller's transaction, if it has one.
pub(crate) async fn set_state(
    session: &mut PgConnection,
    migration: &Migration,
    state: State,
    by: &str,
) -> Result<(), sqlx::Error> {
    let stamp = if state == State::Applied { ", applied_at = clock_timestamp()" } else { "" };
    let sql = format!(
        "WITH changed AS (UPDATE gonogo.migrations SET state = $2{stamp} WHERE number = $1 RETURNING number, name, checksum)
         INSERT INTO gonogo.history (number, name, what, by, checksum) SELECT number, name, $2, $3, checksum FROM changed"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(signed(migration.number))
        .bind(state.word())
        .bind(by)
        .execute(session)
        .await?;
    Ok(())
}

/// The way back is proven: the entry goes, the history stays.
pub(crate) async fn forget(
    session: &mut PgConnection,
    migration: &Migration,
    by: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH gone AS (DELETE FROM gonogo.migrations WHERE number = $1 RETURNING number, name, checksum),
              steps AS (DELETE FROM gonogo.steps WHERE number = $1)
         INSERT INTO gonogo.history (number, name, what, by, checksum) SELECT number, name, 'forgotten', $2, checksum FROM gone",
    )
    .bind(signed(migration.number))
    .bind(by)
    .execute(session)
    .await?;
    Ok(())
}

/// What another tool applied is gonogo's to answer for from now on. Its checks have not been asked yet.
pub(crate) async fn take_over(
    session: &mut PgConnection,
    migration: &Migration,
    applied_at: Option<DateTime<Utc>>,
    by: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH taken AS (
           INSERT INTO gonogo.migrations (number, name, checksum, script, state, applied_at, by, steps)
           VALUES ($1, $2, $3, $4, 'applied', $5, $6, $7) RETURNING number, name, checksum)
         INSERT INTO gonogo.history (number, name, what, by, checksum) SELECT number, name, 'adopted', $6, checksum FROM taken",
    )
    .bind(signed(migration.number))
    .bind(&*migration.name)
    .bind(&*migration.up.checksum)
    .bind(&*migration.up.text)
    .bind(applied_at)
    .bind(by)
    .bind(i32::try_from(migration.up.statements.len()).unwrap_or(i32::MAX))
    .execute(session)
    .await?;
    Ok(())
}

/// A step that cannot be in a transaction begins.
pub(crate) async fn step_began(session: &mut PgConnection, step: &StepKey<'_>) -> Result<(), sqlx::Error> {
    write_step(session, step, "started", None).await
}

/// A step is left out: the next run will find it not done.
pub(crate) async fn step_left(
    session: &mut PgConnection,
    step: &StepKey<'_>,
    why: &str,
) -> Result<(), sqlx::Error> {
    write_step(session, step, "started", Some(why)).await
}

/// The history gets a line about something that changes no state.
pub(crate) async fn remember(
    session: &mut PgConnection,
    migration: &Migration,
    what: &str,
    by: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO gonogo.history (number, name, what, by, checksum) VALUES ($1, $2, $3, $4, $5)")
        .bind(signed(migration.number))
        .bind(&*migration.name)
        .bind(what)
        .bind(by)
        .bind(&*migration.up.checksum)
        .execute(session)
        .await?;
    Ok(())
}

/// A step is done; in the step's own transaction wherever it has one.
pub(crate) async fn step_done(
    session: &mut PgConnection,
    step: &StepKey<'_>,
    note: Option<&str>,
) -> Result<(), sqlx::Error> {
    write_step(session, step, "done", note).await
}

async fn write_step(
    session: &mut PgConnection,
    step: &StepKey<'_>,
    state: &str,
    note: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO gonogo.steps (number, direction, step, checksum, title, state, note, ended_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, CASE $6 WHEN 'done' THEN clock_timestamp() END)
         ON CONFLICT (number, direction, step) DO UPDATE SET checksum = EXCLUDED.checksum, title = EXCLUDED.title,
           state = EXCLUDED.state, note = EXCLUDED.note, ended_at = EXCLUDED.ended_at",
    )
    .bind(signed(step.number))
    .bind(step.direction.word())
    .bind(i32::try_from(step.step).unwrap_or(i32::MAX))
    .bind(step.checksum)
    .bind(step.title)
    .bind(state)
    .bind(note)
    .execute(session)
    .await?;
    Ok(())
}

/// Names a step in the bookkeeping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepKey<'a> {
    pub(crate) number: u64,
    pub(crate) direction: Direction,
    /// 0 for the checks before; statements from 1.
    pub(crate) step: u32,
    pub(crate) checksum: &'a str,
    pub(crate) title: &'a str,
}

impl StepKey<'_> {
    /// Number, direction and step, as the tables have them.
    pub(crate) fn columns(&self) -> (i64, &'static str, i32) {
        (signed(self.number), self.direction.word(), i32::try_from(self.step).unwrap_or(i32::MAX))
    }
}
