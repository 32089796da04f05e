//! The command line: one file per subcommand, none with rules of its own.
//!
//! A new subcommand is its file, a variant of [`Command`] and a line in [`run`]. Every command exits 0 for GO, 1 for NO-GO
//! or failure, 2 for wrong usage or bad input, and works without a terminal.

mod cockpit;
mod front;
mod headless;
mod import;
mod init;
mod log;
mod migrate;
mod picture;
mod plan;
mod rehearse;
mod seat;
mod status;
mod steer;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::plan::Problem;
use crate::plan::load::{Loaded, load};

/// A terminal cockpit for go-live day: GO is proven, never declared.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    files: Files,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    seat: seat::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The files of the deployment.
#[derive(Debug, clap::Args)]
struct Files {
    /// The configuration; gonogo.toml of this directory where none is named.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The checklist; before the one that the configuration names.
    #[arg(long, global = true, value_name = "FILE.md")]
    checklist: Option<PathBuf>,
}

impl Files {
    fn load(&self) -> Result<Loaded, Vec<Problem>> {
        load(self.config.as_deref(), self.checklist.as_deref())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what was understood of the checklist and gonogo.toml.
    Plan(plan::Args),
    /// Write a commented gonogo.toml into this directory.
    Init(init::Args),
    /// Rehearse the whole deployment against stand-ins on this machine.
    Rehearse(rehearse::Args),
    /// Say how the run stands.
    Status,
    /// Draw the overview of the run as SVG.
    Picture(picture::Args),
    /// Import every contact from Pulse without the screen; say what it would do; show and retry what was set aside.
    Import(import::Args),
    /// Take over from Pulse what changed since the last import or sync, once, without the screen.
    Sync,
    /// Print the journal, an event a line.
    Log(log::Args),
    /// Steer the migration that runs in a cockpit: pause, hold, let, pace, leave-out, end.
    Steer(steer::Args),
    /// Migrate the database without the screen: plan, up, down, status, verify, backup.
    Migrate(migrate::Args),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// GO, or done.
    Go,
    /// NO-GO, or failed.
    NoGo,
    /// Wrong usage or bad input; nothing was done.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Go => 0,
            Exit::NoGo => 1,
            Exit::Usage => 2,
        })
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// What no command has words for: output that cannot be written.
pub fn run(cli: &Cli) -> color_eyre::Result<Exit> {
    match &cli.command {
        Some(Command::Plan(args)) => plan::run(args, &cli.files, cli.json),
        Some(Command::Init(args)) => init::run(args),
        Some(Command::Rehearse(args)) => rehearse::run(args, &cli.files, &cli.seat, cli.json),
        Some(Command::Picture(args)) => picture::run(args, &cli.files, &cli.seat),
        Some(Command::Status) => status::run(&cli.files, cli.json),
        Some(Command::Import(args)) => import::run(args, &cli.files, cli.json),
        Some(Command::Sync) => import::sync(&cli.files, cli.json),
        Some(Command::Log(args)) => log::run(args, &cli.files, cli.json),
        Some(Command::Steer(args)) => steer::run(args, &cli.files, &cli.seat, cli.json),
        Some(Command::Migrate(args)) => migrate::run(args, &cli.files, cli.json),
        None => cockpit::run(&cli.files, &cli.seat),
    }
}

/// Prints to standard output. A reader that went away (`| head`) is no failure.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Says what is wrong with the files: to standard error, or as JSON.
fn refuse(problems: &[Problem], json: bool) -> color_eyre::Result<Exit> {
    if json {
        let value = serde_json::json!({ "schema": 1, "problems": problems });
        print(&format!("{}\n", serde_json::to_string_pretty(&value)?))?;
    } else {
        for problem in problems {
            eprintln!("{problem}");
        }
    }
    Ok(Exit::Usage)
}

/// The runtime of every command that waits for something: two threads, so that a large batch of rows on one does not
/// keep a key waiting on the other.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// Says in one line why a command cannot go on.
fn complain(error: &dyn std::fmt::Display, json: bool) -> color_eyre::Result<Exit> {
    if json {
        let value = serde_json::json!({ "schema": 1, "error": error.to_string() });
        print(&format!("{value}\n"))?;
    } else {
        eprintln!("gonogo: {error}");
    }
    Ok(Exit::Usage)
}
