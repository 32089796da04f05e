//! On a real server: nothing escapes, nothing differs that is the same, and a clone is seen to be one.

use sqlx::AssertSqlSafe;

use super::*;
use crate::scratch::Scratch;

/// Some of everything that a schema can hold.
const EVERYTHING: &str = r#"
    CREATE ROLE dry_reader NOLOGIN;
    CREATE TYPE mood AS ENUM ('calm', 'not calm');
    CREATE DOMAIN positive AS int DEFAULT 3 NOT NULL CHECK (value > 0);
    CREATE TYPE pair AS (one int, two text);
    CREATE TABLE days (id int, day date) PARTITION BY RANGE (day);
    CREATE TABLE days_2026 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE TABLE "Odd Name" (id serial PRIMARY KEY, g int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (id * 2) STORED,
      mood mood DEFAULT 'calm', "a.b" text COLLATE "C", kind varchar(9) CHECK (kind IN ('x', 'y''z')));
    CREATE UNLOGGED TABLE loose (id int REFERENCES "Odd Name" (id) ON DELETE CASCADE) WITH (fillfactor = 70);
    GRANT SELECT ON "Odd Name" TO dry_reader;
    GRANT UPDATE ("a.b") ON "Odd Name" TO dry_reader WITH GRANT OPTION;
    CREATE FUNCTION answer(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 42';
    REVOKE ALL ON FUNCTION answer FROM PUBLIC;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touched BEFORE UPDATE ON "Odd Name" FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
    CREATE VIEW seen WITH (security_invoker = true) AS SELECT id, mood FROM "Odd Name" WHERE kind IN ('x', 'y''z');
    CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM loose;
    CREATE INDEX odd_kind ON "Odd Name" (lower("a.b")) WHERE kind IS NOT NULL;
    ALTER TABLE loose ENABLE ROW LEVEL SECURITY;
    CREATE POLICY mine ON loose FOR SELECT TO dry_reader USING (id IN (SELECT id FROM "Odd Name"));
    CREATE STATISTICS odd_stats ON mood, kind FROM "Odd Name";
    CREATE RULE nothing AS ON DELETE TO loose DO INSTEAD NOTHING;
    COMMENT ON COLUMN "Odd Name"."a.b" IS 'it''s';
"#;

async fn server() -> (tempfile::TempDir, Scratch) {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    scratch.create_database("crm").await.unwrap();
    scratch.load_base_schema("crm").await.unwrap();
    let mut session = scratch.connect("crm").await.unwrap();
    run(&mut session, EVERYTHING).await.unwrap();
    (dir, scratch)
}

#[tokio::test]
async fn every_change_is_seen_and_told_and_nothing_else() {
    let (_dir, scratch) = server().await;
    let mut session = scratch.connect("crm").await.unwrap();
    let scope = Scope::whole();
    let before = snapshot(&mut session, &scope).await.unwrap();
    let path: String = sqlx::query_scalar("SHOW search_path").fetch_one(&mut session).await.unwrap();
    assert_eq!(path, "\"$user\", public", "the session is left as it was");
    assert_eq!(before, snapshot(&mut session, &scope).await.unwrap());
    assert_eq!(
        before.get(Kind::Column, "public.\"Odd Name\".\"a.b\"").unwrap(),
        "text COLLATE \"C\" RIGHTS +dry_reader UPDATE WITH GRANT OPTION COMMENT 'it''s'"
    );

    // Each changes one thing, and is told with these words.
    let changes = [
        ("ALTER TABLE contacts ADD x int", "column public.contacts.x is new: integer"),
        ("ALTER TABLE contacts ALTER city SET DEFAULT 'c'", "column public.contacts.city was"),
        ("ALTER TABLE contacts ALTER city SET NOT NULL", "NOT NULL"),
        ("ALTER TABLE contacts ADD CONSTRAINT c CHECK (city <> '') NOT VALID", "NOT VALID"),
        ("ALTER TABLE loose DISABLE ROW LEVEL SECURITY", "table public.loose was"),
        ("ALTER TABLE loose SET LOGGED", "table public.loose was"),
        ("ALTER TABLE loose SET (fillfactor = 71)", "fillfactor=71"),
        ("ALTER TABLE loose OWNER TO dry_reader", "OWNER dry_reader"),
        ("ALTER TYPE mood ADD VALUE 'new'", "type public.mood was"),
        ("ALTER DOMAIN positive DROP NOT NULL", "type public.positive was"),
        ("ALTER TABLE \"Odd Name\" DISABLE TRIGGER touched", "DISABLED"),
        ("DROP TRIGGER touched ON \"Odd Name\"", "trigger touched on public.\"Odd Name\" is gone"),
        (
            "CREATE OR REPLACE FUNCTION answer(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 43'",
            "function public.answer(a integer, b text) was",
        ),
        ("GRANT EXECUTE ON FUNCTION answer TO PUBLIC", "function public.answer"),
        ("REVOKE SELECT ON \"Odd Name\" FROM dry_reader", "table public.\"Odd Name\" was"),
        ("ALTER VIEW seen RESET (security_invoker)", "view public.seen was"),
        ("ALTER POLICY mine ON loose USING (true)", "policy mine on public.loose was"),
        ("DROP STATISTICS odd_stats", "statistics public.odd_stats is gone"),
        ("ALTER SEQUENCE \"Odd Name_id_seq\" CACHE 7", "CACHE 7"),
        ("COMMENT ON INDEX odd_kind IS 'kind'", "index public.odd_kind was"),
        ("DROP RULE nothing ON loose", "rule nothing on public.loose is gone"),
        ("CREATE SCHEMA extra", "schema extra is new"),
        (
            "ALTER TABLE organizations DROP COLUMN updated_at",
            "column public.organizations.updated_at is gone",
        ),
    ];
    let mut last = before;
    for (sql, words) in changes {
        run(&mut session, sql).await.unwrap();
        let now = snapshot(&mut session, &scope).await.unwrap();
        let said = say(&last.diff(&now));
        assert!(said.len() == 1 && said.iter().any(|line| line.contains(words)), "{sql}: {said:#?}");
        assert_ne!(last.hash(), now.hash(), "{sql}");
        last = now;
    }

    run(
        &mut session,
        "CREATE TABLE fresh (id int PRIMARY KEY, a int, b int CHECK (b > 0)); CREATE INDEX ON fresh (a)",
    )
    .await
    .unwrap();
    let now = snapshot(&mut session, &scope).await.unwrap();
    assert_eq!(
        say(&last.diff(&now)),
        ["table public.fresh is new, with 3 columns, 2 constraints, 2 indexes"]
    );
    run(
        &mut session,
        "ALTER TABLE fresh DROP COLUMN a; ALTER TABLE fresh ADD a int; CREATE INDEX fresh_a_idx ON fresh (a)",
    )
    .await
    .unwrap();
    let moved = snapshot(&mut session, &scope).await.unwrap();
    assert_eq!(say(&now.diff(&moved)), ["columns public.fresh was: id, a, b; is: id, b, a"]);
    run(&mut session, "CREATE SCHEMA gonogo; CREATE TABLE gonogo.x (id int)").await.unwrap();
    assert_eq!(moved, snapshot(&mut session, &scope).await.unwrap(), "gonogo's own do not count");
}

#[tokio::test]
async fn a_clone_has_the_same_shape() {
    let (_dir, scratch) = server().await;
    scratch.clone_schema_from(&scratch.url("crm"), "clone").await.unwrap();
    let scope = Scope::shape(&["public"]);
    let source = snapshot(&mut scratch.connect("crm").await.unwrap(), &scope).await.unwrap();
    let clone = snapshot(&mut scratch.connect("clone").await.unwrap(), &scope).await.unwrap();
    assert!(source.objects.len() > 100, "{}", source.objects.len());
    assert_eq!(say(&source.diff(&clone)), Vec::<String>::new());
    assert_eq!(source.hash(), clone.hash());
}

#[tokio::test]
async fn a_fingerprint_tells_every_value_and_no_order() {
    let (_dir, scratch) = server().await;
    let mut session = scratch.connect("crm").await.unwrap();
    run(&mut session, "CREATE TABLE one (id int, at timestamptz, f float8); CREATE TABLE two (f float8, at timestamptz, id int);
        INSERT INTO one SELECT n, 'epoch'::timestamptz + n * interval '1 s', n / 3.0 FROM generate_series(1, 100) n;
        INSERT INTO two SELECT f, at, id FROM one ORDER BY id DESC").await.unwrap();
    let one = fingerprint(&mut session, "public.one").await.unwrap();
    let mut elsewhere = scratch.connect("crm").await.unwrap();
    run(&mut elsewhere, "SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = 0; SET DateStyle = 'German'")
        .await
        .unwrap();
    assert_eq!(one, fingerprint(&mut elsewhere, "two").await.unwrap());
    assert_eq!(one.rows, 100);
    for change in ["id = 999", "at = NULL", "f = f + 1e-13"] {
        run(&mut session, "BEGIN").await.unwrap();
        sqlx::query(AssertSqlSafe(format!("UPDATE one SET {change} WHERE id = 50")))
            .execute(&mut session)
            .await
            .unwrap();
        assert_ne!(one, fingerprint(&mut session, "one").await.unwrap(), "{change}");
        run(&mut session, "ROLLBACK").await.unwrap();
    }
    run(&mut session, "UPDATE one SET f = 0").await.unwrap();
    let some = ["id".to_owned(), "at".to_owned()];
    assert_eq!(
        fingerprint_of(&mut session, "one", &some).await.unwrap(),
        fingerprint_of(&mut session, "two", &some).await.unwrap()
    );
}
