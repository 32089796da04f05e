//! `gonogo`: the cockpit on this directory's run.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use super::front::{Backstage, Opened, pair};
use super::{Exit, Files, complain, refuse, runtime, seat};
use crate::clock::Clock;
use crate::cockpit::{Cockpit, CockpitError, new_id};
use crate::plan::load::Loaded;
use crate::run::{Actor, Mode};
use crate::store::{Store, beside};
use crate::tui;

const STEPS: [&str; 2] = ["journal", "run and workers"];

pub(super) fn run(files: &Files, args: &seat::Args) -> color_eyre::Result<Exit> {
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, false),
    };
    if !std::io::stdout().is_terminal() {
        return complain(&"the cockpit needs a terminal; `gonogo status` and `gonogo log` do not", false);
    }
    let journal = loaded.path(&loaded.config.store.path);
    if let Some(dir) = journal.parent() {
        seat::log_to(dir);
    }
    let options = match args.screen(Vec::new()) {
        Ok(options) => options,
        Err(error) => return complain(&error, false),
    };
    let actor = args.actor();
    runtime()?.block_on(async move {
        let clock = match beside::pace_at(&journal).await {
            Ok(Some(pace)) => Clock::from_pace(pace),
            Ok(None) => Clock::wall(),
            Err(error) => return complain(&error, false),
        };
        let id = new_id();
        let (feed, front) = pair(clock.clone(), actor.clone(), Arc::clone(&id), &STEPS);
        let behind = tokio::spawn(async move {
            let boot = front.boot.clone();
            match open(journal, clock, loaded, actor, id, &boot).await {
                Ok(opened) => {
                    front.serve(opened).await;
                    Exit::Go
                }
                Err(error) => {
                    tracing::error!(%error, "the cockpit was not opened");
                    boot.failed(&error.to_string(), "nothing was changed; mend it, then start again");
                    front.stand_by().await;
                    Exit::Usage
                }
            }
        });
        let shown = tui::run(feed, options).await;
        let exit = behind.await?;
        shown.map(|()| exit)
    })
}

async fn open(
    journal: PathBuf,
    clock: Clock,
    loaded: Loaded,
    actor: Actor,
    id: Arc<str>,
    boot: &super::front::Starting,
) -> Result<Opened, CockpitError> {
    let store = Store::open(&journal, clock).await?;
    boot.done(0, format!("{} events", store.now().seq));
    let cockpit = Cockpit::open(store, &loaded, Mode::Live, &actor, id).await?;
    boot.done(1, "");
    Ok(Opened { cockpit, world: None, backstage: Backstage::default() })
}
