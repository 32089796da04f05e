//! Runs the checks of a migration, in a transaction that the server itself keeps read-only. A check that says nothing has not
//! passed.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::database::run;
use super::errors::{next, say_at};
use super::split::Statement;
use crate::run::job::Failure;

/// One answer of a check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Answer {
    /// What is claimed.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// All answers of a part.
pub(crate) async fn ask(
    session: &mut PgConnection,
    file: &str,
    part: &[Statement],
) -> Result<Vec<Answer>, Failure> {
    let failed = |error: &sqlx::Error, statement: &Statement| Failure {
        what: format!("a check could not be run: {}", say_at(error, file, statement)),
        state: "checks change nothing".into(),
        next: next(error).into(),
    };
    let mut answers = Vec::new();
    for statement in part {
        let asked = async {
            run(session, "BEGIN READ ONLY").await?;
            let rows = sqlx::raw_sql(AssertSqlSafe(&*statement.text)).fetch_all(&mut *session).await;
            run(session, "ROLLBACK").await?;
            rows
        };
        for row in asked.await.map_err(|error| failed(&error, statement))? {
            answers.push(answer(&row).map_err(|error| failed(&error, statement))?);
        }
    }
    Ok(answers)
}

/// One row of a check.
pub(crate) fn answer(row: &PgRow) -> Result<Answer, sqlx::Error> {
    Ok(Answer {
        name: row.try_get(0)?,
        // What says nothing has not passed.
        ok: row.try_get::<Option<bool>, _>(1)?.unwrap_or(false),
        detail: row.try_get::<Option<String>, _>(2).ok().flatten().unwrap_or_default(),
    })
}

/// What the answers come to: how many passed, or which did not.
pub(crate) fn judge(file: &str, when: &str, answers: &[Answer]) -> Result<String, Failure> {
    let bad: Vec<String> = answers
        .iter()
        .filter(|answer| !answer.ok)
        .map(|answer| format!("{}: {}", answer.name, answer.detail))
        .collect();
    let what = if answers.is_empty() {
        format!("{file}: the checks {when} gave no answer, so nothing is proven")
    } else if bad.is_empty() {
        return Ok(format!("{} checks passed", answers.len()));
    } else {
        format!("{file}: {} of {} checks {when} did not pass: {}", bad.len(), answers.len(), bad.join("; "))
    };
    Err(Failure { what, state: String::new(), next: "correct what they name, then run again".into() })
}
