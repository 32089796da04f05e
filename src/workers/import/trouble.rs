//! Why a pass does not go on, and what follows: wait and go on from the checkpoint, obey, or tell a person.
//!
//! It guarantees that a lost connection is told apart from a refusal, and that what the database says reaches a person
//! without the address or the password it was reached by.

use crate::run::Failure;

/// Why a pass does not go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Somebody asked it to give up.
    GivenUp,
    /// The database went away, or asks to try again; the checkpoint stands.
    Lost(String),
    /// A person has to look.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        let words = words(&error);
        if passes(&error) {
            return Self::Lost(words);
        }
        Self::Failed(Failure {
            what: format!("the database refused the import's work: {words}"),
            state: "every batch before this one is complete; this one left nothing behind".into(),
            next: "mend what it names, then run the import again: it goes on where it was".into(),
        })
    }
}

/// Whether trying again may help: the connection, the server's restart, or other transactions were in the way.
fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            code.starts_with("08")
                || matches!(
                    &*code,
                    "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "53300"
                )
        }),
        // A server that ends in the middle of an answer leaves half a message.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// A refusal of the rows themselves: data, constraints, limits of size, or a trigger's own exception.
pub(super) fn is_about_rows(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)) || code == "P0001")
}

/// What the database said, with its SQLSTATE.
pub(super) fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().map(|code| format!(" (SQLSTATE {code})")).unwrap_or_default();
            format!("{}{code}", database.message())
        }
        // The address was part of the URL, and the URL is a secret.
        sqlx::Error::Configuration(_) => "the database's URL cannot be used".to_owned(),
        other => other.to_string(),
    }
}
