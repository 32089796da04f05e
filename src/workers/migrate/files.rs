//! Reads a set of migrations, from a directory in anybody's layout or from texts that the binary carries. All that is wrong with
//! a set is said here, before a database is touched: a missing way back, two files with one number, a gap, a foreign byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::found::{Found, empty, parts, script};
use super::layout::{Reading, recognise};
use super::naming::{self, Aside, Named, Part, Role};
use super::split::Statement;
use super::text::{Prints, Text, decode};
use crate::plan::config::Layout;
use crate::run::job::Failure;

/// The parser goes as deep as a statement is nested; a file that somebody generated is nested deeper than a small stack.
const STACK: usize = 256 * 1024 * 1024;

/// Migrations in the order of their numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationSet {
    /// Where they were read from, in words.
    pub origin: Arc<str>,
    /// Whose files they are.
    pub reading: Reading,
    /// Ascending, each number once.
    pub migrations: Vec<Migration>,
    /// Files that were seen and are not run, with the reason.
    pub asides: Vec<Aside>,
    /// The directory, where they are in one.
    directory: Option<PathBuf>,
}

/// One migration: the way there, the way back, the proofs.
#[derive(Debug, Clone, PartialEq)]
pub struct Migration {
    /// Its number or version.
    pub number: u64,
    /// Its name, without number and ending.
    pub name: Arc<str>,
    /// The number as the file has it ("001").
    pub label: Arc<str>,
    /// The way there.
    pub up: Script,
    /// The way back, where there is a file for it.
    pub down: Option<Script>,
    /// What must hold before, after, and after the way back.
    pub checks: Checks,
}

impl Migration {
    /// "001 contacts_pulse_integration".
    pub fn title(&self) -> String {
        format!("{} {}", self.label, self.name)
    }
}

/// A file, or the part of one, that is run in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// The file, for messages.
    pub file: Arc<str>,
    /// Its whole text, with line ends of one kind.
    pub text: Arc<str>,
    /// Over the text; the same whatever the line ends are.
    pub checksum: Arc<str>,
    /// What other tools write down of its file.
    pub prints: Prints,
    /// What runs in one transaction.
    pub unit: Unit,
    /// Where it can be looked up.
    pub kept: Kept,
    /// In order.
    pub statements: Vec<Statement>,
}

/// Where a script can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In its file.
    File,
    /// In what the database recorded of an earlier run.
    Record,
}

impl Script {
    /// A text that gonogo itself has written, as a file.
    pub(crate) fn written(file: &str, text: &str) -> Result<Self, Failure> {
        let (label, name) = (String::new(), String::new());
        let (unit, text) = (Unit::File, text.to_owned());
        let prints = Prints::of(text.as_bytes());
        let part = Part { number: 0, label, name, role: Role::Down, unit, first_line: 1, text };
        let written = script(file, &part, prints)?.ok_or_else(|| empty(file))?;
        Ok(Self { kept: Kept::Record, ..written })
    }
}

/// What runs in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The whole file: all of it, or nothing.
    File,
    /// Each statement for itself.
    Statement,
}

/// Queries that return `(name, ok, detail)`; a part is passed when every row is ok.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checks {
    /// The file, for messages.
    pub file: Arc<str>,
    /// Before the way there.
    pub before: Vec<Statement>,
    /// After it.
    pub after: Vec<Statement>,
    /// After the way back.
    pub after_down: Vec<Statement>,
}

/// A file as it was found.
struct File {
    name: String,
    text: Text,
}

impl MigrationSet {
    /// Reads every migration file of a directory, in the layout that it is seen to have.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        Self::read_as(directory, Layout::Auto)
    }

    /// Reads every migration file of a directory.
    pub fn read_as(directory: &Path, layout: Layout) -> Result<Self, Failure> {
        let io =
            |what: String| refused(what, "name the directory of the migrations in gonogo.toml or with --dir");
        let entries = std::fs::read_dir(directory)
            .map_err(|error| io(format!("cannot read the migrations in {}: {error}", directory.display())))?;
        let mut files = Vec::new();
        let mut asides = Vec::new();
        for entry in entries {
            let path =
                entry.map_err(|error| io(format!("cannot read {}: {error}", directory.display())))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.is_dir() {
                asides.extend(below(&path, name));
            } else if name.to_ascii_lowercase().ends_with(".sql") {
                let bytes = std::fs::read(&path)
                    .map_err(|error| io(format!("cannot read {}: {error}", path.display())))?;
                files.push((name.to_owned(), bytes));
            } else if name.to_ascii_lowercase().ends_with(".sql.conf") {
                let why = "Flyway's settings for one script, which are not read here".to_owned();
                asides.push(Aside { file: name.to_owned(), number: None, why });
            } else {
                asides.extend(naming::program(name));
            }
        }
        Self::from_files(&directory.display().to_string(), Some(directory), layout, files, asides)
    }

    /// Takes names and texts, as the binary carries them.
    pub fn embedded<'a>(
        origin: &str,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Failure> {
        let files =
            files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect();
        Self::from_files(origin, None, Layout::Auto, files, Vec::new())
    }

    fn from_files(
        origin: &str,
        directory: Option<&Path>,
        layout: Layout,
        files: Vec<(String, Vec<u8>)>,
        asides: Vec<Aside>,
    ) -> Result<Self, Failure> {
        deep(|| understood(origin, directory, layout, files, asides)).unwrap_or_else(|why| {
            Err(refused(format!("reading the migrations of {origin}: {why}"), "see gonogo.log for the place"))
        })
    }

    /// Whether the file of a script is still what was read; a run does not begin what nobody can look up any more.
    pub(crate) async fn still(&self, script: &Script) -> Result<(), Failure> {
        let Some(directory) = self.directory.as_ref().filter(|_| script.kept == Kept::File) else {
            return Ok(());
        };
        let found = tokio::fs::read(directory.join(&*script.file)).await;
        let how = match found {
            Ok(bytes) if Prints::of(&bytes) == script.prints => return Ok(()),
            Ok(_) => "was changed".to_owned(),
            Err(error) => format!("cannot be read any more ({error})"),
        };
        Err(refused(
            format!("{} {how} while the run was under way", script.file),
            "look at the file, plan again, then run again: it goes on with this migration",
        ))
    }

    /// The number that a person means: a number, or a version as the files have it.
    pub fn number_of(&self, word: &str) -> Option<u64> {
        let labelled = self.migrations.iter().find(|migration| &*migration.label == word);
        labelled.map(|migration| migration.number).or_else(|| word.parse().ok())
    }

    /// Small numbers that are missing, each with the migration that comes after the hole.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (u64, &Migration)> {
        self.migrations.windows(2).filter_map(|pair| match pair {
            // Versions that are dates, or rows of numbers, do not count one by one.
            [one, next] if next.number < 10_000 => {
                let programs = |number: u64| self.asides.iter().any(|aside| aside.number == Some(number));
                let missing = (one.number + 1..next.number).find(|number| !programs(*number));
                missing.map(|missing| (missing, next))
            }
            _ => None,
        })
    }

    /// The migration of a number.
    pub fn get(&self, number: u64) -> Option<&Migration> {
        self.migrations.iter().find(|migration| migration.number == number)
    }

    /// Every table that the ways there touch and that is not made by them, as written, each once.
    pub fn touched(&self) -> Vec<Arc<str>> {
        let mut made: Vec<Arc<str>> = Vec::new();
        let mut touched: Vec<Arc<str>> = Vec::new();
        for statement in self.migrations.iter().flat_map(|migration| &migration.up.statements) {
            if let super::classify::Kind::CreateTable { name, .. } = &statement.shape.kind {
                made.push(name.clone());
            }
            for need in &statement.shape.needs {
                if !made.contains(&need.relation) && !touched.contains(&need.relation) {
                    touched.push(need.relation.clone());
                }
            }
        }
        touched
    }
}

/// Does what parses statements on a stack that none of them is nested too deep for; or says why that was not to be had.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let worker = worker.map_err(|error| format!("no thread for it: {error}"))?;
        worker.join().map_err(|_| "it broke off".to_owned())
    })
}

/// Everything of a set, once its files are there.
fn understood(
    origin: &str,
    directory: Option<&Path>,
    layout: Layout,
    files: Vec<(String, Vec<u8>)>,
    mut asides: Vec<Aside>,
) -> Result<MigrationSet, Failure> {
    let mut read = Vec::new();
    for (name, bytes) in files {
        let text = decode(&name, bytes)?;
        read.push(File { name, text });
    }
    read.sort_by(|one, other| one.name.cmp(&other.name));
    let reading =
        recognise(layout, directory, &read.iter().map(|file| (file.name.as_str(), file.text.text.as_str())));
    let scheme = naming::scheme(reading, read.iter().map(|file| file.name.as_str()))?;
    let mut found: BTreeMap<u64, Found> = BTreeMap::new();
    for File { name, text } in read {
        let named = match naming::read(reading, scheme, &name)? {
            Named::Part(part) => part,
            Named::Aside(aside) => {
                asides.push(aside);
                continue;
            }
        };
        for part in parts(reading, &name, &text.text, named)? {
            let entry = found.entry(part.number).or_insert_with(|| Found::new(&part));
            entry.take(&name, part, &text.prints)?;
        }
    }
    if found.is_empty() {
        return Err(nothing(origin, &asides));
    }
    let finish = |found: Found| found.finish(reading);
    let migrations = found.into_values().map(finish).collect::<Result<Vec<_>, _>>()?;
    asides.sort_by(|one, other| one.file.cmp(&other.file));
    let directory = directory.map(Path::to_path_buf);
    let set = MigrationSet { origin: origin.into(), reading, migrations, asides, directory };
    if reading.forbids_gaps()
        && let Some((missing, next)) = set.gaps().next()
    {
        return Err(gap(missing, next));
    }
    Ok(set)
}

/// A directory within the directory, if there is SQL in it.
fn below(path: &Path, name: &str) -> Option<Aside> {
    let holds = std::fs::read_dir(path).ok()?.filter_map(Result::ok).any(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.to_ascii_lowercase().ends_with(".sql"))
    });
    let why = "a directory with files of SQL in it, which are not read".to_owned();
    holds.then(|| Aside { file: format!("{name}/"), number: None, why })
}

fn nothing(origin: &str, asides: &[Aside]) -> Failure {
    let what = format!("no migrations in {origin}");
    let seen: Vec<String> =
        asides.iter().take(3).map(|aside| format!("{}: {}", aside.file, aside.why)).collect();
    match seen.as_slice() {
        [] => refused(what, "name the directory of the migrations"),
        seen => refused(
            format!("{what} that are run here; {}", seen.join("; ")),
            "bring them as files of SQL, or apply them with their own tool",
        ),
    }
}

pub(crate) fn gap(missing: u64, next: &Migration) -> Failure {
    refused(
        format!("before {} number {missing} is missing", next.title()),
        "add the missing file, or number them one after the other",
    )
}

pub(crate) fn refused(what: String, next: &str) -> Failure {
    Failure { what, state: "nothing was run".into(), next: next.into() }
}
