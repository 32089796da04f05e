//! The first level: every file parses, has its place in the order, and its way back. All that is wrong is said at once. No
//! database here.

use std::path::Path;

use super::report::{DryRun, Level, Weight};
use crate::workers::migrate::files::{MigrationSet, Unit};
use crate::workers::migrate::split::split;

/// What can be said of a set by its files.
pub fn parsed(set: &MigrationSet) -> DryRun {
    let mut run = DryRun::new(Level::Parsed);
    let count = |statements: usize| {
        if statements == 1 { "1 statement".to_owned() } else { format!("{statements} statements") }
    };
    for migration in &set.migrations {
        let unit = match migration.up.unit {
            Unit::File => "in one transaction",
            Unit::Statement => "each for itself",
        };
        let checks =
            migration.checks.before.len() + migration.checks.after.len() + migration.checks.after_down.len();
        let down = migration
            .down
            .as_ref()
            .map_or("no way back".to_owned(), |down| format!("back: {}", count(down.statements.len())));
        run.seen(format!(
            "{}: {} {unit}; {down}; {checks} checks",
            migration.title(),
            count(migration.up.statements.len())
        ));
        if migration.down.is_none() {
            run.find(
                Weight::Warns,
                &*migration.up.file,
                format!("{} has no down file", migration.title()),
                "write its way back and rehearse it",
            );
        }
        if checks == 0 {
            run.find(
                Weight::Notes,
                &*migration.up.file,
                format!("{} has no checks, so nothing will prove what it did", migration.title()),
                "write a check file beside it",
            );
        }
    }
    run.not_proven(&[
        "that any name in the files exists, or has the type that the files take for granted",
        "that the rows which are there keep the new rules",
        "how long anything takes, and who waits meanwhile",
    ]);
    run
}

/// What is wrong with the files of a directory that could not be read as a set; each file that does not parse, not only the
/// first.
pub fn unparsed(directory: &Path, first: &crate::run::Failure) -> DryRun {
    let mut run = DryRun::new(Level::Parsed);
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> =
        names.filter(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("sql"))).collect();
    paths.sort();
    for path in paths {
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
        if let Err(failure) = split(file, &text, 1) {
            run.find(Weight::Fails, file, failure.what, failure.next);
        }
    }
    if !run.findings.iter().any(|finding| finding.what == first.what) {
        run.find(Weight::Fails, directory.display().to_string(), first.what.clone(), first.next.clone());
    }
    run.not_proven(&["anything else: what does not parse was not looked at"]);
    run
}
