//! Proof that the flag's share is what the plan says: as the editor has it, and as clients are told.
//!
//! It guarantees that a share is only proven when both agree. What a share means for the flag's conditions is the rollout's to
//! say, and who is asked as a client is `clients`' to know, so that setting and proving cannot differ.

use super::{Case, Proof, Proven, failure};
use crate::services::posthog::Switch;
use crate::workers::clients::{self, Share};
use crate::workers::rollout;

pub(super) async fn prove(case: &Case<'_>, percent: u8) -> Proven {
    let posthog = case.kit.posthog()?;
    let flag = clients::find(case.kit, &posthog).await?;
    let share = rollout::meaning(case.desk, percent);
    let shares = rollout::wanted(&flag, share)?;
    let off = flag.switch == Switch::Off;
    let set = rollout::said(&flag);
    // Off is nobody's, whatever the conditions say.
    let agrees = if share == Share::Nobody {
        off || rollout::has(&flag, &shares)
    } else {
        !off && rollout::has(&flag, &shares)
    };
    if !agrees {
        let what = format!("the flag {} is {set}, which is not {percent} %", flag.key);
        return Err(failure(what, "move the share by the rollout, or look who else moved it"));
    }
    let told = clients::share(case.desk, 0, &posthog, &flag, share).await?;
    let at = case.clock().now().format("%H:%M:%SZ");
    Ok(Proof::of(format!("{} is {set}; {told} (asked at {at})", flag.key), format!("{percent} %")))
}
