//! What changes too fast to be history: the latest progress of each job, the recent samples of each gauge, who is here.
//! Latest wins and anything may be lost; a rule that needs one of these needs an event instead.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::job::{ImportTotals, JobId};
use crate::plan::{MetricId, Role};

mod advice;

pub use advice::{Advice, Judged, Linted, Remark, Said, Weight};

/// How many samples of a gauge are kept in memory: two hours of one each ten seconds.
pub const KEPT: usize = 720;

/// Everything that stands beside the journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    /// The latest progress of each job that is not over.
    pub progress: BTreeMap<JobId, Arc<Progress>>,
    /// The recent samples of each gauge, oldest first.
    pub series: BTreeMap<MetricId, VecDeque<Sample>>,
    /// The cockpits that were heard of lately.
    pub present: Vec<Presence>,
    /// What is known of Pulse's profiles that wait for a person.
    pub conflicts: Option<Arc<Conflicts>>,
    /// How far the history of interactions is.
    pub history: Option<Arc<HistoryLive>>,
    /// What taking the database back would lose, as it was last looked at.
    pub outlook: Option<Arc<Outlook>>,
    /// What the linter says of the migrations that are still to be run; none where it was not asked yet.
    pub advice: Option<Arc<Advice>>,
}

/// What taking the database back would lose and meet, looked at while the guard is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// What was seen.
    pub seen: Seen,
}

/// What was seen of the database's way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum Seen {
    /// The rows were counted.
    Counted {
        /// What would be set aside or lost, with how many rows.
        lost: Vec<(String, u64)>,
        /// What speaks against it: a down file that takes what was there before, a way that has gaps.
        against: Vec<String>,
    },
    /// It could not be told.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Outlook {
    /// In a line.
    pub fn words(&self) -> String {
        match &self.seen {
            Seen::Unknown { why } => format!("what would be lost could not be counted: {why}"),
            Seen::Counted { lost, against } => {
                let rows: Vec<String> = lost
                    .iter()
                    .filter(|(_, rows)| *rows > 0)
                    .map(|(what, rows)| format!("{what}: {rows} rows"))
                    .collect();
                let rows = if rows.is_empty() { "no row would be lost now".into() } else { rows.join(", ") };
                let against = against.iter().map(|one| format!("BUT {one}"));
                std::iter::once(rows).chain(against).collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// How far a job is, within a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The job.
    pub job: JobId,
    /// When it was so.
    pub at: DateTime<Utc>,
    /// The step's place in the plan, where it is in one.
    pub step: Option<u32>,
    /// What is going on, in words ("scanning table", "waiting for pid 4711, idle in transaction 3 min").
    pub doing: String,
    /// How much is done.
    pub done: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
    /// What is counted ("blocks", "contacts").
    pub unit: String,
    /// Where the figure comes from (`pg_stat_progress_create_index`, "ours", "forecast").
    pub source: String,
    /// Per second, where it was measured over some seconds.
    pub rate: Option<f64>,
    /// Seconds still to go, from and to.
    pub left: Option<(u64, u64)>,
    /// What this kind of work shows besides.
    pub more: More,
}

/// What a kind of work shows besides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum More {
    /// Nothing.
    #[default]
    None,
    /// A migration.
    Migrate(MigrateLive),
    /// An import.
    Import(ImportLive),
}

/// What a migration shows besides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MigrateLive {
    /// Who holds what we wait for.
    pub blockers: Vec<Blocker>,
    /// How many wait behind us.
    pub queue: u32,
    /// Who they are, nearest first, where there is room for them.
    #[serde(default)]
    pub behind: Vec<Waiter>,
    /// The canary's last answer, in milliseconds.
    pub canary_ms: Option<f64>,
    /// The longest wait of the canary so far, in milliseconds.
    pub worst_ms: Option<f64>,
    /// The wait that no client may exceed, in milliseconds.
    #[serde(default)]
    pub budget_ms: Option<f64>,
    /// Write-ahead log that the server wrote since the job began, in bytes; that of its clients is in it.
    pub wal: Option<u64>,
    /// The same in a second, of late.
    #[serde(default)]
    pub wal_rate: Option<u64>,
    /// Tries to get the lock of this step.
    pub tries: u32,
    /// Whether it waits for a person, and what for.
    #[serde(default)]
    pub asks: Asks,
    /// How long the last transaction asked for its locks and held them, in milliseconds.
    #[serde(default)]
    pub held_ms: Option<f64>,
    /// How long the step takes by what a rehearsal measured, from and to, in milliseconds.
    #[serde(default)]
    pub forecast_ms: Option<(f64, f64)>,
    /// How long all steps after it take by the same, in milliseconds.
    #[serde(default)]
    pub after_ms: Option<(f64, f64)>,
    /// How long the step has been running, in milliseconds.
    #[serde(default)]
    pub elapsed_ms: f64,
    /// What the server itself says of the running command, where it has a view of it.
    #[serde(default)]
    pub phase: Option<Phase>,
    /// How far the standbys are behind.
    #[serde(default)]
    pub replicas: Replicas,
    /// The batches, where the step goes in some.
    #[serde(default)]
    pub batches: Option<Batches>,
}

/// Somebody who waits behind us.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiter {
    /// The backend's process id.
    pub pid: i32,
    /// Its application's name.
    pub app: String,
    /// How long it has waited, in seconds.
    pub waits: f64,
    /// How many stand between it and us: 0 for who waits for us.
    pub depth: u8,
    /// Its statement, cut.
    pub query: String,
}

/// A view of the server on a command that runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// The view (`pg_stat_progress_create_index`).
    pub view: String,
    /// Its word for what is going on.
    pub name: String,
    /// Which phase that is of how many, where their order is known.
    pub place: Option<(u8, u8)>,
    /// What it counts: what, how much, of how much.
    pub counts: Vec<(String, u64, Option<u64>)>,
    /// The session that it waits for just now.
    pub locker: Option<i32>,
}

/// The standbys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "are", content = "they", rename_all = "kebab-case")]
pub enum Replicas {
    /// Nobody looked yet, or this role may not see them.
    #[default]
    Unknown,
    /// There are none.
    None,
    /// These.
    Some(Vec<Replica>),
}

/// A standby.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// How much log it has still to replay, in bytes.
    pub bytes: Option<u64>,
    /// How long its replay is behind, in seconds.
    pub seconds: Option<f64>,
}

/// A step that goes in batches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    /// The batches that are done, those of earlier attempts too.
    pub number: u64,
    /// The rows that they changed.
    pub rows: u64,
    /// Keys of the next batch.
    pub size: u32,
    /// How long the last took, in milliseconds.
    pub last_ms: f64,
    /// How long the longest of this attempt took, in milliseconds.
    pub worst_ms: f64,
    /// Batches that had to be tried again.
    pub retries: u32,
    /// The pace that a person wished for, in percent.
    pub pace: u16,
    /// Why it does not go faster, where something holds it back.
    pub slowed: Option<String>,
}

/// What work that waits for a person waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum Asks {
    /// It waits for nobody.
    #[default]
    Nothing,
    /// To be let at a lock that stops clients.
    Lock {
        /// The step's name.
        step: Arc<str>,
        /// The lock ("ACCESS EXCLUSIVE on contacts").
        lock: String,
    },
    /// To be let beyond the point of no return.
    NoReturn {
        /// The step's name.
        step: Arc<str>,
    },
}

impl Asks {
    /// The step that waits.
    pub const fn step(&self) -> Option<&Arc<str>> {
        match self {
            Self::Nothing => None,
            Self::Lock { step, .. } | Self::NoReturn { step } => Some(step),
        }
    }
}

/// Somebody who holds a lock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// The backend's process id.
    pub pid: i32,
    /// Its application's name.
    pub app: String,
    /// Its role in the database.
    pub user: String,
    /// Its state ("idle in transaction").
    pub state: String,
    /// The age of its transaction, in seconds.
    pub age: f64,
    /// Its last statement, cut.
    pub query: String,
    /// When the backend began, where that is known.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// What it holds that is wanted ("AccessShareLock on contacts"), where that is known.
    #[serde(default)]
    pub holds: String,
    /// How many stand between it and us: 0 for whom we wait for ourselves.
    #[serde(default)]
    pub depth: u8,
}

/// What an import shows besides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportLive {
    /// The figures so far.
    pub totals: ImportTotals,
    /// Requests left of the budget, and the budget.
    pub budget: Option<(u32, u32)>,
    /// Requests that had to be repeated.
    pub retries: u32,
    /// Why it waits, where it does.
    pub waiting: Option<String>,
    /// Why it goes slower than it could, where it does.
    #[serde(default)]
    pub throttled: Option<String>,
    /// What it measures of the database while it runs.
    #[serde(default)]
    pub signals: Option<Signals>,
    /// The last errors, newest first, each with its time.
    #[serde(default)]
    pub errors: VecDeque<(DateTime<Utc>, String)>,
}

/// How many errors are kept to be shown.
pub const ERRORS: usize = 5;

impl ImportLive {
    /// Adds an error; the oldest goes.
    pub fn failed(&mut self, at: DateTime<Utc>, what: String) {
        self.errors.push_front((at, what));
        self.errors.truncate(ERRORS);
    }
}

/// What an import measures of the database while it writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// How long a small read of contacts takes, in milliseconds.
    pub latency_ms: Option<f64>,
    /// How long the longest other client has waited for a lock of ours, in milliseconds.
    pub blocked_ms: Option<f64>,
    /// How far the slowest replica is behind, in milliseconds; nothing where there is none, or none may be seen.
    pub lag_ms: Option<f64>,
}

/// The profiles that wait for a person.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conflicts {
    /// When they were looked at.
    pub at: DateTime<Utc>,
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub first: Vec<Conflict>,
    /// Why they could not be looked at, where that is so; what is listed is older then.
    pub trouble: Option<String>,
}

/// A profile that waits for a person.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Pulse's id.
    pub profile: String,
    /// Why the import could not place it.
    pub reason: String,
    /// What Pulse says, field by field.
    pub pulse: Vec<(String, String)>,
    /// The contacts here that it may be, with what they hold in the same fields.
    pub contacts: Vec<Rival>,
}

/// A contact that a profile may be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// Its id.
    pub contact: String,
    /// The profile that it belongs to already, if to one.
    pub taken_by: Option<String>,
    /// What it holds, in the order of the profile's fields.
    pub values: Vec<String>,
}

/// How far the history of interactions is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryLive {
    /// When it was so.
    pub at: DateTime<Utc>,
    /// Contacts whose interactions were read.
    pub done: u64,
    /// Contacts that have any to read.
    pub total: u64,
    /// Interactions that were brought.
    pub interactions: u64,
    /// Contacts whose interactions could not be read or written.
    pub failed: u64,
    /// Seconds still to go, from and to.
    pub left: Option<(u64, u64)>,
    /// Requests left of the budget, and the budget.
    pub budget: Option<(u32, u32)>,
    /// Why it waits, where it does.
    pub waiting: Option<String>,
    /// The last error, with its time.
    pub error: Option<(DateTime<Utc>, String)>,
}

/// One reading of a gauge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The gauge.
    pub metric: MetricId,
    /// When it was read.
    pub at: DateTime<Utc>,
    /// What was read.
    pub reading: Reading,
}

/// What a source answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum Reading {
    /// A number.
    Value {
        /// In the metric's unit.
        value: f64,
        /// Of how many observations.
        n: u64,
        /// How many of them were bad, for a rate.
        bad: Option<u64>,
    },
    /// The source answered, and had nothing.
    NoData {
        /// Why that may be.
        why: String,
    },
    /// The source did not answer.
    Failed {
        /// What happened.
        why: String,
    },
}

/// A cockpit that was heard of lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Its id.
    pub cockpit: Arc<str>,
    /// Who sits in it.
    pub name: Arc<str>,
    /// In which role.
    pub role: Role,
}

impl Live {
    /// Adds a sample, and lets the oldest go.
    pub fn push(&mut self, sample: Sample) {
        let series = self.series.entry(sample.metric.clone()).or_default();
        if series.back().is_some_and(|last| last.at >= sample.at) {
            return; // another cockpit's copy of what is here already
        }
        series.push_back(sample);
        while series.len() > KEPT {
            series.pop_front();
        }
    }

    /// The latest sample of a gauge.
    pub fn latest(&self, metric: &MetricId) -> Option<&Sample> {
        self.series.get(metric)?.back()
    }
}
