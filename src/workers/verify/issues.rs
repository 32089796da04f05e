//! Proof that no error of a new kind came with the release.
//!
//! It guarantees that none is only said while Sentry is proven to hear the application: a page that nobody loads, or whose
//! events are dropped, has no new errors either.

use std::time::Duration;

use super::{Case, Proof, Proven, failure, source};
use crate::run::{JobKind, JobStatus};
use crate::services::sentry::{Issue, NewSince, Window};
use crate::workers::kit;

/// In how long a time Sentry must have heard of a page load.
const HEARD: Duration = Duration::from_mins(15);
/// How many issues are named.
const NAMED: usize = 3;

pub(super) async fn prove(case: &Case<'_>) -> Proven {
    let sentry = case.kit.sentry()?;
    let since = since(case);
    let (list, loads) = tokio::join!(sentry.new_issues(&since), sentry.page_loads(Window::Last(HEARD), None));
    let list = list.map_err(|error| kit::failure(&error))?;
    let what = match &since {
        NewSince::Release(release) => format!("in {release}"),
        NewSince::Time(at) => format!("since {}", at.format("%H:%M:%SZ")),
    };
    let errors: Vec<&Issue> = list.value.issues.iter().filter(|issue| is_error(issue)).collect();
    if !errors.is_empty() {
        let more = if list.value.more { "at least " } else { "" };
        let named: Vec<String> = errors.iter().take(NAMED).map(|issue| words(issue)).collect();
        return Err(failure(
            format!(
                "{more}{} new errors {what}: {} ({})",
                errors.len(),
                named.join("; "),
                source(&list.receipt)
            ),
            "look at them at Sentry, and decide whether users are hurt",
        ));
    }
    let loads = loads.map_err(|error| kit::failure(&error))?.value.count.unwrap_or_default();
    if loads == 0 {
        return Err(failure(
            format!("Sentry knows of no page load in {} min: silence, not health", HEARD.as_secs() / 60),
            "prove that events arrive at Sentry, then ask again",
        ));
    }
    let evidence = format!("no new error {what}, with {loads} page loads in {} min", HEARD.as_secs() / 60);
    Ok(Proof::of(format!("{evidence} ({})", source(&list.receipt)), "0"))
}

/// By release where the application sets one; else since the deployment, or since the run was opened.
fn since(case: &Case<'_>) -> NewSince {
    if let Some(release) = case.kit.release() {
        return NewSince::Release(release);
    }
    let state = case.desk.state();
    let deployed = state.last_job(|kind| matches!(kind, JobKind::Deploy)).and_then(|job| match job.status {
        JobStatus::Ended { at, .. } if job.succeeded() => Some(at),
        _ => None,
    });
    let opened = state.run.as_ref().map(|run| run.opened);
    NewSince::Time(deployed.or(opened).unwrap_or_else(|| case.clock().now()))
}

fn is_error(issue: &Issue) -> bool {
    !matches!(issue.level.as_deref(), Some("info" | "debug" | "log" | "sample"))
}

fn words(issue: &Issue) -> String {
    let id = issue.short_id.as_ref().unwrap_or(&issue.id);
    let (events, users) = (issue.count.unwrap_or_default(), issue.user_count.unwrap_or_default());
    format!("{id} {} ({events} events, {users} users)", issue.title)
}
