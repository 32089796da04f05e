//! A table of a backup beside the real one, under a name that nobody has yet: to look at, to compare, to take rows from by hand.

use super::{Shelf, open, refused};
use crate::run::job::Failure;
use crate::workers::migrate::backup::print::print;
use crate::workers::migrate::backup::proof::{broke, equal};
use crate::workers::migrate::database::{Database, run};

/// Restores one table as `new` ("schema.name"), closed to everybody but the owner; verified before it is committed.
pub async fn beside(
    db: &Database,
    shelf: &Shelf,
    name: &str,
    table: &str,
    new: &str,
) -> Result<String, Failure> {
    let mut session = db.session("restore").await?;
    let opened = open(&mut session, shelf, name).await?;
    let at = opened.chosen(Some(table))?.first().copied().unwrap_or(0);
    let held = opened.held(at)?;
    // The server reads the name, and writes it quoted: what is no name goes no further.
    let parsed: Option<Vec<String>> = sqlx::query_scalar("SELECT parse_ident($1)")
        .bind(new)
        .fetch_one(&mut session)
        .await
        .map_err(|e| broke(&format!("reading the name {new:?}"), &e))?;
    let parts: Vec<String> =
        parsed.unwrap_or_default().iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    let new = match parts.as_slice() {
        [one] => format!("gonogo_backup.{one}"),
        [_, _] => parts.join("."),
        _ => return Err(refused(format!("{new:?} is no name of a table"), "name it as NAME or SCHEMA.NAME")),
    };
    let work = async {
        run(&mut session, "BEGIN; CREATE SCHEMA IF NOT EXISTS gonogo_backup; REVOKE ALL ON SCHEMA gonogo_backup FROM PUBLIC").await?;
        let columns: Vec<String> =
            held.columns.iter().map(|column| format!("{} {}", column.name, column.of)).collect();
        run(&mut session, &format!("CREATE TABLE {new} ({})", columns.join(", "))).await?;
        let close = format!("ALTER TABLE {new} ENABLE ROW LEVEL SECURITY; REVOKE ALL ON {new} FROM PUBLIC");
        run(&mut session, &close).await
    };
    work.await.map_err(|e| broke(&format!("making {new}"), &e))?;
    let filled = async {
        opened.fill(&mut session, &new, at).await?;
        let found = print(&mut session, &new, &held.columns).await.map_err(|e| broke("comparing", &e))?;
        equal(&held.table, &found, &held.print)?;
        run(&mut session, "COMMIT").await.map_err(|e| broke("ending the restore", &e))?;
        Ok(found)
    };
    let found = filled.await?;
    Ok(format!("{} of backup {} is in {new}: {found}, as it was backed up", held.table, opened.name))
}
