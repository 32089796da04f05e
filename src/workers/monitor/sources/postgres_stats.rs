//! Query times as the server counted them, from `pg_stat_statements`: what each statement took on average between two looks,
//! weighed by how often it ran.
//!
//! The extension keeps no distribution, so this is the 95th percentile of calls by their statement's mean: it finds the slow
//! statement, not the slow outlier. Statistics that were reset in between are counted from the reset on.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgConnection;

/// Statements of this database by all others than our own sessions' kinds: reads of the catalogue and of statistics are ours.
const LOOK: &str = "SELECT queryid, sum(calls)::bigint, sum(total_exec_time)::float8 FROM pg_stat_statements s \
    JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
    WHERE d.datname = current_database() AND queryid IS NOT NULL AND query !~* 'pg_stat_statements|pg_catalog' \
    AND query ~* '^\\s*(select|insert|update|delete|with|merge)' GROUP BY queryid";

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    calls: i64,
    millis: f64,
}

/// What was counted at the last look, and the calls since, by when they were seen.
#[derive(Debug, Default)]
pub(super) struct Stats {
    last: Option<HashMap<i64, Counted>>,
    seen: VecDeque<(DateTime<Utc>, f64, u64)>,
}

impl Stats {
    /// The statistics, if the server keeps them and lets us read them.
    pub(super) async fn find(connection: &mut PgConnection) -> Result<Option<Self>, sqlx::Error> {
        let there: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements')",
        )
        .fetch_one(&mut *connection)
        .await?;
        if !there {
            return Ok(None);
        }
        match sqlx::query(LOOK).fetch_all(connection).await {
            Ok(_) => Ok(Some(Self::default())),
            // Installed, and not loaded by the server or not for us to read: the canary does instead.
            Err(sqlx::Error::Database(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The 95th percentile in ms and the number of calls since `from`; none without calls.
    pub(super) async fn look(
        &mut self,
        connection: &mut PgConnection,
        from: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<(f64, u64)>, sqlx::Error> {
        let mut counted = HashMap::new();
        for row in sqlx::query(LOOK).fetch_all(connection).await? {
            counted.insert(row.try_get(0)?, Counted { calls: row.try_get(1)?, millis: row.try_get(2)? });
        }
        Ok(self.add(counted, from, now))
    }

    fn add(
        &mut self,
        counted: HashMap<i64, Counted>,
        from: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<(f64, u64)> {
        if let Some(last) = &self.last {
            for (id, new) in &counted {
                let old = last.get(id).copied().filter(|old| old.calls <= new.calls).unwrap_or_default();
                let calls = u64::try_from(new.calls - old.calls).unwrap_or_default();
                if calls > 0 {
                    self.seen.push_back((now, (new.millis - old.millis).max(0.0) / calls as f64, calls));
                }
            }
        }
        self.last = Some(counted);
        self.seen.retain(|(at, _, _)| *at >= from);
        let mut means: Vec<(f64, u64)> = self.seen.iter().map(|(_, mean, calls)| (*mean, *calls)).collect();
        means.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all: u64 = means.iter().map(|(_, calls)| calls).sum();
        let mut below = 0;
        let p95 = means.iter().find(|(_, calls)| {
            below += calls;
            below * 100 >= all * 95
        });
        p95.map(|(mean, _)| (*mean, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_between_two_looks_weigh_by_their_number_and_a_reset_is_borne() {
        let at = |minute: i64| DateTime::from_timestamp(1_790_000_000 + minute * 60, 0).unwrap();
        let of = |rows: &[(i64, i64, f64)]| {
            rows.iter().map(|&(id, calls, millis)| (id, Counted { calls, millis })).collect::<HashMap<_, _>>()
        };
        let mut stats = Stats::default();
        assert_eq!(stats.add(of(&[(1, 1_000, 9_000.0)]), at(-5), at(0)), None, "the past is not the window");
        assert_eq!(stats.add(of(&[(1, 1_096, 9_096.0), (2, 4, 4_000.0)]), at(-4), at(1)), Some((1.0, 100)));
        assert_eq!(
            stats.add(of(&[(1, 1_096, 9_096.0), (2, 14, 14_000.0)]), at(-3), at(2)),
            Some((1_000.0, 110))
        );
        assert_eq!(stats.add(of(&[(1, 10, 20.0)]), at(2), at(7)), Some((1_000.0, 20)), "a reset");
        assert_eq!(stats.add(of(&[(1, 10, 20.0)]), at(8), at(13)), None);
    }
}
