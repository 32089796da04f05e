//! Whose migration files a directory holds, as gonogo.toml and the command line name it. Names only: how each is read is the
//! migrations' room to know.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::super::problem::meant;

/// Whose migration files a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Layout {
    /// Seen from the files.
    #[default]
    Auto,
    /// gonogo's own pairs: no other tool's bookkeeping is asked.
    Gonogo,
    /// sqlx.
    Sqlx,
    /// golang-migrate.
    GolangMigrate,
    /// dbmate.
    Dbmate,
    /// The Supabase CLI.
    Supabase,
    /// Flyway.
    Flyway,
    /// goose.
    Goose,
    /// `migration-001-x.sql` with `migration-001-rollback.sql`.
    Plain,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Auto,
        Self::Gonogo,
        Self::Sqlx,
        Self::GolangMigrate,
        Self::Dbmate,
        Self::Supabase,
        Self::Flyway,
        Self::Goose,
        Self::Plain,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Gonogo => "gonogo",
            Self::Sqlx => "sqlx",
            Self::GolangMigrate => "golang-migrate",
            Self::Dbmate => "dbmate",
            Self::Supabase => "supabase",
            Self::Flyway => "flyway",
            Self::Goose => "goose",
            Self::Plain => "plain",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|layout| layout.word() == word).ok_or_else(|| {
            let words = Self::ALL.map(Self::word);
            format!("{word:?} is no layout of migrations; {}", meant(word, words))
        })
    }
}

impl TryFrom<String> for Layout {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_and_a_wrong_one_is_met_with_the_nearest() {
        for layout in Layout::ALL {
            assert_eq!(layout.word().parse(), Ok(layout));
        }
        let wrong = "golang_migrate".parse::<Layout>().unwrap_err();
        assert!(wrong.contains("did you mean \"golang-migrate\"?"), "{wrong}");
    }
}
