//! `gonogo import contract`: whether the migrated schema would take what Pulse sends.

use serde_json::json;

use super::{kit, print};
use crate::cli::{Exit, Files, complain, runtime};
use crate::workers::import::contract::{Contract, check};

pub(super) fn run(files: &Files, json: bool) -> color_eyre::Result<Exit> {
    let kit = match kit(files, json)? {
        Ok(kit) => kit,
        Err(exit) => return Ok(exit),
    };
    match runtime()?.block_on(check(&kit)) {
        Ok(contract) => {
            print(&told(&contract, json))?;
            Ok(if contract.holds() { Exit::Go } else { Exit::NoGo })
        }
        Err(failure) => {
            complain(&failure, json)?;
            Ok(Exit::NoGo)
        }
    }
}

fn told(contract: &Contract, json: bool) -> String {
    if json {
        return format!("{}\n", json!({ "schema": 1, "holds": contract.holds(), "contract": contract }));
    }
    let of = contract.total.map(|total| format!(" of {total}")).unwrap_or_default();
    let findings: Vec<String> =
        contract.findings.iter().map(|finding| format!("  {}\n", finding.words())).collect();
    let share = contract.refused as f64 * 100.0 / contract.profiles.max(1) as f64;
    let verdict = if contract.holds() { "the plan can live with that" } else { "NO-GO" };
    format!(
        "{}{of} profiles and {} interactions tried on {}, rolled back\n{}{} profiles would be set aside, {share:.1} %, \
         {:.1} % allowed: {verdict}\n",
        contract.profiles,
        contract.interactions,
        contract.place,
        findings.concat(),
        contract.refused,
        contract.allowed * 100.0
    )
}
