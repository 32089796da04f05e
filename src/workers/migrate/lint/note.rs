//! How a rule puts down what it has found: the place from the line, the weight beside it, until the catalogue has had its say.

use super::finding::{Finding, Severity, Standing};
use super::known::Weight;
use super::scene::{Line, Page};

/// A finding before it is weighed.
pub(crate) struct Note {
    pub(crate) finding: Finding,
    pub(crate) weight: Weight,
}

/// What a rule says, without its place.
pub(crate) struct Said {
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) weight: Weight,
    pub(crate) tables: Vec<String>,
    pub(crate) what: String,
    pub(crate) safe: String,
}

impl Said {
    /// At a byte of the statement.
    pub(crate) fn at(self, page: &Page<'_>, line: &Line<'_>, offset: usize) -> Note {
        let (row, column) = page.position(line, line.at.start + offset);
        Note {
            weight: self.weight,
            finding: Finding {
                rule: self.rule,
                severity: self.severity,
                number: page.migration.number,
                direction: page.direction,
                file: page.script.file.clone(),
                line: row,
                column,
                place: line.place,
                tables: self.tables,
                what: self.what,
                safe: self.safe,
                forecast: None,
                standing: Standing::Raised,
            },
        }
    }
}
