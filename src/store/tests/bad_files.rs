//! Files that are not what they should be: each is one clear error that names the file, and no file is changed by it.

use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::store::StoreError;

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap()
}

/// Lets somebody at the file who knows SQLite and means no good.
async fn tamper(path: &Path, sql: &str) {
    let mut connection = raw(path).await;
    let sql = format!("drop trigger journal_keeps; drop trigger journal_stays; {sql}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn refused(path: &Path) -> StoreError {
    Store::open(path, Clock::wall()).await.expect_err("it does not open")
}

async fn altered(sql: &str) -> (u64, String) {
    let (_dir, path) = journal(5).await;
    tamper(&path, sql).await;
    match refused(&path).await {
        StoreError::Altered { seq, why, .. } => (seq, why),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_altered_journal_names_the_event() {
    let fits = "its hash does not fit".to_owned();
    let text = "update journal set body = replace(body, 'note 2', 'note X') where seq = 3";
    assert_eq!(altered(text).await, (3, fits.clone()));
    assert_eq!(altered("update journal set by = 'max' where seq = 4").await, (4, fits.clone()));
    assert_eq!(altered("update journal set role = 'dba' where seq = 4").await, (4, fits.clone()));
    assert_eq!(altered("update journal set at = at + 1 where seq = 1").await, (1, fits.clone()));
    assert_eq!(altered("update journal set hash = zeroblob(32) where seq = 2").await, (2, fits.clone()));
    assert_eq!(altered("delete from journal where seq = 3").await, (4, "event 3 is missing".into()));
    assert_eq!(altered("delete from journal where seq = 1").await, (2, "event 1 is missing".into()));
    let swap =
        "update journal set seq = -seq where seq in (3, 4); update journal set seq = 7 + seq where seq < 0";
    assert_eq!(altered(swap).await, (3, fits.clone()));
    let forged = "insert into journal select 7, at, v, by, role, body, hash from journal where seq = 6";
    assert_eq!(altered(forged).await, (7, fits));
}

#[tokio::test]
async fn the_journal_refuses_changes_by_itself() {
    let (_dir, path) = journal(1).await;
    let mut connection = raw(&path).await;
    for sql in ["update journal set by = 'max'", "delete from journal"] {
        let error = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn who_has_it_open_sees_that_its_end_was_cut_off() {
    let (_dir, path) = journal(3).await;
    let store = open(&path).await;
    let mut trouble = store.trouble();
    tamper(&path, "delete from journal where seq = 4").await;
    let said = words(store.submit(&lea(), note("on top of nothing")).await);
    assert!(said.contains("event 4 is not what was written (it was there, and is missing now)"), "{said}");
    let seen = tokio::time::timeout(DEADLINE, trouble.wait_for(Option::is_some)).await.expect("it is shown");
    assert!(matches!(seen.unwrap().as_deref(), Some(StoreError::Altered { seq: 4, .. })));
}

#[tokio::test]
async fn a_file_that_is_taken_away_takes_no_event_with_it() {
    let (dir, path) = journal(1).await;
    let store = open(&path).await;
    let away = dir.path().join("away.sqlite");
    std::fs::rename(&path, &away).unwrap();
    let said = words(store.submit(&lea(), note("into the void")).await);
    assert!(said.contains("is not the file any more that was opened; nothing was written"), "{said}");
    let mut trouble = store.trouble();
    tokio::time::timeout(DEADLINE, trouble.wait_for(Option::is_some)).await.expect("it is shown").unwrap();
    std::fs::rename(&away, &path).unwrap();
    tokio::time::timeout(DEADLINE, trouble.wait_for(Option::is_none)).await.expect("it passes").unwrap();
    assert_eq!(write(&store, "back again").await, 3);
}

#[tokio::test]
async fn a_file_that_another_holds_is_shown_as_locked_until_it_is_let_go() {
    let (_dir, path) = journal(1).await;
    let store = open(&path).await;
    let mut holder = raw(&path).await;
    sqlx::raw_sql("begin exclusive").execute(&mut holder).await.unwrap();
    let said = words(store.submit(&lea(), note("in vain")).await);
    assert!(said.contains("is locked by another process"), "{said}");
    let mut trouble = store.trouble();
    let seen = tokio::time::timeout(DEADLINE, trouble.wait_for(Option::is_some)).await.expect("it is shown");
    assert!(matches!(seen.unwrap().as_deref(), Some(StoreError::Locked { .. })));
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    tokio::time::timeout(DEADLINE, trouble.wait_for(Option::is_none)).await.expect("it passes").unwrap();
    assert_eq!(write(&store, "and now").await, 3, "nothing was written in vain");
}

#[tokio::test]
async fn other_files_are_left_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "# what I bought\nmilk\n").unwrap();
    let other = dir.path().join("other.sqlite");
    let mut connection = raw(&other).await;
    sqlx::raw_sql("create table invoice (id integer)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    for (path, found) in [(&text, "not an SQLite file"), (&other, "of another program, with 1 tables")] {
        let before = std::fs::read(path).unwrap();
        let said = refused(path).await;
        assert!(matches!(said, StoreError::Foreign { .. }), "{said:?}");
        assert!(
            said.to_string().contains(found) && said.to_string().contains("under [store] in gonogo.toml"),
            "{said}"
        );
        let unchanged = if path == &text { before == std::fs::read(path).unwrap() } else { true };
        assert!(unchanged, "{} was changed", path.display());
    }
    let said = refused(dir.path()).await.to_string();
    assert!(said.contains("is not a journal of gonogo"), "a directory: {said}");
}

#[tokio::test]
async fn an_empty_file_becomes_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.sqlite");
    std::fs::write(&path, "").unwrap();
    begin(&open(&path).await).await;
    assert_eq!(open(&path).await.now().seq, 1);
}

#[tokio::test]
async fn a_file_cut_short_or_overwritten_is_damaged_not_silently_new() {
    let (_dir, path) = journal(200).await;
    // Everything into the one file, as it is after all cockpits have closed.
    let mut connection = raw(&path).await;
    sqlx::raw_sql("pragma wal_checkpoint(truncate)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let said = refused(&path).await;
    assert!(matches!(said, StoreError::Damaged { .. }), "{said:?}");
}

#[tokio::test]
async fn a_newer_journal_is_for_a_newer_program() {
    let (_dir, path) = journal(2).await;
    tamper(&path, "update journal set v = 99 where seq = 3").await;
    let said = refused(&path).await;
    assert!(matches!(said, StoreError::Newer { found: 99, known: 1, .. }), "{said:?}");
    let (_dir, path) = journal(2).await;
    tamper(&path, "pragma user_version = 7").await;
    let said = refused(&path).await;
    assert!(matches!(said, StoreError::Newer { found: 7, known: 1, .. }), "{said:?}");
    assert!(said.to_string().contains("use that version"), "{said}");
}

#[tokio::test]
async fn a_locked_journal_says_so_and_takes_the_command_later() {
    let (_dir, path) = journal(1).await;
    let store = open(&path).await;
    let mut holder = raw(&path).await;
    sqlx::raw_sql("begin exclusive").execute(&mut holder).await.unwrap();
    let by = lea();
    let (late, said) = tokio::join!(Store::open(&path, Clock::wall()), store.submit(&by, note("later")));
    assert!(matches!(late, Err(StoreError::Locked { .. })), "{late:?}");
    let said = words(said);
    assert!(said.starts_with("not recorded: ") && said.contains("is locked by another process"), "{said}");
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    assert_eq!(write(&store, "later").await, 3);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_says_so() {
    // The kernel's own file system: nobody makes a file there, root included.
    let said = refused(Path::new("/proc/gonogo/run.sqlite")).await;
    assert!(matches!(said, StoreError::ReadOnly { .. }), "{said:?}");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let said = refused(&dir.path().join("file/run.sqlite")).await;
    assert!(matches!(said, StoreError::ReadOnly { .. }), "{said:?}");
}

/// As somebody whom the file's rights bind: as root, in a process of nobody's.
#[tokio::test]
async fn a_journal_without_the_right_to_write_says_so() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    let (dir, path) = journal(1).await;
    // The first handle takes its logs away when it is closed; until then the file is not at rest.
    let logs = || {
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with("-wal")).count()
    };
    let at_rest = async {
        while logs() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), at_rest).await.expect("the first handle closes");
    let root = std::fs::metadata(&path).unwrap().uid() == 0;
    let program = dir.path().join("gonogo-tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut files: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| *file != program);
    for file in &files {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o444)).unwrap();
    }
    for place in [&program, &dir.path().to_path_buf()] {
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    let mut process = std::process::Command::new(&program);
    process.current_dir("/");
    if root {
        process.uid(65_534).gid(65_534);
    }
    let said = super::processes::Other::from(process, "open", &path).says();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = said.expect("it says something");
    assert!(said.ends_with("cannot be written; check the rights of the file and its directory"), "{said}");
}
