//! A dry run as lines for a terminal. Colours and columns belong elsewhere; what is not proven always comes last and is never left
//! out.

use super::report::{DryRun, Level, Weight};

/// Each without its line end.
pub fn lines(dry: &DryRun) -> Vec<String> {
    let mut lines = Vec::new();
    let about = dry.database.as_ref().map_or(String::new(), |database| format!(" on {database}"));
    lines.push(format!("level {}{about}", dry.level.word()));
    lines.extend(dry.seen.iter().map(|line| format!("  {line}")));
    for size in &dry.sizes {
        let rows =
            size.rows.map_or("rows unknown, never analyzed".to_owned(), |rows| format!("about {rows} rows"));
        let table = &size.table;
        lines.push(format!("  {table}: {rows}, {}, {} indexes", bytes(size.bytes), size.indexes));
    }
    for traced in dry
        .traced
        .iter()
        .filter(|traced| traced.way == "up" || dry.level == Level::Rehearsed && traced.way == "down")
    {
        let measured = &traced.measured;
        let mut more = vec![time(measured.ms)];
        let locks: Vec<String> = measured
            .locks
            .iter()
            .filter(|lock| !matches!(lock.mode.as_str(), "AccessShareLock" | "RowShareLock"))
            .map(|lock| format!("{} on {} held {}", lock.mode, lock.relation, time(lock.ms)))
            .collect();
        more.extend(locks);
        if !measured.rewrites.is_empty() {
            more.push(format!("REWRITES {}", measured.rewrites.join(", ")));
        }
        if !measured.scans.is_empty() {
            more.push(format!("reads {} ({} rows)", measured.scans.join(", "), measured.rows));
        }
        if measured.wal > 64 * 1024 {
            more.push(format!("{} of log", bytes(measured.wal)));
        }
        lines.push(format!(
            "  {:<5} {}  {}  [{}]",
            traced.way,
            measured.place,
            measured.title,
            more.join("; ")
        ));
    }
    for finding in &dry.findings {
        let sign = match finding.weight {
            Weight::Fails => "FAILS",
            Weight::Warns => "warns",
            Weight::Notes => "notes",
        };
        // What the server said names its place already.
        let place = if finding.what.contains(&finding.place) {
            String::new()
        } else {
            format!("{}: ", finding.place)
        };
        lines.push(format!("  {sign} {place}{}", finding.what));
        if !finding.next.is_empty() {
            lines.push(format!("        → {}", finding.next));
        }
    }
    if let (Some(before), Some(after)) = (&dry.catalogue_before, &dry.catalogue_after) {
        let word = if before == after { "the same" } else { "CHANGED MEANWHILE" };
        lines.push(format!("  live catalogue before {}, after {}: {word}", short(before), short(after)));
    }
    let failing = dry.findings.iter().filter(|finding| finding.weight == Weight::Fails).count();
    lines.push(match failing {
        0 => "  nothing found at this level that would make the run fail".into(),
        1 => "  1 finding would make the run fail".into(),
        many => format!("  {many} findings would make the run fail"),
    });
    lines.extend(dry.not_proven.iter().map(|line| format!("  not proven: {line}")));
    lines
}

fn time(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1_000.0),
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
