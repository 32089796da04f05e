//! What is left of a gonogo.toml once what cannot be read is taken out, so that one reading finds every problem.
//!
//! Every byte keeps its place: what is taken out becomes blank. A table from which something was taken is torn, and what it
//! seems to lack after that is no problem of the file.

use std::ops::Range;

use toml::de::DeTable;

pub(super) struct Rest {
    text: String,
    torn: Vec<Range<usize>>,
}

impl Rest {
    pub(super) fn of(text: &str) -> Self {
        Self { text: text.to_owned(), torn: Vec::new() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a line begins; lines count from 1.
    pub(super) fn offset(&self, line: usize) -> usize {
        self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
    }

    /// Whether something was taken out of the table at that place.
    pub(super) fn is_torn(&self, at: usize) -> bool {
        self.torn.iter().any(|table| table.contains(&at))
    }

    /// Whether what was taken out has left something that is no TOML any more.
    pub(super) fn is_cut_through(&self) -> bool {
        !self.torn.is_empty() && DeTable::parse(&self.text).is_err()
    }

    /// Blanks the lines of `span`; where a table's head is among them, the whole table. False where there was nothing left.
    pub(super) fn take_out(&mut self, span: Range<usize>) -> bool {
        let table = self.table(span.start);
        let start = self.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let last = span.end.max(span.start + 1).min(self.text.len());
        let end = self.text[last - 1..].find('\n').map_or(self.text.len(), |at| last - 1 + at);
        let head = self.text[start..].trim_start().starts_with('[');
        let gone = if head { start..table.end.max(end) } else { start..end };
        let blank: String =
            self.text[gone.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        if self.text[gone.clone()] == blank {
            return false;
        }
        self.text.replace_range(gone, &blank);
        self.torn.push(table);
        true
    }

    /// From the head of the table at that place to the next head.
    fn table(&self, at: usize) -> Range<usize> {
        let (mut from, mut offset) = (0, 0);
        for line in self.text.split_inclusive('\n') {
            if line.trim_start().starts_with('[') {
                if offset > at {
                    return from..offset;
                }
                from = offset;
            }
            offset += line.len();
        }
        from..self.text.len()
    }
}
