//! Cut at any point, the import goes on where it was and ends as one that was never cut.

use super::*;
use crate::run::JobStatus;

const PAGES: &str = "SELECT coalesce(max(pages), 0) FROM gonogo.import_state";
const MERGED: &str = "SELECT coalesce(sum(imported + updated), 0)::bigint FROM gonogo.import_batches";

async fn uncut(import: &str) -> Vec<String> {
    let mut rig = Rig::new("smooth", 0.001, 600, 900, import).await;
    rig.done(JobKind::Import).await;
    let contents = rig.contents().await;
    rig.leave().await;
    contents
}

#[tokio::test]
async fn killed_again_and_again_it_ends_the_same() {
    let import = "page_size = 40\n";
    let expected = uncut(import).await;
    let mut rig = Rig::new("smooth", 0.001, 600, 900, import).await;
    // A budget of sixty a minute is not what is tried here, and so many readings need more.
    let clock = rig.kit.clock().clone();
    rig.ask(JobKind::Import).await;
    for (sql, least) in [(PAGES, 1), (PAGES, 5), (PAGES, 19), (MERGED, 1), (MERGED, 300), (MERGED, 700)] {
        rig.until(sql, least).await;
        rig.kill();
        clock.jump_to(clock.now() + chrono::TimeDelta::seconds(61));
        rig.man();
    }
    let totals = rig.totals().await;
    assert_eq!((totals.fetched, sum(&totals)), (900, 900), "{totals:?}");
    assert_eq!(rig.contents().await, expected);
    let started = rig
        .store
        .now()
        .tail
        .iter()
        .filter(|record| matches!(record.event, crate::run::Event::JobStarted { .. }))
        .count();
    assert!(started > 3, "it was really cut: {started} attempts");
    rig.leave().await;
}

#[tokio::test]
async fn a_database_that_breaks_off_is_gone_back_to() {
    let import = "page_size = 100\n";
    let expected = uncut(import).await;
    let mut rig = Rig::new("smooth", 0.001, 600, 900, import).await;
    rig.ask(JobKind::Import).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'gonogo import'";
    let mut cuts = 0;
    for (sql, least) in [(PAGES, 2), (PAGES, 6), (MERGED, 1)] {
        rig.until(sql, least).await;
        cuts += rig.number(cut).await;
    }
    assert!(cuts >= 2, "it was really cut: {cuts}");
    assert_eq!(sum(&rig.totals().await), 900);
    assert_eq!(rig.contents().await, expected);
    rig.leave().await;
}

#[tokio::test]
async fn cancelled_it_keeps_its_place_and_paused_it_waits() {
    let mut rig = Rig::new("smooth", 0.001, 600, 900, "page_size = 12\n").await;
    rig.ask(JobKind::Import).await;
    // More pages than a minute allows, on a clock that stands: it comes to wait by itself, and is cut there or before.
    rig.until(PAGES, 40).await;
    let id = *rig.store.now().jobs.keys().next_back().unwrap();
    let dev = Actor::person("dev", Role::Devops);
    rig.store.submit(&dev, Command::Pause(id)).await.unwrap();
    assert!(matches!(rig.store.now().jobs[&id].status, JobStatus::Paused(_)));
    rig.store.submit(&dev, Command::Cancel(id)).await.unwrap();
    assert!(matches!(rig.outcome().await, Outcome::Cancelled { .. }));
    let pages = rig.number(PAGES).await;
    assert!((40..82).contains(&pages), "{pages} pages");
    assert_eq!(rig.number(MERGED).await, 0);

    rig.kit.clock().jump_to(rig.kit.clock().now() + chrono::TimeDelta::seconds(61));
    let totals = rig.done(JobKind::Import).await;
    assert_eq!((totals.fetched, sum(&totals)), (900, 900));
    // Pages of 12 overlap by one: 82 in all. What was staged is not read again; what was on its way is: five pages at most being
    // staged, five being judged, four that wait for their turn, and one that was just answered.
    let served = rig.world.read(|state| state.pulse_pages);
    assert!(served <= 82 + 15, "{served} pages were served, {pages} of them before the cut");
    rig.leave().await;
}

#[tokio::test]
async fn staging_that_is_gone_begins_anew_and_doubles_nobody() {
    let mut rig = Rig::new("smooth", 0.001, 300, 500, "page_size = 50\n").await;
    rig.ask(JobKind::Import).await;
    rig.until(MERGED, 100).await;
    rig.kill();
    // As after a crash of the server: what is unlogged is empty. The killed backend may still be at its last statement.
    sqlx::raw_sql("TRUNCATE gonogo.pulse_staging, gonogo.pulse_plan")
        .execute(&mut rig.database)
        .await
        .unwrap();
    rig.kit.clock().jump_to(rig.kit.clock().now() + chrono::TimeDelta::seconds(61));
    rig.man();
    let totals = rig.totals().await;
    assert_eq!(sum(&totals), 500, "{totals:?}");
    let twice = "SELECT count(*) FROM (SELECT pulse_profile_id FROM contacts WHERE pulse_profile_id IS NOT NULL \
                 GROUP BY 1 HAVING count(*) > 1) twice";
    assert_eq!(rig.number(twice).await, 0);
    rig.leave().await;
}

#[tokio::test]
async fn an_outage_costs_time_and_not_the_place() {
    // The scenario's outage lasts six minutes of the clock, which runs fast.
    let mut rig = Rig::new("pulse-outage", 240.0, 300, 500, "page_size = 100\n").await;
    let began = rig.kit.clock().now();
    let totals = rig.done(JobKind::Import).await;
    assert_eq!((totals.fetched, sum(&totals)), (500, 500), "{totals:?}");
    assert!(rig.kit.clock().now() - began >= chrono::TimeDelta::minutes(6), "there was an outage to sit out");
    assert_eq!(
        rig.number("SELECT count(*) FROM entity_mappings").await.unsigned_abs(),
        totals.fetched - totals.conflicts
    );
    rig.leave().await;
}
