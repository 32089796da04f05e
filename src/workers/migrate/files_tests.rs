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
    assert_eq!(of("-- A comment first.\n-- no-transaction\nSELECT 1;"), Unit::File, "as sqlx reads it");
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
    let own = "-- gonogo: after\nSELECT 'x', true, '';";
    let hole = [("001_a.up.sql", SQL), ("001_a.check.sql", own), ("003_b.up.sql", SQL)];
    assert!(refused(&hole).contains("before 003 b number 2 is missing"), "{}", refused(&hole));
    assert!(refused(&[("001_a.down.sql", SQL)]).contains("no up file"));
    assert!(refused(&[("seed.sql", SQL)]).contains("no number"));
    assert!(
        refused(&[("migration-001-a.sql", SQL), ("migration-seed.sql", SQL)])
            .contains("migration-seed.sql: no number")
    );
    assert!(refused(&[("001_a.up.sql", "-- only words\n")]).contains("no statement"));
    assert!(
        refused(&[("001_a.up.sql", SQL), ("001_a.check.sql", "SELECT 1;")]).contains("belongs to no part")
    );
    assert!(refused(&[]).contains("no migrations"));
}

#[test]
fn a_byte_order_mark_and_crlf_change_nothing() {
    let plain = set(&[("1_a.sql", "SELECT 1;\nSELECT\n2;\n")]);
    let windows = set(&[("1_a.sql", "\u{feff}SELECT 1;\r\nSELECT\r\n2;\r\n")]);
    let of = |set: &MigrationSet| {
        let up = &set.migrations[0].up;
        let statements = up.statements.iter().map(|one| (one.line, one.title.clone(), one.checksum.clone()));
        (up.checksum.clone(), up.text.clone(), statements.collect::<Vec<_>>())
    };
    assert_eq!(of(&plain), of(&windows));
    assert_eq!(
        &*windows.migrations[0].up.statements[1].text, "SELECT\r\n2",
        "the server gets what the file says"
    );
}

#[test]
fn begin_and_commit_around_a_file_are_one_transaction() {
    let framed = set(&[("1_a.sql", "-- no-transaction\nBEGIN;\nSELECT 1;\nSELECT 2;\nCOMMIT;\n")]);
    let up = &framed.migrations[0].up;
    assert_eq!((up.unit, up.statements.len(), up.statements[0].line), (Unit::File, 2, 3));
    assert!(
        refused(&[("1_a.sql", "BEGIN;\nSELECT 1;\nCOMMIT;\nSELECT 2;")]).contains("1_a.sql:1: BEGIN inside")
    );
    assert!(refused(&[("1_a.sql", "BEGIN;\nSELECT 1;\nROLLBACK;")]).contains("1_a.sql:1: BEGIN inside"));
    assert!(refused(&[("1_a.sql", "BEGIN;\nCOMMIT;")]).contains("no statement"));
    let build = refused(&[("1_a.sql", "BEGIN;\nCREATE INDEX CONCURRENTLY i ON t (a);\nCOMMIT;")]);
    assert!(
        build.contains(
            "1_a.sql:2: create index i on t: it cannot run in a transaction, and line 1 begins one"
        ),
        "{build}"
    );
}

#[test]
fn a_file_of_flyway_with_a_placeholder_is_refused() {
    let said = refused(&[("V1__a.sql", "SELECT 1;\nCREATE TABLE ${schema}.a (id int);")]);
    assert_eq!(said, "V1__a.sql:2: a placeholder of Flyway, which is not filled in here");
}

#[test]
fn a_file_that_is_no_text_says_what_it_is_and_where() {
    let of = |bytes: &[u8]| super::text::decode("1_a.sql", bytes.to_vec()).expect_err("refused").what;
    let wide = |order: fn(u16) -> [u8; 2]| "SELECT 1;".encode_utf16().flat_map(order).collect::<Vec<u8>>();
    assert!(
        of(&[&[0xff, 0xfe][..], &wide(u16::to_le_bytes)].concat()).starts_with("1_a.sql:1: UTF-16 (little")
    );
    assert!(of(&[&[0xfe, 0xff][..], &wide(u16::to_be_bytes)].concat()).starts_with("1_a.sql:1: UTF-16 (big"));
    assert!(of(&wide(u16::to_le_bytes)).starts_with("1_a.sql:1: UTF-16"));
    assert!(of(&wide(u16::to_be_bytes)).starts_with("1_a.sql:1: UTF-16"));
    assert_eq!(of(b"SELECT 1;\nSELECT 'caf\xe9';"), "1_a.sql:2: not UTF-8: byte 0xe9 at 21");
}

#[test]
fn statements_nested_deeper_than_anybody_writes_break_nothing() {
    let deep = format!("SELECT {}1{};", "(".repeat(3_000), ")".repeat(3_000));
    let long = format!("SELECT {};", vec!["'a'"; 20_000].join(" || "));
    for text in [deep.as_str(), long.as_str()] {
        assert_eq!(set(&[("1_a.sql", text)]).migrations[0].up.statements.len(), 1);
    }
}
