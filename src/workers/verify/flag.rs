//! Proof that the flag's share is what the plan says: as the editor has it, and as clients are told.
//!
//! It guarantees that a share is only proven when both agree, and that a flag which cannot be evaluated is unknown, not off.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::Map;

use super::{Case, Proof, Proven, failure, source};
use crate::run::Failure;
use crate::run::judge::at_least;
use crate::services::posthog::{Evaluation, Flag, PostHog, Probe, Switch};
use crate::services::retry::Poll;
use crate::workers::clients::{self, Share};
use crate::workers::kit;

/// Users that nobody is, who are told what the flag says.
const PROBES: u64 = 60;
const AT_ONCE: usize = 6;
/// How long a change may take to reach clients, on the run's clock.
const PATIENCE: Duration = Duration::from_mins(1);
/// Looks at least, and what lies between those beyond the patience.
const ROUNDS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);
/// How rare an accident must be before it is not called one.
const RARE: f64 = 0.001;

pub(super) async fn prove(case: &Case<'_>, share: u8) -> Proven {
    let (posthog, key) = (case.kit.posthog()?, case.kit.flag()?);
    let mut poll = Poll::new(case.clock(), Duration::from_secs(2), Duration::from_secs(10), PATIENCE);
    let mut round = 0;
    loop {
        round += 1;
        let (agreed, words) = look(&posthog, key, clients::meaning(Some(&case.plan), share)).await?;
        if agreed {
            return Ok(Proof::of(words, format!("{share} %")));
        }
        if poll.again().await {
            continue;
        }
        // A fast rehearsal's minute may be over before the first clients are asked.
        if round >= ROUNDS {
            return Err(failure(words, "look at the flag in PostHog; a rollout sets its share"));
        }
        case.clock().sleep(PAUSE).await;
    }
}

/// Whether the editor's share and what clients are told are this, and both in words.
async fn look(posthog: &PostHog, key: &str, share: Share) -> Result<(bool, String), Failure> {
    let found = posthog.find_flag(key).await.map_err(|error| kit::failure(&error))?;
    let from = source(&found.receipt);
    let set = set_share(&found.value)?;
    // A stage for the team alone is a share of nobody else, and of the whole team.
    let (wanted, team) = match share {
        Share::Nobody => (0, ""),
        Share::Insiders => (0, " and all of the team"),
        Share::Strangers(percent) => (percent, ""),
    };
    if (set - f64::from(wanted)).abs() >= 1e-9 {
        return Ok((false, format!("the flag {key} is set to {set} % of users, not {wanted} % ({from})")));
    }
    if share == Share::Insiders {
        let Some(probe) = clients::insider(&found.value) else {
            return Ok((false, format!("the flag {key} has no condition for the team ({from})")));
        };
        if !is_on(posthog, key, &probe).await? {
            return Ok((false, format!("somebody of the team is told that {key} is off ({from})")));
        }
    }
    let on = told(posthog, key).await?;
    let words = format!(
        "the flag {key} is set to {wanted} % of users{team}; of {PROBES} clients {on} are told that it is on ({from})"
    );
    Ok((plausible(on, wanted), words))
}

/// The share of users whom no condition lets in or keeps out.
fn set_share(flag: &Flag) -> Result<f64, Failure> {
    if flag.switch == Switch::Off {
        return Ok(0.0);
    }
    let everybody = flag.groups.iter().filter(|group| group.conditions == 0);
    everybody.map(|group| group.share.unwrap_or(100.0)).reduce(f64::max).ok_or_else(|| {
        failure(
            format!("the flag {} has no condition set for everybody, so it has no share", flag.key),
            "add a condition set without properties to the flag in PostHog",
        )
    })
}

/// Whether a client is told that the flag is on.
async fn is_on(posthog: &PostHog, key: &str, probe: &Probe) -> Result<bool, Failure> {
    match posthog.evaluate(key, probe).await.map_err(|error| kit::failure(&error))?.value {
        Evaluation::On { .. } => Ok(true),
        Evaluation::Off { .. } => Ok(false),
        Evaluation::Unknown(why) => {
            Err(failure(format!("what clients are told is not known: {why}"), "ask again"))
        }
    }
}

/// How many of the probes are told that the flag is on.
async fn told(posthog: &PostHog, key: &str) -> Result<u64, Failure> {
    let ask = |number: u64| async move {
        let probe = Probe { distinct_id: format!("gonogo-probe-{number}"), person_properties: Map::new() };
        is_on(posthog, key, &probe).await.map(u64::from)
    };
    let answers = futures_util::stream::iter(0..PROBES).map(ask).buffer_unordered(AT_ONCE);
    answers.try_fold(0, async |sum, on| Ok(sum + on)).await
}

/// Whether so many of the probes may be told "on" at this share.
fn plausible(on: u64, share: u8) -> bool {
    match share {
        0 => on == 0,
        100.. => on == PROBES,
        _ => {
            let p = f64::from(share) / 100.0;
            at_least(on, PROBES, p) > RARE && at_least(PROBES - on, PROBES, 1.0 - p) > RARE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_apart_from_the_next_stage() {
        assert!(plausible(0, 0) && !plausible(1, 0));
        assert!(plausible(PROBES, 100) && !plausible(PROBES - 1, 100));
        assert!(plausible(6, 10) && plausible(2, 10) && !plausible(30, 10) && !plausible(PROBES, 10));
        assert!(plausible(30, 50) && plausible(22, 50) && !plausible(6, 50) && !plausible(PROBES, 50));
    }
}
