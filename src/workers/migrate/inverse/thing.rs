//! The catalogue as things, each with the statement that makes it and the one that takes it away. The query beside this file says
//! which kinds there are; what is of another kind is not seen, and `docs/migrations.md` says which those are.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

/// Something in the catalogue. Two of one key are the same when they are made by the same statement.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Thing {
    /// "index", "column", …
    pub(crate) kind: String,
    /// The key of what takes it along when it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    /// Makes it; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) make: Option<String>,
    /// Takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unmake: Option<String>,
    /// Makes it from another definition of the same thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) back: Option<String>,
}

/// Things by key ("index public.idx_contacts_name").
pub(crate) type Catalogue = BTreeMap<String, Thing>;

/// A thing that came, went, or is another now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Change {
    pub(crate) key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<Thing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) is: Option<Thing>,
}

/// Reads all things that are not gonogo's own.
pub(crate) async fn catalogue(session: &mut PgConnection) -> Result<Catalogue, sqlx::Error> {
    // Definitions name what the search path does not: with an empty one they mean the same for every session.
    let (path, _): (String, String) =
        sqlx::query_as("SELECT current_setting('search_path'), set_config('search_path', '', false)")
            .fetch_one(&mut *session)
            .await?;
    // Prepared once per session: planning it costs several times what it takes to run.
    let read = sqlx::query(include_str!("things.sql")).fetch_all(&mut *session).await;
    // In a transaction that failed the setting goes with it.
    let restored = set_path(session, &path).await;
    let rows = read?;
    restored?;
    let thing = |row: &sqlx::postgres::PgRow| {
        let thing = Thing {
            kind: row.try_get(0)?,
            parent: row.try_get(2)?,
            make: row.try_get(3)?,
            unmake: row.try_get(4)?,
            back: row.try_get(5)?,
        };
        Ok((row.try_get(1)?, thing))
    };
    rows.iter().map(thing).collect()
}

async fn set_path(session: &mut PgConnection, path: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('search_path', $1, false)").bind(path).execute(session).await.map(drop)
}

/// What makes the difference between two catalogues.
pub(crate) fn changes(was: &Catalogue, is: &Catalogue) -> Vec<Change> {
    let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let (was, is) = (was.get(key), is.get(key));
            let same = was.map(|one| &one.make) == is.map(|one| &one.make) && was.is_some() == is.is_some();
            (!same).then(|| Change { key: key.clone(), was: was.cloned(), is: is.cloned() })
        })
        .collect()
}

/// Makes the changes to a catalogue.
pub(crate) fn follow(catalogue: &mut Catalogue, changes: &[Change]) {
    for change in changes {
        match &change.is {
            Some(is) => catalogue.insert(change.key.clone(), is.clone()),
            None => catalogue.remove(&change.key),
        };
    }
}
