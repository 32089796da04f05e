//! What stands beside the journal: progress, samples, what is told once and again, and how a rehearsal's clock runs. In a file of its
//! own that is not synced: losing it loses no fact, and writing it never waits for the disk. The leases and who is here, which stand
//! in it as well, are in rooms of their own.

mod leases;
mod presence;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex as Held, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteSynchronous;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, watch};

pub use leases::LEASE;

use super::{StoreError, connect};
use crate::clock::{Clock, Pace};
use crate::plan::MetricId;
use crate::run::live::{Advice, Conflicts, HistoryLive, Outlook, Presence};
use crate::run::{JobId, Live, Progress, Sample};

/// How many samples wait to be written before the oldest go; one each second for a minute and each gauge of a large plan.
const WAITING: usize = 1_024;

const SCHEMA: &str = "
    create table if not exists progress (job integer primary key, body text not null) strict;
    create table if not exists sample (metric text not null, at integer not null, body text not null,
        primary key (metric, at)) strict, without rowid;
    create table if not exists presence (cockpit text primary key, seen integer not null, body text not null) strict;
    create table if not exists lease (worker text primary key, cockpit text not null, until integer not null) strict;
    create table if not exists word (name text primary key, at integer not null, body text not null) strict;
    create table if not exists pace (one integer primary key check (one = 1), body text not null) strict;
";

/// Each gauge once, by jumps through the index: `distinct` would read every sample of the day, twice a second.
const METRICS: &str = "
    with recursive found (metric) as (
        select min(metric) from sample
        union all
        select (select min(metric) from sample where metric > found.metric) from found where found.metric is not null
    )
    select metric from found where metric is not null";

/// The file beside the journal.
#[derive(Debug)]
pub struct Beside {
    path: PathBuf,
    wall: Clock,
    connection: Mutex<SqliteConnection>,
    live: watch::Sender<Arc<Live>>,
    waiting: Held<Waiting>,
    /// Who is here, by cockpit, and when each was last heard.
    here: Held<Vec<(i64, Presence)>>,
    /// What SQLite says of writes by others; see [`Beside::news_of_others`].
    version: AtomicI64,
}

#[derive(Debug, Default)]
struct Waiting {
    progress: BTreeMap<JobId, Arc<Progress>>,
    samples: VecDeque<Sample>,
    conflicts: Option<Arc<Conflicts>>,
    history: Option<Arc<HistoryLive>>,
    outlook: Option<Arc<Outlook>>,
    advice: Option<Arc<Advice>>,
}

impl Beside {
    /// Opens the file that belongs to the journal at `journal`. Not being synced, it may be broken after a power cut: then
    /// it is set aside and begun anew, for no fact is in it.
    pub async fn open(journal: &Path) -> Result<Self, StoreError> {
        let path = path_of(journal);
        let connection = match ready(&path).await {
            Err(StoreError::Damaged { .. } | StoreError::Foreign { .. }) => {
                set_aside(&path)?;
                ready(&path).await?
            }
            opened => opened?,
        };
        Ok(Self {
            path,
            wall: Clock::wall(),
            connection: Mutex::new(connection),
            live: watch::Sender::default(),
            waiting: Held::default(),
            here: Held::default(),
            version: AtomicI64::default(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known, and its changes.
    pub fn live(&self) -> watch::Receiver<Arc<Live>> {
        self.live.subscribe()
    }

    pub(super) fn progress(&self, progress: Progress) {
        let progress = Arc::new(progress);
        self.live.send_modify(|live| {
            Arc::make_mut(live).progress.insert(progress.job, Arc::clone(&progress));
        });
        self.waiting().progress.insert(progress.job, progress);
    }

    pub(super) fn sample(&self, sample: Sample) {
        self.live.send_modify(|live| Arc::make_mut(live).push(sample.clone()));
        let mut waiting = self.waiting();
        if waiting.samples.len() == WAITING {
            waiting.samples.pop_front();
        }
        waiting.samples.push_back(sample);
    }

    /// Tells which profiles wait for a person; the latest wins.
    pub(super) fn conflicts(&self, conflicts: Conflicts) {
        let conflicts = Arc::new(conflicts);
        self.live.send_modify(|live| Arc::make_mut(live).conflicts = Some(Arc::clone(&conflicts)));
        self.waiting().conflicts = Some(conflicts);
    }

    /// Tells how far the history is; the latest wins.
    pub(super) fn history(&self, history: HistoryLive) {
        let history = Arc::new(history);
        self.live.send_modify(|live| Arc::make_mut(live).history = Some(Arc::clone(&history)));
        self.waiting().history = Some(history);
    }

    /// Tells what taking the database back would lose; the latest wins.
    pub(super) fn outlook(&self, outlook: Outlook) {
        let outlook = Arc::new(outlook);
        self.live.send_modify(|live| Arc::make_mut(live).outlook = Some(Arc::clone(&outlook)));
        self.waiting().outlook = Some(outlook);
    }

    /// Tells what the linter says of the migrations ahead; the latest wins.
    pub(super) fn advice(&self, advice: Advice) {
        let advice = Arc::new(advice);
        self.live.send_modify(|live| Arc::make_mut(live).advice = Some(Arc::clone(&advice)));
        self.waiting().advice = Some(advice);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something waits to be written.
    pub(super) fn has_news(&self) -> bool {
        let waiting = self.waiting();
        !waiting.progress.is_empty()
            || !waiting.samples.is_empty()
            || waiting.conflicts.is_some()
            || waiting.history.is_some()
            || waiting.outlook.is_some()
            || waiting.advice.is_some()
    }

    /// Writes what waits, for the other processes.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let news = std::mem::take(&mut *self.waiting());
        let mut connection = self.connection.lock().await;
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(|error| self.failed(error))?;
        for progress in news.progress.values() {
            sqlx::query("insert or replace into progress (job, body) values (?1, ?2)")
                .bind(progress.job.0.cast_signed())
                .bind(sqlx::types::Json(&**progress))
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(error))?;
        }
        for sample in &news.samples {
            sqlx::query("insert or ignore into sample (metric, at, body) values (?1, ?2, ?3)")
                .bind(&*sample.metric.0)
                .bind(sample.at.timestamp_micros())
                .bind(sqlx::types::Json(sample))
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(error))?;
        }
        if let Some(conflicts) = &news.conflicts {
            self.write(&mut transaction, "conflicts", conflicts.at, &**conflicts).await?;
        }
        if let Some(history) = &news.history {
            self.write(&mut transaction, "history", history.at, &**history).await?;
        }
        if let Some(outlook) = &news.outlook {
            self.write(&mut transaction, "outlook", outlook.at, &**outlook).await?;
        }
        if let Some(advice) = &news.advice {
            self.write(&mut transaction, "advice", advice.at, &**advice).await?;
        }
        transaction.commit().await.map_err(|error| self.failed(error))
    }

    async fn write<T: serde::Serialize + Sync>(
        &self,
        connection: &mut SqliteConnection,
        name: &str,
        at: DateTime<Utc>,
        body: &T,
    ) -> Result<(), StoreError> {
        sqlx::query("insert or replace into word (name, at, body) values (?1, ?2, ?3)")
            .bind(name)
            .bind(at.timestamp_micros())
            .bind(sqlx::types::Json(body))
            .execute(connection)
            .await
            .map_err(|error| self.failed(error))
            .map(drop)
    }

    /// What was told under that name after a moment.
    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        connection: &mut SqliteConnection,
        name: &str,
        after: Option<DateTime<Utc>>,
    ) -> Result<Option<Arc<T>>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("select body from word where name = ?1 and at > ?2")
            .bind(name)
            .bind(after.map_or(i64::MIN, |at| at.timestamp_micros()))
            .fetch_optional(connection)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(body.and_then(|body| serde_json::from_str(&body).ok()).map(Arc::new))
    }

    /// Takes in what other processes wrote.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        let mut connection = self.connection.lock().await;
        let newest: BTreeMap<MetricId, DateTime<Utc>> = {
            let live = self.live.borrow();
            live.series.iter().filter_map(|(id, series)| Some((id.clone(), series.back()?.at))).collect()
        };
        let mut samples: Vec<Sample> = Vec::new();
        let metrics: Vec<String> = sqlx::query_scalar(METRICS)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| self.failed(error))?;
        for metric in metrics {
            let after =
                newest.get(&MetricId::from(metric.as_str())).map_or(i64::MIN, DateTime::timestamp_micros);
            let rows: Vec<String> = sqlx::query_scalar(
                "select body from (select at, body from sample where metric = ?1 and at > ?2
                 order by at desc limit ?3) order by at",
            )
            .bind(&metric)
            .bind(after)
            .bind(i64::try_from(crate::run::live::KEPT).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| self.failed(error))?;
            samples.extend(rows.iter().filter_map(|body| serde_json::from_str(body).ok()));
        }
        let progress: Vec<String> =
            sqlx::query_scalar("select body from progress order by job desc limit 32")
                .fetch_all(&mut *connection)
                .await
                .map_err(|error| self.failed(error))?;
        let (said, told) = {
            let live = self.live.borrow();
            (live.conflicts.as_ref().map(|list| list.at), live.history.as_ref().map(|history| history.at))
        };
        let conflicts = self.read::<Conflicts>(&mut connection, "conflicts", said).await?;
        let history = self.read::<HistoryLive>(&mut connection, "history", told).await?;
        let looked = self.live.borrow().outlook.as_ref().map(|outlook| outlook.at);
        let outlook = self.read::<Outlook>(&mut connection, "outlook", looked).await?;
        let advised = self.live.borrow().advice.as_ref().map(|advice| advice.at);
        let advice = self.read::<Advice>(&mut connection, "advice", advised).await?;
        let present = self.read_presence(&mut connection).await?;
        self.live.send_if_modified(|live| {
            let mut next = Live::clone(live);
            for body in &progress {
                if let Ok(read) = serde_json::from_str::<Progress>(body)
                    && next.progress.get(&read.job).is_none_or(|known| known.at < read.at)
                {
                    next.progress.insert(read.job, Arc::new(read));
                }
            }
            for sample in samples {
                next.push(sample);
            }
            if conflicts.is_some() {
                next.conflicts = conflicts;
            }
            if history.is_some() {
                next.history = history;
            }
            if outlook.is_some() {
                next.outlook = outlook;
            }
            if advice.is_some() {
                next.advice = advice;
            }
            next.present = present;
            let changed = next != **live;
            if changed {
                *live = Arc::new(next);
            }
            changed
        });
        Ok(())
    }

    /// What SQLite calls the newest write by another connection than this one, where that is not taken in yet.
    pub(super) async fn news_of_others(&self) -> Result<Option<i64>, StoreError> {
        let version: i64 = sqlx::query_scalar("pragma data_version")
            .fetch_one(&mut *self.connection.lock().await)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(Some(version).filter(|version| self.version.load(Ordering::Relaxed) != *version))
    }

    /// All up to that write is taken in. Not said before it is: what could not be read is read again.
    pub(super) fn has_taken_in(&self, version: i64) {
        self.version.store(version, Ordering::Relaxed);
    }

    /// How the rehearsal's clock runs, if this is one.
    pub async fn pace(&self) -> Result<Option<Pace>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("select body from pace")
            .fetch_optional(&mut *self.connection.lock().await)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(body.and_then(|body| serde_json::from_str(&body).ok()))
    }

    pub(super) async fn set_pace(&self, pace: Pace) -> Result<(), StoreError> {
        sqlx::query("insert or replace into pace (one, body) values (1, ?1)")
            .bind(sqlx::types::Json(pace))
            .execute(&mut *self.connection.lock().await)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(())
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        StoreError::from_sqlx(&self.path, error)
    }
}

/// How the clock of the rehearsal at that journal runs; none where it is the day itself, or nothing is there yet.
pub async fn pace_at(journal: &Path) -> Result<Option<Pace>, StoreError> {
    if !path_of(journal).exists() {
        return Ok(None);
    }
    Beside::open(journal).await?.pace().await
}

async fn ready(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut connection = connect(path, SqliteSynchronous::Off).await?;
    let failed = |error| StoreError::from_sqlx(path, error);
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await.map_err(failed)?;
    Ok(connection)
}

fn set_aside(path: &Path) -> Result<(), StoreError> {
    let aside = path.with_extension(format!("broken-{}", Clock::wall().now().timestamp_micros()));
    std::fs::rename(path, &aside).map_err(|_| StoreError::ReadOnly { path: path.to_owned() })?;
    for log in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(log);
        // A log of the broken file would be taken for one of the new file.
        drop(std::fs::remove_file(name));
    }
    tracing::warn!(file = %path.display(), aside = %aside.display(), "progress and samples could not be read; set aside");
    Ok(())
}

/// `run.sqlite` has `run.live.sqlite` beside it.
pub fn path_of(journal: &Path) -> PathBuf {
    let stem = journal.file_stem().unwrap_or_default().to_string_lossy();
    journal.with_file_name(format!("{stem}.live.sqlite"))
}
