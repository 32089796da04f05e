//! `gonogo migrate rewrite`: the safe plan beside the file, what of it could not be made safe, and whether both are proven to come
//! to the same end. Writes a file only where it is told to, and never over another.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::json;

use super::lint::{self, Known};
use crate::cli::{Exit, complain, print};
use crate::run::Failure;
use crate::scratch::Rows;
use crate::workers::migrate::MigrationSet;
use crate::workers::migrate::dryrun::{Ground, Wanted};
use crate::workers::migrate::lint::Span;
use crate::workers::migrate::rewrite::{Branches, Proof, Proposal, Stop, Verdict, prove, rewrite, stops};
use crate::workers::migrate::worker::database;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// A migration's number, or a file of SQL.
    #[arg(value_name = "N|FILE")]
    pub(super) target: String,
    /// Write the file into this directory, under its own name.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// How many rows of each table come into the copies on which both forms are compared.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rows: u64,
    /// Propose without a proof: no copy is made.
    #[arg(long)]
    unproven: bool,
    #[command(flatten)]
    lint: lint::Args,
}

impl Args {
    /// The file, where it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        let path = Path::new(&self.target);
        path.is_file().then_some(path)
    }
}

/// A set of one file, whatever it is called.
pub(super) fn alone(path: &Path) -> Result<MigrationSet, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure {
        what: format!("cannot read {}: {error}", path.display()),
        state: "nothing was run".into(),
        next: "name a file of SQL, as UTF-8".into(),
    })?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file.sql");
    let origin = path.display().to_string();
    // A file that is no migration yet has no number.
    let numbered = |name: &str| MigrationSet::embedded(&origin, [(name, text.as_str())]);
    numbered(name).or_else(|refused| {
        if name.contains(|c: char| c.is_ascii_digit()) {
            Err(refused)
        } else {
            numbered(&format!("1_{name}"))
        }
    })
}

pub(super) async fn run(
    args: &Args,
    set: &MigrationSet,
    url: Result<SecretString, String>,
    journal: &Path,
    json: bool,
) -> color_eyre::Result<Exit> {
    let number = match args.file() {
        Some(_) => set.migrations.first().map(|only| only.number),
        None => args.target.parse().ok(),
    };
    let known = match lint::knowledge(&args.lint, set, url.clone(), journal).await {
        Ok(known) => known,
        Err(failure) => {
            complain(&failure, json)?;
            return Ok(Exit::NoGo);
        }
    };
    let Some(proposal) = number.and_then(|number| rewrite(set, number, &known.0)) else {
        let what = format!(
            "{} is no migration of {} and no file: see gonogo migrate status",
            args.target, set.origin
        );
        return complain(&what, json);
    };
    let stops = stops(set, &proposal, &known.0);
    let proof = match proven(args, set, &proposal, url.as_ref().ok(), journal).await {
        Ok(proof) => proof,
        Err(failure) => {
            complain(&failure, json)?;
            return Ok(Exit::NoGo);
        }
    };
    let written = match args.write.as_deref().filter(|_| proposal.verdict == Verdict::Rewritten) {
        Some(directory) => match write(directory, &proposal) {
            Ok(path) => Some(path),
            Err(failure) => {
                complain(&failure, json)?;
                return Ok(Exit::NoGo);
            }
        },
        None => None,
    };
    let text = if json {
        let value = json!({
            "schema": 1,
            "knowledge": known.1,
            "proposal": proposal,
            "stop": { "as_it_is": stops.0, "rewritten": stops.1 },
            "proof": proof.as_ref().ok(),
            "not_proven": proof.as_ref().err(),
            "written": written.as_ref().map(|path| path.display().to_string()),
        });
        format!("{}\n", serde_json::to_string_pretty(&value)?)
    } else {
        as_text(&proposal, &stops, &known, &proof, written.as_deref())
    };
    print(&text)?;
    let unlike = matches!(proof, Ok(Proof::Different { .. } | Proof::Failed { .. }));
    Ok(if proposal.left.is_empty() && !unlike { Exit::Go } else { Exit::NoGo })
}

/// The proof, or why there is none.
async fn proven(
    args: &Args,
    set: &MigrationSet,
    proposal: &Proposal,
    url: Option<&SecretString>,
    journal: &Path,
) -> Result<Result<Proof, String>, Failure> {
    if proposal.verdict == Verdict::Unchanged {
        return Ok(Err("there is nothing to compare".into()));
    }
    if args.unproven {
        return Ok(Err("--unproven".into()));
    }
    let Some(url) = url.filter(|_| !args.lint.offline) else {
        return Ok(Err("there is no database to copy".into()));
    };
    let db = database(url).await?;
    let wanted = Wanted { rows: Rows::Sample(args.rows), ..Wanted::default() };
    let beside = journal.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let ground = Ground::copy(&db, url, &beside, &wanted, |what| tracing::debug!(what, "copying")).await?;
    let Some((scratch, base)) = ground.branches() else { return Ok(Err("the copy is gone".into())) };
    prove(&Branches::new(scratch, base), set, proposal).await.map(Ok)
}

fn write(directory: &Path, proposal: &Proposal) -> Result<PathBuf, Failure> {
    let path = directory.join(&*proposal.file);
    let new = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    new.and_then(|mut file| file.write_all(proposal.text.as_bytes())).map_err(|error| Failure {
        what: format!("cannot write {}: {error}", path.display()),
        state: "no file was changed".into(),
        next: "name a directory that is there and holds no file of that name".into(),
    })?;
    Ok(path)
}

fn said(proof: &Result<Proof, String>) -> String {
    match proof {
        Err(why) => format!("not proven: {why}\n"),
        Ok(Proof::Failed { what }) => format!("NOT PROVEN: on a copy it did not run: {what}\n"),
        Ok(Proof::Different { differences }) => {
            let lines = differences.iter().fold(String::new(), |all, one| all + "    " + one + "\n");
            format!("NOT PROVEN: the plan comes to another end:\n{lines}")
        }
        Ok(Proof::Equal { catalogue, tables, rows, drawn, as_it_is, rewritten }) => {
            let hash = catalogue.get(..12).unwrap_or(catalogue);
            let drawn = if drawn.is_empty() {
                String::new()
            } else {
                format!("; drawn anew on each run, so only counted: {}", drawn.join(", "))
            };
            format!(
                "proven: on copies with {tables} tables and {rows} rows both come to the same catalogue ({hash}…) and the same \
                 rows{drawn}\nmeasured there: clients kept out for {} as it is ({}), for {} rewritten ({})\n",
                Span(as_it_is.longest_ms),
                as_it_is.at,
                Span(rewritten.longest_ms),
                rewritten.at
            )
        }
    }
}

fn as_text(
    proposal: &Proposal,
    stops: &(Option<Stop>, Option<Stop>),
    known: &Known,
    proof: &Result<Proof, String>,
    written: Option<&Path>,
) -> String {
    let mut text = String::new();
    if proposal.verdict == Verdict::Unchanged {
        let _ = writeln!(text, "{}: nothing to rewrite", proposal.file);
    } else if let Some(path) = written {
        let _ = writeln!(text, "{}: written to {}", proposal.file, path.display());
    } else {
        let _ = writeln!(text, "{}", proposal.text);
    }
    for left in &proposal.left {
        let _ = writeln!(text, "not made safe: {left}");
    }
    for (word, stop) in [("as it is", &stops.0), ("rewritten", &stops.1)] {
        let _ = match stop {
            Some(stop) => writeln!(text, "longest stop {word}: {} ({})", stop.forecast, stop.at),
            None => writeln!(text, "longest stop {word}: unknown, for the sizes of the tables are"),
        };
    }
    text.push_str(&said(proof));
    let _ = writeln!(text, "looked at: {}", known.1);
    text
}
