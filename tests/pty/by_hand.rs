//! A deployment driven by hand, from the first tick to the proof that it was taken back.

use crate::cockpit::Cockpit;
use crate::operator::{asks, next};
use crate::stage::Stage;

const RUNBOOK: &str = "Runbook read from start to end";
const WAY_OUT: &str = "╭ Way out ─";

/// The line that holds that text.
fn line<'s>(screen: &'s str, text: &str) -> Option<&'s str> {
    screen.lines().find(|line| line.contains(text))
}

/// Ticks the first item, and skips the second with a reason.
fn tick_and_skip(cockpit: &mut Cockpit) {
    cockpit.wait_for("the first item", |screen| next(screen).is_some_and(|now| now.line.contains(RUNBOOK)));
    cockpit.press(" ");
    cockpit.wait_for("the tick", |screen| line(screen, "✔ Runbook read").is_some());
    cockpit.wait_for("the second item", |screen| {
        next(screen).is_some_and(|now| now.line.contains("Everybody told by telephone"))
    });
    cockpit.press_until("s", "the reason", |screen| asks(screen, "Skip: why?"));
    // Pasted, as a terminal does it: with the line break that would have sent it.
    cockpit.press("\x1b[200~told in the channel\x1b[201~");
    cockpit.wait_for_text("told in the channel");
    cockpit.press(", twice\r");
    cockpit.wait_for("the skip", |screen| line(screen, "− Everybody told").is_some());
}

/// Throws the error spike in, and waits for the alert.
fn spike(cockpit: &mut Cockpit) {
    cockpit.press("!");
    cockpit.wait_for_text("○ off error-spike");
    cockpit.press("\r");
    cockpit.wait_for("the dialog gives way", |screen| !screen.contains("throw in or take away"));
    cockpit.wait_for("the alert", |screen| line(screen, "▲ CRITICAL  error rate").is_some());
    cockpit.wait_for("who decides", |screen| {
        next(screen).is_some_and(|now| now.line.contains("decides on the alert on error rate"))
    });
}

/// R, R: the first way out at once, and the proof that it helped.
fn take_back(cockpit: &mut Cockpit) {
    cockpit.press("R");
    cockpit.wait_for_text("R go now");
    cockpit.press_until("R", "it goes at once", |screen| !screen.contains("R go now"));
    cockpit.wait_for("the act's progress", |screen| screen.contains(WAY_OUT));
    cockpit.wait_for("the proof from outside", |screen| screen.contains("VERIFIED: "));
    cockpit.press("\x1b");
    cockpit.wait_for("the alert is over", |screen| {
        line(screen, "▲ CRITICAL").is_none()
            && next(screen).is_some_and(|now| now.line.contains("the release was taken back"))
    });
}

fn end(cockpit: &mut Cockpit) {
    cockpit.press("E");
    cockpit.wait_for("how it ended", |screen| asks(screen, "End the run"));
    cockpit.press_until("\r", "the answer", |screen| !asks(screen, "End the run"));
    cockpit.wait_for_text("the run is over");
    cockpit.wait_for_text("PARTIAL ROLLBACK");
    cockpit.press("q");
    assert!(cockpit.end().success());
}

fn is_recovered(stage: &Stage) {
    let summary = stage.summary();
    let recovery = &summary["recovery"];
    assert_eq!(recovery["verified"], true, "{summary:#}");
    for span in ["detect_s", "decide_s", "recover_s"] {
        assert!(recovery[span].is_i64(), "{span} in {summary:#}");
    }
}

#[tokio::test]
async fn the_whole_of_it_at_120x40() {
    let stage = Stage::new(&["--speed", "60", "--contacts", "200"]);
    let mut cockpit = stage.rehearse((120, 40));
    tick_and_skip(&mut cockpit);

    cockpit.follow_to("starts Database migration");
    cockpit.press("A");
    cockpit.wait_for("the guard is open", |screen| line(screen, "REHEARSAL   ARMED").is_some());
    cockpit.follow_to("001 to 003 applied");
    let before = cockpit.mark();
    cockpit.follow_to("Every check of the three migrations holds");
    for migration in ["001", "002", "003"] {
        let moves = |screen: &str| line(screen, &format!("▸ {migration} ")).is_some();
        assert!(cockpit.saw(before, moves), "{migration} was never seen running\n{}", cockpit.screen());
        let done = format!("✔ {migration} ");
        cockpit.wait_for("a migration is done", |screen| line(screen, &done).is_some());
    }
    let columns = "select count(*) from information_schema.columns where table_name = 'contacts' and column_name in \
                   ('pulse_profile_id', 'donor_stage', 'pulse_sync_error')";
    assert_eq!(stage.count(columns).await, 3);

    cockpit.follow_to("Contacts imported");
    let before = cockpit.mark();
    cockpit.follow_to("10 % switched on");
    assert!(
        cockpit.saw(before, |screen| line(screen, "Pulse import").is_some_and(|it| it.contains("▸ running")))
    );
    let filled = "200 of 200  100 %";
    cockpit.wait_for("the bar is full", |screen| line(screen, filled).is_some_and(|it| it.contains("███")));
    assert_eq!(stage.count("select count(*) from entity_mappings where entity_type = 'contact'").await, 200);
    assert_eq!(stage.count("select count(*) from gonogo.import_conflicts").await, 0);

    cockpit.follow_to("Error rate at +15 min");
    spike(&mut cockpit);
    take_back(&mut cockpit);
    end(&mut cockpit);

    is_recovered(&stage);
    let skipped = stage.events("item-skipped");
    assert_eq!(skipped[0]["reason"], "told in the channel, twice");
    assert!(stage.events("signed").iter().any(|record| record["by"]["name"] == "dba-person"));
    let armed = stage.events("armed");
    assert_eq!(armed[0]["by"]["name"], "lea");
}

#[tokio::test]
async fn the_same_at_80x24() {
    let stage = Stage::new(&["--speed", "60", "--contacts", "60"]);
    let mut cockpit = stage.rehearse((80, 24));
    tick_and_skip(&mut cockpit);

    cockpit.follow_to("10 % switched on");
    cockpit.wait_for("the bar is full", |screen| line(screen, "60 of 60  100 %").is_some());
    cockpit.follow_to("Error rate at +15 min");
    spike(&mut cockpit);
    // The guard is closed: R alone does nothing, and says why.
    cockpit.press("R");
    cockpit.wait_for_text("✘ refused");
    assert!(stage.events("job-requested").iter().all(|record| record["kind"]["do"] != "rollback"));
    cockpit.press("A");
    cockpit.wait_for("the guard is open", |screen| line(screen, "REHEARSAL   ARMED").is_some());
    take_back(&mut cockpit);
    end(&mut cockpit);
    is_recovered(&stage);
}
