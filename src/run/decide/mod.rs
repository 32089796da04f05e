//! Every rule of a run: who may do what, what must come before what, what a gate needs. Pure; asked by the store inside
//! the transaction that appends, on the newest state, so that two cockpits cannot both win.

mod emergency;
mod items;
mod jobs;
mod phases;
mod steer;
#[cfg(test)]
mod tests;
mod upkeep;

use chrono::{DateTime, Utc};
use thiserror::Error;

pub use phases::obstacles;
pub use steer::may;

use super::command::Command;
use super::event::{Actor, Event, Mode};
use super::permission::{Deed, allowed, who};
use super::state::State;
use crate::plan::Role;

/// Why a command was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The role may not.
    #[error("{role} may not {deed}; {who} may")]
    Role {
        /// Who asked.
        role: Role,
        /// For what.
        deed: &'static str,
        /// Who may.
        who: String,
    },
    /// The run is not opened yet.
    #[error("no run is open here; open one first")]
    NotOpen,
    /// The run is open already.
    #[error("a run is open here already, since {0}; it goes on, or close it first")]
    AlreadyOpen(DateTime<Utc>),
    /// The run is over.
    #[error("the run is closed ({0}); only notes can be added")]
    Closed(&'static str),
    /// Something that is not in the plan.
    #[error("the plan has no {what} {id:?}")]
    Unknown {
        /// A phase, an item, a gate …
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Something must come first.
    #[error("{what}: {because}; {next}")]
    NotYet {
        /// What was asked for.
        what: String,
        /// What is missing.
        because: String,
        /// What to do about it.
        next: String,
    },
    /// It is so already.
    #[error("{0}; nothing to do")]
    Already(String),
    /// Words are needed.
    #[error("{0}")]
    Words(String),
    /// Not on the day itself.
    #[error("faults are thrown into rehearsals only; this run is LIVE")]
    Live,
}

/// The events that a command makes, or why it makes none.
pub fn decide(state: &State, by: &Actor, command: Command) -> Result<Vec<Event>, Refusal> {
    if let Command::Open { plan, mode } = command {
        permit(by, Deed::Open)?;
        return match &state.run {
            Some(run) => Err(Refusal::AlreadyOpen(run.opened)),
            None => Ok(vec![Event::Opened { plan, mode }]),
        };
    }
    let run = state.run.as_ref().ok_or(Refusal::NotOpen)?;
    if let Some((_, ending)) = run.ended
        && !matches!(command, Command::Note { .. } | Command::Join | Command::Report(_))
    {
        return Err(Refusal::Closed(ending.words()));
    }
    match command {
        Command::Open { .. } => Err(Refusal::AlreadyOpen(run.opened)),
        Command::Replan { plan } => {
            permit(by, Deed::Open)?;
            if plan == run.plan {
                return Err(Refusal::Already("the plan is the same".into()));
            }
            Ok(vec![Event::Replanned { plan }])
        }
        Command::Join => Ok(vec![Event::Joined]),
        Command::StartPhase(phase) => phases::start(state, by, phase),
        Command::Go(phase) => phases::go(state, by, phase),
        Command::NoGo { phase, reason } => phases::no_go(state, by, phase, &reason),
        Command::Sign(gate) => phases::sign(state, by, gate),
        Command::Close(ending) => phases::close(state, by, ending),
        Command::Tick { item, value } => items::tick(state, by, item, value),
        Command::Skip { item, reason } => items::skip(state, by, item, &reason),
        Command::Fail { item, reason } => items::fail(state, by, item, &reason),
        Command::Reopen { item, reason } => items::reopen(state, by, item, &reason),
        Command::Note { item, kind, text } => items::note(state, by, item, kind, &text),
        Command::Run(item) => jobs::run_item(state, by, &item),
        Command::Request(kind) => jobs::request(state, by, kind, None),
        Command::Pause(job) => jobs::pause(state, by, job),
        Command::Resume(job) => jobs::resume(state, by, job),
        Command::Cancel(job) => jobs::cancel(state, by, job),
        Command::Steer { job, steer } => steer::steer(state, by, job, steer),
        Command::GoOn { job, reason } => jobs::go_on(state, by, job, &reason),
        Command::Report(report) => {
            permit(by, Deed::Report)?;
            jobs::report(state, report)
        }
        Command::Hold { what, why } => upkeep::hold(state, by, what, &why),
        Command::Release(what) => upkeep::release(state, by, what),
        Command::Pace(share) => upkeep::pace(state, by, share),
        Command::Mock { why } => upkeep::mock(state, by, &why),
        Command::Arm => emergency::arm(state, by),
        Command::Disarm => emergency::disarm(state, by),
        Command::Rollback { rung, confirmed } => emergency::rollback(state, by, rung, confirmed.as_deref()),
        Command::Acknowledge(metric) => emergency::acknowledge(state, by, metric),
        Command::Inject { fault } => {
            permit(by, Deed::Fault)?;
            rehearsed(run.mode)?;
            Ok(vec![Event::FaultInjected { fault }])
        }
        Command::Clear { fault } => {
            permit(by, Deed::Fault)?;
            rehearsed(run.mode)?;
            Ok(vec![Event::FaultCleared { fault }])
        }
    }
}

fn rehearsed(mode: Mode) -> Result<(), Refusal> {
    match mode {
        Mode::Rehearsal => Ok(()),
        Mode::Live => Err(Refusal::Live),
    }
}

pub(super) fn permit(by: &Actor, deed: Deed) -> Result<(), Refusal> {
    if allowed(by.role, deed) {
        Ok(())
    } else {
        Err(Refusal::Role { role: by.role, deed: deed.words(), who: who(deed) })
    }
}

pub(super) fn unknown(what: &'static str, id: &impl ToString) -> Refusal {
    Refusal::Unknown { what, id: id.to_string() }
}

pub(super) fn not_yet(
    what: impl Into<String>,
    because: impl Into<String>,
    next: impl Into<String>,
) -> Refusal {
    Refusal::NotYet { what: what.into(), because: because.into(), next: next.into() }
}

/// Words that say something, trimmed.
pub(super) fn said(text: &str, what: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        Err(Refusal::Words(format!("{what} needs words; none were given")))
    } else {
        Ok(text.into())
    }
}
