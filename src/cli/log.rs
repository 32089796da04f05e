//! `gonogo log`: the journal, an event a line. Reading it checks the chain of hashes from the first event on.

use super::headless::{Form, rest};
use super::{Exit, Files, complain, refuse, runtime};
use crate::clock::Clock;
use crate::store::Store;

/// What to print.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print from this event on.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from: u64,
}

pub(super) fn run(args: &Args, files: &Files, json: bool) -> color_eyre::Result<Exit> {
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, json),
    };
    let journal = loaded.path(&loaded.config.store.path);
    if !journal.exists() {
        let none = format!("no run was opened here yet: there is no {}", journal.display());
        return complain(&none, json);
    }
    runtime()?.block_on(async {
        let printed = async {
            let store = Store::open(&journal, Clock::wall()).await?;
            rest(&store, args.from.saturating_sub(1), Form::of(json)).await
        };
        match printed.await {
            Ok(_) => Ok(Exit::Go),
            Err(error) => complain(&error, json),
        }
    })
}
