//! Reads a set of migrations, from a directory in anybody's layout or from texts that the binary carries. All that is wrong with
//! a set is said here, before a database is touched: a missing way back, two files with one number, a gap, a foreign byte.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::layout::{self, Part};
use super::sections;
use super::split::{Statement, checksum, split};
use crate::run::job::Failure;

/// Migrations in the order of their numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationSet {
    /// Where they were read from, in words.
    pub origin: Arc<str>,
    /// Ascending, each number once.
    pub migrations: Vec<Migration>,
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
    /// Its whole text.
    pub text: Arc<str>,
    /// Over the text.
    pub checksum: Arc<str>,
    /// What runs in one transaction.
    pub unit: Unit,
    /// In order.
    pub statements: Vec<Statement>,
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

impl MigrationSet {
    /// Reads every migration file of a directory.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        let io =
            |what: String| refused(what, "name the directory of the migrations in gonogo.toml or with --dir");
        let entries = std::fs::read_dir(directory)
            .map_err(|error| io(format!("cannot read the migrations in {}: {error}", directory.display())))?;
        let mut files = Vec::new();
        for entry in entries {
            let path =
                entry.map_err(|error| io(format!("cannot read {}: {error}", directory.display())))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if !path.is_file()
                || !std::path::Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("sql"))
            {
                continue;
            }
            let bytes = std::fs::read(&path)
                .map_err(|error| io(format!("cannot read {}: {error}", path.display())))?;
            let text = String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                let line = error.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
                refused(format!("{name}:{line}: not UTF-8"), "save the file as UTF-8")
            })?;
            files.push((name.to_owned(), text));
        }
        Self::from_files(&directory.display().to_string(), files)
    }

    /// Takes names and texts, as the binary carries them.
    pub fn embedded<'a>(
        origin: &str,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Failure> {
        Self::from_files(
            origin,
            files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
        )
    }

    fn from_files(origin: &str, mut files: Vec<(String, String)>) -> Result<Self, Failure> {
        files.sort();
        let mut found: BTreeMap<u64, Found> = BTreeMap::new();
        for (file, text) in files {
            // A byte-order mark is no SQL; line ends count as they are for the server, not for the checksum.
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
            for part in layout::parts(&file, &text)? {
                let entry = found.entry(part.number).or_insert_with(|| Found::new(&part));
                entry.take(&file, part)?;
            }
        }
        if found.is_empty() {
            return Err(refused(
                format!("no migrations in {origin}"),
                "name the directory of the migrations",
            ));
        }
        let migrations = found.into_values().map(Found::finish).collect::<Result<Vec<_>, _>>()?;
        gaps(&migrations)?;
        Ok(Self { origin: origin.into(), migrations })
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

/// What was found of one number so far.
struct Found {
    number: u64,
    name: String,
    label: String,
    up: Option<(String, Part)>,
    down: Option<(String, Part)>,
    check: Option<(String, Part)>,
}

impl Found {
    fn new(part: &Part) -> Self {
        Self {
            number: part.number,
            name: part.name.clone(),
            label: part.label.clone(),
            up: None,
            down: None,
            check: None,
        }
    }

    fn take(&mut self, file: &str, part: Part) -> Result<(), Failure> {
        let slot = match part.role {
            layout::Role::Up => &mut self.up,
            layout::Role::Down => &mut self.down,
            layout::Role::Check => &mut self.check,
        };
        if let Some((other, _)) = slot {
            return Err(refused(
                format!("{other} and {file} have the same number {}", part.label),
                "give one of them another number",
            ));
        }
        if part.role == layout::Role::Up {
            self.name.clone_from(&part.name);
            self.label.clone_from(&part.label);
        }
        *slot = Some((file.to_owned(), part));
        Ok(())
    }

    fn finish(self) -> Result<Migration, Failure> {
        let Some((file, up)) = self.up else {
            let (file, _) = self.down.or(self.check).unwrap_or_else(|| (self.label.clone(), Part::empty()));
            return Err(refused(
                format!("{file}: there is no up file for number {}", self.label),
                "add the up file, or take this one away",
            ));
        };
        let checks = match self.check {
            Some((file, part)) => sections::checks(&file, &part.text)?,
            None => Checks::default(),
        };
        Ok(Migration {
            number: self.number,
            name: self.name.into(),
            label: self.label.into(),
            up: script(&file, &up)?,
            down: self.down.map(|(file, part)| script(&file, &part)).transpose()?,
            checks,
        })
    }
}

fn script(file: &str, part: &Part) -> Result<Script, Failure> {
    let statements = split(file, &part.text, part.first_line)?;
    if statements.is_empty() {
        return Err(refused(
            format!("{file}: no statement in it"),
            "write the migration, or take the file away",
        ));
    }
    let alone = statements.iter().any(|one| one.shape.transaction == super::classify::Transaction::Never);
    let unit = if alone { Unit::Statement } else { part.unit };
    Ok(Script {
        file: file.into(),
        text: part.text.as_str().into(),
        checksum: checksum(&part.text),
        unit,
        statements,
    })
}

/// Small numbers count one by one; versions that are dates do not.
fn gaps(migrations: &[Migration]) -> Result<(), Failure> {
    for pair in migrations.windows(2) {
        if let [one, next] = pair
            && next.number < 10_000
            && next.number > one.number + 1
        {
            return Err(refused(
                format!("after {} comes {}: number {} is missing", one.title(), next.title(), one.number + 1),
                "add the missing file, or number them one after the other",
            ));
        }
    }
    Ok(())
}

pub(crate) fn refused(what: String, next: &str) -> Failure {
    Failure { what, state: "nothing was run".into(), next: next.into() }
}
