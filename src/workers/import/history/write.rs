//! Interactions into their table, a batch of contacts in one statement, and the contacts' totals kept true with it.
//!
//! It guarantees that an interaction stands once however often it is read, that one that is refused costs its contact's batch
//! nothing, and that Pulse's own total, which counts older interactions than Pulse hands out, is never lowered and never
//! counted twice.

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::super::trouble::{Trouble, is_about_rows, words};
use super::read::Left;
use crate::services::pulse::{BadItem, Interaction};

const TYPES: [(&str, Option<&str>, Option<&str>); 10] = [
    ("email_sent", Some("email"), Some("outbound")),
    ("email_received", Some("email"), Some("inbound")),
    ("meeting", Some("meeting"), None),
    ("call", Some("phone"), None),
    ("slack_message", Some("slack"), Some("outbound")),
    ("slack_received", Some("slack"), Some("inbound")),
    ("sms_sent", Some("sms"), Some("outbound")),
    ("sms_received", Some("sms"), Some("inbound")),
    ("linkedin", Some("linkedin"), None),
    ("other", None, None),
];
/// The longest text that is kept, in characters.
const LONGEST: usize = 100_000;

/// What was read of a contact.
#[derive(Debug)]
pub(super) struct Read {
    profile: String,
    contact: Uuid,
    rows: Vec<Value>,
    problem: Option<String>,
}

impl Read {
    /// The interactions that fit; the first that does not is named.
    pub(super) fn of(contact: &Left, items: Vec<Result<Interaction, BadItem>>) -> Self {
        let all = items.len();
        let mut read = Self::nothing(contact, "");
        let mut refused = 0;
        for item in items {
            let row = match &item {
                Ok(one) => row(contact, one),
                Err(bad) => Err(format!("it cannot be read: {}", bad.reason)),
            };
            match row {
                Ok(row) => read.rows.push(row),
                Err(why) => {
                    refused += 1;
                    if read.problem.is_none() {
                        read.problem = Some(why);
                    }
                }
            }
        }
        read.problem = read
            .problem
            .filter(|_| refused > 0)
            .map(|why| format!("{refused} of {all} interactions were not taken; the first: {why}"));
        read
    }

    /// Nothing, and why; no reason where it is empty.
    pub(super) fn nothing(contact: &Left, why: &str) -> Self {
        Self {
            profile: contact.profile.clone(),
            contact: contact.contact,
            rows: Vec::new(),
            problem: (!why.is_empty()).then(|| why.to_owned()),
        }
    }
}

fn row(contact: &Left, one: &Interaction) -> Result<Value, String> {
    let kind = TYPES.iter().find(|(name, ..)| *name == one.interaction_type);
    let (name, channel, direction) =
        kind.ok_or_else(|| format!("interaction_type {:?} is not one that is known", one.interaction_type))?;
    let at = one.interaction_date.filter(|at| (1900..2200).contains(&at.year()));
    let at = at.ok_or("interaction_date: missing, or not between 1900 and 2200")?;
    if one.sentiment_score.is_some_and(|score| !(-1.0..=1.0).contains(&score)) {
        return Err("sentiment_score: not within -1 to 1".into());
    }
    if one.duration_minutes.is_some_and(|minutes| !i32::try_from(minutes).is_ok_and(|minutes| minutes >= 0)) {
        return Err("duration_minutes: not a number of minutes".into());
    }
    let topics: Vec<&str> = one
        .ai_topics
        .as_array()
        .map(|topics| topics.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let row = json!({
        "contact_id": contact.contact, "profile": contact.profile, "id": one.id, "type": name, "at": at,
        "channel": channel, "direction": direction, "subject": one.subject, "snippet": one.snippet,
        "sentiment": one.sentiment_score, "topics": topics, "actions": one.ai_action_items, "summary": one.ai_summary,
        "metadata": one.channel_metadata, "minutes": one.duration_minutes,
    });
    let text = row.to_string();
    if text.contains("\\u0000") {
        return Err("a NUL character, which text cannot hold".into());
    }
    if text.chars().count() > LONGEST {
        return Err(format!("longer than {LONGEST} characters"));
    }
    Ok(row)
}

/// Makes the table in which it is noted who was read.
pub(super) async fn prepare(database: &mut PgConnection) -> Result<(), Trouble> {
    sqlx::raw_sql(include_str!("../sql/history.sql")).execute(database).await?;
    Ok(())
}

/// Writes what was read, in one transaction; if the database refuses it, contact by contact, and notes who it was.
pub(super) async fn write(
    database: &mut PgConnection,
    reads: &[Read],
    now: DateTime<Utc>,
) -> Result<(), Trouble> {
    let all: Vec<&Read> = reads.iter().collect();
    match together(database, &all, None, now).await {
        Ok(()) => return Ok(()),
        Err(error) if is_about_rows(&error) => {}
        Err(error) => return Err(error.into()),
    }
    for read in reads {
        match together(database, &[read], None, now).await {
            Ok(()) => {}
            Err(error) if is_about_rows(&error) => {
                let problem = format!("the database refused its interactions: {}", words(&error));
                together(database, &[read], Some(&problem), now).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn together(
    database: &mut PgConnection,
    reads: &[&Read],
    refused: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if reads.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    let contacts: Vec<Uuid> = reads.iter().map(|read| read.contact).collect();
    // In the order of keys, as everybody locks contacts here.
    let held: Vec<(Uuid, i32)> = sqlx::query_as(
        "SELECT id, coalesce(total_interactions, 0) FROM public.contacts WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(&contacts)
    .fetch_all(&mut *transaction)
    .await?;
    let there = |contact: &Uuid| held.iter().any(|(id, _)| id == contact);
    if refused.is_none() {
        let rows: Vec<&Value> =
            reads.iter().filter(|read| there(&read.contact)).flat_map(|read| &read.rows).collect();
        sqlx::query(include_str!("../sql/interactions.sql"))
            .bind(Json(&rows))
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        let (ids, totals): (Vec<Uuid>, Vec<i32>) = held.iter().copied().unzip();
        // The triggers have added what came new; Pulse's own total has counted it before.
        sqlx::query(
            "UPDATE public.contacts c SET total_interactions = greatest(was.total, here.n) \
             FROM unnest($1::uuid[], $2::int[]) was (id, total) CROSS JOIN LATERAL \
               (SELECT count(*)::int AS n FROM public.pulse_contact_interactions i \
                WHERE i.contact_id = was.id AND NOT i.is_archived) here \
             WHERE c.id = was.id AND c.total_interactions IS DISTINCT FROM greatest(was.total, here.n)",
        )
        .bind(&ids)
        .bind(&totals)
        .execute(&mut *transaction)
        .await?;
    }
    let gone = "the contact is not here any more";
    let profiles: Vec<&str> = reads.iter().map(|read| read.profile.as_str()).collect();
    let counts: Vec<i32> = reads
        .iter()
        .map(|read| if refused.is_some() { 0 } else { i32::try_from(read.rows.len()).unwrap_or(i32::MAX) })
        .collect();
    let problems: Vec<Option<&str>> = reads
        .iter()
        .map(|read| refused.or(if there(&read.contact) { read.problem.as_deref() } else { Some(gone) }))
        .collect();
    sqlx::query(
        "INSERT INTO gonogo.interaction_reads (pulse_id, read_at, interactions, problem) \
         SELECT p, $4, n, why FROM unnest($1::text[], $2::int[], $3::text[]) r (p, n, why) \
         ON CONFLICT (pulse_id) DO UPDATE SET read_at = EXCLUDED.read_at, problem = EXCLUDED.problem, \
           interactions = greatest(EXCLUDED.interactions, gonogo.interaction_reads.interactions)",
    )
    .bind(&profiles)
    .bind(&counts)
    .bind(&problems)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
