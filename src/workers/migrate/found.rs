//! From the parts of files to one migration: which way each leads, whether it is one transaction, and what is missing.

use super::files::{Checks, Kept, Migration, Script, Unit, refused};
use super::layout::Reading;
use super::naming::{Part, Role, same_number};
use super::sections;
use super::split::{Frame, Splits, checksum, split_framed};
use super::text::Prints;
use crate::run::job::Failure;

/// The parts of one file; two where a file holds both directions.
pub(super) fn parts(reading: Reading, file: &str, text: &str, named: Part) -> Result<Vec<Part>, Failure> {
    if reading == Reading::Of(super::layout::Tool::Flyway)
        && let Some(at) = text.find("${")
    {
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        return Err(refused(
            format!("{file}:{line}: a placeholder of Flyway, which is not filled in here"),
            "write the value, or have Flyway apply this one",
        ));
    }
    let unit = sections::unit(reading, text);
    let Some(both) = sections::both_directions(reading, file, text)? else {
        return Ok(vec![Part { unit, text: text.to_owned(), ..named }]);
    };
    let of = |section: sections::Section| Part {
        role: section.role,
        unit: section.unit.unwrap_or(unit),
        first_line: section.first_line,
        text: section.text,
        ..named.clone()
    };
    Ok(both.into_iter().map(of).collect())
}

/// What was found of one number so far.
pub(super) struct Found {
    number: u64,
    name: String,
    label: String,
    up: Option<(String, Part, Prints)>,
    down: Option<(String, Part, Prints)>,
    check: Option<(String, Part, Prints)>,
}

impl Found {
    pub(super) fn new(part: &Part) -> Self {
        Self {
            number: part.number,
            name: part.name.clone(),
            label: part.label.clone(),
            up: None,
            down: None,
            check: None,
        }
    }

    pub(super) fn take(&mut self, file: &str, part: Part, prints: &Prints) -> Result<(), Failure> {
        let slot = match part.role {
            Role::Up => &mut self.up,
            Role::Down => &mut self.down,
            Role::Check => &mut self.check,
        };
        if let Some((other, ..)) = slot {
            return Err(same_number(other, file, &part.label));
        }
        if part.role == Role::Up {
            self.name.clone_from(&part.name);
            self.label.clone_from(&part.label);
        }
        *slot = Some((file.to_owned(), part, prints.clone()));
        Ok(())
    }

    pub(super) fn finish(self, reading: Reading) -> Result<Migration, Failure> {
        let Some((file, up, prints)) = self.up else {
            let file = self.down.or(self.check).map_or_else(|| self.label.clone(), |(file, ..)| file);
            return Err(refused(
                format!("{file}: there is no up file for number {}", self.label),
                "add the up file, or take this one away",
            ));
        };
        let checks = match self.check {
            Some((file, part, _)) => sections::checks(&file, &part.text)?,
            None => Checks::default(),
        };
        let up = script(&file, &up, prints)?.ok_or_else(|| empty(&file))?;
        let down = match self.down {
            None => None,
            Some((file, part, prints)) => match script(&file, &part, prints)? {
                // The tools write such a file where nobody wrote a way back.
                None if !reading.forbids_gaps() => None,
                None => return Err(empty(&file)),
                Some(down) => Some(down),
            },
        };
        Ok(Migration {
            number: self.number,
            name: self.name.into(),
            label: self.label.into(),
            up,
            down,
            checks,
        })
    }
}

pub(super) fn empty(file: &str) -> Failure {
    refused(format!("{file}: no statement in it"), "write the migration, or take the file away")
}

/// A script of a text; none where there is no statement in it.
pub(super) fn script(file: &str, part: &Part, prints: Prints) -> Result<Option<Script>, Failure> {
    let Splits { statements, frame } = split_framed(file, &part.text, part.first_line)?;
    if statements.is_empty() {
        return Ok(None);
    }
    // Batches are transactions of their own.
    let alone = statements.iter().find(|one| {
        one.shape.transaction == super::classify::Transaction::Never || one.marks.batches.is_some()
    });
    if let (Some(alone), Frame::Transaction(begin)) = (alone, frame) {
        return Err(refused(
            format!(
                "{file}:{}: {}: it cannot run in a transaction, and line {begin} begins one",
                alone.line, alone.title
            ),
            "take BEGIN and COMMIT out, or move it to a file of its own",
        ));
    }
    let unit = match frame {
        Frame::Transaction(_) => Unit::File,
        Frame::None if alone.is_some() => Unit::Statement,
        Frame::None => part.unit,
    };
    let text = part.text.replace("\r\n", "\n");
    Ok(Some(Script {
        file: file.into(),
        checksum: checksum(&text),
        text: text.into(),
        prints,
        unit,
        kept: Kept::File,
        statements,
    }))
}
