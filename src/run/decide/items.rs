//! Items: tick, skip, fail, reopen, note.

use super::{Refusal, not_yet, permit, said, unknown};
use crate::plan::{Item, ItemId, ItemKind, Phase};
use crate::run::event::{Actor, Event, NoteKind};
use crate::run::permission::Deed;
use crate::run::state::{ItemState, PhaseStatus, State};

/// The item, if this actor may change it now.
pub(super) fn changeable<'a>(
    state: &'a State,
    by: &Actor,
    id: &ItemId,
) -> Result<(&'a Phase, &'a Item), Refusal> {
    let (phase, item) = state.plan().and_then(|plan| plan.item(id)).ok_or_else(|| unknown("item", id))?;
    permit(by, Deed::Item(item.owner.or(phase.owner)))?;
    match state.phase(phase) {
        PhaseStatus::Active => Ok((phase, item)),
        PhaseStatus::Done => Err(not_yet(
            format!("{:?} cannot be changed", item.text),
            format!("GO was called for {:?}", phase.title),
            "write a deviation instead",
        )),
        PhaseStatus::Ready => Err(not_yet(
            format!("{:?} cannot be changed", item.text),
            format!("{:?} has not begun", phase.title),
            "start the phase first",
        )),
        PhaseStatus::Locked => Err(not_yet(
            format!("{:?} cannot be changed", item.text),
            format!("{:?} is behind a gate without GO", phase.title),
            "bring the phases before it through their gates first",
        )),
    }
}

fn free(state: &State, item: &Item) -> Result<(), Refusal> {
    match state.item(&item.id) {
        ItemState::Running { job } => Err(not_yet(
            format!("{:?} cannot be changed", item.text),
            format!("job {job} is at it"),
            "wait for it, or cancel the job",
        )),
        _ => Ok(()),
    }
}

pub(super) fn tick(
    state: &State,
    by: &Actor,
    id: ItemId,
    value: Option<String>,
) -> Result<Vec<Event>, Refusal> {
    let (_, item) = changeable(state, by, &id)?;
    free(state, item)?;
    if let ItemState::Done { .. } = state.item(&id) {
        return Err(Refusal::Already(format!("{:?} is done", item.text)));
    }
    if let Some(open) = item.items.iter().find(|child| !state.item(&child.id).is_settled()) {
        return Err(not_yet(
            format!("{:?} is not done", item.text),
            format!("{:?} under it is open", open.text),
            "settle the items under it first",
        ));
    }
    let value = answer(item, value)?;
    Ok(vec![Event::ItemDone { item: id, value, evidence: None }])
}

fn answer(item: &Item, value: Option<String>) -> Result<Option<String>, Refusal> {
    let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    match (&item.kind, value) {
        (ItemKind::Tick, value) => Ok(value),
        (ItemKind::Value { .. }, Some(value)) => Ok(Some(value)),
        (ItemKind::Value { expect }, None) => {
            let expect = expect.as_ref().map(|expect| format!(" (expected: {expect})")).unwrap_or_default();
            Err(Refusal::Words(format!("{:?} asks for a value{expect}; none was given", item.text)))
        }
        (ItemKind::Choice { of }, value) => {
            let chosen =
                value.as_deref().and_then(|value| of.iter().find(|word| word.eq_ignore_ascii_case(value)));
            chosen
                .cloned()
                .map(Some)
                .ok_or_else(|| Refusal::Words(format!("{:?} asks for one of {}", item.text, of.join(", "))))
        }
    }
}

pub(super) fn skip(state: &State, by: &Actor, id: ItemId, reason: &str) -> Result<Vec<Event>, Refusal> {
    let (_, item) = changeable(state, by, &id)?;
    free(state, item)?;
    let reason = said(reason, "skipping an item")?;
    if let ItemState::Skipped { .. } = state.item(&id) {
        return Err(Refusal::Already(format!("{:?} is skipped", item.text)));
    }
    // What is under it goes with it, each on its own line of the record.
    let mut under = Vec::new();
    collect_open(state, &item.items, &mut under);
    let mut events: Vec<Event> =
        under.into_iter().map(|item| Event::ItemSkipped { item, reason: reason.clone() }).collect();
    events.push(Event::ItemSkipped { item: id, reason });
    Ok(events)
}

fn collect_open(state: &State, items: &[Item], open: &mut Vec<ItemId>) {
    for item in items {
        collect_open(state, &item.items, open);
        if !state.item(&item.id).is_settled() {
            open.push(item.id.clone());
        }
    }
}

pub(super) fn fail(state: &State, by: &Actor, id: ItemId, reason: &str) -> Result<Vec<Event>, Refusal> {
    let (_, item) = changeable(state, by, &id)?;
    free(state, item)?;
    let reason = said(reason, "failing an item")?;
    Ok(vec![Event::ItemFailed { item: id, reason }])
}

pub(super) fn reopen(state: &State, by: &Actor, id: ItemId, reason: &str) -> Result<Vec<Event>, Refusal> {
    let (_, item) = changeable(state, by, &id)?;
    free(state, item)?;
    if matches!(state.item(&id), ItemState::Open) {
        return Err(Refusal::Already(format!("{:?} is open", item.text)));
    }
    let reason = said(reason, "reopening an item")?;
    Ok(vec![Event::ItemReopened { item: id, reason }])
}

pub(super) fn note(
    state: &State,
    by: &Actor,
    item: Option<ItemId>,
    kind: NoteKind,
    text: &str,
) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Speak)?;
    if let Some(id) = &item {
        state.plan().and_then(|plan| plan.item(id)).ok_or_else(|| unknown("item", id))?;
    }
    let text = said(text, "a note")?;
    Ok(vec![Event::Noted { item, kind, text }])
}
