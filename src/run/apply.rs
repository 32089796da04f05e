//! What follows from an event. Total and without judgement: whatever `decide` let into the journal is folded, in order,
//! and the same journal always folds into the same state.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::event::{Event, NoteKind, Record};
use super::job::{
    Answer, Asked, Attempt, Facts, Job, JobId, JobKind, JobStatus, Outcome, Step, StepOutcome, StepStatus,
};
use super::state::{
    Alert, Decision, Guard, Health, ItemState, Note, PhaseState, Run, Signature, State, Sync, TAIL,
};
use super::steer::Steered;
use super::upkeep::{History, Hold, Mock, SyncTrouble};
use crate::plan::{PhaseKind, RungKind};

impl State {
    /// Folds one record in.
    pub fn apply(&mut self, record: Arc<Record>) {
        self.seq = record.seq;
        self.at = record.at;
        self.fold(&record);
        self.tail.push_back(record);
        while self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }

    fn fold(&mut self, record: &Record) {
        let at = record.at;
        let signature = || Signature { by: record.by.clone(), at };
        match &record.event {
            Event::Opened { plan, mode } => {
                self.run = Some(Run { plan: Arc::clone(plan), mode: *mode, opened: at, ended: None });
                self.open_preparation(at);
            }
            Event::Replanned { plan } => {
                if let Some(run) = &mut self.run {
                    run.plan = Arc::clone(plan);
                }
                self.open_preparation(at);
            }
            Event::Joined => {}
            Event::PhaseStarted { phase } => {
                self.phases.insert(phase.clone(), PhaseState { since: at, go: None, no_gos: Vec::new() });
            }
            Event::Go { phase, evidence } => {
                if let Some(state) = self.phases.get_mut(phase) {
                    state.go = Some(Decision { by: record.by.clone(), at, words: evidence.clone() });
                }
            }
            Event::NoGo { phase, reason } => {
                if let Some(state) = self.phases.get_mut(phase) {
                    state.no_gos.push(Decision { by: record.by.clone(), at, words: reason.clone() });
                }
            }
            Event::ItemDone { .. }
            | Event::ItemSkipped { .. }
            | Event::ItemFailed { .. }
            | Event::ItemReopened { .. } => self.fold_item(record),
            Event::Noted { item, kind, text } => self.notes.push(Note {
                by: record.by.clone(),
                at,
                item: item.clone(),
                kind: *kind,
                text: text.clone(),
            }),
            Event::Signed { gate } => self.signatures.entry(gate.clone()).or_default().push(signature()),
            Event::Armed => self.guard = Guard::Armed { by: record.by.clone(), at },
            Event::Disarmed => self.guard = Guard::Closed,
            Event::VerdictChanged { metric, verdict, reading } => {
                let health = Health { verdict: *verdict, since: at, reading: reading.clone() };
                self.health.insert(metric.clone(), health);
            }
            Event::AlertFired { metric, reading, since } => {
                self.marks.detected.get_or_insert(at);
                self.marks.bad_since.get_or_insert(*since);
                let alert = Alert { fired: at, since: *since, reading: reading.clone(), seen: None };
                self.alerts.insert(metric.clone(), alert);
            }
            Event::AlertCleared { metric } => {
                self.alerts.remove(metric);
                if self.alerts.is_empty() && self.marks.decided.is_none() {
                    // It went away by itself: the next one is timed anew.
                    self.marks.detected = None;
                    self.marks.bad_since = None;
                }
            }
            Event::AlertAcknowledged { metric } => {
                if let Some(alert) = self.alerts.get_mut(metric) {
                    alert.seen = Some(signature());
                }
            }
            Event::FaultInjected { .. } => {
                self.marks.fault.get_or_insert(at);
            }
            Event::FaultCleared { .. } => {
                if self.marks.decided.is_none() {
                    self.marks.fault = None;
                }
            }
            Event::Synced { imported, updated, unchanged, failed, conflicts: _ } => {
                let (passes, before) = match self.sync {
                    Sync::Off => (0, (0, 0)),
                    Sync::On { passes, good, bad, .. } => (passes, (good, bad)),
                };
                // A pass that settled nothing says nothing of how well settling goes.
                let now = (imported + updated + unchanged, *failed);
                let (good, bad) = if now == (0, 0) { before } else { now };
                self.sync = Sync::On { last: at, passes: passes + 1, good, bad };
                self.sync_trouble = None;
            }
            Event::SyncFailed { what } => {
                self.sync_trouble = Some(SyncTrouble { since: at, what: what.clone() });
            }
            Event::PulseFailed { job, .. } => self.pulse_failed = Some(*job),
            Event::Held { what, why } => {
                self.held.insert(*what, Hold { by: record.by.clone(), at, why: why.clone() });
            }
            Event::Released { what } => {
                self.held.remove(what);
            }
            Event::Paced { share } => self.pace = Some(*share).filter(|share| *share < 100),
            Event::Mocked { why } => {
                self.mock = Some(Mock { by: record.by.clone(), at, why: why.clone(), gone: None });
            }
            Event::HistoryRead { contacts, interactions, failed } => {
                self.history =
                    Some(History { at, contacts: *contacts, interactions: *interactions, failed: *failed });
            }
            Event::Closed { ending } => {
                self.guard = Guard::Closed;
                self.sync = Sync::Off;
                if let Some(run) = &mut self.run {
                    run.ended = Some((at, *ending));
                }
            }
            Event::JobRequested { .. }
            | Event::JobStarted { .. }
            | Event::JobPlanned { .. }
            | Event::StepStarted { .. }
            | Event::StepEnded { .. }
            | Event::JobPaused { .. }
            | Event::JobResumed { .. }
            | Event::JobCancelling { .. }
            | Event::JobSteered { .. }
            | Event::SteerAnswered { .. }
            | Event::JobAsked { .. }
            | Event::JobAnswered { .. }
            | Event::JobEnded { .. } => self.fold_job(record),
        }
    }

    fn open_preparation(&mut self, at: DateTime<Utc>) {
        let Some(run) = &self.run else { return };
        for phase in run.plan.checklist.phases.iter().filter(|phase| phase.kind == PhaseKind::Preparation) {
            self.phases.entry(phase.id.clone()).or_insert_with(|| PhaseState {
                since: at,
                go: None,
                no_gos: Vec::new(),
            });
        }
    }

    fn fold_item(&mut self, record: &Record) {
        let (by, at) = (record.by.clone(), record.at);
        let (item, state) = match &record.event {
            Event::ItemDone { item, value, evidence } => {
                (item, ItemState::Done { by, at, value: value.clone(), evidence: evidence.clone() })
            }
            Event::ItemSkipped { item, reason } => {
                (item, ItemState::Skipped { by, at, reason: reason.clone() })
            }
            Event::ItemFailed { item, reason } => {
                (item, ItemState::Failed { by, at, reason: reason.clone() })
            }
            Event::ItemReopened { item, reason } => {
                let text = format!("reopened: {reason}");
                self.notes.push(Note { by, at, item: Some(item.clone()), kind: NoteKind::Note, text });
                (item, ItemState::Open)
            }
            _ => return,
        };
        self.items.insert(item.clone(), state);
    }

    fn fold_job(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::JobRequested { job, kind, item } => {
                self.requested(record, *job, kind);
                if let Some(item) = item {
                    self.items.insert(item.clone(), ItemState::Running { job: *job });
                }
                let entry = Job {
                    id: *job,
                    kind: kind.clone(),
                    item: item.clone(),
                    by: record.by.clone(),
                    requested: at,
                    status: JobStatus::Requested,
                    steps: Vec::new(),
                    steered: Vec::new(),
                    asked: None,
                };
                self.jobs.insert(*job, entry);
            }
            Event::JobStarted { job, attempt, cockpit } => self.with_job(*job, |job| {
                let attempt = Attempt { number: *attempt, since: at, cockpit: Arc::clone(cockpit) };
                // A pause or a cancellation that was asked for outlives the cockpit that was to obey it.
                job.status = match job.status {
                    JobStatus::Paused(_) => JobStatus::Paused(attempt),
                    JobStatus::Cancelling(_) => JobStatus::Cancelling(attempt),
                    _ => JobStatus::Running(attempt),
                };
            }),
            Event::JobPlanned { job, steps } => self.with_job(*job, |job| {
                let steps = steps.iter().cloned();
                job.steps = steps.map(|plan| Step { plan, status: StepStatus::Waiting }).collect();
            }),
            Event::StepStarted { job, step } => self.with_job(*job, |job| {
                if let Some(step) = job.steps.get_mut(*step as usize) {
                    step.status = StepStatus::Running { since: at };
                }
            }),
            Event::StepEnded { job, step, outcome } => self.with_job(*job, |job| {
                if let Some(step) = job.steps.get_mut(*step as usize) {
                    let since = match step.status {
                        StepStatus::Running { since } => Some(since),
                        _ => None,
                    };
                    step.status = StepStatus::Ended { since, at, outcome: outcome.clone() };
                }
            }),
            Event::JobPaused { job } => self.with_job(*job, |job| {
                if let JobStatus::Running(attempt) = &job.status {
                    job.status = JobStatus::Paused(attempt.clone());
                }
            }),
            Event::JobResumed { job } => self.with_job(*job, |job| {
                if let JobStatus::Paused(attempt) = &job.status {
                    job.status = JobStatus::Running(attempt.clone());
                }
            }),
            Event::JobCancelling { job } => self.with_job(*job, |job| {
                if let JobStatus::Running(attempt) | JobStatus::Paused(attempt) = &job.status {
                    job.status = JobStatus::Cancelling(attempt.clone());
                }
            }),
            Event::JobSteered { job, steer } => self.with_job(*job, |job| {
                let (by, steer) = (record.by.clone(), steer.clone());
                job.steered.push(Steered { by, at, steer, answer: None });
            }),
            Event::SteerAnswered { job, steer, outcome } => self.with_job(*job, |job| {
                if let Some(steered) = job.steered.get_mut(*steer as usize) {
                    steered.answer = Some(outcome.clone());
                }
            }),
            Event::JobAsked { job, question } => self.with_job(*job, |job| {
                job.asked = Some(Asked { question: question.clone(), at, answer: None });
            }),
            Event::JobAnswered { job, reason } => self.with_job(*job, |job| {
                if let Some(asked) = &mut job.asked {
                    asked.answer = Some(Answer { by: record.by.clone(), at, reason: reason.clone() });
                }
            }),
            Event::JobEnded { job, outcome } => {
                self.with_job(*job, |job| job.end(at, outcome));
                self.consequences(*job, outcome, at);
            }
            _ => {}
        }
    }

    fn with_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.get_mut(&id) {
            change(job);
        }
    }

    fn requested(&mut self, record: &Record, _job: JobId, kind: &JobKind) {
        if let JobKind::Rollback { .. } = kind {
            self.marks.decided.get_or_insert(record.at);
            self.marks.recovered = None;
            self.sync = Sync::Off;
        }
    }

    /// A rollback that did not help is taken nevertheless: the rung that needs it must not wait for it.
    fn taken_in_vain(&mut self, job: JobId) {
        let taken = self.jobs.get(&job).filter(|job| job.took_effect()).map(|job| job.kind.clone());
        if let Some(JobKind::Rollback { rung, kind }) = taken {
            self.taken_back.insert(rung);
            if kind == RungKind::Flag {
                self.share = Some(0);
            }
        }
    }

    fn consequences(&mut self, job: JobId, outcome: &Outcome, at: DateTime<Utc>) {
        let Outcome::Succeeded { facts, .. } = outcome else {
            self.taken_in_vain(job);
            return;
        };
        let Some(kind) = self.jobs.get(&job).map(|job| job.kind.clone()) else { return };
        let undone = |undone: RungKind, state: &Self| {
            let ladder = state.plan().map(|plan| plan.ladder.clone()).unwrap_or_default();
            ladder.into_iter().filter(|rung| rung.kind == undone).map(|rung| rung.order).collect::<Vec<_>>()
        };
        match kind {
            JobKind::Rollback { rung, kind } => {
                self.taken_back.insert(rung);
                self.marks.recovered = Some(at);
                if kind == RungKind::Flag {
                    self.share = Some(0);
                }
            }
            JobKind::Rollout { share } => {
                if let Facts::Share { percent } = facts {
                    self.share = Some(*percent);
                }
                if share > 0 {
                    for rung in undone(RungKind::Flag, self) {
                        self.taken_back.remove(&rung);
                    }
                }
            }
            // A real import replaces the mock data, and verifies that they are gone before it ends.
            JobKind::Import | JobKind::MockRemove => {
                if let Some(mock) = &mut self.mock {
                    mock.gone.get_or_insert(at);
                }
            }
            JobKind::Deploy => {
                for rung in undone(RungKind::Deployment, self) {
                    self.taken_back.remove(&rung);
                }
            }
            JobKind::MigrateUp { .. } => {
                for rung in undone(RungKind::Database, self) {
                    self.taken_back.remove(&rung);
                }
            }
            _ => {}
        }
    }
}

impl Job {
    fn end(&mut self, at: DateTime<Utc>, outcome: &Outcome) {
        self.status = JobStatus::Ended { at, outcome: outcome.clone() };
        for step in &mut self.steps {
            let (since, because) = match step.status {
                StepStatus::Waiting => (None, "the job ended before it"),
                StepStatus::Running { since } => (Some(since), "the job ended in it"),
                StepStatus::Ended { .. } => continue,
            };
            let outcome = StepOutcome::NotRun { because: because.into() };
            step.status = StepStatus::Ended { since, at, outcome };
        }
    }
}
