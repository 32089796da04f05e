//! Proofs in the database: one figure of one query, compared with what the plan expects.
//!
//! It guarantees that a check reads and nothing else: one statement, wrapped as a subquery, in a transaction that the server
//! itself keeps read-only and ends after half a minute.

use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use super::expect::Expect;
use super::{Case, Proof, Proven, failure};
use crate::run::Failure;
use crate::workers::Kit;

/// How long the database may take to let us in, in wall time.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn prove(case: &Case<'_>, query: Option<&str>, expect: Option<&str>) -> Proven {
    let block = case
        .item()
        .and_then(|item| item.commands.iter().find(|block| block.lang.eq_ignore_ascii_case("sql")));
    let query = query.or(block.map(|block| &*block.text)).ok_or_else(|| {
        failure(
            "there is no query: neither query=… nor an sql block under the item",
            "write one under the item",
        )
    })?;
    let expect = expect.unwrap_or("true");
    let mut session = open(case.kit).await?;
    let at = case.clock().now();
    let value = first(&mut session, query).await;
    // The answer is in; a farewell that fails changes nothing.
    let _ = session.close().await;
    let value = value?;
    let from = format!("database {:?} at {}", case.kit.config().database.name, at.format("%H:%M:%SZ"));
    if Expect::read(expect).holds(&value) {
        return Ok(Proof::of(format!("{value}, expected {expect} ({from})"), value));
    }
    let what = format!("the answer is {value}, and should be {expect} ({from})");
    Err(failure(what, "look at what the query counts, and settle that first"))
}

/// A session that can change nothing.
pub(super) async fn open(kit: &Kit) -> Result<PgConnection, Failure> {
    let url = kit.database_url()?;
    let next = format!("look whether the server runs, and at {}", kit.config().database.url_env);
    let failed = |error: sqlx::Error| failure(format!("no session with the database: {error}"), next.clone());
    let connect = async {
        let mut session = PgConnection::connect(url.expose_secret()).await?;
        session
            .execute(
                "SET application_name = 'gonogo verify'; SET default_transaction_read_only = on; \
                 SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'",
            )
            .await?;
        Ok(session)
    };
    match tokio::time::timeout(PATIENCE, connect).await {
        Ok(session) => session.map_err(failed),
        Err(_) => Err(failure(
            format!("the database did not let us in within {} s", PATIENCE.as_secs()),
            format!("look at the network, and at {}", kit.config().database.url_env),
        )),
    }
}

/// The first column of the first row, as text.
async fn first(session: &mut PgConnection, query: &str) -> Result<String, Failure> {
    let query = query.trim().trim_end_matches(';');
    // A subquery is one statement and cannot end the transaction; the break ends a comment on its last line.
    let wrapped = format!("SELECT answer::text FROM (\n{query}\n) AS asked (answer) LIMIT 1");
    let failed = |error: sqlx::Error| {
        failure(
            format!("the query could not be run: {error}"),
            "correct the query; it must be one that only reads",
        )
    };
    let mut transaction = session.begin_with("BEGIN READ ONLY").await.map_err(failed)?;
    let row = sqlx::query(AssertSqlSafe(wrapped)).fetch_optional(&mut *transaction).await.map_err(failed)?;
    let row = row
        .ok_or_else(|| failure("the query gave no row", "let it answer with one figure, such as a count"))?;
    let value: Option<String> = row.try_get(0).map_err(failed)?;
    value.ok_or_else(|| {
        failure("the query's answer is null", "let it answer with one figure, such as a count")
    })
}
