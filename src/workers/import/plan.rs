//! What is to become of every staged profile, decided by the database in one statement, as ranges of numbers to merge.
//!
//! It guarantees that what is merged already is decided no more, that a profile which makes no difference is counted and not
//! touched, and that a dry run decides by the same statement. The rules are in `sql/resolve.sql`.

use std::collections::VecDeque;

use sqlx::{Connection, PgConnection};

use super::checkpoint::{Checkpoint, bigint};

/// Numbers of the plan, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Range {
    /// How many numbers it holds.
    pub(super) const fn len(self) -> u64 {
        (self.last - self.first + 1).unsigned_abs()
    }

    /// Both halves; none of a single number.
    pub(super) const fn halves(self) -> Option<[Self; 2]> {
        if self.first >= self.last {
            return None;
        }
        let middle = self.first + (self.last - self.first) / 2;
        Some([Self { first: self.first, last: middle }, Self { first: middle + 1, last: self.last }])
    }

    /// Ranges of at most `size` numbers, from after `from` to `to`.
    fn cut(from: i64, to: i64, size: u32) -> VecDeque<Self> {
        let size = i64::from(size.max(1));
        let starts = std::iter::successors(Some(from + 1), |first| first.checked_add(size));
        starts
            .take_while(|first| *first <= to)
            .map(|first| Self { first, last: to.min(first + size - 1) })
            .collect()
    }
}

/// Decides, and says what is left to merge in ranges of `size`.
pub(super) async fn plan(
    database: &mut PgConnection,
    checkpoint: &mut Checkpoint,
    size: u32,
) -> Result<VecDeque<Range>, sqlx::Error> {
    sqlx::raw_sql("ANALYZE pulse_staging (pulse_id, email_key)").execute(&mut *database).await?;
    let mut next = checkpoint.clone();
    let mut transaction = database.begin().await?;
    // Sorts and joins of everybody in memory; for this one statement.
    sqlx::raw_sql("SET LOCAL work_mem = '64MB'").execute(&mut *transaction).await?;
    sqlx::query(
        "DELETE FROM pulse_plan p WHERE NOT EXISTS \
         (SELECT FROM import_batches b WHERE b.run = $1 AND p.n BETWEEN b.first_n AND b.last_n)",
    )
    .bind(next.run)
    .execute(&mut *transaction)
    .await?;
    let floor: i64 =
        sqlx::query_scalar("SELECT coalesce(max(n), 0) FROM pulse_plan").fetch_one(&mut *transaction).await?;
    let planned = sqlx::query(include_str!("sql/resolve.sql"))
        .bind(floor)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    // What is not in doubt any more: the profile has its contact.
    sqlx::query(
        "DELETE FROM import_conflicts f USING pulse_staging s WHERE f.pulse_id = s.pulse_id AND NOT EXISTS \
         (SELECT FROM pulse_plan p WHERE p.pulse_id = f.pulse_id AND p.verdict = 'conflict')",
    )
    .execute(&mut *transaction)
    .await?;
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM pulse_plan").fetch_one(&mut *transaction).await?;
    next.unchanged = next.staged.saturating_sub(all.unsigned_abs());
    next.save(&mut transaction).await?;
    transaction.commit().await?;
    sqlx::raw_sql("ANALYZE pulse_plan (n, verdict, contact_id, pulse_id)").execute(&mut *database).await?;
    *checkpoint = next;
    Ok(Range::cut(floor, floor + bigint(planned), size))
}

/// How many would be new, how many updated, and of the updated those that changed on both sides.
pub(super) async fn foreseen(database: &mut PgConnection) -> Result<[u64; 3], sqlx::Error> {
    let (new, updated, both): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE verdict = 'insert'), count(*) FILTER (WHERE verdict = 'update'), \
         count(*) FILTER (WHERE verdict = 'update' AND both_changed) FROM pulse_plan",
    )
    .fetch_one(database)
    .await?;
    Ok([new, updated, both].map(i64::unsigned_abs))
}

/// Why a person would have to decide, most frequent first.
pub(super) async fn doubts(database: &mut PgConnection) -> Result<Vec<(String, u64)>, sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT reason, count(*) FROM pulse_plan WHERE verdict = 'conflict' GROUP BY reason ORDER BY 2 DESC, 1",
    )
    .fetch_all(database)
    .await?;
    Ok(rows.into_iter().map(|(reason, n)| (reason, n.unsigned_abs())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_number_once_and_halve_down_to_one() {
        let ranges = Range::cut(7, 30, 10);
        let pairs: Vec<_> = ranges.iter().map(|range| (range.first, range.last)).collect();
        assert_eq!(pairs, [(8, 17), (18, 27), (28, 30)]);
        assert_eq!(ranges.iter().map(|range| range.len()).sum::<u64>(), 23);
        assert!(Range::cut(7, 7, 10).is_empty());
        let [one, other] = Range { first: 28, last: 30 }.halves().unwrap();
        assert_eq!(((one.first, one.last), (other.first, other.last)), ((28, 29), (30, 30)));
        assert_eq!(other.halves(), None);
    }
}
