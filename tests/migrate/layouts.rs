//! Other people's directories, read as they are: what was understood of each, and that each runs up and back on a server.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gonogo::plan::config::Layout;
use gonogo::workers::migrate::files::Unit;
use gonogo::workers::migrate::{MigrationSet, down, up};

use crate::ground::{Ground, Recorder, brisk};

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migrate/layouts").join(name)
}

fn read(name: &str) -> MigrationSet {
    MigrationSet::read(&directory(name)).unwrap()
}

/// Everything that was understood, a line each.
fn understood(set: &MigrationSet) -> String {
    let mut text = format!("read as {}\n", set.reading.words());
    for migration in &set.migrations {
        writeln!(text, "\n{} {} [{}]", migration.number, migration.name, migration.label).unwrap();
        for (way, script) in [("up", Some(&migration.up)), ("down", migration.down.as_ref())] {
            let Some(script) = script else {
                writeln!(text, "  {way}: none").unwrap();
                continue;
            };
            let unit = if script.unit == Unit::File { "one transaction" } else { "each statement alone" };
            writeln!(text, "  {way}: {}, {unit}", script.file).unwrap();
            for statement in &script.statements {
                writeln!(text, "    {}: {}", statement.line, statement.title).unwrap();
            }
        }
        let checks = &migration.checks;
        if !checks.after.is_empty() {
            writeln!(text, "  checks: {} before, {} after", checks.before.len(), checks.after.len()).unwrap();
        }
    }
    for aside in &set.asides {
        writeln!(text, "\nnot run: {} ({})", aside.file, aside.why).unwrap();
    }
    text
}

#[test]
fn each_directory_is_understood_as_its_tool_would() {
    insta::with_settings!({ snapshot_path => "layouts/snapshots", prepend_module_to_snapshot => false }, {
        for name in
            ["sqlx-pairs", "sqlx-singles", "golang-migrate", "dbmate", "supabase/migrations", "flyway", "goose", "plain", "own"]
        {
            insta::assert_snapshot!(name.replace('/', "-"), understood(&read(name)));
        }
    });
}

#[test]
fn a_directory_of_programs_says_that_they_are_not_run() {
    let failure = MigrationSet::read(&directory("node-pg-migrate")).unwrap_err();
    assert!(
        failure.what.contains("1700000000000_users.js: a migration in JavaScript, which is not run here"),
        "{failure}"
    );
}

#[test]
fn a_named_layout_is_believed_before_the_looks() {
    let as_named = |name: &str, layout| MigrationSet::read_as(&directory(name), layout);
    let own = as_named("sqlx-pairs", Layout::Gonogo).unwrap();
    assert!(understood(&own).starts_with("read as gonogo's own pairs"));
    let wrong = as_named("sqlx-pairs", Layout::Dbmate).unwrap_err();
    assert!(
        wrong
            .what
            .contains("20240101120000_users.down.sql:1: a statement that stands before `-- migrate:up`"),
        "{wrong}"
    );
    let gap = as_named("golang-migrate", Layout::Gonogo).unwrap_err();
    assert!(gap.what.contains("seed.sql: no number"), "{gap}");
}

#[tokio::test]
async fn each_layout_runs_up_and_back() {
    let ground = Ground::empty().await;
    let db = ground.db().await;
    for (name, back) in [("sqlx-pairs", true), ("dbmate", false), ("plain", false), ("own", true)] {
        let set = read(name);
        up(&db, &set, None, &brisk(), &Recorder::default())
            .await
            .unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(ground.text("SELECT to_regclass('users') IS NOT NULL").await, "true", "{name}");
        let gone = down(&db, &set, None, &brisk(), &Recorder::default()).await;
        if back {
            gone.unwrap_or_else(|failure| panic!("{name}: {failure}"));
            assert_eq!(ground.text("SELECT to_regclass('users') IS NULL").await, "true", "{name}");
        } else {
            let failure = gone.unwrap_err();
            assert!(failure.what.contains("has no down file, so there is no way back"), "{name}: {failure}");
        }
        ground.sql("DROP SCHEMA IF EXISTS gonogo CASCADE; DROP TABLE IF EXISTS users, plans CASCADE").await;
    }
}

#[tokio::test]
async fn a_program_or_a_hole_in_the_order_stops_the_run_before_it_begins() {
    let ground = Ground::empty().await;
    let db = ground.db().await;
    let failure = up(&db, &read("goose"), None, &brisk(), &Recorder::default()).await.unwrap_err();
    assert!(failure.what.contains("00003_backfill.go: a migration in Go"), "{failure}");
    let report = up(&db, &read("goose"), Some(2), &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(report.applied, [1, 2], "what comes before it runs");

    ground.sql("DROP SCHEMA gonogo CASCADE; DROP TABLE users CASCADE; DROP FUNCTION lowered").await;
    let failure = up(&db, &read("golang-migrate"), None, &brisk(), &Recorder::default()).await.unwrap_err();
    assert!(failure.what.contains("number 3 is missing"), "{failure}");
    assert_eq!(ground.text("SELECT to_regclass('users') IS NULL").await, "true");
}
