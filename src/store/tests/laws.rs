//! What holds for every journal: folded one by one, folded again from the file, and folded by another handle, it is the
//! same state; and of two who want the same, one wins.

use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::Barrier;

use super::*;
use crate::plan::RungKind;
use crate::run::command::Report;
use crate::run::event::Ending;
use crate::run::job::Facts;
use crate::run::judge::Verdict;
use crate::run::{Event, Failure, JobId, JobKind, Outcome, State, Steer, StepOutcome, StepPlan, decide};

const ITEMS: [&str; 8] =
    ["parent", "child", "backup", "migrate", "deploy", "reading", "colour", "not-in-the-plan"];
const PHASES: [&str; 3] = ["preparation", "database", "monitoring"];

fn item() -> impl Strategy<Value = crate::plan::ItemId> {
    prop::sample::select(&ITEMS[..]).prop_map(Into::into)
}

fn phase() -> impl Strategy<Value = crate::plan::PhaseId> {
    prop::sample::select(&PHASES[..]).prop_map(Into::into)
}

fn job() -> impl Strategy<Value = JobId> {
    (1_u64..5).prop_map(JobId)
}

fn words_of_people() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,12}", Just("it's \"so\"; drop table journal --\n\u{1f680} é".to_owned())]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let failure = || Failure { what: "it broke".into(), state: "half".into(), next: String::new() };
    prop_oneof![
        3 => Just(Outcome::Succeeded { summary: "proven".into(), facts: Facts::None }),
        1 => Just(Outcome::Failed { failure: failure() }),
        1 => Just(Outcome::Cancelled { state: "nothing was done".into() }),
    ]
}

fn report() -> impl Strategy<Value = Command> {
    let steps = || {
        let step = |name: &str| StepPlan {
            name: name.into(),
            detail: Some("select 1".into()),
            ..StepPlan::default()
        };
        vec![step("one"), step("two")]
    };
    prop_oneof![
        job().prop_map(|job| Report::Started { job, cockpit: "a".into() }),
        job().prop_map(move |job| Report::Planned { job, steps: steps() }),
        (job(), 0_u32..3).prop_map(|(job, step)| Report::StepStarted { job, step }),
        (job(), 0_u32..3).prop_map(|(job, step)| {
            Report::StepEnded { job, step, outcome: StepOutcome::Done { note: None } }
        }),
        (job(), outcome()).prop_map(|(job, outcome)| Report::Ended { job, outcome }),
        (0_u64..9, 0_u64..3).prop_map(|(imported, conflicts)| {
            Report::Synced { imported, updated: 0, unchanged: 0, failed: 0, conflicts }
        }),
        prop::sample::select(&[Verdict::Ok, Verdict::Warn, Verdict::Bad][..]).prop_map(|verdict| {
            Report::Verdict { metric: "error_rate".into(), verdict, reading: "0.1 %, n 40".into() }
        }),
        Just(Report::AlertFired {
            metric: "error_rate".into(),
            reading: "6 %".into(),
            since: chrono::DateTime::UNIX_EPOCH
        }),
        Just(Report::AlertCleared { metric: "error_rate".into() }),
    ]
    .prop_map(Command::Report)
}

fn wish() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => phase().prop_map(Command::StartPhase),
        2 => phase().prop_map(Command::Go),
        1 => (phase(), words_of_people()).prop_map(|(phase, reason)| Command::NoGo { phase, reason }),
        6 => (item(), prop::option::of(prop::sample::select(&["GREEN", "0.2 %"][..])))
            .prop_map(|(item, value)| Command::Tick { item, value: value.map(Into::into) }),
        2 => (item(), words_of_people()).prop_map(|(item, reason)| Command::Skip { item, reason }),
        1 => (item(), words_of_people()).prop_map(|(item, reason)| Command::Fail { item, reason }),
        1 => (item(), words_of_people()).prop_map(|(item, reason)| Command::Reopen { item, reason }),
        2 => (prop::option::of(item()), words_of_people())
            .prop_map(|(item, text)| Command::Note { item, kind: NoteKind::Deviation, text }),
        3 => Just(Command::Sign("ready".into())),
        4 => item().prop_map(Command::Run),
        1 => Just(Command::Request(JobKind::Import)),
        1 => Just(Command::Request(JobKind::Drill { rung: 1, kind: RungKind::Flag })),
        1 => job().prop_map(Command::Pause),
        1 => job().prop_map(Command::Resume),
        1 => job().prop_map(Command::Cancel),
        2 => (job(), prop::sample::select(&[Steer::Hold, Steer::Release, Steer::Pace { percent: 50 }][..]))
            .prop_map(|(job, steer)| Command::Steer { job, steer }),
        2 => Just(Command::Arm),
        1 => Just(Command::Disarm),
        1 => (1_u8..5).prop_map(|rung| Command::Rollback { rung, confirmed: Some("crm".into()) }),
        1 => Just(Command::Acknowledge("error_rate".into())),
        1 => Just(Command::Inject { fault: "error-spike".into() }),
        1 => Just(Command::Join),
        1 => Just(Command::Close(Ending::FullRollback)),
    ]
}

/// Mostly the lead, who may most; sometimes somebody who may not; and the workers.
fn given() -> impl Strategy<Value = (Actor, Command)> {
    let people = prop_oneof![
        6 => Just(lea()),
        1 => Just(Actor::person("dan", Role::Dba)),
        2 => Just(Actor::person("eve", Role::Devops)),
        1 => Just(Actor::person("obi", Role::Observer)),
    ];
    prop_oneof![
        3 => (people, wish()),
        1 => (Just(Actor::machine("migrate")), report()),
    ]
}

/// What pure rules make of the same wishes; the oracle that no file is part of.
fn expected(state: &State, by: &Actor, wish: &Command) -> Result<Vec<Event>, String> {
    decide(state, by, wish.clone()).map_err(|refusal| refusal.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_by_one_is_replayed_is_reopened_is_followed(wishes in prop::collection::vec(given(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("run.sqlite");
            let (store, other) = (open(&path).await, open(&path).await);
            let mut folded = State::default();
            for record in begin(&store).await {
                folded.apply(record);
            }
            for (number, (by, wish)) in wishes.into_iter().enumerate() {
                let wanted = expected(&folded, &by, &wish);
                // By turns, so that each decides on what the other wrote last.
                let handle = if number % 2 == 0 { &other } else { &store };
                let records = match handle.submit(&by, wish).await {
                    Ok(records) => records,
                    Err(SubmitError::Refused(refusal)) => {
                        assert_eq!(wanted, Err(refusal.to_string()));
                        continue;
                    }
                    Err(SubmitError::Store(error)) => panic!("{error}"),
                };
                let events: Vec<Event> = records.iter().map(|record| record.event.clone()).collect();
                assert_eq!(wanted, Ok(events));
                for record in records {
                    assert_eq!(record.seq, folded.seq + 1);
                    folded.apply(record);
                }
                assert_eq!(*handle.now(), folded);
            }
            let mut replayed = State::default();
            for record in store.records(1, u32::MAX).await.unwrap() {
                replayed.apply(Arc::new(record));
            }
            assert_eq!(replayed, folded);
            assert_eq!(*open(&path).await.now(), folded);
            for handle in [&store, &other] {
                let mut state = handle.state();
                let same = state.wait_for(|state| state.seq == folded.seq);
                let followed = tokio::time::timeout(DEADLINE, same).await.expect("it follows").unwrap();
                assert_eq!(**followed, folded);
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_cockpits_that_want_the_same_one_wins() {
    let (_dir, path) = journal(0).await;
    let handles = [open(&path).await, open(&path).await];
    let barrier = Arc::new(Barrier::new(2));
    for round in 0..20 {
        let tries = handles.clone().map(|store| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                store.submit(&lea(), Command::Tick { item: "child".into(), value: None }).await
            })
        });
        let mut won = 0;
        for outcome in tries {
            match outcome.await.unwrap() {
                Ok(records) => won += records.len(),
                Err(error) => assert_eq!(error.to_string(), "\"child\" is done; nothing to do"),
            }
        }
        assert_eq!(won, 1, "round {round}");
        let again = Command::Reopen { item: "child".into(), reason: "once more".into() };
        handles[round % 2].submit(&lea(), again).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_leaves_nothing_behind() {
    let (_dir, path) = journal(0).await;
    let store = open(&path).await;
    let before = store.now();
    let refused = store.submit(&lea(), Command::Go("monitoring".into())).await;
    assert!(words(refused).contains("has not begun"));
    assert_eq!(store.now(), before);
    assert_eq!(store.records(1, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn time_never_goes_back_even_if_a_clock_does() {
    let (_dir, path) = journal(1).await;
    let late = Clock::paced(chrono::Utc::now() + chrono::TimeDelta::days(1), 1.0);
    let ahead = Store::open(&path, late).await.unwrap();
    write(&ahead, "from tomorrow").await;
    let behind = open(&path).await;
    write(&behind, "from today").await;
    let records = behind.records(1, 10).await.unwrap();
    assert!(records.is_sorted_by_key(|record| record.at), "{records:?}");
}

#[tokio::test]
async fn records_are_read_in_pages() {
    let (_dir, path) = journal(5).await;
    let store = open(&path).await;
    let page = store.records(3, 2).await.unwrap();
    assert_eq!(page.iter().map(|record| record.seq).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(store.records(7, 2).await.unwrap(), []);
}
