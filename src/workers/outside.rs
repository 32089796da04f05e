//! What users get, asked from outside: which build answers, several times in a row and on more than one path.
//!
//! Guarantees that a vendor's "done" is never taken for proof, and that a build which cannot be told apart is not proven.

use std::time::Duration;

use super::{Desk, Kit};
use crate::run::Failure;
use crate::services::probe::{HealthState, Marker, Probe};
use crate::services::retry::Poll;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Which build is to be seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// What it says of itself, as far as that is known.
    pub is: Marker,
    /// The build that must be gone, as far as that is known.
    pub is_not: Option<Marker>,
}

/// Whether two markers are of the same build; none where nothing in them can be compared.
fn same(a: &Marker, b: &Marker) -> Option<bool> {
    let both = |a: &Option<String>, b: &Option<String>, eq: fn(&str, &str) -> bool| {
        a.as_deref().zip(b.as_deref()).map(|(a, b)| eq(a, b))
    };
    let commit = both(&a.commit, &b.commit, |a, b| {
        a.len().min(b.len()) >= 7 && (a.starts_with(b) || b.starts_with(a))
    });
    let version = both(&a.version, &b.version, |a, b| a.trim_start_matches('v') == b.trim_start_matches('v'));
    let assets = (!a.assets.is_empty() && !b.assets.is_empty()).then(|| a.assets == b.assets);
    [commit, version, assets].into_iter().flatten().reduce(|a, b| a && b)
}

/// A marker in words.
pub(super) fn name(marker: &Marker) -> String {
    let commit = marker.commit.as_deref().map(|commit| commit.chars().take(8).collect::<String>());
    match (&marker.version, commit) {
        (Some(version), Some(commit)) => format!("{version} ({commit})"),
        (Some(version), None) => version.clone(),
        (None, Some(commit)) => format!("commit {commit}"),
        (None, None) => marker.assets.first().cloned().unwrap_or_else(|| "a build without a name".into()),
    }
}

/// What is seen from outside now; none where nothing tells it.
pub(super) async fn seen(kit: &Kit) -> Option<Marker> {
    Some(kit.probe().ok()?.marker().await.ok()?.value)
}

/// Why a look does not prove it.
async fn look(probe: &Probe, health: &str, wanted: &Wanted) -> Result<Marker, String> {
    let marker = probe.marker().await.map_err(|error| error.fault().to_string())?.value;
    let said = match probe.health(health).await.state {
        HealthState::Healthy { version, commit } => Marker { version, commit, assets: Vec::new() },
        HealthState::Unhealthy { why, .. } => return Err(format!("{health} says {why}")),
        HealthState::CatchAll => {
            return Err(format!("{health} answers with the index page, which proves nothing"));
        }
        HealthState::Unreachable(why) => return Err(format!("{health} cannot be reached: {why}")),
    };
    for seen in [&marker, &said] {
        let is = same(seen, &wanted.is);
        let is_not = wanted.is_not.as_ref().and_then(|other| same(seen, other));
        // Where both say something, the wanted build decides: old and new may share a version.
        match (is, is_not) {
            (Some(false), _) | (None, Some(true)) => return Err(format!("users still get {}", name(seen))),
            _ => {}
        }
    }
    let told = same(&marker, &wanted.is).is_some()
        || wanted.is_not.as_ref().is_some_and(|other| same(&marker, other) == Some(false));
    if told { Ok(marker) } else { Err(format!("{} cannot be told from the build before", name(&marker))) }
}

/// Looks until the wanted build was seen `times` in a row, at most for `patience`. Answers with what was seen and a remark.
pub(super) async fn prove(
    desk: &Desk,
    kit: &Kit,
    step: u32,
    wanted: &Wanted,
    times: u32,
    patience: Duration,
) -> Result<(Marker, Option<String>), Failure> {
    let probe = kit.probe()?;
    let health = &kit.config().app.health;
    let mut poll = Poll::new(desk.clock(), PAUSE, PAUSE, patience);
    let (mut in_a_row, mut looks) = (0, 0_u32);
    loop {
        looks += 1;
        let last = match look(&probe, health, wanted).await {
            Ok(marker) => {
                in_a_row += 1;
                desk.doing(Some(step), format!("seen {in_a_row} of {times}: {}", name(&marker)));
                if in_a_row >= times {
                    let note = format!(
                        "{} on {health} and the version marker, {times} looks in a row",
                        name(&marker)
                    );
                    return Ok((marker, Some(note)));
                }
                "it was not seen often enough in a row".to_owned()
            }
            Err(why) => {
                in_a_row = 0;
                desk.doing(Some(step), why.clone());
                why
            }
        };
        if !poll.again().await {
            return Err(Failure {
                what: format!("not proven from outside after {looks} looks: {last}"),
                state: "the vendor says it is done; users do not get it, or not surely".into(),
                next: "open the application in a browser, and look for a cache or a service worker that still serves the other build"
                    .into(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(version: Option<&str>, commit: Option<&str>) -> Marker {
        Marker { version: version.map(Into::into), commit: commit.map(Into::into), assets: Vec::new() }
    }

    #[test]
    fn builds_are_the_same_only_where_all_that_both_say_agrees() {
        let new = marker(Some("2.0.0"), Some("6ba09a7c53235ee8"));
        assert_eq!(same(&new, &marker(Some("v2.0.0"), None)), Some(true));
        assert_eq!(same(&new, &marker(None, Some("6ba09a7c"))), Some(true));
        assert_eq!(same(&new, &marker(Some("2.0.0"), Some("0b1c2d3e"))), Some(false), "a rebuilt version");
        assert_eq!(same(&new, &marker(None, Some("6b"))), Some(false), "too short to be a commit");
        assert_eq!(same(&new, &Marker::default()), None);
        let assets = |name: &str| Marker { assets: vec![name.into()], ..Marker::default() };
        assert_eq!(same(&assets("a.js"), &assets("b.js")), Some(false));
    }
}
