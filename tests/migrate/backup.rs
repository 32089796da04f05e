//! The backup as a gate, and the ways back from it: proven, or the gate stays shut; damaged, and it says so.

use std::path::{Path, PathBuf};

use gonogo::workers::migrate::restore::{Shelf, back, beside, list, verify};
use gonogo::workers::migrate::{BackupGate, Database, Options, Target, backup, up};
use secrecy::SecretString;

use crate::ground::{Ground, Recorder, brisk, set, shipped};

/// Of every column that contacts had before the migrations.
const CONTACTS: &str = "SELECT count(*) || ' ' || sum(hashtextextended(ROW(id, name, email, phone, notes, donor_stage, total_lifetime_giving, updated_at)::text, 0))
                        FROM contacts";

fn required() -> Options {
    Options { backup: BackupGate::Required, ..brisk() }
}

fn only(dir: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// One that an alter would touch, so that the gate asks for contacts and those whose rows go with them.
fn one() -> gonogo::workers::migrate::MigrationSet {
    set(&[
        ("1_a.up.sql", "ALTER TABLE contacts ADD COLUMN extra int;"),
        ("1_a.down.sql", "ALTER TABLE contacts DROP COLUMN extra;"),
    ])
}

async fn refused(db: &Database) -> String {
    up(db, &one(), None, &required(), &Recorder::default()).await.unwrap_err().what
}

#[tokio::test]
async fn files_are_proven_private_and_open_the_gate_until_they_are_touched() {
    let ground = Ground::with_contacts(700).await;
    let dir = tempfile::tempdir().unwrap();
    let db = ground.db().await;
    let shelf = Shelf { dir: Some(dir.path().into()), secret: Some(SecretString::from("open sesame")) };
    let target = Target::Files { dir: dir.path().into(), secret: shelf.secret.clone() };
    let why = refused(&db).await;
    assert!(why.contains("no proven backup of public.contacts"), "{why}");
    // Rows that cascade or lose their contact are lost with it.
    assert!(why.contains("public.organization_contacts") && why.contains("public.organizations"), "{why}");

    let recorder = Recorder::default();
    backup(&db, &one(), &target, &brisk(), &recorder).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(recorder.line().chars().all(|c| c == 'd'), "{}", recorder.line());
    let backup_dir = only(dir.path());
    let mode = |path: &Path| {
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions())
    };
    assert_eq!(mode(&backup_dir) & 0o077, 0, "nobody else may look in");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(backup_dir.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["tables"].as_array().unwrap().len(), 3, "{manifest:#}");
    let contacts =
        manifest["tables"].as_array().unwrap().iter().find(|one| one["table"] == "public.contacts").unwrap();
    assert_eq!(contacts["rows"], 700);
    let file = backup_dir.join(contacts["file"].as_str().unwrap());
    assert_eq!(mode(&file) & 0o077, 0);
    assert!(!manifest.to_string().contains("sesame"));
    // A name that every contact's row has must not be readable in the file.
    let email = ground.text("SELECT min(email) FROM contacts WHERE length(email) > 12").await;
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(email.len()).any(|part| part == email.as_bytes()));

    let listed = list(&db, &shelf).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|one| one.fault.is_none() && one.proven_at.is_some()), "{listed:#?}");
    let name = listed[0].backup.clone();
    let proven = verify(&db, &shelf, &name).await.unwrap();
    assert!(proven.iter().any(|line| line.contains("public.contacts: 700 rows")), "{proven:?}");

    let wrong = Shelf { secret: Some(SecretString::from("open barley")), ..shelf.clone() };
    let failure = verify(&db, &wrong, &name).await.unwrap_err();
    assert!(
        failure.what.contains("cannot be decrypted") && failure.next.contains("backup_key_env"),
        "{failure}"
    );
    assert!(!failure.to_string().contains("barley"));
    let none = verify(&db, &Shelf { secret: None, ..shelf.clone() }, &name).await.unwrap_err();
    assert!(none.what.contains("encrypted, and no key is named"), "{none}");

    // Altered: one bit, and the gate that it had opened is shut.
    let mut altered = bytes.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    std::fs::write(&file, &altered).unwrap();
    let why = refused(&db).await;
    assert!(why.contains("was altered") && !why.contains("public.organizations"), "{why}");
    assert!(verify(&db, &shelf, &name).await.unwrap_err().what.contains("was altered"));
    // Cut off.
    std::fs::write(&file, &bytes[..middle]).unwrap();
    let why = refused(&db).await;
    assert!(why.contains("is cut off"), "{why}");
    assert!(back(&db, &shelf, &name, None, Some("crm")).await.unwrap_err().what.contains("is cut off"));
    std::fs::write(&file, &bytes).unwrap();
    let report = up(&db, &one(), None, &required(), &Recorder::default()).await.unwrap();
    assert_eq!(report.applied, [1]);
}

#[tokio::test]
async fn the_gate_stays_shut_before_an_old_an_empty_an_unproven_or_an_open_copy() {
    let ground = Ground::with_contacts(40).await;
    let db = ground.db().await;
    let take = async || backup(&db, &one(), &Target::Schema, &brisk(), &Recorder::default()).await.unwrap();
    take().await;
    ground.sql("UPDATE gonogo.backups SET at = at - interval '25 hours'").await;
    assert!(refused(&db).await.contains("is too old"));
    take().await;
    ground.sql("UPDATE gonogo.backups SET proven_at = NULL WHERE source = 'public.organizations'").await;
    let why = refused(&db).await;
    assert!(why.contains("public.organizations") && why.contains("was never restored"), "{why}");
    take().await;
    ground.sql("DO $$ DECLARE c text; BEGIN SELECT copy INTO c FROM gonogo.backups WHERE source = 'public.contacts' ORDER BY id DESC LIMIT 1;
                EXECUTE 'GRANT SELECT ON ' || c || ' TO anon'; END $$; DELETE FROM gonogo.backups b WHERE id < (SELECT max(id) FROM gonogo.backups WHERE source = b.source)")
        .await;
    let why = refused(&db).await;
    assert!(why.contains("is not private"), "{why}");
    ground.sql("TRUNCATE contacts CASCADE").await;
    take().await;
    ground.sql("INSERT INTO contacts (name) VALUES ('Ada'); DELETE FROM gonogo.backups b WHERE id < (SELECT max(id) FROM gonogo.backups WHERE source = b.source)").await;
    let why = refused(&db).await;
    assert!(why.contains("is empty, and the table is not"), "{why}");
    take().await;
    ground.sql("ALTER TABLE contacts ADD COLUMN later text").await;
    let why = refused(&db).await;
    assert!(why.contains("lacks the columns later"), "{why}");
}

#[tokio::test]
async fn tables_come_back_as_they_were_and_what_they_replace_is_kept() {
    let ground = Ground::with_contacts(300).await;
    let (dir, db) = (tempfile::tempdir().unwrap(), ground.db().await);
    let shelf = Shelf { dir: Some(dir.path().into()), secret: None };
    let target = Target::Files { dir: dir.path().into(), secret: None };
    let before = ground.text(CONTACTS).await;
    let links = ground.text("SELECT count(*) FROM organization_contacts").await;
    backup(&db, &shipped(), &target, &brisk(), &Recorder::default()).await.unwrap();
    let name = only(dir.path()).display().to_string();
    // A trigger of the application's, which would write into what is put back.
    ground.sql("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
                CREATE TRIGGER touch BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION touch()").await;
    ground
        .sql(
            "UPDATE contacts SET notes = 'spoilt' WHERE id IN (SELECT id FROM contacts ORDER BY id LIMIT 30);
                DELETE FROM contacts WHERE id IN (SELECT id FROM contacts ORDER BY id DESC LIMIT 20);
                INSERT INTO contacts (name) SELECT 'New ' || n FROM generate_series(1, 5) n",
        )
        .await;
    let asked = back(&db, &shelf, &name, None, None).await.unwrap_err();
    assert!(
        asked.what.contains("public.contacts: 30 rows overwritten, 5 that came since removed, 20 returned")
            && asked.next.contains("--confirm crm"),
        "{asked}"
    );
    assert_ne!(ground.text(CONTACTS).await, before, "nothing was changed yet");
    let wrong = back(&db, &shelf, &name, None, Some("postgres")).await.unwrap_err();
    assert!(wrong.state.contains("nothing was changed"), "{wrong}");

    let done =
        back(&db, &shelf, &name, None, Some("crm")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(ground.text(CONTACTS).await, before);
    assert_eq!(
        ground.text("SELECT count(*) FROM organization_contacts").await,
        links,
        "what cascaded is back too"
    );
    assert_eq!(
        ground.text("SELECT tgenabled FROM pg_trigger WHERE tgname = 'touch'").await,
        "O",
        "the trigger is as it was"
    );
    let kept = done.iter().find(|one| one.table == "public.contacts").unwrap().kept.clone().unwrap();
    assert_eq!(
        ground
            .text(&format!("SELECT count(*) FROM {kept} WHERE notes = 'spoilt' OR name LIKE 'New %'"))
            .await,
        "35"
    );
    assert_eq!(
        ground.text(&format!("SELECT relrowsecurity FROM pg_class WHERE oid = '{kept}'::regclass")).await,
        "true"
    );
    let again = back(&db, &shelf, &name, None, Some("crm")).await.unwrap();
    assert!(again.iter().all(|one| (one.overwritten, one.removed, one.returned) == (0, 0, 0)), "{again:?}");

    let said = beside(&db, &shelf, &name, "contacts", "gonogo_backup.look").await.unwrap();
    assert!(said.contains("300 rows"), "{said}");
    assert_eq!(ground.text(&CONTACTS.replace("FROM contacts", "FROM gonogo_backup.look")).await, before);
    let taken = beside(&db, &shelf, &name, "contacts", "gonogo_backup.look").await.unwrap_err();
    assert!(taken.what.contains("already exists"), "{taken}");
    let odd = beside(&db, &shelf, &name, "contacts", "x; DROP TABLE contacts").await.unwrap_err();
    assert!(odd.what.contains("name"), "{odd}");
    let gone = back(&db, &shelf, "20010101_000000", None, None).await.unwrap_err();
    assert!(gone.what.contains("there is no backup"), "{gone}");
}

#[tokio::test]
async fn a_disk_that_fills_in_the_middle_leaves_no_half_a_backup() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not root: no small disk to fill");
        return;
    };
    let ground = Ground::with_contacts(300).await;
    ground.sql("INSERT INTO contacts (name, notes) SELECT 'Big', string_agg(md5(n::text || m::text), '') FROM generate_series(1, 60) m, generate_series(1, 4000) n GROUP BY m").await;
    let db = ground.db().await;
    let target = Target::Files { dir: disk.0.path().into(), secret: None };
    let failure = backup(&db, &one(), &target, &brisk(), &Recorder::default()).await.unwrap_err();
    assert!(failure.what.contains("No space left") && failure.state.contains("was removed"), "{failure}");
    assert_eq!(
        std::fs::read_dir(disk.0.path()).unwrap().count(),
        0,
        "nothing is left that could be taken for a backup"
    );
    assert_eq!(ground.text("SELECT count(*) FROM gonogo.backups").await, "0");
    assert!(refused(&db).await.contains("no proven backup"));
}

/// Two megabytes.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(dir.path())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg(self.0.path()).status());
    }
}
