//! Phases and their gates: start, GO, NO-GO, signatures, the end of the run.

use super::{Refusal, not_yet, permit, said, unknown};
use crate::plan::{Check, GateId, Phase, PhaseId};
use crate::run::event::{Actor, Ending, Event, NoteKind};
use crate::run::judge::Verdict;
use crate::run::permission::Deed;
use crate::run::state::{ItemState, PhaseStatus, State};

fn find<'a>(state: &'a State, id: &PhaseId) -> Result<&'a Phase, Refusal> {
    state.plan().and_then(|plan| plan.phase(id)).ok_or_else(|| unknown("phase", id))
}

pub(super) fn start(state: &State, by: &Actor, id: PhaseId) -> Result<Vec<Event>, Refusal> {
    let phase = find(state, &id)?;
    permit(by, Deed::Item(phase.owner))?;
    let what = || format!("{:?} cannot begin", phase.title);
    match state.phase(phase) {
        PhaseStatus::Done => return Err(Refusal::Already(format!("{:?} is through its gate", phase.title))),
        PhaseStatus::Active => return Err(Refusal::Already(format!("{:?} has begun", phase.title))),
        PhaseStatus::Locked => {
            let plan = state.plan().ok_or(Refusal::NotOpen)?;
            let before = plan.checklist.phases.iter().find(|other| !state.phase_is_go(&other.id));
            let before = before.map_or_else(String::new, |other| other.title.clone());
            return Err(not_yet(what(), format!("{before:?} has no GO"), "bring it through its gate first"));
        }
        PhaseStatus::Ready => {}
    }
    in_place(state, what)?;
    Ok(vec![Event::PhaseStarted { phase: id }])
}

/// Nothing was taken back that the phases ahead stand on.
fn in_place(state: &State, what: impl Fn() -> String) -> Result<(), Refusal> {
    let Some(rung) = state.taken_back.first() else { return Ok(()) };
    let title = state.plan().and_then(|plan| plan.ladder.iter().find(|step| step.order == *rung));
    let title = title.map_or_else(|| rung.to_string(), |rung| rung.title.clone());
    Err(not_yet(
        what(),
        format!("the release was taken back ({title})"),
        "bring it live again, or close the run as rolled back",
    ))
}

/// What stands between a phase and its GO, in words; empty if nothing does.
pub fn obstacles(state: &State, phase: &Phase) -> Vec<String> {
    let mut found = Vec::new();
    let open: Vec<_> = phase.items().filter(|item| !state.item(&item.id).is_settled()).collect();
    if let Some(first) = open.first() {
        let more = if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() };
        found.push(format!("{:?}{more} not settled", first.text));
    }
    found.extend(
        phase
            .gates()
            .filter(|gate| !state.gate_is_signed(gate))
            .map(|gate| format!("{:?} is not signed", gate.title)),
    );
    for item in phase.items() {
        if let ItemState::Done { value: Some(value), .. } = state.item(&item.id)
            && ["RED", "NO-GO"].iter().any(|word| value.eq_ignore_ascii_case(word))
        {
            found.push(format!("{:?} says {value}", item.text));
        }
        // What was skipped because there is nothing to measure without Pulse holds nobody; the GO says what it stands on.
        let without = |name: &str| {
            matches!(state.item(&item.id), ItemState::Skipped { .. }) && super::upkeep::silenced(state, name)
        };
        if let Some(Check::Metric { name }) = &item.check
            && !without(name)
            && let Some(verdict) = unfit(state, name)
            && !found.iter().any(|words| words.starts_with(name.as_str()))
        {
            found.push(format!("{name} is {verdict}"));
        }
    }
    found.extend(state.alerts.keys().map(|metric| format!("the alert on {metric} is firing")));
    found
}

fn unfit(state: &State, name: &str) -> Option<&'static str> {
    let verdict = state.health.get(&name.into()).map(|health| health.verdict);
    match verdict {
        Some(Verdict::Ok | Verdict::Warn) => None,
        Some(verdict) => Some(verdict.word()),
        None => Some("without a reading"),
    }
}

pub(super) fn go(state: &State, by: &Actor, id: PhaseId) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Call)?;
    let phase = find(state, &id)?;
    let what = || format!("no GO for {:?}", phase.title);
    match state.phase(phase) {
        PhaseStatus::Done => return Err(Refusal::Already(format!("GO was called for {:?}", phase.title))),
        PhaseStatus::Active => {}
        PhaseStatus::Ready | PhaseStatus::Locked => {
            return Err(not_yet(what(), "it has not begun", "start it first"));
        }
    }
    in_place(state, what)?;
    let obstacles = obstacles(state, phase);
    if !obstacles.is_empty() {
        return Err(not_yet(what(), obstacles.join("; "), "settle these, then call again"));
    }
    let (_, all) = state.tally(phase);
    let skipped =
        phase.items().filter(|item| matches!(state.item(&item.id), ItemState::Skipped { .. })).count();
    let proven = phase
        .items()
        .filter(|item| matches!(state.item(&item.id), ItemState::Done { evidence: Some(_), .. }))
        .count();
    let mock = state.mocked().map_or("", |_| "; on MOCK data: Pulse's contacts are not imported");
    let evidence = format!("{all} items settled, {proven} of them by a machine, {skipped} skipped{mock}");
    Ok(vec![Event::Go { phase: id, evidence }])
}

pub(super) fn no_go(state: &State, by: &Actor, id: PhaseId, reason: &str) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Call)?;
    let phase = find(state, &id)?;
    if state.phase(phase) != PhaseStatus::Active {
        return Err(not_yet(
            format!("no NO-GO for {:?}", phase.title),
            "it is not being worked on",
            "start it first",
        ));
    }
    let reason = said(reason, "NO-GO")?;
    Ok(vec![Event::NoGo { phase: id, reason }])
}

pub(super) fn sign(state: &State, by: &Actor, id: GateId) -> Result<Vec<Event>, Refusal> {
    let (phase, section, gate) =
        state.plan().and_then(|plan| plan.gate(&id)).ok_or_else(|| unknown("gate", &id))?;
    let deed = if gate.roles.contains(&by.role) { Deed::Speak } else { Deed::Item(phase.owner) };
    permit(by, deed)?;
    let what = || format!("{:?} cannot be signed", gate.title);
    if !gate.roles.is_empty() && !gate.roles.contains(&by.role) {
        let roles: Vec<_> = gate.roles.iter().map(|role| role.word()).collect();
        return Err(not_yet(what(), format!("it is for {}", roles.join(", ")), "ask one of them"));
    }
    if state.phase(phase) != PhaseStatus::Active {
        return Err(not_yet(
            what(),
            format!("{:?} is not being worked on", phase.title),
            "start the phase first",
        ));
    }
    let signed = state.signatures.get(&id).map_or(&[][..], Vec::as_slice);
    if signed.iter().any(|signature| signature.by.name == by.name) {
        // One person, one signature: otherwise two roles of one person would pass for two people.
        let wanted = gate.people > 1 || signed.iter().any(|signature| signature.by.role == by.role);
        if wanted || state.gate_is_signed(gate) {
            return Err(Refusal::Already(format!("{} signed {:?}", by.name, gate.title)));
        }
    }
    if let Some(open) = section.all_items().find(|item| !state.item(&item.id).is_settled()) {
        return Err(not_yet(what(), format!("{:?} is open", open.text), "settle the items above it first"));
    }
    let mut events = vec![Event::Signed { gate: id }];
    if state.mocked().is_some() {
        let text = format!("{:?} is signed on MOCK data: nothing of Pulse's is imported", gate.title);
        events.push(Event::Noted { item: None, kind: NoteKind::Deviation, text });
    }
    Ok(events)
}

pub(super) fn close(state: &State, by: &Actor, ending: Ending) -> Result<Vec<Event>, Refusal> {
    permit(by, Deed::Call)?;
    let plan = state.plan().ok_or(Refusal::NotOpen)?;
    let what = || format!("the run cannot end as {}", ending.words());
    if let Some(job) = state.jobs.values().find(|job| !job.is_over()) {
        let because = format!("job {} ({}) is not over", job.id, job.kind.title());
        return Err(not_yet(what(), because, "wait for it, or cancel it"));
    }
    if ending.is_success() {
        in_place(state, what)?;
        if ending == Ending::Success && state.mocked().is_some() {
            return Err(not_yet(
                what(),
                "MOCK data stand in the place of Pulse's contacts",
                "import from Pulse first, or end it with minor issues",
            ));
        }
        let open = plan.checklist.phases.iter().find(|phase| !state.phase_is_go(&phase.id));
        if let Some(phase) = open {
            return Err(not_yet(
                what(),
                format!("{:?} has no GO", phase.title),
                "bring it through its gate first",
            ));
        }
    } else if ending == Ending::CalledOff {
        if let Some(job) = state.first_change() {
            let because = format!("job {} ({}) may have changed something", job.id, job.kind.title());
            return Err(not_yet(what(), because, "take it back, and end it as a rollback"));
        }
    } else if state.taken_back.is_empty() {
        let next = match state.first_change() {
            Some(_) => "roll back first, or end it as a success",
            None => "nothing was changed either: end it as called off",
        };
        return Err(not_yet(what(), "nothing was taken back", next));
    }
    Ok(vec![Event::Closed { ending }])
}
