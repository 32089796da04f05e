//! Proof that the migrated schema takes what Pulse sends. What is tried and how is the import's own room to say; here it is only
//! judged whether the plan can live with it.

use super::{Case, Proof, Proven, failure};
use crate::workers::import::contract;

pub(super) async fn prove(case: &Case<'_>) -> Proven {
    let contract = contract::check(case.kit).await?;
    let words = format!("{} (read at {})", contract.words(), case.clock().now().format("%H:%M:%SZ"));
    if contract.holds() {
        return Ok(Proof::of(words, contract.refused.to_string()));
    }
    Err(failure(words, "widen the rule in the migration, or have the values mended at Pulse; then ask again"))
}
