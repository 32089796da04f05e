//! The whole application, driven by keys on paused time. What must not happen on one accidental key is tried here.

use super::rig::Rig;
use crate::plan::Role;
use crate::run::command::Report;
use crate::run::event::NoteKind;
use crate::run::job::Facts;
use crate::run::live::{Outlook, Seen};
use crate::run::state::{Guard, ItemState};
use crate::run::steer::Extent;
use crate::run::{Command, Mode, Outcome, Steer, StepOutcome, WorkerId};
use crate::tui::fixture::{Story, at, moments, person};
use crate::tui::{Notice, Order};

/// The watch goes on, all is well, nobody's job runs.
fn watching() -> Story {
    let mut story = moments::alert();
    story.reports(WorkerId::Monitor, Report::AlertCleared { metric: "error_rate".into() });
    story
}

fn rollbacks(rig: &Rig) -> usize {
    rig.commands().iter().filter(|command| matches!(command, Command::Rollback { .. })).count()
}

#[tokio::test(start_paused = true)]
async fn space_ticks_what_is_next() {
    let mut story = moments::prepared(Mode::Live);
    story.start(Role::Dba, "phase-1", at(10, 0, 0));
    story.works(Role::Dba, "backup", WorkerId::Migrate, &[("", "copy", "")], 3, Facts::None);
    let mut rig = Rig::new(story, Role::Dba);
    rig.types(" ").await;
    assert_eq!(rig.commands(), [Command::Tick { item: "migrate".into(), value: None }]);
    assert!(matches!(rig.story.state.item(&"migrate".into()), ItemState::Done { .. }));
    assert!(rig.shows("dba 19 Pulse fields"), "the next item is named below:\n{}", rig.text());
}

#[tokio::test(start_paused = true)]
async fn a_skip_needs_its_reason() {
    let mut story = moments::prepared(Mode::Live);
    story.start(Role::Dba, "phase-1", at(10, 0, 0));
    let mut rig = Rig::new(story, Role::Dba);
    rig.types("s\n").await;
    assert_eq!(rig.commands(), [], "no words, no skip");
    assert!(rig.shows("Skip: why?"));
    rig.type_ahead("taken at 09:50\n");
    rig.pass(100).await;
    assert_eq!(rig.commands(), [Command::Skip { item: "backup".into(), reason: "taken at 09:50".into() }]);
    assert!(rig.shows("skipped: taken at 09:50"), "{}", rig.text());
}

#[tokio::test(start_paused = true)]
async fn another_roles_item_is_refused_before_anything_is_asked() {
    let mut story = moments::prepared(Mode::Live);
    story.start(Role::Dba, "phase-1", at(10, 0, 0));
    let mut rig = Rig::new(story, Role::Qa);
    rig.types("s").await;
    assert!(rig.shows("refused: qa may not change this item"), "{}", rig.text());
    assert!(!rig.shows("Skip: why?"));
}

#[tokio::test(start_paused = true)]
async fn an_unarmed_emergency_key_does_nothing() {
    let mut story = watching();
    story.does(Role::Lead, Command::Disarm);
    let mut rig = Rig::new(story, Role::Lead);
    rig.types("RR").await;
    assert!(rig.shows("the guard is closed"), "{}", rig.text());
    rig.pass(5_000).await;
    assert_eq!(rollbacks(&rig), 0);
    rig.types("A").await;
    assert!(matches!(rig.story.state.guard, Guard::Armed { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_countdown_goes_after_three_seconds_and_becomes_the_progress() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.type_ahead("R");
    rig.pass(2_900).await;
    assert!(rig.shows("WAY OUT") && rig.shows("in 0."), "{}", rig.text());
    assert_eq!(rollbacks(&rig), 0, "not before its time");
    rig.pass(200).await;
    assert_eq!(rig.commands(), [Command::Rollback { rung: 1, confirmed: None }]);
    assert!(rig.shows("Way out") && rig.shows("asked for"), "{}", rig.text());
    let job = rig.story.begins(WorkerId::Rollback, &[("", "switch the flag off", "")]);
    rig.story.reports(WorkerId::Rollback, Report::StepStarted { job, step: 0 });
    rig.publish();
    rig.pass(100).await;
    assert!(rig.shows("▸ switch the flag off"), "{}", rig.text());
    let done = StepOutcome::Done { note: None };
    rig.story.reports(WorkerId::Rollback, Report::StepEnded { job, step: 0, outcome: done });
    let outcome = Outcome::Succeeded { summary: "flag reads off".into(), facts: Facts::None };
    rig.story.reports(WorkerId::Rollback, Report::Ended { job, outcome });
    rig.publish();
    rig.pass(100).await;
    assert!(rig.shows("VERIFIED: flag reads off"), "{}", rig.text());
    assert_eq!(rollbacks(&rig), 1, "and it was ordered once");
}

#[tokio::test(start_paused = true)]
async fn escape_stops_the_countdown_at_any_moment() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.type_ahead("R\u{1b}");
    rig.pass(6_000).await;
    assert_eq!(rollbacks(&rig), 0, "even typed at once");
    rig.type_ahead("R");
    rig.pass(2_800).await;
    rig.type_ahead("\u{1b}");
    rig.pass(6_000).await;
    assert_eq!(rollbacks(&rig), 0);
    assert!(!rig.shows("WAY OUT"));
}

#[tokio::test(start_paused = true)]
async fn the_key_held_down_does_not_go_at_once() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.type_ahead("RRRR");
    rig.pass(300).await;
    assert_eq!(rollbacks(&rig), 0, "typed before it could be read");
    rig.pass(200).await;
    rig.type_ahead("R");
    rig.pass(100).await;
    assert_eq!(rollbacks(&rig), 1, "read, and meant");
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_takes_neither_typed_ahead_keys_nor_a_paste() {
    let mut rig = Rig::new(moments::prepared(Mode::Live), Role::Lead);
    rig.type_ahead("gy");
    rig.pass(200).await;
    assert_eq!(rig.commands(), []);
    rig.paste("y");
    rig.type_ahead("\n");
    rig.pass(600).await;
    assert_eq!(rig.commands(), [], "neither a paste nor Enter confirms");
    assert!(rig.shows("\"Database migration\" begins"), "{}", rig.text());
    rig.type_ahead("y");
    rig.pass(100).await;
    assert_eq!(rig.commands(), [Command::StartPhase("phase-1".into())]);
}

/// Flag and deployment are back; the database is the last way out.
fn before_the_last_rung() -> Story {
    let mut story = moments::rolled_back();
    story.does(Role::Lead, Command::Rollback { rung: 2, confirmed: None });
    let job = story.begins(WorkerId::Rollback, &[]);
    story.ends(WorkerId::Rollback, job, "old version answers", Facts::None);
    story
}

#[tokio::test(start_paused = true)]
async fn what_loses_data_is_typed_and_never_pasted() {
    let mut rig = Rig::new(before_the_last_rung(), Role::Lead);
    rig.types("R").await;
    assert!(rig.shows("THIS LOSES DATA") && rig.shows("logos_vision"), "{}", rig.text());
    assert!(rig.shows("not counted yet"), "unknown is said: {}", rig.text());
    rig.paste("logos_vision");
    rig.types("\n").await;
    rig.types("logos\n").await;
    assert_eq!(rollbacks(&rig), 0, "half a name is none");
    rig.types("_vision\n").await;
    let confirmed = Some("logos_vision".to_owned());
    assert_eq!(rig.commands(), [Command::Rollback { rung: 3, confirmed }]);
}

#[tokio::test(start_paused = true)]
async fn the_rows_that_would_be_lost_stand_in_the_question() {
    let mut story = before_the_last_rung();
    let lost = vec![
        ("001 values in 15 new columns of public.contacts".to_owned(), 1_204),
        ("003 entity_mappings".into(), 0),
    ];
    let against = vec!["002 has no way back".to_owned()];
    let at = story.now - chrono::TimeDelta::seconds(12);
    story.live.outlook = Some(std::sync::Arc::new(Outlook { at, seen: Seen::Counted { lost, against } }));
    let mut rig = Rig::new(story, Role::Lead);
    rig.types("R").await;
    let text = rig.text();
    assert!(text.contains("1204") && text.contains("BUT 002 has no way back"), "{text}");
    assert!(!text.contains("entity_mappings: 0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_store_ends_the_progress() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.type_ahead("R");
    rig.pass(2_900).await;
    // Another cockpit closes the guard in the last tenth of a second.
    rig.story.does(Role::Lead, Command::Disarm);
    rig.pass(300).await;
    assert!(rig.shows("not begun:") && rig.shows("the guard is closed"), "{}", rig.text());
}

#[tokio::test(start_paused = true)]
async fn an_alert_never_takes_the_focus() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.types("n").await;
    rig.type_ahead("half a ");
    rig.pass(100).await;
    let since = rig.story.now;
    let fired = Report::AlertFired { metric: "error_rate".into(), reading: "7.2 %".into(), since };
    rig.story.reports(WorkerId::Monitor, fired);
    rig.publish();
    rig.pass(100).await;
    assert!(rig.shows("▲ CRITICAL") && rig.shows("half a"), "{}", rig.text());
    rig.type_ahead("sentence\n");
    rig.pass(100).await;
    let text = "half a sentence".to_owned();
    assert_eq!(rig.commands(), [Command::Note { item: Some("error-2".into()), kind: NoteKind::Note, text }]);
}

#[tokio::test(start_paused = true)]
async fn a_key_meant_for_what_stood_there_is_not_taken() {
    let mut story = moments::prepared(Mode::Live);
    story.start(Role::Dba, "phase-1", at(10, 0, 0));
    let mut rig = Rig::new(story, Role::Lead);
    rig.pass(100).await;
    rig.publish();
    rig.pass(100).await;
    // The DBA settles the item under the lead's cursor; the lead's key comes a moment later.
    rig.story.does(Role::Dba, Command::Tick { item: "backup".into(), value: None });
    rig.publish();
    rig.pass(60).await;
    rig.type_ahead(" ");
    rig.pass(100).await;
    assert_eq!(rig.commands(), []);
    assert!(rig.shows("look, then press again"), "{}", rig.text());
    rig.pass(400).await;
    rig.types(" ").await;
    assert_eq!(rig.commands().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_value_is_asked_for_and_a_choice_offered() {
    let mut rig = Rig::new(watching(), Role::Devops);
    rig.types(" ").await;
    assert!(rig.shows("(expected: < 0.5 %)"), "{}", rig.text());
    rig.type_ahead("0.31 %\n");
    rig.pass(100).await;
    let value = Some("0.31 %".to_owned());
    assert_eq!(rig.commands(), [Command::Tick { item: "error-2".into(), value }]);
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_lends_its_seats_and_its_faults() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.types("w↓\n").await;
    assert!(rig.shows("you are devops, devops"), "{}", rig.text());
    rig.types("!\n").await;
    rig.types("J").await;
    let fault = Order::Fault { name: "error-spike".into(), on: false };
    assert_eq!(rig.ordered[1..], [fault, Order::Jump], "the fixture has thrown it in already");
}

#[tokio::test(start_paused = true)]
async fn leaving_asks_only_while_a_job_runs_here() {
    let mut rig = Rig::new(moments::mid_import(), Role::Devops);
    rig.types("q").await;
    assert!(rig.shows("import #9 runs in this cockpit"), "{}", rig.text());
    assert!(!rig.is_over());
    rig.types("y").await;
    assert!(rig.is_over());
    let mut rig = Rig::new(moments::mid_import(), Role::Lead);
    rig.types("q").await;
    assert!(rig.is_over() && rig.ordered == [Order::Quit]);
}

#[tokio::test(start_paused = true)]
async fn a_word_to_the_person_stands_and_then_goes() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.say(Notice::Failed("the journal is read-only".into()));
    rig.pass(100).await;
    assert!(rig.shows("failed: the journal is read-only"));
    rig.pass(13_000).await;
    assert!(!rig.shows("the journal is read-only"));
}

#[tokio::test(start_paused = true)]
async fn closed_channels_do_not_spin_the_loop() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.pass(100).await;
    rig.abandon();
    let before = rig.frames();
    rig.pass(10_000).await;
    let frames = rig.frames() - before;
    assert!(frames <= 11, "{frames} frames in ten quiet seconds");
    rig.type_ahead("A");
    rig.pass(100).await;
    assert!(rig.shows("nothing takes orders any more"), "{}", rig.text());
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_frame() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.pass(100).await;
    let before = rig.frames();
    rig.type_ahead("jjjjjjjjjjkkkkkkkkkk");
    rig.pass(20).await;
    assert!(rig.frames() - before <= 2, "{} frames for twenty keys", rig.frames() - before);
}

#[tokio::test(start_paused = true)]
async fn the_palette_does_by_name_what_keys_do() {
    let mut rig = Rig::sized(watching(), Role::Lead, (120, 40));
    rig.types(":").await;
    rig.type_ahead("guard\n");
    rig.pass(100).await;
    assert_eq!(rig.commands(), [Command::Disarm]);
    assert_eq!(rig.ordered.len(), 1);
    assert_eq!(rig.story.state.tail.back().expect("a record").by, person(Role::Lead));
}

#[tokio::test(start_paused = true)]
async fn a_key_after_a_quiet_moment_is_painted_at_once() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.types("2").await;
    rig.type_ahead("8");
    rig.pass(20).await;
    assert!(rig.shows("8 Log"), "not only when the clock ticks next:\n{}", rig.text());
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_journal_is_shown_as_it_comes_and_goes() {
    let mut rig = Rig::new(watching(), Role::Lead);
    rig.pass(500).await;
    assert!(!rig.shows("JOURNAL"));
    rig.trouble(Some("run.sqlite is locked by another process"));
    rig.pass(100).await;
    assert!(rig.shows("✘ JOURNAL nothing can be recorded"), "{}", rig.text());
    assert!(rig.shows("run.sqlite is locked"), "{}", rig.text());
    rig.trouble(None);
    rig.pass(100).await;
    assert!(!rig.shows("JOURNAL"), "{}", rig.text());
}

fn steered(rig: &Rig) -> Vec<Steer> {
    let wish = |command: Command| match command {
        Command::Steer { steer, .. } => Some(steer),
        _ => None,
    };
    rig.commands().iter().cloned().filter_map(wish).collect()
}

#[tokio::test(start_paused = true)]
async fn a_held_lock_is_let_with_a_key_of_its_pane_only() {
    let mut rig = Rig::new(moments::held(), Role::Dba);
    rig.types("c").await;
    assert_eq!(steered(&rig), [], "the overview knows no such key");
    rig.types("3").await;
    assert!(rig.shows("HELD before SHARE ROW EXCLUSIVE on contacts"), "{}", rig.text());
    rig.types("c").await;
    assert_eq!(steered(&rig), [Steer::Let { step: "002 create table".into() }]);
}

#[tokio::test(start_paused = true)]
async fn holding_and_the_pace_are_keys_for_whoever_migrates() {
    let mut rig = Rig::new(moments::batching(), Role::Dba);
    rig.types("3o").await;
    rig.types("o").await;
    rig.types("+-").await;
    let paces = [Steer::Hold, Steer::Release, Steer::Pace { percent: 100 }, Steer::Pace { percent: 50 }];
    assert_eq!(steered(&rig), paces);
    let mut rig = Rig::new(moments::batching(), Role::Qa);
    rig.types("3o").await;
    assert!(rig.shows("refused: qa may not run migrations"), "{}", rig.text());
    assert_eq!(steered(&rig), []);
}

#[tokio::test(start_paused = true)]
async fn anothers_session_is_ended_only_when_its_number_is_typed() {
    let mut rig = Rig::new(moments::migrating(), Role::Dba);
    rig.types("3K").await;
    for words in
        ["END ANOTHER'S SESSION", "pid 4711 nightly-report", "SELECT * FROM contacts", "pg_terminate_backend"]
    {
        assert!(rig.shows(words), "{words}:\n{}", rig.text());
    }
    rig.pass(500).await;
    rig.types("47\n").await;
    assert_eq!(steered(&rig), [], "half a number ends nobody");
    assert!(rig.shows("only when its process id is typed"), "{}", rig.text());
    rig.types("11\n").await;
    let said = steered(&rig);
    assert!(
        matches!(&said[..], [Steer::End { session, what: Extent::Session, typed }] if session.pid == 4711 && typed == "4711"),
        "{said:?}"
    );
}
