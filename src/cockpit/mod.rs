//! A cockpit: one person's seat at a run. Opens the run, brings the workers that this seat has credentials for, says who
//! is here, and leaves without taking anything down.
//!
//! It holds no rule and draws nothing. The screen and the headless modes both stand on it.

mod posts;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::plan::load::Loaded;
use crate::run::live::Presence;
use crate::run::{Actor, Command, Mode, Refusal};
use crate::secrets::{Secrets, SecretsError};
use crate::store::{Store, StoreError, SubmitError};
use crate::workers::{Crew, Kit};

/// How often a cockpit says that it is here, in wall time.
const HERE: Duration = Duration::from_secs(3);

/// Why a cockpit could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum CockpitError {
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The env file.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A rule.
    #[error("the run was not opened: {0}")]
    Refused(Refusal),
}

impl From<SubmitError> for CockpitError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => Self::Refused(refusal),
            SubmitError::Store(error) => Self::Store(error),
        }
    }
}

/// A new cockpit's id.
pub fn new_id() -> Arc<str> {
    uuid::Uuid::new_v4().simple().to_string().into()
}

/// An open cockpit.
#[derive(Debug)]
pub struct Cockpit {
    /// The run.
    pub store: Store,
    /// This cockpit's id.
    pub id: Arc<str>,
    crew: Crew,
    here: JoinHandle<()>,
}

impl Cockpit {
    /// Takes a seat at the run of `store`: opens it if nobody has, takes the plan over if it was edited, and sends the
    /// crew to its posts.
    pub async fn open(
        store: Store,
        loaded: &Loaded,
        mode: Mode,
        seat: &Actor,
        id: Arc<str>,
    ) -> Result<Self, CockpitError> {
        let plan = Arc::new(loaded.plan.clone());
        let state = store.now();
        match &state.run {
            None => {
                let open = Command::Open { plan, mode };
                match store.submit(seat, open).await {
                    // Another cockpit was faster; its run is this one.
                    Ok(_) | Err(SubmitError::Refused(Refusal::AlreadyOpen(_))) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Some(run) if run.ended.is_none() && *run.plan != *plan => {
                match store.submit(seat, Command::Replan { plan }).await {
                    Ok(_) | Err(SubmitError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Some(_) => {}
        }
        match store.submit(seat, Command::Join).await {
            Ok(_) | Err(SubmitError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let secrets = Secrets::load(&loaded.path(&loaded.config.secrets.env_file))?;
        let kit = Kit::new(loaded.config.clone(), &loaded.root, secrets, store.clock().clone());
        let staging = loaded.staging.as_ref().map(|staging| {
            let secrets = Secrets::load(&staging.root.join(&staging.config.secrets.env_file))?;
            Ok::<_, SecretsError>(Kit::new(
                staging.config.clone(),
                &staging.root,
                secrets,
                store.clock().clone(),
            ))
        });
        let crew = Crew::start(&store, &id, posts::posts(&kit, staging.transpose()?.as_ref()));
        let presence = Presence { cockpit: Arc::clone(&id), name: Arc::clone(&seat.name), role: seat.role };
        let here = tokio::spawn(say_here(store.clone(), presence));
        Ok(Self { store, id, crew, here })
    }

    /// Leaves: the workers stop where they are, and what they had under way is taken up by another cockpit, or by the
    /// next one here.
    pub async fn leave(self) {
        self.here.abort();
        self.crew.leave().await;
    }
}

async fn say_here(store: Store, presence: Presence) {
    let mut ticks = tokio::time::interval(HERE);
    loop {
        ticks.tick().await;
        if let Err(error) = store.beside().present(&presence).await {
            tracing::warn!(%error, "the others do not see this cockpit");
        }
    }
}
