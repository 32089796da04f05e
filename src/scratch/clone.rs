//! The schema of another database, brought into the scratch server: what `rehearse --from DATABASE_URL` rehearses on.
//!
//! Reads the other database with `pg_dump`, in one read-only transaction, and never a row of it. The password travels in the
//! environment of the child, not in its arguments, which everybody on the machine could read.

use std::path::{Path, PathBuf};
use std::process::Command;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use url::Url;

use super::copy::Rows;
use super::{Scratch, ScratchError, quoted, tail};

/// What was brought over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloned {
    /// The major version of the server that was read.
    pub server_major: u32,
    /// The major version of the scratch server.
    pub scratch_major: u32,
    /// Tables that hold rows of their own, now in the scratch database's `public` schema.
    pub tables: i64,
}

impl Scratch {
    /// Makes the scratch `database` anew, with the `public` schema of `database_url` and without rows.
    pub async fn clone_schema_from(
        &self,
        database_url: &SecretString,
        database: &str,
    ) -> Result<Cloned, ScratchError> {
        let copied =
            self.copy_from(database_url, database, &[("public".to_owned(), Rows::None)], |_| ()).await?;
        let tables = i64::try_from(copied.tables.len()).unwrap_or(i64::MAX);
        Ok(Cloned { server_major: copied.server_major, scratch_major: copied.scratch_major, tables })
    }

    /// A client program: of the server's own set, or of `PATH` where packages split the two.
    pub(super) fn client(&self, name: &str) -> PathBuf {
        Some(self.binaries.program(name)).filter(|program| program.is_file()).unwrap_or_else(|| name.into())
    }

    pub(super) async fn make_roles(
        &self,
        database: &str,
        roles: &[(String, bool)],
    ) -> Result<(), ScratchError> {
        let sql = |source| ScratchError::Sql { doing: "making the roles of the cloned database", source };
        let mut connection = self.connect(database).await?;
        for (role, bypasses) in roles {
            let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
                .bind(role)
                .fetch_one(&mut connection)
                .await
                .map_err(sql)?;
            if !there {
                let bypass = if *bypasses { "BYPASSRLS" } else { "NOBYPASSRLS" };
                let create = format!("CREATE ROLE {} NOLOGIN {bypass}", quoted(role));
                sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.map_err(sql)?;
            }
        }
        connection.close().await.map_err(sql)
    }
}

/// The database that is read.
pub(super) struct Source {
    url: SecretString,
    without_password: String,
    password: SecretString,
    host: String,
}

impl Source {
    pub(super) fn parse(database_url: &SecretString) -> Result<Self, ScratchError> {
        let unreadable =
            |reason: String| ScratchError::Source { host: "the given DATABASE_URL".into(), reason };
        // The parser's message names the fault, not the text.
        let mut url =
            Url::parse(database_url.expose_secret()).map_err(|fault| unreadable(fault.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(unreadable("it does not begin with postgres:// or postgresql://".into()));
        }
        let password = decoded(url.password().unwrap_or_default());
        let host = format!("{}{}", url.host_str().unwrap_or("localhost"), url.path());
        // Only a URL without a host refuses this, and such a URL has no password.
        url.set_password(None).unwrap_or_default();
        Ok(Self {
            url: database_url.clone(),
            without_password: url.to_string(),
            password: SecretString::from(password),
            host,
        })
    }

    pub(super) fn error(&self, reason: impl std::fmt::Display) -> ScratchError {
        ScratchError::Source { host: self.host.clone(), reason: reason.to_string() }
    }

    /// Tells a client program whom to ask, and the password where nobody sees it.
    pub(super) fn credentials(&self, command: &mut Command) {
        command
            .arg(format!("--dbname={}", self.without_password))
            .env("PGPASSWORD", self.password.expose_secret())
            .env("PGAPPNAME", "gonogo rehearse")
            .env("PGCONNECT_TIMEOUT", "10");
    }

    /// A connection to it.
    pub(super) async fn connect(&self) -> Result<PgConnection, ScratchError> {
        PgConnection::connect(self.url.expose_secret()).await.map_err(|error| self.error(error))
    }

    /// The major version, and the roles with whether they pass row-level security.
    pub(super) async fn look(&self) -> Result<(u32, Vec<(String, bool)>), ScratchError> {
        let looked = async {
            let mut connection = PgConnection::connect(self.url.expose_secret()).await?;
            let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
                .fetch_one(&mut connection)
                .await?;
            let roles = sqlx::query_as(
                "SELECT rolname::text, rolbypassrls FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1",
            )
            .fetch_all(&mut connection)
            .await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>((version, roles))
        };
        let (version, roles) = looked.await.map_err(|error| self.error(error))?;
        let major = u32::try_from(version / 10_000).map_err(|fault| self.error(fault))?;
        Ok((major, roles))
    }
}

fn decoded(text: &str) -> String {
    let escaped = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

pub(super) fn load(psql: &mut Command, script: &[u8]) -> Result<(), ScratchError> {
    use std::io::Write;

    let spawn = |source| ScratchError::Spawn { program: "psql".into(), source };
    let mut child = psql.spawn().map_err(spawn)?;
    // When psql stops at an error it closes its input; its message says more than the broken pipe.
    if let Some(mut input) = child.stdin.take() {
        drop(input.write_all(script));
    }
    let output = child.wait_with_output().map_err(spawn)?;
    if output.status.success() {
        return Ok(());
    }
    Err(ScratchError::Failed {
        program: "psql, loading the cloned schema (rolled back),".into(),
        output: tail(&String::from_utf8_lossy(&output.stderr)),
    })
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ScratchError> {
    tokio::task::spawn_blocking(work).await.map_err(|stopped| ScratchError::Directory {
        path: Path::new(".").to_path_buf(),
        source: std::io::Error::other(stopped),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_password_out_of_arguments_and_messages() {
        let url = SecretString::from("postgres://crm:p%40ss+w%2Frd@db.example.org:5432/crm?sslmode=require");
        let source = Source::parse(&url).unwrap();
        assert_eq!(source.password.expose_secret(), "p@ss+w/rd");
        assert_eq!(source.without_password, "postgres://crm@db.example.org:5432/crm?sslmode=require");
        assert_eq!(
            source.error("no").to_string(),
            "cannot read the schema of db.example.org/crm: no; nothing was changed there"
        );
    }

    #[test]
    fn refuses_what_is_not_a_postgres_url() {
        for wrong in ["", "crm", "mysql://a:b@c/d"] {
            let refused = Source::parse(&SecretString::from(wrong)).err().unwrap();
            assert!(refused.to_string().contains("the given DATABASE_URL"), "{refused}");
        }
    }
}
