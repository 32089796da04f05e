//! The schema of another database, brought into the scratch server: what `rehearse --from DATABASE_URL` rehearses on.
//!
//! Reads the other database with `pg_dump`, in one read-only transaction, and never a row of it. The password travels in the
//! environment of the child, not in its arguments, which everybody on the machine could read.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use url::Url;

use super::binaries::major_version;
use super::{Scratch, ScratchError, quoted, run, tail};

/// What was brought over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloned {
    /// The major version of the server that was read.
    pub server_major: u32,
    /// The major version of the scratch server.
    pub scratch_major: u32,
    /// Tables now in the scratch database's `public` schema.
    pub tables: i64,
}

impl Scratch {
    /// Replaces the `public` schema of the scratch `database` with that of `database_url`, without rows. Roles that grants
    /// and policies name are made here too, as roles that cannot log in.
    pub async fn clone_schema_from(
        &self,
        database_url: &SecretString,
        database: &str,
    ) -> Result<Cloned, ScratchError> {
        let source = Source::parse(database_url)?;
        let (server_major, roles) = source.look().await?;
        let pg_dump = self.client("pg_dump");
        let dump_major =
            major_version(&pg_dump).ok_or_else(|| source.error("pg_dump is not installed here"))?;
        if dump_major < server_major {
            return Err(source.error(format!(
                "it runs PostgreSQL {server_major}, and pg_dump here is of {dump_major}, which refuses a newer server; install \
                 the client programs of PostgreSQL {server_major}"
            )));
        }
        self.create_database(database).await?;
        self.make_roles(database, &roles).await?;

        let mut dump = Command::new(&pg_dump);
        dump.args([
            "--schema-only",
            "--schema=public",
            "--clean",
            "--if-exists",
            "--no-owner",
            "--lock-wait-timeout=5s",
        ])
        .arg(format!("--dbname={}", source.without_password))
        .env("PGPASSWORD", source.password.expose_secret())
        .env("PGAPPNAME", "gonogo rehearse")
        .env("PGCONNECT_TIMEOUT", "10");
        let dumped = blocking(move || run(&mut dump)).await?.map_err(|error| source.error(error))?;

        let mut psql = Command::new(self.client("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-"])
            .arg(format!("--dbname=postgres://postgres@127.0.0.1:{}/{database}", self.port))
            .env("PGPASSWORD", self.password.expose_secret())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        blocking(move || load(&mut psql, &dumped.stdout)).await??;

        let mut connection = self.connect(database).await?;
        let sql = |source| ScratchError::Sql { doing: "counting the cloned tables", source };
        let tables = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&mut connection)
            .await
            .map_err(sql)?;
        connection.close().await.map_err(sql)?;
        Ok(Cloned { server_major, scratch_major: self.binaries.major(), tables })
    }

    /// A client program: of the server's own set, or of `PATH` where packages split the two.
    fn client(&self, name: &str) -> PathBuf {
        Some(self.binaries.program(name)).filter(|program| program.is_file()).unwrap_or_else(|| name.into())
    }

    async fn make_roles(&self, database: &str, roles: &[(String, bool)]) -> Result<(), ScratchError> {
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

struct Source {
    url: SecretString,
    without_password: String,
    password: SecretString,
    host: String,
}

impl Source {
    fn parse(database_url: &SecretString) -> Result<Self, ScratchError> {
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

    fn error(&self, reason: impl std::fmt::Display) -> ScratchError {
        ScratchError::Source { host: self.host.clone(), reason: reason.to_string() }
    }

    /// The major version, and the roles with whether they pass row-level security.
    async fn look(&self) -> Result<(u32, Vec<(String, bool)>), ScratchError> {
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

fn load(psql: &mut Command, script: &[u8]) -> Result<(), ScratchError> {
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ScratchError> {
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
