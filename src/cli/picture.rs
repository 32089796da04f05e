//! `gonogo picture`: the overview of this directory's run as it stands, drawn as SVG.

use super::{Exit, Files, complain, print, refuse, runtime, seat};
use crate::clock::Clock;
use crate::store::{Store, beside};
use crate::tui::{Depth, Theme, picture};

/// What is drawn.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Columns and rows.
    #[arg(long, value_name = "COLSxROWS", default_value = "140x40", value_parser = size)]
    size: (u16, u16),
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let read = |side: &str| side.parse::<u16>().ok().filter(|cells| (20..=500).contains(cells));
    text.split_once('x')
        .and_then(|(columns, rows)| Some((read(columns)?, read(rows)?)))
        .ok_or_else(|| "it must be columns and rows, 20 to 500 each, such as 140x40".to_owned())
}

pub(super) fn run(args: &Args, files: &Files, seat: &seat::Args) -> color_eyre::Result<Exit> {
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, false),
    };
    let theme = match Theme::load(seat.theme(), Depth::True) {
        Ok(theme) => theme,
        Err(error) => return complain(&error, false),
    };
    let journal = loaded.path(&loaded.config.store.path);
    if !journal.exists() {
        let none = format!("no run was opened here yet: there is no {}", journal.display());
        return complain(&none, false);
    }
    runtime()?.block_on(async {
        let read = async {
            let clock = beside::pace_at(&journal).await?.map_or_else(Clock::wall, Clock::from_pace);
            Store::open(&journal, clock).await
        };
        let store = match read.await {
            Ok(store) => store,
            Err(error) => return complain(&error, false),
        };
        let live = store.live().borrow().clone();
        let (columns, rows) = args.size;
        print(&picture(&store.now(), &live, store.clock().now(), columns, rows, &theme))?;
        Ok(Exit::Go)
    })
}
