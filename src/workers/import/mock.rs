//! Mock profiles in the place of Pulse's, while Pulse is away: invented, plainly so, and never where a real row is.
//!
//! It guarantees that an invented person stands in a schema of their own (`gonogo_mock`) and nowhere else, under names,
//! addresses and ids that the table itself holds to be mock; and that their going is read back before it is said. Whether
//! there may be any is `run::decide`'s.

use sqlx::PgConnection;

use super::database;
use super::trouble::{Trouble, words};
use crate::run::Failure;
use crate::run::job::Facts;
use crate::workers::{Desk, Edge, End, Kit};

const MAKE: [&str; 3] = ["connect to the database", "make the mock profiles", "read both sides back"];
const REMOVE: [&str; 2] = ["remove the mock profiles", "read both sides back"];

fn failed(what: String, next: &str) -> Failure {
    Failure { what, state: "no real row was touched".into(), next: next.into() }
}

fn sql(error: &sqlx::Error) -> Failure {
    failed(
        format!("the database refused the mock profiles: {}", words(error)),
        "mend what it names, then ask again",
    )
}

async fn open(kit: &Kit) -> Result<PgConnection, Failure> {
    database::connect(&kit.database_url()?).await.map_err(|trouble| match trouble {
        Trouble::Failed(failure) => failure,
        Trouble::Lost(words) => {
            failed(format!("the database does not let us in: {words}"), "bring it back, then ask again")
        }
        Trouble::GivenUp => failed("it was given up".into(), "ask again"),
    })
}

/// Makes them.
pub(super) async fn make(kit: &Kit, desk: &Desk, profiles: u32) -> Result<End, Failure> {
    desk.planned_names(MAKE).await?;
    let mut session = desk
        .step(0, async {
            let mut session = open(kit).await?;
            let ready: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('public.contacts') \
                 AND attname = 'pulse_last_synced_at' AND NOT attisdropped)",
            )
            .fetch_one(&mut session)
            .await
            .map_err(|error| sql(&error))?;
            if ready {
                return Ok((session, None));
            }
            Err(failed("the database has no Pulse fields on contacts".into(), "run migrations 001 to 003 first"))
        })
        .await?;
    if desk.edge().await == Edge::GiveUp {
        return Ok(End::Cancelled { state: "no mock profile was made".into() });
    }
    desk.step(1, async {
        sqlx::raw_sql(include_str!("sql/mock.sql"))
            .execute(&mut session)
            .await
            .map_err(|error| sql(&error))?;
        sqlx::query(include_str!("sql/mock_rows.sql"))
            .bind(i32::try_from(profiles).unwrap_or(i32::MAX))
            .bind(desk.clock().now())
            .execute(&mut session)
            .await
            .map_err(|error| sql(&error))?;
        Ok(((), Some("in the schema gonogo_mock".to_owned())))
    })
    .await?;
    desk.step(2, async {
        let made: i64 = sqlx::query_scalar("SELECT count(*) FROM gonogo_mock.contacts")
            .fetch_one(&mut session)
            .await
            .map_err(|error| sql(&error))?;
        if made.unsigned_abs() != u64::from(profiles) {
            return Err(failed(
                format!("{made} mock profiles stand, and {profiles} were asked for"),
                "ask for them again",
            ));
        }
        apart(&mut session).await?;
        Ok(((), Some(format!("{made} mock profiles; none among the real contacts"))))
    })
    .await?;
    let summary = format!(
        "{profiles} MOCK profiles stand in gonogo_mock.contacts, none among the real contacts; Pulse's contacts are NOT imported"
    );
    Ok(End::Succeeded { summary, facts: Facts::None })
}

/// Removes them, as a job.
pub(super) async fn remove(kit: &Kit, desk: &Desk) -> Result<End, Failure> {
    desk.planned_names(REMOVE).await?;
    let mut session = desk
        .step(0, async {
            let mut session = open(kit).await?;
            drop_them(&mut session).await?;
            Ok((session, None))
        })
        .await?;
    let summary = desk
        .step(1, async {
            let words = gone(&mut session).await?;
            Ok((words.clone(), Some(words)))
        })
        .await?;
    Ok(End::Succeeded { summary, facts: Facts::None })
}

/// Removes them after a real import, and says that they are gone.
pub(super) async fn replaced(kit: &Kit) -> Result<String, Failure> {
    let mut session = open(kit).await?;
    drop_them(&mut session).await?;
    gone(&mut session).await
}

async fn drop_them(session: &mut PgConnection) -> Result<(), Failure> {
    // Nothing but mock data is ever in it, and nothing real refers to it.
    sqlx::raw_sql("SET client_min_messages = warning; DROP SCHEMA IF EXISTS gonogo_mock CASCADE")
        .execute(session)
        .await
        .map_err(|error| sql(&error))?;
    Ok(())
}

async fn gone(session: &mut PgConnection) -> Result<String, Failure> {
    let there: bool = sqlx::query_scalar("SELECT to_regnamespace('gonogo_mock') IS NOT NULL")
        .fetch_one(&mut *session)
        .await
        .map_err(|error| sql(&error))?;
    if there {
        return Err(failed(
            "the schema gonogo_mock is still there".into(),
            "look who holds it, then ask again",
        ));
    }
    apart(session).await?;
    Ok("the mock profiles are gone, and none is among the real contacts".into())
}

/// No invented person among the real ones, under any of their marks.
async fn apart(session: &mut PgConnection) -> Result<(), Failure> {
    let mixed: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM public.contacts WHERE pulse_profile_id LIKE 'mock-%' OR email LIKE '%@mock.invalid'",
    )
    .fetch_one(session)
    .await
    .map_err(|error| sql(&error))?;
    if mixed == 0 {
        return Ok(());
    }
    Err(Failure {
        what: format!("{mixed} contacts bear the marks of mock profiles (mock-… or @mock.invalid)"),
        state: "they were not made by gonogo, and were not touched".into(),
        next: "look who wrote them into contacts, and take them out by hand".into(),
    })
}
