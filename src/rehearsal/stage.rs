//! Sets a rehearsal's stage: a directory that holds a whole deployment, as a real one would, with stand-ins at the other
//! end of its sockets. The cockpit is then opened on that directory as on any other.
//!
//! It guarantees that a rehearsal cannot reach a real service or a real database: every address in the directory's
//! gonogo.toml is a loopback one, and every secret is looked up under a name that only the rehearsal sets. A killed
//! rehearsal is set up again on the same data, with the clock where it stopped.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use toml::Table;

use super::scenario::{Scenario, ScenarioError};
use super::standin::{NAMES, StandinError, Standins};
use super::world::{FLAG, World, WorldError};
use super::{contacts, settings};
use crate::clock::{Clock, Pace};
use crate::plan::load::{Loaded, load};
use crate::plan::{PhaseKind, Problem};
use crate::scratch::{Scratch, ScratchError};
use crate::store::{Store, StoreError};

/// The scratch database.
pub const DATABASE: &str = "crm";
/// What everything that is drawn by lot starts from.
const SEED: u64 = 0x676f_6e6f;
/// How long before the first phase a rehearsal begins.
const EARLY: TimeDelta = TimeDelta::minutes(20);

/// What is rehearsed.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where.
    pub dir: PathBuf,
    /// What goes wrong.
    pub scenario: String,
    /// How fast the clock runs.
    pub speed: f64,
    /// How many profiles Pulse has; the scenario's number where none is named.
    pub contacts: Option<u32>,
    /// The database whose schema is cloned; the shipped one where none is named.
    pub from: Option<SecretString>,
    /// The team's own gonogo.toml and checklist; the shipped ones where none are named.
    pub config: Option<PathBuf>,
    /// The team's own checklist.
    pub checklist: Option<PathBuf>,
    /// Whether to go on with what is there.
    pub start: Start,
}

/// Whether to go on with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Go on with an unfinished rehearsal of the same scenario; else begin anew.
    Resume,
    /// Begin anew.
    Fresh,
}

/// Why the stage could not be set.
#[derive(Debug, Error)]
pub enum StageError {
    /// Another rehearsal has the directory.
    #[error(
        "another rehearsal runs in {0}; join it with `gonogo --config {0}/gonogo.toml`, or name another directory with \
         --dir"
    )]
    Taken(String),
    /// A file of the rehearsal.
    #[error("{path} cannot be used: {source}; nothing outside the rehearsal's directory was touched")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The plan.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Plan(Vec<Problem>),
    /// The scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The scratch database.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A statement in the scratch database.
    #[error("the scratch database refused {what}: {source}")]
    Database {
        /// What was done.
        what: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// The stand-ins.
    #[error(transparent)]
    Standin(#[from] StandinError),
    /// Their world.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A set stage. Dropped, everything on it stops.
#[derive(Debug)]
pub struct Stage {
    /// The plan and configuration of the rehearsal's directory.
    pub loaded: Loaded,
    /// The journal.
    pub store: Store,
    /// What the stand-ins share.
    pub world: Arc<World>,
    /// Whether an unfinished rehearsal goes on.
    pub resumed: bool,
    _standins: Standins,
    scratch: Scratch,
    _lock: File,
}

/// What the stage is being set with, for the first screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prop {
    /// The directory and the journal.
    Journal,
    /// The scratch PostgreSQL.
    Postgres,
    /// Contacts in it.
    Contacts,
    /// The stand-ins.
    Standins,
}

impl Prop {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::Journal, Self::Postgres, Self::Contacts, Self::Standins];

    /// Its words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Postgres => "scratch PostgreSQL",
            Self::Contacts => "contacts in it",
            Self::Standins => "stand-ins of the services",
        }
    }
}

impl Stage {
    /// Sets the stage; `told` hears of each prop as it stands.
    pub async fn set(
        options: &Options,
        clock: &Clock,
        mut told: impl FnMut(Prop, String),
    ) -> Result<Self, StageError> {
        let scenario = Scenario::shipped(&options.scenario)?;
        let dir = &options.dir;
        let lock = take(dir)?;
        let resumed = options.start == Start::Resume && unfinished(dir, clock, &scenario.name).await;
        if !resumed {
            clear(dir)?;
        }
        let files = settings::Files::gather(options.config.as_deref(), options.checklist.as_deref())
            .map_err(StageError::Plan)?;
        files.lay_out(dir).map_err(|(path, source)| StageError::File { path, source })?;
        let store = Store::open(&dir.join(settings::JOURNAL), clock.clone()).await?;
        let shown = if resumed { store.now().at } else { opening(&files, clock.now()) };
        let pace = Pace { wall: Clock::wall().now(), shown, speed: options.speed };
        store.set_pace(pace).await?;
        told(Prop::Journal, format!("{} events", store.now().seq));

        let scratch = Scratch::start(&dir.join("postgres")).await?;
        told(Prop::Postgres, format!("port {}", scratch.port()));
        let count = options.contacts.unwrap_or(scenario.contacts);
        if scratch.create_database(DATABASE).await? {
            let note = fill(&scratch, options, &scenario, count, clock).await?;
            told(Prop::Contacts, note);
        } else {
            told(Prop::Contacts, "as they were left".into());
        }

        let world = Arc::new(if resumed {
            World::resume(dir, clock.clone())?
        } else {
            World::create(dir, clock.clone(), scenario, SEED, count)?
        });
        let standins = Standins::start(Arc::clone(&world)).await?;
        let addresses = settings::Addresses {
            urls: &standins.urls,
            names: &NAMES,
            flag: FLAG,
            database: DATABASE,
            credentials: world.credentials(),
            database_url: scratch.url(DATABASE),
        };
        files.point_at(dir, &addresses).map_err(|(path, source)| StageError::File { path, source })?;
        told(Prop::Standins, "eight, on 127.0.0.1".into());
        // Setting the stage took time that is no time of the run.
        store.set_pace(Pace { wall: Clock::wall().now(), ..pace }).await?;
        let loaded = load(Some(&dir.join("gonogo.toml")), None).map_err(StageError::Plan)?;
        Ok(Self { loaded, store, world, resumed, _standins: standins, scratch, _lock: lock })
    }
}

impl Stage {
    /// The scratch PostgreSQL.
    pub const fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> StageError {
    let path = path.display().to_string();
    move |source| StageError::File { path, source }
}

/// Makes the directory and takes it for this process, for as long as the file is held.
fn take(dir: &Path) -> Result<File, StageError> {
    std::fs::create_dir_all(dir).map_err(file_error(dir))?;
    let path = dir.join("lock");
    let file = File::options().create(true).append(true).open(&path).map_err(file_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StageError::Taken(dir.display().to_string())),
        Err(TryLockError::Error(source)) => Err(file_error(&path)(source)),
    }
}

/// Whether a rehearsal of that scenario was left in its middle.
async fn unfinished(dir: &Path, clock: &Clock, scenario: &str) -> bool {
    let journal = dir.join(settings::JOURNAL);
    if !journal.exists() {
        return false;
    }
    let Ok(world) = World::resume(dir, clock.clone()) else { return false };
    if world.read(|state| state.scenario.name != scenario) {
        return false;
    }
    match Store::open(&journal, clock.clone()).await {
        Ok(store) => store.now().run.is_some() && store.now().ended().is_none(),
        Err(_) => false,
    }
}

/// Takes away what an earlier rehearsal left, and nothing else: only names that a rehearsal itself makes.
fn clear(dir: &Path) -> Result<(), StageError> {
    for name in settings::MADE {
        let path = dir.join(name);
        let gone = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match gone {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(file_error(&path)(source)),
        }
    }
    Ok(())
}

/// When the rehearsal's clock begins: some minutes before the first phase of the plan's day.
fn opening(files: &settings::Files, now: DateTime<Utc>) -> DateTime<Utc> {
    let plan = files.plan();
    let day = plan.day.unwrap_or_else(|| now.with_timezone(&plan.timezone).date_naive());
    let first = plan
        .checklist
        .phases
        .iter()
        .find(|phase| matches!(phase.kind, PhaseKind::Numbered(_)))
        .and_then(|phase| phase.starts)
        .unwrap_or(NaiveTime::MIN);
    let local = plan.timezone.from_local_datetime(&day.and_time(first)).earliest();
    local.map_or(now, |local| local.with_timezone(&Utc) - EARLY)
}

async fn fill(
    scratch: &Scratch,
    options: &Options,
    scenario: &Scenario,
    count: u32,
    clock: &Clock,
) -> Result<String, StageError> {
    let note = if let Some(from) = &options.from {
        let cloned = scratch.clone_schema_from(from, DATABASE).await?;
        format!("the schema of {} tables, without rows", cloned.tables)
    } else {
        scratch.load_base_schema(DATABASE).await?;
        let mut connection = scratch.connect(DATABASE).await?;
        let twice_every = scenario.database.twice_every;
        let seeded = contacts::fill(&mut connection, SEED, count, twice_every, clock.now())
            .await
            .map_err(|source| StageError::Database { what: "the contacts", source })?;
        format!("{} contacts", seeded.contacts)
    };
    if let Some(before) = &scenario.database.before {
        let mut connection = scratch.connect(DATABASE).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(before.clone()))
            .execute(&mut connection)
            .await
            .map_err(|source| StageError::Database { what: "what the scenario does before", source })?;
    }
    Ok(note)
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, text: &SecretString) -> std::io::Result<()> {
    let mut options = File::options();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.expose_secret().as_bytes())
}

/// The table of that name within another, made where it is missing.
pub(super) fn table<'t>(of: &'t mut Table, name: &str) -> &'t mut Table {
    let entry = of.entry(name).or_insert_with(|| Table::new().into());
    if !entry.is_table() {
        *entry = Table::new().into();
    }
    entry.as_table_mut().expect("it was made one just now")
}
