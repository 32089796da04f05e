//! Brings the release live: at Vercel, or with Docker Compose.
//!
//! Guarantees that a job deploys once, however often it is taken up again (the deployment carries the job's mark, and is looked
//! for before one is asked for), that what was live before is remembered where a rollback finds it, and that the job succeeds
//! only when users get the release. What a rollback does is not known here.

mod compose;
mod record;
mod vercel;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub(super) use compose::{healthy, kept};
pub(super) use vercel::{find_ours, previous, stuck};

use super::stop::{self, Stop, go_on};
use super::{Desk, End, Kit, Worker};
use crate::run::job::Facts;
use crate::run::{Failure, JobId, State, WorkerId};
use crate::services::probe::Marker;

/// The steps, whatever the way.
const STEPS: [&str; 6] = [
    "see what is live",
    "build the release",
    "point production at it",
    "prove it from outside",
    "record the release at Sentry",
    "mark the moment in PostHog",
];
const LOOK: u32 = 0;
const BUILD: u32 = 1;
const POINT: u32 = 2;
const PROVE: u32 = 3;
const SENTRY: u32 = 4;
const POSTHOG: u32 = 5;

/// How often in a row the release must be seen from outside.
const LOOKS: u32 = 3;
/// How long users may still get the build before.
const PROOF: Duration = Duration::from_mins(3);

/// A release that users get.
#[derive(Debug)]
struct Deployed {
    /// The vendor's id of it.
    id: String,
    /// What was live before.
    previous: Option<String>,
    /// What it says of itself.
    marker: Marker,
    /// Where it can be looked at.
    page: Option<url::Url>,
}

/// Brings releases live.
#[derive(Debug)]
pub struct DeployWorker {
    kit: Kit,
}

impl DeployWorker {
    /// A worker that deploys the way the configuration says.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }

    async fn deploy(&self, desk: &Desk) -> Result<End, Stop> {
        let services = &self.kit.config().services;
        let deployed = if services.vercel.is_some() {
            desk.planned_names(STEPS).await?;
            go_on(desk, "nothing was deployed").await?;
            vercel::deploy(desk, &self.kit, &*self.kit.vercel()?).await?
        } else if services.compose.is_some() {
            let [look, _, _, rest @ ..] = STEPS;
            let [prove, sentry, posthog] = rest;
            desk.planned_names([
                look,
                "switch the image",
                "see the container healthy",
                prove,
                sentry,
                posthog,
            ])
            .await?;
            go_on(desk, "nothing was deployed").await?;
            compose::deploy(desk, &self.kit, &*self.kit.compose()?).await?
        } else {
            return Err(Stop::Failed(Failure {
                what: "no way to deploy is configured".into(),
                state: "nothing was deployed".into(),
                next: "add [services.vercel] or [services.compose] to gonogo.toml".into(),
            }));
        };
        // It is live: what is not recorded from here on is said, and is no reason to call the deployment failed.
        let mut missing = Vec::new();
        missing.extend(record::at_sentry(desk, &self.kit, &deployed).await?);
        missing.extend(record::at_posthog(desk, &self.kit, &deployed).await?);
        let name = super::outside::name(&deployed.marker);
        let mut summary = format!("{name} is live ({})", deployed.id);
        for missing in missing {
            summary.push_str("; ");
            summary.push_str(&missing);
        }
        let facts = Facts::Deployed {
            id: deployed.id,
            previous: deployed.previous,
            version: deployed.marker.version,
        };
        Ok(End::Succeeded { summary, facts })
    }
}

impl Worker for DeployWorker {
    fn id(&self) -> WorkerId {
        WorkerId::Deploy
    }

    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(async move { stop::end(self.deploy(desk).await) })
    }
}

/// The mark of a job in the outside world: the same for every attempt at it, and for no other job of any run.
pub(super) fn mark(state: &State, job: JobId) -> String {
    let opened = state.run.as_ref().map_or(0, |run| run.opened.timestamp_millis());
    format!("{opened}-{}", job.0)
}

/// The version that the plan brings.
fn version(desk: &Desk) -> Option<String> {
    desk.plan().map(|plan| plan.version.clone()).filter(|version| !version.is_empty())
}
