//! `gonogo migrate lint`: what each statement stops, for whom, for how long on this table. Says how much it knew; runs nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use crate::cli::{Exit, complain, print};
use crate::run::Failure;
use crate::workers::migrate::MigrationSet;
use crate::workers::migrate::forecast::Forecast;
use crate::workers::migrate::lint::{Finding, Knowledge, Severity, Standing, learn, lint, rehearsed};
use crate::workers::migrate::worker::database;

#[derive(Debug, Clone, clap::Args)]
// Another command takes these too, beside its own of the same name.
#[group(skip)]
pub(super) struct Args {
    /// Look at the files alone, though a database is known.
    #[arg(long)]
    pub(super) offline: bool,
    /// For how many seconds the tables' traffic is watched.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub(super) watch: u16,
    /// Print also what was found and does not matter here, with why not.
    #[arg(long)]
    pub(super) all: bool,
}

pub(super) async fn run(
    args: &Args,
    set: &MigrationSet,
    url: Result<SecretString, String>,
    journal: &Path,
    json: bool,
) -> color_eyre::Result<Exit> {
    let known = match knowledge(args, set, url, journal).await {
        Ok(known) => known,
        Err(failure) => {
            complain(&failure, json)?;
            return Ok(Exit::NoGo);
        }
    };
    let findings = lint(set, &known.0);
    let text = if json { as_json(&findings, &known)? } else { as_text(&findings, &known, args.all) };
    print(&text)?;
    Ok(if findings.iter().any(Finding::is_no_go) { Exit::NoGo } else { Exit::Go })
}

/// What is known, and what that is worth, in words.
pub(super) type Known = (Knowledge, String);

/// Looks at the database where there is one. One that should be there and does not answer is an error, not a lesser knowledge.
pub(super) async fn knowledge(
    args: &Args,
    set: &MigrationSet,
    url: Result<SecretString, String>,
    journal: &Path,
) -> Result<Known, Failure> {
    let files = |why: &str| {
        (
            Knowledge::default(),
            format!("the files alone ({why}): sizes, traffic and what is there already are unknown"),
        )
    };
    let url = match url {
        _ if args.offline => return Ok(files("--offline")),
        Err(missing) => return Ok(files(&missing)),
        Ok(url) => url,
    };
    let db = database(&url).await?;
    let mut known = learn(&db, set, Duration::from_secs(args.watch.into())).await?;
    if let Some(measured) = Forecast::load(&Forecast::path(journal))? {
        rehearsed(&mut known, set, &measured);
    }
    let words = format!(
        "the files, and the catalogue of {}, whose traffic was watched for {} s",
        db.place(),
        args.watch
    );
    Ok((known, words))
}

fn as_json(findings: &[Finding], known: &Known) -> serde_json::Result<String> {
    let level = if known.0.source.is_some() { "catalogue" } else { "files" };
    let value = json!({
        "schema": 1,
        "knowledge": { "level": level, "words": known.1 },
        "no_go": findings.iter().filter(|one| one.is_no_go()).count(),
        "findings": findings,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

fn as_text(findings: &[Finding], known: &Known, all: bool) -> String {
    let mut text = String::new();
    for one in findings.iter().filter(|one| all || one.is_raised()) {
        text.push_str(&shown(one));
    }
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    for one in findings.iter().filter(|one| one.is_raised()) {
        *counts.entry(one.severity).or_default() += 1;
    }
    let raised: Vec<String> = counts
        .iter()
        .map(|(severity, count)| format!("{count} {}", severity.word().to_lowercase()))
        .collect();
    let raised = if raised.is_empty() { "nothing to say".to_owned() } else { raised.join(", ") };
    let quiet = findings.iter().filter(|one| matches!(one.standing, Standing::Quiet { .. })).count();
    let allowed = findings.iter().filter(|one| matches!(one.standing, Standing::Allowed { .. })).count();
    let mut left = String::new();
    if quiet > 0 {
        let _ = write!(left, "; {quiet} more do not matter on these tables");
    }
    if allowed > 0 {
        let _ = write!(left, "; {allowed} allowed in the files");
    }
    if !left.is_empty() && !all {
        left.push_str(" (--all shows them)");
    }
    let _ = write!(text, "{raised}{left}\nlooked at: {}\n", known.1);
    text
}

fn shown(one: &Finding) -> String {
    let mut text = format!("{}:{}:{} {} {}\n", one.file, one.line, one.column, one.severity, one.rule);
    let _ = writeln!(text, "    {}", one.what);
    if let Some(forecast) = &one.forecast {
        let _ = writeln!(text, "    {forecast}");
    }
    let _ = match &one.standing {
        Standing::Raised => writeln!(text, "    safe: {}", one.safe),
        Standing::Quiet { why } => writeln!(text, "    no alarm: {why}"),
        Standing::Allowed { because } => writeln!(text, "    allowed: {because}"),
    };
    text
}
