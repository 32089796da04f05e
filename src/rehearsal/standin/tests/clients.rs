//! gonogo's own clients against the stand-ins, at a rehearsal's pace: what a worker will meet, end to end.

use secrecy::SecretString;
use serde_json::{Map, json};

use super::*;
use crate::services::posthog::{self, Probe as FlagProbe, Switch};
use crate::services::{pagerduty, probe, pulse, sentry, slack, vercel};

struct Day {
    world: Arc<World>,
    standins: Standins,
    clock: Clock,
    keys: Credentials,
}

impl Day {
    async fn new(scenario: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::paced(DateTime::from_timestamp(1_790_000_000, 0).unwrap(), 240.0);
        let world = Arc::new(World::in_memory(clock.clone(), Scenario::shipped(scenario).unwrap(), 7, 1_500));
        let standins = Standins::start(Arc::clone(&world)).await.unwrap();
        let keys = world.credentials();
        Self { world, standins, clock, keys }
    }

    fn sentry(&self) -> sentry::Sentry {
        let config = sentry::Config {
            api: url(&self.standins.urls.sentry_api),
            dsn: Some(self.standins.urls.sentry_dsn.as_str().into()),
            org: NAMES.sentry_organisation.into(),
            project: NAMES.sentry_project.into(),
            environment: Some("production".into()),
            token: secret(&self.keys.sentry),
        };
        sentry::Sentry::new(config, self.clock.clone()).unwrap()
    }

    fn posthog(&self) -> posthog::PostHog {
        let config = posthog::Config {
            api: url(&self.standins.urls.posthog_api),
            ingest: url(&self.standins.urls.posthog_ingest),
            project: NAMES.posthog_project.to_string(),
            personal_key: secret(&self.keys.posthog),
            project_key: Some(secret(&self.keys.posthog_project)),
        };
        posthog::PostHog::new(&config, self.clock.clone()).unwrap()
    }

    fn vercel(&self) -> vercel::Vercel {
        let config = vercel::Config {
            api: url(&self.standins.urls.vercel),
            token: secret(&self.keys.vercel),
            team: Some(NAMES.vercel_team.into()),
            project: NAMES.vercel_project.into(),
        };
        vercel::Vercel::new(&config, self.clock.clone()).unwrap()
    }

    fn health(&self) -> probe::Probe {
        probe::Probe::new(url(&self.standins.urls.app), Duration::from_secs(5), self.clock.clone()).unwrap()
    }

    async fn version(&self) -> Option<String> {
        match self.health().health("/health").await.state {
            probe::HealthState::Healthy { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn secret(text: &str) -> SecretString {
    text.into()
}

const MINUTES: Duration = Duration::from_mins(5);

#[tokio::test]
async fn deploy_prove_see_it_break_and_take_it_back() {
    let day = Day::new("error-spike").await;
    let (sentry, posthog, vercel) = (day.sentry(), day.posthog(), day.vercel());
    assert_eq!(day.version().await.as_deref(), Some("1.9.4"));
    assert_eq!(day.health().can_fail("/health").await, probe::CanFail::Yes);
    let candidates = vercel.rollback_candidates().await.unwrap().value;
    assert!(!candidates.is_empty());
    let before = vercel.project().await.unwrap().value;
    assert_eq!(before.auto_assign_custom_domains, Some(true));

    let new = vercel.deployment("dpl_9NewAbc").await.unwrap().value;
    let built = vercel.redeploy(&new).await.unwrap().value;
    vercel.await_ready(&built.id, MINUTES).await.unwrap();
    day.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(day.version().await.as_deref(), Some("2.0.0"));
    posthog.prove("7f3a", MINUTES).await.unwrap();
    let check = sentry::CheckEvent { mark: "7f3a".into(), environment: "production".into(), release: None };
    sentry.prove(&check, MINUTES).await.unwrap();

    day.world.phase_started(5);
    day.clock.jump_to(day.clock.now() + TimeDelta::minutes(20));
    let window = sentry::Window::Last(Duration::from_mins(5));
    let errors = sentry.errors(window, None).await.unwrap().value.events.unwrap();
    let loads = sentry.page_loads(window, None).await.unwrap().value;
    assert!(errors as f64 / loads.count.unwrap() as f64 > 0.05, "{errors} of {loads:?}");
    assert!(loads.lcp_p95_ms.unwrap() > 1_000.0);
    let release = sentry::NewSince::Release("logos-vision-crm@2.0.0".into());
    assert_eq!(sentry.new_issues(&release).await.unwrap().value.issues.len(), 1);
    let reading = posthog.reading(MINUTES).await.unwrap().value;
    assert!(reading.exceptions.unwrap() > 5 && reading.bad_sessions.unwrap() > 0, "{reading:?}");
    assert!(reading.lcp_p95_ms.unwrap() > 1_000.0 && reading.load_p95_ms.is_some());
    assert!(day.clock.now() - reading.newest_page_view.unwrap() < TimeDelta::minutes(2));

    let flag = posthog.find_flag("contacts_redesign").await.unwrap().value;
    let off = posthog.switch(&flag.id, Switch::Off).await.unwrap().value;
    let person_properties = Map::from_iter([("email".to_owned(), json!("qa@logosvision.com"))]);
    let probe = FlagProbe { distinct_id: "gonogo-probe".into(), person_properties };
    posthog.await_flag(&off, &probe, Switch::Off, MINUTES).await.unwrap();
    let job = vercel.roll_back("dpl_8OldXyz", "error rate", MINUTES).await.unwrap().value;
    assert_eq!(job.to_deployment_id.as_deref(), Some("dpl_8OldXyz"));
    assert_eq!(day.version().await.as_deref(), Some("1.9.4"));
    let since = day.clock.now() + TimeDelta::minutes(2);
    day.clock.jump_to(since + TimeDelta::minutes(10));
    let exposure = posthog.exposure("contacts_redesign", since).await.unwrap().value;
    assert!(exposure.on == Some(0) && exposure.page_views.unwrap() > 50, "{exposure:?}");
    let errors = sentry.errors(window, None).await.unwrap().value.events.unwrap();
    assert!(errors <= 1, "{errors}");
}

#[tokio::test]
async fn a_week_of_the_rollout_can_be_compared_arm_by_arm() {
    let day = Day::new("smooth").await;
    day.vercel().promote("dpl_9NewAbc", MINUTES).await.unwrap();
    let posthog = day.posthog();
    let flag = posthog.find_flag("contacts_redesign").await.unwrap().value;
    posthog.set_shares(&flag, &[(1, 50.0)].into()).await.unwrap();
    day.clock.jump_to(day.clock.now() + TimeDelta::days(8));
    let arms = posthog.arms("contacts_redesign", Duration::from_hours(24 * 7)).await.unwrap().value;
    let arm = |name: &str| {
        arms.iter().find(|arm| arm.variant == name).unwrap_or_else(|| panic!("{arms:?}")).clone()
    };
    let (control, treatment) = (arm("false"), arm("true"));
    assert!(treatment.viewed_per_user.unwrap() > control.viewed_per_user.unwrap() * 1.3, "{arms:?}");
    assert_eq!(control.actions_per_user, Some(0.0));
    assert!(treatment.actions_per_user.unwrap() > 1.0);
    assert!(treatment.error_rate.unwrap() < 0.01);
}

#[tokio::test]
async fn the_import_reads_every_profile_as_a_profile() {
    let day = Day::new("smooth").await;
    let config = pulse::Config {
        api: url(&day.standins.urls.pulse),
        token: secret(&day.keys.pulse),
        timeout: Duration::from_secs(10),
        attempts: 3,
    };
    let pulse = pulse::Pulse::new(&config, &day.clock).unwrap();
    assert_eq!(pulse.authorised().await.unwrap().value, Some(1_500));
    let mut read = 0;
    let mut query = pulse::PageQuery { limit: 1_000, ..pulse::PageQuery::default() };
    loop {
        let page = pulse.profiles(&query).await.unwrap().value;
        assert!(page.profiles.iter().all(Result::is_ok));
        read += page.profiles.len();
        query.offset += page.profiles.len() as u64;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(read, 1_500);
}

#[tokio::test]
async fn messages_and_alerts_arrive() {
    let day = Day::new("smooth").await;
    let config = slack::Config { api: url(&day.standins.urls.slack), token: secret(&day.keys.slack) };
    let slack = slack::Slack::new(&config, day.clock.clone()).unwrap();
    slack.identity().await.unwrap();
    let posted = slack
        .post("#deployment", &slack::Message { text: "2.0.0 is live".into(), ..Default::default() })
        .await;
    let answer = slack::Message { text: "and well".into(), ..Default::default() };
    slack.update(&posted.unwrap().value, &answer).await.unwrap();
    let config = pagerduty::Config {
        api: url(&day.standins.urls.pagerduty),
        routing_key: secret(&day.keys.pagerduty),
    };
    let pager = pagerduty::PagerDuty::new(&config, day.clock.clone()).unwrap();
    pager.change("Deployed", day.clock.now(), &json!({"run": 7})).await.unwrap();
    assert_eq!(day.world.read(|state| (state.slack.len(), state.pagerduty.len())), (2, 1));
}
