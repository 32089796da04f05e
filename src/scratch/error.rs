//! What can keep a scratch server from being there. Each says what happened and what to do; none carries a password.

use std::path::PathBuf;

use super::OVERRIDE;

/// Why there is no scratch server, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// No complete set of server programs.
    #[error(
        "no PostgreSQL server programs (initdb, postgres, pg_ctl) in {looked_in}; install them (Debian, Ubuntu: apt-get install \
         postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql@17) or name their directory in \
         {OVERRIDE}"
    )]
    NoBinaries {
        /// Where they were looked for.
        looked_in: String,
    },
    /// Root, and nobody else to run the server.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has no account postgres or nobody; run gonogo as another user"
    )]
    NoAccount,
    /// The directory cannot be used.
    #[error("cannot use {path} for the scratch PostgreSQL: {source}; nothing was started")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program could not be run at all.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program ran and failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which.
        program: String,
        /// The end of what it said.
        output: String,
    },
    /// The server never answered.
    #[error("the scratch PostgreSQL in {dir} did not come up: {log}")]
    NotUp {
        /// Where its data are.
        dir: PathBuf,
        /// The end of its log.
        log: String,
    },
    /// Data of another major version.
    #[error(
        "the scratch data in {dir} are of PostgreSQL {found}, the programs of {wanted}; remove the directory to begin anew, or \
         name the directory of the other programs in {OVERRIDE}"
    )]
    OtherVersion {
        /// Where the data are.
        dir: PathBuf,
        /// What wrote them.
        found: String,
        /// What was found to run them.
        wanted: u32,
    },
    /// The server answered with an error.
    #[error("scratch PostgreSQL, {doing}: {source}")]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// The server's answer.
        source: sqlx::Error,
    },
    /// The database to clone does not answer.
    #[error("cannot read the schema of {host}: {reason}; nothing was changed there")]
    Source {
        /// Host and database, without the password.
        host: String,
        /// Why.
        reason: String,
    },
}
