//! What the database itself knows of its backups: a line per table and backup in `gonogo.backups`, read whatever version of gonogo
//! wrote it. A line is no proof that the copy is still there; the gate looks.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::print::Print;
use crate::workers::migrate::book;

/// A table in a backup, by the bookkeeping.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(crate) struct Line {
    pub(crate) id: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) by: String,
    /// The table.
    pub(crate) source: String,
    /// The copy's table, or the directory.
    pub(crate) copy: String,
    #[serde(flatten)]
    pub(crate) print: Counted,
    pub(crate) proven_at: Option<DateTime<Utc>>,
    /// The backup's name; of one that an older gonogo made there is none.
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) medium: Medium,
    /// Its columns, quoted.
    #[serde(default)]
    pub(crate) columns: Option<Vec<String>>,
    /// Of the manifest's text.
    #[serde(default)]
    pub(crate) sha256: Option<String>,
    /// How it was proven.
    #[serde(default)]
    pub(crate) proof: Option<String>,
}

/// A fingerprint, as the bookkeeping names its parts.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(crate) struct Counted {
    rows: i64,
    fingerprint: String,
}

/// Where a copy lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// In the private schema of the same database.
    #[default]
    Schema,
    /// In a directory.
    File,
}

impl Medium {
    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::File => "file",
        }
    }
}

impl Line {
    pub(crate) fn print(&self) -> Print {
        Print { rows: self.print.rows, hash: self.print.fingerprint.clone() }
    }

    /// The backup's name; one for each copy where it has none of its own.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("old-{}", self.id))
    }
}

/// Makes the table, or gives an older one its later columns.
pub(crate) async fn ensure(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    book::ensure(session).await?;
    let sql = "DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'gonogo.backups'::regclass AND attname = 'medium') THEN
          ALTER TABLE gonogo.backups ADD COLUMN IF NOT EXISTS name text, ADD COLUMN medium text NOT NULL DEFAULT 'schema',
            ADD COLUMN IF NOT EXISTS columns text[], ADD COLUMN IF NOT EXISTS sha256 text, ADD COLUMN IF NOT EXISTS snapshot text,
            ADD COLUMN IF NOT EXISTS proof text;
        END IF;
      END $$";
    sqlx::raw_sql(sql).execute(session).await.map(drop)
}

/// A line to be written.
#[derive(Debug)]
pub(crate) struct New<'a> {
    pub(crate) name: &'a str,
    pub(crate) by: &'a str,
    pub(crate) source: &'a str,
    pub(crate) medium: Medium,
    pub(crate) copy: &'a str,
    pub(crate) print: &'a Print,
    pub(crate) columns: Vec<&'a str>,
    pub(crate) sha256: Option<&'a str>,
    pub(crate) snapshot: &'a str,
}

/// Writes a line, dated by the start of the transaction that read the rows or later; answers with its number.
pub(crate) async fn write(session: &mut PgConnection, new: &New<'_>) -> Result<i64, sqlx::Error> {
    let sql = "INSERT INTO gonogo.backups (at, by, source, copy, rows, fingerprint, name, medium, columns, sha256, snapshot)
               VALUES (now(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";
    sqlx::query_scalar(sql)
        .bind(new.by)
        .bind(new.source)
        .bind(new.copy)
        .bind(new.print.rows)
        .bind(&new.print.hash)
        .bind(new.name)
        .bind(new.medium.word())
        .bind(&new.columns)
        .bind(new.sha256)
        .bind(new.snapshot)
        .fetch_one(session)
        .await
}

/// The copy was restored and compared.
pub(crate) async fn proven(session: &mut PgConnection, id: i64, how: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE gonogo.backups SET proven_at = clock_timestamp(), proof = $2 WHERE id = $1")
        .bind(id)
        .bind(how)
        .execute(session)
        .await
        .map(drop)
}

/// All lines, newest first; none where there is no bookkeeping.
pub(crate) async fn lines(session: &mut PgConnection) -> Result<Vec<Line>, sqlx::Error> {
    if !book::exists(session).await? {
        return Ok(Vec::new());
    }
    let rows =
        sqlx::query("SELECT to_jsonb(b) FROM gonogo.backups b ORDER BY b.id DESC").fetch_all(session).await?;
    let line = |row: &sqlx::postgres::PgRow| Ok(row.try_get::<sqlx::types::Json<Line>, _>(0)?.0);
    rows.iter().map(line).collect()
}

/// Whether others than its owner can read a copy in the private schema; none where it is gone.
pub(crate) async fn is_open(session: &mut PgConnection, copy: &str) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT NOT c.relrowsecurity OR EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)
           OR EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee <> n.nspowner)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
    )
    .bind(copy)
    .fetch_optional(session)
    .await
}
