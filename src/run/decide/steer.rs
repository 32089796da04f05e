//! How running work may be steered: what is refused, and on which grounds. What a wish does is the worker's; that it was
//! wished, by whom and when, is a fact as soon as it is let through here.

use super::jobs::open_job;
use super::{Refusal, not_yet, permit, unknown};
use crate::plan::RungKind;
use crate::run::event::{Actor, Event};
use crate::run::job::{Job, JobId, JobKind, Nature, Step, StepOutcome, StepStatus};
use crate::run::permission::Deed;
use crate::run::state::State;
use crate::run::steer::{Extent, PACES, Session, Steer, hold, left_out, let_by, pace};

pub(super) fn steer(state: &State, by: &Actor, id: JobId, steer: Steer) -> Result<Vec<Event>, Refusal> {
    let job = open_job(state, id)?;
    permit(by, Deed::of_job(&job.kind))?;
    if let Steer::End { .. } = steer {
        permit(by, Deed::EndSession)?;
    }
    may(job, &steer)?;
    Ok(vec![Event::JobSteered { job: id, steer }])
}

/// Whether a job takes that wish as it stands, whoever has it.
///
/// # Errors
/// Why not.
pub fn may(job: &Job, steer: &Steer) -> Result<(), Refusal> {
    let steerable = matches!(
        job.kind,
        JobKind::MigrateUp { .. }
            | JobKind::MigrateDown { .. }
            | JobKind::Rollback { kind: RungKind::Database, .. }
    );
    if !steerable {
        let what = format!("{} cannot be steered", job.kind.title());
        return Err(not_yet(what, "only migrations listen", "pause it, or cancel it"));
    }
    let steered = &job.steered;
    match steer {
        Steer::Pace { percent } if !PACES.contains(percent) => Err(Refusal::Words(format!(
            "a pace is between {} and {} %, not {percent} %",
            PACES.start(),
            PACES.end()
        ))),
        Steer::Pace { percent } if pace(steered) == *percent => {
            Err(Refusal::Already(format!("the pace is {percent} %")))
        }
        Steer::Hold if matches!(job.kind, JobKind::Rollback { .. }) => {
            Err(not_yet("a way back is not held", "its steps are taken as one", "pause it, or cancel it"))
        }
        Steer::Hold if hold(steered).is_some() => {
            Err(Refusal::Already("locks that stop clients wait for a person".into()))
        }
        Steer::Release if hold(steered).is_none() => {
            Err(Refusal::Already("no lock waits for a person".into()))
        }
        Steer::Pace { .. } | Steer::Hold | Steer::Release => Ok(()),
        Steer::Let { step } => may_let(job, step),
        Steer::LeaveOut { step } => may_leave_out(job, step),
        Steer::End { session, what, typed } => may_end(job, session, *what, typed),
    }
}

fn find<'a>(job: &'a Job, name: &str) -> Result<&'a Step, Refusal> {
    job.steps.iter().find(|step| *step.plan.name == *name).ok_or_else(|| unknown("step", &name))
}

fn may_let(job: &Job, name: &str) -> Result<(), Refusal> {
    let step = find(job, name)?;
    if let StepStatus::Ended { .. } = step.status {
        return Err(Refusal::Already(format!("{name} is over")));
    }
    if let Some(by) = let_by(&job.steered, name) {
        return Err(Refusal::Already(format!("{} let {name} go on", by.by.name)));
    }
    let waits =
        step.plan.nature == Nature::NoReturn || (step.plan.lock.is_some() && hold(&job.steered).is_some());
    if waits { Ok(()) } else { Err(Refusal::Already(format!("{name} does not wait for a person"))) }
}

fn may_leave_out(job: &Job, name: &str) -> Result<(), Refusal> {
    let step = find(job, name)?;
    let what = || format!("{name} cannot be left out");
    if left_out(&job.steered, name).is_some() {
        return Err(Refusal::Already(format!("{name} is left out")));
    }
    match (step.plan.nature, &step.status) {
        (Nature::Index, StepStatus::Waiting) => Ok(()),
        (Nature::Index, StepStatus::Running { .. }) => {
            Err(not_yet(what(), "it is being built", "cancel the job; what is begun of it is cleared away"))
        }
        (Nature::Index, StepStatus::Ended { .. }) => Err(Refusal::Already(format!("{name} is over"))),
        _ => Err(not_yet(
            what(),
            "more than speed depends on it",
            "only an index that no rule and no later statement needs can be left out",
        )),
    }
}

fn may_end(job: &Job, session: &Session, what: Extent, typed: &str) -> Result<(), Refusal> {
    let typed = typed.trim();
    let named = typed == session.pid.to_string() || (!typed.is_empty() && typed == session.app);
    if !named {
        let app = if session.app.is_empty() { String::new() } else { format!(" or {:?}", session.app) };
        return Err(Refusal::Words(format!(
            "another's session is ended only when its process id is typed: {}{app}, not {typed:?}",
            session.pid
        )));
    }
    if session.app.starts_with("gonogo") {
        return Err(not_yet(
            format!("{session} is not ended"),
            "it is a session of gonogo itself",
            "cancel the job instead",
        ));
    }
    let same = |wanted: Extent| {
        job.steered.iter().filter(move |one| match &one.steer {
            Steer::End { session: other, what, .. } => *what == wanted && other.is(session),
            _ => false,
        })
    };
    if same(what).any(|one| one.answer.is_none()) {
        return Err(Refusal::Already(format!("{session} is being ended")));
    }
    // A session that runs nothing has nothing to cancel; of one that does, only as much is ended as must be.
    let idle = session.state.starts_with("idle");
    let tried = same(Extent::Query).any(|one| one.answer.is_some());
    if what == Extent::Session && !idle && !tried {
        return Err(not_yet(
            format!("{session} is not ended"),
            "its query was not cancelled first",
            "cancel the query; where that does not help, end the session",
        ));
    }
    Ok(())
}

pub(super) fn answered(
    state: &State,
    id: JobId,
    place: u32,
    outcome: StepOutcome,
) -> Result<Vec<Event>, Refusal> {
    let job = open_job(state, id)?;
    let steered = job.steered.get(place as usize).ok_or_else(|| unknown("wish", &place))?;
    if steered.answer.is_some() {
        return Err(Refusal::Already("that wish is answered".into()));
    }
    Ok(vec![Event::SteerAnswered { job: id, steer: place, outcome }])
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::plan::Role;
    use crate::run::command::{Command, Report};
    use crate::run::job::StepPlan;
    use crate::run::tests::Fold;

    const JOB: JobId = JobId(1);

    fn running() -> Fold {
        let mut fold = Fold::opened();
        fold.must("dora", Role::Dba, Command::Request(JobKind::MigrateDown { to: None }));
        let machine = |fold: &mut Fold, report| fold.must("migrate", Role::Machine, Command::Report(report));
        machine(&mut fold, Report::Started { job: JOB, cockpit: "here".into() });
        let step = |name: &str, nature, lock: Option<&str>| StepPlan {
            name: name.into(),
            nature,
            lock: lock.map(Into::into),
            ..StepPlan::default()
        };
        let steps = vec![
            step("alter", Nature::Plain, Some("ACCESS EXCLUSIVE on contacts")),
            step("index", Nature::Index, None),
            step("unique", Nature::Plain, None),
            step("beyond", Nature::NoReturn, None),
        ];
        machine(&mut fold, Report::Planned { job: JOB, steps });
        fold
    }

    fn wish(steer: Steer) -> Command {
        Command::Steer { job: JOB, steer }
    }

    fn session(state: &str) -> Session {
        Session {
            pid: 4711,
            since: DateTime::from_timestamp(1_790_000_000, 0).expect("a valid moment"),
            app: "worker-2".into(),
            user: "app".into(),
            state: state.into(),
            age: 180.0,
        }
    }

    #[test]
    fn pace_and_hold_are_for_whoever_migrates() {
        let mut fold = running();
        assert!(fold.refused("omar", Role::Devops, wish(Steer::Hold)).contains("dba may"));
        fold.must("dora", Role::Dba, wish(Steer::Hold));
        assert!(fold.refused("dora", Role::Dba, wish(Steer::Hold)).contains("nothing to do"));
        fold.must("lea", Role::Lead, wish(Steer::Release));
        assert!(fold.refused("lea", Role::Lead, wish(Steer::Release)).contains("nothing to do"));
        assert!(
            fold.refused("dora", Role::Dba, wish(Steer::Pace { percent: 5 })).contains("between 10 and 400")
        );
        fold.must("dora", Role::Dba, wish(Steer::Pace { percent: 50 }));
        let steered = &fold.state.jobs[&JOB].steered;
        assert_eq!((steered.len(), pace(steered), &*steered[2].by.name), (3, 50, "dora"));
    }

    #[test]
    fn a_step_is_let_only_where_it_waits() {
        let mut fold = running();
        let let_go = |step: &str| wish(Steer::Let { step: step.into() });
        assert!(fold.refused("dora", Role::Dba, let_go("alter")).contains("does not wait"));
        assert!(fold.refused("dora", Role::Dba, let_go("altar")).contains("no step"));
        fold.must("dora", Role::Dba, let_go("beyond"));
        assert!(fold.refused("lea", Role::Lead, let_go("beyond")).contains("dora let"));
        fold.must("dora", Role::Dba, wish(Steer::Hold));
        fold.must("dora", Role::Dba, let_go("alter"));
    }

    #[test]
    fn only_an_index_that_waits_is_left_out() {
        let mut fold = running();
        let leave = |step: &str| wish(Steer::LeaveOut { step: step.into() });
        assert!(fold.refused("dora", Role::Dba, leave("unique")).contains("more than speed"));
        fold.must("dora", Role::Dba, leave("index"));
        let mut fold = running();
        fold.must("migrate", Role::Machine, Command::Report(Report::StepStarted { job: JOB, step: 1 }));
        assert!(fold.refused("dora", Role::Dba, leave("index")).contains("is being built"));
    }

    #[test]
    fn anothers_session_is_ended_by_its_typed_name_and_its_query_first() {
        let mut fold = running();
        let end = |state: &str, what, typed: &str| {
            wish(Steer::End { session: session(state), what, typed: typed.into() })
        };
        let why = fold.refused("dora", Role::Dba, end("active", Extent::Query, "47"));
        assert!(why.contains("4711 or \"worker-2\""), "{why}");
        let why = fold.refused("omar", Role::Devops, end("active", Extent::Query, "4711"));
        assert!(why.contains("may not"), "{why}");
        let why = fold.refused("dora", Role::Dba, end("active", Extent::Session, "4711"));
        assert!(why.contains("not cancelled first"), "{why}");
        fold.must("dora", Role::Dba, end("active", Extent::Query, "worker-2"));
        let why = fold.refused("lea", Role::Lead, end("active", Extent::Query, "4711"));
        assert!(why.contains("is being ended"), "{why}");
        let outcome = StepOutcome::NotRun { because: "it went on".into() };
        let answer = Command::Report(Report::Answered { job: JOB, steer: 0, outcome });
        fold.must("migrate", Role::Machine, answer.clone());
        assert!(fold.refused("migrate", Role::Machine, answer).contains("answered"));
        fold.must("dora", Role::Dba, end("active", Extent::Session, "4711"));

        let mut fold = running();
        fold.must("dora", Role::Dba, end("idle in transaction", Extent::Session, "4711"));
        let own = Session { app: "gonogo canary".into(), ..session("idle") };
        let own = wish(Steer::End { session: own, what: Extent::Session, typed: "4711".into() });
        assert!(fold.refused("dora", Role::Dba, own).contains("gonogo itself"));
    }
}
