//! Where a run waits for a person: before a lock that is held back, and at the point of no return. What they say comes through
//! the watcher; whether they may say it was decided before. While it waits nothing is locked.

use std::time::Duration;

use super::book;
use super::halt::Halt;
use super::plan::Task;
use super::runner::broke;
use super::step::Crew;
use super::watch::Edge;
use crate::run::job::{Failure, StepOutcome};
use crate::run::live::Asks;
use crate::run::steer::{Steered, hold, left_out, let_by};

const POLL: Duration = Duration::from_millis(100);

impl Crew<'_> {
    fn name(&self, at: usize) -> &str {
        self.steps.get(at).map_or("", |step| &step.name)
    }

    /// Why the step at that place is left out, if somebody has said so.
    pub(crate) fn left_out(&self, at: usize) -> Option<String> {
        let steered = self.watcher.steered();
        let said = left_out(&steered, self.name(at))?;
        Some(format!("left out by {} at {}; the next run builds it", said.by.name, clock(said)))
    }

    /// Waits at the point of no return until a person lets the run go on, and writes down who did.
    pub(crate) async fn beyond(
        &mut self,
        at: usize,
        task: &Task<'_>,
        words: &str,
    ) -> Result<StepOutcome, Halt> {
        if task.earlier.is_some() {
            return Ok(StepOutcome::Skipped { why: "an earlier attempt is beyond it".into() });
        }
        let step = self.steps.get(at).map(|step| step.name.clone()).unwrap_or_default();
        let asks = Asks::NoReturn { step: step.clone() };
        let doing = format!("POINT OF NO RETURN, waiting for a person: {words}");
        let said = self.person(asks, &doing, |said| let_by(said, &step).cloned()).await;
        let said = said.map_err(|because| Halt::GivenUp { at: 0, because })?;
        let what = format!("let beyond the point of no return: {words}");
        let written = book::remember(&mut self.runner.session, task.migration, &what, &said.by.name).await;
        written.map_err(|error| {
            let state = "the run stands before its point of no return; nothing beyond it was run".into();
            Halt::Failed { at: 0, failure: Failure { state, ..broke("writing the bookkeeping", &error) } }
        })?;
        Ok(StepOutcome::Done { note: Some(format!("let go on by {} at {}", said.by.name, clock(&said))) })
    }

    /// Waits while locks that stop clients are held back and one of these steps asks for such.
    pub(crate) async fn held(&self, first: usize, count: usize) -> Result<(), Halt> {
        let asking = |at: &usize| self.steps.get(*at).is_some_and(|step| step.lock.is_some());
        let Some(at) = (first..first + count).find(asking) else { return Ok(()) };
        let Some(plan) = self.steps.get(at) else { return Ok(()) };
        let lock = plan.lock.as_deref().unwrap_or_default().to_owned();
        let doing = format!("held before {lock}, until a person lets it ask");
        let asks = Asks::Lock { step: plan.name.clone(), lock };
        let free = |said: &[Steered]| {
            let out = left_out(said, &plan.name).is_some();
            (out || hold(said).is_none() || let_by(said, &plan.name).is_some()).then_some(())
        };
        self.person(asks, &doing, free).await.map_err(|because| Halt::GivenUp { at: 0, because })
    }

    /// Waits for a word; or says why nobody waits any more.
    async fn person<T>(
        &self,
        asks: Asks,
        doing: &str,
        heard: impl Fn(&[Steered]) -> Option<T>,
    ) -> Result<T, String> {
        let mut ends = Err("given up while it waited for a person".to_owned());
        loop {
            if let Some(word) = heard(&self.watcher.steered()) {
                ends = Ok(word);
                break;
            }
            self.now.change(|moment| {
                doing.clone_into(&mut moment.doing);
                moment.live.asks = asks.clone();
            });
            self.watcher.moment(self.now.moment());
            if self.watcher.edge().await == Edge::GiveUp {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        self.now.change(|moment| moment.live.asks = Asks::Nothing);
        ends
    }
}

fn clock(said: &Steered) -> String {
    said.at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
