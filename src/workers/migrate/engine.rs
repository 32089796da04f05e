//! Takes the steps of a plan: there, or back. Success is never taken from the absence of an error: after the statements come the
//! checks, and a migration counts as verified only when they have passed.

use std::time::{Duration, Instant};

use super::ahead::Ahead;
use super::book::{self, Book, Direction, State, StepKey};
use super::canary;
use super::checks;
use super::classify::Kind;
use super::database::Database;
use super::files::MigrationSet;
use super::halt::Halt;
use super::hands::Hands;
use super::hold::{holds, undone_by};
use super::inverse::{self, Ledger};
use super::lifeline;
use super::now::Now;
use super::plan::{Act, Part, Plan, Task};
use super::runner::{Runner, broke, describe};
use super::sampler;
use super::session::{Attire, sets};
use super::step::{Crew, remark};
use super::watch::{BackupGate, Edge, Ended, Options, Report, Watcher};
use crate::run::job::{Failure, StepOutcome};

/// Runs up migrations, to and including `to`.
pub async fn up(
    db: &Database,
    set: &MigrationSet,
    to: Option<u64>,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Report, Failure> {
    // Large, and awaited by many: on the heap it weighs on none of them.
    Box::pin(travel(db, set, Direction::Up, to, options, watcher)).await
}

/// Runs down migrations, newest first, down to but not including `to`.
pub async fn down(
    db: &Database,
    set: &MigrationSet,
    to: Option<u64>,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Report, Failure> {
    Box::pin(travel(db, set, Direction::Down, to, options, watcher)).await
}

async fn travel(
    db: &Database,
    set: &MigrationSet,
    direction: Direction,
    to: Option<u64>,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Report, Failure> {
    let now = Now::within(options.client_budget);
    let mut runner = Runner::start(db, options.runner_wait, |holder| {
        let doing = format!("waiting for another runner: {}; {}", describe(holder), holder.holds);
        now.blocked(doing, vec![holder.clone()]);
        watcher.moment(now.moment());
    })
    .await?;
    now.free();
    let session = &mut runner.session;
    let book = Book::of(session, set).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    let plan = match direction {
        Direction::Up => Plan::up(set, &book, to)?,
        Direction::Down => Plan::down(set, &book, to)?,
    };
    if !plan.tasks.is_empty() || !plan.finished.is_empty() {
        book::ensure(session).await.map_err(|e| broke("making the schema gonogo", &e))?;
    }
    if direction == Direction::Up && options.backup == BackupGate::Required {
        super::backup::gate::required(session, &plan.pending()).await?;
    }
    let ahead = Ahead::of(session, &plan, options.forecast.as_deref()).await;
    let ahead = ahead.map_err(|e| broke("looking at the size of the tables", &e))?;
    let steps = plan.steps();
    watcher.planned(steps.clone()).await?;
    let tables = set.touched();
    let pid = runner.pid;
    let crew = Crew {
        db,
        runner,
        options,
        watcher,
        now: &now,
        steps,
        ledger: Ledger::default(),
        attire: Attire::default(),
    };
    let mut journey = Journey { crew, set, ahead, plan: &plan, done: 0, skipped: 0, remarks: Vec::new() };
    let ended = if plan.tasks.is_empty() {
        journey.finish_the_finished().await?;
        Ended::Complete
    } else {
        let mut hands = Hands::new(db, &now, watcher);
        let ended = tokio::select! {
            // On the heap: it holds every step's whole way.
            ended = Box::pin(journey.all()) => ended,
            () = sampler::sample(db, pid, &now, watcher) => Ok(Ended::GivenUp),
            () = canary::sing(db, &tables, &now) => Ok(Ended::GivenUp),
            () = hands.serve() => Ok(Ended::GivenUp),
        };
        hands.settle().await;
        ended?
    };
    let session = &mut journey.crew.runner.session;
    let book = Book::read(session).await.map_err(|e| broke("reading the bookkeeping", &e))?;
    Ok(Report {
        applied: book.applied(),
        done: journey.done,
        skipped: journey.skipped,
        worst_wait_ms: now.moment().live.worst_ms,
        remarks: journey.remarks,
        ended,
    })
}

struct Journey<'a> {
    crew: Crew<'a>,
    set: &'a MigrationSet,
    ahead: Ahead,
    plan: &'a Plan<'a>,
    done: usize,
    skipped: usize,
    remarks: Vec<String>,
}

impl Journey<'_> {
    async fn all(&mut self) -> Result<Ended, Failure> {
        self.finish_the_finished().await?;
        let plan = self.plan;
        for batch in &plan.batches {
            let tasks = plan.tasks.get(batch.tasks.clone()).unwrap_or_default();
            let first = batch.tasks.start;
            let ran = match self.batch(first, tasks).await? {
                Ok(mut outcomes) => {
                    if let (Some(cost), Some(last)) = (self.crew.now.cost(), outcomes.last_mut()) {
                        remark(last, &cost);
                    }
                    outcomes
                }
                Err(halt) => return self.halted(first, batch.tasks.end, halt).await,
            };
            for (at, outcome) in (first..).zip(ran) {
                match &outcome {
                    StepOutcome::Skipped { .. } => self.skipped += 1,
                    _ => self.done += 1,
                }
                self.crew.watcher.step_ended(place(at), outcome).await?;
            }
            if batch.finishes
                && let Some(task) = tasks.last()
            {
                self.finish(task.migration, task.direction).await?;
            }
        }
        Ok(Ended::Complete)
    }

    async fn finish_the_finished(&mut self) -> Result<(), Failure> {
        for (migration, direction) in &self.plan.finished {
            self.finish(migration, *direction).await?;
        }
        Ok(())
    }

    async fn finish(
        &mut self,
        migration: &super::files::Migration,
        direction: Direction,
    ) -> Result<(), Failure> {
        let (session, by) = (&mut self.crew.runner.session, self.crew.options.by.as_str());
        let said = match direction {
            Direction::Up => book::set_state(session, migration, State::Verified, by).await,
            Direction::Down => {
                let left = inverse::left(session, migration.number).await;
                let left = left.map_err(|e| broke("comparing the catalogue with what it was", &e))?;
                self.remarks
                    .extend(left.into_iter().map(|what| format!("{} taken back: {what}", migration.label)));
                async {
                    inverse::forget(session, migration.number).await?;
                    book::forget(session, migration, by).await
                }
                .await
            }
        };
        said.map_err(|e| broke("writing the bookkeeping", &e))
    }

    /// The steps of a batch, with their outcomes once they are certain.
    async fn batch(
        &mut self,
        first: usize,
        tasks: &[Task<'_>],
    ) -> Result<Result<Vec<StepOutcome>, Halt>, Failure> {
        if let Some(outcomes) = self.done_before(first, tasks).await? {
            return Ok(Ok(outcomes));
        }
        if let Err(because) = self.gate().await {
            return Ok(Err(Halt::GivenUp { at: 0, because }));
        }
        let Some(head) = tasks.first() else { return Ok(Ok(Vec::new())) };
        let last = first + tasks.len().saturating_sub(1);
        self.crew.now.step(place(first), "beginning");
        self.crew.now.expect(self.ahead.step(first), self.ahead.after(last));
        self.crew.watcher.step_started(place(first)).await?;
        let (db, session) = (self.crew.db, &mut self.crew.runner.session);
        if let Err(failure) = lifeline::answers(db, session).await {
            return Ok(Err(Halt::Failed { at: 0, failure }));
        }
        if let Err(failure) = self.crew.ready(head).await {
            return Ok(Err(Halt::Failed { at: 0, failure }));
        }
        if self.opens(first, head)
            && let Err(failure) = self.set.still(head.script).await
        {
            return Ok(Err(Halt::Failed { at: 0, failure }));
        }
        if let Act::Check(part, statements) = head.act {
            return Ok(self.check(head, part, statements).await.map(|outcome| vec![outcome]));
        }
        if let Act::Point { words, .. } = head.act {
            return Ok(self.crew.beyond(first, head, words).await.map(|outcome| vec![outcome]));
        }
        if let Act::Run { place: 1, .. } = head.act {
            let (session, by) = (&mut self.crew.runner.session, self.crew.options.by.as_str());
            let begun = match head.direction {
                Direction::Up => book::begin(session, head.migration, by).await,
                Direction::Down => book::set_state(session, head.migration, State::Reverting, by).await,
            };
            begun.map_err(|e| broke("writing the bookkeeping", &e))?;
        } else if head.direction == Direction::Up {
            // The rest of the file may have been corrected since.
            let (session, by) = (&mut self.crew.runner.session, self.crew.options.by.as_str());
            book::begin(session, head.migration, by)
                .await
                .map_err(|e| broke("writing the bookkeeping", &e))?;
        }
        self.record_before(head).await?;
        let ran = self.crew.run(first, tasks).await;
        if ran.is_ok() {
            self.record_after(tasks).await?;
        }
        Ok(ran)
    }

    /// The catalogue as it is, before a step that may change it asks for any lock.
    async fn record_before(&mut self, head: &Task<'_>) -> Result<(), Failure> {
        if head.direction == Direction::Down {
            return Ok(());
        }
        let number = head.migration.number;
        let done =
            self.plan.tasks.iter().filter(|task| task.migration.number == number).filter_map(
                |task| match task.act {
                    Act::Run { place, .. }
                        if task.earlier.as_ref().is_some_and(|trace| trace.ended_at.is_some()) =>
                    {
                        Some(place)
                    }
                    _ => None,
                },
            );
        let done = done.max().unwrap_or(0);
        let Crew { runner, ledger, .. } = &mut self.crew;
        let recorded = ledger.before(&mut runner.session, number, done).await;
        recorded.map_err(|e| broke("recording the catalogue as it is", &e))
    }

    /// What the steps changed, once they have given their locks back.
    async fn record_after(&mut self, tasks: &[Task<'_>]) -> Result<(), Failure> {
        let Some(Task { migration, direction: Direction::Up, act: Act::Run { place, .. }, .. }) =
            tasks.last()
        else {
            return Ok(());
        };
        // ANALYZE, SET and the like change nothing that is recorded.
        let upkeep = |task: &Task<'_>| matches!(task.act, Act::Run { statement, .. } if matches!(statement.shape.kind, Kind::Upkeep | Kind::Sets(_)));
        if tasks.iter().all(upkeep) {
            return Ok(());
        }
        let Crew { runner, ledger, .. } = &mut self.crew;
        let recorded = ledger.after(&mut runner.session, migration.number, *place).await;
        recorded.map_err(|e| broke("recording what the step changed", &e))
    }

    /// Whether this is the first step of its migration in this plan.
    fn opens(&self, at: usize, task: &Task<'_>) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.plan.tasks.get(before));
        before.is_none_or(|before| before.migration.number != task.migration.number)
    }

    /// Outcomes, where an earlier attempt did all of these and the catalogue agrees.
    async fn done_before(
        &mut self,
        first: usize,
        tasks: &[Task<'_>],
    ) -> Result<Option<Vec<StepOutcome>>, Failure> {
        let mut outcomes = Vec::new();
        for (at, task) in (first..).zip(tasks) {
            let Some(when) = task.earlier.as_ref().and_then(|trace| trace.ended_at) else { return Ok(None) };
            let when = when.format("%Y-%m-%d %H:%M:%S UTC");
            if let Act::Run { statement, .. } = task.act {
                // Names mean what the file's own settings make of them.
                self.crew.ready(task).await?;
                if sets(task) {
                    self.crew.now.step(
                        place(at),
                        "setting for this session what an earlier attempt had set for its own",
                    );
                    if self.crew.again(statement).await.is_err() {
                        // Taken as a step like any other, it says where it fails.
                        return Ok(None);
                    }
                    self.crew.watcher.step_started(place(at)).await?;
                    let note =
                        format!("set again for this session; first done by an earlier attempt at {when}");
                    outcomes.push(StepOutcome::Done { note: Some(note) });
                    continue;
                }
                let later = self.plan.tasks.get(at + 1..).unwrap_or_default().iter().filter(|later| {
                    later.migration.number == task.migration.number
                        && later.earlier.as_ref().is_some_and(|t| t.ended_at.is_some())
                });
                let moved = later.into_iter().any(|later| match later.act {
                    Act::Run { statement: later, .. } => undone_by(statement, later),
                    Act::Check(..) | Act::Point { .. } => false,
                });
                let session = &mut self.crew.runner.session;
                if !moved
                    && !holds(session, statement).await.map_err(|e| broke("looking at the catalogue", &e))?
                {
                    return Ok(None);
                }
            }
            let why = format!("done by an earlier attempt at {when}");
            outcomes.push(StepOutcome::Skipped { why });
        }
        Ok(Some(outcomes))
    }

    async fn check(
        &mut self,
        task: &Task<'_>,
        part: Part,
        statements: &[super::split::Statement],
    ) -> Result<StepOutcome, Halt> {
        let file = task.migration.checks.file.clone();
        self.crew.now.doing("checking");
        let session = &mut self.crew.runner.session;
        let failed = |failure: Failure| {
            let state = match part {
                Part::Before => "nothing of this migration was run".to_owned(),
                Part::After => format!("{} is applied, but not proven", task.migration.title()),
                Part::AfterDown => format!("{} is taken back, but not proven", task.migration.title()),
            };
            Halt::Failed { at: 0, failure: Failure { state, ..failure } }
        };
        let answers = checks::ask(session, &file, statements).await.map_err(failed)?;
        let note = checks::judge(&file, part.word(), &answers).map_err(failed)?;
        if part == Part::Before {
            let title = format!("checks {}", part.word());
            let key = StepKey {
                number: task.migration.number,
                direction: task.direction,
                step: 0,
                checksum: "",
                title: &title,
            };
            let written = async {
                book::begin(session, task.migration, &self.crew.options.by).await?;
                book::step_done(session, &key, Some(&note)).await
            };
            written.await.map_err(|e| failed(broke("writing the bookkeeping", &e)))?;
        }
        Ok(StepOutcome::Done { note: Some(note) })
    }

    /// Waits while a person holds the plan, and while clients wait longer than they may; or says why it goes no further.
    async fn gate(&self) -> Result<(), String> {
        let budget = self.crew.options.client_budget.as_secs_f64() * 1000.0;
        let until = deadline(self.crew.options.wait_budget);
        loop {
            if self.crew.watcher.edge().await == Edge::GiveUp {
                return Err("given up before it began".into());
            }
            let Some(worst) = self.crew.now.worst_since_edge().filter(|worst| *worst > budget) else {
                return Ok(());
            };
            let said =
                format!("a client waited {worst:.0} ms more than at best, over the budget of {budget:.0} ms");
            if Instant::now() >= until {
                return Err(format!("{said}, and it has not become better since the plan paused itself"));
            }
            self.crew.now.doing(&format!("paused by itself: {said}"));
            self.crew.watcher.moment(self.crew.now.moment());
            // Long enough for the canary to sing again.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn halted(&mut self, first: usize, end: usize, halt: Halt) -> Result<Ended, Failure> {
        let watcher = self.crew.watcher;
        let (at, outcome, because) = match &halt {
            Halt::Failed { at, failure } => (
                *at,
                StepOutcome::Failed { failure: failure.clone() },
                format!("step {} failed", first + at + 1),
            ),
            Halt::GivenUp { at, because } => {
                (*at, StepOutcome::NotRun { because: because.clone() }, "somebody stopped the run".to_owned())
            }
        };
        for before in first..first + at {
            let because = format!("rolled back with step {}", first + at + 1);
            watcher.step_ended(place(before), StepOutcome::NotRun { because }).await?;
        }
        watcher.step_ended(place(first + at), outcome).await?;
        for after in first + at + 1..self.plan.tasks.len().max(end) {
            watcher.step_ended(place(after), StepOutcome::NotRun { because: because.clone() }).await?;
        }
        match halt {
            Halt::Failed { failure, .. } => Err(failure),
            Halt::GivenUp { .. } => Ok(Ended::GivenUp),
        }
    }
}

pub(crate) fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The moment after which a wait is over its budget.
pub(crate) fn deadline(budget: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(budget).unwrap_or(now)
}
