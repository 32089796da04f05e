//! What people bring that cannot be used: the cockpit says what, where and what to do, changes nothing, and says to the shell
//! that it was bad input.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use crate::cockpit::Cockpit;
use crate::operator::next;

const SIZE: (u16, u16) = (100, 30);
/// The exit code of bad input.
const BAD: u32 = 2;

fn list(dir: &Path) {
    std::fs::write(dir.join("list.md"), "- [ ] call everybody\n- [x] find the key\n  - [ ] and a second\n")
        .unwrap();
}

/// The journal and all that stands beside it, the write-ahead log included.
fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn begin(dir: &Path) -> Cockpit {
    Cockpit::start(&["--checklist", "list.md", "--name", "lea"], dir, SIZE)
}

async fn sql(path: &Path, sql: &'static str) {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_plain_task_list_is_a_cockpit_and_a_journal_that_is_none_is_said() {
    let home = tempfile::tempdir().unwrap();
    list(home.path());
    let mut cockpit = begin(home.path());
    cockpit.wait_for("the panes", |screen| screen.contains(" LIVE ") && next(screen).is_some());
    cockpit.press_until("g", "the question", |screen| crate::operator::asks(screen, "Start"));
    cockpit.confirm("Start");
    cockpit.wait_for("the first item", |screen| {
        next(screen).is_some_and(|it| it.line.contains("call everybody"))
    });
    cockpit.press_until(" ", "the tick", |screen| screen.contains("✔ call everybody"));
    cockpit.press("q");
    assert!(cockpit.end().success());
    let kept = home.path().join(".gonogo");

    let newer = "pragma user_version = 9";
    let altered = "drop trigger journal_keeps; update journal set by = 'eve' where seq = 1";
    let foreign = "create table invoice (id integer)";
    for (what, said) in [
        ("text", "is not a journal of gonogo (not an SQLite file)"),
        ("foreign", "an SQLite file of another program, with 1 tables"),
        ("newer", "was written by a newer gonogo (format 9, this one reads up to 1)"),
        ("altered", "was altered: event 1 is not what was written"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        list(dir.path());
        std::fs::create_dir(dir.path().join(".gonogo")).unwrap();
        let path = dir.path().join(".gonogo/journal.sqlite");
        match what {
            "text" => std::fs::write(&path, "what I bought: milk\n").unwrap(),
            "foreign" => sql(&path, foreign).await,
            "newer" => {
                copy(&kept, path.parent().unwrap());
                sql(&path, newer).await;
            }
            _ => {
                copy(&kept, path.parent().unwrap());
                sql(&path, altered).await;
            }
        }
        let mut cockpit = begin(dir.path());
        cockpit.wait_for(what, |screen| {
            let whole =
                screen.lines().map(|line| line.trim_matches(['│', ' '])).collect::<Vec<_>>().join(" ");
            screen.contains("✘ did not start")
                && whole.contains(said)
                && whole.contains("→ nothing was changed")
                && screen.contains("nothing was opened")
                && screen.contains("next: mend what is named above")
        });
        cockpit.press("q");
        assert_eq!(cockpit.end().exit_code(), BAD, "{what}");
        if what == "text" {
            assert_eq!(std::fs::read(&path).unwrap(), b"what I bought: milk\n");
        }
    }
}

#[test]
fn a_secret_that_is_not_set_and_a_service_that_is_not_there_are_said_on_the_gauges() {
    let dir = tempfile::tempdir().unwrap();
    list(dir.path());
    let config = "[deployment]\nchecklist = 'list.md'\n[app]\nurl = 'http://127.0.0.1:9/'\n[services.sentry]\norg = 'a'\n\
                  project = 'b'\ntoken_env = 'GONOGO_TEST_UNSET'\ndsn_env = 'GONOGO_TEST_UNSET'\nenvironment = 'production'\n\
                  release = 'x'\n[database]\nurl_env = 'GONOGO_TEST_UNSET'\n";
    std::fs::write(dir.path().join("gonogo.toml"), config).unwrap();
    let mut cockpit = Cockpit::start(&["--name", "lea"], dir.path(), (80, 24));
    cockpit.wait_for("the panes", |screen| screen.contains(" LIVE ") && next(screen).is_some());
    cockpit.press("5");
    cockpit.wait_for("every reason", |screen| {
        let whole = screen.lines().map(|line| line.trim_matches(['│', ' '])).collect::<Vec<_>>().join(" ");
        whole.matches("GONOGO_TEST_UNSET is not set").count() == 2 && screen.contains("CANNOT TELL 5 of 5")
    });
    assert!(!cockpit.screen().contains("● OK"), "{}", cockpit.screen());
    cockpit.press("q");
    assert!(cockpit.end().success());
}
