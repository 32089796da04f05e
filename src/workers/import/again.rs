//! What was set aside, read back to be judged again: after a CHECK was mended, a length was raised, a rule was changed.
//!
//! It guarantees that only records which are known by their profile's id and stand here whole come back; the others stay
//! where they are. What was mended at Pulse itself is not here: the next sync brings it.

use sqlx::PgConnection;

use crate::services::pulse::{self, BadProfile, Profile};

/// How many are judged at a time.
const PAGE: i64 = 1_000;

type Items = Vec<Result<Profile, BadProfile>>;

/// The next records after that key, and the last key; none when there are no more.
pub(super) async fn page(
    database: &mut PgConnection,
    after: &str,
) -> Result<Option<(Items, String)>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT pulse_key, raw FROM import_rejects WHERE pulse_id IS NOT NULL AND pulse_key > $1 ORDER BY pulse_key LIMIT $2",
    )
    .bind(after)
    .bind(PAGE)
    .fetch_all(database)
    .await?;
    let Some((last, _)) = rows.last() else { return Ok(None) };
    let last = last.clone();
    // A record that was too long to be kept whole reads as nothing any more.
    let whole = |(_, raw): &(String, String)| {
        serde_json::from_str::<serde_json::Value>(raw).is_ok().then(|| pulse::profile(raw))
    };
    Ok(Some((rows.iter().filter_map(whole).collect(), last)))
}
