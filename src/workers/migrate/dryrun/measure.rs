//! Looks at each statement of a rehearsal from inside: what it locked, wrote anew and read from end to end, how long it took, how
//! much log it wrote. It changes nothing, and runs on a clone only: on the day nobody asks these questions in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::sync::oneshot;

use super::report::Traced;
use crate::workers::migrate::classify::{Kind, Transaction};
use crate::workers::migrate::database::Database;
use crate::workers::migrate::files::{MigrationSet, Unit};
use crate::workers::migrate::forecast::{Held, Measured};
use crate::workers::migrate::split::Statement;
use crate::workers::migrate::watch::Probe;

/// How often a statement that runs outside of a transaction is looked at from another session.
const EVERY: Duration = Duration::from_millis(1);

/// Relation to its file on disk.
type Files = BTreeMap<String, i64>;
/// Relation and mode.
type Locks = BTreeSet<(String, String)>;

/// What was so right before the statement.
#[derive(Debug)]
struct Before {
    files: Files,
    scans: BTreeMap<String, i64>,
    wal: String,
    sampler: Option<Sampler>,
}

/// A statement with its place in the run.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(super) checksum: Arc<str>,
    pub(crate) file: String,
    pub(crate) traced: Traced,
}

#[derive(Debug, Default)]
struct Notes {
    way: String,
    /// What was there when this way began; locks on anything newer keep nobody out.
    there: BTreeSet<String>,
    before: Option<Before>,
    seen: Vec<Seen>,
}

/// Measures on a clone.
#[derive(Debug)]
pub(crate) struct Measure {
    db: Database,
    units: BTreeMap<String, Unit>,
    notes: Mutex<Notes>,
}

impl Measure {
    pub(crate) fn new(db: &Database, set: &MigrationSet) -> Self {
        let scripts =
            set.migrations.iter().flat_map(|migration| std::iter::once(&migration.up).chain(&migration.down));
        let units = scripts.map(|script| (script.file.to_string(), script.unit)).collect();
        Self { db: db.clone(), units, notes: Mutex::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another way begins: up, down, up again.
    pub(crate) async fn begin(&self, way: &str, session: &mut PgConnection) -> Result<(), sqlx::Error> {
        let there = files(session).await?.into_keys().collect();
        let mut notes = self.notes();
        way.clone_into(&mut notes.way);
        notes.there = there;
        Ok(())
    }

    /// All that was seen, each lock with how long it was held to the end of its transaction.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let mut seen = self.notes().seen.clone();
        let mut after: Option<(String, String, f64)> = None;
        for one in seen.iter_mut().rev() {
            let took = one.traced.measured.ms;
            let same = |(way, file, _): &(String, String, f64)| *way == one.traced.way && *file == one.file;
            let held = match (&after, self.units.get(&one.file)) {
                (Some(last), Some(Unit::File)) if same(last) => last.2 + took,
                _ => took,
            };
            one.traced.measured.locks.iter_mut().for_each(|lock| lock.ms = held);
            after = Some((one.traced.way.clone(), one.file.clone(), held));
        }
        seen
    }
}

impl Probe for Measure {
    fn before<'a>(
        &'a self,
        session: &'a mut PgConnection,
        _: &'a str,
        statement: &'a Statement,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let sampler = if statement.shape.transaction == Transaction::Never {
                let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *session).await?;
                // Connected before the statement begins: a small index is built in a moment.
                self.db.session("trace").await.ok().map(|session| Sampler::start(session, pid))
            } else {
                None
            };
            let before = Before {
                files: files(session).await?,
                scans: scans(session).await?,
                wal: sqlx::query_scalar("SELECT pg_current_wal_insert_lsn()::text")
                    .fetch_one(&mut *session)
                    .await?,
                sampler,
            };
            self.notes().before = Some(before);
            Ok(())
        })
    }

    fn after<'a>(
        &'a self,
        session: &'a mut PgConnection,
        file: &'a str,
        statement: &'a Statement,
        took: Duration,
        rows: u64,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let Some(before) = self.notes().before.take() else { return Ok(()) };
            let wal: i64 = sqlx::query_scalar("SELECT (pg_current_wal_insert_lsn() - $1::pg_lsn)::bigint")
                .bind(&before.wal)
                .fetch_one(&mut *session)
                .await?;
            let held = match before.sampler {
                Some(sampler) => sampler.end().await,
                None => locks(session, None).await?,
            };
            let now = files(session).await?;
            let rewrites: Vec<String> = before
                .files
                .iter()
                .filter(|(name, file)| now.get(*name).is_some_and(|other| other != *file))
                .map(|(name, _)| name.clone())
                .collect();
            let mut read: Vec<String> = scans(session)
                .await?
                .into_iter()
                .filter(|(name, count)| *count > before.scans.get(name).copied().unwrap_or(0))
                .map(|(name, _)| name)
                .collect();
            let there = self.notes().there.clone();
            let full: Vec<String> = resolve(session, statement).await?;
            if matches!(statement.shape.kind, Kind::CreateIndex { .. }) && read.is_empty() {
                // A build outside of a transaction counts elsewhere; it reads the table all the same.
                read.clone_from(&full);
            }
            let wrote = if matches!(statement.shape.kind, Kind::Write { .. }) { rows } else { 0 };
            // What the migration itself has made is new and empty on the day too.
            read.retain(|table| there.contains(table));
            let locks: Vec<Held> = held
                .into_iter()
                .filter(|(relation, _)| there.contains(relation))
                .map(|(relation, mode)| Held { relation, mode, ms: 0.0 })
                .collect();
            let mut large: Vec<String> = read.iter().chain(&rewrites).cloned().collect();
            if large.is_empty() {
                large.extend(full.into_iter().chain(locks.iter().map(|lock| lock.relation.clone())));
            }
            let (rows, bytes) = size(session, &large).await?;
            let measured = Measured {
                title: statement.title.to_string(),
                place: format!("{file}:{}", statement.line),
                ms: took.as_secs_f64() * 1000.0,
                rows,
                bytes,
                locks,
                rewrites,
                scans: read,
                wrote,
                wal: u64::try_from(wal).unwrap_or(0),
            };
            let mut notes = self.notes();
            let traced = Traced { way: notes.way.clone(), measured };
            notes.seen.push(Seen { checksum: statement.checksum.clone(), file: file.to_owned(), traced });
            Ok(())
        })
    }
}

/// Looks from another session at what a statement holds while it runs.
#[derive(Debug)]
struct Sampler {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Locks>,
}

impl Sampler {
    fn start(mut session: PgConnection, pid: i32) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut all = Locks::new();
            // A look that fails is a look less; the statement itself is not concerned.
            while let Ok(seen) = locks(&mut session, Some(pid)).await {
                all.extend(seen);
                tokio::select! {
                    _ = &mut stopped => break,
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
            all
        });
        Self { stop, task }
    }

    async fn end(self) -> Locks {
        drop(self.stop);
        self.task.await.unwrap_or_default()
    }
}

async fn files(session: &mut PgConnection) -> Result<Files, sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT format('%I.%I', n.nspname, c.relname), c.relfilenode::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'm', 'i', 'v') AND n.nspname !~ '^(pg_|gonogo)' AND n.nspname <> 'information_schema'",
    )
    .fetch_all(session)
    .await?;
    Ok(rows.into_iter().collect())
}

async fn scans(session: &mut PgConnection) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT format('%I.%I', schemaname, relname), coalesce(seq_scan, 0)::bigint FROM pg_stat_xact_user_tables WHERE schemaname !~ '^gonogo'",
    )
    .fetch_all(session)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The table locks that a session holds: this one, or that of a process id.
async fn locks(session: &mut PgConnection, pid: Option<i32>) -> Result<Locks, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT format('%I.%I', n.nspname, c.relname), l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE l.pid = coalesce($1, pg_backend_pid()) AND l.locktype = 'relation' AND l.granted
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND c.relkind IN ('r', 'p', 'm', 'v') AND n.nspname !~ '^(pg_|gonogo)' AND n.nspname <> 'information_schema'",
    )
    .bind(pid)
    .fetch_all(session)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The full names of the tables that the statement is about.
async fn resolve(session: &mut PgConnection, statement: &Statement) -> Result<Vec<String>, sqlx::Error> {
    let names: Vec<String> = statement.shape.needs.iter().map(|need| need.relation.to_string()).collect();
    sqlx::query("SELECT DISTINCT format('%I.%I', n.nspname, c.relname) FROM unnest($1::text[]) AS t (name)
                 JOIN pg_class c ON c.oid = to_regclass(t.name) JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm')")
        .bind(names)
        .fetch_all(session)
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect()
}

/// Rows and bytes of the largest of them.
async fn size(session: &mut PgConnection, tables: &[String]) -> Result<(u64, u64), sqlx::Error> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid) FROM unnest($1::text[]) AS t (name)
         JOIN pg_class c ON c.oid = to_regclass(t.name) WHERE c.relkind IN ('r', 'p', 'm') ORDER BY 1 DESC LIMIT 1",
    )
    .bind(tables)
    .fetch_optional(session)
    .await?;
    let (rows, bytes) = row.unwrap_or((0, 0));
    Ok((u64::try_from(rows).unwrap_or(0), u64::try_from(bytes).unwrap_or(0)))
}
