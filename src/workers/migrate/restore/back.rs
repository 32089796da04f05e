//! Puts tables back as a backup holds them. Rows are compared by primary key: what differs is overwritten, what is missing comes
//! back, what came since goes, with whatever refers to it and cascades. All of it in one transaction that ends only when the
//! fingerprints are those of the backup; what is overwritten or goes is kept in the private schema.

use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::{Opened, Shelf, open, refused};
use crate::run::job::Failure;
use crate::workers::migrate::backup::files::Held;
use crate::workers::migrate::backup::print::print;
use crate::workers::migrate::backup::proof::{broke, equal};
use crate::workers::migrate::backup::tables::{described, list};
use crate::workers::migrate::database::{Database, run};

/// What putting one table back does, or would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replaced {
    /// The table.
    pub table: String,
    /// Rows whose values since the backup are lost.
    pub overwritten: i64,
    /// Rows that came since the backup, and go.
    pub removed: i64,
    /// Rows of other tables that refer to those, and go or change with them.
    pub with_them: Vec<(String, i64)>,
    /// Rows that come back.
    pub returned: i64,
    /// Where what is overwritten or goes is kept; none before it was confirmed.
    pub kept: Option<String>,
}

impl Replaced {
    /// In words.
    pub fn words(&self) -> String {
        let with =
            self.with_them.iter().map(|(table, rows)| format!(" (and {rows} rows of {table} with them)"));
        let with = with.collect::<Vec<_>>().concat();
        let kept =
            self.kept.as_ref().map_or(String::new(), |kept| format!("; what they held is kept in {kept}"));
        format!(
            "{}: {} rows overwritten, {} that came since removed{with}, {} returned{kept}",
            self.table, self.overwritten, self.removed, self.returned
        )
    }
}

/// Puts back all tables of a backup, or one. Without the database's name as `confirm` it says what would be lost, and does nothing.
pub async fn back(
    db: &Database,
    shelf: &Shelf,
    name: &str,
    table: Option<&str>,
    confirm: Option<&str>,
) -> Result<Vec<Replaced>, Failure> {
    let mut session = db.session("restore").await?;
    let opened = open(&mut session, shelf, name).await?;
    let places = parents_first(&mut session, &opened, opened.chosen(table)?).await?;
    run(&mut session, "BEGIN; SET LOCAL lock_timeout = '5s'").await.map_err(|e| broke("beginning", &e))?;
    let mut replaced = Vec::new();
    let confirmed = confirm == Some(db.database_name());
    for at in &places {
        let held = opened.held(*at)?;
        usable(&mut session, held).await?;
        let failed = |e: &sqlx::Error| broke(&format!("comparing {} with its backup", held.table), e);
        if confirmed {
            let sql = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", held.table);
            run(&mut session, &sql).await.map_err(|e| failed(&e))?;
        }
        let from = format!("gonogo_from_{at}");
        let columns: Vec<String> =
            held.columns.iter().map(|column| format!("{} {}", column.name, column.of)).collect();
        let sql = format!(
            "CREATE TEMP TABLE {from} ({}, PRIMARY KEY ({})) ON COMMIT DROP",
            columns.join(", "),
            held.key.join(", ")
        );
        run(&mut session, &sql).await.map_err(|e| failed(&e))?;
        opened.fill(&mut session, &from, *at).await?;
        replaced.push(compare(&mut session, held, &from).await.map_err(|e| failed(&e))?);
    }
    if !confirmed {
        let words: Vec<String> = replaced.iter().map(Replaced::words).collect();
        return Err(Failure {
            what: format!(
                "putting back {} would mean: {}; it was not confirmed with the database's name",
                opened.name,
                words.join("; ")
            ),
            state: "nothing was changed".into(),
            next: format!("to put it back, say --confirm {}", db.database_name()),
        });
    }
    let stamp: String =
        sqlx::query_scalar("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS_US')")
            .fetch_one(&mut session)
            .await
            .map_err(|e| broke("asking for the time", &e))?;
    let sql = "CREATE SCHEMA IF NOT EXISTS gonogo_backup; REVOKE ALL ON SCHEMA gonogo_backup FROM PUBLIC";
    run(&mut session, sql).await.map_err(|e| broke("making the schema gonogo_backup", &e))?;
    // Children go first and come last, so that no key is broken on the way.
    let mut triggers = Vec::new();
    for at in places.iter().rev() {
        let held = opened.held(*at)?;
        let from = format!("gonogo_from_{at}");
        let done = async {
            let kept = keep(&mut session, held, &from, &stamp).await?;
            triggers.extend(quiet(&mut session, held).await?);
            let sql = format!(
                "DELETE FROM {} AS t WHERE NOT EXISTS (SELECT FROM {from} s WHERE {})",
                held.table,
                on(held)
            );
            run(&mut session, &sql).await?;
            Ok::<_, sqlx::Error>(kept)
        };
        let kept = done.await.map_err(|e| broke(&format!("putting back {}", held.table), &e))?;
        if let Some(one) = replaced.iter_mut().find(|one| one.table == held.table) {
            one.kept = Some(kept);
        }
    }
    for at in &places {
        let held = opened.held(*at)?;
        let wrote = write(&mut session, held, &format!("gonogo_from_{at}")).await;
        wrote.map_err(|e| broke(&format!("putting back {}", held.table), &e))?;
    }
    for at in &places {
        let held = opened.held(*at)?;
        let found = print(&mut session, &held.table, &held.columns).await;
        equal(&held.table, &found.map_err(|e| broke("comparing", &e))?, &held.print)?;
    }
    for trigger in triggers {
        run(&mut session, &trigger).await.map_err(|e| broke("setting the triggers as they were", &e))?;
    }
    run(&mut session, "COMMIT").await.map_err(|e| broke("ending the restore", &e))?;
    Ok(replaced)
}

/// Whether the table can take these rows as it is now.
async fn usable(session: &mut PgConnection, held: &Held) -> Result<(), Failure> {
    let (now, _) = described(session, &held.table).await.map_err(|e| broke("looking at the table", &e))?;
    if now.is_empty() {
        return Err(refused(
            format!("there is no table {} any more", held.table),
            "make it first, by the migrations or from the schema, or restore beside with --as",
        ));
    }
    if held.key.is_empty() {
        return Err(refused(
            format!("{} has no primary key, so nobody can say which of its rows is which", held.table),
            "restore it beside with --as, and take from it by hand",
        ));
    }
    let gone: Vec<&str> = held
        .columns
        .iter()
        .map(|column| &*column.name)
        .filter(|name| !now.iter().any(|one| one.name == *name))
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    Err(refused(
        format!("{} has no column {} any more, which the backup holds", held.table, gone.join(", ")),
        "bring the schema to where it was when the backup was taken, or restore beside with --as",
    ))
}

fn on(held: &Held) -> String {
    held.key.iter().map(|key| format!("s.{key} = t.{key}")).collect::<Vec<_>>().join(" AND ")
}

/// Whether a row differs, in every column that the backup holds.
fn differs(held: &Held) -> String {
    let row = |of: &str| {
        held.columns.iter().map(|column| format!("{of}.{}", column.name)).collect::<Vec<_>>().join(", ")
    };
    format!("ROW({})::text IS DISTINCT FROM ROW({})::text", row("t"), row("s"))
}

async fn compare(session: &mut PgConnection, held: &Held, from: &str) -> Result<Replaced, sqlx::Error> {
    let (table, on, differs) = (&held.table, on(held), differs(held));
    let sql = format!(
        "SELECT (SELECT count(*) FROM {table} t JOIN {from} s ON {on} WHERE {differs}),
                (SELECT count(*) FROM {table} t WHERE NOT EXISTS (SELECT FROM {from} s WHERE {on})),
                (SELECT count(*) FROM {from} s WHERE NOT EXISTS (SELECT FROM {table} t WHERE {on}))"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *session).await?;
    let keys = sqlx::query(
        "SELECT f.conrelid::regclass::text, string_agg(format('o.%I = t.%I', a.attname, b.attname), ' AND ')
         FROM pg_constraint f CROSS JOIN LATERAL unnest(f.conkey, f.confkey) AS k (own, other)
         JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.own
         JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.other
         WHERE f.contype = 'f' AND f.confrelid = to_regclass($1) AND f.confdeltype IN ('c', 'n', 'd')
         GROUP BY f.oid, f.conrelid",
    );
    let mut with_them = Vec::new();
    for key in keys.bind(table).fetch_all(&mut *session).await? {
        let (other, join): (String, String) = (key.try_get(0)?, key.try_get(1)?);
        let sql = format!(
            "SELECT count(*) FROM {other} o JOIN {table} t ON {join} WHERE NOT EXISTS (SELECT FROM {from} s WHERE {on})"
        );
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *session).await?;
        if rows > 0 {
            with_them.push((other, rows));
        }
    }
    Ok(Replaced {
        table: table.clone(),
        overwritten: row.try_get(0)?,
        removed: row.try_get(1)?,
        with_them,
        returned: row.try_get(2)?,
        kept: None,
    })
}

/// Keeps what is overwritten or goes.
async fn keep(
    session: &mut PgConnection,
    held: &Held,
    from: &str,
    stamp: &str,
) -> Result<String, sqlx::Error> {
    let bare: String =
        held.table.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(24).collect();
    let kept = format!("gonogo_backup.\"replaced_{stamp}_{bare}\"");
    let sql = format!(
        "CREATE TABLE {kept} AS SELECT t.* FROM {} t LEFT JOIN {from} s ON {} WHERE s IS NULL OR {};
         ALTER TABLE {kept} ENABLE ROW LEVEL SECURITY; REVOKE ALL ON {kept} FROM PUBLIC",
        held.table,
        on(held),
        differs(held)
    );
    run(session, &sql).await?;
    Ok(kept)
}

/// Silences the table's own triggers: they would write into what is put back. Answers with what makes them as they were.
async fn quiet(session: &mut PgConnection, held: &Held) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
                format('ALTER TABLE %s ENABLE %sTRIGGER %I', tgrelid::regclass,
                       CASE tgenabled WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' ELSE '' END, tgname)
         FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal AND tgenabled <> 'D'",
    );
    let mut again = Vec::new();
    for row in rows.bind(&held.table).fetch_all(&mut *session).await? {
        run(session, row.try_get(0)?).await?;
        again.push(row.try_get(1)?);
    }
    Ok(again)
}

async fn write(session: &mut PgConnection, held: &Held, from: &str) -> Result<(), sqlx::Error> {
    let set: Vec<String> = held
        .columns
        .iter()
        .filter(|column| !held.key.contains(&column.name))
        .map(|column| format!("{0} = s.{0}", column.name))
        .collect();
    if !set.is_empty() {
        let sql = format!(
            "UPDATE {} AS t SET {} FROM {from} s WHERE {} AND {}",
            held.table,
            set.join(", "),
            on(held),
            differs(held)
        );
        run(session, &sql).await?;
    }
    let names = list(&held.columns);
    let sql = format!(
        "INSERT INTO {} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {from} s
         WHERE NOT EXISTS (SELECT FROM {} t WHERE {})",
        held.table,
        held.table,
        on(held)
    );
    run(session, &sql).await.map(drop)
}

/// Sorts so that a table comes after those that it refers to.
async fn parents_first(
    session: &mut PgConnection,
    opened: &Opened,
    mut left: Vec<usize>,
) -> Result<Vec<usize>, Failure> {
    let names: Vec<&str> = opened.held.iter().map(|held| held.table.as_str()).collect();
    let rows = sqlx::query(
        "SELECT c.name, p.name FROM unnest($1::text[]) AS c (name) JOIN pg_constraint f ON f.conrelid = to_regclass(c.name) AND f.contype = 'f'
         JOIN unnest($1::text[]) AS p (name) ON f.confrelid = to_regclass(p.name) WHERE f.conrelid <> f.confrelid",
    );
    let rows =
        rows.bind(&names).fetch_all(session).await.map_err(|e| broke("looking at the foreign keys", &e))?;
    let pairs: Vec<(String, String)> =
        rows.iter().filter_map(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?))).collect();
    let mut sorted = Vec::new();
    while !left.is_empty() {
        let name = |at: &usize| names.get(*at).copied().unwrap_or_default();
        let waits = |at: &usize| {
            pairs
                .iter()
                .any(|(child, parent)| child == name(at) && left.iter().any(|other| name(other) == parent))
        };
        // In a circle there is no right order; the server has the last word.
        let next = left.iter().position(|at| !waits(at)).unwrap_or(0);
        sorted.push(left.remove(next));
    }
    Ok(sorted)
}
