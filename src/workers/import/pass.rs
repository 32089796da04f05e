//! One pass from Pulse to contacts: open the checkpoint, read, sweep, merge, reconcile.
//!
//! It guarantees that a pass which is cut anywhere (a kill, a lost database, an outage) goes on from its checkpoint, that
//! nothing is merged before all of it is staged and few enough were refused, and that a list which lies about its length
//! comes to an end and is reported.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::checkpoint::{self, Checkpoint, Kind, OVERLAP, Phase};
use super::database;
use super::fetch::Reader;
use super::line::Line;
use super::merge;
use super::progress::Teller;
use super::stage::{self, Batch};
use super::trouble::Trouble;
use crate::plan::config::Import;
use crate::run::Failure;
use crate::run::job::ImportTotals;
use crate::workers::Kit;

/// How often a lost database is gone back to, with growing pauses: about two minutes of wall time.
const LOST: u32 = 30;
/// How many pages are merged in one transaction: small enough that the application never waits long for a row.
const PAGES_A_SET: u32 = 5;
/// How many times the list is read from the beginning when it came out short.
const READINGS: u32 = 2;
/// Pages in a row that bring nobody new before the list counts as over.
const STALE: u32 = 2;

/// The steps of an import, in their order.
pub(super) const IMPORT_STEPS: [&str; 6] = [
    "connect to the database",
    "authorise at Pulse",
    "fetch and stage every profile",
    "sweep what changed meanwhile",
    "merge into contacts",
    "reconcile totals",
];
/// The steps of a sync.
pub(super) const SYNC_STEPS: [&str; 4] =
    ["connect to the database", "authorise at Pulse", "fetch and stage what changed", "merge into contacts"];

/// What a pass ended with.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) totals: ImportTotals,
    /// What does not add up, in words.
    pub(super) remark: Option<String>,
}

/// A pass.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    kit: &'a Kit,
    line: Line<'a>,
    kind: Kind,
    teller: Teller<'a>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(kit: &'a Kit, line: Line<'a>, kind: Kind) -> Self {
        Self { kit, line, kind, teller: Teller::new(line) }
    }

    fn config(&self) -> &Import {
        &self.kit.config().import
    }

    /// Runs until it is done, given up, or a person has to look. A database that goes away is waited for.
    pub(super) async fn run(&self) -> Result<Done, Trouble> {
        let mut lost = 0;
        loop {
            let words = match self.once().await {
                Err(Trouble::Lost(words)) => words,
                other => return other,
            };
            lost += 1;
            if lost > LOST {
                return Err(Trouble::Failed(Failure {
                    what: format!("the database is not there, or keeps breaking off: {words}"),
                    state: "every batch that was reported is complete, and nothing is half written".into(),
                    next: "bring the database back, then run it again: it goes on where it was".into(),
                }));
            }
            self.teller.waiting(format!("the database broke off ({words}); trying again, {lost} of {LOST}"));
            tokio::select! {
                // A server comes back in its own time, not in the rehearsal's.
                () = tokio::time::sleep(Duration::from_millis(250) * lost.min(20)) => {}
                () = self.line.given_up() => return Err(Trouble::GivenUp),
            }
        }
    }

    async fn once(&self) -> Result<Done, Trouble> {
        let pulse = self.kit.pulse()?;
        let mut reader = Reader::new(&pulse, self.line, &self.teller, self.config());
        let (mut database, mut checkpoint) = self.line.step(0, self.open()).await?;
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
        let (database, checkpoint) = (&mut database, &mut checkpoint);
        self.line.step(2, self.fetch(database, checkpoint, &mut reader)).await?;
        let mut remark = None;
        if self.kind == Kind::Import {
            remark = self.line.step(3, self.sweep(database, checkpoint, &mut reader)).await?;
        }
        let step = if self.kind == Kind::Import { 4 } else { 3 };
        self.line.step(step, self.merge(step, database, checkpoint)).await?;
        let totals = merge::totals(database, checkpoint).await?;
        if self.kind == Kind::Import {
            self.line.step(5, reconcile(database, checkpoint, &totals)).await?;
        }
        checkpoint.close(database, "done").await?;
        Ok(Done { totals, remark })
    }

    /// Connects, waits until nobody else merges into this database, and finds the checkpoint.
    async fn open(&self) -> Result<((PgConnection, Checkpoint), Option<String>), Trouble> {
        self.teller.begin(0, "connecting to the database", 0, None);
        let mut database = database::connect(&self.kit.database_url()?).await?;
        while !database::alone(&mut database).await? {
            if let Line::Round(_) = self.line {
                return Err(Trouble::GivenUp);
            }
            self.teller.waiting("another import or sync is writing to this database".into());
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = self.line.given_up() => return Err(Trouble::GivenUp),
            }
        }
        let checkpoint = checkpoint::open(&mut database, self.kind, self.line.clock().now()).await?;
        let note = match (checkpoint.phase, checkpoint.pages) {
            (Phase::Fetching, 0) => None,
            (Phase::Fetching, pages) => {
                Some(format!("goes on after {pages} pages, from profile {}", checkpoint.offset))
            }
            (Phase::Sweeping, _) => Some(format!("goes on with {} profiles staged", checkpoint.staged)),
            (Phase::Merging, _) => Some(format!(
                "goes on after {} of {} contacts",
                checkpoint.imported + checkpoint.updated + checkpoint.unchanged,
                checkpoint.staged
            )),
        };
        Ok(((database, checkpoint), note))
    }

    async fn fetch(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
        reader: &mut Reader<'_>,
    ) -> Result<((), Option<String>), Trouble> {
        if checkpoint.phase == Phase::Fetching {
            self.teller.begin(2, "fetching from Pulse", checkpoint.staged, checkpoint.total);
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
            let mut known = merge::totals(database, checkpoint).await?.fetched;
            for _ in 1..READINGS {
                if checkpoint.total.is_none_or(|total| known >= total) {
                    break;
                }
                checkpoint.round += 1;
                checkpoint.offset = 0;
                self.read(database, checkpoint, reader).await?;
                known = merge::totals(database, checkpoint).await?.fetched;
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

    /// Reads a list to its end; fetching and staging overlap, with two pages between them at most.
    async fn read(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
        reader: &mut Reader<'_>,
    ) -> Result<(), Trouble> {
        let (pages, mut arrived) = mpsc::channel::<Batch>(2);
        let fetching = reader.walk(checkpoint.offset, checkpoint.since, pages);
        let staging = async move {
            let mut stale = 0;
            let sweeping = checkpoint.since.is_some();
            while let Some(mut batch) = arrived.recv().await {
                self.line.edge().await?;
                if sweeping && self.kind == Kind::Import {
                    batch.total = None;
                }
                let now = self.line.clock().now();
                let fresh = stage::stage(database, checkpoint, batch, now).await?;
                let totals = merge::totals(database, checkpoint).await?;
                self.teller.done(totals.fetched, checkpoint.total, &totals);
                self.few_enough(database, checkpoint, &totals).await?;
                stale = if fresh == 0 { stale + 1 } else { 0 };
                if stale >= STALE {
                    break; // whatever `has_more` says
                }
                endless(checkpoint, totals.fetched)?;
            }
            Ok(())
        };
        tokio::try_join!(fetching, staging).map(drop)
    }

    /// Stops before anything is written when too many profiles were refused.
    async fn few_enough(
        &self,
        database: &mut PgConnection,
        checkpoint: &Checkpoint,
        totals: &ImportTotals,
    ) -> Result<(), Trouble> {
        let share = self.config().quarantine_share;
        let all = totals.total.max(totals.fetched);
        if self.kind == Kind::Sync || totals.quarantined as f64 <= share * all as f64 {
            return Ok(());
        }
        checkpoint.close(database, "stopped").await?;
        let why: Vec<String> =
            totals.reasons.iter().take(3).map(|(reason, n)| format!("{n} times \"{reason}\"")).collect();
        Err(Trouble::Failed(Failure {
            what: format!(
                "{} of {all} profiles cannot be imported, which is above the share of {:.1} % that is allowed: {}",
                totals.quarantined,
                share * 100.0,
                why.join(", ")
            ),
            state: "no contact was written; the refused records are in gonogo.import_rejects".into(),
            next: "have them mended at Pulse, or decide to go on without them by a higher quarantine_share, and run the \
                   import again"
                .into(),
        }))
    }

    async fn merge(
        &self,
        step: u32,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
    ) -> Result<((), Option<String>), Trouble> {
        self.teller.begin(step, "merging into contacts", 0, Some(checkpoint.staged));
        let set = i64::from(self.config().page_size.saturating_mul(PAGES_A_SET));
        merge::merge(database, checkpoint, self.line, &self.teller, set).await?;
        let note = format!(
            "{} new, {} updated, {} unchanged",
            checkpoint.imported, checkpoint.updated, checkpoint.unchanged
        );
        Ok(((), Some(note)))
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

/// Every profile that was read must be a mapped contact, a reject or a conflict.
async fn reconcile(
    database: &mut PgConnection,
    checkpoint: &Checkpoint,
    totals: &ImportTotals,
) -> Result<((), Option<String>), Trouble> {
    let mapped: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM gonogo.pulse_staging s \
         JOIN public.entity_mappings m ON m.entity_type = 'contact' AND m.pulse_id = s.pulse_id \
         JOIN public.contacts c ON c.id = m.logos_id AND c.pulse_profile_id = s.pulse_id \
         WHERE s.run = $1 AND s.verdict <> 'conflict'",
    )
    .bind(checkpoint.run)
    .fetch_one(database)
    .await?;
    let accounted = mapped.unsigned_abs() + totals.quarantined + totals.conflicts;
    if accounted == totals.fetched {
        let note = format!(
            "{} read = {mapped} contacts + {} set aside + {} conflicts",
            totals.fetched, totals.quarantined, totals.conflicts
        );
        return Ok(((), Some(note)));
    }
    Err(Trouble::Failed(Failure {
        what: format!("{} profiles were read, and {accounted} are accounted for", totals.fetched),
        state: "what was merged is complete; something else may have changed contacts or mappings meanwhile"
            .into(),
        next: "run the import again: it writes only what differs".into(),
    }))
}
