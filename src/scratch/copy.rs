//! A database brought into the scratch server with its rows, or some of them: what migrations are rehearsed on.
//!
//! It guarantees: the source is read in one read-only transaction, schema and rows of one snapshot, and nothing is written there;
//! rows stream from server to server and are never held here; what the rows of a sample refer to comes with them, and no row
//! refers to one that was left behind. The
//! target database is made anew, so nothing of an earlier copy stays. Nothing in here knows what a migration is.

use std::process::{Command, Stdio};

use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::binaries::major_version;
use super::clone::{Source, blocking, load};
use super::{Scratch, ScratchError, parents, quoted, run};

/// Bytes of rows that go on at once.
const BATCH: usize = 64 * 1024;

/// How many rows come along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rows {
    /// None.
    None,
    /// Of each table at most so many, as they lie on disk.
    Sample(u64),
    /// All of them.
    All,
}

/// A table's rows here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CopiedTable {
    /// Its full name.
    pub table: String,
    /// Rows that came and stayed.
    pub rows: u64,
    /// How many came because a row of the sample refers to them.
    pub parents: u64,
    /// Rows of a sample that refer to what did not come, and were taken out again.
    pub orphans: u64,
}

/// What was brought over.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// The major version of the server that was read.
    pub server_major: u32,
    /// The major version of the scratch server.
    pub scratch_major: u32,
    /// Whether every row of every schema was asked for.
    pub whole: bool,
    /// Each table with its rows.
    pub tables: Vec<CopiedTable>,
    /// Extensions of the source that this server does not have.
    pub missing_extensions: Vec<String>,
}

impl Scratch {
    /// Makes the scratch `database` anew, with these schemas of `database_url` and their rows. Owners are left behind; the
    /// roles that rights and policies name are made here too, as roles that cannot log in.
    pub async fn copy_from(
        &self,
        database_url: &SecretString,
        database: &str,
        wanted: &[(String, Rows)],
        mut told: impl FnMut(&str) + Send,
    ) -> Result<Copied, ScratchError> {
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
        let schemas: Vec<String> = wanted.iter().map(|(schema, _)| schema.clone()).collect();
        let schemas = schemas.as_slice();
        self.fresh_database(database).await?;
        self.make_roles(database, &roles).await?;

        let mut from = source.connect().await?;
        let wrong = |error: sqlx::Error| source.error(error);
        sqlx::raw_sql(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL search_path = ''; SET LOCAL row_security = off",
        )
        .execute(&mut from)
        .await
        .map_err(wrong)?;
        let snapshot: String =
            sqlx::query_scalar("SELECT pg_export_snapshot()").fetch_one(&mut from).await.map_err(wrong)?;

        let missing_extensions = self.extensions(&mut from, database, &source).await?;
        told("the schema: tables, types, functions");
        self.section(&source, &pg_dump, "pre-data", &snapshot, schemas, database).await?;
        let (mut tables, mut targets) = (Vec::new(), Vec::new());
        let mut to = self.connect(database).await?;
        for (table, columns, schema) in source_tables(&mut from, schemas).await.map_err(wrong)? {
            let rows = wanted.iter().find(|(name, _)| *name == schema).map_or(Rows::None, |(_, rows)| *rows);
            let mut count = 0;
            if rows != Rows::None {
                told(&format!("the rows of {table}"));
                let copied = copy_table(&mut from, &mut to, &table, &columns, rows).await;
                count = copied.map_err(|error| source.error(format!("{table}: {error}")))?;
            }
            targets.push((table.clone(), columns));
            tables.push(CopiedTable { table, rows: count, parents: 0, orphans: 0 });
        }
        if wanted.iter().any(|(_, rows)| *rows != Rows::All) {
            let keys = foreign_keys(&mut from, schemas).await.map_err(wrong)?;
            let samples = wanted.iter().filter_map(|(_, rows)| match rows {
                Rows::Sample(most) => Some(*most),
                Rows::All | Rows::None => None,
            });
            if let Some(sample) = samples.max() {
                told("the rows that these refer to");
                parents::bring((&mut from, &source), &mut to, &keys, &targets, sample, &mut tables).await?;
            }
            take_out_orphans(&mut to, &keys, &mut tables).await?;
        }
        set_sequences(&mut from, &mut to, schemas).await.map_err(wrong)?;
        to.close().await.map_err(|source| ScratchError::Sql { doing: "copying rows", source })?;
        told("the schema: keys, indexes, triggers, policies");
        self.section(&source, &pg_dump, "post-data", &snapshot, schemas, database).await?;
        sqlx::raw_sql("ROLLBACK").execute(&mut from).await.map_err(wrong)?;
        // All is read; a server that does not say goodbye changes nothing.
        drop(from.close().await);

        told("statistics");
        let mut to = self.connect(database).await?;
        let sql = |source| ScratchError::Sql { doing: "analyzing the copy", source };
        sqlx::raw_sql("ANALYZE").execute(&mut to).await.map_err(sql)?;
        to.close().await.map_err(sql)?;
        let whole = wanted.iter().all(|(_, rows)| *rows == Rows::All);
        Ok(Copied { server_major, scratch_major: self.binaries.major(), whole, tables, missing_extensions })
    }

    /// Throws a scratch database away, with whoever is connected to it.
    pub async fn drop_database(&self, database: &str) -> Result<(), ScratchError> {
        let sql = |source| ScratchError::Sql { doing: "dropping a database", source };
        let mut server = self.connect("postgres").await?;
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(database));
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut server).await.map_err(sql)?;
        server.close().await.map_err(sql)
    }

    async fn fresh_database(&self, database: &str) -> Result<(), ScratchError> {
        self.drop_database(database).await?;
        self.create_database(database).await.map(drop)
    }

    /// Makes the extensions of the source that this server has, and names the others.
    async fn extensions(
        &self,
        from: &mut PgConnection,
        database: &str,
        source: &Source,
    ) -> Result<Vec<String>, ScratchError> {
        let sql =
            |source| ScratchError::Sql { doing: "making the extensions of the copied database", source };
        let wanted: Vec<(String, String)> = sqlx::query_as(
            "SELECT e.extname::text, n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
             WHERE e.extname <> 'plpgsql' ORDER BY e.oid",
        )
        .fetch_all(from)
        .await
        .map_err(|error| source.error(error))?;
        let mut to = self.connect(database).await?;
        let mut missing = Vec::new();
        for (extension, schema) in wanted {
            let here: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)")
                    .bind(&extension)
                    .fetch_one(&mut to)
                    .await
                    .map_err(sql)?;
            let make = format!(
                "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION IF NOT EXISTS {} SCHEMA {schema}",
                quoted(&extension),
                schema = quoted(&schema)
            );
            // One that needs preloading, or another that is missing, is as good as not here.
            if !here || sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut to).await.is_err() {
                missing.push(extension);
            }
        }
        to.close().await.map_err(sql)?;
        Ok(missing)
    }

    async fn section(
        &self,
        source: &Source,
        pg_dump: &std::path::Path,
        section: &str,
        snapshot: &str,
        schemas: &[String],
        database: &str,
    ) -> Result<(), ScratchError> {
        let mut dump = Command::new(pg_dump);
        dump.args(["--no-owner", "--no-publications", "--no-subscriptions", "--lock-wait-timeout=5s"])
            .arg(format!("--section={section}"))
            .arg(format!("--snapshot={snapshot}"))
            .args(schemas.iter().map(|schema| format!("--schema={}", quoted(schema))));
        source.credentials(&mut dump);
        let dumped = blocking(move || run(&mut dump)).await?.map_err(|error| source.error(error))?;
        let script = with_schemas_kept(&dumped.stdout, schemas);
        let mut psql = Command::new(self.client("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-"])
            .arg(format!("--dbname=postgres://postgres@127.0.0.1:{}/{database}", self.port))
            .env("PGPASSWORD", self.password.expose_secret())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        blocking(move || load(&mut psql, &script)).await?
    }
}

/// A new database has a schema `public` already, and perhaps those of extensions: there each is made where it is not.
fn with_schemas_kept(script: &[u8], schemas: &[String]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(script).into_owned();
    for schema in schemas {
        for name in [schema.clone(), quoted(schema)] {
            let (made, kept) =
                (format!("\nCREATE SCHEMA {name};\n"), format!("\nCREATE SCHEMA IF NOT EXISTS {name};\n"));
            text = text.replacen(&made, &kept, 1);
        }
    }
    text.into_bytes()
}

/// Tables that hold rows of their own, with the columns that can be written, all quoted, and their schema.
async fn source_tables(
    from: &mut PgConnection,
    schemas: &[String],
) -> Result<Vec<(String, String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT format('%I.%I', n.nspname, c.relname), coalesce(string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), ''), n.nspname::text
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
         WHERE n.nspname::text = ANY ($1) AND c.relkind = 'r' AND c.relpersistence <> 't'
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
         GROUP BY n.nspname, c.relname ORDER BY 1",
    )
    .bind(schemas)
    .fetch_all(from)
    .await
}

async fn copy_table(
    from: &mut PgConnection,
    to: &mut PgConnection,
    table: &str,
    columns: &str,
    rows: Rows,
) -> Result<u64, sqlx::Error> {
    let limit = match rows {
        Rows::Sample(most) => format!(" LIMIT {most}"),
        Rows::All | Rows::None => String::new(),
    };
    copy_rows(from, to, table, columns, &format!("{columns} FROM ONLY {table}{limit}")).await
}

/// The rows of a SELECT, which is said without that word, into the table of the same columns.
pub(super) async fn copy_rows(
    from: &mut PgConnection,
    to: &mut PgConnection,
    table: &str,
    columns: &str,
    select: &str,
) -> Result<u64, sqlx::Error> {
    let out = format!("COPY (SELECT {select}) TO STDOUT");
    let mut into = to.copy_in_raw(&format!("COPY {table} ({columns}) FROM STDIN")).await?;
    let copied = async {
        let mut stream = from.copy_out_raw(&out).await?;
        // The server sends row by row; sent on like that, each row would cost a call of the system.
        let mut batch = Vec::with_capacity(2 * BATCH);
        while let Some(bytes) = stream.next().await {
            batch.extend_from_slice(&bytes?);
            if batch.len() >= BATCH {
                into.send(batch.as_slice()).await?;
                batch.clear();
            }
        }
        into.send(batch.as_slice()).await?;
        Ok::<_, sqlx::Error>(())
    };
    match copied.await {
        Ok(()) => into.finish().await,
        Err(error) => {
            // The first error is the one to tell.
            drop(into.abort("the source stopped").await);
            Err(error)
        }
    }
}

/// A foreign key: child, parent, and what must be equal.
#[derive(Debug)]
pub(super) struct ForeignKey {
    pub(super) child: String,
    pub(super) parent: String,
    /// `c."a" = p."x" AND …`
    pub(super) matches: String,
    /// `c."a" IS NOT NULL AND …`
    pub(super) set: String,
    /// `p."x", …`
    pub(super) columns: String,
    /// Makes `('value of a', …)` of a row of the child.
    pub(super) literals: String,
}

async fn foreign_keys(from: &mut PgConnection, schemas: &[String]) -> Result<Vec<ForeignKey>, sqlx::Error> {
    let rows: Vec<(String, String, String, String, String, String)> = sqlx::query_as(
        "SELECT k.conrelid::regclass::text AS child, k.confrelid::regclass::text AS parent,
                string_agg(format('c.%I = p.%I', a.attname, b.attname), ' AND ') AS matches,
                string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ') AS set,
                string_agg(format('p.%I', b.attname), ', ' ORDER BY pair.place) AS columns,
                'concat(''('', ' || string_agg(format('quote_literal(c.%I::text)', a.attname), ', '', '', ' ORDER BY pair.place) || ', '')'')' AS literals
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
              unnest(k.conkey, k.confkey) WITH ORDINALITY AS pair (own, other, place)
              JOIN pg_attribute a ON a.attnum = pair.own JOIN pg_attribute b ON b.attnum = pair.other
         WHERE k.contype = 'f' AND a.attrelid = k.conrelid AND b.attrelid = k.confrelid AND n.nspname::text = ANY ($1)
         GROUP BY k.oid, k.conrelid, k.confrelid",
    )
    .bind(schemas)
    .fetch_all(from)
    .await?;
    let key = |(child, parent, matches, set, columns, literals)| ForeignKey {
        child,
        parent,
        matches,
        set,
        columns,
        literals,
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Until nobody is left who refers to a row that did not come along.
async fn take_out_orphans(
    to: &mut PgConnection,
    keys: &[ForeignKey],
    tables: &mut [CopiedTable],
) -> Result<(), ScratchError> {
    let sql = |source| ScratchError::Sql { doing: "taking incomplete rows out of the sample", source };
    loop {
        let mut gone = 0;
        for key in keys {
            let delete = format!(
                "DELETE FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})",
                key.child, key.set, key.parent, key.matches
            );
            let rows =
                sqlx::raw_sql(AssertSqlSafe(delete)).execute(&mut *to).await.map_err(sql)?.rows_affected();
            if let Some(table) = tables.iter_mut().find(|one| one.table == key.child) {
                table.rows = table.rows.saturating_sub(rows);
                table.orphans += rows;
            }
            gone += rows;
        }
        if gone == 0 {
            return Ok(());
        }
    }
}

async fn set_sequences(
    from: &mut PgConnection,
    to: &mut PgConnection,
    schemas: &[String],
) -> Result<(), sqlx::Error> {
    let values: Vec<(String, i64)> = sqlx::query_as(
        "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences
         WHERE schemaname::text = ANY ($1) AND last_value IS NOT NULL",
    )
    .bind(schemas)
    .fetch_all(from)
    .await?;
    for (sequence, value) in values {
        sqlx::query("SELECT setval($1::regclass, $2)").bind(sequence).bind(value).execute(&mut *to).await?;
    }
    Ok(())
}
