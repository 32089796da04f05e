//! The journal: append-only, hash-chained, one writer at a time, in SQLite with a write-ahead log synced at each commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::SubsecRound;
use sqlx::sqlite::SqliteSynchronous;
use sqlx::{Connection, SqliteConnection};

use super::chain::{self, Hash};
use super::rows::{BATCH, Rows};
use super::{StoreError, SubmitError, connect};
use crate::clock::Clock;
use crate::run::event::VERSION;
use crate::run::{Actor, Event, Record, Refusal, State};

/// "gono": marks the file as ours.
const APPLICATION: i64 = 0x676f_6e6f;
/// The version of the tables.
const TABLES: i64 = KNOWN as i64;
const KNOWN: u32 = 1;

const SCHEMA: &str = "
    create table journal (
        seq  integer primary key,
        at   integer not null,
        v    integer not null,
        by   text not null,
        role text not null,
        body text not null,
        hash blob not null
    ) strict;
    create trigger journal_keeps before update on journal begin select raise(abort, 'the journal is append-only'); end;
    create trigger journal_stays before delete on journal begin select raise(abort, 'the journal is append-only'); end;
";

/// The end of the journal as this process knows it.
#[derive(Debug)]
pub struct Head {
    /// What it folds into.
    pub state: Arc<State>,
    /// The hash of the last event.
    pub hash: Hash,
}

/// The journal of one run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: SqliteConnection,
    head: Head,
    /// Which file was opened, as the file system knows it.
    file: Option<FileId>,
}

impl Journal {
    /// Opens the file, or makes it, and folds it.
    pub async fn open(path: &Path) -> Result<(Self, Arc<State>), StoreError> {
        foreign(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|_| StoreError::ReadOnly { path: path.to_owned() })?;
        }
        let mut connection = connect(path, SqliteSynchronous::Full).await?;
        prepare(path, &mut connection).await?;
        let head = Head { state: Arc::default(), hash: chain::ROOT };
        let mut journal = Self { path: path.to_owned(), connection, head, file: file_id(path) };
        journal.catch_up().await?;
        let state = Arc::clone(&journal.head.state);
        Ok((journal, state))
    }

    /// The end of the journal as this process knows it.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Folds what other processes appended.
    pub async fn catch_up(&mut self) -> Result<(), StoreError> {
        self.in_place()?;
        read_on(&self.path, &mut self.connection, &mut self.head).await
    }

    /// Whether it takes a write at present: writes what is there already, once more, and waits for nobody.
    pub async fn try_to_write(&mut self) -> Result<(), StoreError> {
        self.in_place()?;
        let Self { path, connection, .. } = self;
        let failed = |error| StoreError::from_sqlx(path, error);
        sqlx::raw_sql("pragma busy_timeout = 0").execute(&mut *connection).await.map_err(failed)?;
        let same = format!("begin immediate; pragma user_version = {TABLES}; commit");
        let written = sqlx::raw_sql(sqlx::AssertSqlSafe(same)).execute(&mut *connection).await;
        let patient = format!("pragma busy_timeout = {}", super::PATIENCE.as_millis());
        sqlx::raw_sql(sqlx::AssertSqlSafe(patient)).execute(&mut *connection).await.map_err(failed)?;
        written.map(drop).map_err(failed)
    }

    /// A file that was moved away would take every further event with it, unseen by everybody else.
    fn in_place(&self) -> Result<(), StoreError> {
        if file_id(&self.path) == self.file {
            Ok(())
        } else {
            Err(StoreError::Gone { path: self.path.clone() })
        }
    }

    /// Appends the events that `make` makes of the newest state, in one transaction that no other writer can interleave.
    pub async fn append(
        &mut self,
        clock: &Clock,
        make: impl FnOnce(&State) -> Result<(Actor, Vec<Event>), Refusal>,
    ) -> Result<Vec<Arc<Record>>, SubmitError> {
        self.in_place()?;
        let Self { path, connection, head, .. } = self;
        let failed = |error| StoreError::from_sqlx(path, error);
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        read_on(path, &mut transaction, head).await?;
        let (by, events) = make(&head.state)?;
        // Microseconds are what is stored; a record must read back as it was handed out. And the journal's time never
        // goes back, whatever the clocks of two machines say.
        let at = clock.now().trunc_subsecs(6).max(head.state.at);
        let mut records = Vec::with_capacity(events.len());
        let mut hash = head.hash;
        for (seq, event) in (head.state.seq + 1..).zip(events) {
            let body = serde_json::to_string(&event).map_err(|error| StoreError::Sqlite {
                path: path.clone(),
                message: format!("an event cannot be written as JSON: {error}"),
            })?;
            hash = chain::link(&hash, seq, at.timestamp_micros(), &by.name, by.role.word(), &body);
            sqlx::query(
                "insert into journal (seq, at, v, by, role, body, hash) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .bind(seq.cast_signed())
            .bind(at.timestamp_micros())
            .bind(VERSION)
            .bind(&*by.name)
            .bind(by.role.word())
            .bind(&body)
            .bind(&hash[..])
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            records.push(Arc::new(Record { seq, at, by: by.clone(), event }));
        }
        transaction.commit().await.map_err(failed)?;
        let state = Arc::make_mut(&mut head.state);
        for record in &records {
            state.apply(Arc::clone(record));
        }
        head.hash = hash;
        Ok(records)
    }

    /// Records from number `from` on, at most `limit`.
    pub async fn records(&mut self, from: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        let mut after = from.saturating_sub(1);
        let mut left = limit;
        while left > 0 {
            let asked = left.min(BATCH);
            let rows = Rows::after(&self.path, &mut self.connection, after, asked).await?;
            let before = records.len();
            for row in rows.iter() {
                records.push(row?.record()?);
            }
            let Some(last) = records.last().filter(|_| records.len() - before == asked as usize) else {
                break;
            };
            after = last.seq;
            left -= asked;
        }
        Ok(records)
    }
}

/// A file's device and number: they stay when it grows, and differ when another takes its name.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}

/// Elsewhere an open file can neither be moved nor deleted.
#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<FileId> {
    None
}

/// A file that is there and is no SQLite file is not opened at all: opening could change it.
fn foreign(path: &Path) -> Result<(), StoreError> {
    use std::io::Read;
    let Ok(mut file) = std::fs::File::open(path) else { return Ok(()) };
    let mut start = [0_u8; 16];
    match file.read(&mut start) {
        Ok(0) => Ok(()),
        Ok(_) if &start == b"SQLite format 3\0" => Ok(()),
        Ok(_) => Err(StoreError::Foreign { path: path.to_owned(), found: "not an SQLite file".into() }),
        Err(error) => Err(StoreError::Foreign { path: path.to_owned(), found: error.to_string() }),
    }
}

async fn prepare(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_sqlx(path, error);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let application: i64 =
        sqlx::query_scalar("pragma application_id").fetch_one(&mut *transaction).await.map_err(failed)?;
    let version: i64 =
        sqlx::query_scalar("pragma user_version").fetch_one(&mut *transaction).await.map_err(failed)?;
    let tables: i64 = sqlx::query_scalar("select count(*) from sqlite_schema")
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
    match (application, version) {
        (APPLICATION, TABLES) => {}
        (APPLICATION, newer) if newer > TABLES => {
            let found = u32::try_from(newer).unwrap_or(u32::MAX);
            return Err(StoreError::Newer { path: path.to_owned(), found, known: KNOWN });
        }
        (0, 0) if tables == 0 => {
            let make =
                format!("{SCHEMA} pragma application_id = {APPLICATION}; pragma user_version = {TABLES};");
            sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut *transaction).await.map_err(failed)?;
        }
        _ => {
            let found = format!("an SQLite file of another program, with {tables} tables");
            return Err(StoreError::Foreign { path: path.to_owned(), found });
        }
    }
    transaction.commit().await.map_err(failed)
}

async fn read_on(path: &Path, connection: &mut SqliteConnection, head: &mut Head) -> Result<(), StoreError> {
    still_there(path, connection, head).await?;
    loop {
        let before = head.state.seq;
        let rows = Rows::after(path, connection, before, BATCH).await?;
        for row in rows.iter() {
            let row = row?;
            let hash = row.follows(head.state.seq, &head.hash)?;
            let record = Arc::new(row.record()?);
            head.hash = hash;
            Arc::make_mut(&mut head.state).apply(record);
        }
        if head.state.seq - before < u64::from(BATCH) {
            return Ok(());
        }
    }
}

/// The end that this process knows is still in the file: a chain that lost its end fits together as well, and only who
/// saw it longer can tell.
async fn still_there(path: &Path, connection: &mut SqliteConnection, head: &Head) -> Result<(), StoreError> {
    let seq = head.state.seq;
    if seq == 0 {
        return Ok(());
    }
    let hash: Option<Vec<u8>> = sqlx::query_scalar("select hash from journal where seq = ?1")
        .bind(seq.cast_signed())
        .fetch_optional(connection)
        .await
        .map_err(|error| StoreError::from_sqlx(path, error))?;
    let why = match hash {
        Some(hash) if hash == head.hash => return Ok(()),
        Some(_) => "it is another one than was seen before",
        None => "it was there, and is missing now",
    };
    Err(StoreError::Altered { path: path.to_owned(), seq, why: why.into() })
}
