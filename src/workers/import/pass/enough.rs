//! How many profiles may be set aside, and the question when there are more.
//!
//! It guarantees that what was asked before a cut is asked again before anything more is done, and that a decision to go on allows a
//! bounded share.

use sqlx::PgConnection;

use super::super::checkpoint::{Checkpoint, Effect, Kind, Phase};
use super::super::trouble::Trouble;
use super::Pass;
use crate::run::job::Question;

impl Pass<'_> {
    /// How many profiles may be set aside before somebody is asked.
    pub(super) fn most(&self, checkpoint: &Checkpoint) -> u64 {
        // What is judged again was set aside before, and a sync's changes are too few for a share.
        if self.kind != Kind::Import || self.effect == Effect::Dry {
            return u64::MAX;
        }
        let totals = checkpoint.totals();
        let share = self.config().quarantine_share.max(checkpoint.allowed.unwrap_or(0.0)).min(1.0);
        let most = share * totals.total.max(totals.fetched) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count is a count"
        )]
        let most = most as u64;
        most
    }

    /// Stops and asks when more profiles than allowed were set aside.
    pub(super) async fn few_enough(
        &self,
        database: &mut PgConnection,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), Trouble> {
        let totals = checkpoint.totals();
        if totals.quarantined <= self.most(checkpoint) {
            return Ok(());
        }
        let all = totals.total.max(totals.fetched);
        let share = totals.quarantined as f64 / all.max(1) as f64;
        let next = (share * 2.0).min(1.0);
        let why: Vec<String> =
            totals.reasons.iter().take(3).map(|(reason, n)| format!("{n} times \"{reason}\"")).collect();
        let written = totals.imported + totals.updated;
        let written = match (checkpoint.phase, written) {
            (Phase::Merging, written) => format!("{written} contacts are written"),
            (Phase::Fetching | Phase::Sweeping, _) => "no contact is written yet".to_owned(),
        };
        let question = Question {
            what: format!(
                "{} of {all} profiles were set aside, {:.1} %, more than is allowed ({}); {written}",
                totals.quarantined,
                share * 100.0,
                why.join(", ")
            ),
            going_on: format!("the rest is imported, and up to {:.1} % may be set aside before it asks again", next * 100.0),
            giving_up: "it stops here and keeps its place; have them mended at Pulse or in the database, and ask for it again"
                .into(),
        };
        self.teller.waiting(format!("it asks: {}", question.what));
        self.line.ask(&question).await?;
        checkpoint.allowed = Some(next);
        checkpoint.save(database).await?;
        Ok(())
    }
}
