//! The server's errors for a person: SQLSTATE, place, hint, what it means, what to do. No connection string and no password ever
//! passes through here: only what the server said, and the host it was asked at.

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use super::split::{Statement, line_of};

/// The SQLSTATE, where the server gave one.
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<&str> {
    postgres(error).map(PgDatabaseError::code)
}

fn postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>(),
        _ => None,
    }
}

/// Whether asking again may succeed: the lock was not to be had in time, or two waited for each other.
pub(crate) fn is_contention(error: &sqlx::Error) -> bool {
    matches!(sqlstate(error), Some("55P03" | "40P01" | "40001"))
}

/// Whether the connection is gone, so that nobody knows yet what became of the statement.
pub(crate) fn is_cut(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        _ => sqlstate(error)
            .is_some_and(|code| code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03")),
    }
}

/// What happened, in a line.
pub(crate) fn say(error: &sqlx::Error) -> String {
    match (postgres(error), error) {
        (Some(said), _) => {
            let mut text = format!("SQLSTATE {}: {}", said.code(), said.message());
            for (what, more) in [("detail", said.detail()), ("hint", said.hint()), ("where", said.r#where())]
            {
                if let Some(more) = more {
                    text.extend(["; ", what, ": ", more.lines().next().unwrap_or_default()]);
                }
            }
            text
        }
        (None, sqlx::Error::Io(error)) => format!("the connection failed: {error}"),
        (None, sqlx::Error::Tls(error)) => format!("the encrypted connection failed: {error}"),
        (None, sqlx::Error::Protocol(error)) => format!("the connection broke: {error}"),
        // Configuration errors may quote the connection string.
        (None, sqlx::Error::Configuration(_)) => "the connection settings cannot be used".into(),
        (None, other) => format!("the database client said: {other}"),
    }
}

/// What happened to a statement of a file, with line and column where the server named the place.
pub(crate) fn say_at(error: &sqlx::Error, file: &str, statement: &Statement) -> String {
    let place = postgres(error).and_then(PgDatabaseError::position).map(|position| match position {
        PgErrorPosition::Original(chars) => {
            let chars = chars.saturating_sub(1);
            let at: usize = statement.text.chars().take(chars).map(char::len_utf8).sum();
            let before = statement.text.get(..at).unwrap_or_default();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("{}:{column}", line_of(&statement.text, at, statement.line))
        }
        PgErrorPosition::Internal { query, .. } => {
            format!("{}, in its inner query {:?}", statement.line, query.lines().next().unwrap_or_default())
        }
    });
    let place = place.unwrap_or_else(|| statement.line.to_string());
    format!("{file}:{place}: {}", say(error))
}

/// What it means, and what to do next.
pub(crate) fn next(error: &sqlx::Error) -> &'static str {
    match sqlstate(error) {
        Some("42P07" | "42701" | "42710" | "42P06") => {
            "something of that name is there already: find out whose it is before anything else; then run again"
        }
        Some("42P01" | "42703" | "42883" | "42704") => {
            "what the statement names is not there: check the name, the schema and the order of the migrations"
        }
        Some("42804" | "42846") => {
            "the two types differ: give the column the type of the one it refers to or is compared with"
        }
        Some("23505") => {
            "rows that are there break the new unique rule: find and resolve the duplicates, then run again"
        }
        Some("23514" | "23502" | "23503") => {
            "rows that are there break the new rule: find and correct them, then run again"
        }
        Some("42501") => "this role may not do that: connect as the owner of the table, then run again",
        Some("57014") => {
            "the statement was cancelled, by a person or by a statement_timeout: run again to go on at this step"
        }
        Some("55P03") => "the lock was not to be had: see who holds the table, then run again",
        Some("40P01") => "two transactions waited for each other, and this one gave way: run again",
        Some("53100") => "the disk is full: make room first, then run again",
        Some("53300") => "no connection is free: close some, then run again",
        Some("25006") => {
            "the database is read-only, on a replica or because its disk is almost full: correct that first"
        }
        Some("08P01") => {
            "what answers there does not speak as PostgreSQL does, as poolers do not: use the direct address of the server"
        }
        Some("28P01" | "28000") => "check user and password of the connection",
        Some("3D000") => "there is no database of that name: check the connection string",
        Some("42601") => "correct the statement, then run again",
        _ if is_cut(error) => {
            "run again: the bookkeeping in the database says which steps are done, and it goes on after them"
        }
        _ => "correct the cause, then run again: it goes on at this step",
    }
}
