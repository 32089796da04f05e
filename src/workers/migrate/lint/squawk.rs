//! squawk's rules, asked as a library, and what each means on a live table. Rules that judge taste, or that the engine answers by
//! the way it runs a file (time-outs, transactions, repeatability, resumption), are not asked; the list below says which are.

use squawk_linter::{Linter, LinterSettings, Rule};
use squawk_syntax::SourceFile;

use super::finding::Severity;
use super::known::Weight;
use super::work::Work;
use crate::workers::migrate::files::Unit;

/// What a rule of squawk means here.
pub(crate) struct Meaning {
    pub(crate) rule: Rule,
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) weight: Weight,
    /// What happens; `{}` is the table.
    pub(crate) what: &'static str,
    pub(crate) safe: &'static str,
}

macro_rules! meanings {
    ($($rule:ident $name:literal $severity:ident $weight:expr, $what:literal, $safe:literal;)*) => {
        &[$(Meaning {
            rule: Rule::$rule, name: $name, severity: Severity::$severity, weight: $weight, what: $what, safe: $safe,
        }),*]
    };
}

/// The rules that are asked. Those of one kind of constraint stand before the one of any constraint.
const MEANINGS: &[Meaning] = meanings! {
    AddingForeignKeyConstraint "adding-foreign-key-constraint" Stops Weight::Load(Work::Keys),
        "writers of {} and of the table it refers to wait while each key is looked up",
        "add the key NOT VALID, then VALIDATE CONSTRAINT in a statement of its own";
    DisallowedUniqueConstraint "disallowed-unique-constraint" Stops Weight::Load(Work::Build),
        "everybody who uses {}, readers too, waits while the unique index is built",
        "CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT … USING INDEX";
    AddingSerialPrimaryKeyField "adding-serial-primary-key-field" Stops Weight::Load(Work::Build),
        "everybody who uses {}, readers too, waits while the key's index is built",
        "CREATE UNIQUE INDEX CONCURRENTLY on columns that are NOT NULL, then ADD CONSTRAINT … PRIMARY KEY USING INDEX";
    ConstraintMissingNotValid "constraint-missing-not-valid" Stops Weight::Load(Work::Scan),
        "everybody who uses {}, readers too, waits while each row is looked at",
        "add it NOT VALID, then VALIDATE CONSTRAINT in a statement and a transaction of its own";
    AddingFieldWithDefault "adding-field-with-default" Stops Weight::Load(Work::Rewrite),
        "everybody who uses {}, readers too, waits while the table and its indexes are written anew",
        "add the column without it, SET DEFAULT in the same ALTER, and fill the rows that are there in batches";
    ChangingColumnType "changing-column-type" Stops Weight::Load(Work::Rewrite),
        "everybody who uses {}, readers too, waits while the table and its indexes are written anew, unless the new type only widens the old",
        "a second column, kept equal by a trigger, filled in batches, then exchanged";
    AddingNotNullableField "adding-not-nullable-field" Stops Weight::Load(Work::Scan),
        "everybody who uses {}, readers too, waits while each row is looked at",
        "CHECK (… IS NOT NULL) NOT VALID, VALIDATE, then SET NOT NULL, which believes the check, then drop the check in another ALTER";
    AddingRequiredField "adding-required-field" Breaks Weight::Rows,
        "it fails as soon as {} has a row, and what writes to it today does not give the column a value",
        "add it without NOT NULL or with a DEFAULT, fill it, then require it";
    RequireConcurrentIndexCreation "require-concurrent-index-creation" Stops Weight::Load(Work::Build),
        "writers of {} wait while the index is built",
        "CREATE INDEX CONCURRENTLY";
    RequireConcurrentIndexDeletion "require-concurrent-index-deletion" Queues Weight::Load(Work::None),
        "the drop asks for the whole of the index's table, and clients queue behind the request",
        "DROP INDEX CONCURRENTLY";
    RequireConcurrentReindex "require-concurrent-reindex" Stops Weight::Load(Work::Build),
        "writers, and readers through that index, wait while it is built anew",
        "REINDEX … CONCURRENTLY";
    RequireConcurrentPartitionDetach "require-concurrent-partition-detach" Queues Weight::Load(Work::None),
        "it asks for the whole of {}, and clients queue behind the request",
        "DETACH PARTITION … CONCURRENTLY";
    BanAlterDomainWithAddConstraint "ban-alter-domain-with-add-constraint" Stops Weight::Always,
        "writers of every table that uses the domain wait while each of its rows is looked at",
        "a CHECK on each table, NOT VALID and then validated";
    BanTruncateCascade "ban-truncate-cascade" Breaks Weight::Newness,
        "empties every table that refers to {}, however far away",
        "name the tables, after a backup of each";
    BanDropDatabase "ban-drop-database" Breaks Weight::Always,
        "the database is gone", "not in a migration";
    BanDropSchema "ban-drop-schema" Breaks Weight::Always,
        "what is in the schema goes with it", "drop what is in it by name, after a backup";
    BanDropTable "ban-drop-table" Breaks Weight::Newness,
        "the rows of {} are gone, and what still reads it fails",
        "in a later deployment, when nothing reads it any more, and after a backup of its rows";
    BanDropColumn "ban-drop-column" Breaks Weight::Newness,
        "the values in the column of {} are gone, and what still names it fails",
        "in a later deployment, when nothing names it any more, and after a backup of its values";
    RenamingColumn "renaming-column" Breaks Weight::Newness,
        "what still uses the old name of the column of {} fails at once",
        "a second column kept equal by a trigger, or a view with the old name";
    RenamingTable "renaming-table" Breaks Weight::Newness,
        "what still uses the old name of {} fails at once",
        "leave a view with the old name behind, in the same transaction";
    BanSetSchema "ban-set-schema" Breaks Weight::Always,
        "what names it with its old schema, or finds it by the search path, fails at once",
        "leave a view with the old name behind, in the same transaction";
    BanCharField "ban-char-field" Hint Weight::Always,
        "char(n) fills up with blanks, and compares otherwise than text",
        "text, with a CHECK on its length where one is wanted";
    PreferTimestampTz "prefer-timestamp-tz" Hint Weight::Always,
        "timestamp has no zone: what it means depends on who reads it",
        "timestamptz";
    IdentifierTooLong "identifier-too-long" Hint Weight::Always,
        "the server cuts the name at 63 bytes, and the catalogue then holds another name than this file",
        "a shorter name";
    BanDuplicateColumnAssignments "ban-duplicate-column-assignments" Breaks Weight::Always,
        "a column is set twice, and the server refuses the statement",
        "set it once";
};

/// One thing that squawk has found.
pub(crate) struct Seen {
    pub(crate) meaning: &'static Meaning,
    /// The byte at which it begins.
    pub(crate) at: usize,
}

/// What squawk finds in a file.
pub(crate) fn ask(text: &str, unit: Unit, server_version: Option<i32>) -> Vec<Seen> {
    let parse = SourceFile::parse(text);
    let mut linter = Linter::from(MEANINGS.iter().map(|meaning| meaning.rule));
    let version = server_version.and_then(|version| (version / 10_000).to_string().parse().ok());
    linter.settings =
        LinterSettings { pg_version: version.unwrap_or_default(), assume_in_transaction: unit == Unit::File };
    let mut seen: Vec<(usize, usize, usize)> = Vec::new();
    for violation in linter.lint(&parse, text) {
        let Some(rank) = MEANINGS.iter().position(|meaning| meaning.rule == violation.code) else { continue };
        let (from, to) = (violation.text_range.start().into(), violation.text_range.end().into());
        seen.push((rank, from, to));
    }
    seen.sort_unstable();
    // The rule of any constraint says again what the rule of this kind of constraint has said.
    let general = MEANINGS.iter().position(|meaning| meaning.rule == Rule::ConstraintMissingNotValid);
    let told = |one: &(usize, usize, usize)| {
        Some(one.0) == general
            && seen.iter().any(|other| Some(other.0) < general && one.1 <= other.1 && other.2 <= one.2)
    };
    let mut kept: Vec<(usize, usize, usize)> = seen.iter().copied().filter(|one| !told(one)).collect();
    kept.sort_unstable_by_key(|(_, from, _)| *from);
    kept.into_iter().filter_map(|(rank, at, _)| Some(Seen { meaning: MEANINGS.get(rank)?, at })).collect()
}

/// The bytes of the defaults that are worked out row by row, so that adding the column rewrites the table.
pub(crate) fn unsteady_defaults(text: &str) -> Vec<std::ops::Range<usize>> {
    let parse = SourceFile::parse(text);
    let found = Linter::from([Rule::AddingFieldWithDefault]).lint(&parse, text);
    found.iter().map(|one| one.text_range.start().into()..one.text_range.end().into()).collect()
}
