//! The way back before anybody takes it: per migration what would run, what undoing each step costs, how many rows are lost now, where
//! the down file and the record differ, and whether any of it was rehearsed.

use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::compare::{Differences, differences};
use super::ledger;
use super::way::{Cost, Way, way};
use crate::run::job::Failure;
use crate::workers::migrate::book::Book;
use crate::workers::migrate::database::Database;
use crate::workers::migrate::files::{Migration, MigrationSet, Script};
use crate::workers::migrate::runner::broke;

/// The way back from one migration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackPlan {
    /// The migration's number.
    pub number: u64,
    /// "001 contacts_pulse_integration".
    pub title: String,
    /// The down file; none where there is none.
    pub down_file: Option<String>,
    /// The way back by the record; none where it was applied before records were kept.
    pub recorded: Option<Way>,
    /// Why the recorded way is not whole.
    pub gaps: Vec<String>,
    /// Where down file and record differ; none where one of them is missing.
    pub differences: Option<Differences>,
}

impl BackPlan {
    /// What would be run.
    pub fn runs(&self) -> String {
        match (&self.down_file, &self.recorded) {
            (Some(file), _) => file.clone(),
            (None, Some(_)) if self.gaps.is_empty() => "the recorded inverse: there is no down file".into(),
            (None, Some(_)) => "nothing: there is no down file, and the recorded inverse has gaps".into(),
            (None, None) => "nothing: there is no down file, and nothing was recorded".into(),
        }
    }
}

/// The ways back down to but not including `to`, newest first, with the rows that each would lose now.
pub async fn back_plan(db: &Database, set: &MigrationSet, to: Option<u64>) -> Result<Vec<BackPlan>, Failure> {
    let mut session = db.session("back").await?;
    let failed = |e: &sqlx::Error| broke("reading what was recorded", e);
    let book = Book::read(&mut session).await.map_err(|e| failed(&e))?;
    let mut plans = Vec::new();
    for entry in book.entries.values().rev().filter(|entry| to.is_none_or(|to| entry.number > to)) {
        let migration = set.get(entry.number);
        let record = ledger::read(&mut session, entry.number).await.map_err(|e| failed(&e))?;
        let down = migration.and_then(|migration| migration.down.as_ref());
        let mut plan = BackPlan {
            number: entry.number,
            title: migration.map_or_else(
                || format!("{} {}", entry.number, entry.name),
                super::super::files::Migration::title,
            ),
            down_file: down.map(|down| down.file.to_string()),
            recorded: None,
            gaps: Vec::new(),
            differences: None,
        };
        if let Some(record) = &record {
            let mut way = way(record);
            count(&mut session, &mut way)
                .await
                .map_err(|e| broke("counting the rows that would be lost", &e))?;
            plan.gaps = way.gaps();
            plan.differences = down.map(|down| differences(record, down));
            plan.recorded = Some(way);
        }
        plans.push(plan);
    }
    Ok(plans)
}

/// Counts what is lost now. What is gone already loses nothing more.
async fn count(session: &mut PgConnection, way: &mut Way) -> Result<(), sqlx::Error> {
    for undo in &mut way.undos {
        let (Some(sql), Cost::Lossy { rows }) = (&undo.count, &mut undo.cost) else { continue };
        let mut sql = sql.clone();
        if sql.contains("{default}") {
            let of = undo.about.trim_start_matches("column ");
            let row = sqlx::query(
                "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                 JOIN pg_namespace n ON n.oid = c.relnamespace
                 LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                 WHERE format('%I.%I', n.nspname, c.relname) || '.' || a.attname = $1 AND NOT a.attisdropped",
            );
            let Some(row) = row.bind(of).fetch_optional(&mut *session).await? else { continue };
            let default: Option<String> = row.try_get(0)?;
            sql = sql.replace("{default}", default.as_deref().unwrap_or("NULL"));
        }
        match sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *session).await {
            Ok(found) => *rows = Some(found),
            // Somebody took it away since.
            Err(error) if super::super::errors::sqlstate(&error) == Some("42P01") => *rows = Some(0),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The migrations, with the recorded inverse as the way back of those that have no down file, where the record is whole.
pub async fn with_inverses(
    db: &Database,
    set: &MigrationSet,
    to: Option<u64>,
) -> Result<MigrationSet, Failure> {
    let mut session = db.session("back").await?;
    let failed = |e: &sqlx::Error| broke("reading what was recorded", e);
    let book = Book::read(&mut session).await.map_err(|e| failed(&e))?;
    let mut set = set.clone();
    for migration in &mut set.migrations {
        let going = book.entries.contains_key(&migration.number) && to.is_none_or(|to| migration.number > to);
        if migration.down.is_some() || !going {
            continue;
        }
        if let Recorded::Whole(script) = recorded(&mut session, migration).await? {
            migration.down = Some(*script);
        }
    }
    Ok(set)
}

/// What was recorded of a migration, as a way back.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// Nothing, or nothing that would have to be undone.
    Nothing,
    /// Not all of it, and what is missing.
    Gaps(Vec<String>),
    /// All of it, as a file.
    Whole(Box<Script>),
}

/// Reads it.
pub(crate) async fn recorded(session: &mut PgConnection, migration: &Migration) -> Result<Recorded, Failure> {
    let record = ledger::read(session, migration.number).await;
    let record = record.map_err(|e| broke("reading what was recorded", &e))?;
    let Some(record) = record else { return Ok(Recorded::Nothing) };
    let way = way(&record);
    match (way.gaps(), way.script()) {
        (gaps, _) if !gaps.is_empty() => Ok(Recorded::Gaps(gaps)),
        (_, Some(text)) => {
            let script = Script::written(&recorded_as(&migration.label), &text)?;
            Ok(Recorded::Whole(Box::new(script)))
        }
        _ => Ok(Recorded::Nothing),
    }
}

/// What the record is called where a file would be.
pub(crate) fn recorded_as(label: &str) -> String {
    format!("recorded inverse of {label}")
}
