//! `gonogo import` and `gonogo sync`: the import without the screen, by the same engine, under the same lock.
//!
//! Exit code 0 when all was done, 1 when it failed, was given up, or stopped to ask; 2 for wrong usage or bad input.

mod contract;
mod told;

use clap::Subcommand;
use serde_json::json;

use super::{Exit, Files, complain, print, refuse, runtime};
use crate::clock::Clock;
use crate::run::job::ImportTotals;
use crate::secrets::Secrets;
use crate::workers::Kit;
use crate::workers::import::{self, Ended, Quarantined, Way};
use told::Told;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    /// Read everything, write nothing, and say what an import would do.
    #[arg(long)]
    dry_run: bool,
    /// The share of profiles that may be set aside, in percent; beyond it the import stops and asks. What gonogo.toml says
    /// where none is named.
    #[arg(long, value_name = "PERCENT", value_parser = share, conflicts_with = "dry_run")]
    allow_aside: Option<f64>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what was set aside, by reason; with --csv or --json every record as it came.
    Quarantine {
        /// Every record as a line of CSV.
        #[arg(long)]
        csv: bool,
    },
    /// Judge again what was set aside, and bring in what fits now; nothing else.
    Retry,
    /// Try a sample of what Pulse sends against the migrated schema, in a transaction that is rolled back.
    Contract,
}

fn share(text: &str) -> Result<f64, String> {
    let percent: f64 =
        text.trim_end_matches('%').parse().map_err(|_| "it must be a number, such as 7.5".to_owned())?;
    if (0.0..=100.0).contains(&percent) {
        Ok(percent / 100.0)
    } else {
        Err("it must lie between 0 and 100".into())
    }
}

pub(super) fn run(args: &Args, files: &Files, json: bool) -> color_eyre::Result<Exit> {
    match &args.what {
        None if args.dry_run => pass(Way::DryRun, files, json),
        None => pass(Way::Import { allow: args.allow_aside }, files, json),
        Some(What::Retry) => pass(Way::Retry, files, json),
        Some(What::Contract) => contract::run(files, json),
        Some(What::Quarantine { csv }) => {
            let form = match (json, csv) {
                (true, _) => Form::Json,
                (false, true) => Form::Csv,
                (false, false) => Form::Reasons,
            };
            quarantine(form, files, json)
        }
    }
}

pub(super) fn sync(files: &Files, json: bool) -> color_eyre::Result<Exit> {
    pass(Way::Sync, files, json)
}

/// The kit of this directory, on the wall's clock.
fn kit(files: &Files, json: bool) -> color_eyre::Result<Result<Kit, Exit>> {
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, json).map(Err),
    };
    match Secrets::load(&loaded.path(&loaded.config.secrets.env_file)) {
        Ok(secrets) => Ok(Ok(Kit::new(loaded.config, &loaded.root, secrets, Clock::wall()))),
        Err(error) => complain(&error, json).map(Err),
    }
}

fn pass(way: Way, files: &Files, json: bool) -> color_eyre::Result<Exit> {
    let kit = match kit(files, json)? {
        Ok(kit) => kit,
        Err(exit) => return Ok(exit),
    };
    runtime()?.block_on(async {
        let told = Told::new(json, way, kit.clock().clone());
        match import::told(&kit, &told, way).await {
            Ok(Ended::Done { summary, totals }) => {
                print(&done(way, &summary, &totals, json))?;
                Ok(Exit::Go)
            }
            Ok(Ended::GivenUp { state }) => {
                let asked = told.asked();
                let text = match (json, asked) {
                    (true, asked) => format!("{}\n", json!({ "schema": 1, "complete": false, "state": state, "asks": asked })),
                    (false, Some(question)) => format!(
                        "stopped, and asks: {}\n  to go on ({}): say --allow-aside PERCENT\n  to leave it: {}\n",
                        question.what, question.going_on, question.giving_up
                    ),
                    (false, None) => format!("given up: {state}\n"),
                };
                print(&text)?;
                Ok(Exit::NoGo)
            }
            Err(failure) => {
                complain(&failure, json)?;
                Ok(Exit::NoGo)
            }
        }
    })
}

fn done(way: Way, summary: &str, totals: &ImportTotals, json: bool) -> String {
    if json {
        let dry = way == Way::DryRun;
        return format!(
            "{}\n",
            json!({ "schema": 1, "complete": true, "dry_run": dry, "summary": summary, "totals": totals })
        );
    }
    let would = if way == Way::DryRun { "it would be: " } else { "" };
    let mut text = format!("{would}{summary}\n");
    for (head, reasons) in [("set aside", &totals.reasons), ("for a person to decide", &totals.doubts)] {
        if !reasons.is_empty() {
            text.push_str(head);
            text.push_str(":\n");
        }
        text.extend(reasons.iter().map(|(reason, number)| format!("  {number:>6}  {reason}\n")));
    }
    text
}

/// How what was set aside is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Each reason, how often, and an example.
    Reasons,
    /// Every record.
    Csv,
    /// Every record.
    Json,
}

fn quarantine(form: Form, files: &Files, json: bool) -> color_eyre::Result<Exit> {
    let kit = match kit(files, json)? {
        Ok(kit) => kit,
        Err(exit) => return Ok(exit),
    };
    let read = runtime()?.block_on(async { import::quarantined(&kit.database_url()?).await });
    let records = match read {
        Ok(records) => records,
        Err(failure) => {
            complain(&failure, json)?;
            return Ok(Exit::NoGo);
        }
    };
    print(&match form {
        Form::Json => format!("{}\n", json!({ "schema": 1, "quarantined": records })),
        Form::Csv => csv(&records),
        Form::Reasons => reasons(&records),
    })?;
    Ok(Exit::Go)
}

fn reasons(records: &[Quarantined]) -> String {
    if records.is_empty() {
        return "nothing is set aside\n".into();
    }
    let groups = records.chunk_by(|one, other| one.reason == other.reason);
    let lines = groups.map(|group| {
        let (example, count) = (&group[0], group.len());
        let Quarantined { reason, pulse_key, detail, .. } = example;
        format!("{count:>6}  {reason}\n        such as {pulse_key}: {detail}\n")
    });
    lines.fold(String::new(), |text, line| text + &line)
}

fn csv(records: &[Quarantined]) -> String {
    let mut text = String::from("key,id,reason,detail,sqlstate,seen_at,raw\r\n");
    for record in records {
        let fields = [
            record.pulse_key.as_str(),
            record.pulse_id.as_deref().unwrap_or_default(),
            &record.reason,
            &record.detail,
            record.sqlstate.as_deref().unwrap_or_default(),
            &record.seen_at.to_rfc3339(),
            &record.raw,
        ]
        .map(cell);
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field in quotes. One that a spreadsheet would run as a formula is text to it from its first letter on.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_its_quotes_and_runs_nothing() {
        assert_eq!(cell("a \"b\",\nc"), "\"a \"\"b\"\",\nc\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
    }

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!(share("7.5"), Ok(0.075));
        assert_eq!(share("100%"), Ok(1.0));
        assert!(share("101").is_err() && share("many").is_err());
    }
}
