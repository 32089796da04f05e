//! A page between Pulse and staging: first as it came, then judged profile by profile.
//!
//! It guarantees that each profile is in a judged page once, as it was read last, and that judging keeps nobody waiting: not the
//! next request, and not the database.

use std::collections::HashSet;

use super::profile::{self, Reject, Row};
use crate::services::pulse::{BadProfile, Profile};

/// A page as it came.
#[derive(Debug)]
pub(super) struct Batch {
    /// The profiles.
    pub(super) items: Vec<Result<Profile, BadProfile>>,
    /// What Pulse says there are.
    pub(super) total: Option<u64>,
    /// From where the next page is to be read.
    pub(super) next: u64,
}

/// A page of which is known what fits.
#[derive(Debug)]
pub(super) struct Judged {
    /// What fits.
    pub(super) rows: Vec<Row>,
    /// What does not.
    pub(super) rejects: Vec<Reject>,
    /// What Pulse says there are.
    pub(super) total: Option<u64>,
    /// From where the next page is to be read.
    pub(super) next: u64,
}

impl Batch {
    /// Judges every profile, on a thread where it may take its time.
    pub(super) async fn judged(self) -> Judged {
        match tokio::task::spawn_blocking(move || self.judge()).await {
            Ok(judged) => judged,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and whoever waits for this with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    fn judge(self) -> Judged {
        let Self { items, total, next } = self;
        let (mut rows, mut rejects) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match profile::read(item) {
                Ok(row) => rows.push(row),
                Err(reject) => rejects.push(reject),
            }
        }
        Judged { rows: latest(rows), rejects, total, next }
    }
}

fn latest(rows: Vec<Row>) -> Vec<Row> {
    let mut met = HashSet::with_capacity(rows.len());
    let mut kept: Vec<Row> = rows.into_iter().rev().filter(|row| met.insert(row.pulse_id.clone())).collect();
    kept.reverse();
    kept
}
