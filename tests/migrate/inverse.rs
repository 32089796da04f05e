//! The way back from what happened: recorded whatever interrupts it, exact where there is no down file, and a guard over what was
//! there before.

use std::process::Command;

use gonogo::run::StepOutcome;
use gonogo::workers::migrate::inverse::{back_plan, with_inverses};
use gonogo::workers::migrate::{MigrationSet, down, up};
use secrecy::ExposeSecret as _;

use crate::ground::{Ground, Recorder, brisk, set};

/// The schema as another program sees it.
fn dump(ground: &Ground) -> String {
    let program = ground.scratch.binaries().program("pg_dump");
    let mut command = Command::new(if program.is_file() { program } else { "pg_dump".into() });
    command.args(["--schema-only", "--exclude-schema=gonogo", "--exclude-schema=gonogo_backup"]);
    let output = command.arg("--dbname").arg(ground.scratch.url("crm").expose_secret()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Newer ones begin and end with a random word.
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('\\'))
        .collect::<Vec<_>>()
        .join("\n")
}

const OLD: &str = "
  CREATE FUNCTION greet(who text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'hello ' || who $$;
  REVOKE ALL ON FUNCTION greet(text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION greet(text) TO authenticated;
  CREATE VIEW donors AS SELECT id, name FROM contacts WHERE donor_stage <> 'Prospect';
  GRANT SELECT ON donors TO anon; COMMENT ON VIEW donors IS 'who gave';
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
  CREATE TRIGGER touch BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION touch();
  COMMENT ON COLUMN contacts.city IS 'where they live';
  CREATE INDEX by_city ON contacts (city, state) WHERE city IS NOT NULL;";

/// Makes, replaces, alters and drops; nobody has written its way back.
const UP: &str = "
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE TABLE visits (id bigserial PRIMARY KEY, contact_id uuid NOT NULL REFERENCES contacts (id), mood mood DEFAULT 'good', note text CHECK (note <> ''));
  ALTER TABLE visits ENABLE ROW LEVEL SECURITY;
  CREATE POLICY visits_all ON visits FOR ALL TO authenticated USING (true);
  CREATE FUNCTION count_visit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
  CREATE TRIGGER count_visit AFTER INSERT ON visits FOR EACH ROW EXECUTE FUNCTION count_visit();
  CREATE VIEW visit_moods AS SELECT mood, count(*) FROM visits GROUP BY mood;
  CREATE VIEW good_moods AS SELECT * FROM visit_moods WHERE mood = 'good';
  ALTER TABLE contacts ADD COLUMN shoe_size int DEFAULT 42, ALTER COLUMN city SET DEFAULT 'Here', ALTER COLUMN name DROP NOT NULL,
    ADD CONSTRAINT contacts_shoe CHECK (shoe_size > 0);
  CREATE OR REPLACE FUNCTION greet(who text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'goodbye ' || who $$;
  DROP VIEW donors;
  CREATE VIEW donors AS SELECT id, name, email FROM contacts;
  COMMENT ON COLUMN contacts.city IS NULL;
  DO $$ BEGIN EXECUTE 'ALTER TABLE contacts DISABLE TRIGGER touch'; EXECUTE 'GRANT SELECT ON contacts TO anon WITH GRANT OPTION'; END $$;
  DROP INDEX by_city;
  CREATE INDEX CONCURRENTLY by_zip ON contacts (zip_code);
  DROP POLICY contacts_authenticated ON contacts;";

fn without_down() -> MigrationSet {
    set(&[("1_all.up.sql", UP)])
}

#[tokio::test]
async fn what_nobody_wrote_a_way_back_for_goes_back_exactly() {
    let ground = Ground::with_contacts(50).await;
    ground.sql(OLD).await;
    let db = ground.db().await;
    let before = dump(&ground);
    // Killed at the begin of every other step, always going on.
    let mut step = 0;
    loop {
        let (recorder, options) = (Recorder::hanging_at(step), brisk());
        let files = without_down();
        tokio::select! {
            done = up(&db, &files, None, &options, &recorder) => {
                done.unwrap_or_else(|failure| panic!("step {step}: {failure}"));
                break;
            }
            () = recorder.hangs() => {}
        }
        step += 2;
    }
    assert!(step > 12, "{step}");
    assert_ne!(dump(&ground), before);
    ground.sql("INSERT INTO visits (contact_id) SELECT id FROM contacts LIMIT 7; UPDATE contacts SET shoe_size = 40 WHERE id IN (SELECT id FROM contacts LIMIT 3)").await;

    let plan = back_plan(&db, &without_down(), None).await.unwrap().remove(0);
    assert!(plan.gaps.is_empty() && plan.runs().contains("recorded inverse"), "{plan:#?}");
    let lost: Vec<String> = plan
        .recorded
        .unwrap()
        .undos
        .iter()
        .filter(|undo| undo.cost.word() == "lossy")
        .map(|undo| format!("{} {:?}", undo.about, undo.cost))
        .collect();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost[0].contains("column public.contacts.shoe_size") && lost[0].contains("Some(3)"), "{lost:?}");
    assert!(lost[1].contains("table public.visits") && lost[1].contains("Some(7)"), "{lost:?}");

    let files = with_inverses(&db, &without_down(), None).await.unwrap();
    let recorder = Recorder::default();
    let report =
        down(&db, &files, None, &brisk(), &recorder).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.applied.is_empty());
    assert_eq!(report.remarks, Vec::<String>::new());
    let after = dump(&ground);
    let diff = similar(&before, &after);
    assert!(diff.is_empty(), "{diff}");
}

fn similar(one: &str, other: &str) -> String {
    let diff = |a: &str, b: &str, sign: char| -> String {
        a.lines()
            .filter(|line| !b.lines().any(|other| other == *line))
            .fold(String::new(), |all, line| all + &format!("{sign} {line}\n"))
    };
    diff(one, other, '-') + &diff(other, one, '+')
}

#[tokio::test]
async fn a_down_file_that_takes_donor_history_is_named_before_and_stopped_in_time() {
    let ground = Ground::with_contacts(60).await;
    let db = ground.db().await;
    let before =
        ground.text("SELECT sum(total_lifetime_giving) || ' ' || count(donor_stage) FROM contacts").await;
    // What plans of this kind look like: IF NOT EXISTS skips the field that is there, and the way back drops it.
    let files = |down: &str| {
        set(&[
            ("1_a.up.sql", "DO $$ BEGIN ALTER TABLE contacts ADD COLUMN IF NOT EXISTS donor_stage varchar(50), ADD COLUMN IF NOT EXISTS is_vip boolean; END $$;
                            CREATE INDEX vips ON contacts (is_vip);"),
            ("1_a.down.sql", down),
        ])
    };
    let plain =
        files("ALTER TABLE contacts DROP COLUMN IF EXISTS is_vip, DROP COLUMN IF EXISTS donor_stage;");
    up(&db, &plain, None, &brisk(), &Recorder::default()).await.unwrap_or_else(|failure| panic!("{failure}"));
    let plan = back_plan(&db, &plain, None).await.unwrap().remove(0);
    let takes = plan.differences.unwrap().takes;
    assert_eq!(
        takes,
        ["column public.contacts.donor_stage, which was there before the migration, with all that it holds"]
    );

    // In words that only tell when they run.
    let hidden = files(
        "DO $$ DECLARE c text; BEGIN FOREACH c IN ARRAY ARRAY['is_vip', 'donor_' || 'stage'] LOOP EXECUTE format('ALTER TABLE contacts DROP COLUMN %I', c); END LOOP; END $$;",
    );
    for files in [&plain, &hidden] {
        let recorder = Recorder::default();
        let failure = down(&db, files, None, &brisk(), &recorder).await.unwrap_err();
        assert!(
            failure.what.contains("takes away what was there before 1 a")
                && failure.what.contains("column public.contacts.donor_stage"),
            "{failure}"
        );
        assert!(matches!(recorder.outcome(0), StepOutcome::Failed { .. }));
        assert_eq!(
            ground.text("SELECT sum(total_lifetime_giving) || ' ' || count(donor_stage) FROM contacts").await,
            before
        );
    }
    let right = files("DROP INDEX vips; ALTER TABLE contacts DROP COLUMN is_vip;");
    let report = down(&db, &right, None, &brisk(), &Recorder::default()).await.unwrap();
    assert!(report.applied.is_empty() && report.remarks.is_empty(), "{report:?}");
}

#[tokio::test]
async fn rows_that_a_step_wrote_are_a_gap_and_what_a_down_file_leaves_is_said() {
    let ground = Ground::with_contacts(25).await;
    let db = ground.db().await;
    let files = set(&[(
        "1_a.up.sql",
        "CREATE TABLE mine (id int); DO $$ BEGIN INSERT INTO mine VALUES (1); UPDATE contacts SET city = 'Here'; END $$;",
    )]);
    up(&db, &files, None, &brisk(), &Recorder::default()).await.unwrap();
    let plan = back_plan(&db, &files, None).await.unwrap().remove(0);
    assert_eq!(plan.gaps.len(), 1, "{plan:#?}");
    assert!(plan.gaps[0].contains("rows of public.contacts: 25 rows written by step 2"), "{plan:#?}");
    let same = with_inverses(&db, &files, None).await.unwrap();
    let failure = down(&db, &same, None, &brisk(), &Recorder::default()).await.unwrap_err();
    assert!(failure.what.contains("what was recorded of it is not whole"), "{failure}");

    let sloppy = set(&[
        (
            "1_a.up.sql",
            "CREATE TABLE mine (id int); DO $$ BEGIN INSERT INTO mine VALUES (1); UPDATE contacts SET city = 'Here'; END $$;",
        ),
        ("1_a.down.sql", "ANALYZE contacts;"),
    ]);
    let plan = back_plan(&db, &sloppy, None).await.unwrap().remove(0);
    assert_eq!(plan.differences.unwrap().forgets, ["table public.mine, which the migration made"]);
    let report = down(&db, &sloppy, None, &brisk(), &Recorder::default()).await.unwrap();
    assert!(
        report.remarks.iter().any(|remark| remark.contains("table public.mine is there and was not before")),
        "{report:?}"
    );
}
