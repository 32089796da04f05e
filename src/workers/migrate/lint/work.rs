//! How long a statement works, from what is known of a table: rows and bytes, times rates. Every figure is a forecast, and says
//! what it stands on. The rates of a bench are of one machine; what was measured on this server stands above them.

use std::fmt;

use serde::Serialize;

/// What a statement does to a table while it holds its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// A change of the catalogue: nothing that grows with the table.
    None,
    /// Each row is looked at.
    Scan,
    /// The table is written anew, with its indexes.
    Rewrite,
    /// An index is built.
    Build,
    /// Each row's key is looked up in another table.
    Keys,
    /// Each row is written in place.
    Writes,
}

/// How much a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Rows, as the server estimates them.
    pub rows: u64,
    /// Bytes of its rows, without indexes.
    pub bytes: u64,
}

/// How fast a server works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Against the machine of the bench: 2 is twice as fast.
    factor: f64,
    basis: Basis,
}

/// What a forecast stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The rows of this table, and rates from a bench on another machine.
    Bench,
    /// The rows of this table, and how fast this server has just read some of its pages.
    Measured,
    /// A rehearsal of this very statement.
    Rehearsed,
}

/// PostgreSQL 15, a million contacts of 233 MB, all in memory, two cores: bytes or rows in a millisecond.
const SCAN_BYTES: f64 = 921_000.0;
const REWRITE_BYTES: f64 = 33_400.0;
const BUILD_ROWS: f64 = 2_000.0;
const KEY_ROWS: f64 = 480.0;
const WRITE_ROWS: f64 = 40.0;
/// What a statement takes on an empty table.
const LEAST_MS: f64 = 0.5;

impl Default for Rates {
    fn default() -> Self {
        Self { factor: 1.0, basis: Basis::Bench }
    }
}

impl Rates {
    /// From pages that this server has read: bytes in milliseconds.
    pub fn measured(bytes: u64, ms: f64) -> Self {
        let factor = bytes as f64 / ms.max(0.01) / SCAN_BYTES;
        // A read of a few pages measures the clock; a factor beyond these bounds would be such a reading.
        Self { factor: factor.clamp(0.02, 20.0), basis: Basis::Measured }
    }

    /// How long this work takes on a table of that size.
    pub fn forecast(&self, work: Work, size: Size) -> Forecast {
        let (rows, bytes) = (size.rows as f64, size.bytes as f64);
        let takes = match work {
            Work::None => 0.0,
            Work::Scan => bytes / SCAN_BYTES,
            Work::Rewrite => bytes / REWRITE_BYTES,
            Work::Build => rows / BUILD_ROWS,
            Work::Keys => rows / KEY_ROWS,
            Work::Writes => rows / WRITE_ROWS,
        };
        let spread = if self.basis == Basis::Measured { 2.0 } else { 3.0 };
        let takes = LEAST_MS + takes / self.factor;
        Forecast { low_ms: takes / spread, high_ms: takes * spread, rows: Some(size.rows), basis: self.basis }
    }
}

/// A stop that has not happened yet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// At least about so many milliseconds.
    pub low_ms: f64,
    /// At most about so many.
    pub high_ms: f64,
    /// For so many rows, where it was made from rows.
    pub rows: Option<u64>,
    /// What it stands on.
    pub basis: Basis,
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stands_on = match self.basis {
            Basis::Bench => "rates of a bench elsewhere",
            Basis::Measured => "the read rate of this server",
            Basis::Rehearsed => "the rehearsal",
        };
        write!(f, "forecast {} to {}", Span(self.low_ms), Span(self.high_ms))?;
        if let Some(rows) = self.rows {
            write!(f, " for {rows} rows")?;
        }
        write!(f, ", from {stands_on}")
    }
}

/// A time in the unit that a person would use; no more digits than a forecast deserves.
pub(crate) struct Span(pub(crate) f64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms < 1.0 => f.write_str("under 1 ms"),
            ms if ms < 1_000.0 => write!(f, "{ms:.0} ms"),
            ms if ms < 10_000.0 => write!(f, "{:.1} s", ms / 1_000.0),
            ms if ms < 120_000.0 => write!(f, "{:.0} s", ms / 1_000.0),
            ms => write!(f, "{:.0} min", ms / 60_000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: Size = Size { rows: 1_000_000, bytes: 233_000_000 };

    #[test]
    fn says_about_what_the_bench_has_measured() {
        let rates = Rates::default();
        for (work, measured) in [(Work::Scan, 253.0), (Work::Rewrite, 6_980.0), (Work::Writes, 24_800.0)] {
            let forecast = rates.forecast(work, MILLION);
            assert!(forecast.low_ms < measured && measured < forecast.high_ms, "{work:?}: {forecast}");
        }
        let none = rates.forecast(Work::None, MILLION);
        assert!(none.high_ms < 2.0, "{none}");
    }

    #[test]
    fn a_slow_server_takes_longer_and_says_that_it_was_measured() {
        let slow = Rates::measured(92_100_000, 1_000.0);
        let forecast = slow.forecast(Work::Scan, MILLION);
        assert!(forecast.low_ms > 1_000.0, "{forecast}");
        assert_eq!(
            forecast.to_string(),
            "forecast 1.3 s to 5.1 s for 1000000 rows, from the read rate of this server"
        );
    }
}
