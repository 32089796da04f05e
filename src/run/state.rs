//! What the journal folds into. Read by everyone, changed by `apply` alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::{Actor, Ending, Mode, NoteKind, Record};
use super::job::{Facts, Job, JobId, JobKind, JobStatus, Outcome, RehearsedMigration, WorkerId};
use super::judge::Verdict;
use super::upkeep::{History, Hold, Mock, SyncTrouble, Upkeep};
use crate::plan::{GateId, ItemId, MetricId, Phase, PhaseId, PhaseKind, Plan, Role};

/// How many of the newest records the state keeps for the log; older ones are read from the journal.
pub const TAIL: usize = 500;

/// A run as it stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The number of the last event; 0 before the first.
    pub seq: u64,
    /// When the last event happened.
    pub at: DateTime<Utc>,
    /// The run, once opened.
    pub run: Option<Run>,
    /// The phases that began, by id.
    pub phases: BTreeMap<PhaseId, PhaseState>,
    /// The items that were touched, by id; all others are open.
    pub items: BTreeMap<ItemId, ItemState>,
    /// The signatures of each gate.
    pub signatures: BTreeMap<GateId, Vec<Signature>>,
    /// Every job, by number.
    pub jobs: BTreeMap<JobId, Job>,
    /// The notes and deviations, oldest first.
    pub notes: Vec<Note>,
    /// The verdict of each gauge that had one.
    pub health: BTreeMap<MetricId, Health>,
    /// The alerts that fired and did not clear.
    pub alerts: BTreeMap<MetricId, Alert>,
    /// The guard over the emergency key.
    pub guard: Guard,
    /// The incremental sync.
    pub sync: Sync,
    /// Why the sync by the clock does not pass, since its last pass that failed.
    #[serde(default)]
    pub sync_trouble: Option<SyncTrouble>,
    /// The newest job that Pulse itself failed.
    #[serde(default)]
    pub pulse_failed: Option<JobId>,
    /// Standing work that is switched off.
    #[serde(default)]
    pub held: BTreeMap<Upkeep, Hold>,
    /// The share of the time that the import may work, in percent; all of it where nobody said otherwise.
    #[serde(default)]
    pub pace: Option<u8>,
    /// The mock data in the place of Pulse's, if that was ever decided.
    #[serde(default)]
    pub mock: Option<Mock>,
    /// The history of interactions, once it was read to its end.
    #[serde(default)]
    pub history: Option<History>,
    /// The share of users who have the feature, as last read back, in percent.
    pub share: Option<u8>,
    /// The rungs of the ladder that were taken and not undone since.
    pub taken_back: BTreeSet<u8>,
    /// What happened when, for the times of the summary.
    pub marks: Marks,
    /// The newest records, oldest first.
    pub tail: VecDeque<Arc<Record>>,
}

/// An opened run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Whether it is the day itself.
    pub mode: Mode,
    /// When it was opened.
    pub opened: DateTime<Utc>,
    /// How it ended, once it has.
    pub ended: Option<(DateTime<Utc>, Ending)>,
}

/// A phase that began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseState {
    /// When it began.
    pub since: DateTime<Utc>,
    /// GO, once called.
    pub go: Option<Decision>,
    /// NO-GOs that were called, oldest first.
    pub no_gos: Vec<Decision>,
}

/// A GO or NO-GO.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Who called it.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// On what evidence, or why not.
    pub words: String,
}

/// An item that was touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ItemState {
    /// To be done (again).
    Open,
    /// A worker is at it.
    Running {
        /// The job.
        job: JobId,
    },
    /// Done.
    Done {
        /// Who did it.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
        /// Its value, where it asks for one.
        value: Option<String>,
        /// What proves it, where a machine did.
        evidence: Option<String>,
    },
    /// Not to be done.
    Skipped {
        /// Who skipped it.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
        /// Why.
        reason: String,
    },
    /// Tried without success.
    Failed {
        /// Who tried.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
        /// What failed.
        reason: String,
    },
}

impl ItemState {
    /// Whether nothing is left to do about it.
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Skipped { .. })
    }
}

/// Somebody's name under a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Who, in which role.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
}

/// Something written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Who wrote it.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// The item it belongs to, if to one.
    pub item: Option<ItemId>,
    /// What it is.
    pub kind: NoteKind,
    /// The words.
    pub text: String,
}

/// A gauge's verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub verdict: Verdict,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The reading, in words.
    pub reading: String,
}

/// An alert that fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// When it fired.
    pub fired: DateTime<Utc>,
    /// When the readings that made it fire began.
    pub since: DateTime<Utc>,
    /// The reading, in words.
    pub reading: String,
    /// Who saw it, and when.
    pub seen: Option<Signature>,
}

/// The guard over the emergency key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Guard {
    /// The key does nothing.
    #[default]
    Closed,
    /// The key starts the countdown.
    Armed {
        /// Who opened the guard.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
}

/// The incremental sync.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Sync {
    /// Not running.
    #[default]
    Off,
    /// Running by the clock.
    On {
        /// When the last pass ended.
        last: DateTime<Utc>,
        /// Passes so far.
        passes: u32,
        /// Contacts that the last pass which had any settled: taken over, or equal already.
        good: u64,
        /// Contacts that failed in that pass. What waits for a person is neither.
        bad: u64,
    },
}

/// The moments that the summary measures between.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// A rehearsal threw the first fault in that is not cleared.
    pub fault: Option<DateTime<Utc>>,
    /// The first reading of the alert on which the rollback was decided.
    pub bad_since: Option<DateTime<Utc>>,
    /// The alert fired.
    pub detected: Option<DateTime<Utc>>,
    /// A rollback was asked for.
    pub decided: Option<DateTime<Utc>>,
    /// A rollback was verified.
    pub recovered: Option<DateTime<Utc>>,
}

/// How a phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseStatus {
    /// An earlier phase is not through its gate.
    Locked,
    /// It may begin.
    Ready,
    /// It began.
    Active,
    /// GO was called.
    Done,
}

impl State {
    /// The plan, once the run is opened.
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.run.as_ref().map(|run| &run.plan)
    }

    /// Whether the run is over.
    pub fn ended(&self) -> Option<Ending> {
        self.run.as_ref()?.ended.map(|(_, ending)| ending)
    }

    /// The first job that may have changed what users or their data see; none while the run can simply be called off.
    pub fn first_change(&self) -> Option<&Job> {
        self.jobs.values().find(|job| changes(&job.kind))
    }

    /// How an item stands; open where nothing was said of it.
    pub fn item(&self, id: &ItemId) -> &ItemState {
        self.items.get(id).unwrap_or(&ItemState::Open)
    }

    /// How a phase stands.
    pub fn phase(&self, phase: &Phase) -> PhaseStatus {
        if let Some(state) = self.phases.get(&phase.id) {
            return if state.go.is_some() { PhaseStatus::Done } else { PhaseStatus::Active };
        }
        if phase.kind == PhaseKind::Preparation {
            return PhaseStatus::Active; // open from the start
        }
        let Some(plan) = self.plan() else { return PhaseStatus::Locked };
        let before = plan.checklist.phases.iter().take_while(|other| other.id != phase.id);
        let all_go = before.clone().all(|other| self.phase_is_go(&other.id));
        if all_go { PhaseStatus::Ready } else { PhaseStatus::Locked }
    }

    /// Whether GO was called for a phase.
    pub fn phase_is_go(&self, id: &PhaseId) -> bool {
        self.phases.get(id).is_some_and(|state| state.go.is_some())
    }

    /// The phase that is being worked on: the first that is not through its gate.
    pub fn current_phase(&self) -> Option<&Phase> {
        self.plan()?.checklist.phases.iter().find(|phase| !self.phase_is_go(&phase.id))
    }

    /// The items of a phase that are settled, and all of them.
    pub fn tally(&self, phase: &Phase) -> (usize, usize) {
        phase.items().fold((0, 0), |(settled, all), item| {
            (settled + usize::from(self.item(&item.id).is_settled()), all + 1)
        })
    }

    /// The jobs of a worker that are not over, oldest first.
    pub fn open_jobs(&self, worker: WorkerId) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(move |job| job.kind.worker() == worker && !job.is_over())
    }

    /// The mock data, while they stand.
    pub fn mocked(&self) -> Option<&Mock> {
        self.mock.as_ref().filter(|mock| mock.gone.is_none())
    }

    /// The newest job for which `which` holds.
    pub fn last_job(&self, which: impl Fn(&JobKind) -> bool) -> Option<&Job> {
        self.jobs.values().rev().find(|job| which(&job.kind))
    }

    /// What the last rehearsal of migrations went through, and when; nothing where the last one did not succeed.
    pub fn rehearsed(&self) -> Option<(DateTime<Utc>, &[RehearsedMigration])> {
        let mut ended = self.jobs.values().rev().filter(|job| job.kind == JobKind::RehearseMigrations);
        match &ended.find(|job| job.is_over())?.status {
            JobStatus::Ended {
                at,
                outcome: Outcome::Succeeded { facts: Facts::Rehearsed { migrations, .. }, .. },
            } => Some((*at, migrations)),
            _ => None,
        }
    }

    /// Whether somebody in that role may still sign that gate, and whether it is complete.
    pub fn gate_is_signed(&self, gate: &crate::plan::Gate) -> bool {
        let signed = self.signatures.get(&gate.id).map_or(&[][..], Vec::as_slice);
        let roles: bool =
            gate.roles.iter().all(|role| signed.iter().any(|signature| signature.by.role == *role));
        let mut people: Vec<&str> = signed.iter().map(|signature| &*signature.by.name).collect();
        people.sort_unstable();
        people.dedup();
        roles && people.len() >= usize::from(gate.people.max(1))
    }

    /// The role that owns an item: its own, its phase's, or none.
    pub fn owner(&self, id: &ItemId) -> Option<Role> {
        let (phase, item) = self.plan()?.item(id)?;
        item.owner.or(phase.owner)
    }
}

/// Whether such a job, once it ran, leaves something to take back.
const fn changes(kind: &JobKind) -> bool {
    match kind {
        JobKind::MigrateUp { .. }
        | JobKind::MigrateDown { .. }
        | JobKind::Import
        | JobKind::Sync
        | JobKind::Resolve { .. }
        | JobKind::Retry
        | JobKind::Deploy
        | JobKind::Rollback { .. }
        | JobKind::Rollout { .. } => true,
        JobKind::Backup
        | JobKind::RehearseMigrations
        | JobKind::Mock { .. }
        | JobKind::MockRemove
        | JobKind::Verify { .. }
        | JobKind::Drill { .. }
        | JobKind::Announce { .. } => false,
    }
}
