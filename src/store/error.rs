//! What can go wrong with the store, in words: what, where, what to do next.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::run::Refusal;

/// The store cannot do its work. Nothing was lost: what was acknowledged is on disk.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process writes for too long.
    #[error("{} is locked by another process; close what holds it, or wait and try again", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file or its directory cannot be written.
    #[error("{} cannot be written; check the rights of the file and its directory", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a journal of gonogo ({found}); name another file as path under [store] in gonogo.toml", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// The journal was written by a newer program.
    #[error(
        "{} was written by a newer gonogo (format {found}, this one reads up to {known}); use that version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this program reads.
        known: u32,
    },
    /// The chain of hashes is broken.
    #[error(
        "{} was altered: event {seq} is not what was written ({why}); restore the file from a copy, or begin \
         another run: another path under [store] in gonogo.toml",
        path.display()
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// The first event that does not fit.
        seq: u64,
        /// What does not fit.
        why: String,
    },
    /// SQLite cannot make sense of the file any more.
    #[error(
        "{} is damaged ({message}); nothing was written to it; restore it from a copy, or begin another run: another path \
         under [store] in gonogo.toml",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        message: String,
    },
    /// The file was moved, deleted or replaced while it was open.
    #[error(
        "{} is not the file any more that was opened; nothing was written; put it back, or start gonogo again",
        path.display()
    )]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("no room left for {}; free some, then try again: what was acknowledged is safe", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Anything else that SQLite says.
    #[error("{}: {message}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Its words.
        message: String,
    },
}

/// Why a command made no events.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was not written.
    #[error("not recorded: {0}")]
    Store(#[from] StoreError),
}

impl StoreError {
    #[expect(clippy::needless_pass_by_value, reason = "it is the end of the error, in `map_err`")]
    pub(super) fn from_sqlx(path: &Path, error: sqlx::Error) -> Self {
        let path = path.to_owned();
        let message = match &error {
            sqlx::Error::Database(error) => error.message().to_owned(),
            other => other.to_string(),
        };
        // The primary result codes of SQLite: the low byte of the extended one.
        let code = match &error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
            _ => None,
        };
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Locked { path },
            Some(8 | 14 | 23) => Self::ReadOnly { path },
            Some(13) => Self::Full { path },
            Some(11) => Self::Damaged { path, message },
            Some(26) => Self::Foreign { path, found: message },
            _ => Self::Sqlite { path, message },
        }
    }
}
