//! The workers of one cockpit: each waits for work, takes the lease, does the work, reports the end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::desk::report_as;
use super::leases::Leases;
use super::{Desk, End, Post, Standing, Worker};
use crate::run::command::Report;
use crate::run::{Actor, Failure, Job, Outcome};
use crate::store::Store;

/// After what could not be written, how long until it is tried again, in wall time.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The workers of one cockpit. Dropped, they stop where they are; their jobs are taken up by the next crew.
#[derive(Debug)]
pub struct Crew {
    tasks: JoinSet<()>,
    store: Store,
    cockpit: Arc<str>,
}

impl Crew {
    /// Sends everybody to their post.
    pub fn start(store: &Store, cockpit: &Arc<str>, posts: impl IntoIterator<Item = Post>) -> Self {
        let mut tasks = JoinSet::new();
        let leases = Leases::new(store, cockpit);
        for post in posts {
            let (store, leases, cockpit) = (store.clone(), leases.clone(), Arc::clone(cockpit));
            tasks.spawn(async move {
                match post {
                    Post::Jobs(worker) => do_jobs(&*worker, &store, &leases, &cockpit).await,
                    Post::Standing(standing) => stand(&*standing, &store, &leases).await,
                }
            });
        }
        tasks.spawn(leases.keep());
        Self { tasks, store: store.clone(), cockpit: Arc::clone(cockpit) }
    }

    /// Stops everybody and gives the leases back, so that another cockpit need not wait for them to run out.
    pub async fn leave(mut self) {
        self.tasks.shutdown().await;
        if let Err(error) = self.store.beside().leave(&self.cockpit).await {
            tracing::warn!(%error, "the leases were not given back; they run out by themselves");
        }
    }
}

async fn do_jobs(worker: &dyn Worker, store: &Store, leases: &Leases, cockpit: &Arc<str>) {
    let mut state = store.state();
    loop {
        if state.wait_for(|state| state.open_jobs(worker.id()).next().is_some()).await.is_err() {
            return;
        }
        let lease = leases.take(worker.id()).await;
        // Between the look and the lease another cockpit may have done it.
        let job = store.now().open_jobs(worker.id()).next().cloned();
        if let Some(job) = job {
            tokio::select! {
                () = do_job(worker, store, cockpit, job) => {}
                () = lease.lost() => {
                    tracing::warn!(worker = %worker.id(), "the lease was lost; another cockpit goes on with the job");
                }
            }
        }
    }
}

async fn do_job(worker: &dyn Worker, store: &Store, cockpit: &Arc<str>, job: Job) {
    let id = job.id;
    let by = Actor::machine(worker.id().word());
    let started = Report::Started { job: id, cockpit: Arc::clone(cockpit) };
    if let Err(failure) = report_as(store, &by, started).await {
        tracing::error!(%failure, job = %id, "the job was not begun");
        tokio::time::sleep(ASK_AGAIN).await;
        return;
    }
    let desk = Desk::new(store.clone(), job);
    let outcome = match AssertUnwindSafe(worker.run(&desk)).catch_unwind().await {
        Ok(Ok(End::Succeeded { summary, facts })) => Outcome::Succeeded { summary, facts },
        Ok(Ok(End::Cancelled { state })) => Outcome::Cancelled { state },
        Ok(Err(failure)) => Outcome::Failed { failure },
        Err(_) => Outcome::Failed {
            failure: Failure {
                what: format!("the {} worker stopped unexpectedly", worker.id()),
                state: "what its last step did must be looked at".into(),
                next: "see gonogo.log for the place; then ask for the job again".into(),
            },
        },
    };
    if let Err(failure) = report_as(store, &by, Report::Ended { job: id, outcome }).await {
        tracing::error!(%failure, job = %id, "the end of the job was not recorded");
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn stand(standing: &dyn Standing, store: &Store, leases: &Leases) {
    loop {
        let lease = leases.take(standing.id()).await;
        tokio::select! {
            () = standing.stand(store) => {}
            () = lease.lost() => {}
        }
    }
}
