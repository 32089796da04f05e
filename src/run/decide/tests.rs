//! The rules, one by one: given a run, when somebody asks, then these events or this refusal.

use chrono::TimeDelta;

use crate::plan::{Check, Role, RungKind};
use crate::run::command::Report;
use crate::run::event::{Ending, NoteKind};
use crate::run::job::{Facts, JobId, JobKind, JobStatus, Outcome, Question, RehearsedMigration};
use crate::run::judge::Verdict;
use crate::run::next::{Next, next};
use crate::run::state::{Guard, ItemState, PhaseStatus};
use crate::run::summary::summary;
use crate::run::tests::Fold;
use crate::run::{Command, Failure};

fn tick(item: &str) -> Command {
    Command::Tick { item: item.into(), value: None }
}

fn answer(item: &str, value: &str) -> Command {
    Command::Tick { item: item.into(), value: Some(value.into()) }
}

fn done(fold: &mut Fold, job: u64, facts: Facts) {
    let job = JobId(job);
    fold.must("w", Role::Machine, Command::Report(Report::Started { job, cockpit: "here".into() }));
    let outcome = Outcome::Succeeded { summary: "well".into(), facts };
    fold.must("w", Role::Machine, Command::Report(Report::Ended { job, outcome }));
}

/// Through the preparation's gate.
fn prepared() -> Fold {
    let mut fold = Fold::opened();
    fold.must("quin", Role::Qa, tick("child"));
    fold.must("quin", Role::Qa, tick("parent"));
    fold.must("lea", Role::Lead, Command::Sign("ready".into()));
    fold.must("dev", Role::Devops, Command::Sign("ready".into()));
    fold.must("lea", Role::Lead, Command::Go("preparation".into()));
    fold
}

#[test]
fn a_run_that_changed_nothing_is_called_off_and_one_that_did_is_taken_back() {
    let mut fold = prepared();
    fold.must("lea", Role::Lead, Command::StartPhase("database".into()));
    fold.must("dora", Role::Dba, Command::Run("backup".into()));
    done(&mut fold, 1, Facts::None);
    let why = fold.refused("lea", Role::Lead, Command::Close(Ending::PartialRollback));
    assert!(why.contains("nothing was taken back") && why.contains("end it as called off"), "{why}");
    let mut stopped = fold.clone();
    stopped.must("lea", Role::Lead, Command::Close(Ending::CalledOff));
    assert_eq!(stopped.state.ended(), Some(Ending::CalledOff));

    fold.must("dora", Role::Dba, Command::Run("migrate".into()));
    let failure =
        Failure { what: "refused".into(), state: "nothing was changed".into(), next: "look".into() };
    let job = JobId(2);
    fold.must("w", Role::Machine, Command::Report(Report::Started { job, cockpit: "here".into() }));
    fold.must(
        "w",
        Role::Machine,
        Command::Report(Report::Ended { job, outcome: Outcome::Failed { failure } }),
    );
    let why = fold.refused("lea", Role::Lead, Command::Close(Ending::CalledOff));
    assert!(why.contains("job #2") && why.contains("may have changed something"), "{why}");
}

/// In the last phase, everything live.
fn monitoring() -> Fold {
    let mut fold = prepared();
    fold.must("lea", Role::Lead, Command::StartPhase("database".into()));
    fold.must("dora", Role::Dba, Command::Run("backup".into()));
    done(&mut fold, 1, Facts::None);
    fold.must("dora", Role::Dba, Command::Run("migrate".into()));
    done(&mut fold, 2, Facts::Migrated { applied: vec![1, 2, 3], worst_wait_ms: Some(12.0) });
    fold.must("dev", Role::Devops, Command::Run("deploy".into()));
    done(&mut fold, 3, Facts::Deployed { id: "dpl_1".into(), previous: None, version: None });
    done(&mut fold, 4, Facts::Proven { value: Some("2.0.0".into()) });
    fold.must("lea", Role::Lead, Command::Go("database".into()));
    fold.must("lea", Role::Lead, Command::StartPhase("monitoring".into()));
    fold
}

fn verdict(fold: &mut Fold, verdict: Verdict) {
    let report = Report::Verdict { metric: "error_rate".into(), verdict, reading: "6 %, n 100".into() };
    fold.must("monitor", Role::Machine, Command::Report(report));
}

#[test]
fn what_is_under_an_item_comes_before_it() {
    let mut fold = Fold::opened();
    let why = fold.refused("quin", Role::Qa, tick("parent"));
    assert!(why.contains("\"child\" under it is open"), "{why}");
}

#[test]
fn an_item_is_for_its_owner_or_the_lead() {
    let mut fold = Fold::opened();
    let why = fold.refused("dora", Role::Dba, tick("child"));
    assert_eq!(why, "dba may not change this item; lead or qa may");
    fold.must("lea", Role::Lead, tick("child"));
    assert!(fold.refused("lea", Role::Lead, tick("child")).contains("is done"));
}

#[test]
fn skipping_needs_words_and_takes_what_is_under_along() {
    let mut fold = Fold::opened();
    let skip = |reason: &str| Command::Skip { item: "parent".into(), reason: reason.into() };
    assert!(fold.refused("quin", Role::Qa, skip("  ")).contains("needs words"));
    fold.must("quin", Role::Qa, skip("no staging today"));
    for id in ["parent", "child"] {
        assert!(matches!(fold.state.item(&id.into()), ItemState::Skipped { .. }), "{id}");
    }
}

#[test]
fn a_gate_wants_its_roles_and_two_different_people() {
    let mut fold = Fold::opened();
    let sign = || Command::Sign("ready".into());
    assert!(fold.refused("lea", Role::Lead, sign()).contains("\"parent\" is open"));
    fold.must("lea", Role::Lead, Command::Skip { item: "parent".into(), reason: "rehearsed".into() });
    fold.must("lea", Role::Lead, sign());
    assert!(fold.refused("lea", Role::Lead, sign()).contains("lea signed"));
    assert!(
        fold.refused("lea", Role::Devops, sign()).contains("lea signed"),
        "another hat is not another person"
    );
    assert!(fold.refused("quin", Role::Qa, sign()).contains("may not"));
    let go = || Command::Go("preparation".into());
    assert!(fold.refused("lea", Role::Lead, go()).contains("\"ready\" is not signed"));
    fold.must("dev", Role::Devops, sign());
    assert!(fold.refused("dev", Role::Devops, go()).contains("lead may"));
    fold.must("lea", Role::Lead, go());
}

#[test]
fn a_phase_begins_only_after_go_for_the_one_before() {
    let mut fold = Fold::opened();
    let start = |phase: &str| Command::StartPhase(phase.into());
    assert!(fold.refused("lea", Role::Lead, start("database")).contains("\"preparation\" has no GO"));
    assert!(fold.refused("dora", Role::Dba, tick("migrate")).contains("behind a gate"));
    let mut fold = prepared();
    assert!(fold.refused("dora", Role::Dba, tick("migrate")).contains("has not begun"));
    assert!(fold.refused("quin", Role::Qa, start("database")).contains("may not"));
    fold.must("dora", Role::Dba, start("database"));
    assert!(fold.refused("dora", Role::Dba, start("database")).contains("has begun"));
    assert!(fold.refused("lea", Role::Lead, start("monitoring")).contains("\"database\" has no GO"));
    assert!(fold.refused("quin", Role::Qa, tick("child")).contains("GO was called"));
}

#[test]
fn no_migration_without_the_backup_and_one_job_at_a_time() {
    let mut fold = prepared();
    fold.must("lea", Role::Lead, Command::StartPhase("database".into()));
    let why = fold.refused("dora", Role::Dba, Command::Run("migrate".into()));
    assert!(why.contains("\"backup\" is not done"), "{why}");
    fold.must("dora", Role::Dba, Command::Run("backup".into()));
    assert!(matches!(fold.state.item(&"backup".into()), ItemState::Running { .. }));
    let why = fold.refused("dora", Role::Dba, Command::Request(JobKind::MigrateDown { to: None }));
    assert!(why.contains("job #1 (backup) is not over"), "{why}");
    assert!(fold.refused("dora", Role::Dba, tick("backup")).contains("job #1 is at it"));
    done(&mut fold, 1, Facts::None);
    fold.must("dora", Role::Dba, Command::Run("migrate".into()));
}

#[test]
fn a_failed_job_fails_its_item_and_go_is_refused() {
    let mut fold = prepared();
    fold.must("lea", Role::Lead, Command::StartPhase("database".into()));
    fold.must("dora", Role::Dba, Command::Run("backup".into()));
    let failure =
        Failure { what: "disk full".into(), state: "nothing was kept".into(), next: "free some".into() };
    let ended = Report::Ended { job: JobId(1), outcome: Outcome::Failed { failure } };
    fold.must("w", Role::Machine, Command::Report(ended.clone()));
    let ItemState::Failed { reason, .. } = fold.state.item(&"backup".into()) else { panic!("it failed") };
    assert_eq!(reason, "disk full; nothing was kept; free some");
    assert_eq!(next(&fold.state, fold.now), Next::Failed("backup".into()));
    assert!(fold.refused("lea", Role::Lead, Command::Go("database".into())).contains("not settled"));
    assert!(
        fold.refused("w", Role::Machine, Command::Report(ended)).contains("is over"),
        "an end is the last"
    );
    fold.must("dora", Role::Dba, Command::Run("backup".into()));
}

#[test]
fn an_action_with_a_check_is_done_when_the_check_says_so() {
    let fold = monitoring();
    let deployed = fold.state.item(&"deploy".into());
    let ItemState::Done { value, evidence, .. } = deployed else { panic!("{deployed:?}") };
    assert_eq!((value.as_deref(), evidence.as_deref()), (Some("2.0.0"), Some("well")));
    assert_eq!(fold.state.jobs[&JobId(4)].kind, JobKind::Verify { check: Check::Version });
}

#[test]
fn values_and_choices() {
    let mut fold = monitoring();
    assert!(fold.refused("dev", Role::Devops, tick("reading")).contains("expected: < 0.5 %"));
    assert!(
        fold.refused("dev", Role::Devops, answer("colour", "blue")).contains("one of GREEN, YELLOW, RED")
    );
    fold.must("dev", Role::Devops, answer("colour", "red"));
    fold.must("dev", Role::Devops, answer("reading", "0.2 %"));
    verdict(&mut fold, Verdict::Ok);
    let why = fold.refused("lea", Role::Lead, Command::Go("monitoring".into()));
    assert!(why.contains("\"colour\" says RED"), "{why}");
}

#[test]
fn what_is_not_known_is_not_go() {
    let mut fold = monitoring();
    fold.must("dev", Role::Devops, answer("reading", "0.2 %"));
    fold.must("dev", Role::Devops, answer("colour", "GREEN"));
    let go = || Command::Go("monitoring".into());
    assert!(fold.refused("lea", Role::Lead, go()).contains("error_rate is without a reading"));
    verdict(&mut fold, Verdict::CannotTell { why: crate::run::judge::Blind::Stale });
    assert!(fold.refused("lea", Role::Lead, go()).contains("error_rate is stale"));
    verdict(&mut fold, Verdict::Ok);
    fold.must("lea", Role::Lead, go());
    fold.must("lea", Role::Lead, Command::Close(Ending::Success));
    assert_eq!(summary(&fold.state).ending, "SUCCESS");
    assert!(fold.refused("lea", Role::Lead, tick("child")).contains("closed"));
    let note = Command::Note { item: None, kind: NoteKind::Note, text: "post-mortem".into() };
    fold.must("lea", Role::Lead, note);
}

#[test]
fn the_emergency_is_armed_first_and_timed() {
    let mut fold = monitoring();
    let flag = || Command::Rollback { rung: 1, confirmed: None };
    assert!(fold.refused("dev", Role::Devops, flag()).contains("the guard is closed"));
    assert!(fold.refused("dev", Role::Devops, Command::Arm).contains("lead may"));
    fold.must("lea", Role::Lead, Command::Arm);
    fold.must("lea", Role::Lead, Command::Inject { fault: "error-spike".into() });
    fold.now += TimeDelta::seconds(90);
    verdict(&mut fold, Verdict::Bad);
    fold.now += TimeDelta::seconds(60);
    let since = fold.now - TimeDelta::seconds(60);
    let fired = Report::AlertFired { metric: "error_rate".into(), reading: "6 %, n 100".into(), since };
    fold.must("monitor", Role::Machine, Command::Report(fired));
    assert_eq!(next(&fold.state, fold.now), Next::Alert("error_rate".into()));
    fold.now += TimeDelta::seconds(20);
    fold.must("dev", Role::Devops, flag());
    assert!(fold.refused("dev", Role::Devops, flag()).contains("is not over"));
    fold.now += TimeDelta::seconds(40);
    done(&mut fold, 5, Facts::None);
    assert_eq!(next(&fold.state, fold.now), Next::TakenBack);
    let why = fold.refused("lea", Role::Lead, Command::Close(Ending::Success));
    assert!(why.contains("the release was taken back (flag back)"), "{why}");
    fold.must("lea", Role::Lead, Command::Close(Ending::PartialRollback));
    let recovery = summary(&fold.state).recovery.expect("a rollback was timed");
    assert_eq!(
        (recovery.detect_s, recovery.decide_s, recovery.recover_s, recovery.verified),
        (Some(150), Some(20), Some(40), true)
    );
    assert_eq!(fold.state.guard, Guard::Closed);
}

#[test]
fn the_database_goes_last_and_by_its_name() {
    let mut fold = monitoring();
    fold.must("lea", Role::Lead, Command::Arm);
    let back = |word: Option<&str>| Command::Rollback { rung: 3, confirmed: word.map(String::from) };
    assert!(fold.refused("dora", Role::Dba, back(Some("crm"))).contains("needs rung 2"));
    fold.must("dev", Role::Devops, Command::Rollback { rung: 2, confirmed: None });
    done(&mut fold, 5, Facts::None);
    assert!(fold.refused("dev", Role::Devops, back(Some("crm"))).contains("may not"));
    for wrong in [None, Some("yes"), Some("CRM")] {
        assert!(fold.refused("dora", Role::Dba, back(wrong)).contains("was not typed"));
    }
    fold.must("dora", Role::Dba, back(Some("crm")));
    assert_eq!(fold.state.jobs[&JobId(6)].kind, JobKind::Rollback { rung: 3, kind: RungKind::Database });
}

#[test]
fn a_rollback_cancels_what_runs_against_the_release() {
    let mut fold = monitoring();
    fold.must("dev", Role::Devops, Command::Request(JobKind::Import));
    fold.must("w", Role::Machine, Command::Report(Report::Started { job: JobId(5), cockpit: "here".into() }));
    fold.must("lea", Role::Lead, Command::Arm);
    fold.must("lea", Role::Lead, Command::Rollback { rung: 1, confirmed: None });
    assert!(matches!(fold.state.jobs[&JobId(5)].status, JobStatus::Cancelling(_)));
}

#[test]
fn faults_are_for_rehearsals_and_reports_for_workers() {
    let mut fold = Fold::opened();
    let ended = Report::Synced { imported: 1, updated: 0, unchanged: 0, failed: 0, conflicts: 0 };
    assert!(fold.refused("lea", Role::Lead, Command::Report(ended)).contains("no person may"));
    fold.must("lea", Role::Lead, Command::Inject { fault: "error-spike".into() });
}

#[test]
fn an_autopilot_gets_from_next_to_next_until_the_run_is_over() {
    let mut fold = Fold::opened();
    for _ in 0..60 {
        let now = fold.now;
        match next(&fold.state, now) {
            Next::Over => {
                assert_eq!(fold.state.ended(), Some(Ending::Success));
                return;
            }
            Next::Close => fold.must("lea", Role::Lead, Command::Close(Ending::Success)),
            Next::Start(phase) => fold.must("lea", Role::Lead, Command::StartPhase(phase)),
            Next::Go(phase) => fold.must("lea", Role::Lead, Command::Go(phase)),
            Next::Sign(gate, role) => fold.must(role.word(), role, Command::Sign(gate)),
            Next::Answer(job) => panic!("{job} asks, and nothing in this plan does"),
            Next::Job(job) => done(&mut fold, job.0, Facts::None),
            Next::Wait(_, at) => {
                fold.now = at;
                if !fold.state.health.contains_key(&"error_rate".into()) {
                    verdict(&mut fold, Verdict::Ok);
                }
            }
            Next::Item(item) => {
                let has_work = fold
                    .state
                    .plan()
                    .and_then(|plan| plan.item(&item).map(|(_, item)| item.action.is_some()));
                let value = if &*item.0 == "colour" { "GREEN" } else { "0.2 %" };
                let command =
                    if has_work == Some(true) { Command::Run(item) } else { answer(&item.0, value) };
                fold.must("lea", Role::Lead, command);
            }
            other => panic!("stuck at {other:?}"),
        }
    }
    panic!("not over after 60 steps");
}

#[test]
fn phases_stand_as_their_gates_say() {
    let fold = prepared();
    let plan = fold.state.plan().expect("a plan").clone();
    let stand: Vec<_> = plan.checklist.phases.iter().map(|phase| fold.state.phase(phase)).collect();
    assert_eq!(stand, [PhaseStatus::Done, PhaseStatus::Ready, PhaseStatus::Locked]);
}

#[test]
fn migrations_are_rehearsed_by_the_dba_alone_and_before_anything_else_of_theirs() {
    let mut fold = Fold::opened();
    let rehearse = || Command::Request(JobKind::RehearseMigrations);
    let why = fold.refused("dev", Role::Devops, rehearse());
    assert!(why.contains("lead or dba"), "{why}");
    fold.must("dora", Role::Dba, rehearse());
    let why = fold.refused("dora", Role::Dba, Command::Request(JobKind::Backup));
    assert!(why.contains("rehearse migrations") && why.contains("not over"), "{why}");
    assert_eq!(fold.state.rehearsed(), None, "it has not ended");
    let gone_through = vec![RehearsedMigration { title: "001 a".into(), there_ms: 40, back_ms: Some(30) }];
    done(&mut fold, 1, Facts::Rehearsed { migrations: gone_through.clone(), rows: 7 });
    assert_eq!(fold.state.rehearsed().map(|(_, migrations)| migrations), Some(&gone_through[..]));
    fold.must("dora", Role::Dba, rehearse());
    let job = JobId(2);
    fold.must("w", Role::Machine, Command::Report(Report::Started { job, cockpit: "here".into() }));
    let failure = Failure { what: "no way back".into(), state: String::new(), next: String::new() };
    let outcome = Outcome::Failed { failure };
    fold.must("w", Role::Machine, Command::Report(Report::Ended { job, outcome }));
    assert_eq!(fold.state.rehearsed(), None, "the last one counts, and it failed");
}

#[test]
fn a_job_that_asks_waits_for_words_and_is_answered_once() {
    let mut fold = monitoring();
    fold.must("dev", Role::Devops, Command::Request(JobKind::Import));
    let job = JobId(5);
    let started = |fold: &mut Fold| {
        let report = Report::Started { job, cockpit: "here".into() };
        fold.must("w", Role::Machine, Command::Report(report));
    };
    started(&mut fold);
    let go_on = |reason: &str| Command::GoOn { job, reason: reason.into() };
    assert!(fold.refused("dev", Role::Devops, go_on("fine")).contains("asks nothing"));
    let question = |share: &str| Question {
        what: format!("{share} were set aside"),
        going_on: "the rest is imported".into(),
        giving_up: "nothing is written".into(),
    };
    let ask = |share: &str| Command::Report(Report::Asked { job, question: question(share) });
    fold.must("w", Role::Machine, ask("6 %"));
    assert_eq!(next(&fold.state, fold.now), Next::Answer(job));
    // A crash does not ask twice.
    started(&mut fold);
    assert!(fold.refused("w", Role::Machine, ask("6 %")).contains("asks this"));
    assert!(fold.refused("quin", Role::Qa, go_on("fine")).contains("may not"));
    assert!(fold.refused("dev", Role::Devops, go_on(" ")).contains("needs words"));
    fold.must("dev", Role::Devops, go_on("they are known, and mended by hand tomorrow"));
    let answer = fold.state.jobs[&job].asked.clone().and_then(|asked| asked.answer).expect("a decision");
    assert_eq!(
        (&*answer.by.name, answer.reason.as_str()),
        ("dev", "they are known, and mended by hand tomorrow")
    );
    assert_eq!(next(&fold.state, fold.now), Next::Job(job));
    assert!(fold.refused("lea", Role::Lead, go_on("once more")).contains("asks nothing"));
    // Worse than what was decided on is another question.
    fold.must("w", Role::Machine, ask("12 %"));
    fold.must("lea", Role::Lead, Command::Cancel(job));
    assert!(fold.refused("lea", Role::Lead, go_on("after all")).contains("giving up"));
}
