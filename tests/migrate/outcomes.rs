//! What each kind of statement says when its name is taken already: the same, another, replaced, or nothing to take away.

use gonogo::run::StepOutcome;
use gonogo::workers::migrate::up;

use crate::ground::{Ground, Recorder, brisk, set};

async fn says(ground: &Ground, sql: &str) -> (char, String) {
    let files = set(&[("1_a.up.sql", sql)]);
    let recorder = Recorder::default();
    let ended = up(&ground.db().await, &files, None, &brisk(), &recorder).await;
    let letter = recorder.line().chars().last().unwrap();
    let words = match recorder.outcome(u32::try_from(recorder.line().len() - 1).unwrap()) {
        StepOutcome::Done { note } => note.unwrap_or_default(),
        StepOutcome::Skipped { why } => why,
        StepOutcome::NotRun { because } => because,
        StepOutcome::Failed { failure } => failure.to_string(),
    };
    assert_eq!(ended.is_err(), letter == 'F', "{words}");
    ground.sql("DELETE FROM gonogo.migrations; DELETE FROM gonogo.steps").await;
    (letter, words)
}

#[tokio::test]
async fn if_not_exists_is_compared_for_everything_that_has_it() {
    let ground = Ground::empty().await;
    ground
        .sql(
            "CREATE TABLE t (id int, a text); CREATE SEQUENCE s INCREMENT 5; CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
             CREATE EXTENSION IF NOT EXISTS plpgsql; ALTER TABLE t ADD COLUMN n int DEFAULT 3",
        )
        .await;
    let cases = [
        ("CREATE SEQUENCE IF NOT EXISTS s INCREMENT BY 5;", 's', "same definition"),
        ("CREATE SEQUENCE IF NOT EXISTS s;", 'F', "INCREMENT 5 MIN 1"),
        ("CREATE SEQUENCE IF NOT EXISTS s2;", 'd', "ms"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS m AS SELECT id FROM t;", 's', "same definition"),
        (
            "CREATE MATERIALIZED VIEW IF NOT EXISTS m AS SELECT a FROM t WITH NO DATA;",
            'F',
            "SELECT t.id FROM t, wanted SELECT t.a FROM t",
        ),
        ("CREATE EXTENSION IF NOT EXISTS plpgsql;", 's', "version 1.0 in pg_catalog"),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS n int DEFAULT 3;", 's', "same definition"),
        (
            "ALTER TABLE t ADD COLUMN IF NOT EXISTS n bigint;",
            'F',
            "column n is integer DEFAULT 3, wanted bigint",
        ),
    ];
    for (sql, letter, words) in cases {
        let (is, said) = says(&ground, sql).await;
        assert!(is == letter && said.contains(words), "{sql}\n{is} {said}");
    }
    assert_eq!(ground.text("SELECT to_regclass('gonogo.shape') IS NULL").await, "true");
}

#[tokio::test]
async fn what_is_replaced_says_what_it_was() {
    let ground = Ground::empty().await;
    ground
        .sql(
            "CREATE TABLE t (id int, a text); CREATE VIEW v AS SELECT id FROM t;
             CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
             CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g()",
        )
        .await;
    let cases = [
        ("CREATE OR REPLACE VIEW v AS SELECT id FROM t;", "view v was there already, the same"),
        (
            "CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE a IS NULL;",
            "it was `FROM t;`, and is now `FROM t` and 1 more line",
        ),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "function f was there already, the same",
        ),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';",
            "it was `AS $function$SELECT 1$function$`, and is now `AS $function$SELECT 2$function$`",
        ),
        (
            "CREATE OR REPLACE TRIGGER r BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION g();",
            "BEFORE UPDATE",
        ),
        ("CREATE OR REPLACE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1';", "ms"),
    ];
    for (sql, words) in cases {
        let (is, said) = says(&ground, sql).await;
        assert!(is == 'd' && said.contains(words), "{sql}\n{is} {said}");
    }
}

#[tokio::test]
async fn a_plain_create_over_something_shows_what_is_there() {
    let ground = Ground::empty().await;
    ground
        .sql(
            "CREATE TABLE t (id int); CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN pct AS int CHECK (VALUE < 101);
             CREATE POLICY p ON t FOR SELECT USING (id > 0); CREATE VIEW v AS SELECT 1 AS one",
        )
        .await;
    let cases = [
        ("CREATE TYPE mood AS ENUM ('ok');", "type mood is there already: ENUM ('sad', 'glad')"),
        ("CREATE DOMAIN pct AS int;", "DOMAIN integer CHECK ((VALUE < 101))"),
        (
            "CREATE POLICY p ON t USING (true);",
            "policy p is there already: PERMISSIVE FOR r TO public USING ((id > 0))",
        ),
        ("CREATE VIEW v AS SELECT 2 AS two;", "view v is there already: SELECT 1 AS one"),
    ];
    for (sql, words) in cases {
        let (is, said) = says(&ground, sql).await;
        assert!(is == 'F' && said.contains(words), "{sql}\n{is} {said}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_taken_away() {
    let ground = Ground::empty().await;
    ground
        .sql(
            "CREATE TABLE t (id int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
             CREATE FUNCTION h(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        )
        .await;
    let cases = [
        ("DROP FUNCTION IF EXISTS nobody();", 's'),
        ("DROP FUNCTION IF EXISTS f();", 'd'),
        ("DROP FUNCTION IF EXISTS nobody(int), h(int, text);", 'd'),
        ("DROP TYPE IF EXISTS nobody;", 's'),
        ("DROP POLICY IF EXISTS nobody ON t;", 's'),
        ("DROP TRIGGER IF EXISTS nobody ON t;", 's'),
        ("DROP VIEW IF EXISTS nobody;", 's'),
        ("COMMENT ON TABLE t IS 'x';", 'd'),
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY;", 'd'),
    ];
    for (sql, letter) in cases {
        let (is, said) = says(&ground, sql).await;
        assert_eq!(is, letter, "{sql}: {said}");
    }
    assert_eq!(ground.text("SELECT count(*) FROM pg_proc WHERE proname = 'h'").await, "0");
}
