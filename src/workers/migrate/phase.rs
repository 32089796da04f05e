//! What the server's own views say of a command that runs: one row, whichever view it comes from. A phase has its place among the
//! others, because each begins its count anew.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::run::live::Phase;

/// The row of the session `$1`: view, phase, locker, and three times unit, done and total.
pub(crate) const PHASES: &str = "
SELECT 'pg_stat_progress_create_index' AS view, phase, nullif(current_locker_pid, 0)::int AS locker,
       'blocks' AS u1, blocks_done AS d1, blocks_total AS t1, 'tuples' AS u2, tuples_done AS d2, tuples_total AS t2,
       'lockers' AS u3, lockers_done AS d3, lockers_total AS t3
FROM pg_stat_progress_create_index WHERE pid = $1
UNION ALL
SELECT 'pg_stat_progress_copy', lower(command), NULL, 'rows', tuples_processed, NULL, 'bytes', bytes_processed, nullif(bytes_total, 0),
       NULL, NULL, NULL
FROM pg_stat_progress_copy WHERE pid = $1
UNION ALL
SELECT 'pg_stat_progress_vacuum', phase, NULL, 'blocks', heap_blks_scanned, heap_blks_total, 'vacuumed blocks', heap_blks_vacuumed,
       heap_blks_total, NULL, NULL, NULL
FROM pg_stat_progress_vacuum WHERE pid = $1
UNION ALL
SELECT 'pg_stat_progress_analyze', phase, NULL, 'blocks', sample_blks_scanned, sample_blks_total, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_stat_progress_analyze WHERE pid = $1
UNION ALL
SELECT 'pg_stat_progress_cluster', phase, NULL, 'blocks', heap_blks_scanned, heap_blks_total, 'rows', heap_tuples_written, NULL,
       NULL, NULL, NULL
FROM pg_stat_progress_cluster WHERE pid = $1
LIMIT 1";

/// The phases of a concurrent build, in their order; a plain build has the third and parts of it only.
const BUILD: [&str; 8] = [
    "initializing",
    "waiting for writers before build",
    "building index",
    "waiting for writers before validation",
    "index validation: scanning index",
    "index validation: sorting tuples",
    "index validation: scanning table",
    "waiting for old snapshots",
];

/// What a row says.
pub(crate) fn phase(row: &PgRow) -> Result<Phase, sqlx::Error> {
    let name: String = row.try_get(1)?;
    let mut counts = Vec::new();
    for at in [3, 6, 9] {
        let unit: Option<String> = row.try_get(at)?;
        let number =
            |at: usize| row.try_get::<Option<i64>, _>(at).map(|n| n.and_then(|n| u64::try_from(n).ok()));
        let (done, total) = (number(at + 1)?, number(at + 2)?);
        // A count of nothing of nothing belongs to another phase.
        if let (Some(unit), Some(done)) = (unit, done)
            && (done > 0 || total.is_some_and(|total| total > 0))
        {
            counts.push((unit, done, total.filter(|total| *total > 0)));
        }
    }
    // What is being waited for says more than what was scanned before.
    if name.starts_with("waiting") {
        counts.sort_by_key(|(unit, ..)| unit != "lockers");
    }
    let view: String = row.try_get(0)?;
    Ok(Phase { place: place(&view, &name), view, name, counts, locker: row.try_get(2)? })
}

/// Which phase of how many, where the order is known.
fn place(view: &str, name: &str) -> Option<(u8, u8)> {
    if view != "pg_stat_progress_create_index" {
        return None;
    }
    let whole = u8::try_from(BUILD.len()).ok()?;
    let at = BUILD.iter().position(|known| name.starts_with(known))?;
    Some((u8::try_from(at).ok()? + 1, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_knows_its_place() {
        let of = |name| place("pg_stat_progress_create_index", name);
        assert_eq!(of("building index: scanning table"), Some((3, 8)));
        assert_eq!(of("waiting for old snapshots"), Some((8, 8)));
        assert_eq!(of("a phase of a later server"), None);
        assert_eq!(place("pg_stat_progress_vacuum", "initializing"), None);
    }
}
