//! The stand-ins: the vendors as they answer on their sockets, one listener for each.
//!
//! It guarantees that a client which works here has met the vendors' statuses, headers, delays and quirks. A stand-in lives
//! only at the other end of its socket and has no door of its own: what it should do is told to the
//! [`World`]. Dropping [`Standins`] stops them all.

mod app;
mod pagerduty;
mod posthog;
mod pulse;
mod sentry;
mod site;
mod slack;
mod statuspage;
#[cfg(test)]
mod tests;
mod vercel;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::site::{Site, gate};
use super::faults::Vendor;
use super::world::World;

/// Where the stand-ins listen. None ends in a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// Pulse's base address.
    pub pulse: String,
    /// Sentry's API; paths begin with `/api/0/`.
    pub sentry_api: String,
    /// The whole DSN, key included: treat it as a secret in logs.
    pub sentry_dsn: String,
    /// `PostHog`'s private API.
    pub posthog_api: String,
    /// `PostHog`'s ingestion and flags.
    pub posthog_ingest: String,
    /// Vercel's API.
    pub vercel: String,
    /// Slack's Web API, `…/api`.
    pub slack: String,
    /// The whole address of the incoming webhook, which is a secret.
    pub slack_webhook: String,
    /// Statuspage's API, `…/v1`.
    pub statuspage: String,
    /// `PagerDuty`'s events, `…/v2`.
    pub pagerduty: String,
    /// The application.
    pub app: String,
}

/// What goes with the addresses: the names by which the vendors know things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// Sentry's organisation.
    pub sentry_organisation: &'static str,
    /// Sentry's project.
    pub sentry_project: &'static str,
    /// `PostHog`'s project number.
    pub posthog_project: u64,
    /// Vercel's team.
    pub vercel_team: &'static str,
    /// Vercel's project.
    pub vercel_project: &'static str,
    /// The page at Statuspage.
    pub statuspage_page: &'static str,
    /// Slack's channels: general, deployment, incidents.
    pub slack_channels: [(&'static str, &'static str); 3],
}

/// The names that these stand-ins use.
pub const NAMES: Names = Names {
    sentry_organisation: sentry::ORGANISATION,
    sentry_project: sentry::PROJECT,
    posthog_project: posthog::PROJECT,
    vercel_team: vercel::TEAM,
    vercel_project: vercel::PROJECT,
    statuspage_page: statuspage::PAGE,
    slack_channels: slack::CHANNELS,
};

/// Why the stand-ins do not run.
#[derive(Debug, thiserror::Error)]
pub enum StandinError {
    /// No socket on the loopback.
    #[error("a stand-in for {vendor:?} found no free port on 127.0.0.1: {source}")]
    Bind {
        /// Whose.
        vendor: Vendor,
        /// Why.
        source: std::io::Error,
    },
}

/// Running stand-ins.
#[derive(Debug)]
pub struct Standins {
    /// Where they listen.
    pub urls: Urls,
    stop: CancellationToken,
}

impl Standins {
    /// Binds a port for each on 127.0.0.1 and answers from `world`, in whose clock's time all of them live. Needs a
    /// running tokio.
    pub async fn start(world: Arc<World>) -> Result<Self, StandinError> {
        let stop = CancellationToken::new();
        let begin =
            async |vendor, router: fn(Site) -> Router| serve(&world, vendor, router, &[], &stop).await;
        let ingest = begin(Vendor::Sentry, sentry::ingest_router).await?;
        let posthog_ingest = begin(Vendor::Posthog, posthog::ingest_router).await?;
        let monitors = [ingest.clone(), posthog_ingest.clone()];
        let app = serve(&world, Vendor::App, app::router, &monitors, &stop).await?;
        let slack = begin(Vendor::Slack, slack::router).await?;
        let keys = world.credentials();
        let urls = Urls {
            pulse: begin(Vendor::Pulse, pulse::router).await?,
            sentry_api: begin(Vendor::Sentry, sentry::router).await?,
            sentry_dsn: sentry::dsn(&ingest, &keys.sentry_public),
            posthog_api: begin(Vendor::Posthog, posthog::router).await?,
            posthog_ingest,
            vercel: begin(Vendor::Vercel, vercel::router).await?,
            slack_webhook: format!("{slack}/services/{}", keys.slack_webhook),
            slack: format!("{slack}/api"),
            statuspage: format!("{}/v1", begin(Vendor::Statuspage, statuspage::router).await?),
            pagerduty: format!("{}/v2", begin(Vendor::Pagerduty, pagerduty::router).await?),
            app,
        };
        Ok(Self { urls, stop })
    }
}

impl Drop for Standins {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(
    world: &Arc<World>,
    vendor: Vendor,
    router: fn(Site) -> Router,
    peers: &[String],
    stop: &CancellationToken,
) -> Result<String, StandinError> {
    let failed = |source| StandinError::Bind { vendor, source };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.map_err(failed)?;
    let base = format!("http://{}", listener.local_addr().map_err(failed)?);
    let site = Site::new(Arc::clone(world), vendor, &base, peers, stop.clone());
    let routes = router(site.clone()).layer(from_fn_with_state(site, gate));
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stopped).await {
            tracing::warn!(%error, ?vendor, "a stand-in stopped");
        }
    });
    Ok(base)
}

/// The host and port of an address, as headers name it.
fn host_of(base: &str) -> String {
    Url::parse(base).ok().map(|url| url.authority().to_owned()).unwrap_or_default()
}
