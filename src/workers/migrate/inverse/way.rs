//! From what a migration's steps changed to the statements that undo it, in an order in which nothing is taken away before what
//! stands on it. Each statement says what it costs; a way that lacks one says so, and is never run as if it were whole.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Record;
use super::thing::{Catalogue, Change, Thing};

/// What undoing costs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Cost {
    /// Of the catalogue alone: milliseconds, once the lock is there.
    Cheap,
    /// It works through the rows: forecast by their number.
    Costly,
    /// What was written since is lost: how many rows, where they were counted.
    Lossy {
        /// Rows that hold something; none before they are counted.
        rows: Option<i64>,
    },
    /// It cannot be undone by a statement.
    None {
        /// Why, and what would.
        why: String,
    },
}

impl Cost {
    /// Its word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Cheap => "cheap",
            Self::Costly => "costly",
            Self::Lossy { .. } => "lossy",
            Self::None { .. } => "none",
        }
    }
}

/// One statement back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Undo {
    /// The step that it undoes, from 1; the last one where several changed the same thing.
    pub step: u32,
    /// What it is about ("column public.contacts.pulse_notes").
    pub about: String,
    /// The statement; none where there is none.
    pub sql: Option<String>,
    /// What it costs.
    pub cost: Cost,
    /// Counts the rows that would be lost.
    #[serde(skip)]
    pub(crate) count: Option<String>,
}

/// The way back from one migration, by its record.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Way {
    /// In the order in which they are to be run.
    pub undos: Vec<Undo>,
}

impl Way {
    /// What keeps it from being whole, in words.
    pub fn gaps(&self) -> Vec<String> {
        let gap = |undo: &Undo| match &undo.cost {
            Cost::None { why } => Some(format!("{}: {why}", undo.about)),
            _ => None,
        };
        self.undos.iter().filter_map(gap).collect()
    }

    /// As a file. Only a way without gaps has one.
    pub fn script(&self) -> Option<String> {
        if !self.gaps().is_empty() {
            return None;
        }
        let statements: Vec<&str> = self.undos.iter().filter_map(|undo| undo.sql.as_deref()).collect();
        (!statements.is_empty()).then(|| statements.iter().flat_map(|sql| [sql, ";\n"]).collect())
    }
}

/// What stands on others goes first.
fn rank(kind: &str) -> u8 {
    match kind {
        "grant" | "comment" | "trigger state" | "owner" => 0,
        "rule" | "trigger" => 1,
        "policy" => 2,
        "view" => 3,
        "default" => 4,
        "foreign key" => 5,
        "constraint" | "statistics" => 6,
        "index" => 7,
        "not null" | "row security" | "options" => 8,
        "column" => 9,
        "table" => 10,
        "function" => 11,
        "sequence" => 12,
        "type" => 13,
        "extension" => 14,
        _ => 15,
    }
}

/// A thing's net change, and the last step that took part in it.
struct Net {
    step: u32,
    was: Option<Thing>,
    is: Option<Thing>,
}

/// What all steps together came to.
fn net(record: &Record) -> BTreeMap<String, Net> {
    let mut all: BTreeMap<String, Net> = BTreeMap::new();
    for entry in &record.entries {
        for Change { key, was, is } in &entry.changes {
            let net = all.entry(key.clone()).or_insert_with(|| Net { step: 0, was: was.clone(), is: None });
            (net.step, net.is) = (entry.step, is.clone());
        }
    }
    all.retain(|_, net| {
        net.was.as_ref().map(|one| &one.make) != net.is.as_ref().map(|one| &one.make)
            || net.was.is_some() != net.is.is_some()
    });
    all
}

/// The things that a migration made, by key.
pub(crate) fn made(record: &Record) -> Catalogue {
    net(record)
        .into_iter()
        .filter_map(|(key, net)| Some((key, net.is?)).filter(|_| net.was.is_none()))
        .collect()
}

/// The things that a migration made, changed or took away, without those that go with another of them.
pub(crate) fn touched(record: &Record) -> Vec<(String, Thing)> {
    let net = net(record);
    let made: BTreeSet<String> =
        net.iter().filter(|(_, one)| one.was.is_none()).map(|(key, _)| key.clone()).collect();
    let mut known: Catalogue = record.before.clone();
    known.extend(net.iter().filter_map(|(key, one)| Some((key.clone(), one.is.clone()?))));
    net.into_iter()
        .filter_map(|(key, one)| Some((key, one.is.or(one.was)?)))
        .filter(|(_, thing)| !goes_with(thing, &made, &known))
        .collect()
}

/// Whether something that is taken away anyway takes it along.
fn goes_with(thing: &Thing, gone: &BTreeSet<String>, known: &Catalogue) -> bool {
    let mut parent = thing.parent.as_ref();
    while let Some(key) = parent {
        if gone.contains(key) {
            return true;
        }
        parent = known.get(key).and_then(|thing| thing.parent.as_ref());
    }
    false
}

/// The way back.
pub(crate) fn way(record: &Record) -> Way {
    let net = net(record);
    let made: BTreeSet<String> =
        net.iter().filter(|(_, one)| one.was.is_none()).map(|(key, _)| key.clone()).collect();
    let mut known: Catalogue = record.before.clone();
    known.extend(net.iter().filter_map(|(key, one)| Some((key.clone(), one.is.clone()?))));
    let mut away: Vec<(u8, Undo)> = Vec::new();
    let mut again: Vec<(u8, Undo)> = Vec::new();
    let mut remade: BTreeSet<String> = BTreeSet::new();
    for (key, one) in &net {
        let undo = |sql: Option<String>, cost: Cost, count: Option<String>| Undo {
            step: one.step,
            about: key.clone(),
            cost: if sql.is_none() && !matches!(cost, Cost::None { .. }) {
                Cost::None { why: "there is no statement for it in the record".into() }
            } else {
                cost
            },
            sql,
            count,
        };
        match (&one.was, &one.is) {
            (None, Some(is)) if !goes_with(is, &made, &known) => {
                let (cost, count) = loss(key, is);
                away.push((rank(&is.kind), undo(is.unmake.clone(), cost, count)));
            }
            (Some(was), None) => {
                let cost = match was.kind.as_str() {
                    "table" | "column" => Cost::Lossy { rows: None },
                    "index" | "constraint" | "foreign key" => Cost::Costly,
                    _ => Cost::Cheap,
                };
                again.push((rank(&was.kind), undo(was.make.clone(), cost, None)));
            }
            (Some(was), Some(is)) => {
                let rank = rank(&was.kind);
                match (&was.back, was.kind.as_str()) {
                    (_, "type" | "table" | "extension" | "sequence") => {
                        let why = "its definition changed, and no statement takes that back".to_owned();
                        again.push((rank, undo(None, Cost::None { why }, None)));
                    }
                    (Some(back), kind) => {
                        let cost = if kind == "column" { Cost::Costly } else { Cost::Cheap };
                        again.push((rank, undo(Some(back.clone()), cost, None)));
                    }
                    (None, _) => {
                        let cost = if matches!(was.kind.as_str(), "index" | "constraint" | "foreign key") {
                            Cost::Costly
                        } else {
                            Cost::Cheap
                        };
                        away.push((rank, undo(is.unmake.clone(), Cost::Cheap, None)));
                        again.push((rank, undo(was.make.clone(), cost, None)));
                        remade.insert(key.clone());
                    }
                }
            }
            _ => {}
        }
    }
    // What is dropped to be made again loses what hangs on it, though nobody changed that.
    for (key, thing) in &record.before {
        if !net.contains_key(key) && thing.parent.as_ref().is_some_and(|parent| remade.contains(parent)) {
            let sql = thing.make.clone();
            again.push((
                rank(&thing.kind),
                Undo { step: 0, about: key.clone(), sql, cost: Cost::Cheap, count: None },
            ));
        }
    }
    // Of one rank, what came last goes first.
    away.sort_by_key(|(rank, undo)| (*rank, std::cmp::Reverse(undo.step)));
    again.sort_by_key(|(rank, undo)| (std::cmp::Reverse(*rank), undo.step));
    let mut undos: Vec<Undo> = away.into_iter().chain(again).map(|(_, undo)| undo).collect();
    undos.extend(rows(record, &made));
    Way { undos }
}

/// What is lost with a thing that the migration made.
fn loss(key: &str, is: &Thing) -> (Cost, Option<String>) {
    match (is.kind.as_str(), is.parent.as_deref()) {
        ("table", _) => {
            let table = key.trim_start_matches("table ");
            (Cost::Lossy { rows: None }, Some(format!("SELECT count(*) FROM {table}")))
        }
        ("column", Some(parent)) => {
            let table = parent.trim_start_matches("table ");
            let column = key.trim_start_matches("column ").trim_start_matches(table).trim_start_matches('.');
            let column = format!("\"{}\"", column.replace('"', "\"\""));
            // Without a constant default every value counts.
            let count = format!("SELECT count(*) FROM {table} WHERE {column} IS DISTINCT FROM {{default}}");
            (Cost::Lossy { rows: None }, Some(count))
        }
        _ => (Cost::Cheap, None),
    }
}

/// Rows that steps wrote into tables which were there before: no statement of the catalogue takes those back.
fn rows(record: &Record, made: &BTreeSet<String>) -> Vec<Undo> {
    let mut undos = Vec::new();
    for entry in &record.entries {
        for (table, rows) in entry.written.iter().flatten() {
            if !made.contains(&format!("table {table}")) {
                let why = format!(
                    "{rows} rows written by step {}; only the backup has what they held before",
                    entry.step
                );
                let about = format!("rows of {table}");
                undos.push(Undo {
                    step: entry.step,
                    about,
                    sql: None,
                    cost: Cost::None { why },
                    count: None,
                });
            }
        }
    }
    undos
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Entry;
    use super::*;

    fn thing(kind: &str, parent: Option<&str>, make: &str, unmake: &str, back: Option<&str>) -> Thing {
        Thing {
            kind: kind.into(),
            parent: parent.map(Into::into),
            make: Some(make.into()),
            unmake: Some(unmake.into()),
            back: back.map(Into::into),
        }
    }

    fn came(key: &str, thing: Thing) -> Change {
        Change { key: key.into(), was: None, is: Some(thing) }
    }

    fn sql(way: &Way) -> Vec<&str> {
        way.undos.iter().map(|undo| undo.sql.as_deref().unwrap_or("-")).collect()
    }

    #[test]
    fn what_was_made_goes_in_order_and_what_goes_with_it_is_not_named() {
        let entries = vec![
            Entry {
                step: 1,
                changes: vec![came("table t", thing("table", None, "+t", "-t", None))],
                written: None,
            },
            Entry {
                step: 2,
                changes: vec![
                    came("index i", thing("index", Some("table t"), "+i", "-i", None)),
                    came("function f", thing("function", None, "+f", "-f", None)),
                ],
                written: None,
            },
            Entry {
                step: 3,
                changes: vec![came("view v", thing("view", None, "+v", "-v", None))],
                written: None,
            },
            Entry {
                step: 4,
                changes: vec![came("view w", thing("view", None, "+w", "-w", None))],
                written: None,
            },
        ];
        let way = way(&Record { before: Catalogue::new(), entries });
        assert_eq!(sql(&way), ["-w", "-v", "-t", "-f"]);
        assert_eq!(way.undos[2].cost, Cost::Lossy { rows: None });
        assert_eq!(way.script().unwrap(), "-w;\n-v;\n-t;\n-f;\n");
    }

    #[test]
    fn what_was_replaced_comes_back_with_what_hung_on_it_and_a_detour_is_no_change() {
        let old = thing("view", None, "+v1", "-v", None);
        let grant = thing("grant", Some("view v"), "+g", "-g", None);
        let function = |make: &str| thing("function", None, make, "-f", Some(make));
        let index = thing("index", Some("table t"), "+i", "-i", None);
        let before: Catalogue = [
            ("view v".to_owned(), old.clone()),
            ("grant g".to_owned(), grant),
            ("function f".to_owned(), function("f1")),
            ("index i".to_owned(), index.clone()),
        ]
        .into();
        let change = |key: &str, was: &Thing, is: Option<Thing>| Change {
            key: key.into(),
            was: Some(was.clone()),
            is,
        };
        let entries = vec![
            Entry {
                step: 1,
                changes: vec![change("view v", &old, Some(thing("view", None, "+v2", "-v", None)))],
                written: None,
            },
            Entry {
                step: 2,
                changes: vec![change("function f", &function("f1"), Some(function("f2")))],
                written: None,
            },
            Entry { step: 3, changes: vec![change("index i", &index, None)], written: None },
            Entry { step: 4, changes: vec![came("index i", index.clone())], written: None },
        ];
        let way = way(&Record { before, entries });
        assert_eq!(sql(&way), ["-v", "f1", "+v1", "+g"]);
        assert!(way.gaps().is_empty());
    }

    #[test]
    fn rows_that_were_written_are_a_gap_and_no_script_hides_it() {
        let written = Some([("public.contacts".to_owned(), 12)].into());
        let way = way(&Record {
            before: Catalogue::new(),
            entries: vec![Entry { step: 3, changes: vec![], written }],
        });
        assert_eq!(
            way.gaps(),
            ["rows of public.contacts: 12 rows written by step 3; only the backup has what they held before"]
        );
        assert_eq!(way.script(), None);
    }
}
