//! The flag off: the rung that loses nothing.
//!
//! Guarantees that the switch waits for no lock and no version, that it counts when PostHog reads it back off, and that it is
//! proven when clients are told so. Open tabs ask again in their own time; the watch over the gauges sees that.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Taken, Way, plan_of};
use crate::plan::RungKind;
use crate::run::job::JobStatus;
use crate::run::{Failure, StepPlan};
use crate::services::posthog::{self, Switch};
use crate::workers::stop::{Stop, failed};
use crate::workers::{Desk, Kit, clients};

const STEPS: [&str; 3] = ["find the flag", "switch it off and read it back", "see it off as clients do"];
const SWITCH: u32 = 1;

/// The feature flag.
#[derive(Debug)]
pub(super) struct Flag(pub(super) Kit);

impl Flag {
    async fn off(&self, desk: &Desk) -> Result<Taken, Stop> {
        let posthog = self.0.posthog()?;
        let flag = desk
            .step(0, async {
                let flag = clients::find(&self.0, &posthog).await?;
                let note = format!("{} (number {}) is {}", flag.key, flag.id, word(&flag));
                Ok((flag, Some(note)))
            })
            .await?;
        let already = flag.switch == Switch::Off;
        let since = if already { desk.job().requested } else { desk.clock().now() };
        let flag = desk
            .step(SWITCH, async {
                if !already {
                    posthog.switch(&flag.id, Switch::Off).await.map_err(|error| failed(&error))?;
                }
                let read = posthog.flag(&flag.id).await.map_err(|error| failed(&error))?.value;
                if read.switch == Switch::On {
                    return Err(Failure {
                        what: format!("{} was switched off, and reads on again", read.key),
                        state: "somebody or something switched it on".into(),
                        next: "find out who, in the flag's history in PostHog; then take this rung again"
                            .into(),
                    });
                }
                let note = if already { "it was off already" } else { "reads off" };
                Ok((read, Some(note.to_owned())))
            })
            .await?;
        desk.step(2, async { Ok(((), Some(clients::all_off(&posthog, &flag).await?))) }).await?;
        Ok(Taken { since, proven: desk.clock().now(), says: format!("{} is off for clients", flag.key) })
    }

    async fn on(&self, desk: &Desk, first: u32) -> Result<String, Stop> {
        let posthog = self.0.posthog()?;
        let flag = desk
            .step(first, async {
                let flag = clients::find(&self.0, &posthog).await?;
                let flag = posthog.switch(&flag.id, Switch::On).await.map_err(|error| failed(&error))?.value;
                Ok((flag, None))
            })
            .await?;
        Ok(format!("{} is on again", flag.key))
    }
}

fn word(flag: &posthog::Flag) -> &'static str {
    if flag.switch == Switch::On { "on" } else { "off" }
}

impl Way for Flag {
    fn kind(&self) -> RungKind {
        RungKind::Flag
    }

    fn steps<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<Vec<StepPlan>, Failure>> {
        Box::pin(async move {
            self.0.flag()?;
            if matches!(desk.job().kind, crate::run::JobKind::Drill { .. }) && !began(desk) {
                // A drill on a flag that is off proves nothing.
                let flag = clients::find(&self.0, &*self.0.posthog()?).await?;
                if flag.switch == Switch::Off {
                    return Err(Failure {
                        what: format!("{} is off, so switching it off proves nothing", flag.key),
                        state: "nothing was switched".into(),
                        next: "switch it on for its first stage, then drill".into(),
                    });
                }
            }
            Ok(plan_of(&STEPS))
        })
    }

    fn take<'a>(&'a self, desk: &'a Desk, _bound: Duration) -> BoxFuture<'a, Result<Taken, Stop>> {
        Box::pin(self.off(desk))
    }

    fn undo_steps(&self) -> &'static [&'static str] {
        &["switch it on again"]
    }

    fn undo<'a>(&'a self, desk: &'a Desk, first: u32) -> BoxFuture<'a, Result<String, Stop>> {
        Box::pin(self.on(desk, first))
    }
}

/// Whether an earlier attempt at this job may have switched the flag. Its steps do not tell: the attempt after it plans anew.
fn began(desk: &Desk) -> bool {
    desk.job().status != JobStatus::Requested
}
