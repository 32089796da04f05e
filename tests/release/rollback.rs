//! Going back: the flag, the deployment, the database, and drills.

use gonogo::plan::RungKind;
use gonogo::rehearsal::faults::Fault;
use gonogo::run::{JobKind, Mode, State};
use gonogo::services::posthog::{Evaluation, Probe};

use crate::rig::Rig;

const FLAG: &str = "contacts_redesign";

async fn live(rig: &Rig) {
    let job = rig.request(JobKind::Deploy).await;
    rig.succeeds(job).await;
}

fn flag_history(rig: &Rig) -> usize {
    rig.world.read(|world| world.flags.iter().find(|flag| flag.key == FLAG).unwrap().history.len())
}

fn flag_is_on(rig: &Rig) -> bool {
    rig.world.read(|world| world.flags.iter().find(|flag| flag.key == FLAG).unwrap().now().active)
}

#[tokio::test]
async fn the_flag_off_brings_the_error_rate_back() {
    let rig = Rig::new().await;
    let (_crew, _gauge) = (rig.crew("a"), rig.gauge());
    live(&rig).await;
    rig.spike().await;
    let job = rig.roll_back(1, None).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains("is off for clients, proven after"), "{summary}");
    assert!(summary.contains("error rate") && summary.contains("(OK)"), "{summary}");
    let state = rig.store.now();
    assert_eq!(state.share, Some(0));
    assert!(state.taken_back.contains(&1) && state.marks.recovered.is_some());
    let probe = Probe { distinct_id: "a".into(), person_properties: serde_json::Map::new() };
    let told = rig.kit.posthog().unwrap().evaluate(FLAG, &probe).await.unwrap().value;
    assert!(matches!(told, Evaluation::Off { .. }), "{told:?}");
}

#[tokio::test]
async fn a_gauge_that_falls_silent_is_not_well_and_the_next_rung_is_named() {
    let rig = Rig::new().await;
    let (_crew, _gauge) = (rig.crew("a"), rig.gauge());
    live(&rig).await;
    rig.spike().await;
    rig.world.inject(Fault::SentrySilent, None);
    let job = rig.roll_back(1, None).await;
    let failure = rig.fails(job).await;
    assert!(failure.what.contains("it did not help"), "{failure}");
    assert!(failure.next.starts_with("take rung 2"), "{failure}");
    let state = rig.store.now();
    assert!(state.taken_back.contains(&1), "it is off, whatever came of it");
    assert_eq!((state.share, state.marks.recovered), (Some(0), None));
}

#[tokio::test]
async fn the_deployment_goes_back_and_new_builds_wait() {
    let rig = Rig::new().await;
    let (_crew, _gauge) = (rig.crew("a"), rig.gauge());
    live(&rig).await;
    rig.spike().await;
    let job = rig.roll_back(2, None).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains("users get 1.9.4 (0b1c2d3e) again (dpl_8OldXyz)"), "{summary}");
    assert!(summary.contains("do not go live by themselves"), "{summary}");
    assert_eq!(rig.version().await, "1.9.4");
    assert!(!rig.world.read(|world| world.vercel.auto_assign));
}

#[tokio::test]
async fn a_rollback_that_is_killed_in_its_middle_moves_production_once() {
    let rig = Rig::new().await;
    let _gauge = rig.gauge();
    let crew = rig.crew("a");
    live(&rig).await;
    let job = rig.roll_back(2, None).await;
    rig.until_world("the request", |world| !world.vercel.jobs.is_empty()).await;
    crew.leave().await;
    let crew = rig.crew("b");
    rig.until("the proof", |state: &State| state.jobs[&job].steps_done().0 >= 2).await;
    crew.leave().await;
    let _crew = rig.crew("c");
    rig.succeeds(job).await;
    assert_eq!(rig.world.read(|world| world.vercel.jobs.len()), 1);
    assert_eq!(rig.version().await, "1.9.4");
}

#[tokio::test]
async fn a_flag_off_that_is_killed_in_its_middle_switches_once() {
    let rig = Rig::new().await;
    let _gauge = rig.gauge();
    let crew = rig.crew("a");
    let before = flag_history(&rig);
    let job = rig.roll_back(1, None).await;
    rig.until_world("the switch", |world| {
        !world.flags.iter().find(|flag| flag.key == FLAG).unwrap().now().active
    })
    .await;
    crew.leave().await;
    let _crew = rig.crew("b");
    rig.succeeds(job).await;
    assert_eq!(flag_history(&rig), before + 1);
}

#[tokio::test]
async fn a_deployment_that_is_taken_back_while_it_builds_leaves_the_old_version() {
    let rig = Rig::new().await;
    let (_crew, _gauge) = (rig.crew("a"), rig.gauge());
    let deploy = rig.request(JobKind::Deploy).await;
    rig.until_world("the build", |world| world.vercel.deployments.len() > 3).await;
    let job = rig.roll_back(2, None).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains("dpl_8OldXyz"), "not one older still: {summary}");
    rig.ended(deploy).await;
    rig.clock.sleep(std::time::Duration::from_mins(4)).await;
    assert_eq!(rig.version().await, "1.9.4", "the build that was under way did not take the domains");
}

#[tokio::test]
async fn without_readings_the_effect_is_proven_and_the_rest_is_said_to_be_unknown() {
    let rig = Rig::new().await;
    let _crew = rig.crew("a");
    let job = rig.roll_back(1, None).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains("not proven: error rate: no reading since"), "{summary}");
}

#[tokio::test]
async fn the_database_goes_back_newest_first_after_a_backup() {
    let rig = Rig::new().await;
    let (_crew, _gauge) = (rig.crew("a"), rig.gauge());
    live(&rig).await;
    let job = rig.roll_back(2, None).await;
    rig.succeeds(job).await;
    let job = rig.roll_back(3, Some("postgres")).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains("003, 002, 001 are run down"), "{summary}");
    assert_eq!(rig.downs.asked().await, ["loss", "backup", "down 3", "down 2", "down 1"]);
}

#[tokio::test]
async fn a_drill_switches_for_real_tells_its_time_and_switches_back() {
    let rig = Rig::new().await;
    let _crew = rig.crew("a");
    let before = flag_history(&rig);
    let job = rig.request(JobKind::Drill { rung: 1, kind: RungKind::Flag }).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains(" s, ") && summary.contains("is on again"), "{summary}");
    assert_eq!(flag_history(&rig), before + 2);
    assert!(flag_is_on(&rig));
    let job = rig.request(JobKind::Drill { rung: 2, kind: RungKind::Deployment }).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains("users get 1.9.3"), "{summary}");
    assert!(summary.contains("1.9.4 (0b1c2d3e) is live again"), "{summary}");
    assert_eq!(rig.version().await, "1.9.4");
    assert!(rig.world.read(|world| world.vercel.auto_assign));
    let job = rig.request(JobKind::Drill { rung: 3, kind: RungKind::Database }).await;
    assert!(rig.fails(job).await.what.contains("not drilled"));
}

#[tokio::test]
async fn a_drill_that_is_killed_while_the_flag_is_off_switches_it_on_again() {
    let rig = Rig::new().await;
    let crew = rig.crew("a");
    let job = rig.request(JobKind::Drill { rung: 1, kind: RungKind::Flag }).await;
    rig.until_world("the switch", |world| {
        !world.flags.iter().find(|flag| flag.key == FLAG).unwrap().now().active
    })
    .await;
    crew.leave().await;
    let _crew = rig.crew("b");
    rig.succeeds(job).await;
    assert!(flag_is_on(&rig));
}

#[tokio::test]
async fn on_the_day_itself_staging_is_drilled_and_production_stays_as_it_is() {
    let (rig, staging) = (Rig::with(Mode::Live, "").await, Rig::new().await);
    let _crew = rig.crew_drilling_on("a", &staging);
    let deploy = rig.request(JobKind::Deploy).await;
    rig.succeeds(deploy).await;
    let (flags, version) = (flag_history(&rig), rig.version().await);
    let switches = flag_history(&staging);
    let job = rig.request(JobKind::Drill { rung: 1, kind: RungKind::Flag }).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.starts_with("on staging, ") && summary.contains("is on again"), "{summary}");
    assert_eq!((flag_history(&staging), flag_history(&rig)), (switches + 2, flags));
    // The deployment that this run made is production's, and is not looked for at staging.
    let job = rig.request(JobKind::Drill { rung: 2, kind: RungKind::Deployment }).await;
    let summary = rig.succeeds(job).await;
    assert!(summary.contains("users get 1.9.3") && summary.contains("is live again"), "{summary}");
    assert_eq!((staging.version().await.as_str(), rig.version().await), ("1.9.4", version));
    let job = rig.request(JobKind::Drill { rung: 3, kind: RungKind::Database }).await;
    assert!(rig.fails(job).await.what.contains("not drilled"));
}

#[tokio::test]
async fn a_staging_whose_project_is_productions_is_not_drilled_on() {
    let rig = Rig::with(Mode::Live, "").await;
    let _crew = rig.crew_drilling_on("a", &rig);
    let version = rig.version().await;
    let job = rig.request(JobKind::Drill { rung: 2, kind: RungKind::Deployment }).await;
    let failure = rig.fails(job).await;
    assert!(failure.what.contains("the project of staging is production's"), "{failure}");
    assert_eq!(rig.version().await, version);
    assert!(rig.world.read(|world| world.vercel.auto_assign), "no rollback was asked for");
}

#[tokio::test]
async fn a_drill_switches_nothing_on_the_day_itself() {
    let rig = Rig::with(Mode::Live, "").await;
    let _crew = rig.crew("a");
    let before = flag_history(&rig);
    let job = rig.request(JobKind::Drill { rung: 1, kind: RungKind::Flag }).await;
    let failure = rig.fails(job).await;
    assert!(failure.next.contains("staging"), "{failure}");
    assert_eq!(flag_history(&rig), before);
}
