//! A journal that cannot be written or followed any more: no pane is shown without saying so, nothing is lost, and what can
//! pass does.

use sqlx::Connection;

use crate::cockpit::Cockpit;
use crate::stage::Stage;

/// What stands above every pane.
const SIGN: &str = " ✘ JOURNAL nothing can be recorded";

fn every_pane_says(cockpit: &mut Cockpit, what: &str) {
    for pane in ["2", "3", "4", "5", "6", "7", "8", "1"] {
        cockpit.press(pane);
        let title = format!("╭ {pane} ");
        cockpit.wait_for(what, |screen| {
            let whole = screen.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            let there = pane == "1" || screen.contains(&title);
            there && screen.contains(SIGN) && whole.contains(what)
        });
    }
}

#[tokio::test]
async fn every_pane_says_that_the_journal_is_locked_moved_or_cut() {
    let stage = Stage::new(&["--speed", "1", "--contacts", "20"]);
    let mut cockpit = stage.rehearse((80, 24));
    let over = |screen: &str| !screen.contains(SIGN);
    cockpit.press(" ");
    cockpit.wait_for_text("✔ Runbook read");

    let mut holder = stage.journal_file().await;
    sqlx::raw_sql("begin exclusive").execute(&mut holder).await.unwrap();
    cockpit.press("n");
    cockpit.wait_for("the note", |screen| crate::operator::asks(screen, "Note"));
    cockpit.press("written in vain\r");
    every_pane_says(&mut cockpit, "is locked by another process");
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    cockpit.wait_for("it passes", over);

    let journal = stage.path().join("rehearsal/journal.sqlite");
    let away = stage.path().join("away.sqlite");
    std::fs::rename(&journal, &away).unwrap();
    every_pane_says(&mut cockpit, "is not the file any more that was opened");
    std::fs::rename(&away, &journal).unwrap();
    cockpit.wait_for("it passes", over);

    // It goes on where it was: this is recorded, and what was in vain is not.
    cockpit.press("n");
    cockpit.wait_for("the note", |screen| crate::operator::asks(screen, "Note"));
    cockpit.press("written at last\r");
    cockpit.press("8");
    cockpit.wait_for_text("Everybody told by telephone: written at l");
    let notes = stage.events("noted");
    assert_eq!(
        notes.iter().map(|note| note["text"].as_str().unwrap()).collect::<Vec<_>>(),
        ["written at last"]
    );

    let cut = "drop trigger journal_stays; delete from journal where seq = (select max(seq) from journal)";
    sqlx::raw_sql(cut).execute(&mut holder).await.unwrap();
    holder.close().await.unwrap();
    every_pane_says(&mut cockpit, "it was there, and is missing now");
    cockpit.press("q");
    assert!(cockpit.end().success());
}
