//! Reads without changing: how far each migration is, whether it still holds, what going back would lose.

use serde::Serialize;
use sqlx::Row as _;
use std::collections::BTreeMap;

use super::book::{Book, State};
use super::checks::{Answer, ask};
use super::classify::Kind;
use super::database::Database;
use super::files::MigrationSet;
use super::layout::Tool;
use super::lint::{Finding, Knowledge, lint};
use super::runner::broke;
use super::theirs::{self, Baseline, Foreign, Sameness};
use crate::run::job::Failure;

/// How far one migration is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// Its number.
    pub number: u64,
    /// The number or version as the file has it.
    pub label: String,
    /// Its name.
    pub name: String,
    /// Its state in the bookkeeping; none if it was never begun.
    pub state: Option<State>,
    /// When it was applied.
    pub applied_at: Option<chrono::DateTime<chrono::Utc>>,
    /// In whose name.
    pub by: Option<String>,
    /// Whether the file is as it was applied; none if it was not.
    pub unchanged: Option<bool>,
    /// Whether there is a way back.
    pub reversible: bool,
    /// What another tool's bookkeeping says of it.
    pub foreign: Option<Foreign>,
}

impl Standing {
    /// Whether every statement of its way there has run, by gonogo's bookkeeping or by that of another tool.
    pub fn is_applied(&self) -> bool {
        matches!(self.state, Some(State::Applied | State::Verified))
            || self.state.is_none() && self.foreign.as_ref().is_some_and(Foreign::is_applied)
    }
}

/// What another tool's bookkeeping holds besides the migrations of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foreigners {
    /// The tool; several, where nobody said whose the files are.
    pub tools: Vec<Tool>,
    /// What is applied and has no file.
    pub strangers: Vec<String>,
    /// Why nothing can be run on top of it, if that is so.
    pub trouble: Option<String>,
}

/// A statement as it would be run, with what it locks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedStep {
    /// Its migration's number.
    pub number: u64,
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// What it does.
    pub name: String,
    /// Tables and the lock on each; what a DO block locks is not known before it runs.
    pub locks: Vec<(String, super::classify::LockMode)>,
    /// Whether it runs outside of any transaction.
    pub alone: bool,
    /// The statement.
    pub sql: String,
    /// What the linter says of it, by the files alone.
    pub findings: Vec<Finding>,
}

/// Every statement of the ways there, by the files alone.
pub fn steps(set: &MigrationSet) -> Vec<PlannedStep> {
    let said = lint(set, &Knowledge::default());
    let of = |migration: &super::files::Migration| {
        let (number, file) = (migration.number, migration.up.file.to_string());
        let about = |place: usize| {
            let here = |one: &&Finding| {
                one.is_raised()
                    && (one.number, one.place, one.direction) == (number, place, super::book::Direction::Up)
            };
            said.iter().filter(here).cloned().collect()
        };
        let step = |(place, statement): (usize, &super::split::Statement)| PlannedStep {
            findings: about(place),
            number,
            file: file.clone(),
            line: statement.line,
            name: statement.title.to_string(),
            locks: statement.shape.needs.iter().map(|need| (need.relation.to_string(), need.mode)).collect(),
            alone: statement.shape.transaction == super::classify::Transaction::Never,
            sql: statement.text.to_string(),
        };
        migration.up.statements.iter().enumerate().map(step).collect::<Vec<_>>()
    };
    set.migrations.iter().flat_map(of).collect()
}

/// How far each migration is.
pub async fn status(db: &Database, set: &MigrationSet) -> Result<Vec<Standing>, Failure> {
    let mut session = db.session("status").await?;
    let book = Book::of(&mut session, set).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let standing = |migration: &super::files::Migration| {
        let entry = book.entries.get(&migration.number);
        Standing {
            number: migration.number,
            label: migration.label.to_string(),
            name: migration.name.to_string(),
            state: entry.map(|entry| entry.state),
            applied_at: entry.and_then(|entry| entry.applied_at),
            by: entry.map(|entry| entry.by.clone()),
            unchanged: entry.map(|entry| *entry.checksum == *migration.up.checksum),
            reversible: migration.down.is_some(),
            foreign: theirs::foreign(&book.baseline, migration),
        }
    };
    Ok(set.migrations.iter().map(standing).collect())
}

/// What another tool's bookkeeping says beyond the migrations of a set; none where there is no such bookkeeping.
pub async fn foreigners(db: &Database, set: &MigrationSet) -> Result<Option<Foreigners>, Failure> {
    let mut session = db.session("status").await?;
    let baseline = theirs::read(&mut session, set).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let trouble = baseline.sound(set).err().map(|failure| failure.what);
    Ok(match baseline {
        Baseline::None => None,
        Baseline::One(theirs) => Some(Foreigners {
            tools: vec![theirs.tool],
            strangers: theirs.strangers.iter().map(super::ledger::Row::title).collect(),
            trouble,
        }),
        Baseline::Several(tools) => Some(Foreigners { tools, strangers: Vec::new(), trouble }),
    })
}

/// Asks the checks of every applied migration again.
pub async fn verify(db: &Database, set: &MigrationSet) -> Result<Vec<(u64, Answer)>, Failure> {
    let mut session = db.session("verify").await?;
    let book = Book::of(&mut session, set).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let mut answers = Vec::new();
    for migration in set.migrations.iter().filter(|one| !book.entries.contains_key(&one.number)) {
        let Some((theirs, row)) = book.baseline.row(migration.number) else { continue };
        let same = theirs::sameness(row, migration);
        let name = format!("{} applied it from this file", theirs.tool.name());
        let ok = book.baseline.applied(migration.number) && same != Sameness::Differs;
        answers.push((migration.number, Answer { name, ok, detail: migration.up.file.to_string() }));
        let asked = ask(&mut session, &migration.checks.file, &migration.checks.after).await?;
        answers.extend(asked.into_iter().map(|answer| (migration.number, answer)));
    }
    for number in book.applied() {
        let Some(migration) = set.get(number) else {
            let detail = format!("no file of that number in {}", set.origin);
            answers.push((number, Answer { name: "the file is there".into(), ok: false, detail }));
            continue;
        };
        let ok = book.entries.get(&number).is_some_and(|entry| *entry.checksum == *migration.up.checksum);
        let detail = migration.up.file.to_string();
        answers.push((number, Answer { name: "the file is as it was applied".into(), ok, detail }));
        let asked = ask(&mut session, &migration.checks.file, &migration.checks.after).await?;
        answers.extend(asked.into_iter().map(|answer| (number, answer)));
    }
    Ok(answers)
}

/// Asks the checks after the way back, of every migration that was taken back.
pub async fn verify_back(db: &Database, set: &MigrationSet) -> Result<Vec<(u64, Answer)>, Failure> {
    let mut session = db.session("verify").await?;
    let book = Book::read(&mut session).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let mut answers = Vec::new();
    if !super::book::exists(&mut session).await.map_err(|e| broke("reading the bookkeeping", &e))? {
        return Ok(answers);
    }
    let back: Vec<i64> =
        sqlx::query_scalar("SELECT DISTINCT number FROM gonogo.history WHERE what = 'forgotten'")
            .fetch_all(&mut session)
            .await
            .map_err(|e| broke("reading the history", &e))?;
    let went = |number: u64| i64::try_from(number).is_ok_and(|number| back.contains(&number));
    let back =
        set.migrations.iter().filter(|one| !book.entries.contains_key(&one.number) && went(one.number));
    for migration in back {
        let asked = ask(&mut session, &migration.checks.file, &migration.checks.after_down).await?;
        answers.extend(asked.into_iter().map(|answer| (migration.number, answer)));
    }
    Ok(answers)
}

/// What going back to `to` would set aside or lose: rows by what holds them. Only what is there is counted.
pub async fn loss(db: &Database, set: &MigrationSet, to: Option<u64>) -> Result<Vec<(String, u64)>, Failure> {
    let mut session = db.session("loss").await?;
    let book = Book::read(&mut session).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let mut losses = Vec::new();
    let gone = book.entries.keys().rev().filter(|number| to.is_none_or(|to| **number > to));
    for migration in gone.filter_map(|number| set.get(*number)) {
        let mut columns: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for statement in &migration.up.statements {
            match &statement.shape.kind {
                Kind::CreateTable { name, .. } if !name.starts_with("gonogo") => {
                    let there = super::inspect::is_there(&mut session, name)
                        .await
                        .map_err(|e| broke("counting", &e))?;
                    if there {
                        let rows = count(&mut session, &format!("SELECT count(*) FROM {name}")).await?;
                        losses.push((format!("{} {name}", migration.label), rows));
                    }
                }
                Kind::AlterTable { table, additions, .. } => {
                    columns.entry(table).or_default().extend(additions.iter().map(|add| &*add.column));
                }
                _ => {}
            }
        }
        for (table, columns) in columns.into_iter().filter(|(_, columns)| !columns.is_empty()) {
            let present = sqlx::query(
                "SELECT format('%I IS DISTINCT FROM %s', a.attname, coalesce(pg_get_expr(d.adbin, d.adrelid), 'NULL'))
                 FROM unnest($2::text[]) AS w (name)
                 JOIN pg_attribute a ON a.attrelid = to_regclass($1) AND a.attname = (parse_ident(w.name))[1] AND NOT a.attisdropped
                 LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum",
            );
            let present = present
                .bind(table)
                .bind(&columns)
                .fetch_all(&mut session)
                .await
                .map_err(|e| broke("counting", &e))?;
            let differ: Vec<String> = present.iter().filter_map(|row| row.try_get(0).ok()).collect();
            if !differ.is_empty() {
                let rows = count(
                    &mut session,
                    &format!("SELECT count(*) FROM {table} WHERE {}", differ.join(" OR ")),
                )
                .await?;
                losses.push((
                    format!("{} values in {} new columns of {table}", migration.label, differ.len()),
                    rows,
                ));
            }
        }
    }
    Ok(losses)
}

async fn count(session: &mut sqlx::postgres::PgConnection, sql: &str) -> Result<u64, Failure> {
    let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(session)
        .await
        .map_err(|e| broke("counting the rows", &e))?;
    Ok(u64::try_from(rows).unwrap_or(0))
}
