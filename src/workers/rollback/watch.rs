//! Whether a rollback helped: the gauges that were bad, read anew after it.
//!
//! Guarantees that only readings taken after the effect count, that a reading which still looks back past it gets the time to
//! leave it behind, and that a gauge which cannot tell is not taken for one that is well.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Taken, words};
use crate::plan::{Metric, Plan, Rung, Severity};
use crate::run::judge::{Verdict, judge, words as reading};
use crate::run::{Failure, State, StepOutcome};
use crate::workers::Desk;
use crate::workers::stop::{Stop, go_on};

/// How often the samples are looked at.
const PAUSE: Duration = Duration::from_secs(5);

/// A gauge to be watched.
struct Watched {
    metric: Metric,
    /// Whether it was beyond its alert when the rollback was asked for.
    was_bad: bool,
}

/// The critical gauges that are beyond their alerts; where none is, the error rate.
fn watched(state: &State, plan: &Plan) -> Vec<Watched> {
    let is_bad = |metric: &Metric| {
        state.alerts.contains_key(&metric.id)
            || state.health.get(&metric.id).is_some_and(|health| health.verdict == Verdict::Bad)
    };
    let bad: Vec<_> = plan
        .metrics
        .iter()
        .filter(|metric| metric.severity == Severity::Critical && is_bad(metric))
        .map(|metric| Watched { metric: metric.clone(), was_bad: true })
        .collect();
    if !bad.is_empty() {
        return bad;
    }
    let critical = |metric: &&Metric| metric.severity == Severity::Critical;
    let named = plan.metrics.iter().find(|metric| &*metric.id.0 == "error_rate");
    let one = named.or_else(|| plan.metrics.iter().find(critical));
    one.map(|metric| Watched { metric: metric.clone(), was_bad: false }).into_iter().collect()
}

/// How long to wait: twice the bound, and never less than it takes a reading to look back on nothing but the time after.
fn patience(rung: &Rung, metric: &Metric) -> Duration {
    (rung.bound * 2).max(metric.window + rung.bound + metric.fresh)
}

/// Watches until every gauge that was bad is back within its target. Answers with a line for the summary.
pub(super) async fn watch(desk: &Desk, step: u32, rung: &Rung, taken: &Taken) -> Result<String, Stop> {
    desk.step_started(step).await?;
    let Some(plan) = desk.plan() else { return Ok("no plan names a gauge".into()) };
    let watched = watched(&desk.state(), &plan);
    let mut back = Vec::new();
    for one in &watched {
        match one.wait(desk, step, rung, taken).await? {
            Ok(line) => back.push(line),
            Err(unknown) if !one.was_bad => {
                // It was not bad before: what cannot be told about it takes nothing from what was proven.
                let why = format!("not proven: {unknown}");
                desk.step_ended(step, StepOutcome::Skipped { why: why.clone() }).await?;
                return Ok(why);
            }
            Err(last) => {
                let failure = failure(&plan, rung, taken, &one.metric, &last);
                desk.step_ended(step, StepOutcome::Failed { failure: failure.clone() }).await?;
                return Err(Stop::Failed(failure));
            }
        }
    }
    let line = if back.is_empty() { "no gauge to watch".to_owned() } else { back.join(", ") };
    desk.step_ended(step, StepOutcome::Done { note: Some(line.clone()) }).await?;
    Ok(line)
}

impl Watched {
    /// Waits until it is back; else the last that was seen of it.
    async fn wait(
        &self,
        desk: &Desk,
        step: u32,
        rung: &Rung,
        taken: &Taken,
    ) -> Result<Result<String, String>, Stop> {
        let metric = &self.metric;
        let patience = TimeDelta::from_std(patience(rung, metric)).unwrap_or(TimeDelta::MAX);
        let deadline = taken.proven + patience;
        let live = desk.store().live();
        loop {
            let state = format!("{}; whether it helped was not waited for", taken.says);
            go_on(desk, &state).await?;
            let now = desk.clock().now();
            let sample = live.borrow().latest(&metric.id).filter(|sample| sample.at > taken.since).cloned();
            let verdict = judge(metric, sample.as_ref(), now, desk.clock().lag());
            let said = match &sample {
                Some(sample) => format!("{} {} ({})", metric.label, reading(metric, sample), verdict.word()),
                None => format!("{}: no reading since", metric.label),
            };
            match verdict {
                Verdict::Ok => {
                    let after = words((now - taken.since).to_std().unwrap_or_default());
                    return Ok(Ok(format!("{said} after {after}")));
                }
                // A rollback for another reason, and a gauge that is not bad: nothing to wait for but a reading.
                Verdict::Warn if !self.was_bad => return Ok(Ok(said)),
                _ => {}
            }
            if now >= deadline {
                return Ok(Err(said));
            }
            desk.doing(Some(step), said);
            desk.clock().sleep(PAUSE).await;
        }
    }
}

fn failure(plan: &Plan, rung: &Rung, taken: &Taken, metric: &Metric, last: &str) -> Failure {
    let mut later = plan.ladder.iter().filter(|other| other.order > rung.order);
    let next = match later.next() {
        Some(next) => format!("take rung {} ({}), which loses {}", next.order, next.title, next.loses),
        None => "there is no further rung: call the people who know the system, and keep the status page up to date".into(),
    };
    Failure {
        what: format!(
            "{}, proven after {}, and it did not help: {last}; the target is {} {}",
            taken.says,
            taken.took(),
            metric.target,
            metric.unit.sign()
        )
        .trim_end()
        .to_owned(),
        state: "it stays taken back".into(),
        next,
    }
}
