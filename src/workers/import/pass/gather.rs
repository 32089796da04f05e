//! From Pulse into staging: the list once, what changed meanwhile, and the list again where it came out short.
//!
//! It guarantees that a list which lies about its length comes to an end and is reported, and that a reading which was cut goes on at
//! its place.

use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::super::batch;
use super::super::checkpoint::{Checkpoint, Kind, OVERLAP, Phase};
use super::super::fetch::Reader;
use super::super::stage;
use super::super::trouble::Trouble;
use super::Pass;
use crate::run::Failure;

/// How many times the list is read from the beginning when it came out short.
const READINGS: u32 = 2;
/// Pages in a row that bring nobody new before the list counts as over.
const STALE: u32 = 2;

impl Pass<'_> {
    /// Reads everything from Pulse into staging.
    pub(super) async fn gather(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
    ) -> Result<Option<String>, Trouble> {
        let mut reader = Reader::new(self.kit, self.line, &self.teller)?;
        self.teller.begin(1, "asking Pulse", 0, None);
        let staged = checkpoint.phase == Phase::Merging;
        let total = self
            .line
            .step(1, async {
                if staged {
                    return Ok((None, Some("not needed: everything is staged".to_owned())));
                }
                let total = reader.total().await?;
                Ok((total, total.map(|total| format!("Pulse has {total} profiles"))))
            })
            .await?;
        if self.kind == Kind::Import {
            checkpoint.total = total.or(checkpoint.total);
        }
        self.line.step(2, self.fetch(database, checkpoint, &mut reader)).await?;
        if self.kind == Kind::Import {
            return self.line.step(3, self.sweep(database, checkpoint, &mut reader)).await;
        }
        Ok(None)
    }

    async fn fetch(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
        reader: &mut Reader<'_>,
    ) -> Result<((), Option<String>), Trouble> {
        if checkpoint.phase == Phase::Fetching {
            self.teller.begin(2, "fetching from Pulse", checkpoint.staged, checkpoint.total);
            // What was asked before a crash is asked before anything more is read.
            self.few_enough(database, checkpoint).await?;
            self.read(database, checkpoint, reader).await?;
            let next = if self.kind == Kind::Import { Phase::Sweeping } else { Phase::Merging };
            checkpoint.enter(database, next).await?;
        }
        let note = format!("{} profiles in {} pages", checkpoint.staged, checkpoint.pages);
        Ok(((), Some(note)))
    }

    /// Reads what changed since the import began; and if the list came out short, the whole of it once more.
    async fn sweep(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
        reader: &mut Reader<'_>,
    ) -> Result<(Option<String>, Option<String>), Trouble> {
        let mut remark = None;
        if checkpoint.phase == Phase::Sweeping {
            self.teller.begin(3, "reading what changed meanwhile", checkpoint.staged, checkpoint.total);
            // A sweep has a total of its own: that of the changes.
            let total = checkpoint.total;
            // Cut in a second reading, the place is one of the whole list and none of the sweep's.
            (checkpoint.round, checkpoint.offset) = (checkpoint.round + 1, 0);
            checkpoint.since = Some(checkpoint.started - OVERLAP);
            self.read(database, checkpoint, reader).await?;
            checkpoint.since = None;
            checkpoint.total = reader.total().await?.or(total);
            let mut known = checkpoint.totals().fetched;
            for _ in 1..READINGS {
                if checkpoint.total.is_none_or(|total| known >= total) {
                    break;
                }
                checkpoint.round += 1;
                checkpoint.offset = 0;
                self.read(database, checkpoint, reader).await?;
                known = checkpoint.totals().fetched;
            }
            if let Some(total) = checkpoint.total.filter(|total| *total > known) {
                remark = Some(format!(
                    "Pulse says that it has {total} profiles, and listed {known} however often it was asked"
                ));
            }
            checkpoint.enter(database, Phase::Merging).await?;
        }
        let note = remark.clone().unwrap_or_else(|| format!("{} profiles staged", checkpoint.staged));
        Ok((remark, Some(note)))
    }

    /// Reads a list to its end; fetching, judging and staging overlap.
    async fn read(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
        reader: &mut Reader<'_>,
    ) -> Result<(), Trouble> {
        let ((pages, waiting), (batches, mut arrived)) = (mpsc::channel(3), mpsc::channel(1));
        let fetching = Box::pin(reader.walk(checkpoint.offset, checkpoint.since, pages));
        let reading = (checkpoint.run, checkpoint.round);
        let joining = async {
            batch::join(reading, waiting, batches).await;
            Ok(())
        };
        let staging = async move {
            let (mut stale, mut furthest) = (0, checkpoint.offset);
            let sweeping = checkpoint.since.is_some();
            while let Some(judging) = arrived.recv().await {
                let mut batch = judging.judged().await;
                self.line.edge().await?;
                if sweeping && self.kind == Kind::Import {
                    batch.total = None;
                }
                let (now, pages) = (self.line.clock().now(), batch.pages);
                let fresh = stage::stage(database, checkpoint, batch, now).await?;
                let totals = checkpoint.totals();
                self.teller.done(totals.fetched, checkpoint.total, &totals);
                self.few_enough(database, checkpoint).await?;
                // What is read again on the way back from a shift is known, and is not the list's end.
                let further = checkpoint.offset > furthest;
                furthest = furthest.max(checkpoint.offset);
                stale = match (fresh, further) {
                    (0, true) => stale + pages,
                    (0, false) => stale,
                    _ => 0,
                };
                if stale >= STALE {
                    break; // whatever `has_more` says
                }
                endless(checkpoint, totals.fetched)?;
            }
            Ok(())
        };
        tokio::try_join!(fetching, joining, staging).map(drop)
    }
}

fn endless(checkpoint: &Checkpoint, known: u64) -> Result<(), Trouble> {
    let Some(total) = checkpoint.total.filter(|total| known > 2 * total + 10_000) else { return Ok(()) };
    Err(Trouble::Failed(Failure {
        what: format!("Pulse says that it has {total} profiles, and its list has not ended after {known}"),
        state: "they are staged; no contact was written".into(),
        next: "ask Pulse's side which is right, then run the import again".into(),
    }))
}
