//! How a clone stands between two migrations: the shape of its schemas and a fingerprint of every table. Compared, it says what a
//! way back has left otherwise, in words.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgConnection;

use crate::workers::migrate::catalogue::{self, Catalogue, Fingerprint, Kind, Scope};

/// As it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    catalogue: Catalogue,
    tables: BTreeMap<String, Fingerprint>,
}

impl State {
    pub(super) fn hash(&self) -> Arc<str> {
        self.catalogue.hash()
    }

    pub(super) fn rows(&self) -> u64 {
        self.tables.values().map(|print| print.rows).sum()
    }
}

/// Looks at the schemas and reads every row of theirs.
pub(super) async fn state(session: &mut PgConnection, schemas: &[String]) -> Result<State, sqlx::Error> {
    let names: Vec<&str> = schemas.iter().map(String::as_str).collect();
    let catalogue = catalogue::snapshot(session, &Scope::shape(&names)).await?;
    let mut tables = BTreeMap::new();
    for table in catalogue.tables() {
        tables.insert(table.to_owned(), catalogue::fingerprint(session, table).await?);
    }
    Ok(State { catalogue, tables })
}

/// What is otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Differs {
    pub(super) schema: Vec<String>,
    pub(super) rows: Vec<String>,
}

impl Differs {
    pub(super) fn is_empty(&self) -> bool {
        self.schema.is_empty() && self.rows.is_empty()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.schema.iter().chain(&self.rows).cloned().collect()
    }
}

/// What is otherwise in `now`. Rows are compared where the table has the same columns; where it has not, the schema says so.
pub(super) fn compare(before: &State, now: &State) -> Differs {
    let schema = catalogue::say(&before.catalogue.diff(&now.catalogue));
    let columns = |state: &State, table: &str| {
        state.catalogue.get(Kind::Columns, table).map(|text| {
            let mut names: Vec<String> = text.split(", ").map(str::to_owned).collect();
            names.sort();
            names
        })
    };
    let mut rows = Vec::new();
    for (table, was) in &before.tables {
        let Some(is) = now.tables.get(table) else { continue };
        if is != was && columns(before, table) == columns(now, table) {
            rows.push(if is.rows == was.rows {
                format!("values in {table} are not what they were ({} rows)", was.rows)
            } else {
                format!("{table} has {} rows, and had {}", is.rows, was.rows)
            });
        }
    }
    Differs { schema, rows }
}
