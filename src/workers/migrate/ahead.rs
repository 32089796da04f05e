//! How long what is still to come will take, by what a rehearsal measured and the rows of today's tables. It is a forecast and is
//! called one; a statement that nobody rehearsed has none, and then the whole has none either.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgConnection;

use super::forecast::{Estimate, Forecast};
use super::plan::{Act, Plan};

/// An estimate for each step, where there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ahead {
    steps: Vec<Option<Estimate>>,
}

impl Ahead {
    /// Of a plan, on the tables as they are. Without a rehearsal nothing is looked at.
    pub(crate) async fn of(
        session: &mut PgConnection,
        plan: &Plan<'_>,
        forecast: Option<&Forecast>,
    ) -> Result<Self, sqlx::Error> {
        let Some(forecast) = forecast else { return Ok(Self::default()) };
        let mut tables: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let mut steps = Vec::new();
        for task in &plan.tasks {
            let Act::Run { statement, .. } = task.act else {
                // Checks and the waiting for a person are not forecast, and take none of the server's time to speak of.
                steps.push(Some(Estimate { from_ms: 0.0, to_ms: 0.0 }));
                continue;
            };
            let mut most = 0;
            for need in &statement.shape.needs {
                let rows = if let Some(rows) = tables.get(&need.relation) {
                    *rows
                } else {
                    let rows = rows(session, &need.relation).await?;
                    tables.insert(need.relation.clone(), rows);
                    rows
                };
                most = most.max(rows);
            }
            steps.push(forecast.estimate(&statement.checksum, most));
        }
        Ok(Self { steps })
    }

    /// From and to of one step, in milliseconds.
    pub(crate) fn step(&self, at: usize) -> Option<(f64, f64)> {
        let estimate = self.steps.get(at).copied().flatten()?;
        (estimate.to_ms > 0.0).then_some((estimate.from_ms, estimate.to_ms))
    }

    /// From and to of all that comes after it, in milliseconds; nothing where one of them has no estimate.
    pub(crate) fn after(&self, at: usize) -> Option<(f64, f64)> {
        if self.steps.is_empty() {
            return None;
        }
        self.steps.iter().skip(at + 1).try_fold((0.0, 0.0), |(from, to), estimate| {
            estimate.map(|estimate| (from + estimate.from_ms, to + estimate.to_ms))
        })
    }
}

/// The rows of a table, as the server estimates them; of an index those of its table.
async fn rows(session: &mut PgConnection, relation: &str) -> Result<u64, sqlx::Error> {
    let rows: Option<i64> = sqlx::query_scalar(
        "SELECT greatest(t.reltuples, 0)::bigint FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
         JOIN pg_class t ON t.oid = coalesce(i.indrelid, c.oid) WHERE c.oid = to_regclass($1)",
    )
    .bind(relation)
    .fetch_optional(session)
    .await?;
    Ok(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_has_a_forecast_only_where_each_part_has() {
        let one = |from_ms, to_ms| Some(Estimate { from_ms, to_ms });
        let ahead = Ahead { steps: vec![one(1.0, 2.0), one(0.0, 0.0), one(10.0, 30.0), one(5.0, 6.0)] };
        assert_eq!((ahead.step(0), ahead.step(1)), (Some((1.0, 2.0)), None));
        assert_eq!((ahead.after(0), ahead.after(3)), (Some((15.0, 36.0)), Some((0.0, 0.0))));
        let gap = Ahead { steps: vec![one(1.0, 2.0), None, one(10.0, 30.0)] };
        assert_eq!((gap.after(0), gap.after(1)), (None, Some((10.0, 30.0))));
        assert_eq!(Ahead::default().after(0), None, "nobody rehearsed");
    }
}
