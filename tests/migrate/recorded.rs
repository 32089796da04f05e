//! The recorded inverse in a rehearsal: gone on the clone, compared, and believed on the live database only where it is the same.

use gonogo::scratch::Rows;
use gonogo::workers::migrate::book::Direction;
use gonogo::workers::migrate::dryrun::{
    Ground as OnClone, Inverse, Passed, Record, Rehearsal, Undone, Wanted, Weight, demanded, inverses,
    rehearse,
};
use gonogo::workers::migrate::{MigrationSet, up};
use secrecy::ExposeSecret as _;

use crate::ground::{Ground, Recorder, brisk, set};

async fn rehearsed(ground: &Ground, set: &MigrationSet) -> (Rehearsal, String) {
    let dir = tempfile::tempdir().unwrap();
    let wanted = Wanted { rows: Rows::All, ..Wanted::default() };
    let (db, url) = (ground.db().await, ground.scratch.url("crm"));
    let clone = OnClone::copy(&db, &url, dir.path(), &wanted, |_| ()).await.unwrap();
    let recorder = Recorder::default();
    let rehearsal = rehearse(&db, set, &clone, &wanted.schemas, &recorder).await.unwrap();
    (rehearsal, recorder.line())
}

async fn inverse(ground: &Ground, set: &MigrationSet, record: Option<&Record>) -> Inverse {
    inverses(&ground.db().await, set, record).await.unwrap().remove(0)
}

const UP: &str = "ALTER TABLE contacts ADD COLUMN shoe int DEFAULT 42;
  CREATE INDEX IF NOT EXISTS by_city ON contacts (city);
  COMMENT ON COLUMN contacts.city IS 'where';";

#[tokio::test]
async fn only_the_inverse_that_was_gone_on_the_clone_is_a_rollback() {
    let ground = Ground::with_contacts(40).await;
    let set = set(&[("1_a.up.sql", UP)]);
    let (rehearsal, line) = rehearsed(&ground, &set).await;
    assert_eq!(line, "dd", "there, and back by the record");
    let (record, dry) = (rehearsal.record, rehearsal.dry);
    assert!(dry.passed() && dry.seen.iter().any(|one| one.contains("1 a back by its record: schema and")));
    assert!(matches!(record.marks[0].inverse, Undone::Back { .. }), "{:#?}", record.marks);
    assert_eq!(record.marks[0].passed, Passed::There, "of its down file nothing is claimed");
    assert!(record.marks[0].back_ms().is_some_and(|ms| ms > 0.0));
    // As it is read again.
    let record: Record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();

    let (db, recorder) = (ground.db().await, Recorder::default());
    assert_eq!(inverse(&ground, &set, Some(&record)).await, Inverse::NotRecorded);
    up(&db, &set, None, &brisk(), &recorder).await.unwrap();
    let now = inverse(&ground, &set, Some(&record)).await;
    assert!(now.way_back() && now.to_string().contains("inverse recorded, and rehearsed 20"), "{now}");
    demanded(&db, &set, Some(&record), Direction::Down, None).await.unwrap();
    let never = inverse(&ground, &set, None).await;
    assert!(!never.way_back(), "{never}");
    let refused = demanded(&db, &set, None, Direction::Down, None).await.unwrap_err();
    assert!(refused.what.contains("1 a down: inverse recorded, never rehearsed"), "{refused}");
    ground.sql("ALTER TABLE contacts ADD COLUMN surprise int").await;
    let stale = inverse(&ground, &set, Some(&record)).await;
    assert!(
        stale.to_string().contains("stale: the live schema is none that the rehearsal has seen"),
        "{stale}"
    );
}

#[tokio::test]
async fn another_record_than_the_rehearsed_one_is_not_believed() {
    let ground = Ground::with_contacts(20).await;
    let set = set(&[("1_a.up.sql", UP)]);
    let record = rehearsed(&ground, &set).await.0.record;
    // On the live database somebody has made the index meanwhile: its inverse must not take it away.
    ground.sql("CREATE INDEX by_city ON contacts (city)").await;
    up(&ground.db().await, &set, None, &brisk(), &Recorder::default()).await.unwrap();
    let now = inverse(&ground, &set, Some(&record)).await;
    assert!(now.to_string().contains("what was recorded is not what was rehearsed"), "{now}");
}

#[tokio::test]
async fn an_inverse_that_does_not_lead_back_is_told_and_the_down_file_still_counts() {
    let ground = Ground::with_contacts(30).await;
    for (up, down, passed, line, words) in [
        // A column that is made again is empty.
        (
            "ALTER TABLE contacts DROP COLUMN city;",
            None,
            Passed::There,
            "dF",
            "the recorded inverse of 1 a does not lead back",
        ),
        (
            "UPDATE contacts SET city = upper(city);",
            None,
            Passed::There,
            "dF",
            "what is recorded of 1 a is not whole: rows of public.contacts",
        ),
        (
            "CREATE TABLE t (id int); UPDATE contacts SET is_active = is_active;",
            Some("DROP TABLE t;"),
            Passed::ThereAndBack,
            "dddd",
            "",
        ),
    ] {
        let files: Vec<(&str, &str)> =
            [("1_a.up.sql", up)].into_iter().chain(down.map(|down| ("1_a.down.sql", down))).collect();
        let (rehearsal, told) = rehearsed(&ground, &set(&files)).await;
        assert_eq!(told, line, "{up}");
        let mark = &rehearsal.record.marks[0];
        assert_eq!(mark.passed, passed, "{up}");
        assert!(!matches!(mark.inverse, Undone::Back { .. }), "{mark:?}");
        let warned = rehearsal.dry.findings.iter().find(|one| one.weight == Weight::Warns);
        assert!(warned.map_or("", |one| &one.what).contains(words), "{up}: {:#?}", rehearsal.dry.findings);
        assert!(rehearsal.dry.passed(), "what has no way back can still be run: {up}");
    }
}

#[tokio::test]
async fn the_command_says_of_each_inverse_whether_it_was_rehearsed() {
    let ground = Ground::with_contacts(20).await;
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("1_a.up.sql"), UP).unwrap();
    let call = async |args: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.args(["migrate", "--dir"]).arg(files.path()).args(args).current_dir(files.path());
        command.env("DATABASE_URL", ground.scratch.url("crm").expose_secret());
        let output = command.output().await.unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let said = call(&["up", "--backup", "waived"]).await;
    assert!(said.contains("applied now: 001"), "{said}");
    let said = call(&["status"]).await;
    assert!(said.contains("no down file  not rehearsed; inverse recorded, never rehearsed"), "{said}");
    let said = call(&["down", "--plan"]).await;
    assert!(said.contains("no rollback yet: inverse recorded, never rehearsed"), "{said}");
    let said = call(&["down", "--confirm", "crm"]).await;
    assert!(said.contains("applied now: none"), "{said}");
    let said = call(&["plan", "--level", "rehearsed", "--rows", "all"]).await;
    assert!(said.contains("1 a back by its record: schema and"), "{said}");
    call(&["up", "--backup", "waived"]).await;
    let said = call(&["status"]).await;
    assert!(
        said.contains("there, not back, with") && said.contains("inverse recorded, and rehearsed 20"),
        "{said}"
    );
    let said = call(&["down", "--plan"]).await;
    assert!(said.contains("  a rollback: inverse recorded, and rehearsed 20"), "{said}");
}
