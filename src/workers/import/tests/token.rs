//! Pulse's token lasts an hour, and an import may take longer than what is left of it.

use super::*;

impl Rig {
    /// What the import says it waits for, as the cockpit shows it.
    async fn waits(&self, so: impl Fn(&str) -> bool) -> String {
        let mut live = self.store.live();
        let why = |live: &Arc<crate::run::live::Live>| {
            live.progress.values().find_map(|progress| match &progress.more {
                crate::run::live::More::Import(import) => import.waiting.clone().filter(|why| so(why)),
                _ => None,
            })
        };
        let seen = tokio::time::timeout(Duration::from_mins(1), live.wait_for(|live| why(live).is_some()));
        let seen = Arc::clone(&seen.await.expect("in time").unwrap());
        why(&seen).unwrap()
    }
}

#[tokio::test]
async fn a_token_that_runs_out_is_waited_for_in_words_and_the_import_goes_on_with_a_fresh_one() {
    let mut rig = Rig::new("smooth", 0.001, 300, 900, "page_size = 40\n").await;
    rig.ask(JobKind::Import).await;
    rig.until("SELECT coalesce(max(pages), 0) FROM gonogo.import_state", 5).await;
    // From here on Pulse takes another token alone, as it does when the hour is over.
    let old = rig.world.credentials().pulse;
    let fresh = "a-token-of-the-next-hour";
    rig.world.change(|state, _| state.credentials.pulse = fresh.into());
    let why = rig.waits(|why| why.contains("put a fresh token into")).await;
    assert!(why.contains(".env as GONOGO_TEST_PULSE") && why.contains("goes on by itself"), "{why}");
    assert!(!why.contains(&old) && !why.contains(fresh), "{why}");
    let job = rig.store.now();
    let job = job.jobs.values().next_back().unwrap();
    assert!(!job.is_over(), "it waits, and has not failed");
    let staged = rig.number("SELECT staged FROM gonogo.import_state").await;
    assert!(staged < 900, "it ran out in the middle: {staged} of 900");
    // A person writes the file; nobody touches the cockpit.
    std::fs::write(rig.dir.path().join(".env"), format!("GONOGO_TEST_PULSE='{fresh}'\n")).unwrap();
    let totals = rig.totals().await;
    assert_eq!((totals.fetched, sum(&totals)), (900, 900), "{totals:?}");
    let twice = "SELECT count(*) FROM (SELECT pulse_profile_id FROM contacts WHERE pulse_profile_id IS NOT NULL \
                 GROUP BY 1 HAVING count(*) > 1) twice";
    assert_eq!(rig.number(twice).await, 0);
    let record = format!("{:?}", rig.store.now());
    assert!(!record.contains(&old) && !record.contains(fresh), "no token is in the record");
    rig.leave().await;
}
