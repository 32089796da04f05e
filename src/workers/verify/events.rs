//! Proofs that others hear us: an event sent to Sentry or PostHog is read back, Pulse takes the token.
//!
//! It guarantees that "accepted" is never taken for "arrived", and that what the page itself may send is looked at as well:
//! a content-security policy that leaves the monitoring hosts out makes them silent in every browser.

use std::time::Duration;

use url::Url;
use uuid::Uuid;

use super::{Case, Proof, Proven, failure, source};
use crate::run::Failure;
use crate::run::command::Report;
use crate::services::sentry::{CheckEvent, Dsn};
use crate::workers::kit;

/// How long an event may take until it can be read, on the run's clock.
const SENTRY_PATIENCE: Duration = Duration::from_mins(2);
/// PostHog takes longer.
const POSTHOG_PATIENCE: Duration = Duration::from_mins(3);

fn mark() -> String {
    Uuid::new_v4().simple().to_string()[..12].to_owned()
}

pub(super) async fn sentry(case: &Case<'_>) -> Proven {
    let config = case.kit.config().services.sentry.as_ref();
    let sentry = case.kit.sentry()?;
    let environment = config.map(|config| config.environment.clone()).unwrap_or_default();
    let check = CheckEvent { mark: mark(), environment, release: case.kit.release() };
    let sent = sentry.send_check(&check).await.map_err(|error| kit::failure(&error))?;
    if let Some(limited) = sent.value.limited {
        let what = format!(
            "Sentry takes events, and will refuse errors for {} s: silence, not health",
            limited.as_secs()
        );
        return Err(failure(what, "raise the quota or the limit of the key, then ask again"));
    }
    let seen = sentry
        .see_event(&sent.value.event_id, SENTRY_PATIENCE)
        .await
        .map_err(|error| kit::failure(&error))?;
    let dsn = config.and_then(|config| case.kit.secret(&config.dsn_env).ok());
    let ingest = dsn.and_then(|dsn| Dsn::parse(&dsn).ok()).map(|dsn| dsn.base().clone());
    let page = browsers_may(case, ingest.as_slice()).await?;
    let (id, waited) = (&seen.value.event_id, seen.value.waited.as_secs());
    Ok(Proof::that(format!("event {id} was readable after {waited} s ({}); {page}", source(&seen.receipt))))
}

pub(super) async fn posthog(case: &Case<'_>) -> Proven {
    let posthog = case.kit.posthog()?;
    let seen = posthog.prove(&mark(), POSTHOG_PATIENCE).await.map_err(|error| kit::failure(&error))?;
    let ingest = case.kit.config().services.posthog.as_ref().map(|config| config.ingest.clone());
    let page = browsers_may(case, ingest.as_slice()).await?;
    let (id, waited) = (seen.value.uuid, seen.value.waited.as_secs());
    Ok(Proof::that(format!("event {id} was readable after {waited} s ({}); {page}", source(&seen.receipt))))
}

/// Whether the page's policy lets its scripts reach these hosts.
async fn browsers_may(case: &Case<'_>, hosts: &[Url]) -> Result<String, Failure> {
    // Without an address there is no page to look at, which is the plan's own choice.
    if case.kit.config().app.url.is_none() {
        return Ok("no application is named, so its policy was not looked at".into());
    }
    let page = match case.kit.probe()?.page("/").await {
        Ok(page) => page,
        Err(error) => return Ok(format!("the application's policy could not be read: {}", error.fault())),
    };
    match page.value.forbidden(hosts).first() {
        Some(host) => Err(failure(
            format!(
                "the event arrived, but the application's content-security policy keeps browsers from {} ({})",
                host.host_str().unwrap_or_default(),
                source(&page.receipt)
            ),
            "add the host to connect-src, and deploy; until then silence is not health",
        )),
        None => Ok("the application's policy lets browsers send, too".into()),
    }
}

pub(super) async fn pulse(case: &Case<'_>) -> Proven {
    let pulse = case.kit.pulse()?;
    let answer = match pulse.authorised().await {
        Ok(answer) => answer,
        Err(error) => {
            if error.is_its_own() {
                let failed = Report::PulseFailed { job: case.desk.job().id, what: error.fault().to_string() };
                case.desk.report(failed).await?;
            }
            return Err(kit::failure(&error));
        }
    };
    let left = (*pulse.profile_budget().borrow())
        .map(|budget| format!(", {} of {} requests left this minute", budget.remaining, budget.limit))
        .unwrap_or_default();
    let from = source(&answer.receipt);
    match answer.value {
        Some(total) => Ok(Proof::of(
            format!("Pulse takes the token and has {total} profiles{left} ({from})"),
            total.to_string(),
        )),
        None => Ok(Proof::that(format!("Pulse takes the token{left} ({from})"))),
    }
}
