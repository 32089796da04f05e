//! What a file's name says: its number, its name, which way it leads. And what is no migration by its name is set aside with the
//! reason, never passed over in silence.

use super::files::{Unit, refused};
use super::flyway::{Scheme, Version};
use super::layout::{Reading, Tool};
use crate::run::job::Failure;

/// Words at a name's end that make it the way back.
const WAYS_BACK: [&str; 4] = ["rollback", "down", "revert", "undo"];

/// Which way a text leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Up,
    Down,
    Check,
}

/// A text with its number and its role.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) number: u64,
    pub(crate) label: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) unit: Unit,
    pub(crate) first_line: u32,
    pub(crate) text: String,
}

/// A file that was seen and is not run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Aside {
    /// The file.
    pub file: String,
    /// Its place among the migrations, where it has one that cannot be left out.
    pub number: Option<u64>,
    /// Why it is not run.
    pub why: String,
}

/// What a name says.
pub(crate) enum Named {
    Part(Part),
    Aside(Aside),
}

/// Languages that other tools write migrations in.
const CODE: [(&str, &str); 12] = [
    ("js", "JavaScript"),
    ("mjs", "JavaScript"),
    ("cjs", "JavaScript"),
    ("ts", "TypeScript"),
    ("mts", "TypeScript"),
    ("go", "Go"),
    ("py", "Python"),
    ("rb", "Ruby"),
    ("java", "Java"),
    ("kt", "Kotlin"),
    ("php", "PHP"),
    ("ex", "Elixir"),
];

/// A migration that is a program, by its name.
pub(crate) fn program(file: &str) -> Option<Aside> {
    let (stem, ending) = file.rsplit_once('.')?;
    let (_, language) = CODE.iter().find(|(code, _)| ending.eq_ignore_ascii_case(code))?;
    let digits: String =
        stem.trim_start_matches(['V', 'v']).chars().take_while(char::is_ascii_digit).collect();
    let number = digits.parse().ok()?;
    let why = format!("a migration in {language}, which is not run here");
    Some(Aside { file: file.to_owned(), number: Some(number), why })
}

/// The scheme of a set's versions; only Flyway's have parts.
pub(crate) fn scheme<'a>(reading: Reading, files: impl Iterator<Item = &'a str>) -> Result<Scheme, Failure> {
    if reading != Reading::Of(Tool::Flyway) {
        return Ok(Scheme::PLAIN);
    }
    let versions: Vec<Version> = files.filter_map(|file| Some(flyway_name(file)?.1)).collect();
    Scheme::of(&versions).ok_or_else(|| {
        refused(
            "the versions of these files cannot be put in one order of numbers".into(),
            "use versions of at most four parts, each part after the first below 1000",
        )
    })
}

/// Letter, version and the rest of `V1.2__name`.
fn flyway_name(file: &str) -> Option<(char, Version, &str)> {
    let stem = file.get(..file.len().checked_sub(4)?)?;
    let (head, name) = stem.split_once("__")?;
    let mut letters = head.chars();
    let letter = letters.next()?.to_ascii_uppercase();
    Some((letter, Version::read(letters.as_str())?, name))
}

/// What the name of a file of SQL says.
pub(crate) fn read(reading: Reading, scheme: Scheme, file: &str) -> Result<Named, Failure> {
    let named =
        if reading == Reading::Of(Tool::Flyway) { flyway(scheme, file) } else { numbered(reading, file) };
    if let Some(named) = named {
        return Ok(named);
    }
    if matches!(reading, Reading::Own | Reading::Plain) {
        return Err(refused(
            format!("{file}: no number in its name, so its place in the order is unknown"),
            "name it like 004_what_it_does.up.sql, or move it out of the directory",
        ));
    }
    // The tools pass over such a file in silence.
    let why = match reading {
        Reading::Of(Tool::Flyway) => "no version in its name; callbacks of Flyway are not run here",
        _ => "no number in its name, so it is no migration",
    };
    let why = why.to_owned();
    Ok(Named::Aside(Aside { file: file.to_owned(), number: None, why }))
}

fn flyway(scheme: Scheme, file: &str) -> Option<Named> {
    let aside =
        |why: &str| Some(Named::Aside(Aside { file: file.to_owned(), number: None, why: why.to_owned() }));
    if file.starts_with(['R', 'r']) && file.get(1..).is_some_and(|rest| rest.starts_with("__")) {
        return aside("a repeatable migration: Flyway runs it again after each change; it is not run here");
    }
    let (letter, version, name) = flyway_name(file)?;
    let role = match letter {
        'V' => Role::Up,
        'U' => Role::Down,
        'B' => return aside("a baseline migration, for new databases only; it is not run here"),
        _ => return None,
    };
    let name = if name.is_empty() { "unnamed" } else { name };
    Some(Named::Part(Part {
        number: scheme.number(&version)?,
        label: version.label(),
        name: name.to_owned(),
        role,
        unit: Unit::File,
        first_line: 1,
        text: String::new(),
    }))
}

fn numbered(reading: Reading, file: &str) -> Option<Named> {
    let stem = file.get(..file.len().checked_sub(4)?)?;
    let lower = stem.to_ascii_lowercase();
    let (stem, mut role) = if let Some(rest) = lower.strip_suffix(".up") {
        (stem.get(..rest.len())?, Role::Up)
    } else if let Some(rest) = lower.strip_suffix(".down") {
        (stem.get(..rest.len())?, Role::Down)
    } else if let Some(rest) = lower.strip_suffix(".check") {
        (stem.get(..rest.len())?, Role::Check)
    } else {
        (stem, Role::Up)
    };
    let lower = stem.to_ascii_lowercase();
    let rest = match lower.strip_prefix("migration") {
        Some(plain) => stem.get(stem.len() - plain.len()..)?.trim_start_matches(['-', '_']),
        None => stem,
    };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let number = digits.parse().ok().filter(|number| i64::try_from(*number).is_ok())?;
    let name = rest.get(digits.len()..)?.trim_start_matches(['-', '_', '.']);
    // Elsewhere "scroll_down" is a name like any other.
    if matches!(reading, Reading::Own | Reading::Plain) && leads_back(name) {
        role = Role::Down;
    }
    let name = if name.is_empty() { "unnamed" } else { name };
    Some(Named::Part(Part {
        number,
        label: digits,
        name: name.to_owned(),
        role,
        unit: Unit::File,
        first_line: 1,
        text: String::new(),
    }))
}

/// Whether a name without its number says that the file leads back.
pub(crate) fn leads_back(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    WAYS_BACK.iter().any(|word| {
        lower == *word || lower.ends_with(&format!("-{word}")) || lower.ends_with(&format!("_{word}"))
    })
}

/// A number that two files may both have only if they are the two ways of one migration.
pub(crate) fn same_number(one: &str, other: &str, label: &str) -> Failure {
    refused(format!("{one} and {other} have the same number {label}"), "give one of them another number")
}
