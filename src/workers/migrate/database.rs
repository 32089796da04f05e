//! The one way to the database that is migrated. It refuses a pooler that would lose locks and settings between two statements,
//! a server that is too old, and never lets the connection string out.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::errors::{next, say};
use super::pooler;
use crate::run::job::Failure;

/// The oldest server that is claimed: waitstart in pg_locks, CREATE OR REPLACE TRIGGER.
const OLDEST: i32 = 140_000;
/// Supabase's port for transaction pooling.
const TRANSACTION_POOLER: u16 = 6543;
/// A server that does not answer in this time is not there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// A database that may be migrated; each session is a connection of its own.
#[derive(Debug, Clone)]
pub struct Database {
    options: PgConnectOptions,
    place: Arc<str>,
    app: Arc<str>,
    version: i32,
    name: Arc<str>,
}

impl Database {
    /// Connects once, to see that it can be done and that it is what a migration needs.
    pub async fn connect(url: &SecretString, app_name: &str) -> Result<Self, Failure> {
        let untouched =
            |what: String, next: &str| Failure { what, state: "nothing was run".into(), next: next.into() };
        // sqlx's own message may quote the string.
        let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| {
            untouched(
                "the connection string of the database cannot be read".into(),
                "write it as postgres://USER:PASSWORD@HOST:5432/DATABASE, with the password percent-encoded",
            )
        })?;
        let place: Arc<str> = format!(
            "{} at {}:{}",
            options.get_database().unwrap_or_else(|| options.get_username()),
            options.get_host(),
            options.get_port()
        )
        .into();
        if options.get_port() == TRANSACTION_POOLER {
            let host = options.get_host();
            return Err(untouched(
                format!(
                    "{place} is a transaction pooler: it loses locks and settings between two statements"
                ),
                &format!(
                    "use {host}:5432 (session pooler) or the direct address db.PROJECT.supabase.co:5432"
                ),
            ));
        }
        let mut this = Self { options, place, app: app_name.into(), version: 0, name: "".into() };
        let mut session = this.session("look").await?;
        let first =
            sqlx::raw_sql("SELECT current_setting('server_version_num')::int, current_database()::text");
        let row = first.fetch_one(&mut session).await.map_err(|error| this.failed(&error))?;
        this.version = row.try_get(0).unwrap_or(0);
        this.name = row.try_get::<String, _>(1).unwrap_or_default().into();
        if this.version < OLDEST {
            return Err(untouched(
                format!(
                    "{} is PostgreSQL {}; 14 is the oldest that is known to work",
                    this.place,
                    this.version / 10_000
                ),
                "upgrade the server first",
            ));
        }
        pooler::refused(&this, &mut session).await?;
        // The work is done; a server that does not say goodbye changes nothing.
        drop(session.close().await);
        Ok(this)
    }

    /// A connection of its own. `part` shows in pg_stat_activity.
    pub(crate) async fn session(&self, part: &str) -> Result<PgConnection, Failure> {
        // Some poolers in session mode refuse a connection that asks for this; the server's default loses no digit either.
        let options = self.options.clone().extra_float_digits(None);
        let options = options.application_name(&format!("{} {part}", self.app)).log_statements_off();
        let connecting = tokio::time::timeout(ANSWERS_WITHIN, PgConnection::connect_with(&options));
        let mut session = match connecting.await {
            Ok(connected) => connected.map_err(|error| self.failed(&error))?,
            Err(_) => {
                return Err(Failure {
                    what: format!("{} did not answer within {} s", self.place, ANSWERS_WITHIN.as_secs()),
                    state: "nothing was run".into(),
                    next: "check the network, the address and the server".into(),
                });
            }
        };
        self.settings(&mut session).await.map_err(|error| self.failed(&error))?;
        Ok(session)
    }

    /// What every session of ours has set, whatever its role or its database would have.
    pub(crate) async fn settings(&self, session: &mut PgConnection) -> Result<(), sqlx::Error> {
        // What would cut a long build, or change how a file is read and a value is shown. Which of the time-outs there are depends
        // on the server's version; it lists those that it knows.
        let settings = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', \
                          'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout'); \
                        SET standard_conforming_strings = on; SET client_min_messages = warning; \
                        SET client_encoding = 'UTF8'; SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'";
        sqlx::raw_sql(settings).execute(&mut *session).await?;
        // A dead client's statement should end soon; a firewall should see life.
        let life = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET client_connection_check_interval = '1s'";
        if let Err(error) = sqlx::raw_sql(life).execute(session).await {
            // Not every platform can watch its sockets.
            tracing::debug!(error = say(&error), "some session settings were refused");
        }
        Ok(())
    }

    /// The database's name, as the server says it.
    pub fn database_name(&self) -> &str {
        &self.name
    }

    /// Name, host and port, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The server's version, as `150018`.
    pub fn server_version(&self) -> i32 {
        self.version
    }

    /// An error of the connection, where no statement of a migration is concerned.
    pub(crate) fn failed(&self, error: &sqlx::Error) -> Failure {
        Failure {
            what: format!("{}: {}", self.place, say(error)),
            state: "nothing more was run".into(),
            next: next(error).into(),
        }
    }

    /// Asks the server to cancel what `pid` runs. Only ever used for our own.
    pub(crate) async fn cancel_own(&self, pid: i32) -> Result<(), Failure> {
        let mut session = self.session("cancel").await?;
        sqlx::query("SELECT pg_cancel_backend($1)")
            .bind(pid)
            .execute(&mut session)
            .await
            .map_err(|e| self.failed(&e))?;
        Ok(())
    }
}

trait Quiet {
    fn log_statements_off(self) -> Self;
}

impl Quiet for PgConnectOptions {
    /// Statements may hold data; they are shown as steps, not logged.
    fn log_statements_off(self) -> Self {
        self.disable_statement_logging()
    }
}

/// Runs SQL that was put together here or read from a migration file, as it is.
pub(crate) async fn run(session: &mut PgConnection, sql: &str) -> Result<u64, sqlx::Error> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql)).execute(session).await?.rows_affected())
}
