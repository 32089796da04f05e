//! Laws of the splitter: whatever known statements are put together in whatever way, they come back as they were, with their lines; and
//! no text at all makes it lose a byte or fall over.

use proptest::prelude::*;
use proptest::sample::select;

use super::split::{Frame, Splits, split, split_framed};

/// Statements that hold everything a splitter trips over. None begins or ends with a blank.
const KNOWN: [&str; 22] = [
    "SELECT 1",
    "SELECT ';' AS a, 'it''s; here' AS b",
    "SELECT E'\\';\\\\' AS a",
    "SELECT $$ ; $$, $a$ $$ ; $b$ ; $b$ $$ ; $a$",
    "SELECT $body$ nested $$ dollar; $$ quotes $body$",
    "SELECT U&'d\\0061t; a', B'1', X'1F'",
    "SELECT \"a;b\"\"c\" FROM t",
    "SELECT /* a; /* nested; */ comment; */ 1",
    "SELECT -- a comment; with 'half a quote\n  1",
    "SELECT 'two\nlines;\n'",
    "SELECT 'a'\n  'b;'",
    "DO $$ BEGIN PERFORM 1; IF true THEN PERFORM 2; END IF; EXCEPTION WHEN others THEN NULL; END $$",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$\nBEGIN\n  RETURN NEW; -- ; $$\nEND;\n$f$",
    "CREATE FUNCTION g(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a; SELECT CASE WHEN a > 1 THEN 1 ELSE 2 END; END",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); INSERT INTO v VALUES (2))",
    "CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT ';' CHECK (a <> ';'))",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (lower(a)) WHERE a <> ';'",
    "ALTER TABLE t ADD COLUMN b int, ADD CONSTRAINT c CHECK (b > 0) NOT VALID",
    "INSERT INTO t (id, a) VALUES (1, 'x;'), (2, NULL) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a",
    "WITH x AS (SELECT 1 AS a) UPDATE t SET a = x.a::text FROM x",
    "COMMENT ON TABLE t IS 'a; b'",
    "CREATE TABLE \u{fc}ber (\u{1f600} text)",
];

/// What may stand between two statements; each has one semicolon that ends the first.
const BETWEEN: [&str; 8] = [
    ";",
    ";\n",
    ";\r\n",
    " ;\n\n",
    ";-- one; more\n",
    "; /* and; /* more */ */ ",
    "\n;\n;\n",
    ";\t-- 'half\r\n",
];

/// Texts made of what SQL is made of, in no order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "'", "\"", "$$", "$a$", "E'", "\\", "--", "/*", "*/", ";", "\n", "\r", " ", "(", ")", "BEGIN",
        "ATOMIC", "END", "CASE", "COMMIT", "COPY", "FROM", "stdin", "SELECT", "CREATE", "TABLE", "INDEX",
        "t", "1", ":", "::", "$1", "\u{fc}", "DO", ",",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

/// Whether the statements stand in the text in their order, with nothing to run before, between or behind them. A statement may
/// also stand in a comment before it, so that every place is tried.
fn accounted(text: &str, statements: &[&str]) -> bool {
    let nothing = |gap: &str| split("gap", gap, 1).is_ok_and(|none| none.is_empty());
    let Some((first, others)) = statements.split_first() else { return nothing(text) };
    text.match_indices(first)
        .any(|(at, _)| nothing(&text[..at]) && accounted(&text[at + first.len()..], others))
}

#[test]
fn what_stands_in_a_comment_too_is_accounted_for_and_what_is_left_out_is_not() {
    assert!(accounted("--SELECT\nSELECT", &["SELECT"]));
    assert!(!accounted("SELECT 1; SELECT 2", &["SELECT 2"]));
    assert!(!accounted("SELECT 1; SELECT 2", &["SELECT 1"]));
}

proptest! {
    #[test]
    fn what_was_put_together_comes_back(
        parts in prop::collection::vec((select(&KNOWN[..]), select(&BETWEEN[..])), 1..12),
        head in select(vec!["", "-- first; words\n", "\n\n", "/* ; */ "]),
        ends in any::<bool>(),
    ) {
        let mut text = head.to_owned();
        let mut wanted = Vec::new();
        for (at, (statement, between)) in parts.iter().enumerate() {
            let line = text.matches('\n').count() + 1;
            wanted.push((line, (*statement).to_owned()));
            text.push_str(statement);
            if ends || at + 1 < parts.len() {
                text.push_str(between);
            }
        }
        let found = split("f.sql", &text, 1);
        let found = found.map_err(|failure| TestCaseError::fail(format!("{failure}\nin:\n{text}")))?;
        let found: Vec<_> = found.iter().map(|one| (one.line as usize, one.text.to_string())).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn no_byte_is_lost(text in soup()) {
        // Refused is an answer; what is accepted must account for every byte.
        if let Ok(Splits { statements, frame: Frame::None }) = split_framed("f.sql", &text, 1) {
            let texts = statements.iter().map(|one| &*one.text).collect::<Vec<_>>();
            prop_assert!(accounted(&text, &texts), "{texts:?} are not all there is to run in {text:?}");
        }
    }
}
