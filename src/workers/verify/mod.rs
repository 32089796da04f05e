//! Proves items: asks the outside world, and hands back what was read, when and from where, or why it does not hold.
//!
//! It guarantees that nothing is proven by silence: an answer that cannot be had, cannot be read or could not have been another
//! is a failure in words. Checks change nothing but the check events they send. One file for each kind of proof; what may
//! follow from a proof is `run::decide`'s.

mod command;
mod contract;
mod env;
mod events;
mod expect;
mod flag;
mod gauge;
mod imported;
mod issues;
mod migrations;
mod pages;
mod sql;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Desk, Edge, End, Kit, Worker};
use crate::clock::Clock;
use crate::plan::{Check, Item, ItemKind, Plan};
use crate::run::job::Facts;
use crate::run::{Failure, JobKind, WorkerId};
use crate::services::Receipt;

/// Proves items.
#[derive(Debug, Clone)]
pub struct VerifyWorker {
    kit: Kit,
}

impl VerifyWorker {
    /// A worker with this kit.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Proof {
    /// What was read, when and from where.
    evidence: String,
    /// The figure, where the check reads one.
    value: Option<String>,
}

impl Proof {
    fn that(evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), value: None }
    }

    fn of(evidence: impl Into<String>, value: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), value: Some(value.into()) }
    }
}

type Proven = Result<Proof, Failure>;

/// What a check works with.
#[derive(Debug)]
struct Case<'a> {
    kit: &'a Kit,
    desk: &'a Desk,
    plan: Arc<Plan>,
}

impl Case<'_> {
    fn clock(&self) -> &Clock {
        self.desk.clock()
    }

    /// The item that is to be proven, if the check was asked for one.
    fn item(&self) -> Option<&Item> {
        Some(self.plan.item(self.desk.job().item.as_ref()?)?.1)
    }

    async fn prove(&self, check: &Check) -> Proven {
        match check {
            Check::Http { path, contains } => pages::http(self, path, contains.as_deref()).await,
            Check::Health => pages::health(self).await,
            Check::Version => pages::version(self).await,
            Check::Sql { query, expect } => sql::prove(self, query.as_deref(), expect.as_deref()).await,
            Check::Sentry => events::sentry(self).await,
            Check::Posthog => events::posthog(self).await,
            Check::Pulse => events::pulse(self).await,
            Check::Migrations { only } => migrations::prove(self, *only).await,
            Check::Import => imported::prove(self).await,
            Check::Contract => contract::prove(self).await,
            Check::NewErrors => issues::prove(self).await,
            Check::Metric { name } => gauge::prove(self, name).await,
            Check::Flag { share } => flag::prove(self, *share).await,
            Check::Env { file } => env::prove(self, file.as_deref()),
            Check::Command => command::prove(self).await,
        }
    }
}

impl Worker for VerifyWorker {
    fn id(&self) -> WorkerId {
        WorkerId::Verify
    }

    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(async move {
            let JobKind::Verify { check } = &desk.job().kind else {
                return Err(failure(
                    format!("{} is no proof", desk.job().kind.title()),
                    "ask for it elsewhere",
                ));
            };
            let plan = desk.plan().ok_or_else(|| failure("no run is open", "open a run first"))?;
            let case = Case { kit: &self.kit, desk, plan };
            desk.planned_names([name(check)]).await?;
            let cancelled = || End::Cancelled { state: "nothing was changed, and nothing is proven".into() };
            if desk.edge().await == Edge::GiveUp {
                return Ok(cancelled());
            }
            desk.doing(Some(0), name(check));
            let work = desk.step(0, async {
                let proof = case.prove(check).await?;
                let note = proof.evidence.clone();
                Ok((proof, Some(note)))
            });
            tokio::select! {
                proof = work => {
                    let Proof { evidence, value } = proof?;
                    // A tick asks for no value; where no item asks, the figure is the answer.
                    let value = value.filter(|_| {
                        case.item().is_none_or(|item| item.kind != ItemKind::Tick || matches!(check, Check::Metric { .. }))
                    });
                    Ok(End::Succeeded { summary: evidence, facts: Facts::Proven { value } })
                }
                () = desk.given_up() => Ok(cancelled()),
            }
        })
    }
}

/// What a check does, for the list of steps.
const fn name(check: &Check) -> &'static str {
    match check {
        Check::Http { .. } => "load the page",
        Check::Health => "ask for the application's health, and whether it can fail",
        Check::Version => "read the version that users get",
        Check::Sql { .. } => "ask the database",
        Check::Sentry => "send an event to Sentry and read it back",
        Check::Posthog => "send an event to PostHog and read it back",
        Check::Pulse => "ask Pulse for one profile",
        Check::Migrations { .. } => "run the migrations' checks",
        Check::Import => "compare what was imported with Pulse's total",
        Check::Contract => "try a sample of Pulse's profiles against the migrated schema, and roll it back",
        Check::NewErrors => "ask Sentry for new errors",
        Check::Metric { .. } => "read the gauge",
        Check::Flag { .. } => "read the flag, and see it as clients do",
        Check::Env { .. } => "read the environment file",
        Check::Command => "run the command",
    }
}

/// A failure of a check, which changed nothing.
fn failure(what: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure { what: what.into(), state: "nothing was changed".into(), next: next.into() }
}

/// Where an answer came from.
fn source(receipt: &Receipt) -> String {
    let mut words = format!("{} {} at {}", receipt.method, receipt.path, receipt.at.format("%H:%M:%SZ"));
    if let Some(id) = &receipt.request_id {
        // Writing to a string cannot fail.
        let _ = write!(words, ", request {id}");
    }
    words
}
