//! Pages between Pulse and staging: first as they came, then joined and judged profile by profile.
//!
//! It guarantees that each profile is in a judged batch once, as it was read last, and that judging keeps nobody waiting: not the
//! next request, and not the database.

use std::collections::HashSet;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::profile::{self, Reject};
use crate::services::pulse::{BadProfile, Profile};

/// Pages that came before the database was ready for them are staged together, so many at most.
const TOGETHER: u32 = 5;

/// A page as it came, or a few that follow each other.
#[derive(Debug)]
pub(super) struct Batch {
    /// The profiles.
    pub(super) items: Vec<Result<Profile, BadProfile>>,
    /// What Pulse says there are.
    pub(super) total: Option<u64>,
    /// From where the next page is to be read.
    pub(super) next: u64,
    /// How many pages they are.
    pub(super) pages: u32,
}

/// The reading that a page belongs to: the pass, and which of its readings.
pub(super) type Reading = (Uuid, i32);

/// A batch that is being judged.
#[derive(Debug)]
pub(super) struct Judging(JoinHandle<Judged>);

/// A batch of which is known what fits.
#[derive(Debug)]
pub(super) struct Judged {
    /// The ids of those that fit.
    pub(super) ids: Vec<String>,
    /// Those that fit, as CSV in the order of [`profile::COLUMNS`].
    pub(super) lines: String,
    /// What does not.
    pub(super) rejects: Vec<Reject>,
    /// What Pulse says there are.
    pub(super) total: Option<u64>,
    /// From where the next page is to be read.
    pub(super) next: u64,
    /// How many pages they are.
    pub(super) pages: u32,
}

/// Joins pages that wait for the database, and has them judged while it is busy. Each batch is a COPY of its own, and it is the
/// number of those that takes the time: after each, the last word to the server waits for its acknowledgement.
pub(super) async fn join(reading: Reading, mut pages: mpsc::Receiver<Batch>, batches: mpsc::Sender<Judging>) {
    while let Some(mut batch) = pages.recv().await {
        // A place to put it first: what comes until there is one goes with it.
        let Ok(place) = batches.reserve().await else { return };
        while batch.pages < TOGETHER
            && let Ok(page) = pages.try_recv()
        {
            batch.extend(page);
        }
        place.send(batch.judging(reading));
    }
}

impl Batch {
    fn extend(&mut self, later: Self) {
        self.items.extend(later.items);
        self.total = later.total.or(self.total);
        self.next = later.next;
        self.pages += later.pages;
    }

    /// Begins to judge every profile, on a thread where that may take its time.
    pub(super) fn judging(self, reading: Reading) -> Judging {
        Judging(tokio::task::spawn_blocking(move || self.judge(reading)))
    }

    fn judge(self, (run, round): Reading) -> Judged {
        let Self { items, total, next, pages } = self;
        let mut met = HashSet::with_capacity(items.len());
        let (mut rows, mut rejects) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items.into_iter().rev() {
            match profile::read(item) {
                Ok(row) => rows.extend(met.insert(row.pulse_id.clone()).then_some(row)),
                Err(reject) => rejects.extend(met.insert(reject.key.clone()).then_some(reject)),
            }
        }
        rows.reverse();
        rejects.reverse();
        let mut lines = String::with_capacity(rows.len() * 400);
        for row in &rows {
            row.write(run, round, &mut lines);
        }
        let ids = rows.into_iter().map(|row| row.pulse_id).collect();
        Judged { ids, lines, rejects, total, next, pages }
    }
}

impl Judging {
    /// The batch, once it is judged.
    pub(super) async fn judged(self) -> Judged {
        match self.0.await {
            Ok(judged) => judged,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and whoever waits for this with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::pulse;

    fn page(profiles: &[(&str, &str)], next: u64) -> Batch {
        let raw = |(id, score): &(&str, &str)| {
            format!("{{\"id\": \"{id}\", \"display_name\": \"x\", \"relationship_score\": {score}}}")
        };
        let items = profiles.iter().map(|profile| pulse::profile(&raw(profile))).collect();
        Batch { items, total: None, next, pages: 1 }
    }

    #[test]
    fn of_two_readings_of_a_profile_the_later_one_counts_whether_it_fits_or_not() {
        let mut batch = page(&[("mended", "900"), ("same", "1"), ("broken", "1")], 3);
        batch.extend(page(&[("broken", "900"), ("mended", "1")], 5));
        assert_eq!((batch.next, batch.pages), (5, 2));
        let judged = batch.judge((Uuid::nil(), 1));
        assert_eq!(judged.ids, ["same", "mended"]);
        assert_eq!(judged.lines.lines().count(), 2);
        assert_eq!(judged.rejects.iter().map(|reject| reject.key.as_str()).collect::<Vec<_>>(), ["broken"]);
    }

    #[tokio::test]
    async fn pages_that_wait_for_the_database_go_together_and_none_waits_for_another() {
        let (pages, waiting) = mpsc::channel(16);
        let (batches, mut ready) = mpsc::channel(1);
        for at in 0..8 {
            pages.try_send(page(&[(&format!("{at}"), "1")], at + 1)).unwrap();
        }
        let joining = tokio::spawn(join((Uuid::nil(), 1), waiting, batches));
        let mut sizes = Vec::new();
        let mut next = 0;
        while sizes.iter().sum::<u32>() < 8 {
            let judged = ready.recv().await.unwrap().judged().await;
            sizes.push(judged.pages);
            assert_eq!(
                (judged.ids.len() as u64, judged.next - next),
                (u64::from(judged.pages), u64::from(judged.pages))
            );
            next = judged.next;
        }
        assert!(sizes.iter().all(|pages| *pages <= TOGETHER) && sizes.len() < 8, "{sizes:?}");
        drop(pages);
        assert!(ready.recv().await.is_none());
        joining.await.unwrap();
    }
}
