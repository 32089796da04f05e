//! What the plan says with Pulse down: the deployment goes on with mock data, what only Pulse could prove is left out in words, and
//! Pulse's contacts come before more than the first stage sees the release.
//!
//! It guarantees that nothing which stands on Pulse is settled as done while mock data stand. Whether there may be any is
//! `run::decide`'s, which the operator asks as a person does.

use crate::plan::{Action, Check, Item, ItemId, ItemKind, PhaseKind, Plan, Role};
use crate::run::state::Sync;
use crate::run::{Command, Job, JobKind, Outcome, State};

/// What is to be done in an item's stead.
#[derive(Debug, PartialEq)]
pub(super) enum Instead {
    /// This, from that seat.
    Give(Role, Command),
    /// Nothing helps.
    GiveUp(String),
}

/// What is to be done instead of an item that is next, open or failed; nothing where the plan goes its way.
pub(super) fn of(state: &State, plan: &Plan, id: &ItemId) -> Option<Instead> {
    let mock = state.mock.as_ref()?;
    let (_, item) = plan.item(id)?;
    if state.mocked().is_none() {
        return widens(plan, item).then(|| again(state)).flatten();
    }
    if state.last_job(|kind| matches!(kind, JobKind::Mock { .. })).is_none_or(|made| !made.succeeded()) {
        return Some(Instead::GiveUp("the mock data could not be made".into()));
    }
    if stands_on_pulse(plan, id) {
        let role = state.owner(id).unwrap_or(Role::Lead);
        let reason = "Pulse is down: nothing of Pulse's was imported, and MOCK data prove nothing".into();
        return Some(Instead::Give(role, Command::Skip { item: id.clone(), reason }));
    }
    if !widens(plan, item) {
        return None;
    }
    let since = |job: &&Job| job.requested > mock.at;
    match state.last_job(|kind| *kind == JobKind::Import).filter(since) {
        None => Some(Instead::Give(Role::Devops, Command::Request(JobKind::Import))),
        Some(_) => {
            Some(Instead::GiveUp("Pulse's contacts could not be imported, and MOCK data stand".into()))
        }
    }
}

/// Whether the plan's answer to Pulse being down is wanted: an item of the day that stands on Pulse has failed for good. That it is
/// Pulse's doing is `decide`'s to say.
pub(super) fn wanted(state: &State, plan: &Plan, id: &ItemId) -> Option<Command> {
    let (phase, _) = plan.item(id)?;
    let of_the_day = matches!(phase.kind, PhaseKind::Numbered(_));
    let why = state.jobs.values().rev().find(|job| job.item.as_ref() == Some(id))?.outcome()?;
    (of_the_day && state.mock.is_none() && stands_on_pulse(plan, id)).then(|| Command::Mock {
        why: match why {
            Outcome::Failed { failure } => failure.what.split("; ").next().unwrap_or_default().to_owned(),
            _ => "Pulse does not answer".into(),
        },
    })
}

/// The sync begins where it would have, had Pulse been there; tried once.
fn again(state: &State) -> Option<Instead> {
    let gone = state.mock.as_ref()?.gone?;
    let tried = state.last_job(|kind| *kind == JobKind::Sync).is_some_and(|job| job.requested >= gone);
    (state.sync == Sync::Off && !tried)
        .then_some(Instead::Give(Role::Devops, Command::Request(JobKind::Sync)))
}

/// Whether an item shows the release to more than the first stage.
fn widens(plan: &Plan, item: &Item) -> bool {
    let first = plan.rollout.first().map_or(0, |stage| stage.share);
    matches!(item.action, Some(Action::Rollout { share }) if share > first)
}

/// Whether Pulse alone could prove an item: it is asked itself, or what was imported is what the section speaks of, or a person
/// should write down what Pulse says.
fn stands_on_pulse(plan: &Plan, id: &ItemId) -> bool {
    let sections = plan.checklist.phases.iter().flat_map(|phase| &phase.sections);
    let Some((section, item)) = sections
        .flat_map(|section| section.all_items().map(move |item| (section, item)))
        .find(|(_, item)| item.id == *id)
    else {
        return false;
    };
    let any = |which: &dyn Fn(&Item) -> bool| section.all_items().any(which);
    let asks = |item: &Item| matches!(item.check, Some(Check::Pulse));
    let imports = |item: &Item| matches!(item.action, Some(Action::Import));
    let counts = |item: &Item| match &item.check {
        Some(Check::Metric { name }) => {
            plan.metric(&name.as_str().into()).is_some_and(|metric| metric.source == "sync-success")
        }
        check => matches!(check, Some(Check::Import)),
    };
    let figure = item.action.is_none() && item.check.is_none() && matches!(item.kind, ItemKind::Value { .. });
    asks(item)
        || counts(item)
        || matches!(item.action, Some(Action::Sync))
        || any(&imports)
        || (figure && any(&asks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Config;
    use crate::plan::bundled;
    use crate::plan::checklist::read::read;

    #[test]
    fn of_the_shipped_plan_what_pulse_alone_could_prove_is_left_out() {
        let config = Config::parse(bundled::CONFIG, bundled::CONFIG_NAME).unwrap();
        let plan = config.plan(read(bundled::CHECKLIST, bundled::CHECKLIST_NAME).unwrap());
        let phase = plan.checklist.phases.iter().find(|phase| phase.number() == Some(4)).unwrap();
        let kept: Vec<&str> = phase
            .items()
            .filter(|item| !stands_on_pulse(&plan, &item.id))
            .map(|item| item.text.as_str())
            .collect();
        assert_eq!(
            kept,
            [
                "It is agreed what happens with Pulse down: go on without new data, and say so on the screen",
                "Status told in #deployment"
            ]
        );
        let others = plan.checklist.phases.iter().filter(|phase| !matches!(phase.number(), Some(4)));
        let left_out: Vec<&str> = others
            .flat_map(crate::plan::Phase::items)
            .filter(|item| stands_on_pulse(&plan, &item.id))
            .map(|item| item.text.as_str())
            .collect();
        assert_eq!(left_out, ["Pulse answers, and takes the token", "Sync success rate"]);
        assert!(widens(&plan, plan.item(&"stage-50".into()).unwrap().1));
        assert!(!widens(&plan, plan.item(&"stage-10".into()).unwrap().1));
    }
}
