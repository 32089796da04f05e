//! Looks, while the guard is open, at what taking the database back would lose now, so that the question shows it before anybody
//! answers. Reads only; what cannot be counted is told as unknown, never as nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Downs;
use crate::plan::RungKind;
use crate::run::live::{Outlook, Seen};
use crate::run::state::Guard;
use crate::run::{State, WorkerId};
use crate::store::Store;
use crate::workers::Standing;

/// Between two looks, in wall time: a count reads the tables.
const EVERY: Duration = Duration::from_secs(30);

/// Stands and looks.
#[derive(Debug)]
pub struct Lookout(Arc<dyn Downs>);

impl Lookout {
    /// With who knows the database's way back.
    pub fn new(downs: Arc<dyn Downs>) -> Self {
        Self(downs)
    }
}

/// Whether somebody may soon have to decide on it.
fn wanted(state: &State) -> bool {
    let Some(run) = state.run.as_ref().filter(|run| run.ended.is_none()) else { return false };
    let open = run
        .plan
        .ladder
        .iter()
        .any(|rung| rung.kind == RungKind::Database && !state.taken_back.contains(&rung.order));
    open && state.guard != Guard::Closed
}

impl Standing for Lookout {
    fn id(&self) -> WorkerId {
        WorkerId::Rollback
    }

    fn stand<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut state = store.state();
            while state.wait_for(|state: &Arc<State>| wanted(state)).await.is_ok() {
                let at = store.clock().now();
                let seen = match self.0.outlook().await {
                    Ok(seen) => seen,
                    Err(failure) => Seen::Unknown { why: failure.what },
                };
                store.outlook(Outlook { at, seen });
                tokio::time::sleep(EVERY).await;
            }
            std::future::pending::<()>().await;
        })
    }
}
