//! The workers of a cockpit. A new one is its file and a line here.

use std::sync::Arc;

use crate::workers::import::{ImportWorker, SyncStanding};
use crate::workers::migrate::MigrateWorker;
use crate::workers::{Kit, Post};

/// The posts that this cockpit can fill. One that lacks a credential says so when it is asked, so that nobody waits for a
/// worker that does not exist.
pub(super) fn posts(kit: &Kit) -> Vec<Post> {
    vec![
        Post::Jobs(Arc::new(MigrateWorker::new(kit))),
        Post::Jobs(Arc::new(ImportWorker::new(kit.clone()))),
        Post::Standing(Arc::new(SyncStanding::new(kit.clone()))),
    ]
}
