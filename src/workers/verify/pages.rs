//! Proofs at the application itself: a page loads, health is well and able to fail, the version that users get.

use std::time::Duration;

use super::{Case, Proof, Proven, failure, source};
use crate::run::job::Facts;
use crate::run::{JobKind, Outcome};
use crate::services::probe::{CanFail, HealthState};
use crate::services::retry::Poll;
use crate::workers::kit;

/// How long caches may serve the release before, on the run's clock.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) async fn http(case: &Case<'_>, path: &str, contains: Option<&str>) -> Proven {
    let probe = case.kit.probe()?;
    let Some(text) = contains else {
        let page = probe.page(path).await.map_err(|error| kit::failure(&error))?;
        let title = page.value.title.map(|title| format!(", {title:?}")).unwrap_or_default();
        let read =
            format!("{} answered {}{title}, {} bytes", page.value.url, page.value.status, page.value.bytes);
        return Ok(Proof::that(format!("{read} ({})", source(&page.receipt))));
    };
    let body = probe.body(path).await.map_err(|error| kit::failure(&error))?;
    if !body.value.contains(text) {
        let what = format!("{path} answered, and does not hold {text:?} ({})", source(&body.receipt));
        return Err(failure(what, "open it in a browser, and look at the routes of the deployment"));
    }
    Ok(Proof::that(format!("{path} answered and holds {text:?} ({})", source(&body.receipt))))
}

pub(super) async fn health(case: &Case<'_>) -> Proven {
    let probe = case.kit.probe()?;
    let path = &case.kit.config().app.health;
    let health = probe.health(path).await;
    let at = format!("GET {path} at {}", health.at.format("%H:%M:%SZ"));
    let version = match health.state {
        HealthState::Healthy { version, .. } => version.map(|version| format!(", version {version}")),
        HealthState::Unhealthy { status, why } => {
            let what = format!("the application is not well: {why} (status {status}, {at})");
            return Err(failure(what, "look at the application's log; if users are hurt, take it back"));
        }
        HealthState::CatchAll => return Err(cannot_fail(path, &at)),
        HealthState::Unreachable(why) => {
            return Err(failure(
                format!("no answer: {why} ({at})"),
                "look whether the application runs at all",
            ));
        }
    };
    if let Some(cache) = health.cached {
        let what = format!("a cache answered instead of the application ({cache}, {at})");
        return Err(failure(what, format!("send Cache-Control: no-store with {path}")));
    }
    match probe.can_fail(path).await {
        CanFail::Yes => {}
        CanFail::No => return Err(cannot_fail(path, &at)),
        CanFail::Unknown(why) => {
            let what =
                format!("{path} is well, but whether it could be otherwise was not found out: {why} ({at})");
            return Err(failure(what, "ask again"));
        }
    }
    let version = version.unwrap_or_default();
    let millis = health.latency.as_millis();
    Ok(Proof::that(format!(
        "well{version}, in {millis} ms; a path that cannot exist is answered otherwise ({at})"
    )))
}

fn cannot_fail(path: &str, at: &str) -> crate::run::Failure {
    let what = format!(
        "{path} answers as every path does, so the health check cannot fail and proves nothing ({at})"
    );
    failure(what, format!("let the application answer {path} itself, with data and not with its index page"))
}

/// What the live release says of itself.
struct Live {
    version: Option<String>,
    other: String,
    at: String,
}

pub(super) async fn version(case: &Case<'_>) -> Proven {
    let wanted = wanted(case)?;
    let mut poll = Poll::new(case.clock(), Duration::from_secs(2), Duration::from_secs(15), PATIENCE);
    loop {
        let live = live(case).await?;
        if live.version.as_deref() == Some(&*wanted) {
            let evidence = format!("users get {wanted} ({})", live.at);
            return Ok(Proof::of(evidence, wanted));
        }
        if poll.again().await {
            continue;
        }
        return Err(match live.version {
            Some(version) => failure(
                format!("users get {version} and not {wanted} ({})", live.at),
                "look which deployment has the production domain, and whether a cache holds the old one",
            ),
            None => failure(
                format!("the application does not say its version, only {} ({})", live.other, live.at),
                "serve /version.json with {\"version\": …}, or name a path that tells it under [app]",
            ),
        });
    }
}

/// The plan's version, or that of the last deployment.
fn wanted(case: &Case<'_>) -> Result<String, crate::run::Failure> {
    if !case.plan.version.is_empty() {
        return Ok(case.plan.version.clone());
    }
    let state = case.desk.state();
    let deployed =
        state.last_job(|kind| matches!(kind, JobKind::Deploy)).and_then(|job| match job.outcome() {
            Some(Outcome::Succeeded { facts: Facts::Deployed { version, .. }, .. }) => version.clone(),
            _ => None,
        });
    deployed.ok_or_else(|| {
        failure(
            "the plan names no version, and none was deployed",
            "set version under [deployment] in gonogo.toml",
        )
    })
}

/// The path of gonogo.toml goes first; the usual places of a marker second.
async fn live(case: &Case<'_>) -> Result<Live, crate::run::Failure> {
    let probe = case.kit.probe()?;
    let path = &case.kit.config().app.version;
    let health = probe.health(path).await;
    if let HealthState::Healthy { version: Some(version), .. } = health.state {
        let at = format!("GET {path} at {}", health.at.format("%H:%M:%SZ"));
        return Ok(Live { version: Some(version), other: String::new(), at });
    }
    let marker = probe.marker().await.map_err(|error| kit::failure(&error))?;
    let other = match (&marker.value.commit, marker.value.assets.first()) {
        (Some(commit), _) => format!("its commit {commit}"),
        (None, Some(asset)) => format!("its script {asset}"),
        (None, None) => "nothing".into(),
    };
    Ok(Live { version: marker.value.version, other, at: source(&marker.receipt) })
}
