//! Work that a machine does: asked for, taken up, planned as steps, ended. One vocabulary for every worker, so that a
//! migration, an import, a deployment and a rollback are shown, resumed and recorded by the same code.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::Actor;
use super::steer::Steered;
use super::upkeep::Settle;
use crate::plan::{Check, ItemId, RungKind};

/// A job's number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Names a worker, and its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerId {
    /// Backups and migrations, up and down.
    Migrate,
    /// The import and the incremental sync.
    Import,
    /// Brings a release live.
    Deploy,
    /// Proves items.
    Verify,
    /// Reads the gauges.
    Monitor,
    /// Takes the release back.
    Rollback,
    /// Moves the flag's share.
    Rollout,
    /// Tells people.
    Announce,
    /// Reads the history of interactions.
    History,
}

impl WorkerId {
    /// Every worker.
    pub const ALL: [Self; 9] = [
        Self::Migrate,
        Self::Import,
        Self::Deploy,
        Self::Verify,
        Self::Monitor,
        Self::Rollback,
        Self::Rollout,
        Self::Announce,
        Self::History,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Import => "import",
            Self::Deploy => "deploy",
            Self::Verify => "verify",
            Self::Monitor => "monitor",
            Self::Rollback => "rollback",
            Self::Rollout => "rollout",
            Self::Announce => "announce",
            Self::History => "history",
        }
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum JobKind {
    /// Back the touched tables up and prove the copy.
    Backup,
    /// Rehearse the pending migrations on a clone of the live database, there and back.
    RehearseMigrations,
    /// Run up migrations.
    MigrateUp {
        /// Up to and including this one; all, where none is named.
        to: Option<u64>,
    },
    /// Run down migrations, newest first.
    MigrateDown {
        /// Down to but not including this one; all, where none is named.
        to: Option<u64>,
    },
    /// Import every contact from Pulse.
    Import,
    /// One incremental pass now; later ones follow by the clock.
    Sync,
    /// Place a profile as a person decided.
    Resolve {
        /// Pulse's id of it.
        profile: String,
        /// The decision.
        settle: Settle,
    },
    /// Make mock profiles, apart from every real row.
    Mock {
        /// How many.
        profiles: u32,
    },
    /// Remove the mock profiles.
    MockRemove,
    /// Judge again what the import has set aside, and bring in what fits now.
    Retry,
    /// Bring the release live.
    Deploy,
    /// Prove an item.
    Verify {
        /// What is to be proven.
        check: Check,
    },
    /// Take a rung of the ladder.
    Rollback {
        /// Its place in the ladder.
        rung: u8,
        /// What it takes back.
        kind: RungKind,
    },
    /// Drill a rung of the ladder.
    Drill {
        /// Its place in the ladder.
        rung: u8,
        /// What it takes back.
        kind: RungKind,
    },
    /// Move the flag's share.
    Rollout {
        /// The share in percent.
        share: u8,
    },
    /// Tell people.
    Announce {
        /// The message's name in the configuration.
        message: String,
        /// The text as it was confirmed; the configured one where empty.
        text: Option<String>,
    },
}

impl JobKind {
    /// The worker that does it.
    pub const fn worker(&self) -> WorkerId {
        match self {
            Self::Backup | Self::RehearseMigrations | Self::MigrateUp { .. } | Self::MigrateDown { .. } => {
                WorkerId::Migrate
            }
            Self::Import
            | Self::Sync
            | Self::Resolve { .. }
            | Self::Mock { .. }
            | Self::MockRemove
            | Self::Retry => WorkerId::Import,
            Self::Deploy => WorkerId::Deploy,
            Self::Verify { .. } => WorkerId::Verify,
            Self::Rollback { .. } | Self::Drill { .. } => WorkerId::Rollback,
            Self::Rollout { .. } => WorkerId::Rollout,
            Self::Announce { .. } => WorkerId::Announce,
        }
    }

    /// A word or two for the log.
    pub fn title(&self) -> String {
        match self {
            Self::Backup => "backup".into(),
            Self::RehearseMigrations => "rehearse migrations".into(),
            Self::MigrateUp { to: None } => "migrate up".into(),
            Self::MigrateUp { to: Some(to) } => format!("migrate up to {to:03}"),
            Self::MigrateDown { to: None } => "migrate down".into(),
            Self::MigrateDown { to: Some(to) } => format!("migrate down to {to:03}"),
            Self::Import => "import".into(),
            Self::Sync => "sync".into(),
            Self::Resolve { profile, settle } => format!("settle {profile}: {}", settle.words()),
            Self::Mock { profiles } => format!("make {profiles} MOCK profiles"),
            Self::MockRemove => "remove the MOCK profiles".into(),
            Self::Retry => "retry what was set aside".into(),
            Self::Deploy => "deploy".into(),
            Self::Verify { .. } => "verify".into(),
            Self::Rollback { rung, kind } => format!("rollback {rung} ({kind:?})").to_lowercase(),
            Self::Drill { rung, kind } => format!("drill {rung} ({kind:?})").to_lowercase(),
            Self::Rollout { share } => format!("rollout {share} %"),
            Self::Announce { message, .. } => format!("announce {message}"),
        }
    }
}

/// The group of the steps of a rollback that watch whether it helped. Those before them take back, and prove it.
pub const WATCH: &str = "watch";

/// A step before it is taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// What it does, in a line ("001 create index `idx_contacts_pulse_tags`").
    pub name: Arc<str>,
    /// What is run, where it is text (SQL, a request line).
    pub detail: Option<Arc<str>>,
    /// The part of the job that it belongs to ("001 contacts_pulse_integration").
    pub group: Option<Arc<str>>,
    /// What people can say about it.
    #[serde(default, skip_serializing_if = "Nature::is_plain")]
    pub nature: Nature,
    /// The lock that it asks for, where that stops clients ("ACCESS EXCLUSIVE on contacts").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Arc<str>>,
}

/// What people can say about a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Nature {
    /// Nothing in particular.
    #[default]
    Plain,
    /// It builds an index on which nothing but speed depends: it can be left out.
    Index,
    /// It goes in batches, at a pace.
    Batches,
    /// There is no way back from here: it waits until a person lets it go on.
    NoReturn,
}

impl Nature {
    /// Whether nothing in particular can be said about it.
    pub const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It did what it says.
    Done {
        /// A remark ("14 rows", "worst client wait 34 ms").
        note: Option<String>,
    },
    /// It was not needed.
    Skipped {
        /// Why.
        why: String,
    },
    /// It did not succeed.
    Failed {
        /// What happened.
        failure: Failure,
    },
    /// It will not be run.
    NotRun {
        /// Because of what.
        because: String,
    },
}

/// What went wrong, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened, and where.
    pub what: String,
    /// What was done and what was not.
    pub state: String,
    /// What to do next.
    pub next: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        for more in [&self.state, &self.next] {
            if !more.is_empty() {
                write!(f, "; {more}")?;
            }
        }
        Ok(())
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum Outcome {
    /// It did all it was asked, and proved it.
    Succeeded {
        /// In a line.
        summary: String,
        /// The figures that others need.
        facts: Facts,
    },
    /// It did not.
    Failed {
        /// What happened.
        failure: Failure,
    },
    /// Somebody stopped it.
    Cancelled {
        /// What was done and what was not.
        state: String,
    },
}

/// The figures of an ended job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum Facts {
    /// None that others need.
    #[default]
    None,
    /// Of migrations.
    Migrated {
        /// The numbers that are applied now.
        applied: Vec<u64>,
        /// The longest wait of a client during the run, in milliseconds, where it was measured.
        worst_wait_ms: Option<f64>,
    },
    /// Of a rehearsal of migrations.
    Rehearsed {
        /// Each that was gone through.
        migrations: Vec<RehearsedMigration>,
        /// Rows that were on the clone.
        rows: u64,
    },
    /// Of an import or a sync pass.
    Imported(ImportTotals),
    /// Of a deployment.
    Deployed {
        /// The vendor's id of it.
        id: String,
        /// What was live before.
        previous: Option<String>,
        /// The version that users get, as read from outside.
        version: Option<String>,
    },
    /// Of a proof.
    Proven {
        /// The value read, where the check reads one.
        value: Option<String>,
    },
    /// Of a share.
    Share {
        /// In percent, as read back.
        percent: u8,
    },
    /// Of a message.
    Sent {
        /// Where it can be found.
        reference: String,
    },
}

/// A migration that was rehearsed on a clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedMigration {
    /// Its title, as the steps of a migration name their group.
    pub title: String,
    /// How long its statements took there, in milliseconds.
    pub there_ms: u64,
    /// And back, in milliseconds; none where it has no way back that leads back.
    pub back_ms: Option<u64>,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportTotals {
    /// What Pulse says it has.
    pub total: u64,
    /// Profiles read.
    pub fetched: u64,
    /// New contacts.
    pub imported: u64,
    /// Changed contacts.
    pub updated: u64,
    /// Of the changed: those that a person had changed here as well since both sides last agreed.
    #[serde(default)]
    pub both: u64,
    /// Contacts that were already as they should be.
    pub unchanged: u64,
    /// Profiles set aside, with a reason each.
    pub quarantined: u64,
    /// Profiles that a person must decide on.
    pub conflicts: u64,
    /// Why they were set aside, most frequent first.
    pub reasons: Vec<(String, u64)>,
    /// Why a person must decide, most frequent first. Journals from before this field name both among the reasons.
    #[serde(default)]
    pub doubts: Vec<(String, u64)>,
}

impl ImportTotals {
    /// The share of profiles that were taken over, in percent; none if none was read.
    pub fn success(&self) -> Option<f64> {
        let good = self.imported + self.updated + self.unchanged;
        let all = good + self.quarantined + self.conflicts;
        (all > 0).then(|| good as f64 * 100.0 / all as f64)
    }
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// The item that it answers.
    pub item: Option<ItemId>,
    /// Who asked.
    pub by: Actor,
    /// When.
    pub requested: DateTime<Utc>,
    /// How far it is.
    pub status: JobStatus,
    /// Its steps, once planned.
    pub steps: Vec<Step>,
    /// What people have wished about it since, oldest first.
    #[serde(default)]
    pub steered: Vec<Steered>,
    /// What it asked last, if it asked anything.
    #[serde(default)]
    pub asked: Option<Asked>,
}

/// What a job asks a person before it goes on. Whoever does not want that cancels it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What was found.
    pub what: String,
    /// What going on means.
    pub going_on: String,
    /// What giving up means.
    pub giving_up: String,
}

/// A question that a job asked, and the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// When.
    pub at: DateTime<Utc>,
    /// The decision to go on, once there is one.
    pub answer: Option<Answer>,
}

/// Somebody's decision that a job goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Who decided.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum JobStatus {
    /// Asked for; no worker has it yet.
    Requested,
    /// A worker has it.
    Running(Attempt),
    /// A worker has it, and waits at an edge (or will, at the next) until somebody lets it go on.
    Paused(Attempt),
    /// A worker has it, and was asked to give up.
    Cancelling(Attempt),
    /// Over.
    Ended {
        /// When.
        at: DateTime<Utc>,
        /// How.
        outcome: Outcome,
    },
}

/// A worker's try at a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub since: DateTime<Utc>,
    /// In which cockpit.
    pub cockpit: Arc<str>,
}

/// A step as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it is.
    #[serde(flatten)]
    pub plan: StepPlan,
    /// How far it is.
    pub status: StepStatus,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum StepStatus {
    /// Not begun.
    Waiting,
    /// Begun.
    Running {
        /// When.
        since: DateTime<Utc>,
    },
    /// Over.
    Ended {
        /// When it began, if it did.
        since: Option<DateTime<Utc>>,
        /// When it ended.
        at: DateTime<Utc>,
        /// How.
        outcome: StepOutcome,
    },
}

impl Job {
    /// Whether it is over.
    pub const fn is_over(&self) -> bool {
        matches!(self.status, JobStatus::Ended { .. })
    }

    /// What it waits for a person to decide.
    pub fn question(&self) -> Option<&Question> {
        let asked = self.asked.as_ref().filter(|asked| asked.answer.is_none() && !self.is_over())?;
        Some(&asked.question)
    }

    /// How it ended, if it did.
    pub const fn outcome(&self) -> Option<&Outcome> {
        match &self.status {
            JobStatus::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Whether it ended well.
    pub const fn succeeded(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Succeeded { .. }))
    }

    /// Whether it did and proved what it was for, whatever came of watching it afterwards.
    pub fn took_effect(&self) -> bool {
        let done = |step: &Step| {
            matches!(
                step.status,
                StepStatus::Ended { outcome: StepOutcome::Done { .. } | StepOutcome::Skipped { .. }, .. }
            )
        };
        let mut steps = self.steps.iter().filter(|step| step.plan.group.as_deref() != Some(WATCH)).peekable();
        steps.peek().is_some() && steps.all(done)
    }

    /// The steps that are over, and all steps.
    pub fn steps_done(&self) -> (usize, usize) {
        let over = self.steps.iter().filter(|step| matches!(step.status, StepStatus::Ended { .. })).count();
        (over, self.steps.len())
    }
}
