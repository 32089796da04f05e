//! Whose files are read, and what is refused.

use super::files::{MigrationSet, Unit};

fn set(files: &[(&str, &str)]) -> MigrationSet {
    MigrationSet::embedded("test", files.iter().copied()).expect("a good set")
}

fn refused(files: &[(&str, &str)]) -> String {
    MigrationSet::embedded("test", files.iter().copied()).expect_err("refused").what
}

fn pairs(set: &MigrationSet) -> Vec<(u64, String, bool)> {
    set.migrations.iter().map(|m| (m.number, m.name.to_string(), m.down.is_some())).collect()
}

const SQL: &str = "SELECT 1;";

#[test]
fn each_layout_is_read_as_pairs() {
    let want = [(1, "a".to_owned(), true), (2, "b".to_owned(), true)];
    let own =
        [("001_a.up.sql", SQL), ("001_a.down.sql", SQL), ("002_b.up.sql", SQL), ("002_b.down.sql", SQL)];
    assert_eq!(pairs(&set(&own)), want, "gonogo, golang-migrate, sqlx");
    let flyway = [("V1__a.sql", SQL), ("U1__a.sql", SQL), ("V2__b.sql", SQL), ("U2__b.sql", SQL)];
    assert_eq!(pairs(&set(&flyway)), want, "flyway");
    let sections = "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n";
    assert_eq!(pairs(&set(&[("1_a.sql", sections), ("2_b.sql", sections)])), want, "dbmate");
    let plain = [
        ("migration-001-a.sql", SQL),
        ("migration-001-rollback.sql", SQL),
        ("migration-002-b.sql", SQL),
        ("migration-002-rollback.sql", SQL),
    ];
    assert_eq!(pairs(&set(&plain)), want, "plain");
    let supabase = [("20240101120000_a.sql", SQL), ("20240305070000_b.sql", SQL)];
    assert_eq!(
        pairs(&set(&supabase)),
        [(20_240_101_120_000, "a".to_owned(), false), (20_240_305_070_000, "b".to_owned(), false)],
        "supabase and sqlx without downs; dates are no gap"
    );
}

#[test]
fn marks_say_what_runs_in_one_transaction() {
    let of = |text| set(&[("1_a.sql", text)]).migrations[0].up.unit;
    assert_eq!(of("SELECT 1;"), Unit::File);
    assert_eq!(of("-- no-transaction\nSELECT 1;"), Unit::Statement);
    assert_eq!(of("-- gonogo: no-transaction\nSELECT 1;"), Unit::Statement);
    assert_eq!(of("-- migrate:up transaction:false\nSELECT 1;"), Unit::Statement);
    assert_eq!(of("CREATE INDEX CONCURRENTLY i ON t (a);"), Unit::Statement, "it cannot be otherwise");
}

#[test]
fn lines_of_a_section_are_lines_of_the_file() {
    let both = set(&[("1_a.sql", "-- migrate:up\nSELECT 1;\n\n-- migrate:down\n\nSELECT 2;\n")]);
    assert_eq!(both.migrations[0].down.as_ref().expect("down").statements[0].line, 6);
}

#[test]
fn what_is_wrong_with_a_set_is_said_before_anything_runs() {
    assert_eq!(
        refused(&[("001_a.up.sql", SQL), ("001_b.up.sql", SQL)]),
        "001_a.up.sql and 001_b.up.sql have the same number 001"
    );
    assert!(refused(&[("001_a.up.sql", SQL), ("003_b.up.sql", SQL)]).contains("number 2 is missing"));
    assert!(refused(&[("001_a.down.sql", SQL)]).contains("no up file"));
    assert!(refused(&[("seed.sql", SQL)]).contains("no number"));
    assert!(refused(&[("001_a.up.sql", "-- only words\n")]).contains("no statement"));
    assert!(
        refused(&[("001_a.up.sql", SQL), ("001_a.check.sql", "SELECT 1;")]).contains("belongs to no part")
    );
    assert!(refused(&[]).contains("no migrations"));
}

#[test]
fn a_byte_order_mark_and_crlf_change_nothing() {
    let plain = set(&[("1_a.sql", "SELECT 1;\nSELECT 2;\n")]);
    let windows = set(&[("1_a.sql", "\u{feff}SELECT 1;\r\nSELECT 2;\r\n")]);
    assert_eq!(plain, windows);
}
