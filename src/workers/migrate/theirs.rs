//! What another tool's bookkeeping says is applied. It is read in a transaction that the server keeps read-only, and never written:
//! what is not adopted stays the other tool's. A row that cannot be understood, or that row-level security hides, is an error and
//! not an absence.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::database::run;
use super::files::{Migration, MigrationSet, refused};
use super::layout::Tool;
use super::ledger::{self, Row, Verdict};
use super::split::split;
use crate::run::job::Failure;

/// Other tools' bookkeeping about the files of a set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Baseline {
    /// There is none.
    #[default]
    None,
    /// One tool's.
    One(Theirs),
    /// Several tools could mean these files, and nobody said which does.
    Several(Vec<Tool>),
}

/// A tool's bookkeeping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Theirs {
    pub(crate) tool: Tool,
    /// By the number of the migration here.
    pub(crate) entries: BTreeMap<u64, Row>,
    /// What is applied and has no file here.
    pub(crate) strangers: Vec<Row>,
    /// What was taken over into gonogo's own bookkeeping at some time, which has the word since.
    pub(crate) adopted: BTreeSet<u64>,
}

/// Whether a file is what the other tool ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sameness {
    /// By its checksum or its statements.
    Same,
    /// Not.
    Differs,
    /// The tool wrote nothing down to compare with.
    NotRecorded,
}

/// Reads what the tools of this layout have written down.
pub(crate) async fn read(session: &mut PgConnection, set: &MigrationSet) -> Result<Baseline, sqlx::Error> {
    if set.reading.tools().is_empty() {
        return Ok(Baseline::None);
    }
    // With row security off the server raises an error instead of hiding rows.
    run(session, "BEGIN READ ONLY; SET LOCAL row_security = off").await?;
    let found = books(session, set).await;
    run(session, "ROLLBACK").await?;
    let mut found = found?;
    Ok(match found.len() {
        0 => Baseline::None,
        1 => found.pop().map_or(Baseline::None, Baseline::One),
        _ => Baseline::Several(found.iter().map(|theirs| theirs.tool).collect()),
    })
}

async fn books(session: &mut PgConnection, set: &MigrationSet) -> Result<Vec<Theirs>, sqlx::Error> {
    let mut found = Vec::new();
    for tool in set.reading.tools() {
        let columns: Option<Vec<String>> = sqlx::query_scalar(
            "SELECT array_agg(attname::text) FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        )
        .bind(ledger::table(*tool))
        .fetch_one(&mut *session)
        .await?;
        let columns = columns.unwrap_or_default();
        if !ledger::is_theirs(*tool, &columns) {
            continue;
        }
        let all = format!("SELECT to_jsonb(t) FROM {} AS t", ledger::table(*tool));
        let rows: Vec<serde_json::Value> =
            sqlx::query_scalar(AssertSqlSafe(all)).fetch_all(&mut *session).await?;
        let rows = ledger::rows(*tool, &rows).map_err(|what| sqlx::Error::Decode(what.into()))?;
        if !rows.is_empty() {
            found.push(Theirs::of(*tool, rows, set));
        }
    }
    Ok(found)
}

impl Theirs {
    fn of(tool: Tool, rows: Vec<Row>, set: &MigrationSet) -> Self {
        let mut theirs =
            Self { tool, entries: BTreeMap::new(), strangers: Vec::new(), adopted: BTreeSet::new() };
        for row in rows {
            let Some(number) = ledger::number(tool, &row.version, set) else {
                // A program has its place without being run here.
                let program = set
                    .asides
                    .iter()
                    .any(|aside| aside.number.is_some_and(|number| row.version.parse() == Ok(number)));
                if let (true, Ok(number)) = (program, row.version.parse()) {
                    theirs.entries.insert(number, row);
                } else {
                    theirs.strangers.push(row);
                }
                continue;
            };
            if row.reach == ledger::Reach::AllBefore {
                for earlier in set.migrations.iter().filter(|migration| migration.number < number) {
                    let bare = Row { version: earlier.label.to_string(), ..Row::default() };
                    theirs.entries.entry(earlier.number).or_insert(bare);
                }
                let programs = set.asides.iter().filter_map(|aside| aside.number);
                for earlier in programs.filter(|earlier| *earlier < number) {
                    let bare = Row { version: earlier.to_string(), ..Row::default() };
                    theirs.entries.entry(earlier).or_insert(bare);
                }
            }
            theirs.entries.insert(number, row);
        }
        theirs
    }

    /// Where it stands, for messages.
    pub(crate) fn table(&self) -> &'static str {
        ledger::table(self.tool)
    }
}

impl Baseline {
    /// What the other tool says of a number that was never adopted.
    pub(crate) fn row(&self, number: u64) -> Option<(&Theirs, &Row)> {
        match self {
            Self::One(theirs) if !theirs.adopted.contains(&number) => {
                theirs.entries.get(&number).map(|row| (theirs, row))
            }
            _ => None,
        }
    }

    /// Whether another tool has applied it, and it is not gonogo's to answer for.
    pub(crate) fn applied(&self, number: u64) -> bool {
        self.row(number).is_some_and(|(_, row)| row.verdict == Verdict::Applied)
    }

    /// The highest number that another tool has applied.
    pub(crate) fn newest(&self) -> Option<u64> {
        match self {
            Self::One(theirs) => theirs.entries.keys().next_back().copied(),
            Self::None | Self::Several(_) => None,
        }
    }

    /// Nothing is run on top of books that are in disorder.
    pub(crate) fn sound(&self, set: &MigrationSet) -> Result<(), Failure> {
        let theirs = match self {
            Self::None => return Ok(()),
            Self::One(theirs) => theirs,
            Self::Several(tools) => {
                let tools: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
                return Err(refused(
                    format!(
                        "{} have both kept books in this database, and the files of {} could be of each",
                        tools.join(" and "),
                        set.origin
                    ),
                    "say whose they are, with --layout or `layout` in [deployment] of gonogo.toml",
                ));
            }
        };
        let (tool, table) = (theirs.tool.name(), theirs.table());
        let unfinished =
            theirs.entries.values().chain(&theirs.strangers).find_map(|row| match &row.verdict {
                Verdict::Unfinished(how) => Some((row, how)),
                Verdict::Applied => None,
            });
        if let Some((row, how)) = unfinished {
            return Err(refused(
                format!("{table} says that {} {how}", row.title()),
                ledger::way_out(theirs.tool),
            ));
        }
        if let Some(row) = theirs.strangers.first() {
            return Err(refused(
                format!(
                    "{} is applied, as {table} of {tool} says, but has no file in {}",
                    row.title(),
                    set.origin
                ),
                "bring the file back; or, if those books are about other files than these, say --layout gonogo",
            ));
        }
        Ok(())
    }

    /// A file that another tool ran is as it was then.
    pub(crate) fn unchanged(&self, migration: &Migration) -> Result<(), Failure> {
        match self.row(migration.number) {
            Some((theirs, row)) if sameness(row, migration) == Sameness::Differs => Err(refused(
                format!(
                    "{} is not what {} applied: {} has another checksum for it",
                    migration.up.file,
                    theirs.tool.name(),
                    theirs.table()
                ),
                "put the file back as it was, and write a new migration for the change",
            )),
            _ => Ok(()),
        }
    }
}

/// Compares a file with what its tool wrote down of it.
pub(crate) fn sameness(row: &Row, migration: &Migration) -> Sameness {
    let of = |same: bool| if same { Sameness::Same } else { Sameness::Differs };
    match &row.print {
        ledger::Print::None => Sameness::NotRecorded,
        ledger::Print::Sqlx(sum) => of(**sum == *migration.up.prints.sqlx),
        ledger::Print::Flyway(sum) => of(*sum == migration.up.prints.flyway),
        ledger::Print::Statements(texts) => {
            // Line ends and what stands between statements are not part of them.
            let Ok(ran) = split("", &texts.join(";\n"), 1) else { return Sameness::NotRecorded };
            let now = migration.up.statements.iter().map(|statement| &statement.checksum);
            of(ran.iter().map(|statement| &statement.checksum).eq(now))
        }
    }
}

/// What another tool says of a migration, for a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foreign {
    /// The tool.
    pub tool: Tool,
    /// Its table.
    pub table: &'static str,
    /// Whether it is applied; else what is wrong with it.
    pub unfinished: Option<String>,
    /// When, as the tool wrote it.
    pub when: Option<String>,
    /// Whether the file is what it ran.
    pub file: Sameness,
    /// Whether gonogo's own bookkeeping has taken it over.
    pub adopted: bool,
}

impl Foreign {
    /// Whether the tool has applied it, and still answers for it.
    pub fn is_applied(&self) -> bool {
        self.unfinished.is_none() && !self.adopted
    }
}

/// What is said of one migration, adopted or not.
pub(crate) fn foreign(baseline: &Baseline, migration: &Migration) -> Option<Foreign> {
    let Baseline::One(theirs) = baseline else { return None };
    let row = theirs.entries.get(&migration.number)?;
    let unfinished = match &row.verdict {
        Verdict::Applied => None,
        Verdict::Unfinished(how) => Some(how.clone()),
    };
    Some(Foreign {
        tool: theirs.tool,
        table: theirs.table(),
        unfinished,
        when: row.when.clone(),
        file: sameness(row, migration),
        adopted: theirs.adopted.contains(&migration.number),
    })
}

/// When the tool wrote down that it was applied, where it said so with a time zone.
pub(crate) fn applied_at(row: &Row) -> Option<DateTime<Utc>> {
    row.when.as_deref()?.parse().ok()
}
