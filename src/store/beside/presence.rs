//! Who is here, in wall time: each cockpit says so every few seconds, and counts as gone after some silence.
//!
//! It guarantees that whoever is silent goes without a reading of the file, so that nobody polls it for that.

use std::sync::{Arc, PoisonError};

use chrono::TimeDelta;
use sqlx::SqliteConnection;

use super::Beside;
use crate::run::live::Presence;
use crate::store::StoreError;

/// After how long without a word a cockpit counts as gone.
const GONE: TimeDelta = TimeDelta::seconds(10);

impl Beside {
    pub(super) async fn read_presence(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<Presence>, StoreError> {
        let since = (self.wall.now() - GONE).timestamp_micros();
        let rows: Vec<(i64, String)> =
            sqlx::query_as("select seen, body from presence where seen > ?1 order by cockpit")
                .bind(since)
                .fetch_all(connection)
                .await
                .map_err(|error| self.failed(error))?;
        let known = rows.iter().filter_map(|(seen, body)| Some((*seen, serde_json::from_str(body).ok()?)));
        let mut here = self.here();
        *here = known.collect();
        Ok(here.iter().map(|(_, presence): &(i64, Presence)| presence.clone()).collect())
    }

    /// Says that a cockpit is here.
    pub async fn present(&self, presence: &Presence) -> Result<(), StoreError> {
        let now = self.wall.now().timestamp_micros();
        sqlx::query("insert or replace into presence (cockpit, seen, body) values (?1, ?2, ?3)")
            .bind(&*presence.cockpit)
            .bind(now)
            .bind(sqlx::types::Json(presence))
            .execute(&mut *self.connection.lock().await)
            .await
            .map_err(|error| self.failed(error))?;
        let mut here = self.here();
        here.retain(|(_, other)| other.cockpit != presence.cockpit);
        let place = here.partition_point(|(_, other)| other.cockpit < presence.cockpit);
        here.insert(place, (now, presence.clone()));
        let present = here.iter().map(|(_, presence)| presence.clone()).collect();
        drop(here);
        self.show(present);
        Ok(())
    }

    /// Gives every lease of a cockpit back, and says that it left.
    pub async fn leave(&self, cockpit: &str) -> Result<(), StoreError> {
        let mut connection = self.connection.lock().await;
        for sql in ["delete from lease where cockpit = ?1", "delete from presence where cockpit = ?1"] {
            sqlx::query(sql)
                .bind(cockpit)
                .execute(&mut *connection)
                .await
                .map_err(|error| self.failed(error))?;
        }
        drop(connection);
        self.here().retain(|(_, here)| &*here.cockpit != cockpit);
        self.expire();
        Ok(())
    }

    /// Lets go who has been silent for too long, without a reading.
    pub(in crate::store) fn expire(&self) {
        let since = (self.wall.now() - GONE).timestamp_micros();
        let mut here = self.here();
        here.retain(|(seen, _)| *seen > since);
        let present = here.iter().map(|(_, presence)| presence.clone()).collect();
        drop(here);
        self.show(present);
    }

    fn show(&self, present: Vec<Presence>) {
        self.live.send_if_modified(|live| {
            let changed = live.present != present;
            if changed {
                Arc::make_mut(live).present = present;
            }
            changed
        });
    }

    fn here(&self) -> std::sync::MutexGuard<'_, Vec<(i64, Presence)>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
