//! The linter: files with what is said of them, the shipped migrations, and a live catalogue that knows which table matters.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gonogo::workers::migrate::MigrationSet;
use gonogo::workers::migrate::lint::{Finding, Knowledge, Severity, Standing, learn, lint};

use crate::ground::{Ground, run, set, shipped};

fn told(findings: &[Finding]) -> String {
    let line = |one: &Finding| {
        let standing = match &one.standing {
            Standing::Raised => one.safe.clone(),
            Standing::Quiet { why } => format!("quiet: {why}"),
            Standing::Allowed { because } => format!("allowed: {because}"),
        };
        format!(
            "{}:{} {} {}\n    {}\n    {standing}\n",
            one.line, one.column, one.severity, one.rule, one.what
        )
    };
    findings.iter().map(line).collect()
}

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migrate/lint/cases");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 5, "{cases:?}");
    cases
}

#[test]
fn each_file_is_told_what_it_stops() {
    for path in cases() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let one = MigrationSet::embedded("case", [("001_case.sql", text.as_str())]).unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("lint/snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, told(&lint(&one, &Knowledge::default()))));
    }
}

#[test]
fn the_shipped_migrations_are_clean_or_say_why_not() {
    let findings = lint(&shipped(), &Knowledge::default());
    let raised: Vec<Finding> = findings.into_iter().filter(Finding::is_raised).collect();
    assert!(raised.is_empty(), "{}", told(&raised));
}

#[test]
fn a_way_back_takes_only_what_its_way_there_has_made() {
    let up = "CREATE TABLE extra (id int, CONSTRAINT positive CHECK (id > 0));
              ALTER TABLE contacts ADD COLUMN stage text, ADD CHECK (stage <> '') NOT VALID;
              CREATE INDEX CONCURRENTLY idx_stage ON contacts (stage);
              CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
              CREATE TRIGGER touch BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION touch();
              DO $$ BEGIN EXECUTE 'CREATE INDEX made_in_a_block ON extra (id)'; END $$;";
    let down = "DROP TRIGGER IF EXISTS touch ON contacts;
                DROP FUNCTION touch();
                DROP INDEX CONCURRENTLY idx_stage;
                DROP INDEX CONCURRENTLY made_in_a_block;
                DROP INDEX CONCURRENTLY idx_city;
                ALTER TABLE contacts DROP CONSTRAINT contacts_stage_check, DROP COLUMN stage, DROP COLUMN donor_stage;
                ALTER TABLE extra DROP CONSTRAINT positive;
                DROP TABLE extra, organizations;
                DROP FUNCTION other();";
    let findings = lint(&set(&[("1_x.up.sql", up), ("1_x.down.sql", down)]), &Knowledge::default());
    let own: Vec<&str> =
        findings.iter().filter(|one| one.rule == "drop-not-own").map(|one| one.what.as_str()).collect();
    let names: Vec<&str> = own.iter().map(|what| what.split(" is taken").next().unwrap()).collect();
    assert_eq!(
        names,
        ["relation idx_city", "column contacts.donor_stage", "relation organizations", "function other"],
        "{own:?}"
    );
}

/// Small and cold, small and hot, big, new, empty: the same statement on each.
#[tokio::test]
async fn a_finding_is_raised_only_where_it_matters() {
    let ground = Ground::empty().await;
    ground
        .sql(
            "CREATE TABLE cold (id int PRIMARY KEY, v text); INSERT INTO cold SELECT g, 'x' FROM generate_series(1, 300) g;
             CREATE TABLE hot (id int PRIMARY KEY, v text); INSERT INTO hot SELECT g, 'x' FROM generate_series(1, 300) g;
             CREATE TABLE empty (id int PRIMARY KEY, v text);
             CREATE TABLE big (id int PRIMARY KEY, v text);
             INSERT INTO big SELECT g, repeat('x', 60) FROM generate_series(1, 400000) g;
             ANALYZE",
        )
        .await;
    let files = set(&[(
        "1_x.sql",
        "-- gonogo: no-transaction
         CREATE TABLE fresh (id int PRIMARY KEY, v text);
         CREATE INDEX i1 ON cold (v);
         CREATE INDEX i2 ON hot (v);
         CREATE INDEX i3 ON empty (v);
         CREATE INDEX i4 ON big (v);
         CREATE INDEX i5 ON fresh (v);
         CREATE INDEX i6 ON missing (v);
         DROP INDEX cold_pkey;",
    )]);
    let db = ground.db().await;
    let mut client = ground.session().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let traffic = tokio::spawn(async move {
        // A server tells others of its work once a second; each statement is a transaction of its own.
        while !*stopped.borrow() {
            run(&mut client, "UPDATE hot SET v = v WHERE id = 7").await;
        }
    });
    let known = learn(&db, &files, Duration::from_secs(3)).await.unwrap();
    stop.send_replace(true);
    traffic.await.unwrap();

    let findings = lint(&files, &known);
    let standing = |line: u32| {
        let one = findings
            .iter()
            .find(|one| one.line == line)
            .unwrap_or_else(|| panic!("line {line}: {}", told(&findings)));
        (one.is_raised(), told(std::slice::from_ref(one)))
    };
    for (line, raised, word) in [
        (3, false, "small and cold: 300 rows"),
        (4, true, "writes a second now"),
        (5, false, "empty is empty"),
        (6, true, "writers of big wait"),
        (7, false, "fresh is made by 1_x.sql"),
        (8, true, "writers of missing wait"),
        (9, false, "small and cold"),
    ] {
        let (is, words) = standing(line);
        assert!(is == raised && words.contains(word), "line {line}: {words}");
    }
    let big = findings.iter().find(|one| one.line == 6).unwrap();
    let forecast = big.forecast.unwrap();
    assert!(forecast.to_string().contains("from the read rate of this server"), "{forecast}");
    assert!(forecast.rows.unwrap() > 300_000, "{forecast}");
    assert_eq!(ground.text("SELECT to_regnamespace('gonogo')").await, "null", "nothing was written");
}

#[tokio::test]
async fn the_catalogue_shows_what_the_files_cannot() {
    let ground = Ground::with_contacts(50).await;
    ground
        .sql(
            "ALTER TABLE contacts ADD COLUMN filled text DEFAULT 'x', ADD COLUMN lacking text;
             ALTER TABLE contacts ADD CONSTRAINT filled_there CHECK (filled IS NOT NULL);
             CREATE TABLE visits (id int PRIMARY KEY, kept text);",
        )
        .await;
    let up = "-- gonogo: no-transaction
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS donor_stage integer, ADD COLUMN email text;
ALTER TABLE contacts ADD COLUMN IF NOT EXISTS city varchar(7777);
CREATE TABLE IF NOT EXISTS visits (id integer PRIMARY KEY, kept text, more text);
ALTER TABLE contacts ALTER COLUMN filled SET NOT NULL;
ALTER TABLE contacts ADD CONSTRAINT a CHECK (filled IS NOT NULL) NOT VALID;
ALTER TABLE contacts ADD CONSTRAINT b CHECK (lacking IS NOT NULL) NOT VALID;
CREATE TABLE orders (id int PRIMARY KEY, contact_id integer REFERENCES contacts);";
    let down = "ALTER TABLE contacts DROP COLUMN IF EXISTS donor_stage;";
    let files = set(&[("1_x.up.sql", up), ("1_x.down.sql", down)]);
    let known = learn(&ground.db().await, &files, Duration::ZERO).await.unwrap();
    let findings = lint(&files, &known);
    let raised: Vec<(u32, &str, Severity)> =
        findings.iter().filter(|one| one.is_no_go()).map(|one| (one.line, one.rule, one.severity)).collect();
    let breaks = Severity::Breaks;
    assert_eq!(
        raised,
        [
            (2, "there-in-another-shape", breaks),
            (2, "there-in-another-shape", breaks),
            (3, "there-in-another-shape", breaks),
            (4, "there-in-another-shape", breaks),
            (7, "not-null-check-before-backfill", breaks),
            (8, "foreign-key-type", breaks),
            (1, "drop-not-own", breaks),
        ],
        "{}",
        told(&findings)
    );
}
