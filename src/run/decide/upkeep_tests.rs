//! The rules of Pulse's standing work, one by one.

use crate::plan::{Check, Role};
use crate::run::command::Report;
use crate::run::event::{Ending, Event, NoteKind};
use crate::run::job::{Facts, ImportTotals, JobId, JobKind, Outcome};
use crate::run::state::Sync;
use crate::run::summary::summary;
use crate::run::tests::Fold;
use crate::run::upkeep::{Settle, Upkeep};
use crate::run::words::words;
use crate::run::{Command, Failure};

fn last(fold: &Fold) -> JobId {
    *fold.state.jobs.last_key_value().unwrap().0
}

fn end(fold: &mut Fold, outcome: Outcome) {
    let job = last(fold);
    fold.must("w", Role::Machine, Command::Report(Report::Started { job, cockpit: "here".into() }));
    fold.must("w", Role::Machine, Command::Report(Report::Ended { job, outcome }));
}

fn well(fold: &mut Fold, facts: Facts) {
    end(fold, Outcome::Succeeded { summary: "well".into(), facts });
}

fn fails(fold: &mut Fold) {
    let failure = Failure { what: "Pulse: 503".into(), state: String::new(), next: String::new() };
    end(fold, Outcome::Failed { failure });
}

/// Pulse itself fails the newest job.
fn pulse_fails(fold: &mut Fold) {
    let failed = Report::PulseFailed { job: last(fold), what: "Pulse: 503".into() };
    fold.must("w", Role::Machine, Command::Report(failed));
    fails(fold);
}

fn mock(why: &str) -> Command {
    Command::Mock { why: why.into() }
}

/// Pulse is down, and the lead has decided.
fn mocked() -> Fold {
    let mut fold = Fold::opened();
    fold.must("dev", Role::Devops, Command::Request(JobKind::Import));
    pulse_fails(&mut fold);
    fold.must("lea", Role::Lead, mock("503 for 20 minutes, their status page says two hours"));
    fold
}

#[test]
fn the_sync_is_held_with_a_reason_and_released_by_a_person() {
    let mut fold = Fold::opened();
    let hold = |why: &str| Command::Hold { what: Upkeep::Sync, why: why.into() };
    assert!(fold.refused("dev", Role::Devops, hold("  ")).contains("needs words"));
    assert!(fold.refused("quin", Role::Qa, hold("wrong data")).contains("may not run the import"));
    fold.must("dev", Role::Devops, hold("wrong data"));
    assert!(fold.refused("lea", Role::Lead, hold("again")).contains("dev switched the automatic sync off"));
    assert_eq!(fold.state.held[&Upkeep::Sync].why, "wrong data");
    fold.must("dba", Role::Dba, Command::Release(Upkeep::Sync));
    assert!(fold.refused("dba", Role::Dba, Command::Release(Upkeep::Sync)).contains("nothing to do"));
    // The switch of the environment is a worker's to find, once.
    let found = Report::Held { what: Upkeep::Sync, why: "the switch is on".into() };
    fold.must("import", Role::Machine, Command::Report(found.clone()));
    assert!(fold.refused("import", Role::Machine, Command::Report(found)).contains("nothing to do"));
}

#[test]
fn more_than_half_failed_switches_the_sync_off_and_a_handful_does_not() {
    let table = [(10, 0, 11, true), (10, 0, 10, false), (0, 0, 2, false), (0, 1, 3, true), (0, 0, 0, false)];
    for (imported, updated, failed, held) in table {
        let mut fold = Fold::opened();
        fold.must(
            "w",
            Role::Machine,
            Command::Report(Report::Synced { imported, updated, unchanged: 0, failed, conflicts: 9 }),
        );
        assert_eq!(fold.state.held.contains_key(&Upkeep::Sync), held, "{imported} {updated} {failed}");
        assert!(matches!(fold.state.sync, Sync::On { passes: 1, .. }), "what was, was");
    }
}

#[test]
fn a_sync_that_does_not_pass_is_told_once_until_it_passes() {
    let mut fold = Fold::opened();
    let failed = || Command::Report(Report::SyncFailed { what: "Pulse: 503".into() });
    fold.must("w", Role::Machine, failed());
    assert!(fold.refused("w", Role::Machine, failed()).contains("Pulse: 503"));
    let synced = Report::Synced { imported: 1, updated: 0, unchanged: 0, failed: 0, conflicts: 0 };
    fold.must("w", Role::Machine, Command::Report(synced));
    assert_eq!(fold.state.sync_trouble, None);
    fold.must("w", Role::Machine, failed());
}

#[test]
fn the_pace_has_bounds_and_the_full_one_is_none() {
    let mut fold = Fold::opened();
    for share in [0, 9, 101] {
        assert!(fold.refused("dev", Role::Devops, Command::Pace(share)).contains("10 to 100 %"));
    }
    fold.must("dev", Role::Devops, Command::Pace(40));
    assert_eq!(fold.state.pace, Some(40));
    fold.must("dba", Role::Dba, Command::Pace(100));
    assert_eq!(fold.state.pace, None);
    assert!(fold.refused("dba", Role::Dba, Command::Pace(100)).contains("nothing to do"));
}

#[test]
fn mock_data_need_a_lead_a_reason_and_a_pulse_that_failed() {
    let mut fold = Fold::opened();
    assert!(fold.refused("lea", Role::Lead, mock("in a hurry")).contains("try the import first"));
    fold.must("dev", Role::Devops, Command::Request(JobKind::Verify { check: Check::Pulse }));
    pulse_fails(&mut fold);
    assert!(fold.refused("dev", Role::Devops, mock("it is down")).contains("lead may"));
    assert!(fold.refused("lea", Role::Lead, mock("")).contains("needs words"));
    let kind = JobKind::Mock { profiles: 5 };
    assert!(fold.refused("lea", Role::Lead, Command::Request(kind)).contains("nobody decided it"));
    fold.must("lea", Role::Lead, mock("it is down"));
    let decided = fold.state.mocked().unwrap();
    assert_eq!((&*decided.by.name, decided.why.as_str()), ("lea", "it is down"));
    assert!(
        fold.state.notes.iter().any(|note| note.kind == NoteKind::Deviation && note.text.contains("MOCK"))
    );
    assert!(matches!(fold.state.jobs[&last(&fold)].kind, JobKind::Mock { .. }));
    // Made badly, it can be made again without a second decision; made well, not.
    fails(&mut fold);
    fold.must("lea", Role::Lead, mock("again"));
    assert_eq!(fold.state.mocked().unwrap().why, "it is down");
    well(&mut fold, Facts::None);
    assert!(fold.refused("lea", Role::Lead, mock("more")).contains("nothing to do"));
}

#[test]
fn only_a_failure_of_pulse_itself_speaks_for_mock_data() {
    let ask = |fold: &mut Fold, kind| fold.must("dev", Role::Devops, Command::Request(kind));
    let refused = |fold: &mut Fold| {
        fold.refused("lea", Role::Lead, mock("it is down")).contains("not Pulse that failed")
    };
    // Given up by a person, before and after a worker had it.
    let mut fold = Fold::opened();
    ask(&mut fold, JobKind::Import);
    let job = last(&fold);
    fold.must("dev", Role::Devops, Command::Cancel(job));
    assert!(refused(&mut fold));
    ask(&mut fold, JobKind::Import);
    end(&mut fold, Outcome::Cancelled { state: String::new() });
    assert!(refused(&mut fold));
    // Failed, and not by Pulse: the database, the token, the settings.
    ask(&mut fold, JobKind::Import);
    fails(&mut fold);
    assert!(refused(&mut fold));
    // It failed once, and the newest that was asked of it was given up, or did well.
    ask(&mut fold, JobKind::Verify { check: Check::Pulse });
    pulse_fails(&mut fold);
    ask(&mut fold, JobKind::Import);
    let job = last(&fold);
    fold.must("dev", Role::Devops, Command::Cancel(job));
    assert!(refused(&mut fold));
    ask(&mut fold, JobKind::Verify { check: Check::Pulse });
    well(&mut fold, Facts::Proven { value: None });
    assert!(refused(&mut fold));
    ask(&mut fold, JobKind::Import);
    pulse_fails(&mut fold);
    fold.must("lea", Role::Lead, mock("it is down"));
}

#[test]
fn invented_people_never_stand_beside_real_ones() {
    let mut fold = Fold::opened();
    fold.must("dev", Role::Devops, Command::Request(JobKind::Import));
    well(&mut fold, Facts::Imported(ImportTotals { imported: 9, ..ImportTotals::default() }));
    fold.must("dev", Role::Devops, Command::Request(JobKind::Verify { check: Check::Pulse }));
    pulse_fails(&mut fold);
    assert!(fold.refused("lea", Role::Lead, mock("down now")).contains("must not stand beside them"));
}

#[test]
fn what_mock_data_rule_out_ends_when_they_are_gone() {
    let mut fold = mocked();
    well(&mut fold, Facts::None);
    assert!(fold.refused("dev", Role::Devops, Command::Request(JobKind::Sync)).contains("nothing to sync"));
    let more = || Command::Request(JobKind::Rollout { share: 50 });
    assert!(fold.refused("dev", Role::Devops, more()).contains("MOCK data"));
    let success = fold.refused("lea", Role::Lead, Command::Close(Ending::Success));
    assert!(success.contains("MOCK data") && success.contains("minor issues"), "{success}");
    let told = summary(&fold.state).mock.unwrap();
    assert!(told.gone.is_none() && told.why.contains("two hours"));
    // A real import that ended well is the end of them.
    fold.must("dev", Role::Devops, Command::Request(JobKind::Import));
    well(&mut fold, Facts::Imported(ImportTotals::default()));
    assert!(fold.state.mocked().is_none());
    fold.must("dev", Role::Devops, more());
    assert!(summary(&fold.state).mock.unwrap().gone.is_some(), "the record keeps that it was so");
}

#[test]
fn go_says_that_it_stands_on_mock_data() {
    let mut fold = mocked();
    well(&mut fold, Facts::None);
    for item in ["child", "parent"] {
        fold.must("quin", Role::Qa, Command::Tick { item: item.into(), value: None });
    }
    fold.must("lea", Role::Lead, Command::Sign("ready".into()));
    fold.must("dev", Role::Devops, Command::Sign("ready".into()));
    let told = words(fold.state.tail.back().unwrap(), Some(&fold.state));
    assert!(
        told.contains("signed on MOCK data") && told.contains("nothing of Pulse's is imported"),
        "{told}"
    );
    fold.must("lea", Role::Lead, Command::Go("preparation".into()));
    let record = fold.state.tail.back().unwrap();
    assert!(matches!(record.event, Event::Go { .. }));
    assert!(words(record, Some(&fold.state)).contains("MOCK data"));
}

#[test]
fn a_profile_is_settled_by_whoever_may_import_and_one_at_a_time() {
    let mut fold = Fold::opened();
    let settle = |settle| Command::Request(JobKind::Resolve { profile: "p-1".into(), settle });
    assert!(fold.refused("quin", Role::Qa, settle(Settle::Keep)).contains("may not run the import"));
    let nobody = Settle::Link { contact: " ".into() };
    assert!(fold.refused("dev", Role::Devops, settle(nobody)).contains("no contact is named"));
    fold.must("dev", Role::Devops, settle(Settle::Link { contact: "c-1".into() }));
    assert!(fold.refused("dev", Role::Devops, settle(Settle::Add)).contains("is not over"));
    let told = words(fold.state.tail.back().unwrap(), Some(&fold.state));
    assert!(told.contains("settle p-1: take Pulse's for contact c-1"), "{told}");
}
