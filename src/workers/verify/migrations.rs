//! Proof that migrations did what they say: the checks that come with them, run after.
//!
//! It guarantees that they run in a session that can change nothing, that a check which says nothing has not passed, and that
//! every check that failed is named.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use super::{Case, Proof, Proven, failure, sql};
use crate::plan::bundled;
use crate::run::Failure;

const SUFFIX: &str = ".check.sql";

pub(super) async fn prove(case: &Case<'_>, only: Option<u32>) -> Proven {
    let files = files(&case.kit.path(&case.kit.config().deployment.migrations))?;
    let wanted: Vec<_> =
        files.into_iter().filter(|(name, _)| only.is_none_or(|only| number(name) == Some(only))).collect();
    if wanted.is_empty() {
        let which = only.map_or_else(String::new, |only| format!(" of {only:03}"));
        return Err(failure(
            format!("there is no check file{which}, so nothing can be proven"),
            "write NNN_name.check.sql beside the migration, with a part `-- gonogo: after`",
        ));
    }
    let mut session = sql::open(case.kit).await?;
    let (mut passed, mut bad, mut counts) = (0, Vec::new(), Vec::new());
    for (name, text) in &wanted {
        let answers = ask(&mut session, name, text).await?;
        counts.push(format!("{} {}", &name[..name.len().min(3)], answers.len()));
        for (check, ok, detail) in answers {
            if ok {
                passed += 1;
            } else {
                bad.push(format!("{name}: {check}: {detail}"));
            }
        }
    }
    // The answers are in; a farewell that fails changes nothing.
    let _ = session.close().await;
    if bad.is_empty() {
        let at = case.clock().now().format("%H:%M:%SZ");
        return Ok(Proof::that(format!("{passed} checks passed ({}; at {at})", counts.join(", "))));
    }
    let all = passed + bad.len();
    let what = format!("{} of {all} checks did not pass: {}", bad.len(), bad.join("; "));
    Err(failure(what, "correct what they name, or take the migrations back"))
}

/// The check files of the directory, or those that ship where there is no such directory, by name.
fn files(directory: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        failure(format!("{} cannot be read: {error}", path.display()), "mend the directory of the migrations")
    };
    if !directory.exists() {
        let checks = bundled::MIGRATIONS.iter().filter(|(name, _)| name.ends_with(SUFFIX));
        return Ok(checks.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect());
    }
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))? {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        if let Some(name) =
            path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(SUFFIX))
        {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            files.insert(name.to_owned(), text);
        }
    }
    Ok(files)
}

fn number(name: &str) -> Option<u32> {
    name.split('_').next()?.parse().ok()
}

/// The part of a check file that is run after its migration.
fn after(text: &str) -> String {
    let mut part = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim().strip_prefix("-- gonogo:") {
            Some(word) => inside = word.trim() == "after",
            None if inside => {
                part.push_str(line);
                part.push('\n');
            }
            None => {}
        }
    }
    part
}

async fn ask(
    session: &mut PgConnection,
    file: &str,
    text: &str,
) -> Result<Vec<(String, bool, String)>, Failure> {
    let part = after(text);
    let failed = |error: sqlx::Error| {
        failure(
            format!("{file}: a check could not be run: {error}"),
            "correct the check, or run its migration first",
        )
    };
    // Many statements in one message, which the session itself keeps read-only.
    let mut transaction = session.begin_with("BEGIN READ ONLY").await.map_err(failed)?;
    let rows = sqlx::raw_sql(AssertSqlSafe(part)).fetch_all(&mut *transaction).await.map_err(failed)?;
    if rows.is_empty() {
        let what = format!("{file}: the checks after the migration gave no answer, so nothing is proven");
        return Err(failure(what, "write a part `-- gonogo: after` that answers with (name, ok, detail)"));
    }
    let read = |row: &sqlx::postgres::PgRow| {
        let ok = row.try_get::<Option<bool>, _>(1)?.unwrap_or(false);
        Ok((row.try_get(0)?, ok, row.try_get::<Option<String>, _>(2)?.unwrap_or_default()))
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}
