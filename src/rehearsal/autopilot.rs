//! An operator who follows the plan: does what `run::next` says in the seat it belongs to, answers what only people can
//! answer with what the plan expects, waits for what only time brings, goes on with mock data when Pulse is down, and takes
//! the release back when an alert or a failure says so.
//!
//! It has no door of its own: it gives the same commands through the same store as a person, and a rule that refuses a
//! person refuses it.

mod mock;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use self::mock::Instead;
use crate::plan::schedule::schedule;
use crate::plan::{Check, Item, ItemId, ItemKind, PhaseId, PhaseKind, Plan, Role, Rung, RungKind, Severity};
use crate::run::event::Ending;
use crate::run::judge::Verdict;
use crate::run::next::{Next, next};
use crate::run::state::{Guard, ItemState};
use crate::run::{Actor, Command, JobKind, State};
use crate::store::{Store, SubmitError};

/// Waits longer than this are jumped over where only time would end them.
const JUMP: TimeDelta = TimeDelta::hours(4);
/// What is jumped to lies so far ahead of the awaited moment that the gauges can be read anew.
const LANDING: TimeDelta = TimeDelta::minutes(5);
/// So long passes before what failed is tried again: most of what a network does is over by then.
const BREATH: TimeDelta = TimeDelta::minutes(1);
/// A failed item is tried again so often.
const TRIES: u32 = 2;
/// For so long a gate that is held by its gauges is waited for.
const PATIENCE: TimeDelta = TimeDelta::minutes(30);
/// How often it looks again when nothing changed, in the run's time.
const LOOK: Duration = Duration::from_secs(5);

/// What an autopilot remembers; everything else is in the state.
#[derive(Debug, Default)]
struct Memory {
    tries: BTreeMap<ItemId, u32>,
    held: Option<(PhaseId, DateTime<Utc>)>,
    gave_up: Option<String>,
}

/// How far the autopilot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the end of the run.
    Over,
    /// To the door of the phase of this number; there it hands over.
    Phase(u8),
}

/// Follows the plan. Returns when it has come so far, or when nothing more can be done.
pub async fn follow(store: &Store, until: Until) {
    let mut memory = Memory::default();
    let mut state = store.state();
    loop {
        let now = Arc::clone(&state.borrow_and_update());
        if let (Until::Phase(number), Next::Start(phase)) = (until, next(&now, store.clock().now()))
            && now.plan().and_then(|plan| plan.phase(&phase)?.number()).is_some_and(|here| here >= number)
        {
            return;
        }
        if now.run.is_some() {
            match act(store, &now, &mut memory).await {
                Then::Again => continue,
                Then::Wait => {}
                Then::Over => return,
            }
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            () = store.clock().sleep(LOOK) => {}
        }
    }
}

/// What to do after an act.
enum Then {
    /// Look at once.
    Again,
    /// Wait for a change.
    Wait,
    /// Nothing more.
    Over,
}

async fn act(store: &Store, state: &State, memory: &mut Memory) -> Then {
    let clock = store.clock();
    if memory.gave_up.is_some() {
        return leave(store, state, memory).await;
    }
    let Some(plan) = state.plan().cloned() else { return Then::Wait };
    let next = next(state, clock.now());
    if let Next::Item(item) | Next::Failed(item) = &next {
        match mock::of(state, &plan, item) {
            Some(Instead::Give(role, command)) => return give(store, role, command).await,
            Some(Instead::GiveUp(why)) => {
                memory.gave_up = Some(why);
                return Then::Again;
            }
            None => {}
        }
    }
    match next {
        Next::Over => Then::Over,
        Next::Open | Next::Job(_) => Then::Wait,
        Next::Start(phase) => start(store, state, &plan, phase).await,
        Next::Item(item) => settle(store, state, &plan, item).await,
        Next::Wait(_, at) => await_moment(store, at).await,
        Next::Answer(job) => {
            // To go on with less than the plan allows is for people to decide.
            let question = state.jobs.get(&job).and_then(|job| job.question());
            memory.gave_up = question.map(|question| format!("{job} asks: {}", question.what));
            Then::Again
        }
        Next::Failed(item) => {
            if tries_again(state, &plan, &item).is_some_and(|at| at > clock.now()) {
                return Then::Wait;
            }
            let tries = memory.tries.entry(item.clone()).or_default();
            *tries += 1;
            if *tries <= TRIES && worth_another_try(state, &item) {
                return give(store, owner(state, &item), Command::Run(item)).await;
            }
            if let Some(mock) = mock::wanted(state, &plan, &item)
                && let Then::Again = give(store, Role::Lead, mock).await
            {
                return Then::Again;
            }
            memory.gave_up = Some(format!("{item} failed"));
            Then::Again
        }
        Next::Sign(gate, role) => {
            let signed = give(store, role, Command::Sign(gate.clone())).await;
            if matches!(signed, Then::Again) {
                return signed;
            }
            // This seat has signed, and the gate wants another person.
            for role in Role::PEOPLE {
                if let Then::Again = give(store, role, Command::Sign(gate.clone())).await {
                    return Then::Again;
                }
            }
            Then::Wait
        }
        Next::Go(phase) => {
            memory.held = None;
            give(store, Role::Lead, Command::Go(phase)).await
        }
        Next::Held(phase, why) => {
            let since = match &memory.held {
                Some((held, since)) if *held == phase => *since,
                _ => clock.now(),
            };
            memory.held = Some((phase.clone(), since));
            if clock.now() - since > PATIENCE {
                let reason = why.join("; ");
                give(store, Role::Lead, Command::NoGo { phase, reason: reason.clone() }).await;
                memory.gave_up = Some(reason);
                return Then::Again;
            }
            Then::Wait
        }
        Next::Alert(metric) => {
            let severity = plan.metric(&metric).map(|metric| metric.severity);
            if severity == Some(Severity::Critical) {
                memory.gave_up = Some(format!("the alert on {metric} is firing"));
                return Then::Again;
            }
            give(store, Role::Devops, Command::Acknowledge(metric)).await
        }
        Next::TakenBack => leave(store, state, memory).await,
        Next::Close => {
            let deviated = !state.notes.is_empty();
            let ending = if deviated { Ending::SuccessWithMinorIssues } else { Ending::Success };
            give(store, Role::Lead, Command::Close(ending)).await
        }
    }
}

/// A phase is begun when it is planned to, not before; the guard over the way out is opened with the first.
async fn start(store: &Store, state: &State, plan: &Plan, phase: PhaseId) -> Then {
    let clock = store.clock();
    let found = plan.phase(&phase);
    let numbered = found.is_some_and(|phase| matches!(phase.kind, PhaseKind::Numbered(_)));
    if numbered {
        let opened = state.run.as_ref().map_or_else(|| clock.now(), |run| run.opened);
        let day = plan.day.unwrap_or_else(|| opened.with_timezone(&plan.timezone).date_naive());
        let planned = schedule(plan, day).slot(&phase).map(|slot| slot.starts);
        if let Some(planned) = planned.filter(|planned| *planned > clock.now()) {
            return await_moment(store, planned).await;
        }
        if state.guard == Guard::Closed {
            give(store, Role::Lead, Command::Arm).await;
        }
    }
    let role = found.and_then(|phase| phase.owner).unwrap_or(Role::Lead);
    give(store, role, Command::StartPhase(phase)).await
}

async fn settle(store: &Store, state: &State, plan: &Plan, id: ItemId) -> Then {
    let Some((_, item)) = plan.item(&id) else { return Then::Wait };
    let role = owner(state, &id);
    if item.action.is_some() || item.check.is_some() {
        return give(store, role, Command::Run(id)).await;
    }
    let value = answer(state, item);
    give(store, role, Command::Tick { item: id, value }).await
}

/// What a person would answer, if all is as planned.
fn answer(state: &State, item: &Item) -> Option<String> {
    match &item.kind {
        ItemKind::Tick => None,
        ItemKind::Value { expect } => {
            let expect = expect.as_deref().unwrap_or("as planned");
            Some(format!("rehearsed ({expect})"))
        }
        ItemKind::Choice { of } => {
            // The plan lists the best answer first, and after it the one for a day on which not all is as it should be. Before
            // the release is live, a gauge that says nothing is no news.
            let live = state.last_job(|kind| *kind == JobKind::Deploy).is_some();
            let doubtful = state.health.values().any(|health| !matches!(health.verdict, Verdict::Ok));
            let second =
                !state.alerts.is_empty() || (of.len() > 2 && ((live && doubtful) || state.mock.is_some()));
            (if second { of.get(1).or(of.first()) } else { of.first() }).cloned()
        }
    }
}

fn worth_another_try(state: &State, item: &ItemId) -> bool {
    let found = state.plan().and_then(|plan| plan.item(item));
    found.is_some_and(|(_, item)| item.action.is_some() || item.check.is_some())
}

/// When what failed is tried again: not before something else can have come of it. A gauge says something else after its window.
fn tries_again(state: &State, plan: &Plan, id: &ItemId) -> Option<DateTime<Utc>> {
    let ItemState::Failed { at, .. } = state.item(id) else { return None };
    let (_, item) = plan.item(id)?;
    let pause = match &item.check {
        Some(Check::Metric { name }) => {
            TimeDelta::from_std(plan.metric(&name.as_str().into())?.window).ok()?
        }
        _ => BREATH,
    };
    at.checked_add_signed(pause)
}

fn owner(state: &State, item: &ItemId) -> Role {
    state.owner(item).unwrap_or(Role::Lead)
}

async fn await_moment(store: &Store, at: DateTime<Utc>) -> Then {
    if at - store.clock().now() > JUMP
        && let Err(error) = store.jump_to(at - LANDING).await
    {
        tracing::error!(%error, "the wait was not jumped over");
    }
    Then::Wait
}

/// The way out: take back what is live, the cheapest first, then end the run.
async fn leave(store: &Store, state: &State, memory: &Memory) -> Then {
    let Some(plan) = state.plan() else { return Then::Over };
    if state.ended().is_some() {
        return Then::Over;
    }
    let open: Vec<_> = state.jobs.values().filter(|job| !job.is_over()).collect();
    if let Some(rollback) = open.iter().find(|job| matches!(job.kind, JobKind::Rollback { .. })) {
        tracing::debug!(job = %rollback.id, "a rollback runs");
        return Then::Wait;
    }
    if let Some(rung) = rung(state, plan) {
        if state.guard == Guard::Closed {
            return give(store, Role::Lead, Command::Arm).await;
        }
        let role = if rung.kind == RungKind::Database { Role::Dba } else { Role::Devops };
        return give(store, role, Command::Rollback { rung: rung.order, confirmed: rung.confirm.clone() })
            .await;
    }
    for job in &open {
        // What was cancelled ends by itself; anything else must not outlive the run.
        give(store, Role::Lead, Command::Cancel(job.id)).await;
    }
    if !open.is_empty() {
        return Then::Wait;
    }
    if let Some(why) = &memory.gave_up {
        let kind = crate::run::event::NoteKind::Deviation;
        let text = format!("the plan was left: {why}");
        if !state.notes.iter().any(|note| note.text == text) {
            give(store, Role::Lead, Command::Note { item: None, kind, text }).await;
        }
    }
    let all = state
        .taken_back
        .iter()
        .any(|order| plan.ladder.iter().any(|rung| rung.order == *order && rung.kind != RungKind::Flag));
    let ending = match (all, state.taken_back.is_empty()) {
        (true, _) => Ending::FullRollback,
        (false, false) => Ending::PartialRollback,
        (false, true) => Ending::CalledOff,
    };
    match give(store, Role::Lead, Command::Close(ending)).await {
        Then::Again => Then::Again,
        // Nothing could be taken back and the run cannot be closed: it is left open, as a person would find it.
        _ => Then::Over,
    }
}

/// The next rung to take: none once one was verified and its trouble is over; the next one where one failed.
fn rung<'a>(state: &State, plan: &'a Plan) -> Option<&'a Rung> {
    if !state.taken_back.is_empty() {
        return None;
    }
    let deploy = state.last_job(|kind| *kind == JobKind::Deploy);
    let live = deploy.is_some_and(crate::run::Job::succeeded);
    let migrated = state.last_job(|kind| matches!(kind, JobKind::MigrateUp { .. })).is_some();
    plan.ladder.iter().find(|rung| {
        let tried = state
            .last_job(|kind| matches!(kind, JobKind::Rollback { rung: order, .. } if *order == rung.order));
        let there = match rung.kind {
            RungKind::Flag => live,
            // Of a deployment that failed nobody knows how far it came.
            RungKind::Deployment => deploy.is_some(),
            // With the release live this is for people to decide; before it, it is the only thing to take back.
            RungKind::Database => migrated && deploy.is_none(),
        };
        there && tried.is_none()
    })
}

async fn give(store: &Store, role: Role, command: Command) -> Then {
    // The seats have no people in them, so they sign with their roles.
    let by = Actor::person(role.word(), role);
    match store.submit(&by, command).await {
        Ok(_) => Then::Again,
        Err(SubmitError::Refused(refusal)) => {
            tracing::info!(%refusal, %role, "the autopilot was refused");
            Then::Wait
        }
        Err(SubmitError::Store(error)) => {
            tracing::error!(%error, "the autopilot could not write");
            Then::Wait
        }
    }
}
