//! What is known of the tables, and what follows from it: whether a finding matters here. No alarm about what is new, empty, or
//! small and cold; a small table that many use does alarm. What is not known never quiets anything.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, Severity, Standing};
use super::work::{Basis, Forecast, Rates, Size, Work};
use crate::workers::migrate::names::shown;

/// Below this many statements a second nobody queues to speak of.
const COLD: f64 = 1.0;
/// A tenth of the longest that a client may wait.
const SHORT_MS: f64 = 20.0;

/// What is known beyond the files.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// Where it is from; none where the files are all there is.
    pub source: Option<Source>,
    /// Tables by name with schema; one that was looked for and is not there is absent.
    pub tables: BTreeMap<String, Table>,
    /// Numbers of the migrations that are applied.
    pub applied: BTreeSet<u64>,
    /// How fast the server works.
    pub rates: Rates,
    /// Invalid indexes, by name with schema.
    pub invalid: BTreeSet<String>,
    /// What each statement took in a rehearsal, by its checksum.
    pub rehearsed: BTreeMap<String, Forecast>,
}

/// Which database, and how it was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Name, host and port.
    pub place: String,
    /// The server's version, as `150018`.
    pub version: i32,
    /// Over how many seconds its traffic was watched.
    pub watched_s: f64,
}

/// A table of the database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Rows and bytes; none where the server has no estimate.
    pub size: Option<Size>,
    /// Reads and writes in a second.
    pub heat: Option<Heat>,
    /// Columns by name.
    pub columns: BTreeMap<String, Has>,
    /// Columns of the primary key.
    pub key: Vec<String>,
    /// Columns that a valid check proves to be not null.
    pub proven: BTreeSet<String>,
    /// Indexes by name: uniqueness, what follows USING.
    pub indexes: BTreeMap<String, Index>,
    /// Policies of row-level security.
    pub policies: i64,
    /// Whether it is partitioned.
    pub kind: TableKind,
}

/// An index as the catalogue has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Whether it is unique.
    pub unique: bool,
    /// What follows USING in its definition.
    pub tail: String,
}

/// What kind of table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TableKind {
    /// Rows of its own.
    #[default]
    Plain,
    /// Rows in its partitions.
    Partitioned,
}

/// A column as the catalogue has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Has {
    /// Its type, as the server writes it.
    pub ty: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Whether there are rows without a value; none where it could not be seen in time.
    pub nulls: Option<bool>,
}

/// How much a table is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heat {
    /// Scans begun in a second, of the table or its indexes.
    pub reads: f64,
    /// Rows written in a second.
    pub writes: f64,
}

impl Heat {
    fn all(self) -> f64 {
        self.reads + self.writes
    }
}

/// What the tables have to be for a finding not to matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// New, empty, or small and cold.
    Load(Work),
    /// New or empty.
    Rows,
    /// New.
    Newness,
    /// It always matters.
    Always,
}

/// What this set makes new: tables by name, with words for who makes them.
pub(crate) type Made = BTreeMap<String, String>;

/// Gives a finding its forecast, and decides whether it is raised.
pub(crate) fn weigh(finding: &mut Finding, weight: Weight, known: &Knowledge, made: &Made) {
    if weight == Weight::Always || finding.tables.is_empty() {
        return;
    }
    let work = if let Weight::Load(work) = weight { work } else { Work::None };
    // Where two tables are stopped, the work goes over the first.
    if finding.severity == Severity::Stops
        && let Some(size) = finding.tables.first().and_then(|name| known.tables.get(name)?.size)
    {
        finding.forecast.get_or_insert_with(|| known.rates.forecast(work, size));
    }
    let whys: Vec<Option<String>> =
        finding.tables.iter().map(|name| quiet(name, finding, weight, known, made)).collect();
    if let Some(whys) = whys.into_iter().collect::<Option<Vec<String>>>() {
        finding.standing = Standing::Quiet { why: whys.join("; ") };
        finding.forecast = None;
    } else if known.source.is_some() && finding.severity.is_no_go() {
        let hot = finding.tables.iter().find_map(|name| {
            known.tables.get(name)?.heat.filter(|heat| heat.all() >= COLD).map(|heat| (shown(name), heat))
        });
        if let Some((name, heat)) = hot {
            let more =
                format!("; {name} has {:.0} reads and {:.0} writes a second now", heat.reads, heat.writes);
            finding.what.push_str(&more);
        }
    }
}

fn quiet(name: &str, finding: &Finding, weight: Weight, known: &Knowledge, made: &Made) -> Option<String> {
    if let Some(maker) = made.get(name) {
        return Some(format!("{} is made by {maker}", shown(name)));
    }
    let table = known.tables.get(name)?;
    let size = table.size?;
    if weight == Weight::Newness {
        return None;
    }
    if size.rows == 0 && size.bytes == 0 {
        return Some(format!("{} is empty", shown(name)));
    }
    let Weight::Load(work) = weight else { return None };
    let heat = table.heat?;
    if heat.all() >= COLD {
        return None;
    }
    let forecast = finding
        .forecast
        .filter(|found| found.basis == Basis::Rehearsed)
        .unwrap_or_else(|| known.rates.forecast(work, size));
    let short = forecast.high_ms < SHORT_MS || finding.severity == Severity::Queues;
    short.then(|| {
        format!(
            "{} is small and cold: {} rows, {} kB, {:.1} statements a second",
            shown(name),
            size.rows,
            size.bytes.div_ceil(1024),
            heat.all()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::migrate::book::Direction;

    fn finding() -> Finding {
        Finding {
            rule: "x",
            severity: Severity::Stops,
            number: 1,
            direction: Direction::Up,
            file: "x.sql".into(),
            line: 1,
            column: 1,
            place: 0,
            tables: vec!["public.t".into()],
            what: "waits".into(),
            safe: String::new(),
            forecast: None,
            standing: Standing::Raised,
        }
    }

    fn known(rows: u64, heat: Option<f64>) -> Knowledge {
        let size = Some(Size { rows, bytes: rows * 200 });
        let heat = heat.map(|reads| Heat { reads, writes: 0.0 });
        let table = Table { size, heat, ..Table::default() };
        let source = Some(Source { place: "x".into(), version: 150_000, watched_s: 2.0 });
        Knowledge { source, tables: [("public.t".to_owned(), table)].into(), ..Knowledge::default() }
    }

    fn standing(known: &Knowledge, made: &Made) -> Standing {
        let mut one = finding();
        weigh(&mut one, Weight::Load(Work::Scan), known, made);
        one.standing
    }

    #[test]
    fn only_what_is_known_to_be_harmless_is_quiet() {
        let none = Made::new();
        assert_eq!(standing(&Knowledge::default(), &none), Standing::Raised, "nothing is known");
        assert!(matches!(standing(&known(300, Some(0.0)), &none), Standing::Quiet { .. }), "small and cold");
        assert!(matches!(standing(&known(0, Some(900.0)), &none), Standing::Quiet { .. }), "empty");
        assert_eq!(standing(&known(300, Some(400.0)), &none), Standing::Raised, "small and hot");
        assert_eq!(standing(&known(300, None), &none), Standing::Raised, "small, and heat unknown");
        assert_eq!(standing(&known(30_000_000, Some(0.0)), &none), Standing::Raised, "big and cold");
        let made = Made::from([("public.t".to_owned(), "001".to_owned())]);
        assert!(matches!(standing(&known(30_000_000, Some(400.0)), &made), Standing::Quiet { .. }), "new");
    }

    #[test]
    fn a_raised_stop_has_its_forecast_and_its_heat() {
        let mut one = finding();
        weigh(&mut one, Weight::Load(Work::Scan), &known(1_000_000, Some(400.0)), &Made::new());
        assert!(one.forecast.is_some());
        assert_eq!(one.what, "waits; t has 400 reads and 0 writes a second now");
    }
}
