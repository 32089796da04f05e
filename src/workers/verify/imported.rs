//! Proof that what was imported agrees with Pulse. What agrees is the import's own room to say; it reads both sides anew, here
//! in a session that can change nothing.

use sqlx::Connection;

use super::{Case, Proof, Proven, sql};
use crate::workers::import;

pub(super) async fn prove(case: &Case<'_>) -> Proven {
    let pulse = case.kit.pulse()?;
    let mut session = sql::open(case.kit).await?;
    let reconciled = import::reconciled(&mut session, &pulse).await;
    // The answer is in; a farewell that fails changes nothing.
    let _ = session.close().await;
    let (words, contacts) = reconciled?;
    Ok(Proof::of(format!("{words} (read at {})", case.clock().now().format("%H:%M:%SZ")), contacts))
}
