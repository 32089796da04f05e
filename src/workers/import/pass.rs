//! One pass from Pulse to contacts: open the checkpoint, read, sweep, merge, reconcile.
//!
//! It guarantees that a pass which is cut anywhere (a kill, a lost database, an outage) goes on from its checkpoint, that
//! nothing is merged before all of it is staged, and that a dry run takes the same road and writes nothing. What is read is
//! `gather`'s, and when a person is asked is `enough`'s.

mod enough;
mod gather;

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::batch::Batch;
use super::brake::{Brake, Limits};
use super::checkpoint::{self, Checkpoint, Effect, Kind, Phase};
use super::line::Line;
use super::progress::Teller;
use super::stage;
use super::trouble::Trouble;
use super::{again, database, foresee, merge, plan};
use crate::plan::config::Import;
use crate::run::Failure;
use crate::run::job::ImportTotals;
use crate::workers::Kit;

/// How often a lost database is gone back to, with growing pauses: about two minutes of wall time.
const LOST: u32 = 30;
/// How many pages are merged in one transaction: small enough that the application never waits long for a row.
const PAGES_A_SET: u32 = 5;
/// How many connections merge at once: one computes while the other waits for the disk. More would hold the application up.
const LANES: usize = 2;
/// The steps of an import, in their order.
const IMPORT_STEPS: &[&str] = &[
    "connect to the database",
    "authorise at Pulse",
    "fetch and stage every profile",
    "sweep what changed meanwhile",
    "merge into contacts",
    "reconcile totals",
];
/// The steps of a sync.
const SYNC_STEPS: &[&str] =
    &["connect to the database", "authorise at Pulse", "fetch and stage what changed", "merge into contacts"];
/// The steps of another look at what was set aside.
const RETRY_STEPS: &[&str] =
    &["connect to the database", "judge again what was set aside", "merge into contacts"];

/// The steps of a pass, in their order.
pub(super) const fn steps(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Import => IMPORT_STEPS,
        Kind::Sync => SYNC_STEPS,
        Kind::Retry => RETRY_STEPS,
    }
}

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
    effect: Effect,
    /// The share that may be set aside, where it was said beforehand.
    allow: Option<f64>,
    teller: Teller<'a>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(kit: &'a Kit, line: Line<'a>, kind: Kind) -> Self {
        Self { kit, line, kind, effect: Effect::Written, allow: None, teller: Teller::new(line) }
    }

    /// The same pass without effect.
    pub(super) fn dry(self) -> Self {
        Self { effect: Effect::Dry, ..self }
    }

    /// The same pass, with a share of profiles (0 to 1) that may be set aside without asking.
    pub(super) fn allowing(self, share: Option<f64>) -> Self {
        Self { allow: share, ..self }
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
        let (mut database, mut checkpoint) = self.line.step(0, self.open()).await?;
        let mut remark = None;
        if self.kind == Kind::Retry {
            self.line.step(1, self.judge_again(&mut database, &mut checkpoint)).await?;
        } else {
            remark = self.gather(&mut database, &mut checkpoint).await?;
        }
        let step = merging(self.kind);
        if self.effect == Effect::Dry {
            self.line.step(step, self.foresee(&mut database, &mut checkpoint)).await?;
            return Ok(Done { totals: checkpoint.totals(), remark });
        }
        let mut database = self.line.step(step, self.merge(step, database, &mut checkpoint)).await?;
        if self.kind == Kind::Import {
            self.line.step(5, reconcile(&mut database, &checkpoint)).await?;
        }
        checkpoint.close(&mut database).await?;
        Ok(Done { totals: checkpoint.totals(), remark })
    }

    /// Connects, waits until nobody else merges into this database, and finds the checkpoint.
    async fn open(&self) -> Result<((PgConnection, Checkpoint), Option<String>), Trouble> {
        self.teller.begin(0, "connecting to the database", 0, None);
        let mut database = database::connect(&self.kit.database_url()?).await?;
        while self.effect == Effect::Written && !database::alone(&mut database).await? {
            if let Line::Round(_) = self.line {
                return Err(Trouble::GivenUp);
            }
            self.teller.waiting("another import or sync is writing to this database".into());
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = self.line.given_up() => return Err(Trouble::GivenUp),
            }
        }
        let now = self.line.clock().now();
        let mut checkpoint = checkpoint::open(&mut database, self.kind, self.effect, now).await?;
        if self.allow.is_some() {
            checkpoint.allowed = self.allow;
        }
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

    /// Looks again at what was set aside, as if it came just now.
    async fn judge_again(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
    ) -> Result<((), Option<String>), Trouble> {
        self.teller.begin(1, "judging again what was set aside", 0, None);
        let mut after = String::new();
        while let Some((items, last)) = again::page(database, &after).await? {
            self.line.edge().await?;
            let batch = Batch { items, total: None, next: 0, pages: 1 };
            let batch = batch.judging((checkpoint.run, checkpoint.round)).judged().await;
            stage::stage(database, checkpoint, batch, self.line.clock().now()).await?;
            let totals = checkpoint.totals();
            self.teller.done(totals.fetched, None, &totals);
            after = last;
        }
        let totals = checkpoint.totals();
        Ok(((), Some(format!("{} of {} fit now", checkpoint.staged, totals.fetched))))
    }

    async fn merge(
        &self,
        step: u32,
        mut database: PgConnection,
        checkpoint: &mut Checkpoint,
    ) -> Result<(PgConnection, Option<String>), Trouble> {
        let brake = Brake::watch(self.kit.database_url()?, Limits::of(self.config()));
        loop {
            self.few_enough(&mut database, checkpoint).await?;
            self.teller.begin(step, "merging into contacts", 0, Some(checkpoint.staged));
            self.teller.waiting("matching profiles with contacts".into());
            let size = self.config().page_size.saturating_mul(PAGES_A_SET);
            let ranges = plan::plan(&mut database, checkpoint, size).await?;
            if ranges.is_empty() {
                break;
            }
            let wanted = LANES.min(ranges.len());
            let mut lanes = vec![database];
            while lanes.len() < wanted {
                // A server without room for another connection is merged into by one.
                let Ok(lane) = database::lane(&self.kit.database_url()?).await else { break };
                lanes.push(lane);
            }
            let most = self.most(checkpoint);
            merge::merge(&mut lanes, checkpoint, ranges, self.line, &self.teller, &brake, most).await?;
            database = lanes.swap_remove(0);
            if checkpoint.aside.quarantined <= most {
                break;
            }
        }
        let totals = checkpoint.totals();
        self.teller.done(checkpoint.staged, Some(checkpoint.staged), &totals);
        let both =
            if totals.both > 0 { format!(" ({} changed on both sides)", totals.both) } else { String::new() };
        let note = format!(
            "{} new, {} updated{both}, {} unchanged",
            totals.imported, totals.updated, totals.unchanged
        );
        Ok((database, Some(note)))
    }

    /// Says what the merge would do.
    async fn foresee(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
    ) -> Result<((), Option<String>), Trouble> {
        self.teller.begin(merging(self.kind), "matching profiles with contacts", 0, Some(checkpoint.staged));
        let ranges = plan::plan(database, checkpoint, foresee::ROWS).await?;
        self.teller.begin(merging(self.kind), "trying what would be written", 0, None);
        foresee::try_all(database, checkpoint, ranges, self.line, &self.teller).await?;
        let [new, updated, both] = plan::foreseen(database).await?;
        (checkpoint.imported, checkpoint.updated, checkpoint.both) = (new, updated, both);
        checkpoint.aside.doubts = plan::doubts(database).await?;
        checkpoint.aside.conflicts = checkpoint.aside.doubts.iter().map(|(_, n)| n).sum();
        let note = "every row was tried in a table of this session's own; nothing was written: this session could not";
        Ok(((), Some(note.into())))
    }
}

/// The place of the step that merges.
const fn merging(kind: Kind) -> u32 {
    match kind {
        Kind::Import => 4,
        Kind::Sync => 3,
        Kind::Retry => 2,
    }
}

/// Every profile that was read must be a mapped contact, a reject or a conflict.
async fn reconcile(
    database: &mut PgConnection,
    checkpoint: &Checkpoint,
) -> Result<((), Option<String>), Trouble> {
    let totals = checkpoint.totals();
    let mut transaction = database.begin().await?;
    // Of a join over two columns a planner expects a row or two, and would look everybody up one by one.
    sqlx::raw_sql("SET LOCAL enable_nestloop = off").execute(&mut *transaction).await?;
    let mapped: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pulse_staging s \
         JOIN public.entity_mappings m ON m.entity_type = 'contact' AND m.pulse_id = s.pulse_id \
         JOIN public.contacts c ON c.id = m.logos_id AND c.pulse_profile_id = s.pulse_id \
         WHERE s.run = $1 AND NOT EXISTS (SELECT FROM import_conflicts f WHERE f.pulse_id = s.pulse_id AND f.run = $1)",
    )
    .bind(checkpoint.run)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
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
