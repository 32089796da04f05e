//! The down file beside the record: what the migration made and the file does not name, and what the file drops that the migration
//! did not make. The second is how a rollback destroys what was there before. By the file's words alone; what it does when it
//! runs is guarded there, and proven by a rehearsal.

use super::ledger::Record;
use super::thing::Thing;
use super::way::{made, touched};
use crate::workers::migrate::files::Script;

/// Where a down file and the record differ, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Differences {
    /// What the migration made or changed, and the file does not name.
    pub forgets: Vec<String>,
    /// What the file drops, and the migration did not make.
    pub takes: Vec<String>,
    /// What its words do not tell.
    pub cannot_tell: Vec<String>,
}

impl Differences {
    /// Whether the two agree, as far as words tell.
    pub fn is_empty(&self) -> bool {
        self.forgets.is_empty() && self.takes.is_empty()
    }
}

/// A word of SQL, in lower case and without its quotes; a sign is a word of its own.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut signs = text.chars().peekable();
    while let Some(c) = signs.next() {
        if c == '-' && signs.peek() == Some(&'-') {
            while signs.next_if(|c| *c != '\n').is_some() {}
        } else if c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '%' | '$') {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            words.push(word.replace('"', ""));
            word.clear();
        }
        if !c.is_whitespace() {
            words.push(c.into());
        }
    }
    if !word.is_empty() {
        words.push(word.replace('"', ""));
    }
    words
}

fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The name in a key: of `index public.i`, `constraint c on public.t`, `function public.f(integer)` it is i, c and f.
fn name_in(key: &str, thing: &Thing) -> String {
    let rest = key.strip_prefix(thing.kind.as_str()).map_or(key, str::trim_start);
    let rest = if thing.kind == "foreign key" { key.trim_start_matches("constraint ") } else { rest };
    let rest = rest.split(" on ").next().unwrap_or(rest);
    let rest = rest.split('(').next().unwrap_or(rest);
    bare(rest).replace('"', "").to_lowercase()
}

/// What the words say is dropped: kind and name, and for a column the table.
#[derive(Debug, PartialEq, Eq)]
struct Dropped {
    kind: &'static str,
    name: String,
    table: Option<String>,
}

const KINDS: [(&str, &str); 13] = [
    ("table", "table"),
    ("view", "view"),
    ("index", "index"),
    ("column", "column"),
    ("constraint", "constraint"),
    ("trigger", "trigger"),
    ("function", "function"),
    ("procedure", "function"),
    ("policy", "policy"),
    ("type", "type"),
    ("domain", "type"),
    ("sequence", "sequence"),
    ("schema", "schema"),
];

fn drops(words: &[String]) -> Vec<Dropped> {
    let mut found = Vec::new();
    let mut table: Option<String> = None;
    let at = |place: usize| words.get(place).map_or("", String::as_str);
    for place in 0..words.len() {
        if at(place) == "alter" && at(place + 1) == "table" {
            let mut next = place + 2;
            while matches!(at(next), "if" | "exists" | "only") {
                next += 1;
            }
            table = Some(bare(at(next)).to_owned());
        }
        if at(place) == ";" {
            table = None;
        }
        if at(place) != "drop" {
            continue;
        }
        let mut next = place + 1;
        if at(next) == "materialized" {
            next += 1;
        }
        let kind = KINDS.iter().find(|(word, _)| *word == at(next)).map(|(_, kind)| *kind);
        let kind = match (kind, &table) {
            (Some(kind), _) => {
                next += 1;
                kind
            }
            // ALTER TABLE t DROP c: the word COLUMN may be missing.
            (None, Some(_)) if !matches!(at(next), "default" | "not" | "expression" | "identity" | "") => {
                "column"
            }
            _ => continue,
        };
        while matches!(at(next), "concurrently" | "if" | "exists") {
            next += 1;
        }
        loop {
            let of = (kind == "column").then(|| table.clone()).flatten();
            found.push(Dropped { kind, name: at(next).to_owned(), table: of });
            // Only these are named in lists; after a column's comma comes the next action.
            if at(next + 1) != ","
                || !matches!(kind, "table" | "view" | "index" | "sequence" | "type" | "schema")
            {
                break;
            }
            next += 2;
        }
    }
    found
}

/// Compares.
pub(crate) fn differences(record: &Record, down: &Script) -> Differences {
    let mut differences = Differences::default();
    let all: Vec<Vec<String>> = down.statements.iter().map(|statement| words(&statement.text)).collect();
    let named = |name: &str| all.iter().flatten().any(|word| bare(word) == name);
    let made = made(record);
    let columns: Vec<(String, &Thing)> = made
        .iter()
        .filter(|(_, thing)| thing.kind == "column")
        .map(|(key, thing)| (name_in(key, thing), thing))
        .filter(|(name, _)| named(name))
        .collect();
    for (key, thing) in touched(record) {
        // Owners, options, grants and the like follow no name of their own in a file.
        if !matches!(
            thing.kind.as_str(),
            "table"
                | "view"
                | "index"
                | "column"
                | "constraint"
                | "foreign key"
                | "trigger"
                | "function"
                | "policy"
                | "type"
                | "sequence"
                | "schema"
        ) {
            continue;
        }
        let text = thing.make.as_deref().unwrap_or_default().to_lowercase();
        let goes = matches!(thing.kind.as_str(), "index" | "constraint" | "foreign key")
            && columns.iter().any(|(name, column)| {
                column.parent == thing.parent && words(&text).iter().any(|word| word == name)
            });
        if !named(&name_in(&key, &thing)) && !goes {
            let verb = if made.contains_key(&key) { "made" } else { "changed" };
            differences.forgets.push(format!("{key}, which the migration {verb}"));
        }
    }
    let creates = |name: &str| {
        all.iter().any(|words| {
            words
                .iter()
                .position(|word| word == "create")
                .is_some_and(|from| words.iter().skip(from).any(|word| bare(word) == name))
        })
    };
    for drop in all.iter().flat_map(|words| drops(words)) {
        if drop.name.contains('%') || drop.name.is_empty() || drop.name == "'" || drop.name.starts_with('$') {
            let said = format!("it drops a {} whose name is put together when it runs", drop.kind);
            if !differences.cannot_tell.contains(&said) {
                differences.cannot_tell.push(said);
            }
            continue;
        }
        if drop.name.starts_with("gonogo") {
            continue;
        }
        let is = |key: &str, thing: &Thing| {
            (thing.kind == drop.kind || thing.kind == "foreign key" && drop.kind == "constraint")
                && name_in(key, thing) == bare(&drop.name)
                && drop.table.as_ref().is_none_or(|table| {
                    thing.parent.as_deref().is_some_and(|parent| bare(parent).trim_matches('"') == table)
                })
        };
        let mine = made.iter().any(|(key, thing)| is(key, thing));
        let before = record.before.iter().find(|(key, thing)| is(key, thing));
        if let Some((key, _)) = before.filter(|_| !mine) {
            let holds = if matches!(drop.kind, "table" | "column") { ", with all that it holds" } else { "" };
            // Something that is put in its place is no loss; rows are.
            if (!holds.is_empty() || !creates(bare(&drop.name)))
                && !differences.takes.iter().any(|said| said.starts_with(key.as_str()))
            {
                differences.takes.push(format!("{key}, which was there before the migration{holds}"));
            }
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Entry;
    use super::super::thing::{Catalogue, Change};
    use super::*;

    fn thing(kind: &str, parent: Option<&str>, make: &str) -> Thing {
        Thing {
            kind: kind.into(),
            parent: parent.map(Into::into),
            make: Some(make.into()),
            unmake: None,
            back: None,
        }
    }

    fn record() -> Record {
        let column =
            |name: &str| thing("column", Some("table public.contacts"), &format!("ADD COLUMN {name} text"));
        let index =
            thing("index", Some("table public.contacts"), "CREATE INDEX i ON public.contacts (pulse_tags)");
        let lone =
            thing("index", Some("table public.contacts"), "CREATE INDEX lone ON public.contacts (city)");
        let came = |key: &str, is: Thing| Change { key: key.into(), was: None, is: Some(is) };
        let before: Catalogue = [
            ("table public.contacts".to_owned(), thing("table", None, "CREATE TABLE public.contacts ()")),
            ("column public.contacts.donor_stage".to_owned(), column("donor_stage")),
        ]
        .into();
        let changes = vec![
            came("column public.contacts.pulse_tags", column("pulse_tags")),
            came("index public.i", index),
            came("index public.lone", lone),
            came("function public.f(integer)", thing("function", None, "CREATE FUNCTION f")),
        ];
        Record { before, entries: vec![Entry { step: 1, changes, written: None }] }
    }

    fn compared(down: &str) -> Differences {
        differences(&record(), &Script::written("1_a.down.sql", down).unwrap())
    }

    #[test]
    fn a_down_file_that_drops_what_was_there_before_is_named_with_what_it_takes() {
        let all = compared(
            "DROP INDEX lone; DROP FUNCTION public.f(integer);
             ALTER TABLE contacts DROP COLUMN IF EXISTS pulse_tags, DROP COLUMN donor_stage;",
        );
        assert_eq!(
            all.takes,
            [
                "column public.contacts.donor_stage, which was there before the migration, with all that it holds"
            ]
        );
        assert!(all.forgets.is_empty(), "the index on the column goes with it: {all:?}");
        // Hidden in a block, with other spelling.
        let hidden =
            compared("DO $$ BEGIN EXECUTE 'alter table public.contacts drop \"donor_stage\"'; END $$;");
        assert_eq!(hidden.takes.len(), 1, "{hidden:?}");
        let whole = compared("DROP TABLE IF EXISTS public.contacts CASCADE;");
        assert!(whole.takes[0].starts_with("table public.contacts"), "{whole:?}");
    }

    #[test]
    fn what_it_forgets_and_what_cannot_be_told_are_said() {
        let some =
            compared("-- lone goes with the table, does it not\nALTER TABLE contacts DROP pulse_tags;");
        assert_eq!(
            some.forgets,
            [
                "function public.f(integer), which the migration made",
                "index public.lone, which the migration made"
            ]
        );
        let dynamic = compared(
            "DO $$ BEGIN EXECUTE format('DROP INDEX %I', 'lone'); DROP FUNCTION f; ALTER TABLE contacts DROP pulse_tags; END $$;",
        );
        assert_eq!(dynamic.cannot_tell, ["it drops a index whose name is put together when it runs"]);
        assert!(dynamic.is_empty(), "{dynamic:?}");
    }
}
