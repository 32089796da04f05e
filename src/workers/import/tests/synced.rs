//! The sync: what changed, on demand and by the clock.

use super::*;

#[tokio::test]
async fn a_sync_brings_what_changed_and_then_goes_by_the_clock() {
    let mut rig = Rig::new("smooth", 0.001, 400, 600, "page_size = 200\nsync_every = \"15m\"\n").await;
    let clock = rig.kit.clock().clone();
    rig.ask(JobKind::Sync).await;
    let failure = rig.failure().await;
    assert!(failure.next.contains("run the import first"), "{failure}");
    let first = rig.done(JobKind::Import).await;
    assert_eq!(rig.store.now().sync, Sync::Off, "an import alone does not switch it on");

    clock.jump_to(clock.now() + chrono::TimeDelta::hours(12));
    let totals = rig.done(JobKind::Sync).await;
    assert!(totals.updated > 10 && totals.fetched < 300, "only what changed: {totals:?}");
    assert!(
        matches!(rig.store.now().sync, Sync::On { passes: 1, good, .. } if good == totals.updated + totals.unchanged)
    );
    assert_eq!(success(&rig.store.now()).map(|(good, _)| good), Some(totals.updated + totals.unchanged));
    reconciled(&mut rig.database, &rig.kit.pulse().unwrap()).await.unwrap();

    // Not before its time; then once for each.
    for passes in 2..4 {
        clock.jump_to(clock.now() + chrono::TimeDelta::minutes(16));
        let mut state = rig.store.state();
        let passed =
            state.wait_for(|state| matches!(state.sync, Sync::On { passes: so_far, .. } if so_far >= passes));
        tokio::time::timeout(Duration::from_mins(1), passed).await.expect("in time").unwrap();
        assert!(matches!(rig.store.now().sync, Sync::On { passes: so_far, .. } if so_far == passes));
    }
    // Everything of twelve and a half hours is here. When people last met moves at Pulse without a change of the profile,
    // so that it alone may lag until the profile changes or all is read again.
    rig.remember().await;
    let again = rig.done(JobKind::Import).await;
    assert_eq!((again.imported, again.conflicts), (0, first.conflicts), "{again:?}");
    let lag = "ARRAY['last_interaction_date', 'updated_at', 'pulse_last_synced_at']";
    let other = format!(
        "SELECT count(*) FROM contacts c JOIN before b USING (id) WHERE to_jsonb(c) - {lag} <> to_jsonb(b) - {lag}"
    );
    assert_eq!(rig.number(&other).await, 0);
    rig.leave().await;
}
