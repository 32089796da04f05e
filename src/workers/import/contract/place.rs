//! Where the contract is tried: in the database itself where the migrations are applied, else on a throwaway server that holds a
//! clone of its schema, migrated there.
//!
//! It guarantees that the database itself is not migrated, cloned from in more than its schema, or written to for good.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::super::trouble::{Trouble, words};
use super::database;
use crate::run::{Failure, StepOutcome, StepPlan};
use crate::scratch::{Scratch, ScratchError};
use crate::workers::Kit;
use crate::workers::migrate::files::Checks;
use crate::workers::migrate::worker::migrations;
use crate::workers::migrate::{BackupGate, Database, Edge, Moment, Options, Watcher, up};

/// The clone's name.
const CLONE: &str = "contract";

/// A place to try it.
#[derive(Debug)]
pub(super) enum Place {
    /// The database of the deployment.
    Here {
        /// Its name.
        name: String,
    },
    /// A clone of its schema.
    Clone {
        /// The throwaway server.
        scratch: Box<Scratch>,
        /// Its directory.
        dir: PathBuf,
    },
}

fn failed(what: String, next: &str) -> Failure {
    Failure { what, state: "nothing was changed".into(), next: next.into() }
}

fn trouble(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Failed(failure) => failure,
        Trouble::Lost(words) => failed(
            format!("the database does not let us in: {words}"),
            "look whether the server runs, and at the variable that holds its URL",
        ),
        Trouble::GivenUp => failed("it was given up".into(), "ask again"),
    }
}

fn scratch(error: &ScratchError) -> Failure {
    failed(
        format!("the schema is not migrated yet, and no clone of it could be made to try it on: {error}"),
        "mend what it names; or apply the migrations first, and ask again",
    )
}

/// Finds the place.
pub(super) async fn find(kit: &Kit) -> Result<Place, Failure> {
    let url = kit.database_url()?;
    let mut session = database::connect(&url).await.map_err(trouble)?;
    let migrated: bool = sqlx::query_scalar(
        "SELECT to_regclass('public.pulse_contact_interactions') IS NOT NULL \
         AND EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('public.contacts') \
                     AND attname = 'pulse_last_synced_at' AND NOT attisdropped)",
    )
    .fetch_one(&mut session)
    .await
    .map_err(|error| failed(format!("the database does not answer: {}", words(&error)), "ask again"))?;
    // The answer is in; a farewell that fails changes nothing.
    let _ = session.close().await;
    if migrated {
        return Ok(Place::Here { name: kit.config().database.name.clone() });
    }
    let dir = std::env::temp_dir().join(format!("gonogo-contract-{}", Uuid::new_v4()));
    let server = Scratch::start(&dir).await.map_err(|error| scratch(&error))?;
    let place = Place::Clone { scratch: Box::new(server), dir };
    match prepare(kit, &place).await {
        Ok(()) => Ok(place),
        Err(failure) => {
            place.leave().await;
            Err(failure)
        }
    }
}

async fn prepare(kit: &Kit, place: &Place) -> Result<(), Failure> {
    let Place::Clone { scratch: server, .. } = place else { return Ok(()) };
    server.clone_schema_from(&kit.database_url()?, CLONE).await.map_err(|error| scratch(&error))?;
    let deployment = &kit.config().deployment;
    let mut set = migrations(kit.path(&deployment.migrations), deployment.layout).await?;
    for migration in &mut set.migrations {
        // What the checks prove about rows, a clone without rows cannot hold.
        migration.checks = Checks::default();
    }
    let db = Database::connect(&server.url(CLONE), "gonogo contract").await?;
    let options = Options { by: "contract".into(), backup: BackupGate::Waived, ..Options::default() };
    Box::pin(up(&db, &set, None, &options, &Nobody)).await.map(drop).map_err(|failure| Failure {
        what: format!("the migrations do not run on a clone of the schema: {}", failure.what),
        state: "the database itself was not touched".into(),
        next: failure.next,
    })
}

impl Place {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Here { name } => format!("database {name:?}"),
            Self::Clone { .. } => "a clone of its schema, migrated".into(),
        }
    }

    pub(super) async fn open(&self, kit: &Kit) -> Result<PgConnection, Failure> {
        let url = match self {
            Self::Here { .. } => kit.database_url()?,
            Self::Clone { scratch, .. } => scratch.url(CLONE),
        };
        database::connect(&url).await.map_err(trouble)
    }

    /// Ends the throwaway server and removes what it left.
    pub(super) async fn leave(self) {
        if let Self::Clone { scratch, dir } = self {
            let data = scratch.dir().to_owned();
            if let Err(error) = scratch.stop().await {
                tracing::warn!(%error, "the throwaway server did not stop");
            }
            for left in [data, dir] {
                if let Err(error) = tokio::fs::remove_dir_all(&left).await
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    tracing::warn!(%error, dir = %left.display(), "the throwaway server's directory stays");
                }
            }
        }
    }
}

/// Nobody watches a clone.
struct Nobody;

impl Watcher for Nobody {
    fn planned(&self, _: Vec<StepPlan>) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn step_started(&self, _: u32) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn step_ended(&self, _: u32, _: StepOutcome) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn moment(&self, _: Moment) {}
    fn edge(&self) -> BoxFuture<'_, Edge> {
        Box::pin(async { Edge::GoOn })
    }
}
