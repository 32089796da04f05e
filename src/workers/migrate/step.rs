//! Takes one batch of statements: look, ask with a short lock time-out, do, write it down in the same transaction; or, where a
//! statement must be alone, before and after it. What failed says where, with which SQLSTATE, and what it left behind.

use std::time::{Duration, Instant};

use super::book::{self, Direction, State, StepKey};
use super::classify::{Kind, Transaction};
use super::database::{Database, run};
use super::define::{Taken, definition, difference};
use super::engine::{deadline, place};
use super::errors::is_contention;
use super::halt::{Halt, Stop};
use super::hold::holds;
use super::inspect::{Found, inspect};
use super::inverse::{Ledger, holders, since, written};
use super::look::{Looked, look};
use super::now::Now;
use super::plan::{Act, Task};
use super::replaced;
use super::runner::Runner;
use super::session::{Attire, lasts};
use super::split::Statement;
use super::watch::{Options, Watcher};
use crate::run::job::{StepOutcome, StepPlan};

/// Locks that stop no client may be waited for longer.
const HARMLESS_WAIT: Duration = Duration::from_secs(2);

/// Those who run a plan.
pub(crate) struct Crew<'a> {
    pub(crate) db: &'a Database,
    pub(crate) runner: Runner,
    pub(crate) options: &'a Options,
    pub(crate) watcher: &'a dyn Watcher,
    pub(crate) now: &'a Now,
    /// The steps as the watcher was told them.
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) ledger: Ledger,
    pub(crate) attire: Attire,
}

/// What a transaction is held against before it ends.
enum Guard {
    Nothing,
    /// Rows that were written before it.
    Rows(super::inverse::Written),
    /// Tables and columns that were there before it.
    Holders(std::collections::BTreeSet<String>),
}

impl Crew<'_> {
    /// Runs the batch until it is done, fails, or is given up.
    pub(crate) async fn run(&mut self, first: usize, tasks: &[Task<'_>]) -> Result<Vec<StepOutcome>, Halt> {
        self.held(first, tasks.len()).await?;
        if let [task] = tasks
            && let Some(marked) = statement(task).and_then(|statement| statement.marks.batches.as_ref())
        {
            return self.batches(task, marked).await.map(|outcome| vec![outcome]);
        }
        let until = deadline(self.options.wait_budget);
        let statements: Vec<&Statement> = tasks.iter().filter_map(statement).collect();
        let alone = statements.iter().any(|one| one.shape.transaction == Transaction::Never);
        let mut tries = 0;
        loop {
            match look(&mut self.runner.session, &statements, until, self.now, self.watcher).await {
                Ok(Looked::Free) => {}
                Ok(Looked::GivenUp) => {
                    return Err(Halt::GivenUp { at: 0, because: "given up while it waited".into() });
                }
                Err(failure) => return Err(Halt::Failed { at: 0, failure }),
            }
            tries += 1;
            self.now.asking(tries);
            let mut at = 0;
            let attire = self.attire();
            let attempt = match tasks {
                [task] if alone => self.alone(first, task).await.map(|outcome| vec![outcome]),
                _ => self.together(first, tasks, &mut at).await,
            };
            let stop = match attempt {
                Ok(mut outcomes) => {
                    if tries > 1 {
                        for outcome in &mut outcomes {
                            remark(outcome, &format!("{tries} tries"));
                        }
                    }
                    return Ok(outcomes);
                }
                Err(Stop::Lost(failure)) => return Err(Halt::Failed { at, failure }),
                Err(stop) => stop,
            };
            // After an error the transaction is dead; where there is none, this says nothing.
            drop(run(&mut self.runner.session, "ROLLBACK").await);
            self.taken_back(attire);
            match stop {
                Stop::Sql(error) if is_contention(&error) && Instant::now() < until => {
                    self.now.doing(&format!("try {tries} got no lock; asking again soon"));
                    self.watcher.moment(self.now.moment());
                    if self.watcher.edge().await == super::watch::Edge::GiveUp {
                        return Err(Halt::GivenUp {
                            at,
                            because: format!("given up after {tries} tries for the lock"),
                        });
                    }
                    tokio::time::sleep(pause(tries)).await;
                }
                other => return Err(self.halt(tasks, at, other).await),
            }
        }
    }

    /// All in one transaction, the bookkeeping too.
    async fn together(
        &mut self,
        first: usize,
        tasks: &[Task<'_>],
        at: &mut usize,
    ) -> Result<Vec<StepOutcome>, Stop> {
        let patience = if tasks.iter().filter_map(statement).any(|one| {
            one.shape.needs.iter().any(|need| need.mode.stops_clients()) || one.shape.kind == Kind::Block
        }) {
            self.options.lock_timeout
        } else {
            HARMLESS_WAIT
        };
        run(
            &mut self.runner.session,
            &format!("BEGIN; SET LOCAL lock_timeout = {}", patience.as_millis().max(1)),
        )
        .await?;
        let guard = self.guard(tasks).await?;
        let mut outcomes = Vec::new();
        let began = Instant::now();
        for (index, task) in tasks.iter().enumerate() {
            *at = index;
            let Act::Run { statement, place: step, last } = task.act else { continue };
            if let Some(why) = self.left_out(first + index) {
                outcomes.push(self.leave(task, statement, step, last, why).await?);
                continue;
            }
            self.now.change(|moment| {
                moment.step = Some(place(first + index));
                moment.doing = format!("running, line {} of {}", statement.line, task.script.file);
            });
            let outcome = match inspect(&mut self.runner.session, statement).await? {
                Found::Same(why) | Found::Gone(why) => StepOutcome::Skipped { why },
                Found::Other(difference) => return Err(Stop::Shape(difference)),
                Found::Invalid(index) => {
                    // A plain build here: the leftover is dropped in the same transaction.
                    run(&mut self.runner.session, &format!("DROP INDEX {index}")).await?;
                    let took = self.execute(&task.script.file, statement).await?;
                    StepOutcome::Done { note: Some(format!("invalid {index} dropped first; {took}")) }
                }
                Found::Free => {
                    StepOutcome::Done { note: Some(self.replacing(&task.script.file, statement).await?) }
                }
            };
            self.record(task, statement, step, last, &outcome).await?;
            outcomes.push(outcome);
        }
        self.keep(tasks, guard).await?;
        run(&mut self.runner.session, "COMMIT").await?;
        self.ended();
        let held = began.elapsed().as_secs_f64() * 1000.0;
        self.now.change(|moment| moment.live.held_ms = Some(held));
        Ok(outcomes)
    }

    /// A step that a person has left out: not done, and written down as that.
    async fn leave(
        &mut self,
        task: &Task<'_>,
        statement: &Statement,
        step: u32,
        last: bool,
        why: String,
    ) -> Result<StepOutcome, Stop> {
        book::step_left(&mut self.runner.session, &step_key(task, statement, step), &why).await?;
        if last {
            self.ran(task).await?;
        }
        Ok(StepOutcome::Skipped { why })
    }

    /// What is looked at again before the transaction may end.
    async fn guard(&mut self, tasks: &[Task<'_>]) -> Result<Guard, sqlx::Error> {
        let session = &mut self.runner.session;
        let wild = |task: &Task<'_>| {
            statement(task)
                .is_some_and(|one| matches!(one.shape.kind, Kind::Write { .. } | Kind::Block | Kind::Other))
        };
        let takes = |task: &Task<'_>| {
            statement(task).is_some_and(|one| {
                matches!(
                    one.shape.kind,
                    Kind::AlterTable { .. } | Kind::DropRelation { .. } | Kind::Block | Kind::Other
                )
            })
        };
        Ok(match tasks.first().map(|task| task.direction) {
            Some(Direction::Up) if tasks.iter().any(wild) => Guard::Rows(written(session).await?),
            Some(Direction::Down) if tasks.iter().any(takes) => Guard::Holders(holders(session).await?),
            _ => Guard::Nothing,
        })
    }

    /// Counts the rows that were written; or, on the way back, refuses to end the transaction over what was there before.
    async fn keep(&mut self, tasks: &[Task<'_>], guard: Guard) -> Result<(), Stop> {
        let session = &mut self.runner.session;
        match (guard, tasks.first()) {
            (Guard::Rows(began), _) => self.ledger.written = Some(since(&began, &written(session).await?)),
            (Guard::Holders(held), Some(task)) => {
                let gone = self.ledger.trespass(session, task.migration.number, &held).await?;
                if !gone.is_empty() {
                    return Err(Stop::Shape(format!(
                        "it takes away what was there before {}, with all that it holds: {}",
                        task.migration.title(),
                        gone.join(", ")
                    )));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Outside of any transaction; written down before and after.
    async fn alone(&mut self, first: usize, task: &Task<'_>) -> Result<StepOutcome, Stop> {
        let Act::Run { statement, place: step, last } = task.act else {
            return Err(Stop::Shape("no statement".into()));
        };
        if let Some(why) = self.left_out(first) {
            run(&mut self.runner.session, "BEGIN").await?;
            let outcome = self.leave(task, statement, step, last, why).await?;
            run(&mut self.runner.session, "COMMIT").await?;
            return Ok(outcome);
        }
        let key = step_key(task, statement, step);
        book::step_began(&mut self.runner.session, &key).await?;
        run(&mut self.runner.session, "BEGIN").await?;
        let found = inspect(&mut self.runner.session, statement).await;
        run(&mut self.runner.session, "ROLLBACK").await?;
        self.now.doing(&format!("running, line {} of {}", statement.line, task.script.file));
        let outcome = match found? {
            Found::Same(why) | Found::Gone(why) => StepOutcome::Skipped { why },
            Found::Other(difference) => return Err(Stop::Shape(difference)),
            Found::Invalid(index) => {
                self.now.doing(&format!("dropping the invalid {index} of an interrupted build"));
                run(&mut self.runner.session, &format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
                let took = self.execute(&task.script.file, statement).await?;
                StepOutcome::Done { note: Some(format!("invalid {index} dropped and built anew; {took}")) }
            }
            Found::Free if task.earlier.is_some() && already(&mut self.runner.session, statement).await? => {
                StepOutcome::Skipped { why: "an interrupted attempt had finished it".into() }
            }
            Found::Free => {
                StepOutcome::Done { note: Some(self.execute(&task.script.file, statement).await?) }
            }
        };
        if !holds(&mut self.runner.session, statement).await? {
            return Err(Stop::Shape(format!(
                "{} raised no error, but the catalogue does not show it",
                statement.title
            )));
        }
        run(&mut self.runner.session, "BEGIN").await?;
        self.record(task, statement, step, last, &outcome).await?;
        run(&mut self.runner.session, "COMMIT").await?;
        Ok(outcome)
    }

    /// The statement itself; a person may have it cancelled.
    async fn execute(&mut self, file: &str, statement: &Statement) -> Result<String, Stop> {
        self.probed(file, statement).await?;
        let began = Instant::now();
        let rows = self.cancellable(&statement.text, lasts(statement)).await?;
        let took = began.elapsed();
        self.measured(file, statement, took, rows).await?;
        let took = took.as_secs_f64() * 1000.0;
        let rows = if matches!(statement.shape.kind, Kind::Write { .. }) {
            format!("{rows} rows, ")
        } else {
            String::new()
        };
        Ok(format!("{rows}{took:.0} ms"))
    }

    /// Whoever looks from inside is told that the statement comes next.
    pub(crate) async fn probed(&mut self, file: &str, statement: &Statement) -> Result<(), Stop> {
        if let Some(probe) = self.watcher.probe() {
            probe.before(&mut self.runner.session, file, statement).await?;
        }
        Ok(())
    }

    /// And that it has run.
    pub(crate) async fn measured(
        &mut self,
        file: &str,
        statement: &Statement,
        took: Duration,
        rows: u64,
    ) -> Result<(), Stop> {
        if let Some(probe) = self.watcher.probe() {
            probe.after(&mut self.runner.session, file, statement, took, rows).await?;
        }
        Ok(())
    }

    /// A statement that may put something in another's place: what was there is said.
    async fn replacing(&mut self, file: &str, statement: &Statement) -> Result<String, Stop> {
        let Kind::Create { what, name, on, taken: Taken::Replaced } = &statement.shape.kind else {
            let values = replaced::values(statement);
            let was = replaced::read(&mut self.runner.session, &values).await?;
            let took = self.execute(file, statement).await?;
            let is = replaced::read(&mut self.runner.session, &values).await?;
            let said = replaced::said(&values, &was, &is);
            return Ok(std::iter::once(took).chain(said).collect::<Vec<_>>().join("; "));
        };
        let was = definition(&mut self.runner.session, *what, name, on.as_ref()).await?;
        let took = self.execute(file, statement).await?;
        let Some(was) = was else { return Ok(took) };
        let is = definition(&mut self.runner.session, *what, name, on.as_ref()).await?.unwrap_or_default();
        let word = what.word();
        Ok(if was == is {
            format!("{took}; {word} {name} was there already, the same")
        } else {
            format!("{took}; {word} {name} was there already: {}", difference(&was, &is))
        })
    }

    pub(crate) async fn record(
        &mut self,
        task: &Task<'_>,
        statement: &Statement,
        step: u32,
        last: bool,
        outcome: &StepOutcome,
    ) -> Result<(), sqlx::Error> {
        let session = &mut self.runner.session;
        let note = match outcome {
            StepOutcome::Done { note } => note.as_deref(),
            StepOutcome::Skipped { why } => Some(why.as_str()),
            _ => None,
        };
        book::step_done(session, &step_key(task, statement, step), note).await?;
        if last {
            self.ran(task).await?;
        }
        Ok(())
    }

    /// Every statement of the migration's way has run.
    async fn ran(&mut self, task: &Task<'_>) -> Result<(), sqlx::Error> {
        let state = match task.direction {
            Direction::Up => State::Applied,
            Direction::Down => State::Reverted,
        };
        book::set_state(&mut self.runner.session, task.migration, state, &self.options.by).await
    }
}

/// Whether an interrupted attempt got its effect; only for what the catalogue can show.
async fn already(
    session: &mut sqlx::postgres::PgConnection,
    statement: &Statement,
) -> Result<bool, sqlx::Error> {
    match statement.shape.kind {
        Kind::CreateIndex { .. } | Kind::DropIndex { .. } => holds(session, statement).await,
        _ => Ok(false),
    }
}

pub(crate) fn statement<'a>(task: &Task<'a>) -> Option<&'a Statement> {
    match task.act {
        Act::Run { statement, .. } => Some(statement),
        Act::Check(..) | Act::Point { .. } => None,
    }
}

pub(crate) fn step_key<'a>(task: &Task<'a>, statement: &'a Statement, step: u32) -> StepKey<'a> {
    StepKey {
        number: task.migration.number,
        direction: task.direction,
        step,
        checksum: &statement.checksum,
        title: &statement.title,
    }
}

pub(crate) fn remark(outcome: &mut StepOutcome, more: &str) {
    if let StepOutcome::Done { note } = outcome {
        *note = Some(note.take().map_or_else(|| more.to_owned(), |note| format!("{note}, {more}")));
    }
}

/// Longer with each try, and never the same for two who wait for each other.
pub(crate) fn pause(tries: u32) -> Duration {
    let most = 50_u64.saturating_mul(1 << tries.min(5)).min(1_000);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    Duration::from_millis(most / 2 + u64::from(nanos) % (most / 2 + 1))
}
