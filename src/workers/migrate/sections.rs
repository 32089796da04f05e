//! Marks inside of migration files: which way a section leads, what wants no transaction, which checks come when. A mark that
//! its tool would obey and that is not obeyed here is refused, never read as a comment.

use super::files::{Checks, Unit, refused};
use super::layout::{Reading, Tool};
use super::naming::Role;
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

/// The tool and the direction of a mark, and what follows it.
fn direction(said: &str) -> Option<(Tool, Role)> {
    let mut words = said.split_whitespace();
    match (words.next()?, words.next()) {
        ("migrate:up", _) => Some((Tool::Dbmate, Role::Up)),
        ("migrate:down", _) => Some((Tool::Dbmate, Role::Down)),
        ("+goose", Some("up")) => Some((Tool::Goose, Role::Up)),
        ("+goose", Some("down")) => Some((Tool::Goose, Role::Down)),
        _ => None,
    }
}

/// The tool whose sections a text has.
pub(crate) fn whose(text: &str) -> Option<Tool> {
    text.lines().filter_map(mark).find_map(|said| direction(&said)).map(|(tool, _)| tool)
}

/// Whether a text has a mark of gonogo.
pub(crate) fn is_ours(text: &str) -> bool {
    text.lines().filter_map(mark).any(|said| said.starts_with("gonogo:"))
}

/// What runs in one transaction, by the marks of gonogo, sqlx and goose. dbmate says it on its section.
pub(crate) fn unit(reading: Reading, text: &str) -> Unit {
    // sqlx reads its mark only where the file begins with it; elsewhere it is a comment.
    let first = reading.tools().contains(&Tool::Sqlx);
    let alone = text.lines().enumerate().filter_map(|(at, line)| Some((at, mark(line)?))).any(
        |(at, said)| match said.as_str() {
            "gonogo: no-transaction" => true,
            "no-transaction" => {
                if first {
                    at == 0
                } else {
                    reading.tools().is_empty()
                }
            }
            "+goose no transaction" => reading == Reading::Of(Tool::Goose),
            _ => false,
        },
    );
    if alone { Unit::Statement } else { Unit::File }
}

/// The sections of dbmate and goose; none where the files of this reading hold one direction.
pub(crate) fn both_directions(
    reading: Reading,
    file: &str,
    text: &str,
) -> Result<Option<Vec<Section>>, Failure> {
    let Reading::Of(tool @ (Tool::Dbmate | Tool::Goose)) = reading else { return Ok(None) };
    let (up, down) = match tool {
        Tool::Goose => ("-- +goose Up", "-- +goose Down"),
        _ => ("-- migrate:up", "-- migrate:down"),
    };
    let mut sections: Vec<Section> = Vec::new();
    for (line, content) in (1_u32..).zip(text.split_inclusive('\n')) {
        let said = mark(content).unwrap_or_default();
        if said == "+goose envsubst on" {
            return Err(refused(
                format!(
                    "{file}:{line}: goose would put variables of the environment in here; that is not done here"
                ),
                "write the values, or have goose apply this one",
            ));
        }
        let role = direction(&said).filter(|(of, _)| *of == tool).map(|(_, role)| role);
        if let Some(role) = role {
            if sections.iter().any(|section| section.role == role) {
                return Err(refused(
                    format!("{file}:{line}: a second section of the same direction"),
                    "merge the two",
                ));
            }
            if role == Role::Down && sections.is_empty() {
                return Err(refused(
                    format!("{file}:{line}: `{down}` stands before `{up}`"),
                    "put the way there first",
                ));
            }
            let unit = said.contains("transaction:false").then_some(Unit::Statement);
            sections.push(Section { role, unit, first_line: line + 1, text: String::new() });
        } else if let Some(open) = sections.last_mut() {
            open.text.push_str(content);
        } else if has_words(content) {
            return Err(refused(
                format!("{file}:{line}: a statement that stands before `{up}`, in no direction"),
                "put it under one of the two",
            ));
        }
    }
    if sections.is_empty() {
        return Err(refused(
            format!("{file}: no `{up}` in it, as the other files here have it"),
            "put it above the statements of the way there",
        ));
    }
    Ok(Some(sections))
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
