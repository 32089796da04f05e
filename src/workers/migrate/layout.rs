//! Whose files are these? Seen from the whole directory, for one file alone says too little: gonogo's, sqlx's and
//! golang-migrate's pairs look the same, and only their bookkeeping tells them apart. Nothing is read here but names and marks.

use std::path::Path;

use serde::Serialize;

use super::{naming, sections};
use crate::plan::config::Layout;

/// A tool whose files are read, and whose bookkeeping is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// sqlx: pairs or single files, `-- no-transaction`.
    Sqlx,
    /// golang-migrate: pairs.
    GolangMigrate,
    /// dbmate: both directions in one file.
    Dbmate,
    /// The Supabase CLI: single files, no way back.
    Supabase,
    /// Flyway: `V1__name.sql`, `U1__name.sql`.
    Flyway,
    /// goose: both directions in one file.
    Goose,
}

impl Tool {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlx => "sqlx",
            Self::GolangMigrate => "golang-migrate",
            Self::Dbmate => "dbmate",
            Self::Supabase => "Supabase",
            Self::Flyway => "Flyway",
            Self::Goose => "goose",
        }
    }
}

/// How the files of a set are read, and whose bookkeeping may speak of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// gonogo's own pairs.
    Own,
    /// `migration-001-x.sql` with `migration-001-rollback.sql`; no tool keeps books for them.
    Plain,
    /// Pairs that carry nobody's mark.
    Pairs,
    /// Single files that carry nobody's mark.
    Singles,
    /// A tool's.
    Of(Tool),
}

impl Reading {
    /// The tools that write such files.
    pub const fn tools(self) -> &'static [Tool] {
        match self {
            Self::Own | Self::Plain => &[],
            Self::Pairs => &[Tool::Sqlx, Tool::GolangMigrate],
            Self::Singles => &[Tool::Sqlx, Tool::Supabase],
            Self::Of(Tool::Sqlx) => &[Tool::Sqlx],
            Self::Of(Tool::GolangMigrate) => &[Tool::GolangMigrate],
            Self::Of(Tool::Dbmate) => &[Tool::Dbmate],
            Self::Of(Tool::Supabase) => &[Tool::Supabase],
            Self::Of(Tool::Flyway) => &[Tool::Flyway],
            Self::Of(Tool::Goose) => &[Tool::Goose],
        }
    }

    /// For a person.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Own => "gonogo's own pairs",
            Self::Plain => "plain numbered files",
            Self::Pairs => "numbered pairs, as gonogo, sqlx and golang-migrate write them",
            Self::Singles => "numbered files without a way back, as sqlx and Supabase write them",
            Self::Of(tool) => tool.name(),
        }
    }

    /// Whether a hole in small numbers is a mistake. The tools let one be, and old migrations are taken away in some projects.
    pub(crate) const fn forbids_gaps(self) -> bool {
        matches!(self, Self::Own | Self::Plain)
    }
}

/// Whose files these are: as somebody named it, else as the directory looks.
pub(crate) fn recognise<'a>(
    named: Layout,
    directory: Option<&Path>,
    files: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
) -> Reading {
    match named {
        Layout::Auto => {}
        Layout::Gonogo => return Reading::Own,
        Layout::Plain => return Reading::Plain,
        Layout::Sqlx => return Reading::Of(Tool::Sqlx),
        Layout::GolangMigrate => return Reading::Of(Tool::GolangMigrate),
        Layout::Dbmate => return Reading::Of(Tool::Dbmate),
        Layout::Supabase => return Reading::Of(Tool::Supabase),
        Layout::Flyway => return Reading::Of(Tool::Flyway),
        Layout::Goose => return Reading::Of(Tool::Goose),
    }
    let any = |wanted: &dyn Fn(&str, &str) -> bool| files.clone().any(|(name, text)| wanted(name, text));
    let ends = |name: &str, end: &str| name.to_ascii_lowercase().ends_with(end);
    if any(&|_, text| sections::whose(text) == Some(Tool::Dbmate)) {
        Reading::Of(Tool::Dbmate)
    } else if any(&|_, text| sections::whose(text) == Some(Tool::Goose)) {
        Reading::Of(Tool::Goose)
    } else if any(&|name, _| is_flyway(name)) {
        Reading::Of(Tool::Flyway)
    } else if directory.is_some_and(|path| path.ends_with("supabase/migrations")) {
        Reading::Of(Tool::Supabase)
    } else if any(&|name, text| ends(name, ".check.sql") || sections::is_ours(text)) {
        Reading::Own
    } else if any(&|name, _| ends(name, ".up.sql")) {
        Reading::Pairs
    } else if any(&|name, _| name.to_ascii_lowercase().starts_with("migration"))
        || any(&|back, _| {
            let stem = back.get(..back.len().saturating_sub(4)).unwrap_or_default();
            naming::leads_back(stem) && any(&|there, _| there != back && digits(there) == digits(back))
        })
    {
        Reading::Plain
    } else {
        Reading::Singles
    }
}

/// `V1__name.sql`: a letter, a version, two underscores.
fn is_flyway(name: &str) -> bool {
    let mut chars = name.chars();
    matches!(chars.next(), Some('V' | 'U' | 'v' | 'u'))
        && name.contains("__")
        && chars.next().is_some_and(|c| c.is_ascii_digit())
}

/// The digits that a plain name begins with, behind "migration-" where that stands there.
fn digits(name: &str) -> &str {
    let rest = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default()
}
