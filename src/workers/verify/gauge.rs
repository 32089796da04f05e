//! Proof that a gauge is within its target now; the reading is the item's value.
//!
//! It guarantees that a gauge which cannot tell proves nothing: it is waited for a while, then said to be blind, and why.

use std::time::Duration;

use super::{Case, Proof, Proven, failure};
use crate::plan::Metric;
use crate::run::Sample;
use crate::run::judge::{self, Verdict};
use crate::run::live::Reading;
use crate::services::retry::Poll;

/// How long a blind gauge is waited for, on the run's clock.
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) async fn prove(case: &Case<'_>, name: &str) -> Proven {
    let metric = case.plan.metric(&name.into()).ok_or_else(|| {
        failure(format!("there is no gauge {name:?}"), "correct the name, or add the gauge under [metrics]")
    })?;
    let live = case.desk.store().live();
    let mut poll = Poll::new(case.clock(), Duration::from_secs(2), Duration::from_secs(15), PATIENCE);
    loop {
        let latest = live.borrow().latest(&metric.id).cloned();
        let verdict = judge::judge(metric, latest.as_ref(), case.clock().now(), case.clock().lag());
        let blind = matches!(verdict, Verdict::CannotTell { .. });
        if !(blind && poll.again().await) {
            return settle(metric, verdict, latest.as_ref());
        }
    }
}

fn settle(metric: &Metric, verdict: Verdict, latest: Option<&Sample>) -> Proven {
    let read = latest.map_or_else(
        || "never read".into(),
        |sample| {
            format!(
                "{}, read at {} from {}",
                judge::words(metric, sample),
                sample.at.format("%H:%M:%SZ"),
                metric.source
            )
        },
    );
    let target = judge::figure(metric, metric.target);
    let label = &metric.label;
    match (verdict, latest.map(|sample| &sample.reading)) {
        (Verdict::Ok, Some(Reading::Value { value, .. })) => {
            Ok(Proof::of(format!("{label} {read}; target {target}"), judge::figure(metric, *value)))
        }
        (Verdict::Bad | Verdict::Warn, _) => Err(failure(
            format!("{label} is {}, beyond its target {target}: {read}", verdict.word()),
            "find out why before going on; if users are hurt, take the release back",
        )),
        _ => Err(failure(
            format!("{label} cannot be told ({}): {read}", verdict.word()),
            "look at the source; what is not known is not good",
        )),
    }
}
