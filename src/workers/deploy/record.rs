//! A deployment written down at Sentry and in PostHog. Not having a service is said; that one does not answer is said louder,
//! and takes nothing back.

use super::{Deployed, POSTHOG, SENTRY, mark};
use crate::run::job::StepStatus;
use crate::run::{Failure, StepOutcome};
use crate::services::ServiceError;
use crate::services::sentry::{Made, NewDeploy, NewRelease};
use crate::workers::stop::failed;
use crate::workers::{Desk, Kit};

/// Reports the step; answers with what the summary should say, if something is missing.
async fn noted(
    desk: &Desk,
    step: u32,
    result: Result<String, ServiceError>,
    what: &str,
) -> Result<Option<String>, Failure> {
    let (outcome, missing) = match result {
        Ok(note) => (StepOutcome::Done { note: Some(note) }, None),
        Err(error) => {
            (StepOutcome::Failed { failure: failed(&error) }, Some(format!("{what}: {}", error.fault())))
        }
    };
    desk.step_ended(step, outcome).await?;
    Ok(missing)
}

async fn skipped(desk: &Desk, step: u32, why: &str) -> Result<Option<String>, Failure> {
    desk.step_ended(step, StepOutcome::Skipped { why: why.into() }).await?;
    Ok(None)
}

pub(super) async fn at_sentry(
    desk: &Desk,
    kit: &Kit,
    deployed: &Deployed,
) -> Result<Option<String>, Failure> {
    desk.step_started(SENTRY).await?;
    let Some(config) = &kit.config().services.sentry else {
        return skipped(desk, SENTRY, "[services.sentry] is not in gonogo.toml").await;
    };
    let Some(version) = kit.release() else {
        return skipped(desk, SENTRY, "no release is named under [services.sentry]").await;
    };
    let sentry = match kit.sentry() {
        Ok(sentry) => sentry,
        Err(missing) => return skipped(desk, SENTRY, &missing.what).await,
    };
    let (job, now) = (desk.job(), desk.clock().now());
    let write = async || {
        let release = NewRelease {
            version: version.clone(),
            commit: deployed.marker.commit.clone(),
            url: deployed.page.as_ref().map(ToString::to_string),
            released: Some(now),
        };
        sentry.create_release(&release).await?;
        let deploy = NewDeploy {
            environment: config.environment.clone(),
            name: format!("gonogo {}", mark(&desk.state(), job.id)),
            url: kit.config().app.url.as_ref().map(ToString::to_string),
            started: Some(job.requested),
            finished: Some(now),
        };
        let made = sentry.record_deploy(&version, &deploy).await?.value;
        let word = if matches!(made, Made::New(_)) { "recorded" } else { "was recorded already" };
        Ok(format!("{version}: deploy {} {word}", made.into_inner().id))
    };
    noted(desk, SENTRY, write().await, "not recorded at Sentry").await
}

pub(super) async fn at_posthog(
    desk: &Desk,
    kit: &Kit,
    deployed: &Deployed,
) -> Result<Option<String>, Failure> {
    // Each call makes another mark: an attempt that made one leaves no second to this one.
    let made = desk.job().steps.get(POSTHOG as usize).is_some_and(|step| {
        matches!(step.status, StepStatus::Ended { outcome: StepOutcome::Done { .. }, .. })
    });
    desk.step_started(POSTHOG).await?;
    if made {
        return skipped(desk, POSTHOG, "an earlier attempt marked it").await;
    }
    let posthog = match kit.posthog() {
        Ok(posthog) => posthog,
        Err(missing) => return skipped(desk, POSTHOG, &missing.what).await,
    };
    let plan = desk.plan();
    let name = plan.as_ref().map_or("a release", |plan| plan.name.as_str());
    let content =
        format!("{name} {} went live ({})", super::super::outside::name(&deployed.marker), deployed.id);
    let marked = posthog.annotate(&content, desk.clock().now()).await;
    noted(desk, POSTHOG, marked.map(|id| format!("annotation {}", id.value)), "not marked in PostHog").await
}
