//! The facts of a run. Each is numbered, signed, persisted and never dropped; what may be dropped is in `live`.
//!
//! An event's JSON is a format that outlives this program: fields are only added, with a default, and a variant keeps its
//! name. `VERSION` rises when an older program could misread a newer journal.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::job::{JobId, JobKind, Outcome, Question, StepOutcome, StepPlan};
use super::judge::Verdict;
use super::steer::Steer;
use super::upkeep::Upkeep;
use crate::plan::{GateId, ItemId, MetricId, PhaseId, Plan, Role};

/// The version of the events that this program writes and the newest it reads.
pub const VERSION: u32 = 1;

/// An event with its place in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number; the first is 1, and none is missing.
    pub seq: u64,
    /// When it happened, by the run's clock.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub by: Actor,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Who acts, and in which role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Actor {
    /// A person's name, or a worker's.
    pub name: Arc<str>,
    /// The role in which it was done; `Role::Machine` for workers.
    pub role: Role,
}

impl Actor {
    /// A person in a role.
    pub fn person(name: &str, role: Role) -> Self {
        Self { name: name.into(), role }
    }

    /// A worker of gonogo.
    pub fn machine(worker: &str) -> Self {
        Self { name: worker.into(), role: Role::Machine }
    }
}

/// Whether it is the day itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The real thing.
    Live,
    /// Stand-ins at the other end of the sockets.
    Rehearsal,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began; always the first, and once.
    Opened {
        /// The whole plan, so that the journal needs no other file.
        plan: Arc<Plan>,
        /// Whether it is the day itself.
        mode: Mode,
    },
    /// The checklist or the configuration was read again; progress stays with the ids that are still there.
    Replanned {
        /// The plan from now on.
        plan: Arc<Plan>,
    },
    /// Somebody opened a cockpit.
    Joined,
    /// A phase began. Only after GO for the one before.
    PhaseStarted {
        /// The phase.
        phase: PhaseId,
    },
    /// GO: the phase is whole, and the next may begin.
    Go {
        /// The phase.
        phase: PhaseId,
        /// On what evidence, in words.
        evidence: String,
    },
    /// NO-GO: the phase stays open.
    NoGo {
        /// The phase.
        phase: PhaseId,
        /// Why.
        reason: String,
    },
    /// An item is done.
    ItemDone {
        /// The item.
        item: ItemId,
        /// Its value, where it asks for one.
        value: Option<String>,
        /// What proves it, where a machine did.
        evidence: Option<String>,
    },
    /// An item will not be done.
    ItemSkipped {
        /// The item.
        item: ItemId,
        /// Why not.
        reason: String,
    },
    /// An item did not succeed. It can be tried again, or reopened.
    ItemFailed {
        /// The item.
        item: ItemId,
        /// What failed.
        reason: String,
    },
    /// An item counts as not done again.
    ItemReopened {
        /// The item.
        item: ItemId,
        /// Why.
        reason: String,
    },
    /// Something written down.
    Noted {
        /// The item it belongs to, if to one.
        item: Option<ItemId>,
        /// What it is.
        kind: NoteKind,
        /// The words.
        text: String,
    },
    /// Somebody put their name to a gate.
    Signed {
        /// The gate.
        gate: GateId,
    },
    /// Work for a worker was asked for.
    JobRequested {
        /// Its number.
        job: JobId,
        /// What is to be done.
        kind: JobKind,
        /// The item that it answers.
        item: Option<ItemId>,
    },
    /// A worker took it up; again after a crash, with the next attempt's number.
    JobStarted {
        /// The job.
        job: JobId,
        /// 1 for the first.
        attempt: u32,
        /// The cockpit in which the worker runs.
        cockpit: Arc<str>,
    },
    /// The steps that will be taken, before the first is. May come again when a resumed job plans anew.
    JobPlanned {
        /// The job.
        job: JobId,
        /// Its steps.
        steps: Vec<StepPlan>,
    },
    /// A step began.
    StepStarted {
        /// The job.
        job: JobId,
        /// The step's place in the plan, from 0.
        step: u32,
    },
    /// A step ended. No more events of this step in this attempt.
    StepEnded {
        /// The job.
        job: JobId,
        /// The step's place in the plan, from 0.
        step: u32,
        /// How.
        outcome: StepOutcome,
    },
    /// Somebody asked the worker to stop at the next edge.
    JobPaused {
        /// The job.
        job: JobId,
    },
    /// Somebody let it go on.
    JobResumed {
        /// The job.
        job: JobId,
    },
    /// Somebody asked the worker to give up; `JobEnded` says when it has.
    JobCancelling {
        /// The job.
        job: JobId,
    },
    /// Somebody said how the job is to go on.
    JobSteered {
        /// The job.
        job: JobId,
        /// What was wished.
        steer: Steer,
    },
    /// A wish that is carried out once was carried out, or could not be.
    SteerAnswered {
        /// The job.
        job: JobId,
        /// The wish's place among those about this job, from 0.
        steer: u32,
        /// What came of it.
        outcome: StepOutcome,
    },
    /// The job found something that a person must decide on, and waits.
    JobAsked {
        /// The job.
        job: JobId,
        /// What it asks.
        question: Question,
    },
    /// Somebody decided that the job goes on.
    JobAnswered {
        /// The job.
        job: JobId,
        /// Why.
        reason: String,
    },
    /// The job is over. No more events of this job.
    JobEnded {
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
        #[serde(default)]
        unchanged: u64,
        /// Contacts that could not be taken over.
        failed: u64,
        /// Contacts that wait for a person to decide: neither taken over nor failed.
        #[serde(default)]
        conflicts: u64,
    },
    /// A pass of the sync by the clock failed; told once, until one passes again.
    SyncFailed {
        /// What happened.
        what: String,
    },
    /// Pulse itself failed a job: it was not there, or what it sent could not be read.
    PulseFailed {
        /// The job.
        job: JobId,
        /// What happened.
        what: String,
    },
    /// Standing work was switched off, by a person, a kill switch, or because too much of it failed.
    Held {
        /// Which.
        what: Upkeep,
        /// Why.
        why: String,
    },
    /// It was switched on again.
    Released {
        /// Which.
        what: Upkeep,
    },
    /// How fast the import may go from now on.
    Paced {
        /// The share of the time that it may work, in percent.
        share: u8,
    },
    /// The deployment goes on with mock data in the place of Pulse's.
    Mocked {
        /// Why.
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
    /// The guard over the emergency key is open.
    Armed,
    /// The guard is closed.
    Disarmed,
    /// A gauge changed its verdict.
    VerdictChanged {
        /// The gauge.
        metric: MetricId,
        /// The verdict from now on.
        verdict: Verdict,
        /// The reading, in words ("6.1 %, n 412").
        reading: String,
    },
    /// An alert fired: the gauge was beyond its alert for as long as it must.
    AlertFired {
        /// The gauge.
        metric: MetricId,
        /// The reading, in words.
        reading: String,
        /// When the first of the readings that made it fire was taken.
        since: DateTime<Utc>,
    },
    /// An alert ended by itself.
    AlertCleared {
        /// The gauge.
        metric: MetricId,
    },
    /// Somebody saw the alert.
    AlertAcknowledged {
        /// The gauge.
        metric: MetricId,
    },
    /// A rehearsal threw a fault in.
    FaultInjected {
        /// Which.
        fault: String,
    },
    /// A rehearsal took a fault away.
    FaultCleared {
        /// Which.
        fault: String,
    },
    /// The run is over. Nothing but notes comes after it.
    Closed {
        /// How it ended.
        ending: Ending,
    },
}

/// What a written line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteKind {
    /// A remark.
    Note,
    /// Something was done otherwise than planned.
    Deviation,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Ending {
    /// As planned.
    Success,
    /// As planned, with remarks.
    SuccessWithMinorIssues,
    /// A part was taken back.
    PartialRollback,
    /// All was taken back.
    FullRollback,
    /// Stopped before anything was changed, so that there was nothing to take back.
    CalledOff,
}

impl Ending {
    /// Every ending: those of the sign-off, and the one of a day that never came to it.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::SuccessWithMinorIssues,
        Self::PartialRollback,
        Self::FullRollback,
        Self::CalledOff,
    ];

    /// The words of the sign-off.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::SuccessWithMinorIssues => "SUCCESS WITH MINOR ISSUES",
            Self::PartialRollback => "PARTIAL ROLLBACK",
            Self::FullRollback => "FULL ROLLBACK",
            Self::CalledOff => "CALLED OFF",
        }
    }

    /// Whether the release is out.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success | Self::SuccessWithMinorIssues)
    }
}
