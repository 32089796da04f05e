//! The sample before the database: each distinct value alone against its column's type, length and checks, then whole rows against
//! all the rest (unique keys, triggers, checks over several columns). One transaction, rolled back.
//!
//! The values go through copies of the tables that end with the transaction; whole rows go to `contacts` itself, because
//! triggers and keys stand nowhere else. Nobody else ever sees them, and no lock of theirs outlives the transaction.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection, PgConnection};

use super::sample::{Field, INTERACTION, Item, PROFILE, Sample, told};
use super::{Counted, Finding};

/// How many examples a finding names.
const EXAMPLES: usize = 3;
/// How many rows are tried whole: enough for what differs from row to row, few enough for a live table.
const WHOLE: usize = 200;

/// What the database said.
#[derive(Debug, Default)]
pub(super) struct Tried {
    pub(super) findings: Vec<Finding>,
    /// Profiles that would be set aside.
    pub(super) refused: u64,
}

/// What refuses a value.
struct Refusal {
    rule: String,
    sqlstate: Option<String>,
}

pub(super) async fn all(session: &mut PgConnection, sample: &Sample) -> Result<Tried, sqlx::Error> {
    let mut transaction = session.begin().await?;
    sqlx::raw_sql(include_str!("../sql/contract.sql")).execute(&mut *transaction).await?;
    let mut found = Found::default();
    fields(&mut transaction, "contacts", PROFILE, &sample.profiles, Counted::Profiles, &mut found).await?;
    fields(
        &mut transaction,
        "pulse_contact_interactions",
        INTERACTION,
        &sample.interactions,
        Counted::Interactions,
        &mut found,
    )
    .await?;
    whole(&mut transaction, &sample.profiles, &mut found).await?;
    for item in &sample.profiles {
        if let Some((field, reason)) = &item.unfit
            && !found.refused.contains(&(Counted::Profiles, item.id.clone()))
        {
            let refusal = Refusal { rule: format!("the import ({reason})"), sqlstate: None };
            found.add(Counted::Profiles, field, "something it sets aside".into(), refusal, &item.id);
        }
    }
    transaction.rollback().await?;
    Ok(found.told(sample))
}

/// What is counted, the field, the value, the rule, and the database's code.
type Kind = (Counted, String, String, String, Option<String>);

/// What was found, with the ids.
#[derive(Default)]
struct Found {
    kinds: BTreeMap<Kind, BTreeSet<String>>,
    refused: BTreeSet<(Counted, String)>,
}

impl Found {
    fn add(&mut self, of: Counted, field: &str, value: String, refusal: Refusal, id: &str) {
        let key = (of, field.to_owned(), value, refusal.rule, refusal.sqlstate);
        self.kinds.entry(key).or_default().insert(id.to_owned());
        self.refused.insert((of, id.to_owned()));
    }

    fn told(self, sample: &Sample) -> Tried {
        let tried = |of| match of {
            Counted::Profiles => sample.profiles.len() as u64,
            Counted::Interactions => sample.interactions.len() as u64,
        };
        let mut findings: Vec<Finding> = self
            .kinds
            .into_iter()
            .map(|((of, field, value, rule, sqlstate), ids)| Finding {
                of,
                field,
                rule,
                sqlstate,
                value,
                count: ids.len() as u64,
                tried: tried(of),
                examples: ids.into_iter().take(EXAMPLES).collect(),
            })
            .collect();
        findings.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.cmp(b)));
        let refused = self.refused.iter().filter(|(of, _)| *of == Counted::Profiles).count() as u64;
        Tried { findings, refused }
    }
}

/// Each distinct value of each field, alone.
async fn fields(
    session: &mut PgConnection,
    table: &str,
    fields: &[Field],
    items: &[Item],
    of: Counted,
    found: &mut Found,
) -> Result<(), sqlx::Error> {
    let mut who: BTreeMap<(usize, &str), Vec<&str>> = BTreeMap::new();
    for item in items {
        for (place, value) in &item.values {
            who.entry((*place, value)).or_default().push(&item.id);
        }
        for place in &item.untold {
            let refusal = Refusal { rule: "text".into(), sqlstate: Some("22021".into()) };
            found.add(of, fields[*place].0, "a NUL character".into(), refusal, &item.id);
        }
    }
    let keys: Vec<(usize, &str)> = who.keys().copied().collect();
    let columns: Vec<&str> = keys.iter().map(|(place, _)| fields[*place].1).collect();
    let values: Vec<&str> = keys.iter().map(|(_, value)| *value).collect();
    let rows: Vec<(i64, String, Option<String>, String)> = sqlx::query_as(
        "SELECT v.n, t.state, nullif(t.rule, ''), t.said \
         FROM unnest($2::text[], $3::text[]) WITH ORDINALITY v (col, val, n), pg_temp.gonogo_try($1, v.col, v.val) t \
         WHERE t.state IS NOT NULL ORDER BY v.n",
    )
    .bind(table)
    .bind(&columns)
    .bind(&values)
    .fetch_all(&mut *session)
    .await?;
    for (n, state, rule, said) in rows {
        let Some(((place, value), ids)) = usize::try_from(n - 1)
            .ok()
            .and_then(|n| keys.get(n))
            .and_then(|key| who.get(key).map(|ids| (*key, ids)))
        else {
            continue;
        };
        let (field, column) = fields[place];
        for id in ids {
            let rule = rule.clone().unwrap_or_else(|| format!("the column {column} ({})", plain(&said)));
            found.add(of, field, told(field, value), Refusal { rule, sqlstate: Some(state.clone()) }, id);
        }
    }
    missing(session, table, fields, items, of, found).await
}

/// Fields that must be there and are not.
async fn missing(
    session: &mut PgConnection,
    table: &str,
    fields: &[Field],
    items: &[Item],
    of: Counted,
    found: &mut Found,
) -> Result<(), sqlx::Error> {
    let needed: Vec<String> = sqlx::query_scalar(
        "SELECT attname::text FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('public.' || quote_ident($1)) \
         AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef",
    )
    .bind(table)
    .fetch_all(session)
    .await?;
    for (place, (field, column)) in fields.iter().enumerate() {
        if !needed.iter().any(|name| name == column) {
            continue;
        }
        for item in items {
            let there = item.values.iter().any(|(own, _)| *own == place) || item.untold.contains(&place);
            // A name is made of first and last name where there is no other.
            let made = *field == "display_name"
                && item.values.iter().any(|(own, _)| matches!(fields[*own].0, "first_name" | "last_name"));
            if !there && !made {
                let refusal =
                    Refusal { rule: format!("NOT NULL on {column}"), sqlstate: Some("23502".into()) };
                found.add(of, field, "nothing".into(), refusal, &item.id);
            }
        }
    }
    Ok(())
}

/// Rows that passed so far, whole, against keys, triggers and checks over several columns.
async fn whole(session: &mut PgConnection, profiles: &[Item], found: &mut Found) -> Result<(), sqlx::Error> {
    let fit = profiles.iter().filter(|item| {
        item.unfit.is_none() && !found.refused.contains(&(Counted::Profiles, item.id.clone()))
    });
    // Who is here already is no new row.
    let here: Vec<String> =
        sqlx::query_scalar("SELECT pulse_profile_id FROM public.contacts WHERE pulse_profile_id = ANY ($1)")
            .bind(profiles.iter().map(|item| item.id.as_str()).collect::<Vec<_>>())
            .fetch_all(&mut *session)
            .await?;
    let chosen: Vec<&Item> = fit.filter(|item| !here.contains(&item.id)).take(WHOLE).collect();
    for item in chosen {
        let columns: Vec<&str> = item.values.iter().map(|(place, _)| PROFILE[*place].1).collect();
        let values: Vec<&str> = item.values.iter().map(|(_, value)| value.as_str()).collect();
        let (state, rule, said): (Option<String>, Option<String>, Option<String>) =
            sqlx::query_as("SELECT state, nullif(rule, ''), said FROM pg_temp.gonogo_whole($1, $2)")
                .bind(&columns)
                .bind(&values)
                .fetch_one(&mut *session)
                .await?;
        if let Some(state) = state {
            let rule =
                rule.unwrap_or_else(|| format!("the table contacts ({})", plain(&said.unwrap_or_default())));
            let refusal = Refusal { rule, sqlstate: Some(state) };
            found.add(
                Counted::Profiles,
                "profile",
                "something that fits alone and not together".into(),
                refusal,
                &item.id,
            );
        }
    }
    Ok(())
}

/// A message of the server's without what it quotes: that may be a person's.
fn plain(said: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    for c in said.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if !quoted => out.push(c),
            _ => {}
        }
    }
    out.trim_end_matches([':', ' ']).replace("  ", " ")
}
