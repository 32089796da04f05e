//! Moves the share of users who have the feature, stage by stage.
//!
//! Guarantees that whole conditions are written and somebody else's change is never overwritten unseen, that the flag is switched
//! on only once the share is right, and that a share counts when clients are told so.

use std::collections::HashMap;

use futures_util::future::BoxFuture;

use super::clients::{self, Share};
use super::stop::{self, Stop, failed, go_on};
use super::{Desk, End, Kit, Worker};
use crate::run::job::Facts;
use crate::run::{Failure, JobKind, WorkerId};
use crate::services::Fault;
use crate::services::posthog::{Flag, PostHog, Switch};

const STEPS: [&str; 4] = ["find the flag", "set the share", "switch the flag on", "see it as clients do"];
/// How often a conflict is met with a new reading.
const TRIES: u32 = 5;

/// Moves the flag's share.
#[derive(Debug)]
pub struct RolloutWorker {
    kit: Kit,
}

impl RolloutWorker {
    /// A worker that moves the flag of this configuration.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }

    async fn roll_out(&self, desk: &Desk, percent: u8) -> Result<End, Stop> {
        desk.planned_names(STEPS).await?;
        let posthog = self.kit.posthog()?;
        let share = meaning(desk, percent);
        go_on(desk, "the share was not changed").await?;
        let flag = desk
            .step(0, async {
                let flag = clients::find(&self.kit, &posthog).await?;
                let note = format!("{}: {}", flag.key, said(&flag));
                Ok((flag, Some(note)))
            })
            .await?;
        go_on(desk, "the share was not changed").await?;
        let flag = desk.step(1, set(&posthog, flag, share)).await?;
        let flag = desk.step(2, switch_on(&posthog, flag, share)).await?;
        let told = desk
            .step(3, async {
                let told = clients::share(desk, 3, &posthog, &flag, share).await?;
                Ok((told.clone(), Some(told)))
            })
            .await?;
        let who = if share == Share::Insiders { " (internal users)" } else { "" };
        let off = if flag.switch == Switch::Off { "; the flag itself is off" } else { "" };
        let summary = format!("{} is on for {percent} % of users{who}: {told}{off}", flag.key);
        Ok(End::Succeeded { summary, facts: Facts::Share { percent } })
    }
}

impl Worker for RolloutWorker {
    fn id(&self) -> WorkerId {
        WorkerId::Rollout
    }

    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(async move {
            let JobKind::Rollout { share } = desk.job().kind else {
                return Err(Failure {
                    what: format!("{} is not a rollout", desk.job().kind.title()),
                    state: "nothing was done".into(),
                    next: "this is a mistake in gonogo: please report it".into(),
                });
            };
            stop::end(self.roll_out(desk, share).await)
        })
    }
}

/// What a share means: the plan's stage of that share says whether it is for the team alone.
pub(super) fn meaning(desk: &Desk, percent: u8) -> Share {
    let plan = desk.plan();
    let stage = plan.as_ref().and_then(|plan| plan.rollout.iter().find(|stage| stage.share == percent));
    let internal = stage.is_some_and(|stage| stage.who.to_lowercase().contains("internal"));
    match percent {
        0 => Share::Nobody,
        _ if internal => Share::Insiders,
        _ => Share::Strangers(percent.min(100)),
    }
}

pub(super) fn said(flag: &Flag) -> String {
    let group = |(place, group): (usize, &crate::services::posthog::FlagGroup)| {
        let name = group.description.clone().unwrap_or_else(|| format!("group {place}"));
        format!("{name} {} %", group.share.unwrap_or(100.0))
    };
    let groups: Vec<_> = flag.groups.iter().enumerate().map(group).collect();
    let word = if flag.switch == Switch::On { "on" } else { "off" };
    format!("{word}, {}", if groups.is_empty() { "no conditions".to_owned() } else { groups.join(", ") })
}

/// The share of each of the flag's groups: those with conditions are the team's, those without are everybody's.
pub(super) fn wanted(flag: &Flag, share: Share) -> Result<HashMap<usize, f64>, Failure> {
    let lacking = |what: &str, next: &str| Failure {
        what: format!("the flag {} has no condition {what}", flag.key),
        state: "the share was not changed".into(),
        next: next.into(),
    };
    let (team, everybody) = match share {
        Share::Nobody => (0.0, 0.0),
        Share::Insiders => (100.0, 0.0),
        Share::Strangers(percent) => (100.0, f64::from(percent)),
    };
    if share == Share::Insiders && !flag.groups.iter().any(|group| group.conditions > 0) {
        return Err(lacking("for internal users", "add one in PostHog, such as the team's e-mail domain"));
    }
    if matches!(share, Share::Strangers(_)) && !flag.groups.iter().any(|group| group.conditions == 0) {
        return Err(lacking("for everybody", "add one without properties in PostHog"));
    }
    let of = |conditions: usize| if conditions > 0 { team } else { everybody };
    Ok(flag.groups.iter().enumerate().map(|(place, group)| (place, of(group.conditions))).collect())
}

/// Whether the flag's shares are these already.
pub(super) fn has(flag: &Flag, shares: &HashMap<usize, f64>) -> bool {
    flag.groups.iter().enumerate().all(|(place, group)| {
        let wanted = shares.get(&place).copied().unwrap_or_default();
        (group.share.unwrap_or(100.0) - wanted).abs() < 1e-9
    })
}

/// Sets the share; meets a conflict with a new reading.
async fn set(posthog: &PostHog, mut flag: Flag, share: Share) -> Result<(Flag, Option<String>), Failure> {
    let mut conflicts = 0;
    loop {
        let shares = wanted(&flag, share)?;
        if has(&flag, &shares) {
            return Ok((flag, Some("it was so already".into())));
        }
        match posthog.set_shares(&flag, &shares).await {
            Ok(set) => {
                let read = posthog.flag(&set.value.id).await.map_err(|error| failed(&error))?.value;
                if !has(&read, &shares) {
                    return Err(Failure {
                        what: format!("the share was set, and reads {}", said(&read)),
                        state: "somebody else changed the flag at the same time".into(),
                        next: "agree on who moves the flag, then run this again".into(),
                    });
                }
                let again = if conflicts > 0 { ", read anew after a conflict" } else { "" };
                let note = format!("{}{again}", said(&read));
                return Ok((read, Some(note)));
            }
            Err(error) if matches!(error.fault(), Fault::Conflict(_)) && conflicts < TRIES => {
                conflicts += 1;
                flag = posthog.flag(&flag.id).await.map_err(|error| failed(&error))?.value;
            }
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// Switches the flag on where somebody is to have it.
async fn switch_on(posthog: &PostHog, flag: Flag, share: Share) -> Result<(Flag, Option<String>), Failure> {
    if share == Share::Nobody || flag.switch == Switch::On {
        let note = if flag.switch == Switch::On { "it is on" } else { "it stays off" };
        return Ok((flag, Some(note.into())));
    }
    let on = posthog.switch(&flag.id, Switch::On).await.map_err(|error| failed(&error))?.value;
    Ok((on, Some("it was off, and is on".into())))
}
