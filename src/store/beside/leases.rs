//! Who does what: the leases on the workers, in wall time, for they are about processes and not about the run.
//!
//! It guarantees that of several cockpits one at a time has a worker, and that a worker whose cockpit is silent is free again after
//! [`LEASE`].

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;

use super::Beside;
use crate::run::WorkerId;
use crate::store::StoreError;

/// How long a lease holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(5);

impl Beside {
    /// Takes the lease on a worker. Returns whether `cockpit` has it now.
    pub async fn lease(&self, worker: WorkerId, cockpit: &str) -> Result<bool, StoreError> {
        let now = self.wall.now();
        let until = now + TimeDelta::from_std(LEASE).unwrap_or_default();
        let done = sqlx::query(
            "insert into lease (worker, cockpit, until) values (?1, ?2, ?3)
             on conflict (worker) do update set cockpit = ?2, until = ?3
             where lease.cockpit = ?2 or lease.until < ?4",
        )
        .bind(worker.word())
        .bind(cockpit)
        .bind(until.timestamp_micros())
        .bind(now.timestamp_micros())
        .execute(&mut *self.connection.lock().await)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(done.rows_affected() == 1)
    }

    /// Renews the leases on those workers, as many of them as `cockpit` still has; says which these are.
    pub async fn renew(
        &self,
        workers: &BTreeSet<WorkerId>,
        cockpit: &str,
    ) -> Result<BTreeSet<WorkerId>, StoreError> {
        let until = self.wall.now() + TimeDelta::from_std(LEASE).unwrap_or_default();
        let words: Vec<&str> = workers.iter().map(|worker| worker.word()).collect();
        let had: Vec<String> = sqlx::query_scalar(
            "update lease set until = ?1 where cockpit = ?2 and worker in (select value from json_each(?3))
             returning worker",
        )
        .bind(until.timestamp_micros())
        .bind(cockpit)
        .bind(sqlx::types::Json(words))
        .fetch_all(&mut *self.connection.lock().await)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(workers.iter().copied().filter(|worker| had.iter().any(|word| word == worker.word())).collect())
    }
}
