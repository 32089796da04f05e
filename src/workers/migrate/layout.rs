//! Whose file is this, by its name and its marks: our own pairs, sqlx, golang-migrate, dbmate and goose sections, Supabase, Flyway,
//! and plain `migration-001-x.sql` with `migration-001-rollback.sql`.

use super::files::{Unit, refused};
use super::sections;
use crate::run::job::Failure;

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

impl Part {
    pub(crate) fn empty() -> Self {
        Self {
            number: 0,
            label: String::new(),
            name: String::new(),
            role: Role::Up,
            unit: Unit::File,
            first_line: 1,
            text: String::new(),
        }
    }
}

/// The parts of one file; two where a file holds both directions.
pub(crate) fn parts(file: &str, text: &str) -> Result<Vec<Part>, Failure> {
    let named = name(file).ok_or_else(|| {
        refused(
            format!("{file}: no number in its name, so its place in the order is unknown"),
            "name it like 004_what_it_does.up.sql, or move it out of the directory",
        )
    })?;
    let unit = sections::unit(text);
    if let Some(both) = sections::both_directions(file, text)? {
        return Ok(both
            .into_iter()
            .map(|section| Part {
                role: section.role,
                unit: section.unit.unwrap_or(unit),
                first_line: section.first_line,
                text: section.text,
                ..named.clone()
            })
            .collect());
    }
    Ok(vec![Part { unit, text: text.to_owned(), ..named }])
}

/// Number, name and role from a file's name.
fn name(file: &str) -> Option<Part> {
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
    let mut rest = stem;
    // Flyway: V1__name and U1__name, its number possibly with dots.
    if lower.starts_with(['v', 'u'])
        && stem.get(1..2).is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit()))
    {
        if lower.starts_with('u') {
            role = Role::Down;
        }
        rest = stem.get(1..)?;
    } else if let Some(plain) = lower.strip_prefix("migration") {
        rest = stem.get(stem.len() - plain.len()..)?.trim_start_matches(['-', '_']);
    }
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let number = digits.parse().ok()?;
    let name = rest.get(digits.len()..)?.trim_start_matches(['-', '_', '.']);
    let lower = name.to_ascii_lowercase();
    for word in ["rollback", "down", "revert", "undo"] {
        if lower == word || lower.ends_with(&format!("-{word}")) || lower.ends_with(&format!("_{word}")) {
            role = Role::Down;
        }
    }
    let name = if name.is_empty() { "unnamed" } else { name };
    Some(Part { number, label: digits, name: name.to_owned(), role, ..Part::empty() })
}
