//! A person's decision about a profile that the import could not place: carried out by the import's own rules, and read back.
//!
//! It guarantees that a decision is carried out whole or not at all, that it changes nobody but the contact it names, and that
//! what it says afterwards was read after it was written.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use super::conflicts;
use super::database;
use super::trouble::{Trouble, words};
use super::write::SEPARATOR;
use crate::run::Failure;
use crate::run::job::Facts;
use crate::run::upkeep::Settle;
use crate::workers::{Desk, Edge, End, Kit};

const STEPS: [&str; 3] = ["read both sides", "write the decision", "read it back"];
/// The decided profile is a plan of its own: a temporary table goes before the import's, and the rules that write are the
/// import's.
const ONE: &str = "CREATE TEMP TABLE pulse_plan (LIKE gonogo.pulse_plan INCLUDING DEFAULTS) ON COMMIT DROP";
const FILL: &str =
    "INSERT INTO pg_temp.pulse_plan SELECT * FROM jsonb_populate_record(NULL::gonogo.pulse_plan, $1)";

fn failed(what: impl Into<String>, next: &str) -> Failure {
    Failure { what: what.into(), state: "nothing was changed".into(), next: next.into() }
}

/// Carries a decision out.
pub(super) async fn run(kit: &Kit, desk: &Desk, profile: &str, settle: &Settle) -> Result<End, Failure> {
    desk.planned_names(STEPS).await?;
    let (mut session, found) = desk
        .step(0, async {
            let mut session = open(kit, desk).await?;
            let found = read(&mut session, profile).await.map_err(|error| sql(&error))?.ok_or_else(|| {
                failed(
                    format!("profile {profile} does not wait for a person any more"),
                    "somebody settled it, or the import has placed it since; look at the list again",
                )
            })?;
            let contact = target(&mut session, profile, settle).await?;
            Ok(((session, (found, contact)), None))
        })
        .await?;
    let (found, contact) = found;
    if desk.edge().await == Edge::GiveUp {
        return Ok(End::Cancelled { state: "nothing was changed; the profile still waits".into() });
    }
    let hash = found.get("data_hash").and_then(Value::as_str).unwrap_or_default().to_owned();
    desk.step(1, async {
        let by = desk.job().by.name.to_string();
        write(&mut session, desk, profile, &found, settle, contact, &hash, &by)
            .await
            .map_err(|error| sql(&error))?;
        Ok(((), Some(settle.words())))
    })
    .await?;
    let proof = desk.step(2, async {
        let proof = verify(&mut session, profile, settle, &hash).await?;
        Ok((proof.clone(), Some(proof)))
    });
    let summary = proof.await?;
    Ok(End::Succeeded { summary, facts: Facts::None })
}

fn sql(error: &sqlx::Error) -> Failure {
    Failure {
        what: format!("the database refused the decision: {}", words(error)),
        state: "nothing was changed; the profile still waits".into(),
        next: "mend what it names, or decide otherwise".into(),
    }
}

async fn open(kit: &Kit, desk: &Desk) -> Result<PgConnection, Failure> {
    let lost = |trouble: Trouble| match trouble {
        Trouble::Failed(failure) => failure,
        Trouble::Lost(words) => {
            failed(format!("the database does not let us in: {words}"), "bring it back, then decide again")
        }
        Trouble::GivenUp => failed("it was given up", "decide again"),
    };
    let mut session = database::connect(&kit.database_url()?).await.map_err(lost)?;
    while !database::alone(&mut session).await.map_err(lost)? {
        desk.doing(Some(0), "another import or sync is writing to this database");
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
            () = desk.given_up() => return Err(failed("it was given up while another import was writing", "decide again")),
        }
    }
    Ok(session)
}

/// The profile as it was staged, if it still waits.
async fn read(session: &mut PgConnection, profile: &str) -> Result<Option<Value>, sqlx::Error> {
    if !conflicts::prepare(session).await? {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT profile FROM gonogo.import_conflicts WHERE pulse_id = $1")
        .bind(profile)
        .fetch_optional(session)
        .await
}

/// The contact that is written: the one that was named, if it is there and free; a new one; or none.
async fn target(session: &mut PgConnection, profile: &str, settle: &Settle) -> Result<Option<Uuid>, Failure> {
    let contact = match settle {
        Settle::Keep => return Ok(None),
        Settle::Add => return Ok(Some(Uuid::new_v4())),
        Settle::Link { contact } => contact,
    };
    let id: Uuid = contact
        .parse()
        .map_err(|_| failed(format!("{contact:?} is no contact's id"), "choose a contact of the list"))?;
    let row = sqlx::query(
        "SELECT m.pulse_id FROM public.contacts c LEFT JOIN public.entity_mappings m \
         ON m.entity_type = 'contact' AND m.logos_id = c.id AND m.pulse_id IS DISTINCT FROM $2 WHERE c.id = $1",
    )
    .bind(id)
    .bind(profile)
    .fetch_optional(session)
    .await
    .map_err(|error| sql(&error))?;
    let row =
        row.ok_or_else(|| failed(format!("contact {id} is not here any more"), "look at the list again"))?;
    match row.try_get::<Option<String>, _>(0).map_err(|error| sql(&error))? {
        None => Ok(Some(id)),
        Some(other) => Err(failed(
            format!("contact {id} belongs to profile {other}, and a contact has one profile"),
            "choose another contact, or make one of this profile",
        )),
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one decision, written in one transaction")]
async fn write(
    session: &mut PgConnection,
    desk: &Desk,
    profile: &str,
    found: &Value,
    settle: &Settle,
    contact: Option<Uuid>,
    hash: &str,
    by: &str,
) -> Result<(), sqlx::Error> {
    let now = desk.clock().now();
    let mut transaction = session.begin().await?;
    if let Some(contact) = contact {
        let verdict = if matches!(settle, Settle::Add) { "insert" } else { "update" };
        let mut staged = found.clone();
        if let Some(fields) = staged.as_object_mut() {
            fields.extend([
                ("n".into(), json!(1)),
                ("verdict".into(), json!(verdict)),
                ("contact_id".into(), json!(contact)),
                ("both_changed".into(), json!(false)),
            ]);
        }
        sqlx::raw_sql(ONE).execute(&mut *transaction).await?;
        sqlx::query(FILL).bind(&staged).execute(&mut *transaction).await?;
        let (first, last) = (1_i64, 1_i64);
        match settle {
            Settle::Add => {
                sqlx::query(include_str!("sql/insert.sql"))
                    .bind(first)
                    .bind(last)
                    .bind(now)
                    .execute(&mut *transaction)
                    .await?;
            }
            Settle::Link { .. } | Settle::Keep => {
                sqlx::query(include_str!("sql/update.sql"))
                    .bind(first)
                    .bind(last)
                    .bind(now)
                    .bind(SEPARATOR)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        sqlx::query(include_str!("sql/map.sql"))
            .bind(first)
            .bind(last)
            .bind(now)
            .bind(["insert", "update"])
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM gonogo.import_conflicts WHERE pulse_id = $1")
            .bind(profile)
            .execute(&mut *transaction)
            .await?;
    }
    let way = match settle {
        Settle::Link { .. } => "link",
        Settle::Add => "add",
        Settle::Keep => "keep",
    };
    sqlx::query(
        "INSERT INTO gonogo.import_settled (pulse_id, data_hash, way, contact_id, decided_by, settled_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (pulse_id) DO UPDATE SET data_hash = $2, way = $3, contact_id = $4, \
         decided_by = $5, settled_at = $6",
    )
    .bind(profile)
    .bind(hash)
    .bind(way)
    .bind(contact)
    .bind(by)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

/// Reads what stands now, on both sides of the decision.
async fn verify(
    session: &mut PgConnection,
    profile: &str,
    settle: &Settle,
    hash: &str,
) -> Result<String, Failure> {
    let contact: Option<(Uuid, bool)> = sqlx::query_as(
        "SELECT c.id, c.pulse_profile_id = m.pulse_id AND m.data_hash = $2 FROM public.entity_mappings m \
         JOIN public.contacts c ON c.id = m.logos_id WHERE m.entity_type = 'contact' AND m.pulse_id = $1",
    )
    .bind(profile)
    .bind(hash)
    .fetch_optional(&mut *session)
    .await
    .map_err(|error| sql(&error))?;
    let wrong = |what: &str| {
        Err(Failure {
            what: format!("the decision on profile {profile} was written, and does not stand: {what}"),
            state: "something else may have changed the contact or its mapping meanwhile".into(),
            next: "look at both, then decide again".into(),
        })
    };
    match (settle, contact) {
        (Settle::Keep, None) => {
            Ok(format!("the CRM stays as it is; profile {profile} is asked about again when it changes"))
        }
        // A profile that is mapped keeps its contact; what Pulse says of it is what was not taken.
        (Settle::Keep, Some((id, _))) => {
            Ok(format!("contact {id} stays as it is; profile {profile} is asked about again when it changes"))
        }
        (Settle::Link { contact }, Some((id, true))) if id.to_string() == *contact => {
            Ok(format!("contact {id} is profile {profile} now, with what Pulse says"))
        }
        (Settle::Add, Some((id, true))) => Ok(format!("profile {profile} is contact {id} now, a new one")),
        (_, None) => wrong("no contact is mapped to it"),
        (_, Some(_)) => wrong("another contact is mapped to it, or with other values"),
    }
}
