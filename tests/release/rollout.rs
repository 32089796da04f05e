//! The share, stage by stage, as clients are told it.

use gonogo::run::JobKind;

use crate::rig::Rig;

fn shares(rig: &Rig) -> (bool, Vec<i64>) {
    rig.world.read(|world| {
        let now = world.flags[0].now();
        let groups = now.filters["groups"].as_array().unwrap();
        (now.active, groups.iter().map(|group| group["rollout_percentage"].as_i64().unwrap()).collect())
    })
}

#[tokio::test]
async fn each_stage_lets_in_whom_it_names() {
    let rig = Rig::new().await;
    let _crew = rig.crew("a");
    rig.world.change(|world, _| world.flags[0].history.last_mut().unwrap().active = false);
    let expected = [
        (10, (true, vec![100, 0]), "internal users): the team is in, 0 of 48 strangers"),
        (50, (true, vec![100, 50]), "the team is in, "),
        (100, (true, vec![100, 100]), "48 of 48 strangers"),
        (0, (true, vec![0, 0]), "0 of 48 strangers"),
    ];
    for (share, flag, words) in expected {
        let job = rig.request(JobKind::Rollout { share }).await;
        let summary = rig.succeeds(job).await;
        assert!(summary.contains(words), "{summary}");
        assert_eq!(shares(&rig), flag);
        assert_eq!(rig.store.now().share, Some(share));
    }
}
