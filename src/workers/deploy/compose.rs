//! A release with Docker Compose: the image of the plan's version in the place of the one that runs.
//!
//! Guarantees that the image which ran before is kept under a name of this job before anything is switched, so that neither a
//! prune nor a killed cockpit loses the way back.

use std::time::Duration;

use super::{BUILD, Deployed, LOOK, LOOKS, POINT, PROOF, PROVE, mark, version};
use crate::run::{Failure, JobId, State};
use crate::services::compose::{Compose, ContainerHealth};
use crate::services::probe::Marker;
use crate::workers::outside::{self, Wanted};
use crate::workers::stop::{Stop, failed, go_on};
use crate::workers::{Desk, Kit};

const HEALTHY: Duration = Duration::from_mins(5);

/// The name under which a deployment's job keeps the image that ran before it.
pub(in super::super) fn kept(image: &str, state: &State, job: JobId) -> String {
    format!("{}:gonogo-before-{}", repository(image), mark(state, job))
}

/// An image's name without its tag; a colon before a slash is a port.
fn repository(image: &str) -> &str {
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(image, |(name, _)| name)
}

pub(super) async fn deploy(desk: &Desk, kit: &Kit, compose: &Compose) -> Result<Deployed, Stop> {
    let config = kit.config().services.compose.as_ref();
    let image = config.map(|config| config.image.clone()).unwrap_or_default();
    let version = version(desk).ok_or_else(|| Failure {
        what: "the plan names no version, so there is no image to switch to".into(),
        state: "nothing was deployed".into(),
        next: "set version under [deployment] in gonogo.toml".into(),
    })?;
    let release = format!("{}:{version}", repository(&image));
    let before = kept(&image, &desk.state(), desk.job().id);
    let seen = desk.step(LOOK, look(kit, compose, &before)).await?;
    go_on(desk, "nothing was deployed").await?;
    desk.step(BUILD, async {
        // One that was built on this machine is in no registry: the switch itself says whether it is here.
        let pulled = compose.pull(&release).await;
        compose.switch_to(&release).await.map_err(|error| failed(&error))?;
        let from = if pulled.is_ok() { "pulled" } else { "not pulled: taken as it is on this machine" };
        Ok(((), Some(format!("{release}, {from}"))))
    })
    .await?;
    desk.step(POINT, healthy(compose)).await?;
    let is = Marker { version: Some(version), ..Marker::default() };
    let wanted = Wanted { is, is_not: seen };
    let marker = desk.step(PROVE, outside::prove(desk, kit, PROVE, &wanted, LOOKS, PROOF)).await?;
    Ok(Deployed { id: release, previous: Some(before), marker, page: None })
}

async fn look(
    kit: &Kit,
    compose: &Compose,
    before: &str,
) -> Result<(Option<Marker>, Option<String>), Failure> {
    // Naming it after itself changes nothing, and tells whether an earlier attempt kept it.
    match compose.tag(before, before).await {
        Ok(_) => return Ok((None, Some(format!("{before} was kept by an earlier attempt")))),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(failed(&error)),
    }
    let runs = compose.current_image().await.map_err(|error| failed(&error))?.value;
    compose.tag(&runs, before).await.map_err(|error| failed(&error))?;
    let seen = outside::seen(kit).await;
    let name = seen.as_ref().map_or_else(|| runs.clone(), outside::name);
    Ok((seen, Some(format!("{name} runs; kept as {before}"))))
}

/// Waits until the container is healthy.
pub(in super::super) async fn healthy(compose: &Compose) -> Result<((), Option<String>), Failure> {
    let health = compose.await_healthy(HEALTHY).await.map_err(|error| failed(&error))?.value;
    let note = match health {
        ContainerHealth::NoCheck => "it runs; its image has no health check",
        _ => "healthy",
    };
    Ok(((), Some(note.to_owned())))
}
