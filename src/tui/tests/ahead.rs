//! What stands in the migrations pane before anybody runs one: what the linter says, what was rehearsed, and what is unknown.

use std::sync::Arc;

use chrono::TimeDelta;
use crossterm::event::KeyCode;

use super::looks::{dark, text};
use crate::plan::Role;
use crate::run::job::{Facts, JobKind, RehearsedMigration};
use crate::run::live::{Advice, Judged, Linted, Remark, Said, Weight};
use crate::run::{Command, Mode, WorkerId};
use crate::tui::fixture::{Story, at, moments};

fn remark(weight: Weight, what: &str, safe: &str) -> Remark {
    Remark { weight, what: what.into(), safe: safe.into() }
}

fn judged(name: &str, sql: &str, remarks: Vec<Remark>) -> Judged {
    Judged { name: name.into(), sql: sql.into(), remarks }
}

fn linted() -> Said {
    let stops = remark(
        Weight::Stops,
        "writers of contacts wait while the index is built (1.2–4.8 s for 1,000,000 rows)",
        "CREATE INDEX CONCURRENTLY, in a file without a transaction",
    );
    let breaks = remark(
        Weight::Breaks,
        "every UPDATE of a row that lacks city fails from now on",
        "fill the column first, then add the check",
    );
    let hint = remark(Weight::Hint, "no policy stands behind it", "CREATE POLICY");
    Said::Linted {
        knowing: "the files and the catalogue of crm at 127.0.0.1:5432, whose traffic was watched for 2 s"
            .into(),
        migrations: vec![
            Linted {
                title: "001 contacts_pulse_integration".into(),
                statements: vec![
                    judged("001 add nineteen columns", "ALTER TABLE contacts ADD COLUMN a text;", Vec::new()),
                    judged(
                        "001 create index idx_contacts_pulse_tags",
                        "CREATE INDEX idx_contacts_pulse_tags ON contacts (pulse_tags);",
                        vec![stops.clone(), breaks.clone()],
                    ),
                ],
            },
            Linted {
                title: "002 pulse_contact_interactions".into(),
                statements: vec![
                    judged("002 create table", "CREATE TABLE pulse_contact_interactions ();", vec![hint]),
                    judged("002 triggers by statement", "CREATE TRIGGER totals;", vec![stops]),
                ],
            },
        ],
    }
}

/// Before the first migration, with that said twenty seconds ago.
fn told(said: Said) -> Story {
    let mut story = moments::prepared(Mode::Live);
    let at = story.now - TimeDelta::seconds(20);
    story.live.advice = Some(Arc::new(Advice { at, said }));
    story
}

fn pane(story: &Story, keys: &[KeyCode], size: (u16, u16)) -> String {
    text(&dark(story, &[&[KeyCode::Char('3')], keys].concat(), size))
}

#[test]
fn what_would_stop_clients_stands_beside_its_statement_before_the_run() {
    let story = told(linted());
    for size in [(80, 24), (120, 40), (200, 60)] {
        let shown = pane(&story, &[KeyCode::Down, KeyCode::Down], size);
        insta::assert_snapshot!(format!("pane-ahead-{}x{}", size.0, size.1), shown);
    }
    insta::assert_debug_snapshot!("styles-ahead", dark(&story, &[KeyCode::Char('3')], (80, 24)));
    let overview = text(&dark(&story, &[], (140, 32)));
    assert!(overview.contains("1 STOPS 1 BREAKS") && overview.contains("1 STOPS"), "{overview}");
}

#[test]
fn where_there_is_room_for_few_what_runs_is_seen_or_else_what_is_next() {
    let overview = text(&dark(&told(linted()), &[], (80, 24)));
    assert!(overview.contains("○ 001 contacts_pulse_integration"), "{overview}");
    let mut story = moments::migrating();
    story.live.advice = Some(Arc::new(Advice { at: story.now, said: linted() }));
    let overview = text(&dark(&story, &[], (80, 24)));
    let doing = overview.lines().skip_while(|line| !line.contains(" Migrations ")).nth(1).unwrap_or_default();
    assert!(doing.contains("█") && doing.contains("waiting for old snapshots"), "{overview}");
}

#[test]
fn what_nobody_judged_is_unknown_and_never_harmless() {
    let mut story = moments::prepared(Mode::Live);
    assert!(pane(&story, &[], (120, 40)).contains("what they stop is unknown: not linted yet"));
    story = told(Said::Unknown { why: "cannot read the migrations in db/migrations".into() });
    let shown = pane(&story, &[], (120, 40));
    assert!(shown.contains("unknown: cannot read the migrations in db/migrations"), "{shown}");
    story = told(Said::Linted { knowing: "the files alone".into(), migrations: Vec::new() });
    let shown = pane(&story, &[], (120, 40));
    assert!(shown.contains("none is still to be run") && !shown.contains("unknown"), "{shown}");

    // Planned by a job, and still waiting: the step says it.
    let waiting = [KeyCode::Down];
    let mut story = moments::migrating();
    let shown = pane(&story, &waiting, (120, 40));
    assert!(shown.contains("what it stops is unknown: not linted yet"), "{shown}");
    story.live.advice = Some(Arc::new(Advice { at: story.now, said: linted() }));
    let planned = [KeyCode::Down, KeyCode::Down, KeyCode::Down, KeyCode::Down];
    let shown = pane(&story, &planned, (120, 40));
    let triggers = shown.lines().find(|line| line.contains("002 triggers by statement")).unwrap_or_default();
    assert!(triggers.contains("STOPS writers of "), "{shown}");
    assert!(!shown.contains("unknown: not linted"), "{shown}");
    let running = shown.lines().find(|line| line.contains("▸ 001 create index")).unwrap_or_default();
    assert!(!running.contains("STOPS"), "what runs shows itself: {shown}");
}

/// A rehearsal of 001 that took so long back.
fn rehearse(story: &mut Story, back_ms: Option<u64>) {
    story.does(Role::Dba, Command::Request(JobKind::RehearseMigrations));
    let steps = [("rehearsal on a clone", "001 there", ""), ("rehearsal on a clone", "001 back", "")];
    let job = story.begins(WorkerId::Migrate, &steps);
    for step in [0, 1] {
        story.step(WorkerId::Migrate, job, step, 4, None);
    }
    let one = RehearsedMigration { title: "001 contacts_pulse_integration".into(), there_ms: 4_000, back_ms };
    let facts = Facts::Rehearsed { migrations: vec![one], rows: 10_000 };
    story.ends(WorkerId::Migrate, job, "1 migration there and back", facts);
}

#[test]
fn a_migration_says_when_it_was_rehearsed_and_which_way() {
    for (back_ms, words) in [(Some(95_000), ""), (None, ", not back")] {
        let mut story = told(linted());
        rehearse(&mut story, back_ms);
        let ended = story.now.with_timezone(&story.state.plan().expect("it is open").timezone);
        let words = format!("rehearsed {}{words}", ended.format("%H:%M"));
        let line = |story: &Story, title: &str| {
            let shown = pane(story, &[], (105, 40));
            let line = shown.lines().find(|line| line.contains(title)).unwrap_or_default().to_owned();
            assert!(!line.is_empty(), "{shown}");
            line
        };
        let ahead = line(&story, "001 contacts_pulse_integration");
        assert!(ahead.contains(&words), "{ahead}");
        assert!(!line(&story, "002 pulse_contact_interactions").contains("rehearsed"));

        // The same once a job has planned it, until it has its own figures to show.
        story.live.advice = None;
        story.start(Role::Dba, "phase-1", at(10, 0, 40));
        let copies = [("", "copy contacts", "")];
        story.works(Role::Dba, "backup", WorkerId::Migrate, &copies, 30, Facts::None);
        story.does(Role::Dba, Command::Run("migrate".into()));
        let group = "001 contacts_pulse_integration";
        let job = story.begins(WorkerId::Migrate, &[(group, "001 add nineteen columns", "")]);
        let planned = line(&story, group);
        assert!(planned.contains("0/1 steps") && planned.contains(&words), "{planned}");
        story.step(WorkerId::Migrate, job, 0, 4, None);
        let facts = Facts::Migrated { applied: vec![1], worst_wait_ms: Some(34.0) };
        story.ends(WorkerId::Migrate, job, "up: 1 steps done", facts);
        let run = line(&story, group);
        assert!(run.contains("waits ≤ 34 ms") && !run.contains("rehearsed"), "{run}");
    }
}
