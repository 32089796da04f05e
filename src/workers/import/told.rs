//! A pass without a journal, for the command line: the same engine, told to whoever listens.
//!
//! It guarantees nothing that the pass itself does not: who runs it from here shares the database's lock, the checkpoint and
//! the rules with every cockpit.

use super::checkpoint::Kind;
use super::line::{Line, Listener};
use super::pass::{self, Pass};
use super::trouble::Trouble;
use super::{LEFT, lost, summary};
use crate::run::Failure;
use crate::run::job::ImportTotals;
use crate::workers::Kit;

/// Which pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Everything.
    Import {
        /// The share of profiles (0 to 1) that may be set aside without asking, where one is said beforehand.
        allow: Option<f64>,
    },
    /// Everything, without effect: what an import would do.
    DryRun,
    /// What changed.
    Sync,
    /// What was set aside, judged again.
    Retry,
}

impl Way {
    const fn kind(self) -> Kind {
        match self {
            Self::Import { .. } | Self::DryRun => Kind::Import,
            Self::Sync => Kind::Sync,
            Self::Retry => Kind::Retry,
        }
    }

    /// The names of its steps, in their order.
    pub fn steps(self) -> &'static [&'static str] {
        let steps = pass::steps(self.kind());
        // A dry run has nothing to reconcile.
        if self == Self::DryRun { &steps[..steps.len() - 1] } else { steps }
    }
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It did all it was asked.
    Done {
        /// In a line.
        summary: String,
        /// The figures.
        totals: ImportTotals,
    },
    /// It was given up.
    GivenUp {
        /// What was done and what was not.
        state: String,
    },
}

/// Runs a pass and tells it.
pub async fn told(kit: &Kit, listener: &dyn Listener, way: Way) -> Result<Ended, Failure> {
    let pass = Pass::new(kit, Line::Told(listener), way.kind());
    let pass = match way {
        Way::Import { allow } => pass.allowing(allow),
        Way::DryRun => pass.dry(),
        Way::Sync | Way::Retry => pass,
    };
    match pass.run().await {
        Ok(done) => Ok(Ended::Done { summary: summary(&done), totals: done.totals }),
        Err(Trouble::Failed(failure)) => Err(failure),
        Err(Trouble::GivenUp) => Ok(Ended::GivenUp { state: LEFT.into() }),
        Err(Trouble::Lost(words)) => Err(lost(&words)),
    }
}
