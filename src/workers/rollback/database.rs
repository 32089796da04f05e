//! The database back: the last resort. Says first what is lost, backs that up, then runs the down migrations, newest first.
//!
//! How a migration is run down is the migration engine's; it comes in through [`Downs`]. Nothing is run down before the backup of
//! what would be lost is whole.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Taken, Way, plan_of, step};
use crate::plan::RungKind;
use crate::run::live::Seen;
use crate::run::{Failure, StepPlan, WorkerId};
use crate::services::retry::Poll;
use crate::workers::Desk;
use crate::workers::stop::{Stop, go_on};

/// What the migration engine does for a rollback. Every answer is a line for the record.
pub trait Downs: std::fmt::Debug + Send + Sync + 'static {
    /// The numbers of the migrations that are applied and have a way back, newest first.
    fn applied<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<Vec<u64>, Failure>>;

    /// Counts what would be lost if it were taken now, and says what speaks against it. Changes nothing.
    fn outlook(&self) -> BoxFuture<'_, Result<Seen, Failure>>;

    /// Counts what would be lost.
    fn loss<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<String, Failure>>;

    /// Backs up what would be lost, and proves the copy. One that an earlier attempt at this job made is kept as it is: after
    /// the first down migration there would be less to back up.
    fn backup<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<String, Failure>>;

    /// Runs one migration down and its checks; `step` is the desk's step that it is told under.
    fn down<'a>(
        &'a self,
        desk: &'a Desk,
        step: u32,
        migration: u64,
    ) -> BoxFuture<'a, Result<String, Failure>>;

    /// Proves that the schema is what it was before the first of them.
    fn verify<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<String, Failure>>;
}

const BEFORE: [&str; 3] = ["count what will be lost", "stop what writes", "emergency backup"];
/// How long a job that was asked to give up may take to come to its next edge.
const STOPPED: Duration = Duration::from_mins(2);

/// The database.
#[derive(Debug)]
pub(super) struct Database(pub(super) Arc<dyn Downs>);

impl Database {
    async fn down(&self, desk: &Desk) -> Result<Taken, Stop> {
        let since = desk.clock().now();
        let downs = &self.0;
        let noted = |note: String| ((), Some(note));
        desk.step(0, async { Ok(noted(downs.loss(desk).await?)) }).await?;
        go_on(desk, "nothing was taken back").await?;
        desk.step(1, quiet(desk)).await?;
        desk.step(2, async { Ok(noted(downs.backup(desk).await?)) }).await?;
        let applied = downs.applied(desk).await?;
        let mut place = 3;
        let mut done = Vec::new();
        for migration in &applied {
            let state = match done.last() {
                None => "nothing was run down; the emergency backup stands".to_owned(),
                Some(last) => format!("down to {last:03} is done, the ones before it still stand"),
            };
            go_on(desk, &state).await?;
            desk.step(place, async { Ok(noted(downs.down(desk, place, *migration).await?)) }).await?;
            done.push(*migration);
            place += 1;
        }
        let proof = desk
            .step(place, async {
                let proof = downs.verify(desk).await?;
                Ok((proof.clone(), Some(proof)))
            })
            .await?;
        let list: Vec<_> = applied.iter().map(|number| format!("{number:03}")).collect();
        let says = if list.is_empty() {
            format!("no migration was applied any more; {proof}")
        } else {
            format!("{} are run down; {proof}", list.join(", "))
        };
        Ok(Taken { since, proven: desk.clock().now(), says })
    }
}

/// Waits until nothing of ours writes any more. The sync stopped when the rollback was asked for.
async fn quiet(desk: &Desk) -> Result<((), Option<String>), Failure> {
    let pause = Duration::from_secs(1);
    let mut poll = Poll::new(desk.clock(), pause, pause, STOPPED);
    loop {
        let state = desk.state();
        let mut open = [WorkerId::Import, WorkerId::Migrate].into_iter().flat_map(|who| state.open_jobs(who));
        let Some(job) = open.next() else {
            return Ok(((), Some("import, sync and migrations are stopped".into())));
        };
        let busy = format!("job {} ({})", job.id, job.kind.title());
        desk.doing(Some(1), format!("waiting for {busy} to stop"));
        if !poll.again().await {
            return Err(Failure {
                what: format!("{busy} did not stop"),
                state: "nothing was taken back".into(),
                next: "cancel it, or close the cockpit that runs it; then take this rung again".into(),
            });
        }
    }
}

impl Way for Database {
    fn kind(&self) -> RungKind {
        RungKind::Database
    }

    fn steps<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<Vec<StepPlan>, Failure>> {
        Box::pin(async move {
            let mut steps = plan_of(&BEFORE);
            let applied = self.0.applied(desk).await?;
            steps.extend(applied.iter().map(|number| step(&format!("{number:03} down"), None)));
            steps.push(step("see the schema as it was before", None));
            Ok(steps)
        })
    }

    fn take<'a>(&'a self, desk: &'a Desk, _bound: Duration) -> BoxFuture<'a, Result<Taken, Stop>> {
        Box::pin(self.down(desk))
    }

    fn undo_steps(&self) -> &'static [&'static str] {
        &[]
    }

    fn undo<'a>(&'a self, _desk: &'a Desk, _first: u32) -> BoxFuture<'a, Result<String, Stop>> {
        Box::pin(async { Ok(String::new()) })
    }
}
