//! The dry run at its four levels, against a live database that must not notice.

use std::path::Path;

use gonogo::scratch::Rows;
use gonogo::workers::migrate::book::Direction;
use gonogo::workers::migrate::catalogue::{self, Catalogue, Fingerprint, Scope};
use gonogo::workers::migrate::dryrun::{
    DryRun, Ground as OnClone, Level, Passed, Record, Rehearsal, Standing, Wanted, Weight, demanded, live,
    rehearse, trace, unparsed,
};
use gonogo::workers::migrate::{Database, MigrationSet, Target, backup, up};
use secrecy::{ExposeSecret as _, SecretString};

use crate::ground::{Ground, Recorder, brisk, run, set};

fn shipped() -> MigrationSet {
    MigrationSet::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).unwrap()
}

/// All that must be the same after a dry run.
async fn untouched(ground: &Ground) -> (Catalogue, Vec<Fingerprint>) {
    let mut session = ground.session().await;
    let scope = Scope { own: catalogue::Own::Counted, ..Scope::whole() };
    let all = catalogue::snapshot(&mut session, &scope).await.unwrap();
    let mut prints = Vec::new();
    for table in all.tables() {
        prints.push(catalogue::fingerprint(&mut session, table).await.unwrap());
    }
    (all, prints)
}

async fn on_clone(ground: &Ground, set: &MigrationSet, rows: Rows, level: Level) -> Rehearsal {
    let db = ground.db().await;
    let dir = tempfile::tempdir().unwrap();
    let wanted = Wanted { rows, ..Wanted::default() };
    let url = ground.scratch.url("crm");
    let clone = OnClone::copy(&db, &url, dir.path(), &wanted, |_| ()).await.unwrap();
    let watcher = Recorder::default();
    let schemas = &wanted.schemas;
    match level {
        Level::Traced => trace(&db, set, &clone, schemas, &watcher).await.unwrap(),
        _ => rehearse(&db, set, &clone, schemas, &watcher).await.unwrap(),
    }
}

/// The findings that would make the run fail, one a line.
fn fails(dry: &DryRun) -> String {
    let fails = dry.findings.iter().filter(|finding| finding.weight == Weight::Fails);
    fails
        .map(|finding| format!("{}: {}\n", finding.place, finding.what))
        .fold(String::new(), |all, one| all + &one)
}

#[tokio::test]
async fn no_level_changes_the_live_database_and_the_shipped_migrations_pass_all() {
    let ground = Ground::with_contacts(300).await;
    let set = shipped();
    let before = untouched(&ground).await;

    let dry = live(&ground.db().await, &set).await.unwrap();
    assert_eq!(fails(&dry), "", "{dry:#?}");
    assert_eq!(dry.catalogue_before, dry.catalogue_after);
    assert!(
        dry.sizes.iter().any(|size| size.table == "public.contacts" && size.bytes > 0),
        "{:?}",
        dry.sizes
    );
    assert!(
        dry.findings
            .iter()
            .any(|one| one.what.contains("idx_contacts_donor_stage is there already, in this shape"))
    );
    assert_eq!(untouched(&ground).await, before);

    let traced = on_clone(&ground, &set, Rows::Sample(100), Level::Traced).await;
    assert_eq!(fails(&traced.dry), "");
    assert!(traced.record.marks.is_empty(), "a trace is no rehearsal");
    assert_eq!(untouched(&ground).await, before);

    let whole = on_clone(&ground, &set, Rows::All, Level::Rehearsed).await;
    assert_eq!(fails(&whole.dry), "");
    let passed: Vec<&Passed> = whole.record.marks.iter().map(|mark| &mark.passed).collect();
    assert_eq!(passed, [&Passed::ThereAndBack; 3], "{:#?}", whole.record.marks);
    assert!(whole.record.whole && whole.record.rows >= 300, "{:?}", whole.record);
    assert!(!whole.dry.not_proven.is_empty());
    assert_eq!(untouched(&ground).await, before);

    // What was measured is of these statements, and of the rows that were there.
    let validate =
        set.migrations[0].up.statements.iter().find(|one| one.title.starts_with("validate")).unwrap();
    let measured = &whole.forecast.statements[&validate.checksum];
    assert_eq!(measured.scans, ["public.contacts"]);
    assert_eq!(measured.rows, 300);
    assert!(
        measured
            .locks
            .iter()
            .any(|lock| lock.mode == "ShareUpdateExclusiveLock" && lock.relation == "public.contacts")
    );
    assert!(whole.forecast.estimate(&validate.checksum, 1_000_000).is_some());

    // Applied for good, the marks still hold; a changed file or another schema ends that.
    let live_hash = async || {
        let scope = Scope::shape(&["public"]);
        catalogue::snapshot(&mut ground.session().await, &scope).await.unwrap().hash()
    };
    let standing = |hash: &str| whole.record.standing(&set.migrations[0], Some(hash));
    assert!(standing(&live_hash().await).way_back());
    let db = ground.db().await;
    backup(&db, &set, &Target::Schema, &brisk(), &Recorder::default()).await.unwrap();
    up(&db, &set, Some(2), &brisk(), &Recorder::default()).await.unwrap();
    assert!(standing(&live_hash().await).way_back(), "{}", standing(&live_hash().await));
    ground.sql("ALTER TABLE contacts ADD COLUMN surprise int").await;
    assert!(matches!(standing(&live_hash().await), Standing::Stale { .. }));
    let mut changed = set.migrations[0].clone();
    changed.down.as_mut().unwrap().checksum = "other".into();
    assert!(whole.record.standing(&changed, None).to_string().contains("down file was changed"));
    ground.sql("ALTER TABLE contacts DROP COLUMN surprise").await;

    // From half-way, with the books copied along: only the rest is rehearsed.
    let rest = on_clone(&ground, &set, Rows::Sample(50), Level::Rehearsed).await;
    assert_eq!(fails(&rest.dry), "");
    assert_eq!(rest.record.marks.iter().map(|mark| mark.number).collect::<Vec<_>>(), [3]);
    assert_eq!(rest.record.marks[0].passed, Passed::ThereAndBack);
}

#[tokio::test]
async fn what_the_live_database_will_refuse_is_found_with_its_line() {
    let ground = Ground::with_contacts(120).await;
    ground
        .sql(
            "UPDATE contacts SET city = 'Nowhere' WHERE id IN (SELECT id FROM contacts LIMIT 7);
             UPDATE contacts SET phone = NULL WHERE id IN (SELECT id FROM contacts LIMIT 3);
             UPDATE contacts SET email = 'twin@example.org' WHERE id IN (SELECT id FROM contacts ORDER BY id LIMIT 2);
             CREATE VIEW cities AS SELECT city FROM contacts;
             CREATE TABLE seen (id uuid, why varchar(10));",
        )
        .await;
    let before = untouched(&ground).await;
    // Each with its line, and what is said of it; lines without words are fine.
    let cases: &[(&str, &str)] = &[
        (
            "CREATE TABLE calls (id int, contact_id bigint REFERENCES contacts (id));",
            "calls.contact_id is bigint, but contacts.id, which it refers to, is uuid",
        ),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY one_email ON contacts (email);",
            "rows of contacts that share their (email) with another",
        ),
        (
            "ALTER TABLE contacts ADD CONSTRAINT known CHECK (city <> 'Nowhere') NOT VALID;",
            "7 rows of contacts that break CHECK (city <> 'Nowhere')",
        ),
        ("ALTER TABLE contacts ALTER COLUMN phone SET NOT NULL;", "3 rows of contacts without phone"),
        ("ALTER TABLE contacts ALTER COLUMN city TYPE text;", "view cities depends on it"),
        (
            "ALTER TABLE contacts ADD COLUMN IF NOT EXISTS donor_stage text;",
            "contacts.donor_stage is there already, in another shape",
        ),
        (
            "CREATE TABLE IF NOT EXISTS seen (id uuid, why varchar(20), at date);",
            "column why is character varying(10), wanted varchar(20); column at is missing",
        ),
        ("ALTER TABLE contacts ADD COLUMN rank int NOT NULL;", "without a default, and the table has rows"),
        ("CREATE INDEX CONCURRENTLY i ON contacts (nickname);", "contacts has no column nickname"),
        ("ALTER TABLE people ADD COLUMN x int;", "people is not there"),
        (
            "ALTER TABLE contacts ADD FOREIGN KEY (phone) REFERENCES organizations (name) NOT VALID;",
            "nothing says that organizations (name) is unique",
        ),
        // What the plan makes itself is taken into account.
        ("ALTER TABLE contacts ADD COLUMN level int;", ""),
        ("ALTER TABLE contacts ADD CHECK (level > 0);", ""),
        ("CREATE TABLE levels (id int PRIMARY KEY);", ""),
        ("ALTER TABLE contacts ADD FOREIGN KEY (level) REFERENCES levels (id) NOT VALID;", ""),
        ("CREATE INDEX CONCURRENTLY l ON contacts (level);", ""),
    ];
    let file = cases.iter().fold(String::new(), |file, (sql, _)| file + sql + "\n");
    let set = set(&[("1_bad.up.sql", &file), ("1_bad.down.sql", "SELECT 1;")]);
    let dry = live(&ground.db().await, &set).await.unwrap();
    for (line, (sql, words)) in (1..).zip(cases) {
        let place = format!("1_bad.up.sql:{line}");
        let said: Vec<_> =
            dry.findings.iter().filter(|one| one.place == place && one.weight == Weight::Fails).collect();
        if words.is_empty() {
            assert!(said.is_empty(), "{sql}: {said:#?}");
        } else {
            assert!(said.iter().any(|one| one.what.contains(words)), "{sql}: {said:#?}");
        }
    }
    assert_eq!(untouched(&ground).await, before);
}

#[tokio::test]
async fn a_role_that_may_not_is_told_so_before_the_day() {
    let ground = Ground::with_contacts(5).await;
    ground.sql("CREATE ROLE outsider LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA public TO outsider; GRANT SELECT ON contacts TO outsider").await;
    let url = format!("postgres://outsider:x@127.0.0.1:{}/crm?sslmode=disable", ground.scratch.port());
    let db = Database::connect(&SecretString::from(url), "gonogo").await.unwrap();
    let set = set(&[
        ("1_a.up.sql", "CREATE TABLE t (id int);\nALTER TABLE contacts ADD COLUMN x int;\n"),
        ("1_a.down.sql", "SELECT 1;"),
    ]);
    let said = fails(&live(&db, &set).await.unwrap());
    assert!(
        said.contains("1_a.up.sql:1") && said.contains("may not create anything in schema public"),
        "{said}"
    );
    assert!(
        said.contains("1_a.up.sql:2") && said.contains("role outsider may not do this to contacts"),
        "{said}"
    );
    assert!(said.contains("may not create the schema gonogo"), "{said}");
}

#[tokio::test]
async fn a_trace_sees_rewrites_scans_and_locks() {
    let ground = Ground::with_contacts(200).await;
    // An index that takes a second whatever the machine does, so that who looks from outside comes by.
    let slow = "CREATE FUNCTION slow(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS \
                $$ BEGIN PERFORM pg_sleep(0.005); RETURN $1; END $$";
    run(&mut ground.session().await, slow).await;
    let set = set(&[
        (
            "1_t.up.sql",
            "ALTER TABLE contacts ADD COLUMN token uuid DEFAULT gen_random_uuid();\n\
             CREATE INDEX CONCURRENTLY by_city ON contacts (slow(city));\n\
             ALTER TABLE contacts ADD CONSTRAINT c CHECK (city IS NOT NULL OR true);\n\
             ALTER TABLE contacts ADD COLUMN quick int;\n",
        ),
        ("1_t.down.sql", "SELECT 1;"),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let db = ground.db().await;
    let wanted = Wanted { rows: Rows::All, ..Wanted::default() };
    let clone = OnClone::copy(&db, &ground.scratch.url("crm"), dir.path(), &wanted, |_| ()).await.unwrap();
    let traced = trace(&db, &set, &clone, &wanted.schemas, &Recorder::default()).await.unwrap();
    let measured: Vec<_> = traced.dry.traced.iter().map(|one| &one.measured).collect();
    let [token, index, check, quick] = measured[..] else { panic!("{measured:#?}") };
    let holds = |of: &gonogo::workers::migrate::forecast::Measured, mode: &str| {
        of.locks.iter().any(|lock| lock.relation == "public.contacts" && lock.mode == mode)
    };
    assert!(token.rewrites.contains(&"public.contacts".to_owned()), "{token:#?}");
    assert!(holds(token, "AccessExclusiveLock") && token.stop_ms() > 0.0);
    assert!(index.rewrites.is_empty() && index.scans == ["public.contacts"], "{index:#?}");
    assert!(holds(index, "ShareUpdateExclusiveLock"), "seen from outside: {index:#?}");
    assert!((index.stop_ms() - 0.0).abs() < f64::EPSILON);
    assert!(
        check.rewrites.is_empty()
            && check.scans == ["public.contacts"]
            && holds(check, "AccessExclusiveLock"),
        "{check:#?}"
    );
    assert!(quick.rewrites.is_empty() && quick.scans.is_empty() && !quick.grows(), "{quick:#?}");
    assert!(
        traced
            .dry
            .findings
            .iter()
            .any(|one| one.place == "1_t.up.sql:1" && one.what.contains("writes public.contacts"))
    );
    // The clone's files hold rows of people.
    drop(clone);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing of the clone stays");
}

#[tokio::test]
async fn a_way_back_that_does_not_lead_back_is_no_rehearsed_one() {
    let ground = Ground::with_contacts(40).await;
    let up = "ALTER TABLE contacts ADD COLUMN IF NOT EXISTS donor_stage varchar(50) DEFAULT 'Prospect';\nALTER TABLE contacts ADD COLUMN extra int;\nCREATE INDEX extra_i ON contacts (extra);\n";
    for (down, words) in [
        // Takes what was there before: the donor history.
        (
            "ALTER TABLE contacts DROP COLUMN extra, DROP COLUMN donor_stage;",
            "column public.contacts.donor_stage",
        ),
        (
            "ALTER TABLE contacts DROP COLUMN extra; UPDATE contacts SET notes = 'x' WHERE id = (SELECT min(id::text)::uuid FROM contacts);",
            "values in public.contacts are not what they were",
        ),
        ("DROP INDEX extra_i;", "column public.contacts.extra is new"),
        ("ALTER TABLE contacts DROP COLUMN nothing;", "does not exist"),
    ] {
        let set = set(&[("1_a.up.sql", up), ("1_a.down.sql", down)]);
        let rehearsed = on_clone(&ground, &set, Rows::All, Level::Rehearsed).await;
        let said = fails(&rehearsed.dry);
        assert!(said.contains("1_a.down.sql") && said.contains(words), "{down}: {said}");
        let standing = rehearsed.record.standing(&set.migrations[0], None);
        assert!(matches!(standing, Standing::Failed { .. }) && !standing.way_back(), "{standing}");
    }
    let set = set(&[("1_a.up.sql", up)]);
    let rehearsed = on_clone(&ground, &set, Rows::All, Level::Rehearsed).await;
    assert_eq!(
        rehearsed.record.marks[0].passed,
        Passed::There,
        "without a down file there is no way back to call one"
    );
}

#[tokio::test]
async fn a_sample_holds_together() {
    let ground = Ground::with_contacts(200).await;
    let db = ground.db().await;
    let dir = tempfile::tempdir().unwrap();
    let wanted = Wanted { rows: Rows::Sample(30), ..Wanted::default() };
    let clone = OnClone::copy(&db, &ground.scratch.url("crm"), dir.path(), &wanted, |_| ()).await.unwrap();
    let of = |table: &str| clone.copied.tables.iter().find(|one| one.table == table).unwrap().clone();
    let contacts = of("public.contacts");
    assert!(!clone.copied.whole);
    let links = of("public.organization_contacts");
    assert!(links.rows > 0 && links.orphans == 0, "{links:?}");
    assert!(contacts.rows == 30 + contacts.parents, "{contacts:?}");
    drop(clone);
}

#[tokio::test]
async fn what_a_sample_refers_to_comes_along_through_every_reference_and_within_bounds() {
    let ground = Ground::empty().await;
    ground
        .sql(
            "CREATE TABLE country (code text, since date, name text, PRIMARY KEY (code, since));
             CREATE TABLE town (id int PRIMARY KEY, \"the code\" text, since date, twin int REFERENCES town,
                                FOREIGN KEY (\"the code\", since) REFERENCES country);
             CREATE TABLE house (id int PRIMARY KEY, town int NOT NULL REFERENCES town);
             CREATE TABLE short (id int PRIMARY KEY, next int REFERENCES short);
             CREATE TABLE long (id int PRIMARY KEY, next int REFERENCES long);
             INSERT INTO country SELECT 'c''' || n, date '2026-01-01' + n, 'x' FROM generate_series(1, 50) n;
             INSERT INTO town SELECT n, 'c''' || (51 - (n % 50 + 1)), date '2026-01-01' + (51 - (n % 50 + 1)), NULL FROM generate_series(1, 90) n;
             UPDATE town SET twin = 91 - id WHERE id > 80;
             INSERT INTO house SELECT n, 91 - (n % 90 + 1) FROM generate_series(1, 400) n;
             INSERT INTO short SELECT n, nullif(n, 50) + 1 FROM generate_series(50, 1, -1) n;
             INSERT INTO long SELECT n, nullif(n, 100) + 1 FROM generate_series(100, 1, -1) n;
             ALTER TABLE short DROP CONSTRAINT short_next_fkey; ALTER TABLE long DROP CONSTRAINT long_next_fkey;
             CREATE TABLE s (LIKE short INCLUDING ALL); INSERT INTO s SELECT * FROM short ORDER BY id; ALTER TABLE s ADD FOREIGN KEY (next) REFERENCES s;
             CREATE TABLE l (LIKE long INCLUDING ALL); INSERT INTO l SELECT * FROM long ORDER BY id; ALTER TABLE l ADD FOREIGN KEY (next) REFERENCES l",
        )
        .await;
    let (db, dir) = (ground.db().await, tempfile::tempdir().unwrap());
    let wanted = Wanted { rows: Rows::Sample(8), ..Wanted::default() };
    let clone = OnClone::copy(&db, &ground.scratch.url("crm"), dir.path(), &wanted, |_| ()).await.unwrap();
    let of = |table: &str| {
        let one = clone.copied.tables.iter().find(|one| one.table == format!("public.{table}")).unwrap();
        (one.rows, one.parents, one.orphans)
    };
    assert_eq!(of("house"), (8, 0, 0), "no child is dropped for want of its parent");
    let (towns, came, out) = of("town");
    assert!(towns == 8 + came && came >= 8 && out == 0, "{:?}", of("town"));
    let (countries, came, out) = of("country");
    assert!(countries == 8 + came && came > 0 && out == 0, "{:?}", of("country"));
    assert_eq!(of("s"), (50, 42, 0), "a chain is followed to its end");
    assert_eq!(of("l"), (0, 64, 72), "and one that is too long is left out, whole");
    drop(clone);

    let set = set(&[
        ("1_a.up.sql", "ALTER TABLE house ADD COLUMN x int;"),
        ("1_a.down.sql", "ALTER TABLE house DROP COLUMN x;"),
    ]);
    let rehearsed = on_clone(&ground, &set, Rows::Sample(8), Level::Rehearsed).await;
    let seen = rehearsed.dry.seen.join("\n");
    assert!(seen.contains("of them came along because rows of the sample refer to them"), "{seen}");
    assert!(seen.contains("72 rows of the sample referred to more rows than could come along"), "{seen}");
}

#[tokio::test]
async fn the_command_says_what_each_level_proves_and_keeps_what_it_measured() {
    let ground = Ground::with_contacts(30).await;
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(files.path().join(name), text).unwrap();
    write("1_a.up.sql", "ALTER TABLE contacts ADD COLUMN x int;\n");
    write("1_a.down.sql", "ALTER TABLE contacts DROP COLUMN x;\n");
    let call = async |args: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.args(["migrate", "--dir"]).arg(files.path()).args(args).current_dir(files.path());
        command.env("DATABASE_URL", ground.scratch.url("crm").expose_secret());
        let output = command.output().await.unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), said)
    };
    let (code, said) = call(&["plan"]).await;
    assert!(code == Some(0) && said.contains("not proven: "), "{said}");
    let (code, said) = call(&["plan", "--level", "rehearsed", "--rows", "all"]).await;
    assert!(code == Some(0) && said.contains("1 a back: schema and"), "{said}");
    assert!(said.contains(": the same\n"), "the live catalogue's hashes are shown: {said}");
    let record = Record::load(&files.path().join(".gonogo/rehearsed.json")).unwrap().unwrap();
    assert_eq!(record.marks[0].passed, Passed::ThereAndBack);
    assert!(files.path().join(".gonogo/forecast.json").is_file());
    let (_, said) = call(&["status"]).await;
    assert!(said.contains("rehearsed 20") && said.contains("there and back"), "{said}");

    write("1_a.up.sql", "ALTER TABLE contacts ADD COLUMN name int;\n");
    let (_, said) = call(&["status"]).await;
    assert!(said.contains("stale: the up file was changed since"), "{said}");
    let (code, said) = call(&["--json", "plan", "--level", "traced"]).await;
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((code, last["reached"].as_str()), (Some(1), Some("catalogue")), "{said}");

    write("1_a.up.sql", "ALTER TABEL contacts ADD COLUMN y int;\n");
    write("2_b.up.sql", "SELECT 1;\n\nSELEC 2;\n");
    let (code, said) = call(&["plan"]).await;
    assert!(code == Some(2) && said.contains("1_a.up.sql:1") && said.contains("2_b.up.sql:3"), "{said}");
    let failure = MigrationSet::read(files.path()).unwrap_err();
    assert_eq!(unparsed(files.path(), &failure).findings.len(), 2);
}

#[tokio::test]
async fn where_the_plan_demands_it_nothing_runs_that_was_not_rehearsed() {
    let ground = Ground::with_contacts(10).await;
    let db = ground.db().await;
    let files = [
        ("1_a.up.sql", "ALTER TABLE contacts ADD COLUMN x int;"),
        ("1_a.down.sql", "ALTER TABLE contacts DROP COLUMN x;"),
    ];
    let first = set(&files);
    let refused = demanded(&db, &first, None, Direction::Up, None).await.unwrap_err();
    assert!(
        refused.what.contains("1 a up: not rehearsed") && refused.state == "nothing was run",
        "{refused}"
    );
    let record = on_clone(&ground, &first, Rows::All, Level::Rehearsed).await.record;
    demanded(&db, &first, Some(&record), Direction::Up, None).await.unwrap();
    up(&db, &first, None, &brisk(), &Recorder::default()).await.unwrap();
    demanded(&db, &first, Some(&record), Direction::Down, None).await.unwrap();
    let other = set(&[files[0], ("1_a.down.sql", "ALTER TABLE contacts DROP COLUMN IF EXISTS x;")]);
    let refused = demanded(&db, &other, Some(&record), Direction::Down, None).await.unwrap_err();
    assert!(refused.what.contains("the down file was changed since"), "{refused}");
}
