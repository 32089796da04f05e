//! `gonogo status`: how the run stands.

use super::headless::{Form, say, sum_up};
use super::{Exit, Files, complain, refuse, runtime};
use crate::clock::Clock;
use crate::run::next::next;
use crate::store::Store;

pub(super) fn run(files: &Files, json: bool) -> color_eyre::Result<Exit> {
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
        let store = match Store::open(&journal, Clock::wall()).await {
            Ok(store) => store,
            Err(error) => return complain(&error, json),
        };
        let state = store.now();
        say(&sum_up(&state, None, Form::of(json)));
        if !json {
            say(&format!("  next: {:?}", next(&state, state.at)));
        }
        let well = state.alerts.is_empty()
            && state.taken_back.is_empty()
            && state.ended().is_none_or(crate::run::event::Ending::is_success);
        Ok(if well { Exit::Go } else { Exit::NoGo })
    })
}
