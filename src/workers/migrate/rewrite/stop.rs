//! How long a file would stop clients, from the sizes of its tables and the rates of the server: the longest single stop, for a
//! client waits for one at a time. Where a size is unknown there is no figure.

use serde::Serialize;

use crate::workers::migrate::classify::LockMode;
use crate::workers::migrate::files::Unit;
use crate::workers::migrate::lint::effort::efforts;
use crate::workers::migrate::lint::scene::Page;
use crate::workers::migrate::lint::{Forecast, Knowledge, Size, Work, in_batches};
use crate::workers::migrate::names::canonical;

/// The longest stop of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stop {
    /// How long.
    pub forecast: Forecast,
    /// The statement at which it ends, in a line.
    pub at: String,
}

/// The longest stop, where everything that stops is known.
pub(crate) fn longest(page: &Page<'_>, known: &Knowledge, made: impl Fn(&str) -> bool) -> Option<Stop> {
    known.source.as_ref()?;
    let nothing = known.rates.forecast(Work::None, Size { rows: 0, bytes: 0 });
    let mut longest =
        Stop { forecast: nothing, at: "none of its statements works under a lock that stops clients".into() };
    // In one transaction, what has been held so far.
    let mut held: Option<(f64, f64)> = None;
    for line in &page.lines {
        let stops = line
            .statement
            .shape
            .needs
            .iter()
            .any(|need| need.mode.stops_clients() && !made(&canonical(&need.relation)));
        let mut takes = (0.0, 0.0);
        let mut writes = false;
        for effort in efforts(line.statement, &line.actions) {
            if made(&effort.table) || in_batches(line) {
                continue;
            }
            let size = known.tables.get(&effort.table)?.size?;
            let forecast = known.rates.forecast(effort.work, size);
            // A row that is written stays locked until the end, whatever the table's lock.
            let own = effort.mode.stops_clients() || effort.mode == LockMode::RowExclusive;
            if own || page.script.unit == Unit::File {
                takes = (takes.0 + forecast.low_ms, takes.1 + forecast.high_ms);
            }
            writes |= effort.mode == LockMode::RowExclusive;
        }
        let stop = match (page.script.unit, held) {
            (Unit::File, Some((low, high))) => Some((low + takes.0, high + takes.1)),
            _ if stops || writes => Some(takes),
            _ => None,
        };
        if page.script.unit == Unit::File {
            held = stop;
        }
        if let Some((low, high)) = stop
            && high > longest.forecast.high_ms
        {
            longest.forecast = Forecast { low_ms: low, high_ms: high, rows: None, basis: nothing.basis };
            longest.at = line.statement.title.to_string();
        }
    }
    Some(longest)
}
