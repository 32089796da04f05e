//! The thin binary: arguments, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use gonogo::cli::{Cli, run};

fn main() -> color_eyre::Result<ExitCode> {
    color_eyre::install()?;
    Ok(run(&Cli::parse())?.into())
}
