//! Words for every event, with and without a state to take titles from.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;

use super::*;
use crate::plan::{Checklist, Plan};
use crate::run::event::{Actor, Ending, Mode};
use crate::run::job::{Failure, JobKind, Question, StepPlan};
use crate::run::judge::Verdict;
use crate::run::upkeep::Upkeep;

fn plan() -> Arc<Plan> {
    Arc::new(Plan {
        name: "Contacts Redesign".into(),
        version: "1.0.0".into(),
        day: None,
        timezone: chrono_tz::Tz::UTC,
        checklist: Checklist { title: String::new(), phases: Vec::new() },
        metrics: Vec::new(),
        ladder: Vec::new(),
        rollout: Vec::new(),
        operators: Vec::new(),
    })
}

fn failure() -> Failure {
    Failure { what: "it broke".into(), state: "half is done".into(), next: "look".into() }
}

fn question() -> Question {
    Question {
        what: "6 % were set aside".into(),
        going_on: "the rest is imported".into(),
        giving_up: "nothing is written".into(),
    }
}

/// One of each, in the order of the enum, and both of those that speak differently.
fn all() -> Vec<Event> {
    let job = JobId(7);
    let words = || "because".to_owned();
    let at = DateTime::UNIX_EPOCH;
    let step = StepPlan { name: "001 add columns".into(), ..StepPlan::default() };
    vec![
        Event::Opened { plan: plan(), mode: Mode::Live },
        Event::Replanned { plan: plan() },
        Event::Joined,
        Event::PhaseStarted { phase: "phase-1".into() },
        Event::Go { phase: "phase-1".into(), evidence: words() },
        Event::NoGo { phase: "phase-1".into(), reason: words() },
        Event::ItemDone { item: "backup".into(), value: Some("42".into()), evidence: Some("counted".into()) },
        Event::ItemSkipped { item: "backup".into(), reason: words() },
        Event::ItemFailed { item: "backup".into(), reason: words() },
        Event::ItemReopened { item: "backup".into(), reason: words() },
        Event::Noted { item: Some("backup".into()), kind: NoteKind::Deviation, text: "two\nlines".into() },
        Event::Signed { gate: "ready".into() },
        Event::JobRequested { job, kind: JobKind::Deploy, item: Some("deploy".into()) },
        Event::JobStarted { job, attempt: 1, cockpit: "a".into() },
        Event::JobStarted { job, attempt: 2, cockpit: "b".into() },
        Event::JobPlanned { job, steps: vec![step] },
        Event::StepStarted { job, step: 0 },
        Event::StepEnded { job, step: 0, outcome: StepOutcome::Failed { failure: failure() } },
        Event::JobPaused { job },
        Event::JobResumed { job },
        Event::JobCancelling { job },
        Event::JobSteered { job, steer: Steer::LeaveOut { step: "001 create index i".into() } },
        Event::SteerAnswered { job, steer: 0, outcome: StepOutcome::Done { note: Some("gone".into()) } },
        Event::JobAsked { job, question: question() },
        Event::JobAnswered { job, reason: words() },
        Event::JobEnded { job, outcome: Outcome::Failed { failure: failure() } },
        Event::Synced { imported: 1, updated: 2, unchanged: 4, failed: 3, conflicts: 5 },
        Event::SyncFailed { what: words() },
        Event::PulseFailed { job, what: words() },
        Event::Held { what: Upkeep::Sync, why: words() },
        Event::Released { what: Upkeep::Sync },
        Event::Paced { share: 40 },
        Event::Mocked { why: words() },
        Event::HistoryRead { contacts: 7, interactions: 40, failed: 1 },
        Event::Armed,
        Event::Disarmed,
        Event::VerdictChanged { metric: "error_rate".into(), verdict: Verdict::Bad, reading: "7 %".into() },
        Event::AlertFired { metric: "error_rate".into(), reading: "7 %".into(), since: at },
        Event::AlertCleared { metric: "error_rate".into() },
        Event::AlertAcknowledged { metric: "error_rate".into() },
        Event::FaultInjected { fault: "error-spike".into() },
        Event::FaultCleared { fault: "error-spike".into() },
        Event::Closed { ending: Ending::Success },
    ]
}

/// Grows with the enum: a variant without a line here does not compile, and one without an event in `all` fails below.
const fn place(event: &Event) -> usize {
    match event {
        Event::Opened { .. } => 0,
        Event::Replanned { .. } => 1,
        Event::Joined => 2,
        Event::PhaseStarted { .. } => 3,
        Event::Go { .. } => 4,
        Event::NoGo { .. } => 5,
        Event::ItemDone { .. } => 6,
        Event::ItemSkipped { .. } => 7,
        Event::ItemFailed { .. } => 8,
        Event::ItemReopened { .. } => 9,
        Event::Noted { .. } => 10,
        Event::Signed { .. } => 11,
        Event::JobRequested { .. } => 12,
        Event::JobStarted { .. } => 13,
        Event::JobPlanned { .. } => 14,
        Event::StepStarted { .. } => 15,
        Event::StepEnded { .. } => 16,
        Event::JobPaused { .. } => 17,
        Event::JobResumed { .. } => 18,
        Event::JobCancelling { .. } => 19,
        Event::JobSteered { .. } => 20,
        Event::SteerAnswered { .. } => 21,
        Event::JobAsked { .. } => 39,
        Event::JobAnswered { .. } => 40,
        Event::JobEnded { .. } => 22,
        Event::Synced { .. } => 23,
        Event::SyncFailed { .. } => 24,
        Event::PulseFailed { .. } => 41,
        Event::Held { .. } => 25,
        Event::Released { .. } => 26,
        Event::Paced { .. } => 27,
        Event::Mocked { .. } => 28,
        Event::HistoryRead { .. } => 29,
        Event::Armed => 30,
        Event::Disarmed => 31,
        Event::VerdictChanged { .. } => 32,
        Event::AlertFired { .. } => 33,
        Event::AlertCleared { .. } => 34,
        Event::AlertAcknowledged { .. } => 35,
        Event::FaultInjected { .. } => 36,
        Event::FaultCleared { .. } => 37,
        Event::Closed { .. } => 38,
    }
}

fn record(event: Event) -> Record {
    Record { seq: 1, at: DateTime::UNIX_EPOCH, by: Actor::machine("test"), event }
}

#[test]
fn every_event_has_words_and_they_differ() {
    let places: BTreeSet<usize> = all().iter().map(place).collect();
    assert_eq!(places, (0..=41).collect(), "one of each variant");
    let said: BTreeSet<String> = all().into_iter().map(|event| words(&record(event), None)).collect();
    assert_eq!(said.len(), all().len(), "no two say the same");
    assert!(said.iter().all(|line| !line.trim().is_empty() && !line.contains('\n')), "{said:#?}");
}

#[test]
fn a_state_lends_its_titles() {
    let mut state = State::default();
    let opening = [
        Event::Opened { plan: plan(), mode: Mode::Live },
        Event::JobRequested { job: JobId(7), kind: JobKind::Deploy, item: None },
        Event::JobPlanned {
            job: JobId(7),
            steps: vec![StepPlan { name: "promote".into(), ..StepPlan::default() }],
        },
    ];
    for event in opening {
        state.apply(Arc::new(record(event)));
    }
    let event = record(Event::StepStarted { job: JobId(7), step: 0 });
    assert_eq!(words(&event, Some(&state)), "deploy #7: promote");
    assert_eq!(words(&event, None), "job #7: step 1");
}
