//! Proof that migrations did what they say: their own checks, asked again of every one that is applied.
//!
//! It guarantees that a migration which is not applied, and one whose checks say nothing, is not proven, and that every check
//! that failed is named. How checks are asked is the migrations' room to know.

use std::collections::BTreeMap;

use super::{Case, Proof, Proven, failure};
use crate::workers::migrate::{self, worker};

pub(super) async fn prove(case: &Case<'_>, only: Option<u64>) -> Proven {
    let deployment = &case.kit.config().deployment;
    let set = worker::migrations(case.kit.path(&deployment.migrations), deployment.layout).await?;
    let wanted = set.migrations.iter().map(|migration| migration.number);
    let wanted: Vec<u64> = wanted.filter(|number| only.is_none_or(|only| only == *number)).collect();
    if wanted.is_empty() {
        let which = only.map_or_else(String::new, |only| format!(" {only:03}"));
        let what = format!("there is no migration{which} in {}", set.origin);
        return Err(failure(what, "name the directory of the migrations in gonogo.toml"));
    }
    let database = worker::database(&case.kit.database_url()?).await?;
    let answers = migrate::verify(&database, &set).await?;
    let mut passed: BTreeMap<u64, usize> = BTreeMap::new();
    let mut bad = Vec::new();
    for (number, answer) in answers.iter().filter(|(number, _)| only.is_none_or(|only| only == *number)) {
        if answer.ok {
            *passed.entry(*number).or_default() += 1;
        } else {
            bad.push(format!("{number:03} {}: {}", answer.name, answer.detail));
        }
    }
    let missing = wanted.iter().filter(|number| !answers.iter().any(|(of, _)| of == *number));
    bad.extend(missing.map(|number| format!("{number:03} is not applied")));
    if bad.is_empty() {
        let counts: Vec<String> =
            passed.iter().map(|(number, count)| format!("{number:03}: {count}")).collect();
        let (all, at) = (passed.values().sum::<usize>(), case.clock().now().format("%H:%M:%SZ"));
        return Ok(Proof::that(format!("{all} checks passed ({}; asked at {at})", counts.join(", "))));
    }
    let what = format!("{} checks did not pass: {}", bad.len(), bad.join("; "));
    Err(failure(what, "correct what they name, or take the migrations back"))
}
