//! What is wrong in a file that people wrote: where, what, and what would be right.
//!
//! Every reader of `plan` speaks in these, so that a wrong word in a checklist and one in gonogo.toml look alike.

use std::fmt;

use serde::Serialize;

/// One thing wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// The column, from 1, where it is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub instead: Option<String>,
}

impl Problem {
    /// A problem of a line.
    pub fn at(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, column: None, what: what.into(), instead: None }
    }

    /// With what would be right.
    #[must_use]
    pub fn instead(mut self, instead: impl Into<String>) -> Self {
        self.instead = Some(instead.into());
        self
    }

    /// With the column.
    #[must_use]
    pub const fn column(mut self, column: usize) -> Self {
        self.column = Some(column);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {}", self.what)?;
        self.instead.as_ref().map_or(Ok(()), |instead| write!(f, "; {instead}"))
    }
}

impl std::error::Error for Problem {}

/// The known word that was probably meant, if one is near enough to be worth saying.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&word, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.72)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// "did you mean X?", or the words that would be right.
pub(crate) fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    nearest(word, known.clone()).map_or_else(
        || format!("it can be {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean {near:?}?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        let words = ["owner", "check", "action"];
        assert_eq!(nearest("onwer", words), Some("owner"));
        assert_eq!(nearest("acton", words), Some("action"));
        assert_eq!(nearest("zzz", words), None);
        assert_eq!(meant("zzz", words), "it can be owner, check, action");
    }

    #[test]
    fn a_problem_reads_as_one_line() {
        let problem =
            Problem::at("a.md", 3, "unknown attribute \"onwer\"").column(7).instead("did you mean it?");
        assert_eq!(problem.to_string(), "a.md:3:7: unknown attribute \"onwer\"; did you mean it?");
        assert_eq!(Problem::at("a.md", 0, "is empty").to_string(), "a.md: is empty");
    }
}
