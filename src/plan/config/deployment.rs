//! The tables that say what is deployed and where things lie: `[deployment]`, `[store]`, `[app]`, `[database]`,
//! `[secrets]`, `[import]`.

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Deserialize;
use url::Url;

use super::{Layout, words};

/// `[deployment]`: what goes live, and when.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// What is deployed; the checklist's title where none is named.
    pub name: Option<String>,
    /// Its version.
    pub version: String,
    /// The day; the day the run is opened where none is named.
    #[serde(deserialize_with = "words::day")]
    pub day: Option<NaiveDate>,
    /// The zone of the checklist's times.
    #[serde(deserialize_with = "words::zone")]
    pub timezone: Tz,
    /// The checklist, from the directory of gonogo.toml.
    pub checklist: PathBuf,
    /// The directory of the migrations, from the directory of gonogo.toml.
    pub migrations: PathBuf,
    /// Whose files those are; seen from the directory where it is not named.
    pub layout: Layout,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            name: None,
            version: String::new(),
            day: None,
            timezone: Tz::UTC,
            checklist: "checklist.md".into(),
            migrations: "migrations".into(),
            layout: Layout::Auto,
        }
    }
}

/// `[store]`: where the journal lies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The SQLite file, from the directory of gonogo.toml.
    pub path: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: ".gonogo/journal.sqlite".into() }
    }
}

/// `[app]`: the application that goes live.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// Where users find it.
    pub url: Option<Url>,
    /// The path of its health check.
    pub health: String,
    /// The path whose answer names the running release.
    pub version: String,
    /// Its environment file, from the directory of gonogo.toml.
    pub environment: PathBuf,
}

impl Default for App {
    fn default() -> Self {
        Self {
            url: None,
            health: "/health".into(),
            version: "/health".into(),
            environment: ".env.production".into(),
        }
    }
}

/// What a missing or stale rehearsal means for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rehearsal {
    /// It is shown, and nothing more.
    #[default]
    Shown,
    /// Nothing runs, there or back, that was not rehearsed as it is now.
    Required,
}

/// `[database]`: the database that is migrated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// Its name, typed by whoever takes a rung that loses data.
    pub name: String,
    /// The environment variable that holds its URL.
    pub url_env: String,
    /// Where the backup that a migration wants is put.
    pub backup: BackupTo,
    /// Where backups are written, from the directory of gonogo.toml.
    pub backup_dir: PathBuf,
    /// Whether migrations run without having been rehearsed.
    pub rehearsal: Rehearsal,
    /// The environment variable with the secret that files are encrypted with; they are not where none is named.
    pub backup_key_env: Option<String>,
}

/// Where the backup that a migration wants is put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupTo {
    /// Into a private schema of the same database.
    #[default]
    Schema,
    /// Into files in the directory of backups.
    File,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            name: "postgres".into(),
            url_env: "DATABASE_URL".into(),
            backup: BackupTo::default(),
            backup_dir: "backups".into(),
            backup_key_env: None,
            rehearsal: Rehearsal::Shown,
        }
    }
}

/// `[secrets]`: where secrets are looked up after the process environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsFile {
    /// A dotenv file, from the directory of gonogo.toml. It need not exist.
    pub env_file: PathBuf,
}

impl Default for SecretsFile {
    fn default() -> Self {
        Self { env_file: ".env".into() }
    }
}

/// `[import]`: how profiles are brought in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Import {
    /// Profiles in one request, 1 to 1000.
    pub page_size: u32,
    /// Requests a minute, at most.
    pub requests_per_minute: u32,
    /// Requests a minute for the history of interactions, at most.
    pub interactions_per_minute: u32,
    /// The longest that a read of contacts, or a client behind a lock of ours, may take before the import waits, in
    /// milliseconds.
    pub max_latency_ms: u32,
    /// How far a replica may be behind before the import waits, in milliseconds.
    pub max_lag_ms: u32,
    /// Attempts for one request.
    pub attempts: u32,
    /// The share of profiles (0 to 1) that may be set aside before the import stops and asks.
    pub quarantine_share: f64,
    /// How long between two incremental syncs.
    #[serde(deserialize_with = "words::span")]
    pub sync_every: Duration,
}

impl Default for Import {
    fn default() -> Self {
        Self {
            page_size: 1000,
            requests_per_minute: 60,
            interactions_per_minute: 30,
            max_latency_ms: 200,
            max_lag_ms: 5_000,
            attempts: 3,
            quarantine_share: 0.05,
            sync_every: Duration::from_mins(15),
        }
    }
}
