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
    assert!(matches!(rig.store.now().sync, Sync::On { passes: 1, good, .. } if good == totals.updated));
    assert_eq!(success(&rig.store.now()).map(|(good, _)| good), Some(totals.updated));
    reconciled(&mut rig.database, &rig.kit.pulse().unwrap()).await.unwrap();

    // Not before its time; then once for each.
    for passes in 2..4 {
        clock.jump_to(clock.now() + chrono::TimeDelta::minutes(16));
        let mut state = rig.store.state();
        let passed = state.wait_for(|state| matches!(state.sync, Sync::On { passes: so_far, .. } if so_far >= passes));
        tokio::time::timeout(std::time::Duration::from_secs(60), passed).await.expect("in time").unwrap();
        assert!(matches!(rig.store.now().sync, Sync::On { passes: so_far, .. } if so_far == passes));
    }
    // Everything of twelve and a half hours is here: a full import finds nothing to write.
    let stamps = rig.stamps().await;
    let again = rig.done(JobKind::Import).await;
    assert_eq!((again.imported, again.updated, again.conflicts), (0, 0, first.conflicts), "{again:?}");
    assert_eq!(rig.stamps().await, stamps);
    rig.leave().await;
}
