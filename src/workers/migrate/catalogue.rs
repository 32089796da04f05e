//! A database's catalogue as a sorted map from object to definition: by names, never by oids, so that it can be compared with
//! itself later and with a clone on another server. It reads in a transaction that the server keeps read-only, and changes
//! nothing. Whether a difference matters is for its reader to say.

mod data;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

pub use self::data::{Fingerprint, fingerprint, fingerprint_of};
pub use self::words::{Change, say};

use super::database::run;
use super::split::checksum;

/// One statement; its head says what its parameters are.
const OBJECTS: &str = include_str!("catalogue/objects.sql");

/// What a snapshot looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// These schemas alone; without a list all but the server's own, and what stands outside of any schema.
    pub schemas: Option<Vec<String>>,
    /// Whether `gonogo` and `gonogo_backup` count.
    pub own: Own,
    /// Whether owners count. A clone's objects belong to whoever made the clone.
    pub owners: Owners,
}

/// gonogo's own schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Own {
    /// They are none of the application's business.
    LeftOut,
    /// They are looked at like any other.
    Counted,
}

/// To whom objects belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owners {
    /// An owner is part of a definition, and so are the default rights of roles.
    Counted,
    /// Owners are not looked at.
    LeftOut,
}

impl Scope {
    /// Everything of the application, owners included: the same database before and after.
    pub const fn whole() -> Self {
        Self { schemas: None, own: Own::LeftOut, owners: Owners::Counted }
    }

    /// The shape of these schemas, whoever owns it: a database and its clone.
    pub fn shape(schemas: &[&str]) -> Self {
        let schemas = schemas.iter().map(|&schema| schema.to_owned()).collect();
        Self { schemas: Some(schemas), own: Own::LeftOut, owners: Owners::LeftOut }
    }
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is what PostgreSQL calls it")]
pub enum Kind {
    Schema,
    Extension,
    Type,
    Sequence,
    Table,
    Column,
    /// The order of a table's columns.
    Columns,
    Constraint,
    Index,
    View,
    MaterializedView,
    Function,
    Trigger,
    Policy,
    Rule,
    Statistics,
    Publication,
    EventTrigger,
    DefaultRights,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::Schema,
        Self::Extension,
        Self::Type,
        Self::Sequence,
        Self::Table,
        Self::Column,
        Self::Columns,
        Self::Constraint,
        Self::Index,
        Self::View,
        Self::MaterializedView,
        Self::Function,
        Self::Trigger,
        Self::Policy,
        Self::Rule,
        Self::Statistics,
        Self::Publication,
        Self::EventTrigger,
        Self::DefaultRights,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Extension => "extension",
            Self::Type => "type",
            Self::Sequence => "sequence",
            Self::Table => "table",
            Self::Column => "column",
            Self::Columns => "columns",
            Self::Constraint => "constraint",
            Self::Index => "index",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::Function => "function",
            Self::Trigger => "trigger",
            Self::Policy => "policy",
            Self::Rule => "rule",
            Self::Statistics => "statistics",
            Self::Publication => "publication",
            Self::EventTrigger => "event trigger",
            Self::DefaultRights => "default rights",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// An object: `column public.contacts.email`, `trigger t on public.contacts`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its full name, quoted where PostgreSQL would quote it.
    pub name: Box<str>,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.name)
    }
}

/// All objects that a scope covers, as they were at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Each with its definition: SQL where PostgreSQL can tell it as such, with owner, rights and comment behind it.
    pub objects: BTreeMap<Object, Box<str>>,
}

impl Catalogue {
    /// The hexadecimal SHA-256 of all of it. A dump and its restoration have the same.
    pub fn hash(&self) -> Arc<str> {
        let mut text = String::new();
        for (object, definition) in &self.objects {
            text.extend([
                object.kind.word(),
                "\0",
                &object.name,
                "\0",
                &words::settled(object.kind, definition),
                "\0",
            ]);
        }
        checksum(&text)
    }

    /// What is otherwise in `later`.
    pub fn diff(&self, later: &Self) -> Vec<Change> {
        words::changes(self, later)
    }

    /// The definition of an object, by kind and full name.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&str> {
        self.objects.get(&Object { kind, name: name.into() }).map(|definition| &**definition)
    }

    /// The tables that hold rows of their own, by full name.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.objects
            .iter()
            .filter(|(object, definition)| {
                object.kind == Kind::Table
                    && !definition.contains("PARTITIONED TABLE")
                    && !definition.contains("FOREIGN TABLE")
            })
            .map(|(object, _)| &*object.name)
    }
}

/// The catalogue at this moment, read in a read-only transaction of its own; none may be open.
pub async fn snapshot(session: &mut PgConnection, scope: &Scope) -> Result<Catalogue, sqlx::Error> {
    run(session, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'").await?;
    let read = read(session, scope).await;
    run(session, "ROLLBACK").await?;
    read
}

/// The catalogue as the caller's transaction sees it.
pub async fn read(session: &mut PgConnection, scope: &Scope) -> Result<Catalogue, sqlx::Error> {
    // With an empty path every definition spells names out in full. Before the query, because a setting that is made in it
    // holds only for what is planned after.
    let path: String =
        sqlx::query_scalar("SELECT current_setting('search_path')").fetch_one(&mut *session).await?;
    set_path(session, "").await?;
    let rows = sqlx::query(OBJECTS)
        .bind(scope.schemas.as_deref())
        .bind(scope.own == Own::Counted)
        .bind(scope.owners == Owners::Counted)
        .persistent(false)
        .fetch_all(&mut *session)
        .await?;
    set_path(session, &path).await?;
    let mut objects = BTreeMap::new();
    for row in rows {
        let (kind, name): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let definition: Option<&str> = row.try_get(2)?;
        let kind = Kind::read(kind)
            .ok_or_else(|| sqlx::Error::Decode(format!("no kind of object: {kind}").into()))?;
        objects.insert(Object { kind, name: name.into() }, definition.unwrap_or_default().into());
    }
    Ok(Catalogue { objects })
}

async fn set_path(session: &mut PgConnection, path: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('search_path', $1, false)").bind(path).execute(session).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
