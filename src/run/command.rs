//! What people and workers ask for. A command is a wish; `decide` makes events of it, or says why not.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::event::{Ending, Mode, NoteKind};
use super::job::{JobId, JobKind, Outcome, Question, StepOutcome, StepPlan};
use super::judge::Verdict;
use super::steer::Steer;
use super::upkeep::Upkeep;
use crate::plan::{GateId, ItemId, MetricId, PhaseId, Plan};

/// A wish.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Begin the run.
    Open {
        /// The plan.
        plan: Arc<Plan>,
        /// Whether it is the day itself.
        mode: Mode,
    },
    /// Take the plan as it was read again.
    Replan {
        /// The plan.
        plan: Arc<Plan>,
    },
    /// Say who sits in this cockpit.
    Join,
    /// Begin a phase.
    StartPhase(PhaseId),
    /// Call GO for a phase.
    Go(PhaseId),
    /// Call NO-GO for a phase.
    NoGo {
        /// The phase.
        phase: PhaseId,
        /// Why.
        reason: String,
    },
    /// An item is done.
    Tick {
        /// The item.
        item: ItemId,
        /// Its value, where it asks for one.
        value: Option<String>,
    },
    /// An item will not be done.
    Skip {
        /// The item.
        item: ItemId,
        /// Why.
        reason: String,
    },
    /// An item did not succeed.
    Fail {
        /// The item.
        item: ItemId,
        /// What failed.
        reason: String,
    },
    /// An item counts as not done again.
    Reopen {
        /// The item.
        item: ItemId,
        /// Why.
        reason: String,
    },
    /// Write something down.
    Note {
        /// The item it belongs to, if to one.
        item: Option<ItemId>,
        /// What it is.
        kind: NoteKind,
        /// The words.
        text: String,
    },
    /// Put one's name to a gate.
    Sign(GateId),
    /// Let the machine do what the item says (its action, or its check).
    Run(ItemId),
    /// Ask for work without an item.
    Request(JobKind),
    /// Stop a job at the next edge.
    Pause(JobId),
    /// Let it go on.
    Resume(JobId),
    /// Give it up.
    Cancel(JobId),
    /// Switch standing work off.
    Hold {
        /// Which.
        what: Upkeep,
        /// Why.
        why: String,
    },
    /// Switch it on again.
    Release(Upkeep),
    /// Let the import work this share of the time, in percent.
    Pace(u8),
    /// Go on with mock data in the place of Pulse's.
    Mock {
        /// Why.
        why: String,
    },
    /// Say how it is to go on.
    Steer {
        /// The job.
        job: JobId,
        /// What is wished.
        steer: Steer,
    },
    /// Decide that a job which asks goes on.
    GoOn {
        /// The job.
        job: JobId,
        /// Why.
        reason: String,
    },
    /// Open the guard over the emergency key.
    Arm,
    /// Close it.
    Disarm,
    /// Take a rung of the ladder.
    Rollback {
        /// Its place in the ladder.
        rung: u8,
        /// What was typed, where the rung loses data: the database's name.
        confirmed: Option<String>,
    },
    /// Say that an alert was seen.
    Acknowledge(MetricId),
    /// A rehearsal throws a fault in.
    Inject {
        /// Which.
        fault: String,
    },
    /// A rehearsal takes a fault away.
    Clear {
        /// Which.
        fault: String,
    },
    /// End the run.
    Close(Ending),
    /// A worker's word; only `Role::Machine` may give it.
    Report(Report),
}

/// What a worker reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It took a job up.
    Started {
        /// The job.
        job: JobId,
        /// The cockpit in which it runs.
        cockpit: Arc<str>,
    },
    /// These are the job's steps.
    Planned {
        /// The job.
        job: JobId,
        /// The steps.
        steps: Vec<StepPlan>,
    },
    /// A step began.
    StepStarted {
        /// The job.
        job: JobId,
        /// Its place.
        step: u32,
    },
    /// A step ended.
    StepEnded {
        /// The job.
        job: JobId,
        /// Its place.
        step: u32,
        /// How.
        outcome: StepOutcome,
    },
    /// A wish about it was carried out, or could not be.
    Answered {
        /// The job.
        job: JobId,
        /// The wish's place among those about this job, from 0.
        steer: u32,
        /// What came of it.
        outcome: StepOutcome,
    },
    /// The job asks a person, and waits.
    Asked {
        /// The job.
        job: JobId,
        /// What it asks.
        question: Question,
    },
    /// The job is over.
    Ended {
        /// The job.
        job: JobId,
        /// How.
        outcome: Outcome,
    },
    /// A pass of the incremental sync ended.
    Synced {
        /// New contacts.
        imported: u64,
        /// Changed contacts.
        updated: u64,
        /// Contacts that were as they are at Pulse already.
        unchanged: u64,
        /// Contacts that failed.
        failed: u64,
        /// Contacts that wait for a person to decide.
        conflicts: u64,
    },
    /// A pass of the sync by the clock failed.
    SyncFailed {
        /// What happened.
        what: String,
    },
    /// Pulse itself failed a job; how the job ends is told apart from it.
    PulseFailed {
        /// The job.
        job: JobId,
        /// What happened.
        what: String,
    },
    /// A kill switch is on.
    Held {
        /// Of which standing work.
        what: Upkeep,
        /// Where it was found.
        why: String,
    },
    /// The history of interactions was read to its end.
    HistoryRead {
        /// Contacts whose interactions were read.
        contacts: u64,
        /// Interactions that stand in the database.
        interactions: u64,
        /// Contacts whose interactions could not be read or written.
        failed: u64,
    },
    /// A gauge changed its verdict.
    Verdict {
        /// The gauge.
        metric: MetricId,
        /// The verdict.
        verdict: Verdict,
        /// The reading, in words.
        reading: String,
    },
    /// An alert fired.
    AlertFired {
        /// The gauge.
        metric: MetricId,
        /// The reading, in words.
        reading: String,
        /// When the readings that made it fire began.
        since: DateTime<Utc>,
    },
    /// An alert ended by itself.
    AlertCleared {
        /// The gauge.
        metric: MetricId,
    },
}
