//! Two people, two processes, one run.

use crate::operator::next;
use crate::stage::Stage;

#[test]
fn a_tick_in_one_cockpit_is_seen_in_the_other() {
    let stage = Stage::new(&["--speed", "20", "--contacts", "20"]);
    let mut lea = stage.rehearse((120, 40));
    let mut dora = stage.join("dba", "dora", (80, 24));
    lea.wait_for("dora is on", |screen| screen.lines().nth(1).is_some_and(|head| head.contains("dba ●")));

    lea.press(" ");
    dora.wait_for("lea's tick", |screen| screen.contains("✔ Runbook read"));
    dora.press("8");
    dora.wait_for("who did it", |screen| screen.contains("lea (lead)"));

    // What is the lead's is not the DBA's: refused in words, and nothing is written.
    dora.press("1");
    dora.wait_for("the next item", |screen| {
        next(screen).is_some_and(|now| now.line.contains("Everybody told by telephone"))
    });
    dora.press_until(" ", "the refusal", |screen| screen.contains("✘ refused"));
    dora.wait_for_text("dba may not change this item");
    assert_eq!(stage.events("item-done").len(), 1);

    // A note of hers reaches the lead.
    dora.press("n");
    dora.wait_for("the note", |screen| crate::operator::asks(screen, "Note"));
    dora.press("replication lag looked at\r");
    lea.wait_for_text("replication lag looked at");

    dora.press("q");
    assert!(dora.end().success());
    lea.press("q");
    assert!(lea.end().success());
    let by: Vec<_> = stage.events("noted").iter().map(|record| record["by"].clone()).collect();
    assert_eq!((by[0]["name"].as_str(), by[0]["role"].as_str()), (Some("dora"), Some("dba")));
}
