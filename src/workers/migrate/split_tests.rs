//! What the splitter and the classifier must read right.

use super::classify::{Built, Clause, Kind, LockMode, Serves, Transaction};
use super::split::split;

fn one(sql: &str) -> super::split::Statement {
    let mut all = split("t.sql", sql, 1).expect("it parses");
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn needs(sql: &str) -> Vec<(String, LockMode)> {
    one(sql).shape.needs.iter().map(|need| (need.relation.to_string(), need.mode)).collect()
}

#[test]
fn semicolons_in_quotes_blocks_and_comments_end_nothing() {
    let sql = "-- first; a comment\n/* ; */\nSELECT ';' AS a, $x$ ; $x$ AS b;\n\nDO $$ BEGIN PERFORM 1; PERFORM 2; END $$;\n;\nSELECT 3";
    let all = split("t.sql", sql, 1).expect("it parses");
    let texts: Vec<_> = all.iter().map(|s| (s.line, s.text.to_string())).collect();
    assert_eq!(
        texts,
        [
            (3, "SELECT ';' AS a, $x$ ; $x$ AS b".to_owned()),
            (5, "DO $$ BEGIN PERFORM 1; PERFORM 2; END $$".to_owned()),
            (7, "SELECT 3".to_owned())
        ]
    );
}

#[test]
fn each_form_asks_for_the_lock_of_the_manual() {
    use LockMode::*;
    let contacts = |mode| vec![("public.contacts".to_owned(), mode)];
    assert_eq!(needs("ALTER TABLE public.contacts ADD COLUMN a int"), contacts(AccessExclusive));
    assert_eq!(
        needs("ALTER TABLE ONLY public.contacts VALIDATE CONSTRAINT c"),
        contacts(ShareUpdateExclusive)
    );
    assert_eq!(needs("CREATE INDEX i ON public.contacts (a)"), contacts(Share));
    assert_eq!(needs("CREATE INDEX CONCURRENTLY i ON public.contacts (a)"), contacts(ShareUpdateExclusive));
    assert_eq!(
        needs("CREATE TRIGGER t AFTER INSERT OR UPDATE ON public.contacts FOR EACH ROW EXECUTE FUNCTION f()"),
        contacts(ShareRowExclusive)
    );
    assert_eq!(needs("CREATE POLICY p ON public.contacts USING (true)"), contacts(AccessExclusive));
    assert_eq!(needs("DROP TRIGGER IF EXISTS t ON public.contacts"), contacts(AccessExclusive));
    assert_eq!(needs("DELETE FROM public.contacts WHERE id = 1"), contacts(RowExclusive));
    assert_eq!(
        needs("CREATE TABLE x (c uuid REFERENCES public.contacts (id))"),
        contacts(ShareRowExclusive),
        "the harmless one"
    );
    assert_eq!(
        needs("ALTER TABLE x ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES public.contacts (id) NOT VALID"),
        [("x".to_owned(), ShareRowExclusive), ("public.contacts".to_owned(), ShareRowExclusive)]
    );
    assert_eq!(needs("COMMENT ON COLUMN public.contacts.a IS 'x'"), contacts(ShareUpdateExclusive));
    assert_eq!(needs("ANALYZE public.contacts"), contacts(ShareUpdateExclusive));
    assert_eq!(needs("TRUNCATE public.contacts"), contacts(AccessExclusive));
}

#[test]
fn an_index_is_read_with_its_clauses() {
    let index = one(
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"I x\" ON ONLY contacts USING gin (a) WHERE a IS NOT NULL",
    );
    assert_eq!(index.shape.transaction, Transaction::Never);
    assert_eq!(
        index.shape.kind,
        Kind::CreateIndex {
            name: Some("\"I x\"".into()),
            table: "contacts".into(),
            exists: Clause::Lenient,
            built: Built::Concurrently,
            serves: Serves::Uniqueness
        }
    );
}

#[test]
fn added_columns_keep_their_definition() {
    let alter = one(
        "ALTER TABLE a\n  ADD COLUMN IF NOT EXISTS pulse_tags text[] DEFAULT '{}',\n  ADD note text,\n DROP CONSTRAINT IF EXISTS k",
    );
    let Kind::AlterTable { additions, .. } = alter.shape.kind else { panic!("{:?}", alter.shape.kind) };
    let read: Vec<_> = additions.iter().map(|add| (&*add.column, &*add.definition, add.exists)).collect();
    assert_eq!(
        read,
        [
            ("pulse_tags", "pulse_tags text[] DEFAULT '{}'", Clause::Lenient),
            ("note", "note text", Clause::Strict)
        ]
    );
}

#[test]
fn what_must_not_run_is_refused_with_its_line() {
    let of = |sql: &str| split("f.sql", sql, 1).expect_err("refused").what;
    assert!(
        of("SELECT 1;\ncreate tabl oops;").starts_with("f.sql:2:1: syntax error"),
        "{}",
        of("SELECT 1;\ncreate tabl oops;")
    );
    let psql = |line: u32, command: &str| {
        format!("f.sql:{line}: {command} is a command of psql, which is not run here")
    };
    assert_eq!(of("SELECT 1;\n\\i other.sql\n"), psql(2, "\\i"));
    assert_eq!(of("\\copy t from 'rows.csv' csv\n"), psql(1, "\\copy"));
    assert_eq!(of("SELECT 1;\n\nSELECT 'x' \\gset\n"), psql(3, "\\gset"));
    assert_eq!(of("\\restrict abc\nSELECT 1;\n"), psql(1, "\\restrict"));
    assert!(of("SELECT 1;\nSAVEPOINT s;").starts_with("f.sql:2: SAVEPOINT s inside a migration"));
    assert!(of("BEGIN;\nSELECT 1;").starts_with("f.sql:1: BEGIN inside a migration"));
    assert!(of("SELECT 1;\0").contains("f.sql:1: a NUL byte"));
    assert!(split("f.sql", "SELECT '\n\\d not a command';", 1).is_ok());
    assert!(split("f.sql", "SELECT E'it\\'s \\\\ one';", 1).is_ok());
}

#[test]
fn a_title_is_one_line() {
    assert_eq!(&*one("SELECT 'two\r\n  lines'").title, "SELECT 'two lines'");
}

#[test]
fn rows_that_were_written_as_statements_are_no_migration() {
    let failure = split("f.sql", &"SELECT 1;\n".repeat(20_001), 1).expect_err("refused");
    assert!(failure.what.starts_with("f.sql:20001: more than 20000 statements"), "{failure}");
}

#[test]
fn rows_for_psql_are_named_before_they_are_taken_for_sql() {
    let dump = "CREATE TABLE t (a int, b text);\nCOPY public.t (a, b) FROM stdin;\n1\tx;y\n2\t\\N\n\\.\n\nSELECT 1;\n";
    let failure = split("f.sql", dump, 1).expect_err("refused");
    assert!(
        failure.what.starts_with("f.sql:2: COPY … FROM STDIN takes its rows from psql's script"),
        "{failure}"
    );
    assert!(
        split("f.sql", "COPY t FROM '/srv/rows.csv' WITH (FORMAT csv);", 1).is_ok(),
        "the server reads that"
    );
    let variable = split("f.sql", "SELECT :'name';", 1).expect_err("refused");
    assert!(variable.next.contains("variables of psql"), "{variable}");
}

#[test]
fn what_sets_the_session_is_told_from_what_sets_a_transaction() {
    use super::session::Lasts::{Session, Transaction};
    for (sql, kind) in [
        ("SET search_path = crm, public", Kind::Sets(Session)),
        ("SET ROLE app", Kind::Sets(Session)),
        ("SET SESSION AUTHORIZATION app", Kind::Sets(Session)),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Kind::Sets(Session)),
        ("RESET ROLE", Kind::Sets(Session)),
        ("SET LOCAL lock_timeout = '1s'", Kind::Sets(Transaction)),
        ("SET CONSTRAINTS ALL DEFERRED", Kind::Sets(Transaction)),
        ("SELECT pg_catalog.set_config('search_path', '(', false)", Kind::Sets(Session)),
        ("select set_config('a.b', 'x', true)", Kind::Sets(Transaction)),
        // What is asked for may be another the next time.
        ("SELECT set_config('a.b', current_user, false)", Kind::Other),
        ("SELECT set_config('a.b', n::text, false) FROM t", Kind::Other),
        ("SELECT set_config('a.b', 'x', false), count(*) FROM t", Kind::Other),
    ] {
        assert_eq!(one(sql).shape.kind, kind, "{sql}");
    }
}

#[test]
fn vacuum_locks_the_tables_that_it_names() {
    use LockMode::{AccessExclusive, ShareUpdateExclusive};
    for (sql, tables, mode) in [
        ("VACUUM t", &["t"][..], ShareUpdateExclusive),
        ("VACUUM (ANALYZE, PARALLEL 2) public.t, u", &["public.t", "u"], ShareUpdateExclusive),
        ("VACUUM FREEZE VERBOSE ANALYZE t", &["t"], ShareUpdateExclusive),
        ("VACUUM FULL t", &["t"], AccessExclusive),
        ("VACUUM (FULL, VERBOSE) t", &["t"], AccessExclusive),
        ("VACUUM", &[], ShareUpdateExclusive),
    ] {
        let wanted: Vec<_> = tables.iter().map(|table| ((*table).to_owned(), mode)).collect();
        assert_eq!(needs(sql), wanted, "{sql}");
    }
}
