//! An event in words: one line for the log of the cockpit and for whoever has no screen. Pure; total over every event.
//!
//! The state lends titles to ids (an item's text, a job's kind). Without it, or where the plan no longer has the id, the
//! id itself is said: a line is never missing because something else is.

use super::event::{Event, NoteKind, Record};
use super::job::{JobId, Outcome, StepOutcome};
use super::state::State;
use super::steer::{Extent, Steer};
use crate::plan::{GateId, ItemId, MetricId, PhaseId};

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// A detail of something larger.
    Detail,
    /// As planned.
    Plain,
    /// A person should know.
    Warn,
    /// A person must act.
    Bad,
}

/// What happened, in one line without time and actor.
pub fn words(record: &Record, state: Option<&State>) -> String {
    let names = Names(state);
    match &record.event {
        Event::Opened { plan, mode } => {
            let mode = match mode {
                super::Mode::Live => "LIVE",
                super::Mode::Rehearsal => "rehearsal",
            };
            format!("opened the run of {} {} ({mode})", plan.name, plan.version)
        }
        Event::Replanned { plan } => format!("read the plan of {} {} again", plan.name, plan.version),
        Event::Joined => "joined".into(),
        Event::PhaseStarted { phase } => format!("began {}", names.phase(phase)),
        Event::Go { phase, evidence } => format!("GO for {}: {evidence}", names.phase(phase)),
        Event::NoGo { phase, reason } => format!("NO-GO for {}: {reason}", names.phase(phase)),
        Event::ItemDone { item, value, evidence } => {
            let value = value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            let proof = evidence.as_ref().map(|proof| format!("; {proof}")).unwrap_or_default();
            format!("done: {}{value}{proof}", names.item(item))
        }
        Event::ItemSkipped { item, reason } => format!("skipped: {}; {reason}", names.item(item)),
        Event::ItemFailed { item, reason } => format!("failed: {}; {reason}", names.item(item)),
        Event::ItemReopened { item, reason } => format!("reopened: {}; {reason}", names.item(item)),
        Event::Noted { item, kind, text } => {
            let kind = match kind {
                NoteKind::Note => "note",
                NoteKind::Deviation => "deviation",
            };
            let on = item.as_ref().map(|item| format!(" on {}", names.item(item))).unwrap_or_default();
            format!("{kind}{on}: {}", text.replace('\n', " / "))
        }
        Event::Signed { gate } => format!("signed {}", names.gate(gate)),
        Event::Armed => "armed the way out".into(),
        Event::Disarmed => "closed the guard over the way out".into(),
        Event::VerdictChanged { metric, verdict, reading } => {
            // The reason alone: that there is none to read, or that it failed, the verdict says.
            let said = ["failed: ", "no data: "].into_iter().find_map(|kind| reading.strip_prefix(kind));
            format!("{} is {}: {}", names.metric(metric), verdict.word(), said.unwrap_or(reading))
        }
        Event::AlertFired { metric, reading, .. } => format!("ALERT on {}: {reading}", names.metric(metric)),
        Event::AlertCleared { metric } => format!("the alert on {} ended", names.metric(metric)),
        Event::AlertAcknowledged { metric } => format!("saw the alert on {}", names.metric(metric)),
        Event::FaultInjected { fault } => format!("threw the fault {fault} in"),
        Event::FaultCleared { fault } => format!("took the fault {fault} away"),
        Event::Synced { imported, updated, unchanged: _, failed, conflicts } => {
            let wait = match conflicts {
                0 => String::new(),
                1 => ", 1 waits for a person to decide".into(),
                n => format!(", {n} wait for a person to decide"),
            };
            format!("sync pass: {imported} new, {updated} updated, {failed} failed{wait}")
        }
        Event::SyncFailed { what } => format!("the sync does not pass: {what}"),
        Event::PulseFailed { job, what } => format!("Pulse failed {}: {what}", names.job(*job)),
        Event::Held { what, why } => format!("switched {what} off: {why}"),
        Event::Released { what } => format!("switched {what} on again"),
        Event::Paced { share } => format!("let the import work {share} % of the time"),
        Event::Mocked { why } => {
            format!("goes on with MOCK data in the place of Pulse's, of which NOTHING is imported: {why}")
        }
        Event::HistoryRead { contacts, interactions, failed } => {
            let failed = if *failed > 0 { format!(", {failed} contacts failed") } else { String::new() };
            format!("history read: {interactions} interactions of {contacts} contacts{failed}")
        }
        Event::Closed { ending } => format!("closed the run: {}", ending.words()),
        job => of_job(job, &names),
    }
}

fn of_job(event: &Event, names: &Names<'_>) -> String {
    match event {
        Event::JobRequested { job, kind, item } => {
            let on = item.as_ref().map(|item| format!(" for {}", names.item(item))).unwrap_or_default();
            format!("asked for {} {job}{on}", kind.title())
        }
        Event::JobStarted { job, attempt: 1, cockpit } => format!("{} began in {cockpit}", names.job(*job)),
        Event::JobStarted { job, attempt, cockpit } => {
            format!("{} goes on in {cockpit}, attempt {attempt}", names.job(*job))
        }
        Event::JobPlanned { job, steps } => format!("{}: {} steps planned", names.job(*job), steps.len()),
        Event::StepStarted { job, step } => format!("{}: {}", names.job(*job), names.step(*job, *step)),
        Event::StepEnded { job, step, outcome } => {
            format!("{}: {} {}", names.job(*job), names.step(*job, *step), of_step(outcome))
        }
        Event::JobPaused { job } => format!("asked {} to pause", names.job(*job)),
        Event::JobResumed { job } => format!("let {} go on", names.job(*job)),
        Event::JobCancelling { job } => format!("asked {} to give up", names.job(*job)),
        Event::JobSteered { job, steer } => {
            let job = names.job(*job);
            match steer {
                Steer::Pace { percent } => format!("{job} at a pace of {percent} % from now on"),
                Steer::Hold => format!("{job} is to wait before the next lock that stops clients"),
                Steer::Release => format!("{job} need not wait before locks any more"),
                Steer::Let { step } => format!("{job}: let it go on: {step}"),
                Steer::LeaveOut { step } => format!("{job}: left out: {step}"),
                Steer::End { session, what, .. } => {
                    let what = match what {
                        Extent::Query => "cancel the query of",
                        Extent::Session => "end the session of",
                    };
                    format!("{job}: {what} {session}, {} for {:.0} s", session.state, session.age)
                }
            }
        }
        Event::SteerAnswered { job, outcome, .. } => format!("{}: {}", names.job(*job), of_step(outcome)),
        Event::JobAsked { job, question } => {
            format!("{} asks: {}; to go on means: {}", names.job(*job), question.what, question.going_on)
        }
        Event::JobAnswered { job, reason } => {
            format!("decided that {} goes on: {reason}", names.job(*job))
        }
        Event::JobEnded { job, outcome } => match outcome {
            Outcome::Succeeded { summary, .. } => format!("{} ended well: {summary}", names.job(*job)),
            Outcome::Failed { failure } => format!("{} FAILED: {failure}", names.job(*job)),
            Outcome::Cancelled { state } => format!("{} was cancelled: {state}", names.job(*job)),
        },
        // `words` has said all others.
        _ => String::new(),
    }
}

fn of_step(outcome: &StepOutcome) -> String {
    match outcome {
        StepOutcome::Done { note: None } => "done".into(),
        StepOutcome::Done { note: Some(note) } => format!("done, {note}"),
        StepOutcome::Skipped { why } => format!("not needed: {why}"),
        StepOutcome::Failed { failure } => format!("FAILED: {failure}"),
        StepOutcome::NotRun { because } => format!("not run: {because}"),
    }
}

/// How loud that is.
pub fn tone(event: &Event) -> Tone {
    match event {
        Event::AlertFired { .. }
        | Event::ItemFailed { .. }
        | Event::JobAsked { .. }
        | Event::JobEnded { outcome: Outcome::Failed { .. }, .. }
        | Event::SteerAnswered { outcome: StepOutcome::Failed { .. }, .. }
        | Event::StepEnded { outcome: StepOutcome::Failed { .. }, .. } => Tone::Bad,
        Event::NoGo { .. }
        | Event::ItemSkipped { .. }
        | Event::ItemReopened { .. }
        | Event::Noted { kind: NoteKind::Deviation, .. }
        | Event::FaultInjected { .. }
        | Event::JobCancelling { .. }
        | Event::JobPaused { .. }
        | Event::SyncFailed { .. }
        | Event::PulseFailed { .. }
        | Event::Held { .. }
        | Event::Mocked { .. }
        | Event::JobSteered {
            steer: Steer::Let { .. } | Steer::LeaveOut { .. } | Steer::End { .. }, ..
        }
        | Event::JobAnswered { .. }
        | Event::JobEnded { outcome: Outcome::Cancelled { .. }, .. } => Tone::Warn,
        Event::VerdictChanged { verdict, .. } if *verdict != super::judge::Verdict::Ok => Tone::Warn,
        Event::JobStarted { .. }
        | Event::JobPlanned { .. }
        | Event::StepStarted { .. }
        | Event::StepEnded { .. } => Tone::Detail,
        _ => Tone::Plain,
    }
}

/// Titles for ids, where the state has them.
struct Names<'a>(Option<&'a State>);

impl Names<'_> {
    fn phase(&self, id: &PhaseId) -> String {
        let phase = self.0.and_then(|state| state.plan()?.phase(id));
        phase.map_or_else(|| id.to_string(), |phase| phase.title.clone())
    }

    fn item(&self, id: &ItemId) -> String {
        let found = self.0.and_then(|state| state.plan()?.item(id));
        found.map_or_else(|| id.to_string(), |(_, item)| item.text.clone())
    }

    fn gate(&self, id: &GateId) -> String {
        let found = self.0.and_then(|state| state.plan()?.gate(id));
        found.map_or_else(|| id.to_string(), |(_, _, gate)| gate.title.clone())
    }

    fn metric(&self, id: &MetricId) -> String {
        let metric = self.0.and_then(|state| state.plan()?.metric(id));
        metric.map_or_else(|| id.to_string(), |metric| metric.label.clone())
    }

    fn job(&self, id: JobId) -> String {
        let job = self.0.and_then(|state| state.jobs.get(&id));
        job.map_or_else(|| format!("job {id}"), |job| format!("{} {id}", job.kind.title()))
    }

    fn step(&self, job: JobId, step: u32) -> String {
        let found = self.0.and_then(|state| state.jobs.get(&job)?.steps.get(step as usize));
        found.map_or_else(|| format!("step {}", step + 1), |step| step.plan.name.to_string())
    }
}

#[cfg(test)]
mod tests;
