//! The files of a rehearsal's directory: the team's own plan, or the shipped one, with every address pointed at a stand-in.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use toml::{Table, Value};

use super::stage::{table, write_private};
use super::standin::{Names, Urls};
use super::state::Credentials;
use crate::plan::checklist::read::read;
use crate::plan::load::load;
use crate::plan::{Config, Plan, Problem, bundled};

/// The journal of a rehearsal.
pub const JOURNAL: &str = "journal.sqlite";
/// Everything that a rehearsal makes in its directory, but the lock.
pub const MADE: [&str; 13] = [
    "gonogo.toml",
    "checklist.md",
    "migrations",
    ".env",
    ".env.production",
    "world.json",
    "postgres",
    "backups",
    "journal.sqlite",
    "journal.sqlite-wal",
    "journal.sqlite-shm",
    "journal.live.sqlite",
    "journal.live.sqlite-wal",
];

/// A file that could not be written, and why.
type Failed = (String, std::io::Error);

/// The plan that is rehearsed, as text.
#[derive(Debug)]
pub struct Files {
    config: Table,
    checklist: String,
    migrations: Vec<(String, Vec<u8>)>,
    plan: Plan,
}

/// Where the stand-ins are, and what they accept.
#[derive(Debug)]
pub struct Addresses<'a> {
    /// Their sockets.
    pub urls: &'a Urls,
    /// The names by which they know things.
    pub names: &'a Names,
    /// The flag.
    pub flag: &'a str,
    /// The scratch database's name.
    pub database: &'a str,
    /// Their keys.
    pub credentials: Credentials,
    /// The scratch database.
    pub database_url: SecretString,
}

impl Files {
    /// Reads the team's own files, or takes the shipped ones.
    pub fn gather(config: Option<&Path>, checklist: Option<&Path>) -> Result<Self, Vec<Problem>> {
        if config.is_none() && checklist.is_none() {
            return Self::shipped();
        }
        let loaded = load(config, checklist)?;
        let unreadable = |path: &Path, error: std::io::Error| {
            vec![Problem::at(&path.display().to_string(), 0, format!("it cannot be read: {error}"))]
        };
        let text = std::fs::read_to_string(&loaded.checklist)
            .map_err(|error| unreadable(&loaded.checklist, error))?;
        let table = match config {
            None => Table::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
                text.parse().map_err(|error: toml::de::Error| {
                    vec![Problem::at(&path.display().to_string(), 0, error.message().to_owned())]
                })?
            }
        };
        let directory = loaded.path(&loaded.config.deployment.migrations);
        let mut migrations = Vec::new();
        if let Ok(entries) = std::fs::read_dir(&directory) {
            for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
                let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, error))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                migrations.push((name, bytes));
            }
        }
        Ok(Self { config: table, checklist: text, migrations, plan: loaded.plan })
    }

    fn shipped() -> Result<Self, Vec<Problem>> {
        let config = Config::parse(bundled::CONFIG, bundled::CONFIG_NAME)?;
        let plan = config.plan(read(bundled::CHECKLIST, bundled::CHECKLIST_NAME)?);
        let table = bundled::CONFIG.parse().map_err(|error: toml::de::Error| {
            vec![Problem::at(bundled::CONFIG_NAME, 0, error.message().to_owned())]
        })?;
        let migrations = bundled::MIGRATIONS;
        let migrations =
            migrations.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        Ok(Self { config: table, checklist: bundled::CHECKLIST.to_owned(), migrations, plan })
    }

    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes what does not depend on the stand-ins.
    pub fn lay_out(&self, dir: &Path) -> Result<(), Failed> {
        let migrations = dir.join("migrations");
        std::fs::create_dir_all(&migrations).map_err(|error| (migrations.display().to_string(), error))?;
        write(&dir.join("checklist.md"), self.checklist.as_bytes())?;
        for (name, bytes) in &self.migrations {
            write(&migrations.join(name), bytes)?;
        }
        write(&dir.join(".env.production"), environment(&self.plan.version).as_bytes())
    }

    /// Writes gonogo.toml and the env file for stand-ins at these addresses.
    pub fn point_at(&self, dir: &Path, at: &Addresses<'_>) -> Result<(), Failed> {
        let mut config = self.config.clone();
        let deployment = table(&mut config, "deployment");
        set(deployment, [("checklist", "checklist.md"), ("migrations", "migrations")]);
        set(table(&mut config, "store"), [("path", JOURNAL)]);
        set(table(&mut config, "app"), [("url", at.urls.app.as_str()), ("environment", ".env.production")]);
        let database = table(&mut config, "database");
        set(
            database,
            [("name", at.database), ("url_env", "REHEARSAL_DATABASE_URL"), ("backup_dir", "backups")],
        );
        set(table(&mut config, "secrets"), [("env_file", ".env")]);
        let mut services = Table::new();
        set(
            table(&mut services, "pulse"),
            [("url", at.urls.pulse.as_str()), ("token_env", "REHEARSAL_PULSE")],
        );
        set(
            table(&mut services, "sentry"),
            [
                ("api", at.urls.sentry_api.as_str()),
                ("org", at.names.sentry_organisation),
                ("project", at.names.sentry_project),
                ("token_env", "REHEARSAL_SENTRY"),
                ("dsn_env", "REHEARSAL_SENTRY_DSN"),
                ("environment", "production"),
                ("release", "logos-vision-crm@{version}"),
            ],
        );
        let posthog = table(&mut services, "posthog");
        set(
            posthog,
            [
                ("api", at.urls.posthog_api.as_str()),
                ("ingest", &at.urls.posthog_ingest),
                ("key_env", "REHEARSAL_POSTHOG"),
                ("project_key_env", "REHEARSAL_POSTHOG_PROJECT"),
                ("flag", at.flag),
            ],
        );
        let project = i64::try_from(at.names.posthog_project).unwrap_or_default();
        posthog.insert("project_id".into(), Value::Integer(project));
        set(
            table(&mut services, "vercel"),
            [
                ("api", at.urls.vercel.as_str()),
                ("project", at.names.vercel_project),
                ("team", at.names.vercel_team),
                ("token_env", "REHEARSAL_VERCEL"),
            ],
        );
        let slack = table(&mut services, "slack");
        set(slack, [("api", at.urls.slack.as_str()), ("token_env", "REHEARSAL_SLACK")]);
        for (id, name) in at.names.slack_channels {
            set(table(slack, "channels"), [(name, id)]);
        }
        set(
            table(&mut services, "statuspage"),
            [
                ("api", at.urls.statuspage.as_str()),
                ("page", at.names.statuspage_page),
                ("key_env", "REHEARSAL_STATUSPAGE"),
            ],
        );
        set(
            table(&mut services, "pagerduty"),
            [("api", at.urls.pagerduty.as_str()), ("key_env", "REHEARSAL_PAGERDUTY")],
        );
        config.insert("services".into(), services.into());
        let head = "# Written by `gonogo rehearse`: every address is a stand-in on this machine.\n\n";
        write(&dir.join("gonogo.toml"), format!("{head}{config}").as_bytes())?;
        let path = dir.join(".env");
        write_private(&path, &secrets(at)).map_err(|error| (path.display().to_string(), error))
    }
}

fn set<'v>(table: &mut Table, values: impl IntoIterator<Item = (&'v str, &'v str)>) {
    for (key, value) in values {
        table.insert(key.into(), Value::String(value.into()));
    }
}

fn write(path: &PathBuf, bytes: &[u8]) -> Result<(), Failed> {
    std::fs::write(path, bytes).map_err(|error| (path.display().to_string(), error))
}

fn secrets(at: &Addresses<'_>) -> SecretString {
    let keys = &at.credentials;
    let lines = [
        ("REHEARSAL_DATABASE_URL", at.database_url.expose_secret()),
        ("REHEARSAL_PULSE", &keys.pulse),
        ("REHEARSAL_SENTRY", &keys.sentry),
        ("REHEARSAL_SENTRY_DSN", &at.urls.sentry_dsn),
        ("REHEARSAL_POSTHOG", &keys.posthog),
        ("REHEARSAL_POSTHOG_PROJECT", &keys.posthog_project),
        ("REHEARSAL_VERCEL", &keys.vercel),
        ("REHEARSAL_SLACK", &keys.slack),
        ("REHEARSAL_STATUSPAGE", &keys.statuspage),
        ("REHEARSAL_PAGERDUTY", &keys.pagerduty),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        // A value in single quotes is taken as it is.
        writeln!(text, "{name}='{value}'").expect("a string takes every line");
    }
    text.into()
}

/// An environment file as the application's build would have it, complete, with the rollout at its first stage.
fn environment(version: &str) -> String {
    format!(
        "VITE_APP_VERSION={version}\n\
         VITE_SUPABASE_URL=https://rehearsal.invalid\n\
         VITE_SUPABASE_ANON_KEY=rehearsal-anon\n\
         VITE_PULSE_API_URL=https://pulse.invalid\n\
         VITE_PULSE_SYNC_ENABLED=true\n\
         VITE_PULSE_SYNC_INTERVAL_MINUTES=15\n\
         VITE_PULSE_API_TIMEOUT_MS=10000\n\
         VITE_FEATURE_CONTACTS_REDESIGN=true\n\
         VITE_FEATURE_PRIORITIES_FEED=true\n\
         VITE_FEATURE_AI_INSIGHTS=true\n\
         VITE_FEATURE_RELATIONSHIP_SCORING=true\n\
         VITE_FEATURE_BULK_CONTACT_IMPORT=true\n\
         VITE_FEATURE_INCREMENTAL_SYNC=true\n\
         VITE_SENTRY_DSN=https://public@sentry.invalid/1\n\
         VITE_SENTRY_ENVIRONMENT=production\n\
         VITE_SENTRY_TRACES_SAMPLE_RATE=0.1\n\
         VITE_POSTHOG_API_KEY=phc_rehearsal\n\
         VITE_POSTHOG_HOST=https://posthog.invalid\n\
         VITE_ROLLOUT_PERCENTAGE=10\n\
         VITE_EMERGENCY_DISABLE_CONTACTS=false\n\
         VITE_EMERGENCY_DISABLE_PULSE_SYNC=false\n\
         VITE_EMERGENCY_DISABLE_AI_FEATURES=false\n\
         VITE_ENABLE_CSP=true\n\
         VITE_ENABLE_HSTS=true\n\
         VITE_LOG_LEVEL=error\n"
    )
}
