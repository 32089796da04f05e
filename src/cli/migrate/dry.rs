//! `gonogo migrate plan`: the dry run at its four levels, printed. What it measures and proves on a clone is kept beside the
//! journal. No rule and no question to a database of its own.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use secrecy::SecretString;
use serde_json::json;

use super::told::{self, Told};
use super::{What, number};
use crate::cli::Exit;
use crate::run::Failure;
use crate::scratch::Rows;
use crate::workers::migrate::book::Direction;
use crate::workers::migrate::dryrun::{
    self, DryRun, Ground, Inverse, Level, Record, Standing, Wanted, lines, live, parsed, rehearse, trace,
    unparsed,
};
use crate::workers::migrate::forecast::Forecast;
use crate::workers::migrate::steps;
use crate::workers::migrate::worker::database;
use crate::workers::migrate::{Database, MigrationSet};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How far the dry run goes. Each level takes in the ones before it, and says what it did not prove.
    #[arg(long, value_enum, default_value_t = To::Parsed)]
    level: To,
    /// Rows of each table that come into the clone: a number, `all`, or `none`. Without it 10000 for a rehearsal, 1000 for a trace.
    #[arg(long, value_name = "N", value_parser = rows)]
    rows: Option<Rows>,
    /// Schemas that come into the clone.
    #[arg(long = "schema", value_name = "NAME", default_values_t = ["public".to_owned()])]
    schemas: Vec<String>,
}

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum To {
    /// The files alone; connects nowhere.
    Parsed,
    /// The live catalogue and rows, in a read-only transaction.
    Catalogue,
    /// Run on a scratch clone, statement by statement: locks, rewrites, scans, time.
    Traced,
    /// On a clone with rows: there, checked, back, compared, there again.
    Rehearsed,
}

fn rows(text: &str) -> Result<Rows, String> {
    match text {
        "all" => Ok(Rows::All),
        "none" | "0" => Ok(Rows::None),
        number => number.parse().map(Rows::Sample).map_err(|_| "say a number, `all` or `none`".into()),
    }
}

impl Args {
    /// Whether a database is needed.
    pub(super) fn connects(&self) -> bool {
        self.level > To::Parsed
    }
}

/// The first level, which needs no database.
pub(super) fn offline(set: &MigrationSet, json: bool) -> serde_json::Result<String> {
    let (steps, dry) = (steps(set), parsed(set));
    if json {
        let value = json!({ "schema": 1, "layout": set.reading, "steps": steps, "not_run": set.asides, "levels": [dry] });
        return Ok(format!("{}\n", serde_json::to_string_pretty(&value)?));
    }
    let steps: String = steps.iter().map(told::planned).collect();
    Ok(format!("read as {}\n{steps}{}{}", set.reading.words(), told::asides(set), text(&dry)))
}

/// What is wrong with files that make no set.
pub(super) fn broken(directory: &Path, failure: &Failure, json: bool) -> serde_json::Result<String> {
    let dry = unparsed(directory, failure);
    if json {
        return Ok(format!("{}\n", serde_json::to_string_pretty(&json!({ "schema": 1, "levels": [dry] }))?));
    }
    Ok(text(&dry))
}

fn text(dry: &DryRun) -> String {
    let mut text = lines(dry).join("\n");
    text.push('\n');
    text
}

/// The levels that need a database, each after the one before. A level that finds what would fail is the last.
pub(super) async fn online(
    args: &Args,
    set: &MigrationSet,
    url: &SecretString,
    journal: &Path,
    json: bool,
) -> Result<(String, Exit), Failure> {
    let db = database(url).await?;
    let mut levels = vec![parsed(set), live(&db, set).await?];
    let passed = |levels: &[DryRun]| levels.iter().all(DryRun::passed);
    if args.level >= To::Traced && passed(&levels) {
        let rehearses = args.level == To::Rehearsed;
        let rows = args.rows.unwrap_or(if rehearses { Wanted::default().rows } else { Rows::Sample(1_000) });
        let wanted = Wanted { schemas: args.schemas.clone(), rows };
        let told = Told::new(json);
        let beside = journal.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let ground =
            Ground::copy(&db, url, &beside, &wanted, |what| told.doing(&format!("copying {what}"))).await?;
        let result = if rehearses {
            rehearse(&db, set, &ground, &wanted.schemas, &told).await?
        } else {
            trace(&db, set, &ground, &wanted.schemas, &told).await?
        };
        let mut dry = result.dry;
        dryrun::unchanged(&db, &mut dry, levels.last().and_then(|live| live.catalogue_after.as_deref()))
            .await?;
        if rehearses {
            result.record.save(&Record::path(journal))?;
        }
        result.forecast.save(&Forecast::path(journal))?;
        levels.push(dry);
    }
    let exit = if passed(&levels) { Exit::Go } else { Exit::NoGo };
    let reached = levels.last().map_or(Level::Parsed, |last| last.level);
    let text = if json {
        format!("{}\n", json!({ "schema": 1, "reached": reached, "levels": levels }))
    } else {
        levels.iter().map(text).collect()
    };
    Ok((text, exit))
}

/// Refuses what gonogo.toml wants rehearsed and is not.
pub(super) async fn demanded(
    what: &What,
    set: &MigrationSet,
    url: &SecretString,
    journal: &Path,
) -> Result<(), Failure> {
    let (way, to) = match what {
        What::Up { to, .. } => (Direction::Up, number(set, to.as_deref())?),
        // The plan runs nothing, and says itself what is not rehearsed.
        What::Down { plan: true, .. } => return Ok(()),
        What::Down { to, .. } => (Direction::Down, number(set, to.as_deref())?),
        _ => return Ok(()),
    };
    let record = Record::load(&Record::path(journal))?;
    dryrun::demanded(&database(url).await?, set, record.as_ref(), way, to).await
}

/// Whether each migration is rehearsed, as its files and the live schema are now.
pub(super) async fn rehearsed(
    db: &Database,
    set: &MigrationSet,
    journal: &Path,
) -> Result<Vec<Standing>, Failure> {
    dryrun::standings(db, set, Record::load(&Record::path(journal))?.as_ref()).await
}

/// Whether what the database has recorded of each migration is rehearsed.
pub(super) async fn inverses(
    db: &Database,
    set: &MigrationSet,
    journal: &Path,
) -> Result<Vec<Inverse>, Failure> {
    dryrun::inverses(db, set, Record::load(&Record::path(journal))?.as_ref()).await
}
