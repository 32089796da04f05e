//! Takes the release back, one rung of the ladder at a time, and proves it from outside. A new rung is one file and one line.
//!
//! Guarantees that what is taken back already is found so and not done twice, that a rung which took effect and did not help
//! says so and names the next one, and that a drill on the day itself switches staging alone.

mod database;
mod deployment;
mod downs;
mod flag;
mod outlook;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

pub use database::Downs;
pub use downs::EngineDowns;
pub use outlook::Lookout;

use super::stop::{self, Stop};
use super::{Desk, End, Kit, Worker};
use crate::plan::{Rung, RungKind};
use crate::run::job::WATCH;
use crate::run::{Failure, JobKind, Mode, StepPlan, WorkerId};

/// A rung that was taken.
#[derive(Debug)]
struct Taken {
    /// When its effect began, at the earliest.
    since: DateTime<Utc>,
    /// When it was proven from outside.
    proven: DateTime<Utc>,
    /// What was proven, in a line.
    says: String,
}

impl Taken {
    fn took(&self) -> String {
        words((self.proven - self.since).to_std().unwrap_or_default())
    }
}

/// A span as people say it.
fn words(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

/// How one rung is taken, and in a drill given back.
trait Way: std::fmt::Debug + Send + Sync {
    /// What it takes back.
    fn kind(&self) -> RungKind;

    /// Its steps, numbered from 0.
    fn steps<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<Vec<StepPlan>, Failure>>;

    /// Takes it, for at most about `bound` each wait, and proves it from outside.
    fn take<'a>(&'a self, desk: &'a Desk, bound: Duration) -> BoxFuture<'a, Result<Taken, Stop>>;

    /// The steps that undo it after a drill; none where it is not drilled here.
    fn undo_steps(&self) -> &'static [&'static str];

    /// Undoes it after a drill; its first step has this number.
    fn undo<'a>(&'a self, desk: &'a Desk, first: u32) -> BoxFuture<'a, Result<String, Stop>>;
}

/// Takes releases back.
#[derive(Debug)]
pub struct RollbackWorker {
    production: Kit,
    ways: Vec<Box<dyn Way>>,
    /// The same on staging; none where the configuration names no staging.
    staging: Vec<Box<dyn Way>>,
}

impl RollbackWorker {
    /// A worker that takes back what the configuration names; `downs` is who runs the database's way back.
    pub fn new(kit: &Kit, downs: Arc<dyn Downs>) -> Self {
        Self {
            production: kit.clone(),
            ways: vec![
                Box::new(flag::Flag(kit.clone())),
                Box::new(deployment::Deployment::of_production(kit)),
                Box::new(database::Database(downs)),
            ],
            staging: Vec::new(),
        }
    }

    /// The same worker, which on the day itself drills on staging.
    #[must_use]
    pub fn drilling_on(self, staging: Option<&Kit>) -> Self {
        let ways = |kit: &Kit| -> Vec<Box<dyn Way>> {
            let deployment = deployment::Deployment::of_staging(kit, &self.production);
            vec![Box::new(flag::Flag(kit.clone())), Box::new(deployment)]
        };
        Self { staging: staging.map(ways).unwrap_or_default(), ..self }
    }

    fn way(&self, kind: RungKind) -> Result<&dyn Way, Failure> {
        self.ways.iter().find(|way| way.kind() == kind).map(AsRef::as_ref).ok_or_else(|| Failure {
            what: format!("there is no way to take back the {kind:?}"),
            state: "nothing was done".into(),
            next: "take another rung".into(),
        })
    }

    async fn roll_back(&self, desk: &Desk, order: u8, kind: RungKind) -> Result<End, Stop> {
        let way = self.way(kind)?;
        let rung = rung(desk, order)?;
        let mut steps = way.steps(desk).await?;
        let watch = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        steps.push(step("watch the gauges come back", Some(WATCH)));
        desk.planned(steps).await?;
        stop::go_on(desk, "nothing was taken back").await?;
        let taken = way.take(desk, rung.bound).await?;
        let watched = watch::watch(desk, watch, &rung, &taken).await?;
        Ok(End::succeeded(format!("{}, proven after {}; {watched}", taken.says, taken.took())))
    }

    async fn drill(&self, desk: &Desk, order: u8, kind: RungKind) -> Result<End, Stop> {
        let live = desk.state().run.as_ref().is_none_or(|run| run.mode == Mode::Live);
        let (way, place) = match self.staging.iter().find(|way| way.kind() == kind) {
            Some(way) if live => (way.as_ref(), "on staging, "),
            _ => (self.way(kind)?, ""),
        };
        if live && place.is_empty() && !way.undo_steps().is_empty() {
            return Err(Stop::Failed(Failure {
                what: "a drill switches the real thing off, and this is the day itself".into(),
                state: "nothing was switched".into(),
                next: "name the gonogo.toml of staging under [staging] and drill there, or run `gonogo rehearse`"
                    .into(),
            }));
        }
        let rung = rung(desk, order)?;
        if way.undo_steps().is_empty() {
            return Err(Stop::Failed(Failure {
                what: format!("{:?} is not drilled from here: it loses {}", rung.title, rung.loses),
                state: "nothing was done".into(),
                next: "the down migrations are tried on a copy, by the check of the migrations".into(),
            }));
        }
        let mut steps = way.steps(desk).await?;
        let first = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        steps.extend(way.undo_steps().iter().map(|name| step(name, None)));
        desk.planned(steps).await?;
        stop::go_on(desk, "nothing was switched").await?;
        let taken = way.take(desk, rung.bound).await?;
        // Not an edge: a drill that was given up here would leave the switch as it is.
        let undone = way.undo(desk, first).await?;
        let took = taken.took();
        let within = (taken.proven - taken.since).to_std().is_ok_and(|took| took <= rung.bound);
        let bound = words(rung.bound);
        let verdict = if within { format!("within {bound}") } else { format!("longer than {bound}") };
        Ok(End::succeeded(format!("{place}{took}, {verdict}: {}; {undone}", taken.says)))
    }
}

impl Worker for RollbackWorker {
    fn id(&self) -> WorkerId {
        WorkerId::Rollback
    }

    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(async move {
            stop::end(match desk.job().kind {
                JobKind::Rollback { rung, kind } => self.roll_back(desk, rung, kind).await,
                JobKind::Drill { rung, kind } => self.drill(desk, rung, kind).await,
                ref other => Err(Stop::Failed(Failure {
                    what: format!("{} is not a rollback", other.title()),
                    state: "nothing was done".into(),
                    next: "this is a mistake in gonogo: please report it".into(),
                })),
            })
        })
    }
}

fn rung(desk: &Desk, order: u8) -> Result<Rung, Failure> {
    let plan = desk.plan();
    let found = plan.and_then(|plan| plan.ladder.iter().find(|rung| rung.order == order).cloned());
    found.ok_or_else(|| Failure {
        what: format!("the plan has no rung {order}"),
        state: "nothing was done".into(),
        next: "take a rung of the ladder as it is now".into(),
    })
}

fn step(name: &str, group: Option<&str>) -> StepPlan {
    StepPlan { name: name.into(), group: group.map(Into::into), ..StepPlan::default() }
}

fn plan_of(names: &[&str]) -> Vec<StepPlan> {
    names.iter().map(|name| step(name, None)).collect()
}
