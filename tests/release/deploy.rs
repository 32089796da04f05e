//! Going live at Vercel.

use gonogo::rehearsal::faults::{Fault, Vendor};
use gonogo::run::job::{Facts, JobStatus, StepStatus};
use gonogo::run::{Job, JobKind, Outcome, State};

use crate::rig::Rig;

fn facts(job: &Job) -> (String, Option<String>, Option<String>) {
    match &job.status {
        JobStatus::Ended {
            outcome: Outcome::Succeeded { facts: Facts::Deployed { id, previous, version }, .. },
            ..
        } => (id.clone(), previous.clone(), version.clone()),
        other => panic!("not deployed: {other:#?}"),
    }
}

#[tokio::test]
async fn users_get_the_release_and_it_is_written_down() {
    let rig = Rig::new().await;
    let _crew = rig.crew("a");
    assert_eq!(rig.version().await, "1.9.4");
    let job = rig.request(JobKind::Deploy).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.starts_with("2.0.0 (6ba09a7c) is live"), "{summary}");
    assert_eq!(rig.version().await, "2.0.0");
    let (id, previous, version) = facts(&rig.ended(job).await);
    assert_eq!((previous.as_deref(), version.as_deref()), (Some("dpl_8OldXyz"), Some("2.0.0")));
    rig.world.read(|world| {
        assert_eq!(world.vercel.deployments.last().map(|last| last.id.clone()), Some(id));
        assert_eq!(world.releases.len(), 1);
        assert_eq!((world.deploys.len(), world.annotations.len()), (1, 1));
    });
}

#[tokio::test]
async fn a_job_that_is_killed_at_every_step_deploys_once() {
    let rig = Rig::new().await;
    let job = rig.request(JobKind::Deploy).await;
    for step in 0..6 {
        let crew = rig.crew(&format!("cockpit-{step}"));
        let began = |state: &State| {
            let job = &state.jobs[&job];
            let began = |at: &gonogo::run::Step| at.status != StepStatus::Waiting;
            job.is_over() || job.steps.get(step).is_some_and(began)
        };
        rig.until("the step", began).await;
        if step == 1 {
            rig.until_world("the build", |world| world.vercel.deployments.len() > 3).await;
        }
        crew.leave().await;
    }
    let _crew = rig.crew("last");
    rig.succeeds(job).await;
    let (_, previous, _) = facts(&rig.ended(job).await);
    assert_eq!(previous.as_deref(), Some("dpl_8OldXyz"));
    rig.world.read(|world| {
        assert_eq!(world.vercel.deployments.len(), 4, "three that were there, and one of ours");
        assert_eq!(world.deploys.len(), 1);
    });
}

#[tokio::test]
async fn a_build_whose_answer_is_lost_is_found_and_not_asked_for_again() {
    let rig = Rig::new().await;
    let job = rig.request(JobKind::Deploy).await;
    let crew = rig.crew("a");
    let looked = |state: &State| {
        let steps = &state.jobs[&job].steps;
        steps.first().is_some_and(|step| matches!(step.status, StepStatus::Running { .. }))
    };
    rig.until("the look", looked).await;
    crew.leave().await;
    // From here on everything that Vercel does is done, and every answer breaks off.
    rig.world.inject(Fault::Reset { vendor: Vendor::Vercel }, Some(chrono::TimeDelta::seconds(20)));
    let _crew = rig.crew("b");
    let ended = rig.ended(job).await;
    let asked = rig.world.read(|world| world.vercel.deployments.len()) - 3;
    assert!(asked <= 1, "asked {asked} times: {ended:#?}");
}

#[tokio::test]
async fn a_broken_build_fails_with_its_message_and_changes_nothing() {
    let rig = Rig::new().await;
    rig.world.inject(Fault::BrokenBuild, None);
    let _crew = rig.crew("a");
    let job = rig.request(JobKind::Deploy).await;
    let failure = rig.fails(job).await;
    assert!(failure.what.contains("npm run build"), "{failure}");
    assert!(failure.state.contains("dpl_8OldXyz still is"), "{failure}");
    assert_eq!(rig.version().await, "1.9.4");
}

#[tokio::test]
async fn a_project_that_was_rolled_back_is_promoted() {
    let rig = Rig::new().await;
    rig.world.change(|world, _| world.vercel.auto_assign = false);
    let _crew = rig.crew("a");
    let job = rig.request(JobKind::Deploy).await;
    rig.succeeds(job).await;
    assert_eq!(rig.version().await, "2.0.0");
    assert!(rig.world.read(|world| world.vercel.auto_assign), "new builds go live by themselves again");
}

#[tokio::test]
async fn domains_that_stay_behind_are_named() {
    let rig = Rig::new().await;
    rig.world.change(|world, _| world.vercel.auto_assign = false);
    rig.world.inject(Fault::StuckAliases, None);
    let _crew = rig.crew("a");
    let job = rig.request(JobKind::Deploy).await;
    let failure = rig.fails(job).await;
    assert!(failure.state.contains("app.logosvision.com still leads to dpl_8OldXyz"), "{failure}");
}

#[tokio::test]
async fn sentry_out_of_reach_is_said_and_takes_nothing_back() {
    let rig = Rig::new().await;
    rig.world.inject(Fault::Outage { vendor: Vendor::Sentry }, None);
    let _crew = rig.crew("a");
    let job = rig.request(JobKind::Deploy).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains("not recorded at Sentry"), "{summary}");
}
