//! The flag as clients are told it: somebody of the team, and people who are nobody in particular.
//!
//! Guarantees that a change counts as arrived only when the clients' own endpoint answers with its version, and that a flag
//! which could not be evaluated is neither on nor off.

use std::time::Duration;

use serde_json::{Map, json};

use super::stop::failed;
use super::{Desk, Kit};
use crate::run::Failure;
use crate::services::posthog::{Evaluation, Flag, PostHog, Probe, Switch};

/// How many strangers are asked for, to see a share.
const STRANGERS: u32 = 48;
/// How long a change may take until clients are told.
const ARRIVAL: Duration = Duration::from_mins(2);

/// Somebody whom no condition of the flag knows.
fn stranger(number: u32) -> Probe {
    let properties = Map::from_iter([("email".to_owned(), json!(format!("gonogo-{number}@example.org")))]);
    Probe { distinct_id: format!("gonogo-outside-{number}"), person_properties: properties }
}

/// Somebody whom a condition of the flag lets in, such as one of the team; none where nobody can be made up.
fn insider(flag: &Flag) -> Option<Probe> {
    let group = flag.groups.iter().find(|group| group.conditions > 0 && group.somebody.is_some())?;
    Some(Probe { distinct_id: "gonogo-inside-1".into(), person_properties: group.somebody.clone()? })
}

/// The flag that this deployment is about.
pub(super) async fn find(kit: &Kit, posthog: &PostHog) -> Result<Flag, Failure> {
    Ok(posthog.find_flag(kit.flag()?).await.map_err(|error| failed(&error))?.value)
}

/// Waits until the flag is off for everybody who is asked for.
pub(super) async fn all_off(posthog: &PostHog, flag: &Flag) -> Result<String, Failure> {
    let mut asked = vec![("somebody outside", stranger(1))];
    asked.extend(insider(flag).map(|probe| ("somebody inside", probe)));
    for (_, probe) in &asked {
        posthog.await_flag(flag, probe, Switch::Off, ARRIVAL).await.map_err(|error| Failure {
            state: "the flag is off at PostHog; clients are not told so yet".into(),
            ..failed(&error)
        })?;
    }
    let names: Vec<_> = asked.iter().map(|(name, _)| *name).collect();
    Ok(format!("off for {}", names.join(" and ")))
}

/// What clients are told of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// Nobody.
    Nobody,
    /// Those whom a condition knows, and no stranger.
    Insiders,
    /// So many strangers in a hundred.
    Strangers(u8),
}

impl Share {
    /// Whether so many of the strangers who were asked for fit the share. Near the ends a handful of people tells nothing,
    /// and only the ends themselves are exact.
    fn fits(self, on: u32) -> bool {
        match self {
            Self::Nobody | Self::Insiders | Self::Strangers(0) => on == 0,
            Self::Strangers(100..) => on == STRANGERS,
            Self::Strangers(20..=80) => on > 0 && on < STRANGERS,
            Self::Strangers(_) => true,
        }
    }
}

/// Waits until clients are told the flag as it was last written, and says what strangers and insiders are told.
pub(super) async fn share(
    desk: &Desk,
    step: u32,
    posthog: &PostHog,
    flag: &Flag,
    share: Share,
) -> Result<String, Failure> {
    let inside = insider(flag);
    // Nobody's flag is off for all; everybody's is on for all; between them only the team is sure.
    let (first, expected) = match (share, &inside) {
        (Share::Nobody | Share::Insiders, None) => (stranger(1), Switch::Off),
        (Share::Nobody, Some(probe)) => (probe.clone(), Switch::Off),
        (Share::Insiders | Share::Strangers(_), Some(probe)) => (probe.clone(), Switch::On),
        (Share::Strangers(_), None) => {
            let on = flag.groups.iter().any(|group| group.share.is_none_or(|share| share >= 100.0));
            (stranger(1), if on { Switch::On } else { Switch::Off })
        }
    };
    let unsure = matches!((share, &inside), (Share::Strangers(1..=99), None));
    if !unsure {
        let seen = posthog.await_flag(flag, &first, expected, ARRIVAL).await;
        seen.map_err(|error| failed(&error))?;
    }
    let pause = Duration::from_secs(2);
    let mut poll = crate::services::retry::Poll::new(desk.clock(), pause, pause, ARRIVAL);
    loop {
        let last = match strangers(posthog, flag).await? {
            Ok(on) if share.fits(on) => {
                let team =
                    if inside.is_some() && !matches!(share, Share::Nobody) { "the team is in, " } else { "" };
                return Ok(format!("{team}{on} of {STRANGERS} strangers are in"));
            }
            Ok(on) => format!("{on} of {STRANGERS} strangers are in"),
            Err(why) => why,
        };
        desk.doing(Some(step), last.clone());
        if !poll.again().await {
            return Err(Failure {
                what: format!("not proven: {last}, where {share:?} was set"),
                state: "the flag is written; clients are told something else".into(),
                next: "open the flag in PostHog and compare its conditions".into(),
            });
        }
    }
}

/// How many strangers are in; or why it cannot be told yet.
async fn strangers(posthog: &PostHog, flag: &Flag) -> Result<Result<u32, String>, Failure> {
    let mut on = 0;
    for number in 1..=STRANGERS {
        let told = posthog.evaluate(&flag.key, &stranger(number)).await.map_err(|error| failed(&error))?;
        let (is_on, version) = match told.value {
            Evaluation::On { version, .. } => (1, version),
            Evaluation::Off { version, .. } => (0, version),
            Evaluation::Unknown(why) => return Ok(Err(why)),
        };
        if version.is_some() && version < flag.version {
            return Ok(Err("the change has not arrived yet".into()));
        }
        on += is_on;
    }
    Ok(Ok(on))
}
