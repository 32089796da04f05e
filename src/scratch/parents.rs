//! What the rows of a sample refer to: fetched after them, and what those refer to, until nothing is missing or the bound is reached.
//! It reads the source's snapshot and writes the copy. What stays missing beyond the bound is for the caller to take out.

use sqlx::{AssertSqlSafe, PgConnection};

use super::ScratchError;
use super::clone::Source;
use super::copy::{CopiedTable, ForeignKey, copy_rows};

/// Of one table at most so many times the sample come along like this, and at least [`LEAST`].
const TIMES: u64 = 4;
const LEAST: u64 = 10_000;
/// A chain of references is followed so far.
const ROUNDS: u32 = 64;
/// Rows that are asked for at once.
const CHUNK: usize = 500;

/// A table that parents may come into: its name, its columns.
pub(super) type Target = (String, String);

/// Brings the parents; each table then has its number of them.
pub(super) async fn bring(
    (from, source): (&mut PgConnection, &Source),
    to: &mut PgConnection,
    keys: &[ForeignKey],
    targets: &[Target],
    sample: u64,
    tables: &mut [CopiedTable],
) -> Result<(), ScratchError> {
    let bound = sample.saturating_mul(TIMES).max(LEAST);
    for _ in 0..ROUNDS {
        let mut came = 0;
        for key in keys {
            let Some((parent, columns)) = targets.iter().find(|(name, _)| *name == key.parent) else {
                continue;
            };
            let Some(table) = tables.iter_mut().find(|one| one.table == *parent) else { continue };
            let missing = missing(to, key, bound.saturating_sub(table.parents)).await?;
            for some in missing.chunks(CHUNK) {
                let wanted = format!(
                    "{columns} FROM ONLY {parent} AS p WHERE ({}) IN ({})",
                    key.columns,
                    some.join(", ")
                );
                let rows = copy_rows(from, to, parent, columns, &wanted).await;
                let rows = rows.map_err(|error| source.error(format!("what refers to {parent}: {error}")))?;
                table.rows += rows;
                table.parents += rows;
                came += rows;
            }
        }
        if came == 0 {
            break;
        }
    }
    Ok(())
}

/// The keys that rows of the child name and the parent's copy has not, as literals.
async fn missing(to: &mut PgConnection, key: &ForeignKey, most: u64) -> Result<Vec<String>, ScratchError> {
    let sql = format!(
        "SELECT DISTINCT {} FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {}) LIMIT {most}",
        key.literals, key.child, key.set, key.parent, key.matches
    );
    let found = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(to).await;
    found.map_err(|source| ScratchError::Sql { doing: "looking for what the sample refers to", source })
}
