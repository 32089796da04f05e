//! What changes too fast to be history: the latest progress of each job, the recent samples of each gauge, who is here.
//! Latest wins and anything may be lost; a rule that needs one of these needs an event instead.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::job::{ImportTotals, JobId, WorkerId};
use crate::plan::{MetricId, Role};

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
    /// Which cockpit runs which worker.
    pub leases: BTreeMap<WorkerId, Lease>,
    /// What is known of Pulse's profiles that wait for a person.
    pub conflicts: Option<Arc<Conflicts>>,
    /// How far the history of interactions is.
    pub history: Option<Arc<HistoryLive>>,
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
    /// The canary's last answer, in milliseconds.
    pub canary_ms: Option<f64>,
    /// The longest wait of the canary so far, in milliseconds.
    pub worst_ms: Option<f64>,
    /// Write-ahead log written since the job began, in bytes.
    pub wal: Option<u64>,
    /// Tries to get the lock of this step.
    pub tries: u32,
}

/// Somebody who holds a lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// The right to run a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The cockpit that has it.
    pub cockpit: Arc<str>,
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
