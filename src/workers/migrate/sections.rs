//! Marks inside of migration files: which way a section leads, what wants no transaction, which checks come when.

use super::files::{Checks, Unit, refused};
use super::layout::Role;
use super::split::split;
use crate::run::job::Failure;

/// A part of a file that holds both directions.
pub(crate) struct Section {
    pub(crate) role: Role,
    pub(crate) unit: Option<Unit>,
    pub(crate) first_line: u32,
    pub(crate) text: String,
}

/// What a comment line says, without its dashes, in lower case.
fn mark(line: &str) -> Option<String> {
    line.trim().strip_prefix("--").map(|rest| rest.trim().to_ascii_lowercase())
}

/// What runs in one transaction, by the marks of gonogo, sqlx and goose. dbmate says it on its section.
pub(crate) fn unit(text: &str) -> Unit {
    let alone = text.lines().filter_map(mark).any(|mark| {
        matches!(mark.as_str(), "gonogo: no-transaction" | "no-transaction" | "+goose no transaction")
    });
    if alone { Unit::Statement } else { Unit::File }
}

/// The sections of dbmate and goose; none where the file holds one direction.
pub(crate) fn both_directions(file: &str, text: &str) -> Result<Option<Vec<Section>>, Failure> {
    let mut sections: Vec<Section> = Vec::new();
    for (line, content) in (1_u32..).zip(text.split_inclusive('\n')) {
        let said = mark(content).unwrap_or_default();
        let role = match said.split_whitespace().take(2).collect::<Vec<_>>().as_slice() {
            ["migrate:up", ..] | ["+goose", "up"] => Some(Role::Up),
            ["migrate:down", ..] | ["+goose", "down"] => Some(Role::Down),
            _ => None,
        };
        if let Some(role) = role {
            if sections.iter().any(|section| section.role == role) {
                return Err(refused(
                    format!("{file}:{line}: a second section of the same direction"),
                    "merge the two",
                ));
            }
            let unit = said.contains("transaction:false").then_some(Unit::Statement);
            sections.push(Section { role, unit, first_line: line + 1, text: String::new() });
        } else if let Some(open) = sections.last_mut() {
            open.text.push_str(content);
        }
    }
    // dbmate writes an empty down section where there is no way back.
    sections.retain(|section| section.role == Role::Up || has_words(&section.text));
    Ok((!sections.is_empty()).then_some(sections))
}

fn has_words(text: &str) -> bool {
    text.lines().any(|line| !line.trim().is_empty() && mark(line).is_none())
}

/// The parts of a check file.
pub(crate) fn checks(file: &str, text: &str) -> Result<Checks, Failure> {
    let mut parts: Vec<(u32, &'static str, String)> = Vec::new();
    for (line, content) in (1_u32..).zip(text.split_inclusive('\n')) {
        let said = mark(content).unwrap_or_default();
        if let Some(part) = said.strip_prefix("gonogo:") {
            let part = match part.trim() {
                "before" => "before",
                "after" => "after",
                "after-down" => "after-down",
                other => {
                    return Err(refused(
                        format!("{file}:{line}: unknown part {other:?} of the checks"),
                        "the parts are `-- gonogo: before`, `-- gonogo: after` and `-- gonogo: after-down`",
                    ));
                }
            };
            parts.push((line + 1, part, String::new()));
        } else if let Some((_, _, open)) = parts.last_mut() {
            open.push_str(content);
        } else if has_words(content) {
            return Err(refused(
                format!("{file}:{line}: a check that belongs to no part"),
                "put `-- gonogo: before`, `-- gonogo: after` or `-- gonogo: after-down` above it",
            ));
        }
    }
    let mut checks = Checks { file: file.into(), ..Checks::default() };
    for (line, part, text) in parts {
        let statements = split(file, &text, line)?;
        match part {
            "before" => checks.before.extend(statements),
            "after" => checks.after.extend(statements),
            _ => checks.after_down.extend(statements),
        }
    }
    Ok(checks)
}
