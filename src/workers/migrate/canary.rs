//! Measures what a client feels while a migration runs: five times a second, on a session of its own, a read of the real table, a
//! writer's lock on it, and a write to a row of its own. It touches no row of the application.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use sqlx::Row as _;

use super::database::{Database, run};
use super::now::Now;

const EVERY: Duration = Duration::from_millis(200);
/// A wait that is still going on is shown as it grows.
const GROWS: Duration = Duration::from_millis(50);

/// Sings until it is dropped; says nothing where it cannot, which is then unknown, not zero.
pub(crate) async fn sing(db: &Database, tables: &[std::sync::Arc<str>], now: &Now) {
    loop {
        // The session went, with the server perhaps; it will be asked for again.
        if let Err(error) = song(db, tables, now).await {
            tracing::debug!(error, "the canary is silent");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn song(db: &Database, tables: &[std::sync::Arc<str>], now: &Now) -> Result<(), String> {
    let say = |error: sqlx::Error| super::errors::say(&error);
    let mut session = db.session("canary").await.map_err(|failure| failure.to_string())?;
    run(&mut session, "SET statement_timeout = '30s'").await.map_err(say)?;
    let mut real = None;
    for table in tables {
        let found = sqlx::query(
            "SELECT c.oid::regclass::text FROM pg_class c
             WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text NOT LIKE 'gonogo%'",
        );
        if let Some(row) = found.bind(&**table).fetch_optional(&mut session).await.map_err(say)? {
            real = row.try_get::<String, _>(0).ok();
            break;
        }
    }
    let write = "UPDATE gonogo.canary SET sings = sings WHERE id = 1";
    let (read, lock) = match &real {
        Some(table) => (
            format!("SELECT FROM {table} LIMIT 1"),
            format!("BEGIN; LOCK TABLE {table} IN ROW EXCLUSIVE MODE; {write}; COMMIT"),
        ),
        None => ("SELECT 1".into(), write.into()),
    };
    loop {
        for song in [read.as_str(), lock.as_str()] {
            let began = Instant::now();
            let result = tokio::select! {
                result = run(&mut session, song) => result,
                never = grow(began, now) => match never {},
            };
            now.sung(began.elapsed().as_secs_f64() * 1000.0);
            if let Err(error) = result {
                drop(run(&mut session, "ROLLBACK").await);
                if super::errors::is_cut(&error) || super::errors::sqlstate(&error) != Some("57014") {
                    return Err(say(error));
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn grow(began: Instant, now: &Now) -> Infallible {
    loop {
        tokio::time::sleep(GROWS).await;
        now.felt(began.elapsed().as_secs_f64() * 1000.0);
    }
}
