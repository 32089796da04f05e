//! The status page: one maintenance and one incident of a deployment, moved from state to state.
//!
//! Guarantees that a state is added to what is open and not opened anew beside it, that the component goes with it (resolving
//! sets none back by itself), and that what stands there already is not said twice.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::words::planned;
use crate::plan::config::{Message, PageStatus};
use crate::run::{Failure, Mode, State};
use crate::services::statuspage::{ComponentStatus, Incident, Notify, Post, Slot, Stage};
use crate::workers::stop::failed;
use crate::workers::{Desk, Kit};

/// How long a maintenance is announced for, where the plan does not say.
const LONG: TimeDelta = TimeDelta::hours(6);

fn stage(status: PageStatus) -> Stage {
    match status {
        PageStatus::Scheduled => Stage::Scheduled,
        PageStatus::InProgress => Stage::InProgress,
        PageStatus::Verifying => Stage::Verifying,
        PageStatus::Completed => Stage::Completed,
        PageStatus::Investigating => Stage::Investigating,
        PageStatus::Identified => Stage::Identified,
        PageStatus::Monitoring => Stage::Monitoring,
        PageStatus::Resolved => Stage::Resolved,
    }
}

/// How the component does in a state; none where it is left as it is.
const fn component(status: PageStatus) -> Option<ComponentStatus> {
    match status {
        PageStatus::Scheduled => None,
        PageStatus::InProgress | PageStatus::Verifying => Some(ComponentStatus::UnderMaintenance),
        PageStatus::Investigating | PageStatus::Identified => Some(ComponentStatus::PartialOutage),
        PageStatus::Monitoring => Some(ComponentStatus::Degraded),
        PageStatus::Completed | PageStatus::Resolved => Some(ComponentStatus::Operational),
    }
}

const fn is_maintenance(status: PageStatus) -> bool {
    matches!(
        status,
        PageStatus::Scheduled | PageStatus::InProgress | PageStatus::Verifying | PageStatus::Completed
    )
}

/// The name under which this deployment stands on the page.
fn name(state: &State, status: PageStatus) -> String {
    let deployment = state.plan().map_or_else(
        || "deployment".to_owned(),
        |plan| format!("{} {}", plan.name, plan.version).trim().to_owned(),
    );
    if is_maintenance(status) {
        format!("Maintenance: {deployment}")
    } else {
        format!("Incident: {deployment}")
    }
}

/// Puts the message on the page; answers with where it can be found.
pub(super) async fn post(kit: &Kit, desk: &Desk, message: &Message, text: &str) -> Result<String, Failure> {
    let status = message.status.ok_or_else(|| Failure {
        what: "the message names no state of the status page".into(),
        state: "nothing was sent".into(),
        next: "add status = \"…\" to the message in gonogo.toml".into(),
    })?;
    let page = kit.statuspage()?;
    let state = desk.state();
    let rehearsal = state.run.as_ref().is_none_or(|run| run.mode == Mode::Rehearsal);
    let config = kit.config().services.statuspage.as_ref();
    let component = component(status).and_then(|how| Some((config?.component.clone()?, how)));
    let post = Post {
        stage: stage(status),
        body: text.to_owned(),
        components: component.into_iter().collect::<BTreeMap<_, _>>(),
        notify: if rehearsal { Notify::Nobody } else { Notify::Subscribers },
    };
    let name = name(&state, status);
    let open = page.open().await.map_err(|error| failed(&error))?.value;
    let ours = open.into_iter().find(|one| one.name == name);
    let done = match (ours, status) {
        (Some(ours), _) if says(&ours, &post) => return Ok(format!("{}; it said so already", place(&ours))),
        (Some(ours), _) => page.update(&ours.id, &post).await,
        (None, PageStatus::Scheduled | PageStatus::InProgress | PageStatus::Verifying) => {
            let now = desk.clock().now();
            let (from, until) =
                planned(&state).filter(|_| status == PageStatus::Scheduled).unwrap_or((now, None));
            let until = until.filter(|until| *until > from).unwrap_or(from + LONG);
            page.schedule_maintenance(&name, Slot { from, until }, &post).await
        }
        (None, PageStatus::Investigating | PageStatus::Identified | PageStatus::Monitoring) => {
            page.open_incident(&name, &post).await
        }
        (None, PageStatus::Completed | PageStatus::Resolved) => {
            return Ok(format!(
                "nothing called {name:?} is open on the status page, so there was nothing to end"
            ));
        }
    };
    Ok(place(&done.map_err(|error| failed(&error))?.value))
}

fn place(incident: &Incident) -> String {
    let at = incident.shortlink.as_deref().unwrap_or(&incident.id);
    format!("status page {at}, {}", incident.status)
}

/// Whether the newest thing said there is this.
fn says(incident: &Incident, post: &Post) -> bool {
    let newest = incident.incident_updates.first();
    newest.is_some_and(|newest| newest.body == post.body && newest.status == incident.status)
        && incident.status == post.stage.word()
}
