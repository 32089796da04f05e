//! The workers of a cockpit. A new one is its file and a line here.

use std::sync::Arc;

use crate::workers::announce::AnnounceWorker;
use crate::workers::deploy::DeployWorker;
use crate::workers::import::{ConflictsStanding, HistoryStanding, ImportWorker, SyncStanding};
use crate::workers::migrate::{Adviser, MigrateWorker};
use crate::workers::monitor::Monitor;
use crate::workers::rollback::{EngineDowns, Lookout, RollbackWorker};
use crate::workers::rollout::RolloutWorker;
use crate::workers::verify::VerifyWorker;
use crate::workers::{Kit, Post};

/// The posts of this cockpit. A worker that lacks a credential says so when it is asked, so that nobody waits for one that
/// does not exist. Staging has a kit of its own.
pub(super) fn posts(kit: &Kit, staging: Option<&Kit>) -> Vec<Post> {
    let downs = Arc::new(EngineDowns(kit.clone()));
    vec![
        Post::Jobs(Arc::new(MigrateWorker::new(kit))),
        Post::Standing(Arc::new(Adviser::new(kit))),
        Post::Jobs(Arc::new(ImportWorker::new(kit.clone()))),
        Post::Standing(Arc::new(SyncStanding::new(kit.clone()))),
        Post::Standing(Arc::new(ConflictsStanding::new(kit.clone()))),
        Post::Standing(Arc::new(HistoryStanding::new(kit.clone()))),
        Post::Jobs(Arc::new(DeployWorker::new(kit.clone()))),
        Post::Jobs(Arc::new(VerifyWorker::new(kit.clone()))),
        Post::Standing(Arc::new(Monitor::new(kit.clone()))),
        Post::Standing(Arc::new(Lookout::new(downs.clone()))),
        Post::Jobs(Arc::new(RollbackWorker::new(kit, downs).drilling_on(staging))),
        Post::Jobs(Arc::new(RolloutWorker::new(kit.clone()))),
        Post::Jobs(Arc::new(AnnounceWorker::new(kit.clone()))),
    ]
}
