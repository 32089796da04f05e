//! `gonogo migrate down --plan`: the way back before anybody takes it. What would run, what each step back costs and loses now, and
//! where the down file and the record of what happened differ. Runs nothing.

use serde_json::json;

use super::Exit;
use crate::run::Failure;
use crate::workers::migrate::dryrun::{Inverse, Standing};
use crate::workers::migrate::inverse::{BackPlan, Cost, back_plan};
use crate::workers::migrate::{Database, MigrationSet};

/// The plan; NO-GO where the way back takes what the migration did not make, or is missing.
pub(super) async fn plan(
    db: &Database,
    set: &MigrationSet,
    to: Option<u64>,
    (rehearsed, inverses): (&[Standing], &[Inverse]),
    json: bool,
) -> Result<(String, Exit), Failure> {
    let plans = back_plan(db, set, to).await?;
    let standing = |plan: &BackPlan| {
        let known =
            set.migrations.iter().zip(rehearsed).find(|(migration, _)| migration.number == plan.number);
        known.map_or(Standing::Never, |(_, standing)| standing.clone())
    };
    let inverse = |plan: &BackPlan| {
        let known =
            set.migrations.iter().zip(inverses).find(|(migration, _)| migration.number == plan.number);
        known.map_or(Inverse::NotRecorded, |(_, inverse)| inverse.clone())
    };
    let safe = |plan: &BackPlan| {
        let takes = plan.differences.as_ref().is_some_and(|one| !one.takes.is_empty());
        let way = plan.down_file.is_some() || plan.recorded.is_some() && plan.gaps.is_empty();
        way && !takes
    };
    let exit = if plans.iter().all(safe) { Exit::Go } else { Exit::NoGo };
    let text = if json {
        let plans: Vec<_> = plans
            .iter()
            .map(|plan| json!({ "runs": plan.runs(), "rehearsed": standing(plan), "inverse": inverse(plan), "plan": plan }))
            .collect();
        format!("{}\n", json!({ "schema": 1, "database": db.place(), "back": plans }))
    } else if plans.is_empty() {
        "no migration is applied that would be taken back\n".into()
    } else {
        plans.iter().map(|plan| words(plan, &standing(plan), &inverse(plan))).collect()
    };
    Ok((text, exit))
}

fn words(plan: &BackPlan, rehearsed: &Standing, inverse: &Inverse) -> String {
    let mut text = format!("{}\n  would run: {}\n", plan.title, plan.runs());
    let mut say = |line: &str| text.extend(["  ", line, "\n"]);
    // Only what was rehearsed is called one.
    let (counts, said) = match plan.down_file {
        Some(_) => (rehearsed.way_back(), rehearsed.to_string()),
        None => (inverse.way_back(), inverse.to_string()),
    };
    let is = if counts { "a rollback" } else { "no rollback yet" };
    say(&format!("{is}: {said}"));
    match &plan.recorded {
        None => say(
            "what it did was not recorded: it was applied before records were kept, so nothing is compared",
        ),
        Some(way) => {
            say(&format!("by the record, {} statements undo it ({inverse}):", way.undos.len()));
            for undo in &way.undos {
                let cost = match &undo.cost {
                    Cost::Lossy { rows: Some(rows) } => format!("lossy, {rows} rows"),
                    Cost::None { why } => format!("NONE: {why}"),
                    other => other.word().to_owned(),
                };
                let sql = undo.sql.as_deref().unwrap_or("-").split_whitespace().collect::<Vec<_>>().join(" ");
                let cut: String = sql.chars().take(90).collect();
                let cut = if cut.len() < sql.len() { format!("{cut}…") } else { cut };
                say(&format!("  step {:>2}  {cut}  ({cost})", undo.step));
            }
        }
    }
    for gap in &plan.gaps {
        say(&format!("the record has a gap: {gap}"));
    }
    match &plan.differences {
        Some(differences) => {
            for takes in &differences.takes {
                say(&format!("THE DOWN FILE TAKES {takes}"));
            }
            for forgets in &differences.forgets {
                say(&format!("the down file does not name {forgets}"));
            }
            for unknown in &differences.cannot_tell {
                say(&format!("not told by its words: {unknown}"));
            }
            if differences.is_empty() {
                say("down file and record agree, as far as words tell");
            }
        }
        None if plan.down_file.is_some() => {}
        None => say("there is no down file"),
    }
    text
}
