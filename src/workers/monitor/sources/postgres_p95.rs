//! The 95th percentile of query times at the database, in milliseconds.
//!
//! It guarantees that the number is measured: from what the server itself counted about the application's statements
//! (`postgres_stats`) where it counts, else from a canary, a small fixed read over `contacts` that waits as any client would.
//! An unreachable database is a failed reading, never a fast one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use tokio::sync::Mutex;

use super::postgres_stats::Stats;
use super::{Source, keep_recent, quantile};
use crate::plan::{Metric, Unit};
use crate::run::live::Reading;
use crate::store::Store;
use crate::workers::Kit;

/// Canary queries at each reading.
const EACH: usize = 5;
/// How long the database may take to let us in, and to answer the canary, in wall time.
const PATIENCE: Duration = Duration::from_secs(10);
const CANARY: &str = "SELECT id, name FROM contacts ORDER BY name LIMIT 20";
/// Where there are no contacts.
const PLAIN: &str = "SELECT count(*) FROM pg_catalog.pg_class";

pub(super) struct PostgresP95 {
    kit: Kit,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    session: Option<Session>,
    canary: VecDeque<(DateTime<Utc>, f64)>,
}

struct Session {
    connection: PgConnection,
    by: By,
}

/// How query times are learnt.
enum By {
    Server(Stats),
    Canary(&'static str),
}

impl PostgresP95 {
    pub(super) fn new(kit: Kit) -> Self {
        Self { kit, seen: Mutex::default() }
    }

    async fn connect(&self) -> Result<Session, String> {
        let url = self.kit.database_url().map_err(|failure| failure.to_string())?;
        let failed = |error: sqlx::Error| format!("no session with the database: {error}");
        let mut connection = PgConnection::connect(url.expose_secret()).await.map_err(failed)?;
        connection
            .execute("SET application_name = 'gonogo gauge'; SET default_transaction_read_only = on; SET statement_timeout = '10s'")
            .await
            .map_err(failed)?;
        let by = match Stats::find(&mut connection).await.map_err(failed)? {
            Some(stats) => By::Server(stats),
            None if there_are_contacts(&mut connection).await.map_err(failed)? => By::Canary(CANARY),
            None => By::Canary(PLAIN),
        };
        Ok(Session { connection, by })
    }

    async fn p95(&self, metric: &Metric, now: DateTime<Utc>, lag: Duration) -> Result<Reading, String> {
        let mut seen = self.seen.lock().await;
        let mut session = match seen.session.take() {
            Some(session) => session,
            None => patiently("the database did not let us in", self.connect()).await?,
        };
        let from = now - TimeDelta::from_std(metric.window).unwrap_or_default();
        let Session { connection, by } = &mut session;
        let read = match by {
            By::Server(stats) => {
                let look =
                    async { stats.look(connection, from, now).await.map_err(|error| error.to_string()) };
                patiently("the server did not tell its query times", look).await?
            }
            By::Canary(query) => {
                for _ in 0..EACH {
                    let millis = patiently("the canary was not answered", time(connection, query)).await?;
                    seen.canary.push_back((now, millis));
                }
                keep_recent(&mut seen.canary, metric, now, lag);
                let mut times: Vec<f64> = seen.canary.iter().map(|(_, millis)| *millis).collect();
                quantile(&mut times, 0.95).map(|p95| (p95, times.len() as u64))
            }
        };
        // Only a session that answered is used again.
        seen.session = Some(session);
        Ok(match read {
            None => Reading::NoData { why: "no statement of the application ended in the window".into() },
            Some((millis, n)) => {
                let value = if metric.unit == Unit::Seconds { millis / 1_000.0 } else { millis };
                Reading::Value { value, n, bad: None }
            }
        })
    }
}

async fn there_are_contacts(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) = 2 FROM pg_catalog.pg_attribute \
         WHERE attrelid = to_regclass('contacts') AND attname IN ('id', 'name') AND NOT attisdropped",
    )
    .fetch_one(connection)
    .await
}

async fn time(connection: &mut PgConnection, query: &'static str) -> Result<f64, String> {
    let began = Instant::now();
    let slow = |error: sqlx::Error| match error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .as_deref()
    {
        Some("57014") => format!("the canary was not answered within {} s", PATIENCE.as_secs()),
        _ => format!("the canary failed: {error}"),
    };
    connection.fetch_all(query).await.map_err(slow)?;
    Ok(began.elapsed().as_secs_f64() * 1_000.0)
}

async fn patiently<T>(what: &str, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    // A little longer than the server's own limit, whose words are better.
    let patience = PATIENCE + Duration::from_secs(1);
    tokio::time::timeout(patience, work)
        .await
        .map_err(|_| format!("{what} within {} s", patience.as_secs()))?
}

impl Source for PostgresP95 {
    fn read<'a>(&'a self, metric: &'a Metric, store: &'a Store) -> BoxFuture<'a, Reading> {
        Box::pin(async move {
            let clock = store.clock();
            self.p95(metric, clock.now(), clock.lag()).await.unwrap_or_else(|why| Reading::Failed { why })
        })
    }

    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }
}
