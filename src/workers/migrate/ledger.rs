//! The bookkeeping tables of other tools, each in its own shape, as rows of one shape. Facts of those tools; no database here.

use serde_json::Value;

use super::files::MigrationSet;
use super::flyway::Version;
use super::layout::Tool;

/// A line of another tool's bookkeeping.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    /// As the tool writes it.
    pub(crate) version: String,
    pub(crate) name: Option<String>,
    /// As the tool wrote it; some do not say in which time zone.
    pub(crate) when: Option<String>,
    pub(crate) verdict: Verdict,
    pub(crate) print: Print,
    pub(crate) reach: Reach,
}

/// Whether it is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    #[default]
    Applied,
    /// It was begun, and how it stands, in words.
    Unfinished(String),
}

/// What the tool wrote down of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Print {
    #[default]
    None,
    Sqlx(Vec<u8>),
    Flyway(i32),
    Statements(Vec<String>),
}

/// What a row speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Its own version.
    #[default]
    Itself,
    /// Its own and every earlier one.
    AllBefore,
}

impl Row {
    /// "20240101120000 (users)".
    pub(crate) fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({name})", self.version),
            None => self.version.clone(),
        }
    }
}

/// Where a tool keeps its books, unless it was told otherwise.
pub(crate) const fn table(tool: Tool) -> &'static str {
    match tool {
        Tool::Sqlx => "_sqlx_migrations",
        Tool::GolangMigrate | Tool::Dbmate => "schema_migrations",
        Tool::Supabase => "supabase_migrations.schema_migrations",
        Tool::Flyway => "flyway_schema_history",
        Tool::Goose => "goose_db_version",
    }
}

/// Whether a table with these columns is that tool's; two of them use one name.
pub(crate) fn is_theirs(tool: Tool, columns: &[String]) -> bool {
    let has = |name: &str| columns.iter().any(|column| column == name);
    match tool {
        Tool::Sqlx => has("version") && has("checksum") && has("success"),
        Tool::GolangMigrate => has("version") && has("dirty"),
        Tool::Dbmate => has("version") && !has("dirty"),
        Tool::Supabase => has("version"),
        Tool::Flyway => has("installed_rank") && has("version") && has("checksum") && has("success"),
        Tool::Goose => has("version_id") && has("is_applied"),
    }
}

/// What a person does about an unfinished migration.
pub(crate) const fn way_out(tool: Tool) -> &'static str {
    match tool {
        Tool::GolangMigrate => {
            "see what of it is in the schema, finish or undo it by hand, then clear the flag with `migrate force VERSION`"
        }
        Tool::Flyway => {
            "see what of it is in the schema, finish or undo it by hand, then clear it with `flyway repair`"
        }
        Tool::Sqlx => {
            "see what of it is in the schema, finish or undo it by hand, then correct its row in _sqlx_migrations"
        }
        Tool::Dbmate | Tool::Supabase | Tool::Goose => {
            "see what of it is in the schema, and finish or undo it with the tool that began it"
        }
    }
}

/// The number here of a version there.
pub(crate) fn number(tool: Tool, version: &str, set: &MigrationSet) -> Option<u64> {
    let is = |label: &str| match tool {
        Tool::Flyway => Version::read(version).is_some_and(|version| version.label() == label),
        _ => false,
    };
    let number = version.parse().ok();
    set.migrations
        .iter()
        .find(|migration| match tool {
            Tool::Flyway => is(&migration.label),
            _ => Some(migration.number) == number,
        })
        .map(|migration| migration.number)
}

/// The rows that say something is applied, or was begun.
pub(crate) fn rows(tool: Tool, table: &[Value]) -> Result<Vec<Row>, String> {
    match tool {
        Tool::Sqlx => table.iter().map(sqlx).collect(),
        Tool::GolangMigrate => table.iter().map(golang_migrate).collect(),
        Tool::Dbmate => {
            table.iter().map(|row| Ok(Row { version: word(row, "version")?, ..Row::default() })).collect()
        }
        Tool::Supabase => table.iter().map(supabase).collect(),
        Tool::Flyway => flyway(table),
        Tool::Goose => goose(table),
    }
}

fn sqlx(row: &Value) -> Result<Row, String> {
    let sum = word(row, "checksum")?;
    let sum =
        sum.strip_prefix("\\x").and_then(bytes).ok_or_else(|| format!("a checksum of sqlx is {sum:?}"))?;
    Ok(Row {
        version: word(row, "version")?,
        name: word(row, "description").ok(),
        when: word(row, "installed_on").ok(),
        verdict: verdict(flag(row, "success")?, "was begun by sqlx and did not end"),
        print: Print::Sqlx(sum),
        reach: Reach::Itself,
    })
}

fn golang_migrate(row: &Value) -> Result<Row, String> {
    let dirty = flag(row, "dirty")?;
    Ok(Row {
        version: word(row, "version")?,
        verdict: verdict(!dirty, "is dirty: golang-migrate began it and it did not end"),
        reach: Reach::AllBefore,
        ..Row::default()
    })
}

fn supabase(row: &Value) -> Result<Row, String> {
    let statements = row.get("statements").and_then(Value::as_array);
    let texts: Vec<String> =
        statements.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Row {
        version: word(row, "version")?,
        name: word(row, "name").ok(),
        print: if texts.is_empty() { Print::None } else { Print::Statements(texts) },
        ..Row::default()
    })
}

/// Every attempt is a row; a later one of the same version has the word.
fn flyway(table: &[Value]) -> Result<Vec<Row>, String> {
    let mut table: Vec<(i64, &Value)> =
        table.iter().map(|row| Ok((count(row, "installed_rank")?, row))).collect::<Result<_, String>>()?;
    table.sort_by_key(|(rank, _)| *rank);
    let mut rows: Vec<Row> = Vec::new();
    for (_, row) in table {
        // Repeatable migrations have no version, nor has the making of the schema.
        let Ok(version) = word(row, "version") else { continue };
        let success = flag(row, "success")?;
        rows.retain(|earlier| earlier.version != version);
        match word(row, "type")?.as_str() {
            "DELETE" => continue,
            kind if kind.starts_with("UNDO") && success => continue,
            _ => {}
        }
        let baseline = word(row, "type")? == "BASELINE";
        rows.push(Row {
            version,
            name: word(row, "description").ok(),
            when: word(row, "installed_on").ok(),
            verdict: verdict(success, "failed when Flyway ran it"),
            print: count(row, "checksum")
                .ok()
                .and_then(|sum| i32::try_from(sum).ok())
                .map_or(Print::None, Print::Flyway),
            reach: if baseline { Reach::AllBefore } else { Reach::Itself },
        });
    }
    Ok(rows)
}

/// Ups and downs are rows; the last of a version has the word. Version 0 is the table's own birth.
fn goose(table: &[Value]) -> Result<Vec<Row>, String> {
    let mut table: Vec<(i64, &Value)> =
        table.iter().map(|row| Ok((count(row, "id")?, row))).collect::<Result<_, String>>()?;
    table.sort_by_key(|(id, _)| *id);
    let mut rows: Vec<Row> = Vec::new();
    for (_, row) in table {
        let version = word(row, "version_id")?;
        rows.retain(|earlier| earlier.version != version);
        if version != "0" && flag(row, "is_applied")? {
            rows.push(Row { version, when: word(row, "tstamp").ok(), ..Row::default() });
        }
    }
    Ok(rows)
}

fn verdict(applied: bool, how: &str) -> Verdict {
    if applied { Verdict::Applied } else { Verdict::Unfinished(how.to_owned()) }
}

/// A column as text, whatever type its table gives it.
fn word(row: &Value, column: &str) -> Result<String, String> {
    match row.get(column) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        other => Err(format!("the column {column} holds {}", other.unwrap_or(&Value::Null))),
    }
}

fn flag(row: &Value, column: &str) -> Result<bool, String> {
    let wrong = || format!("the column {column} is no boolean");
    row.get(column).and_then(Value::as_bool).ok_or_else(wrong)
}

fn count(row: &Value, column: &str) -> Result<i64, String> {
    let wrong = || format!("the column {column} is no number");
    row.get(column).and_then(Value::as_i64).ok_or_else(wrong)
}

/// The bytes behind hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
