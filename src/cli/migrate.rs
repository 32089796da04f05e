//! `gonogo migrate`: the migrations without the screen, by the same engine. The database comes from gonogo.toml, or from
//! DATABASE_URL where there is none; what loses data wants the database's name.

mod back;
mod dry;
mod lint;
mod restore;
mod rewrite;
mod told;

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Exit, Files, complain, print, refuse, runtime};
use crate::plan::Config;
use crate::plan::config::{Layout, Rehearsal};
use crate::run::Failure;
use crate::secrets::Secrets;
use crate::workers::migrate::inverse::with_inverses;
use crate::workers::migrate::restore::Shelf;
use crate::workers::migrate::survey::Standing;
use crate::workers::migrate::worker::{database, migrations, shelf_of, summary, target_of};
use crate::workers::migrate::{
    BackupGate, Changed, Database, Ended, MigrationSet, Options, Report, Sameness, Target, adopt, backup,
    down, foreigners, loss, status, up, verify,
};
use told::{Confirmed, Said, Told};

/// Where there is no gonogo.toml.
const URL_VARIABLE: &str = "DATABASE_URL";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of the migrations; before the one that gonogo.toml names.
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Whose files they are, if the directory does not show it: gonogo, sqlx, golang-migrate, dbmate, supabase, flyway, goose, plain.
    #[arg(long, global = true, value_name = "NAME")]
    layout: Option<Layout>,
    /// Keep backups as files in this directory, whatever gonogo.toml says.
    #[arg(long, global = true, value_name = "DIR")]
    backup_dir: Option<PathBuf>,
    /// The variable with the secret that those files are encrypted with.
    #[arg(long, global = true, value_name = "NAME", requires = "backup_dir")]
    backup_key_env: Option<String>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A dry run: the steps and the locks they take, and as much proof as the level asks for. Changes nothing.
    Plan(dry::Args),
    /// Say what each statement stops, for whom and for how long; with a database, only where it matters. Runs nothing.
    Lint(lint::Args),
    /// Propose the safe form of a file beside it, and prove on copies that both come to the same end.
    Rewrite(rewrite::Args),
    /// Run the migrations that are not applied yet.
    Up {
        /// Up to and including this number or version.
        #[arg(long, value_name = "N")]
        to: Option<String>,
        /// Whether a proven backup must be there.
        #[arg(long, value_enum, default_value_t = Backup::Required)]
        backup: Backup,
        /// The database's name, as the server says it: goes beyond a point of no return.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
        /// Leave out this index; may be given more than once.
        #[arg(long, value_name = "INDEX")]
        leave_out: Vec<String>,
        /// The pace of batches, in percent.
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u16).range(10..=400))]
        pace: Option<u16>,
    },
    /// Take migrations back, newest first. Says what would be lost, and wants the database's name.
    Down {
        /// Down to but not including this number or version.
        #[arg(long, value_name = "N")]
        to: Option<String>,
        /// The database's name, as the server says it.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
        /// Say what would run, what it costs and loses, and where the down file and the record differ; run nothing.
        #[arg(long, conflicts_with = "confirm")]
        plan: bool,
    },
    /// Say how far each migration is.
    Status,
    /// Ask the checks of every applied migration again.
    Verify,
    /// Back up what the migrations touch, and prove the copy.
    Backup,
    /// List backups, prove one again, or restore from one.
    #[command(subcommand)]
    Restore(restore::What),
    /// Take over what another tool applied into gonogo's own bookkeeping. The other tool's is not written.
    Adopt {
        /// Up to and including this number.
        #[arg(long, value_name = "N")]
        to: Option<String>,
        /// What to do with a file that is not what the other tool ran.
        #[arg(long, value_enum, default_value_t = Differing::Refuse)]
        changed: Differing,
    },
}

/// What to do with a file that is not what the other tool ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Differing {
    /// Adopt nothing.
    Refuse,
    /// Take the file as it is now for what is applied.
    Accept,
}

/// Whether a proven backup must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backup {
    /// Nothing starts without one.
    Required,
    /// Go without.
    Waived,
}

pub(super) fn run(args: &Args, files: &Files, json: bool) -> color_eyre::Result<Exit> {
    let (directory, layout, url, journal, rule, backups) = match files.load() {
        Ok(loaded) => {
            let directory =
                args.dir.clone().unwrap_or_else(|| loaded.path(&loaded.config.deployment.migrations));
            let secrets = Secrets::load(&loaded.path(&loaded.config.secrets.env_file));
            let secrets = secrets.map_err(|error| error.to_string());
            let url = secrets.as_ref().map_err(Clone::clone).and_then(|secrets| {
                secrets.secret(&loaded.config.database.url_env).map_err(|missing| missing.to_string())
            });
            let secrets = secrets.unwrap_or_else(|_| Secrets::of([]));
            let backups = Backups::of(
                args,
                Some((&loaded.config, loaded.path(&loaded.config.database.backup_dir))),
                &secrets,
            );
            let layout = args.layout.unwrap_or(loaded.config.deployment.layout);
            let journal = loaded.path(&loaded.config.store.path);
            (directory, layout, url, journal, loaded.config.database.rehearsal, backups)
        }
        Err(problems) => match &args.dir {
            // The migrations of any project, without a deployment around them.
            Some(directory) => {
                let secrets = Secrets::of([]);
                let url = secrets.secret(URL_VARIABLE).map_err(|missing| missing.to_string());
                let journal = crate::plan::Config::default().store.path;
                let backups = Backups::of(args, None, &secrets);
                (directory.clone(), args.layout.unwrap_or_default(), url, journal, Rehearsal::Shown, backups)
            }
            None if alone_file(args).is_some() => {
                let secrets = Secrets::of([]);
                let url = secrets.secret(URL_VARIABLE).map_err(|missing| missing.to_string());
                let journal = crate::plan::Config::default().store.path;
                let backups = Backups::of(args, None, &secrets);
                (PathBuf::new(), args.layout.unwrap_or_default(), url, journal, Rehearsal::Shown, backups)
            }
            None => return refuse(&problems, json),
        },
    };
    runtime()?.block_on(async {
        let read = match alone_file(args) {
            Some(file) => rewrite::alone(file),
            None => migrations(directory.clone(), layout).await,
        };
        let set = match read {
            Ok(set) => set,
            Err(failure) if matches!(args.what, What::Plan(_)) => {
                print(&dry::broken(&directory, &failure, json)?)?;
                return Ok(Exit::Usage);
            }
            Err(failure) => return complain(&failure, json),
        };
        if let What::Plan(dry) = &args.what
            && !dry.connects()
        {
            print(&dry::offline(&set, json)?)?;
            return Ok(Exit::Go);
        }
        if let What::Lint(args) = &args.what {
            return lint::run(args, &set, url, &journal, json).await;
        }
        if let What::Rewrite(args) = &args.what {
            return rewrite::run(args, &set, url, &journal, json).await;
        }
        let url: SecretString = match url {
            Ok(url) => url,
            Err(missing) => return complain(&missing, json),
        };
        let demanded = match rule {
            Rehearsal::Shown => Ok(()),
            Rehearsal::Required => dry::demanded(&args.what, &set, &url, &journal).await,
        };
        if let Err(failure) = demanded {
            complain(&failure, json)?;
            return Ok(Exit::NoGo);
        }
        match act(&args.what, &set, &url, &journal, &backups, json).await {
            Ok((text, exit)) => {
                print(&text)?;
                Ok(exit)
            }
            Err(failure) => {
                complain(&failure, json)?;
                Ok(Exit::NoGo)
            }
        }
    })
}

/// A file of SQL that is asked about by itself, without a directory of migrations around it.
fn alone_file(args: &Args) -> Option<&std::path::Path> {
    if let What::Rewrite(rewrite) = &args.what { rewrite.file() } else { None }
}

async fn act(
    what: &What,
    set: &MigrationSet,
    url: &SecretString,
    journal: &Path,
    backups: &Backups,
    json: bool,
) -> Result<(String, Exit), Failure> {
    if let What::Plan(args) = what {
        return dry::online(args, set, url, journal, json).await;
    }
    let db = database(url).await?;
    let by = std::env::var("USER").unwrap_or_else(|_| "gonogo".into());
    let options = Options { by, ..Options::default() };
    let told = Told::new(json);
    match what {
        What::Plan(_) | What::Lint(_) | What::Rewrite(_) => Ok((String::new(), Exit::Go)),
        What::Up { to, backup, confirm, leave_out, pace } => {
            let told = told.saying(Said {
                confirmed: match confirm.as_deref() {
                    Some(name) if name == db.database_name() => Confirmed::Yes,
                    _ => Confirmed::No,
                },
                database: db.database_name().to_owned(),
                leave_out: leave_out.clone(),
                pace: *pace,
            });
            let gate = match backup {
                Backup::Required => BackupGate::Required,
                Backup::Waived => BackupGate::Waived,
            };
            let to = number(set, to.as_deref())?;
            let report = up(&db, set, to, &Options { backup: gate, ..options }, &told).await?;
            Ok(ended("up", &report, json))
        }
        What::Down { to, plan: true, .. } => {
            let rehearsed = dry::rehearsed(&db, set, journal).await?;
            let inverses = dry::inverses(&db, set, journal).await?;
            back::plan(&db, set, number(set, to.as_deref())?, (&rehearsed, &inverses), json).await
        }
        What::Down { to, confirm, .. } => {
            let to = number(set, to.as_deref())?;
            let lost = loss(&db, set, to).await?;
            confirmed(&db, confirm.as_deref(), &lost)?;
            let set = with_inverses(&db, set, to).await?;
            let report = down(&db, &set, to, &options, &told).await?;
            Ok(ended("back", &report, json))
        }
        What::Backup => {
            let target = backups.target.as_ref().map_err(Clone::clone)?;
            let report = backup(&db, set, target, &options, &told).await?;
            restore::taken(&db, &backups.shelf, &report, json).await
        }
        What::Adopt { to, changed } => {
            let changed = match changed {
                Differing::Refuse => Changed::Refuse,
                Differing::Accept => Changed::Accept,
            };
            let adopted = adopt(&db, set, number(set, to.as_deref())?, changed, &options).await?;
            let text = if json {
                format!(
                    "{}\n",
                    json!({ "schema": 1, "tool": adopted.tool, "adopted": adopted.titles, "by": options.by })
                )
            } else {
                told::adopted(&adopted, &options.by)
            };
            Ok((text, Exit::Go))
        }
        What::Restore(what) => restore::act(what, &db, &backups.shelf, json).await,
        What::Status => {
            let standing = status(&db, set).await?;
            let rehearsed = dry::rehearsed(&db, set, journal).await?;
            let inverses = dry::inverses(&db, set, journal).await?;
            let foreign = foreigners(&db, set).await?;
            let as_applied = |one: &Standing| {
                let theirs = one.foreign.as_ref().filter(|theirs| !theirs.adopted);
                one.unchanged.unwrap_or(true) && theirs.is_none_or(|theirs| theirs.file != Sameness::Differs)
            };
            let whole = standing.iter().all(as_applied)
                && foreign.as_ref().is_none_or(|foreign| foreign.trouble.is_none());
            let text = if json {
                let all = json!({ "schema": 1, "database": db.place(), "layout": set.reading, "migrations": standing,
                                  "rehearsed": rehearsed, "inverses": inverses, "foreign": foreign, "not_run": set.asides });
                format!("{all}\n")
            } else {
                let all = standing.iter().zip(rehearsed.iter().zip(&inverses));
                let lines: String =
                    all.map(|(one, (rehearsed, inverse))| told::standing(one, rehearsed, inverse)).collect();
                let foreign = foreign.as_ref().map(told::foreigners).unwrap_or_default();
                format!("{lines}{foreign}{}", told::asides(set))
            };
            Ok((text, if whole { Exit::Go } else { Exit::NoGo }))
        }
        What::Verify => {
            let answers = verify(&db, set).await?;
            let bad = answers.iter().filter(|(_, answer)| !answer.ok).count();
            let text = if json {
                let answers: Vec<Value> = answers
                    .iter()
                    .map(|(number, answer)| json!({ "number": number, "check": answer }))
                    .collect();
                format!("{}\n", json!({ "schema": 1, "failed": bad, "answers": answers }))
            } else {
                let lines: String =
                    answers.iter().filter(|(_, answer)| !answer.ok).map(told::answer).collect();
                format!("{lines}{} of {} checks passed\n", answers.len() - bad, answers.len())
            };
            // Nothing asked is nothing proven.
            Ok((text, if bad == 0 && !answers.is_empty() { Exit::Go } else { Exit::NoGo }))
        }
    }
}

/// The number that was named on the command line.
fn number(set: &MigrationSet, word: Option<&str>) -> Result<Option<u64>, Failure> {
    let Some(word) = word else { return Ok(None) };
    set.number_of(word).map(Some).ok_or_else(|| Failure {
        what: format!("{word:?} is neither a number nor a version of {}", set.origin),
        state: "nothing was run".into(),
        next: "see migrate status for the numbers".into(),
    })
}

/// Where backups go, and where they are found.
struct Backups {
    target: Result<Target, Failure>,
    shelf: Shelf,
}

impl Backups {
    /// The command's own words go before the configuration's.
    fn of(args: &Args, configured: Option<(&Config, PathBuf)>, secrets: &Secrets) -> Self {
        let secret = |name: &str| {
            secrets.secret(name).map_err(|missing| Failure {
                what: missing.to_string(),
                state: "nothing was backed up".into(),
                next: format!("set {name}, or name the variable that has the secret"),
            })
        };
        match (&args.backup_dir, configured) {
            (Some(dir), _) => {
                let found = args.backup_key_env.as_deref().map(secret).transpose();
                let shelf = Shelf { dir: Some(dir.clone()), secret: found.clone().ok().flatten() };
                Self { target: found.map(|secret| Target::Files { dir: dir.clone(), secret }), shelf }
            }
            (None, Some((config, dir))) => Self {
                target: target_of(config, dir.clone(), secret),
                shelf: shelf_of(config, dir, |name| secret(name).ok()),
            },
            (None, None) => Self { target: Ok(Target::Schema), shelf: Shelf::default() },
        }
    }
}

fn confirmed(db: &Database, name: Option<&str>, lost: &[(String, u64)]) -> Result<(), Failure> {
    if name == Some(db.database_name()) {
        return Ok(());
    }
    let lost: Vec<String> = lost.iter().map(|(what, rows)| format!("{what}: {rows} rows")).collect();
    let lost = if lost.is_empty() { "no row".into() } else { lost.join(", ") };
    Err(Failure {
        what: format!("going back takes out of use: {lost}; it was not confirmed with the database's name"),
        state: "nothing was run".into(),
        next: format!("see --plan for the way back; to go, say --confirm {}", db.database_name()),
    })
}

fn ended(way: &str, report: &Report, json: bool) -> (String, Exit) {
    let (complete, exit) = match report.ended {
        Ended::Complete => (true, Exit::Go),
        Ended::GivenUp => (false, Exit::NoGo),
    };
    let text = if json {
        json!({ "schema": 1, "complete": complete, "applied": report.applied, "done": report.done,
                "skipped": report.skipped, "worst_wait_ms": report.worst_wait_ms })
        .to_string()
    } else {
        summary(way, report)
    };
    (format!("{text}\n"), exit)
}
