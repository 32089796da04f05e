//! A worker's line to the journal for one job: report steps, tell progress, and ask at each edge whether to go on.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::plan::Plan;
use crate::run::command::Report;
use crate::run::live::More;
use crate::run::{
    Actor, Command, Failure, Job, JobId, JobStatus, Progress, State, Steered, StepOutcome, StepPlan, WorkerId,
};
use crate::store::{Store, SubmitError};

/// What to do at the edge of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Go on.
    GoOn,
    /// Stop here, and say what was done and what was not.
    GiveUp,
}

/// One job on one worker's desk.
#[derive(Debug)]
pub struct Desk {
    store: Store,
    job: Job,
    by: Actor,
    state: watch::Receiver<Arc<State>>,
}

impl Desk {
    /// A desk for that job.
    pub fn new(store: Store, job: Job) -> Self {
        let by = Actor::machine(job.kind.worker().word());
        let state = store.state();
        Self { store, job, by, state }
    }

    /// The job as it was when it was taken up: its steps are those of the attempt before, if there was one.
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// The worker at this desk.
    pub const fn worker(&self) -> WorkerId {
        self.job.kind.worker()
    }

    /// The state now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    /// The plan, which every open run has.
    pub fn plan(&self) -> Option<Arc<Plan>> {
        self.state.borrow().plan().cloned()
    }

    /// The run's clock.
    pub fn clock(&self) -> &Clock {
        self.store.clock()
    }

    /// The store, for what is not about this job.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) async fn report(&self, report: Report) -> Result<(), Failure> {
        report_as(&self.store, &self.by, report).await
    }

    /// Says which steps there will be.
    pub async fn planned(&self, steps: Vec<StepPlan>) -> Result<(), Failure> {
        self.report(Report::Planned { job: self.job.id, steps }).await
    }

    /// Says which steps there will be, by their names alone.
    pub async fn planned_names<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<(), Failure> {
        let steps = names.into_iter().map(|name| StepPlan { name: name.into(), ..StepPlan::default() });
        self.planned(steps.collect()).await
    }

    /// Says that a step began.
    pub async fn step_started(&self, step: u32) -> Result<(), Failure> {
        self.report(Report::StepStarted { job: self.job.id, step }).await
    }

    /// What people have wished about the job, oldest first.
    pub fn steered(&self) -> Vec<Steered> {
        self.state.borrow().jobs.get(&self.job.id).map_or_else(Vec::new, |job| job.steered.clone())
    }

    /// Says what came of a wish.
    pub async fn answered(&self, steer: u32, outcome: StepOutcome) -> Result<(), Failure> {
        self.report(Report::Answered { job: self.job.id, steer, outcome }).await
    }

    /// Says how a step ended.
    pub async fn step_ended(&self, step: u32, outcome: StepOutcome) -> Result<(), Failure> {
        self.report(Report::StepEnded { job: self.job.id, step, outcome }).await
    }

    /// Takes a step: reports its begin, does the work, reports how it ended. The work answers with what it found and a
    /// remark for the record.
    pub async fn step<T>(
        &self,
        step: u32,
        work: impl Future<Output = Result<(T, Option<String>), Failure>>,
    ) -> Result<T, Failure> {
        self.step_started(step).await?;
        match work.await {
            Ok((found, note)) => {
                self.step_ended(step, StepOutcome::Done { note }).await?;
                Ok(found)
            }
            Err(failure) => {
                self.step_ended(step, StepOutcome::Failed { failure: failure.clone() }).await?;
                Err(failure)
            }
        }
    }

    /// Tells how far it is. Never waits; the latest wins.
    pub fn tell(&self, progress: Progress) {
        self.store.progress(progress);
    }

    /// Tells what is going on, where there is nothing to count.
    pub fn doing(&self, step: Option<u32>, doing: impl Into<String>) {
        self.tell(Progress {
            job: self.job.id,
            at: self.clock().now(),
            step,
            doing: doing.into(),
            done: 0,
            total: None,
            unit: String::new(),
            source: "ours".into(),
            rate: None,
            left: None,
            more: More::None,
        });
    }

    /// At an edge: waits while the job is paused, and says whether to go on.
    pub async fn edge(&self) -> Edge {
        let mut state = self.state.clone();
        loop {
            match status(&state.borrow_and_update(), self.job.id) {
                Some(JobStatus::Paused(_)) => {}
                Some(JobStatus::Running(_) | JobStatus::Requested) => return Edge::GoOn,
                Some(JobStatus::Cancelling(_) | JobStatus::Ended { .. }) | None => return Edge::GiveUp,
            }
            self.doing(None, "paused");
            if state.changed().await.is_err() {
                return Edge::GiveUp;
            }
        }
    }

    /// Ends when somebody asks the job to give up; for work that can be left in its middle.
    pub async fn given_up(&self) {
        let mut state = self.state.clone();
        let id = self.job.id;
        let given_up = |state: &Arc<State>| {
            matches!(status(state, id), Some(JobStatus::Cancelling(_) | JobStatus::Ended { .. }) | None)
        };
        if state.wait_for(given_up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn status(state: &State, id: JobId) -> Option<&JobStatus> {
    state.jobs.get(&id).map(|job| &job.status)
}

/// Reports as a worker. A report that a rule refuses is not this worker's to make any more: the job was ended by another.
pub(super) async fn report_as(store: &Store, by: &Actor, report: Report) -> Result<(), Failure> {
    match store.submit(by, Command::Report(report)).await {
        Ok(_) => Ok(()),
        Err(SubmitError::Refused(refusal)) => Err(Failure {
            what: format!("the record does not take this report: {refusal}"),
            state: "the job was ended elsewhere; this worker stopped at this point".into(),
            next: "see the log for who ended it".into(),
        }),
        Err(SubmitError::Store(error)) => Err(Failure {
            what: format!("the journal cannot be written: {error}"),
            state: "what was recorded is safe; this worker stopped at this point, before the next step"
                .into(),
            next: "mend the journal's place, then start again: the job goes on where it was".into(),
        }),
    }
}
