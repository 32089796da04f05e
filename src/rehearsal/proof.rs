//! What a rehearsal left in its scratch database, read from outside: with SQL of its own, on a connection of its own,
//! after every worker has left. It says what is there, not what a worker said.

use serde_json::{Map, Value};
use sqlx::PgConnection;

use super::stage::{DATABASE, Stage};

/// The nineteen fields of Pulse on contacts.
const FIELDS: &str = "select count(*) from information_schema.columns
    where table_schema = 'public' and table_name = 'contacts' and column_name in (
        'pulse_profile_id', 'relationship_score', 'relationship_trend', 'last_interaction_date', 'total_interactions',
        'preferred_channel', 'communication_frequency', 'pulse_tags', 'pulse_notes', 'is_favorite', 'is_blocked',
        'is_vip', 'donor_stage', 'engagement_score', 'total_lifetime_giving', 'last_gift_date',
        'pulse_last_synced_at', 'pulse_sync_status', 'pulse_sync_error')";
/// Valid indexes of contacts that cover a field of Pulse, but for the key.
const INDEXES: &str = "select count(distinct i.indexrelid) from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
    where i.indrelid = 'public.contacts'::regclass and i.indisvalid and not i.indisprimary and a.attname in (
        'pulse_profile_id', 'relationship_score', 'relationship_trend', 'last_interaction_date', 'donor_stage',
        'engagement_score', 'is_vip', 'pulse_sync_status', 'pulse_tags')";
/// The tables of the deployment.
const TABLES: &str = "select count(*) from pg_tables where schemaname = 'public'
    and tablename in ('contacts', 'pulse_contact_interactions', 'entity_mappings')";
/// Contacts.
const CONTACTS: &str = "select count(*) from public.contacts";
/// Money that donors gave before, to the cent.
const GIVEN: &str = "select coalesce(sum(total_lifetime_giving) * 100, 0)::bigint from public.contacts";
/// Profiles of Pulse that a contact stands for.
const MAPPED: &str =
    "select count(distinct pulse_id) from public.entity_mappings where entity_type = 'contact'";

/// What is there. A figure that cannot be read is null, and never zero.
pub async fn look(stage: &Stage) -> Option<Value> {
    let mut connection = stage.scratch().connect(DATABASE).await.ok()?;
    let mut found = Map::new();
    for (name, sql) in [
        ("pulse_fields", FIELDS),
        ("indexes", INDEXES),
        ("tables", TABLES),
        ("contacts", CONTACTS),
        ("giving_cents", GIVEN),
        ("profiles_mapped", MAPPED),
    ] {
        found.insert(name.into(), count(&mut connection, sql).await.map_or(Value::Null, Value::from));
    }
    let profiles = stage.world.read(|state| state.contacts);
    found.insert("profiles_at_pulse".into(), profiles.into());
    Some(found.into())
}

async fn count(connection: &mut PgConnection, sql: &'static str) -> Option<i64> {
    sqlx::query_scalar(sql).fetch_one(connection).await.ok()
}
