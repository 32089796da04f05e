//! Other tools' bookkeeping: believed where it is sound, shown where it differs, refused where it is in disorder, never written, and
//! taken over only when somebody asks.

use std::path::{Path, PathBuf};

use gonogo::plan::config::Layout;
use gonogo::workers::migrate::{Changed, MigrationSet, Sameness, Tool, adopt, down, foreigners, status, up};
use sha2::{Digest as _, Sha384};

use crate::ground::{Ground, Recorder, brisk};

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migrate/layouts").join(name)
}

fn read(name: &str) -> MigrationSet {
    MigrationSet::read(&directory(name)).unwrap()
}

/// For each migration, what the other tool is said to have done with it.
async fn said(ground: &Ground, set: &MigrationSet) -> Vec<Option<Sameness>> {
    let standing = status(&ground.db().await, set).await.unwrap();
    standing.iter().map(|one| one.foreign.as_ref().map(|foreign| foreign.file)).collect()
}

async fn refusal(ground: &Ground, set: &MigrationSet) -> String {
    let recorder = Recorder::default();
    let failure = up(&ground.db().await, set, None, &brisk(), &recorder).await.unwrap_err();
    assert_eq!(recorder.line(), "", "nothing was planned: {failure}");
    failure.to_string()
}

/// Everything in a table, so that a test can say that nobody wrote it.
async fn whole(ground: &Ground, table: &str) -> String {
    ground
        .text(&format!("SELECT concat(count(*), ' ', sum(hashtextextended(t::text, 0))) FROM {table} t"))
        .await
}

const SQLX: &str = "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,
    installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL);";

async fn applied_by_sqlx(ground: &Ground, file: &str) {
    let version: String = file.chars().take_while(char::is_ascii_digit).collect();
    let sum = Sha384::digest(std::fs::read(directory("sqlx-pairs").join(file)).unwrap());
    let hex = sum.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    ground.sql(&format!("INSERT INTO _sqlx_migrations VALUES ({version}, 'users', '2024-01-02 03:04:05Z', true, '\\x{hex}', 1)")).await;
}

#[tokio::test]
async fn what_sqlx_applied_counts_and_is_neither_run_nor_written() {
    let ground = Ground::empty().await;
    let db = ground.db().await;
    let set = read("sqlx-pairs");
    ground.sql(&format!("{SQLX} CREATE TABLE users (id bigint, email text)")).await;
    applied_by_sqlx(&ground, "20240101120000_users.up.sql").await;
    let before = whole(&ground, "_sqlx_migrations").await;
    assert_eq!(said(&ground, &set).await, [Some(Sameness::Same), None]);

    let recorder = Recorder::default();
    let report = up(&db, &set, None, &brisk(), &recorder).await.unwrap();
    assert_eq!((recorder.line().as_str(), report.applied), ("dd", vec![20_240_201_090_000]));
    assert_eq!(whole(&ground, "_sqlx_migrations").await, before);

    let failure = down(&db, &set, Some(0), &brisk(), &Recorder::default()).await.unwrap_err();
    assert!(
        failure.what.contains("was applied by sqlx") && failure.next.contains("migrate adopt"),
        "{failure}"
    );
    down(&db, &set, Some(20_240_101_120_000), &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(said(&ground, &set).await, [Some(Sameness::Same), None]);

    ground.sql("UPDATE _sqlx_migrations SET checksum = '\\x00'").await;
    assert_eq!(said(&ground, &set).await, [Some(Sameness::Differs), None]);
    let failure = refusal(&ground, &set).await;
    assert!(failure.contains("20240101120000_users.up.sql is not what sqlx applied"), "{failure}");
    ground.sql("UPDATE _sqlx_migrations SET success = false").await;
    let failure = refusal(&ground, &set).await;
    assert!(
        failure
            .contains("_sqlx_migrations says that 20240101120000 (users) was begun by sqlx and did not end"),
        "{failure}"
    );
    ground.sql("UPDATE _sqlx_migrations SET success = true, version = 7").await;
    let failure = refusal(&ground, &set).await;
    assert!(failure.contains("7 (users) is applied") && failure.contains("has no file"), "{failure}");
}

#[tokio::test]
async fn adoption_is_asked_for_recorded_and_final() {
    let ground = Ground::empty().await;
    let db = ground.db().await;
    let set = read("sqlx-pairs");
    ground.sql(&format!("{SQLX} CREATE TABLE users (id bigint, email text)")).await;
    applied_by_sqlx(&ground, "20240101120000_users.up.sql").await;
    let before = whole(&ground, "_sqlx_migrations").await;

    let adopted = adopt(&db, &set, None, Changed::Refuse, &brisk()).await.unwrap();
    assert_eq!((adopted.tool, adopted.titles), (Tool::Sqlx, vec!["20240101120000 users".to_owned()]));
    let record = "SELECT concat_ws(' ', h.number, h.what, h.by, h.at > now() - interval '1 minute', m.state, m.applied_at)
                  FROM gonogo.history h JOIN gonogo.migrations m USING (number)";
    assert_eq!(ground.text(record).await, "20240101120000 adopted test t applied 2024-01-02 03:04:05+00");
    assert_eq!(whole(&ground, "_sqlx_migrations").await, before);
    let none = adopt(&db, &set, None, Changed::Refuse, &brisk()).await.unwrap();
    assert!(none.titles.is_empty(), "{none:?}");

    let report = up(&db, &set, None, &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(report.applied, [20_240_101_120_000, 20_240_201_090_000]);
    // Taken back here, it is not applied any more, whatever the other tool still believes.
    down(&db, &set, None, &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(ground.text("SELECT to_regclass('users') IS NULL").await, "true");
    let standing = status(&db, &set).await.unwrap();
    assert!(
        standing[0].state.is_none() && standing[0].foreign.as_ref().is_some_and(|foreign| foreign.adopted)
    );
    let report = up(&db, &set, None, &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(report.applied.len(), 2, "and it is run again");

    let ground = Ground::empty().await;
    ground.sql(&format!("{SQLX} CREATE TABLE users (id bigint, email text)")).await;
    applied_by_sqlx(&ground, "20240101120000_users.up.sql").await;
    ground.sql("UPDATE _sqlx_migrations SET checksum = '\\x00'").await;
    let failure = adopt(&ground.db().await, &set, None, Changed::Refuse, &brisk()).await.unwrap_err();
    assert!(
        failure.what.contains("20240101120000_users.up.sql") && failure.next.contains("--changed accept"),
        "{failure}"
    );
    assert_eq!(ground.text("SELECT to_regclass('gonogo.history') IS NULL").await, "true");
    let adopted = adopt(&ground.db().await, &set, None, Changed::Accept, &brisk()).await.unwrap();
    assert_eq!(adopted.titles.len(), 1);
}

#[tokio::test]
async fn golang_migrate_says_one_version_and_whether_it_is_dirty() {
    let ground = Ground::empty().await;
    let set = read("golang-migrate");
    ground
        .sql(
            "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
             CREATE TABLE users (id serial); CREATE TYPE mood AS ENUM ('happy'); INSERT INTO schema_migrations VALUES (2, false)",
        )
        .await;
    assert_eq!(said(&ground, &set).await, [Some(Sameness::NotRecorded), Some(Sameness::NotRecorded), None]);
    // The hole before 4 was there when the others were applied, but nothing says that 3 was ever run.
    assert!(refusal(&ground, &set).await.contains("number 3 is missing"));
    ground.sql("UPDATE schema_migrations SET version = 4, dirty = true").await;
    let failure = refusal(&ground, &set).await;
    assert!(
        failure.contains("schema_migrations says that 4 is dirty") && failure.contains("migrate force"),
        "{failure}"
    );
    ground.sql("UPDATE schema_migrations SET dirty = false").await;
    let report = up(&ground.db().await, &set, None, &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(
        (report.done, report.applied),
        (0, vec![]),
        "a hole among what is applied is nobody's business"
    );

    // The same name, another tool's table: these files are not dbmate's.
    ground.sql("DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version varchar PRIMARY KEY); INSERT INTO schema_migrations VALUES ('9')").await;
    assert_eq!(said(&ground, &set).await, [None, None, None]);
}

#[tokio::test]
async fn dbmate_supabase_and_goose_say_version_by_version() {
    let ground = Ground::empty().await;
    let set = read("dbmate");
    ground
        .sql("CREATE TABLE schema_migrations (version varchar PRIMARY KEY); INSERT INTO schema_migrations VALUES ('20240101120000'), ('20240102120000')")
        .await;
    assert_eq!(said(&ground, &set).await, [Some(Sameness::NotRecorded), Some(Sameness::NotRecorded), None]);
    assert_eq!(
        up(&ground.db().await, &set, None, &brisk(), &Recorder::default()).await.unwrap().applied,
        [20_240_103_120_000]
    );

    let ground = Ground::empty().await;
    let set = read("supabase/migrations");
    ground
        .sql(
            "CREATE SCHEMA supabase_migrations; CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
             INSERT INTO supabase_migrations.schema_migrations VALUES ('20240101120000', ARRAY[
               'create table public.users (id uuid primary key default gen_random_uuid(), email text)',
               'alter table public.users enable row level security',
               'create policy \"Users see themselves.\" on public.users for select using (true)'], 'users')",
        )
        .await;
    assert_eq!(said(&ground, &set).await, [Some(Sameness::Same), None]);
    assert_eq!(
        up(&ground.db().await, &set, None, &brisk(), &Recorder::default()).await.unwrap().applied,
        [20_240_102_120_000]
    );
    ground.sql("UPDATE supabase_migrations.schema_migrations SET statements = ARRAY['create table public.users ()']").await;
    assert_eq!(said(&ground, &set).await[0], Some(Sameness::Differs));

    let ground = Ground::empty().await;
    let set = read("goose");
    ground
        .sql(
            "CREATE TABLE goose_db_version (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
             INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true), (2, true), (2, false), (3, true);
             CREATE TABLE users (id int, email text)",
        )
        .await;
    assert_eq!(said(&ground, &set).await, [Some(Sameness::NotRecorded), None]);
    // Version 3 is a program that goose ran: it is in its place. Version 2 was taken back.
    let failure = refusal(&ground, &set).await;
    assert!(
        failure.contains("2 users_email is not applied, but a later one is") || failure.contains("00002"),
        "{failure}"
    );
}

#[tokio::test]
async fn flyway_says_attempts_undone_ones_and_a_baseline() {
    let ground = Ground::empty().await;
    let set = read("flyway");
    ground
        .sql(
            "CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
               type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by varchar(100) NOT NULL,
               installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, success boolean NOT NULL);
             INSERT INTO flyway_schema_history VALUES
               (1, '1', 'users', 'SQL', 'V1__users.sql', -2134990597, 'x', now(), 1, true),
               (2, NULL, 'user names', 'SQL', 'R__user_names.sql', 5, 'x', now(), 1, true),
               (3, '1.2.1', 'users email', 'SQL', 'V1.2.1__users_email.sql', 12, 'x', now(), 1, true);
             CREATE TABLE users (id int PRIMARY KEY, email text)",
        )
        .await;
    let first = said(&ground, &set).await;
    assert_eq!(first, [Some(Sameness::Same), Some(Sameness::Differs), None, None]);
    assert!(refusal(&ground, &set).await.contains("V1.2.1__users_email.sql is not what Flyway applied"));
    ground.sql("UPDATE flyway_schema_history SET checksum = -596222700 WHERE installed_rank = 3").await;
    let report = up(&ground.db().await, &set, None, &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(report.applied, [1_010_000_000, 2_000_000_000]);
    assert_eq!(set.number_of("1.10"), Some(1_010_000_000));

    ground.sql("DROP SCHEMA gonogo CASCADE; UPDATE flyway_schema_history SET success = false WHERE installed_rank = 3").await;
    let failure = refusal(&ground, &set).await;
    assert!(
        failure.contains("1.2.1 (users email) failed when Flyway ran it")
            && failure.contains("flyway repair"),
        "{failure}"
    );
    ground.sql("DELETE FROM flyway_schema_history; INSERT INTO flyway_schema_history VALUES (1, '1.10', 'base', 'BASELINE', 'base', NULL, 'x', now(), 0, true)").await;
    let base = Some(Sameness::NotRecorded);
    assert_eq!(said(&ground, &set).await, [base, base, base, None]);
}

#[tokio::test]
async fn two_tools_books_want_a_word_about_whose_files_these_are() {
    let ground = Ground::empty().await;
    ground
        .sql(&format!(
            "{SQLX} INSERT INTO _sqlx_migrations VALUES (1, 'a', now(), true, '\\x00', 1);
             CREATE TABLE schema_migrations (version bigint, dirty boolean); INSERT INTO schema_migrations VALUES (57, false)"
        ))
        .await;
    let failure = refusal(&ground, &read("golang-migrate")).await;
    assert!(
        failure.contains("sqlx and golang-migrate have both kept books") && failure.contains("--layout"),
        "{failure}"
    );
    let shown = foreigners(&ground.db().await, &read("golang-migrate")).await.unwrap().unwrap();
    assert_eq!(shown.tools, [Tool::Sqlx, Tool::GolangMigrate]);
    let named = MigrationSet::read_as(&directory("golang-migrate"), Layout::GolangMigrate).unwrap();
    assert!(
        refusal(&ground, &named)
            .await
            .contains("57 is applied, as schema_migrations of golang-migrate says, but has no file")
    );
    // Own files are nobody else's, whatever stands in the database.
    let own = read("own");
    assert_eq!(
        up(&ground.db().await, &own, None, &brisk(), &Recorder::default()).await.unwrap().applied,
        [1]
    );
}
