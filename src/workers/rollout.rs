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
        let share = clients::meaning(desk.plan().as_deref(), percent);
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

fn said(flag: &Flag) -> String {
    let group = |(place, group): (usize, &crate::services::posthog::FlagGroup)| {
        let name = group.description.clone().unwrap_or_else(|| format!("group {place}"));
        format!("{name} {} %", group.share.unwrap_or(100.0))
    };
    let groups: Vec<_> = flag.groups.iter().enumerate().map(group).collect();
    let word = if flag.switch == Switch::On { "on" } else { "off" };
    format!("{word}, {}", if groups.is_empty() { "no conditions".to_owned() } else { groups.join(", ") })
}

/// The share of each of the flag's groups: those with conditions are the team's, those without are everybody's.
fn wanted(flag: &Flag, share: Share) -> Result<HashMap<usize, f64>, Failure> {
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
fn has(flag: &Flag, shares: &HashMap<usize, f64>) -> bool {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json as object};

    use super::*;
    use crate::services::posthog::Config;
    use crate::services::testing::{Say, Vendor, json, secret};

    fn flag(version: u64, everybody: u8) -> Value {
        object!({"id": 7, "key": "redesign", "active": true, "version": version, "filters": {"groups": [
            {"properties": [{"key": "email", "value": "@example.org", "operator": "icontains"}], "rollout_percentage": 100},
            {"properties": [], "rollout_percentage": everybody}]}})
    }

    /// The result of setting 50 % on the first answer, against the others.
    async fn fifty(answers: Vec<Say>) -> (Result<(Flag, Option<String>), Failure>, Vec<String>) {
        let vendor = Vendor::script(answers).await;
        let config = Config {
            api: vendor.url.clone(),
            ingest: vendor.url.clone(),
            project: "1".into(),
            personal_key: secret(),
            project_key: None,
        };
        let posthog = PostHog::new(&config, vendor.clock.clone()).unwrap();
        let read = posthog.flag("7").await.unwrap().value;
        let set = set(&posthog, read, Share::Strangers(50)).await;
        (set, vendor.seen().into_iter().map(|seen| seen.method).collect())
    }

    #[tokio::test]
    async fn a_conflict_is_met_with_a_new_reading() {
        let conflict =
            json(409, &object!({"type": "server_error", "code": "conflict", "detail": "was updated"}));
        let others = [json(200, &flag(8, 20)), json(200, &flag(9, 50)), json(200, &flag(9, 50))];
        let (set, asked) = fifty([vec![json(200, &flag(7, 10)), conflict], others.into()].concat()).await;
        let (flag, note) = set.unwrap();
        assert_eq!(flag.version, Some(9));
        assert!(note.unwrap().contains("after a conflict"));
        assert_eq!(asked, ["GET", "PATCH", "GET", "PATCH", "GET"]);
    }

    #[tokio::test]
    async fn filters_that_were_ignored_behind_a_200_are_a_failure() {
        let (set, _) = fifty(vec![json(200, &flag(7, 10)), json(200, &flag(8, 10))]).await;
        let failure = set.unwrap_err();
        assert!(failure.what.contains("not what was sent"), "{failure}");
    }

    #[tokio::test]
    async fn a_share_that_somebody_takes_back_at_once_is_not_set() {
        let (set, _) =
            fifty(vec![json(200, &flag(7, 10)), json(200, &flag(8, 50)), json(200, &flag(9, 10))]).await;
        let failure = set.unwrap_err();
        assert!(failure.state.contains("somebody else"), "{failure}");
    }
}
