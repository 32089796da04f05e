//! What a server says no to: one clear outcome each, with file, line and what to do; the rest of the plan is not run, and nothing is
//! half recorded.

use std::fmt::Write as _;
use std::process::Command;

use gonogo::workers::migrate::{Database, MigrationSet, up};
use secrecy::{ExposeSecret as _, SecretString};

use crate::ground::{Ground, Recorder, brisk, set};

/// Runs a first file that is bad and a second that is not, and holds what is always so. Returns what was said.
async fn refused(ground: &Ground, db: &Database, bad: &str) -> String {
    let files = set(&[("1_bad.up.sql", bad), ("2_next.up.sql", "CREATE TABLE next (id int);")]);
    let recorder = Recorder::default();
    let failure = up(db, &files, None, &brisk(), &recorder).await.unwrap_err();
    let line = recorder.line();
    assert!(line.trim_start_matches(['d', 'n']).starts_with('F') && line.ends_with('n'), "{line}: {failure}");
    assert_eq!(ground.text("SELECT to_regclass('next') IS NULL").await, "true", "{failure}");
    assert_eq!(
        ground.text("SELECT coalesce(string_agg(state, ','), 'none') FROM gonogo.migrations").await,
        "applying",
        "begun, and not more: {failure}"
    );
    assert_eq!(ground.text("SELECT count(*) FROM gonogo.steps WHERE state = 'done'").await, "0", "{failure}");
    ground.sql("DROP SCHEMA gonogo CASCADE").await;
    failure.to_string()
}

/// As somebody who owns nothing.
async fn limited(ground: &Ground, rights: &str) -> Database {
    let make = format!("DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN PASSWORD 'limited'; {rights}");
    ground.sql(&make).await;
    let mut url = url::Url::parse(ground.scratch.url("crm").expose_secret()).unwrap();
    url.set_username("limited").unwrap();
    url.set_password(Some("limited")).unwrap();
    Database::connect(&SecretString::from(url.to_string()), "gonogo").await.unwrap()
}

#[tokio::test]
async fn what_the_data_or_the_schema_forbid_is_said_with_its_place() {
    let ground = Ground::empty().await;
    let db = ground.db().await;
    ground
        .sql(
            "CREATE TABLE contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text, age int);
             INSERT INTO contacts (email, age) VALUES ('a', -1), ('a', 2)",
        )
        .await;
    let of = async |sql: &str| refused(&ground, &db, sql).await;

    let syntax = of("SELECT 1;\nINSERT INTO contacts (age)\n  VALUES (1, 2);").await;
    assert!(syntax.contains("1_bad.up.sql:3:14: SQLSTATE 42601"), "{syntax}");
    let foreign = of("CREATE TABLE x (id int,\n  contact_id int REFERENCES contacts (id));").await;
    assert!(
        foreign.contains("1_bad.up.sql:1")
            && foreign.contains("42804")
            && foreign.contains("the two types differ"),
        "{foreign}"
    );
    let twins = of("CREATE UNIQUE INDEX u ON contacts (email);").await;
    assert!(
        twins.contains("23505") && twins.contains("(email)=(a)") && twins.contains("duplicates"),
        "{twins}"
    );
    let check = of("ALTER TABLE contacts ADD CONSTRAINT old CHECK (age >= 0);").await;
    assert!(check.contains("23514") && check.contains("rows that are there break the new rule"), "{check}");
    let absent = of("SELECT 1;\n\nALTER TABLE kontakts ADD COLUMN a int;").await;
    assert!(absent.contains("1_bad.up.sql:3") && absent.contains("42P01"), "{absent}");
    let block = of("DO $$\nBEGIN\n  PERFORM 1;\n  PERFORM nothing_of_that_name();\nEND $$;").await;
    assert!(block.contains("42883") && block.contains("inner query"), "{block}");
    let rights =
        of("CREATE ROLE limited LOGIN; SET ROLE limited; ALTER TABLE contacts ADD COLUMN b int;").await;
    assert!(rights.contains("42501"), "{rights}");
}

#[tokio::test]
async fn a_role_that_may_not_is_told_what_it_lacks() {
    let ground = Ground::empty().await;
    ground.sql("CREATE TABLE contacts (id int)").await;
    let files = set(&[("1_a.up.sql", "ALTER TABLE contacts ADD COLUMN b int;")]);
    let db = limited(&ground, "").await;
    let recorder = Recorder::default();
    let failure = up(&db, &files, None, &brisk(), &recorder).await.unwrap_err();
    assert!(failure.what.contains("42501") && failure.what.contains("making the schema gonogo"), "{failure}");
    assert_eq!(recorder.line(), "", "nothing was planned");
    assert_eq!(ground.text("SELECT to_regnamespace('gonogo') IS NULL").await, "true");

    let db = limited(&ground, "GRANT CREATE ON DATABASE crm TO limited").await;
    let failure = up(&db, &files, None, &brisk(), &Recorder::default()).await.unwrap_err();
    assert!(
        failure.what.contains("must be owner of table contacts")
            && failure.next.contains("as the owner of the table"),
        "{failure}"
    );
    assert_eq!(ground.text("SELECT count(*) FROM gonogo.steps").await, "0");
}

#[tokio::test]
async fn what_a_role_has_set_for_its_sessions_does_not_cut_a_migration() {
    let ground = Ground::empty().await;
    let mut rights = String::from(
        "GRANT CREATE ON DATABASE crm TO limited; GRANT ALL ON SCHEMA public TO limited;
         ALTER ROLE limited SET statement_timeout = '100ms'; ALTER ROLE limited SET lock_timeout = '50ms';
         ALTER ROLE limited SET idle_in_transaction_session_timeout = '100ms'; ALTER ROLE limited SET idle_session_timeout = '100ms';
         ALTER ROLE limited SET standard_conforming_strings = off;",
    );
    if ground.scratch.binaries().major() >= 17 {
        rights.push_str("ALTER ROLE limited SET transaction_timeout = '100ms';");
    }
    let db = limited(&ground, &rights).await;
    // With the role's own settings the backslash would hold the string open.
    let files = set(&[
        (
            "1_a.up.sql",
            "CREATE TABLE t (a text); SELECT pg_sleep(0.4); INSERT INTO t VALUES ('\\'); INSERT INTO t VALUES ('b');",
        ),
        ("2_b.up.sql", "CREATE INDEX CONCURRENTLY i ON t (a);"),
    ]);
    let mut writer = ground.session().await;
    let blocking = async {
        ground.until("SELECT to_regclass('t') IS NOT NULL").await;
        crate::ground::run(&mut writer, "BEGIN; INSERT INTO t VALUES ('c'); SELECT pg_sleep(0.4); COMMIT")
            .await;
    };
    let (recorder, options) = (Recorder::default(), brisk());
    let (report, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), blocking);
    assert_eq!(report.unwrap().applied, [1, 2]);
    assert_eq!(ground.text("SELECT string_agg(a, '' ORDER BY a) FROM t").await, "\\bc");

    let db = limited_read_only(&ground).await;
    let failure = up(&db, &set(&[("1_a.up.sql", "SELECT 1;")]), None, &brisk(), &Recorder::default())
        .await
        .unwrap_err();
    assert!(failure.what.contains("25006") && failure.next.contains("read-only"), "{failure}");
}

async fn limited_read_only(ground: &Ground) -> Database {
    ground.sql("DROP SCHEMA gonogo CASCADE; DROP TABLE t; REVOKE ALL ON DATABASE crm FROM limited; DROP OWNED BY limited").await;
    limited(
        ground,
        "GRANT CREATE ON DATABASE crm TO limited; ALTER ROLE limited SET default_transaction_read_only = on",
    )
    .await
}

#[tokio::test]
async fn a_file_that_changes_while_the_run_is_under_way_is_not_begun() {
    let ground = Ground::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let second = dir.path().join("2_b.up.sql");
    std::fs::write(dir.path().join("1_a.up.sql"), "CREATE TABLE a (id int); SELECT pg_sleep(0.2);").unwrap();
    std::fs::write(&second, "CREATE TABLE b (id int);").unwrap();
    let files = MigrationSet::read(dir.path()).unwrap();
    let (db, recorder, options) = (ground.db().await, Recorder::default(), brisk());
    let editing = async {
        recorder.started.subscribe().wait_for(Option::is_some).await.unwrap();
        std::fs::write(&second, "CREATE TABLE b (id bigint);").unwrap();
    };
    let (ended, ()) = tokio::join!(up(&db, &files, None, &options, &recorder), editing);
    let failure = ended.unwrap_err();
    assert!(failure.what.contains("2_b.up.sql was changed while the run was under way"), "{failure}");
    assert_eq!(recorder.line(), "ddF");
    assert_eq!(
        ground.text("SELECT string_agg(number || state, ',') FROM gonogo.migrations").await,
        "1verified"
    );
    let files = MigrationSet::read(dir.path()).unwrap();
    up(&db, &files, None, &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(
        ground
            .text("SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'b'::regclass AND attnum = 1")
            .await,
        "bigint"
    );
}

#[tokio::test]
async fn a_large_file_is_read_and_run_in_its_few_statements() {
    let ground = Ground::empty().await;
    let mut text = String::from("CREATE TABLE big (id int, a text);\n");
    for block in 0..8 {
        let rows: Vec<String> =
            (0..5_000).map(|row| format!("({}, 'some; text')", block * 5_000 + row)).collect();
        writeln!(text, "INSERT INTO big VALUES {};", rows.join(",\n")).unwrap();
    }
    let recorder = Recorder::default();
    up(&ground.db().await, &set(&[("1_big.up.sql", &text)]), None, &brisk(), &recorder).await.unwrap();
    assert_eq!(recorder.line(), "d".repeat(9));
    assert_eq!(ground.text("SELECT count(*) || ' ' || max(id) FROM big").await, "40000 39999");
}

/// A file system of a few megabytes; gone with the test.
struct Small(std::path::PathBuf);

impl Small {
    fn mount() -> Option<Self> {
        let path = std::env::temp_dir().join(format!("gonogo-small-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&path).output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self(path));
        }
        println!("skipped: no file system could be mounted, which only root may");
        drop(std::fs::remove_dir(&path));
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
        drop(std::fs::remove_dir(&self.0));
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_step_and_takes_nothing_with_it() {
    let Some(small) = Small::mount() else { return };
    let ground = Ground::empty().await;
    let owner = std::fs::metadata(ground.scratch.dir().join("data")).unwrap();
    std::os::unix::fs::chown(&small.0, Some(std::os::unix::fs::MetadataExt::uid(&owner)), None).unwrap();
    let place = small.0.join("tables");
    std::fs::create_dir(&place).unwrap();
    std::os::unix::fs::chown(&place, Some(std::os::unix::fs::MetadataExt::uid(&owner)), None).unwrap();
    ground.sql(&format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).await;
    let db = ground.db().await;
    let said = refused(
        &ground,
        &db,
        "CREATE TABLE big (id int, filler text) TABLESPACE small;\nINSERT INTO big SELECT n, repeat('x', 500) FROM generate_series(1, 50000) n;",
    )
    .await;
    assert!(
        said.contains("1_bad.up.sql:2")
            && said.contains("53100")
            && said.contains("the disk is full: make room first"),
        "{said}"
    );
    assert_eq!(ground.text("SELECT to_regclass('big') IS NULL").await, "true");
    ground.sql("DROP TABLESPACE small").await;
}
