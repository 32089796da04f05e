//! The gate: no migration begins before every table that it touches, or whose rows go with that table's, has a backup which is
//! proven, young, not empty, complete and still there. What keeps it shut is said per table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgConnection;

use super::files;
use super::record::{self, Line, Medium};
use super::tables::{self, Table};
use crate::run::job::Failure;
use crate::workers::migrate::book;
use crate::workers::migrate::classify::Kind;
use crate::workers::migrate::database::run;
use crate::workers::migrate::files::Migration;
use crate::workers::migrate::inverse::ledger;
use crate::workers::migrate::runner::broke;

/// A backup that is older holds too little of what it is for.
const YOUNG: TimeDelta = TimeDelta::hours(24);

/// Refuses where a table of these migrations has no backup to go back to.
pub(crate) async fn required(session: &mut PgConnection, pending: &[&Migration]) -> Result<(), Failure> {
    let failed = |error: &sqlx::Error| broke("looking for the backups", error);
    let tables = tables::of(session, pending).await.map_err(|e| failed(&e))?;
    let lines = record::lines(session).await.map_err(|e| failed(&e))?;
    let since = since(session).await.map_err(|e| failed(&e))?;
    let made = Made::of(session, pending).await.map_err(|e| failed(&e))?;
    let mut shut = Vec::new();
    for table in &tables {
        let mut first = None;
        let mut opens = false;
        for line in lines.iter().filter(|line| line.source == table.name) {
            match fault(session, table, line, since, &made).await.map_err(|e| failed(&e))? {
                None => {
                    opens = true;
                    break;
                }
                Some(fault) => {
                    first.get_or_insert_with(|| {
                        format!("; that of {} {fault}", line.at.format("%Y-%m-%d %H:%M UTC"))
                    });
                }
            }
        }
        if !opens {
            let why = first.unwrap_or_default();
            shut.push(format!(
                "there is no proven backup of {} of the last 24 hours ({}){why}",
                table.name, table.why
            ));
        }
    }
    if shut.is_empty() {
        return Ok(());
    }
    Err(Failure {
        what: shut.join("; "),
        state: "nothing was run".into(),
        next: "run the backup first".into(),
    })
}

/// Columns that our own migrations have added, which no backup from before can hold and none needs to: the way back drops them.
struct Made {
    /// As their steps recorded it.
    recorded: Vec<(String, DateTime<Utc>)>,
    /// Those of a migration under way, whose last step may be done and not recorded yet.
    under_way: BTreeSet<String>,
}

impl Made {
    async fn of(session: &mut PgConnection, pending: &[&Migration]) -> Result<Self, sqlx::Error> {
        let recorded = ledger::came(session).await?;
        let begun: Vec<i64> = if book::exists(session).await? {
            let sql = "SELECT number FROM gonogo.migrations WHERE state = 'applying'";
            sqlx::query_scalar(sql).fetch_all(session).await?
        } else {
            Vec::new()
        };
        let of = |migration: &&&Migration| {
            i64::try_from(migration.number).is_ok_and(|number| begun.contains(&number))
        };
        let statements = pending.iter().filter(of).flat_map(|migration| &migration.up.statements);
        let added = statements.flat_map(|statement| match &statement.shape.kind {
            Kind::AlterTable { additions, .. } => additions.as_slice(),
            _ => &[],
        });
        let under_way = added.map(|add| add.column.trim_matches('"').to_owned()).collect();
        Ok(Self { recorded, under_way })
    }

    /// Whether that column came after that moment, and by us.
    fn since(&self, table: &str, column: &str, at: DateTime<Utc>) -> bool {
        let key = format!("column {table}.{column}");
        self.under_way.contains(column.trim_matches('"'))
            || self.recorded.iter().any(|(made, when)| *made == key && *when > at)
    }
}

/// From when on a backup counts: a run that is under way was let in by the one before it.
async fn since(session: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    let there = book::exists(session).await?;
    let sql = if there {
        "SELECT coalesce((SELECT min(started_at) FROM gonogo.migrations WHERE state = 'applying'), clock_timestamp())"
    } else {
        "SELECT clock_timestamp()"
    };
    let run: DateTime<Utc> = sqlx::query_scalar(sql).fetch_one(session).await?;
    Ok(run - YOUNG)
}

/// Why this backup does not open the gate.
async fn fault(
    session: &mut PgConnection,
    table: &Table,
    line: &Line,
    since: DateTime<Utc>,
    made: &Made,
) -> Result<Option<String>, sqlx::Error> {
    if line.proven_at.is_none() {
        return Ok(Some("was never restored for proof".into()));
    }
    if line.at < since {
        return Ok(Some("is too old".into()));
    }
    let lacks: Vec<&str> = match &line.columns {
        Some(columns) => {
            let held = |name: &str| columns.iter().any(|column| column == name);
            let names = table.columns.iter().map(|column| &*column.name);
            names.filter(|name| !held(name) && !made.since(&table.name, name, line.at)).collect()
        }
        None => Vec::new(),
    };
    if !lacks.is_empty() {
        return Ok(Some(format!("lacks the columns {}", lacks.join(", "))));
    }
    if line.print().rows == 0 {
        let sql = format!("SELECT EXISTS (SELECT FROM {})", table.name);
        run(session, "SET row_security = off").await?;
        if sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *session).await? {
            return Ok(Some("is empty, and the table is not".into()));
        }
    }
    match line.medium {
        Medium::Schema => Ok(match record::is_open(session, &line.copy).await? {
            Some(false) => None,
            Some(true) => Some(format!("is not private: others can read {}", line.copy)),
            None => Some(format!("is gone: there is no {}", line.copy)),
        }),
        Medium::File => {
            let (dir, source, sha256) = (PathBuf::from(&line.copy), line.source.clone(), line.sha256.clone());
            let looked = tokio::task::spawn_blocking(move || damaged(&dir, &source, sha256.as_deref())).await;
            Ok(looked.unwrap_or_else(|error| Some(format!("could not be read: {error}"))))
        }
    }
}

/// What is wrong with a table's file, or with the manifest that vouches for it.
pub(crate) fn damaged(dir: &Path, table: &str, sha256: Option<&str>) -> Option<String> {
    let (manifest, is) = match files::manifest(dir) {
        Ok(read) => read,
        Err(error) => return Some(format!("cannot be read on this machine: {}: {error}", dir.display())),
    };
    if sha256.is_some_and(|was| was != is) {
        return Some(format!(
            "was altered: {} is not as it was written",
            dir.join(files::MANIFEST).display()
        ));
    }
    match manifest.tables.iter().find(|held| held.table == table) {
        None => Some(format!("holds no {table}")),
        Some(held) => files::damage(dir, held).map(|damage| format!("is damaged: {damage}")),
    }
}
