//! The scratch server on real processes: fast to start, ends with its owner, keeps its data.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as a test does: at once, and where it stands"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gonogo::rehearsal::contacts;
use gonogo::scratch::{Binaries, Scratch, ScratchError};
use secrecy::{ExposeSecret, SecretString};

const HOLD: &str = "GONOGO_TEST_HOLD_SCRATCH_IN";

async fn count(scratch: &Scratch, database: &str, sql: &'static str) -> i64 {
    let mut connection = scratch.connect(database).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 20 s for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_seeded_database_survives_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let scratch = Scratch::start(&dir.path().join("pg")).await.unwrap();
    println!("fresh start in {:?}", began.elapsed());
    assert!(scratch.create_database("crm").await.unwrap());
    assert!(!scratch.create_database("crm").await.unwrap());
    scratch.load_base_schema("crm").await.unwrap();

    let began = Instant::now();
    let now = "2026-10-05T14:00:00Z".parse().unwrap();
    let mut connection = scratch.connect("crm").await.unwrap();
    let seeded = contacts::seed(&mut connection, 1, 10_000, now).await.unwrap();
    println!("10,000 contacts in {:?}", began.elapsed());
    drop(connection);
    assert_eq!(seeded.contacts, 10_000);
    assert!(seeded.organizations > 50);
    let cents = "SELECT (sum(total_lifetime_giving) * 100)::bigint FROM contacts";
    assert_eq!(count(&scratch, "crm", cents).await, seeded.giving_cents);
    assert!(count(&scratch, "crm", "SELECT count(*) FROM contacts WHERE email = ''").await > 10);
    assert!(
        count(&scratch, "crm", "SELECT count(*) FROM contacts WHERE notes LIKE '%\"call back\"%'").await > 10
    );
    assert!(count(&scratch, "crm", "SELECT count(*) FROM organization_contacts").await > 1_000);
    // Case beyond ASCII counts when addresses and names are compared.
    assert_eq!(count(&scratch, "crm", "SELECT (lower('É') = 'é')::int::bigint").await, 1);

    let port = scratch.port();
    let at = scratch.dir().to_path_buf();
    scratch.stop().await.unwrap();
    assert!(!at.join("data/postmaster.pid").exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());

    let again = Scratch::start(&dir.path().join("pg")).await.unwrap();
    assert_eq!(count(&again, "crm", cents).await, seeded.giving_cents);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn only_the_password_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    let wrong = format!("postgres://postgres:guess@127.0.0.1:{}/postgres", scratch.port());
    let refused = <sqlx::PgConnection as sqlx::Connection>::connect(&wrong).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "28P01");
    assert!(
        !format!("{scratch:?}").contains(scratch.url("x").expose_secret().split([':', '@']).nth(2).unwrap())
    );
}

/// Not a test of its own: the process that [`the_server_ends_with_a_killed_owner_and_its_data_go_on`] kills.
#[tokio::test]
#[ignore = "the other half of a test"]
async fn hold() {
    let dir = PathBuf::from(std::env::var_os(HOLD).unwrap());
    let scratch = Scratch::start(&dir).await.unwrap();
    scratch.create_database("kept").await.unwrap();
    println!("HOLDING {}", scratch.port());
    std::future::pending::<()>().await;
}

fn hold_in(dir: &Path) -> (std::process::Child, u16) {
    use std::io::BufRead;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["hold", "--exact", "--ignored", "--nocapture"])
        .env(HOLD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines
        .find_map(|line| Some(line.unwrap().rsplit_once("HOLDING ")?.1.parse().unwrap()))
        .expect("the holder came up");
    // Keeps the pipe drained until the child ends.
    std::thread::spawn(move || lines.for_each(drop));
    (child, port)
}

#[tokio::test]
async fn the_server_ends_with_a_killed_owner_and_its_data_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut owner, port) = hold_in(dir.path());

    // A second process on the same directory uses the server of the first.
    let guest = Scratch::start(dir.path()).await.unwrap();
    assert_eq!(guest.port(), port);
    guest.stop().await.unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), "a guest does not end it");

    // Child::kill is SIGKILL: the owner gets no chance to tidy up. Started at once, while the old server may still be up.
    owner.kill().unwrap();
    owner.wait().unwrap();
    let next = Scratch::start(dir.path()).await.unwrap();
    assert!(!next.create_database("kept").await.unwrap(), "the database is there still");
    next.stop().await.unwrap();

    let (mut owner, port) = hold_in(dir.path());
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("the server to end by itself", || std::net::TcpStream::connect(("127.0.0.1", port)).is_err()).await;
}

#[tokio::test]
async fn a_schema_is_cloned_without_its_rows_and_with_its_protection() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::start(dir.path()).await.unwrap();
    scratch.create_database("production").await.unwrap();
    scratch.load_base_schema("production").await.unwrap();
    let mut connection = scratch.connect("production").await.unwrap();
    contacts::seed(&mut connection, 1, 100, "2026-10-05T14:00:00Z".parse().unwrap()).await.unwrap();
    drop(connection);

    // Twice: the second replaces the first.
    for _ in 0..2 {
        let cloned = scratch.clone_schema_from(&scratch.url("production"), "copy").await.unwrap();
        assert_eq!((cloned.tables, cloned.server_major), (3, Binaries::find().unwrap().major()));
    }
    assert_eq!(count(&scratch, "copy", "SELECT count(*) FROM contacts").await, 0);
    let shape = "SELECT count(*) FROM pg_policies WHERE schemaname = 'public' AND tablename = 'contacts' AND roles = '{authenticated}'";
    assert_eq!(count(&scratch, "copy", shape).await, 1);
    let indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'contacts'";
    assert_eq!(count(&scratch, "copy", indexes).await, 7);

    let nowhere = SecretString::from("postgres://crm:hidden@127.0.0.1:1/crm");
    let error = scratch.clone_schema_from(&nowhere, "other").await.unwrap_err();
    assert!(matches!(error, ScratchError::Source { .. }));
    assert!(error.to_string().contains("127.0.0.1/crm") && !error.to_string().contains("hidden"), "{error}");
}
