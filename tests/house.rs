//! The house rules that no compiler holds: which room may know which, how large a file may grow, how it begins. Reads the
//! sources as text, and names file and line of what breaks a rule.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gonogo::plan::checklist::read::read;
use gonogo::plan::{Config, bundled};

/// Each room, and the rooms it may know besides itself. A new room needs its line here.
const ROOMS: &[(&str, &[&str])] = &[
    ("plan", &[]),
    ("run", &["plan"]),
    ("clock", &[]),
    ("secrets", &[]),
    ("services", &["clock"]),
    ("scratch", &[]),
    ("store", &["run", "plan", "clock"]),
    ("workers", &["store", "run", "plan", "services", "scratch", "secrets", "clock"]),
    ("report", &["run", "plan", "clock"]),
    ("tui", &["run", "plan", "clock", "report"]),
    ("rehearsal", &["workers", "store", "run", "plan", "services", "scratch", "secrets", "clock"]),
    (
        "cockpit",
        &[
            "tui",
            "report",
            "rehearsal",
            "workers",
            "store",
            "run",
            "plan",
            "services",
            "scratch",
            "secrets",
            "clock",
        ],
    ),
    (
        "cli",
        &[
            "cockpit",
            "tui",
            "report",
            "rehearsal",
            "workers",
            "store",
            "run",
            "plan",
            "services",
            "scratch",
            "secrets",
            "clock",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Packages that have no business in a room: what acts, waits, stores or draws.
const KEPT_OUT: &[(&str, &[&str])] = &[
    ("plan", &["tokio", "sqlx", "reqwest", "axum", "ratatui", "crossterm"]),
    ("run", &["tokio", "sqlx", "reqwest", "axum", "ratatui", "crossterm"]),
    ("clock", &["sqlx", "reqwest", "axum", "ratatui", "crossterm"]),
    ("store", &["reqwest", "axum", "ratatui", "crossterm"]),
    ("services", &["sqlx", "axum", "ratatui", "crossterm"]),
    ("workers", &["axum", "ratatui", "crossterm"]),
    ("scratch", &["reqwest", "axum", "ratatui", "crossterm"]),
    ("tui", &["sqlx", "reqwest", "axum"]),
    ("rehearsal", &["ratatui", "crossterm"]),
];

/// Above this a file is two files.
const LINES: usize = 600;

/// The one place that blocks a thread: a `Drop`, which cannot await, sees its server off.
const BLOCKS: &[&str] = &["src/scratch.rs"];

struct Source {
    /// From the root of the repository.
    name: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(under: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(under) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort_unstable();
}

fn sources(places: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for place in places {
        files(&root().join(place), "rs", &mut found);
    }
    assert!(!found.is_empty(), "{places:?} hold no sources");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        Source { name, text: fs::read_to_string(path).unwrap() }
    };
    found.into_iter().map(read).collect()
}

impl Source {
    /// `src/run/decide/mod.rs` is in the room `run`.
    fn room(&self) -> &str {
        let inside = self.name.strip_prefix("src/").unwrap();
        inside.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// How many `super` lead from this file's module to the root of the crate.
    fn depth(&self) -> usize {
        let inside = self.name.strip_prefix("src/").unwrap().trim_end_matches(".rs");
        inside.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main")).count()
    }

    /// Tests may reach across rooms: they stand at the far end of them.
    fn is_test(&self) -> bool {
        let name = self.name.trim_end_matches(".rs");
        name.contains("/tests/") || ["tests", "testing"].iter().any(|end| name.ends_with(end))
    }

    /// The code without comments and without the tests at its end, each line with its number.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines
            .windows(2)
            .position(|two| two[0] == "#[cfg(test)]" && two[1].starts_with("mod ") && two[1].ends_with('{'));
        let end = tests.unwrap_or(lines.len());
        lines
            .into_iter()
            .take(end)
            .enumerate()
            .filter_map(|(at, line)| (!line.trim_start().starts_with("//")).then_some((at + 1, line)))
    }

    /// The rooms this file names, with the line.
    fn known(&self) -> Vec<(usize, String)> {
        let up = "super::".repeat(self.depth());
        let mut found = Vec::new();
        for (line, text) in self.code() {
            for start in ["crate::", "gonogo::", &up] {
                if start.is_empty() {
                    continue;
                }
                for (at, _) in text.match_indices(start) {
                    let before = text[..at].chars().next_back();
                    if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                        continue;
                    }
                    let rest = &text[at + start.len()..];
                    let names = rest.strip_prefix('{').map_or(rest, |list| list.split('}').next().unwrap());
                    let names = if rest.starts_with('{') { names.split(',').collect() } else { vec![names] };
                    for name in names {
                        let end = |c: char| !(c.is_alphanumeric() || c == '_');
                        found.push((line, name.trim().split(end).next().unwrap().to_owned()));
                    }
                }
            }
        }
        found
    }
}

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, rooms)| *rooms)
}

fn none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn dependencies_point_inward() {
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let mut broken = Vec::new();
    let mut seen = 0;
    for source in sources(&["src"]) {
        let room = source.room();
        let Some(allowed) = allowed(room) else {
            broken.push(format!("{}: the room {room} is not in the table of this test", source.name));
            continue;
        };
        if source.is_test() {
            continue;
        }
        for (line, other) in source.known() {
            seen += 1;
            if rooms.contains(other.as_str()) && other != room && !allowed.contains(&other.as_str()) {
                broken.push(format!("{}:{line}: {room} must not know {other}", source.name));
            }
        }
    }
    assert!(seen > 100, "only {seen} paths were found: this test has gone blind");
    none(&broken);
}

#[test]
fn the_table_has_no_circle() {
    // In this order each room knows only rooms that came before it.
    let mut before: BTreeSet<&str> = BTreeSet::new();
    while before.len() < ROOMS.len() {
        let next = ROOMS
            .iter()
            .find(|(room, known)| !before.contains(room) && known.iter().all(|other| before.contains(other)));
        let (room, _) =
            next.expect("some rooms know each other in a circle, or one that is not in the table");
        before.insert(room);
    }
}

#[test]
fn packages_stay_out_of_the_rooms_they_do_not_belong_in() {
    let mut broken = Vec::new();
    for source in sources(&["src"]).iter().filter(|source| !source.is_test()) {
        let Some((_, packages)) = KEPT_OUT.iter().find(|(room, _)| *room == source.room()) else { continue };
        for (line, text) in source.code() {
            for package in *packages {
                let names = |(at, _): (usize, &str)| {
                    let before = text[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                };
                if text.match_indices(&format!("{package}::")).any(names) {
                    broken.push(format!(
                        "{}:{line}: {package} has no business in {}",
                        source.name,
                        source.room()
                    ));
                }
            }
        }
    }
    none(&broken);
}

#[test]
fn every_file_says_what_it_is_for() {
    let broken = sources(&["src", "tests", "benches"])
        .iter()
        .filter(|source| !source.text.starts_with("//! ") || source.text.lines().next().unwrap().len() < 12)
        .map(|source| {
            format!("{}: does not begin with a `//!` that says what the room guarantees", source.name)
        })
        .collect::<Vec<_>>();
    none(&broken);
}

#[test]
fn no_file_outgrows_its_reader() {
    let mut lengths = Vec::new();
    let mut broken = Vec::new();
    for source in sources(&["src", "tests", "benches"]) {
        let lines = source.text.lines().count();
        if lines > LINES {
            broken.push(format!("{}: {lines} lines; above {LINES} it is two files", source.name));
        }
        if source.name.starts_with("src/") {
            lengths.push(lines);
        }
    }
    none(&broken);
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= 200, "the median file of src has {median} lines; aim at 150");
}

#[test]
fn nothing_sleeps_a_thread() {
    let broken = sources(&["src"])
        .iter()
        .filter(|source| !BLOCKS.contains(&source.name.as_str()))
        .flat_map(|source| {
            let sleeps = source.text.lines().enumerate().filter(|(_, line)| line.contains("thread::sleep"));
            sleeps.map(|(at, _)| format!("{}:{}: sleeps a thread; wait for a condition", source.name, at + 1))
        })
        .collect::<Vec<_>>();
    none(&broken);
}

#[test]
fn every_checklist_that_ships_loads_with_its_configuration() {
    let mut found = Vec::new();
    files(&root().join("checklists"), "md", &mut found);
    assert!(!found.is_empty());
    for path in found {
        let name = path.file_name().unwrap().to_str().unwrap();
        let list =
            read(&fs::read_to_string(&path).unwrap(), name).unwrap_or_else(|problems| panic!("{problems:?}"));
        let beside = path.with_extension("toml");
        if let Ok(text) = fs::read_to_string(&beside) {
            let config = Config::parse(&text, name).unwrap_or_else(|problems| panic!("{problems:?}"));
            assert_eq!(config.cross_check(&list, name), []);
        }
    }
    assert!(bundled::MIGRATIONS.iter().all(|(_, text)| !text.trim().is_empty()));
}

#[test]
fn every_file_of_configuration_that_ships_is_toml() {
    let mut found = Vec::new();
    for place in ["themes", "checklists", "src"] {
        files(&root().join(place), "toml", &mut found);
    }
    assert!(found.len() > 5, "{found:?}");
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(error) = text.parse::<toml::Table>() {
            panic!("{}: {error}", path.display());
        }
    }
}
