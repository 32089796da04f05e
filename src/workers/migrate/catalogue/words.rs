//! The difference between two catalogues, for a person: what is new, what is gone, what was and is. What two servers write
//! differently and mean alike is no difference.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::{Catalogue, Kind, Object};

/// More of a definition than this says nothing more to a person.
const SHOWN: usize = 140;

/// An object that is not as it was; without `was` it is new, without `is` it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub object: Object,
    /// Its definition before.
    pub was: Option<Box<str>>,
    /// Its definition after.
    pub is: Option<Box<str>>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match (&self.was, &self.is) {
            (None, Some(is)) => write!(f, "{object} is new: {}", start(is)),
            (Some(was), None) => write!(f, "{object} is gone; it was: {}", start(was)),
            (Some(was), Some(is)) => {
                let (was, is) = apart(was, is);
                write!(f, "{object} was: {was}; is: {is}")
            }
            (None, None) => write!(f, "{object} is as it was"),
        }
    }
}

pub(super) fn changes(before: &Catalogue, after: &Catalogue) -> Vec<Change> {
    let objects: BTreeSet<&Object> = before.objects.keys().chain(after.objects.keys()).collect();
    let mut changes = Vec::new();
    for object in objects {
        let (was, is) = (before.objects.get(object), after.objects.get(object));
        let same = match (was, is) {
            (Some(was), Some(is)) if object.kind == Kind::Columns => same_order(was, is),
            (Some(was), Some(is)) => settled(object.kind, was) == settled(object.kind, is),
            // The table and each column say it already.
            _ => object.kind == Kind::Columns,
        };
        if !same {
            changes.push(Change { object: object.clone(), was: was.cloned(), is: is.cloned() });
        }
    }
    changes
}

/// Each change in a line; a table that is new or gone is one line, with its parts counted.
pub fn say(changes: &[Change]) -> Vec<String> {
    let whole: Vec<&Change> = changes
        .iter()
        .filter(|one| one.object.kind == Kind::Table && (one.was.is_none() || one.is.is_none()))
        .collect();
    let mut lines = Vec::new();
    for change in changes {
        if whole.iter().any(|table| is_part(change, table)) {
            continue;
        }
        if whole.iter().any(|table| table.object == change.object) {
            let count = |kind: Kind, one: &str, more: &str| {
                let parts =
                    changes.iter().filter(|part| part.object.kind == kind && is_part(part, change)).count();
                match parts {
                    0 => None,
                    1 => Some(format!("1 {one}")),
                    many => Some(format!("{many} {more}")),
                }
            };
            let parts = [
                count(Kind::Column, "column", "columns"),
                count(Kind::Constraint, "constraint", "constraints"),
                count(Kind::Index, "index", "indexes"),
                count(Kind::Trigger, "trigger", "triggers"),
                count(Kind::Policy, "policy", "policies"),
            ];
            let word = if change.was.is_none() { "new" } else { "gone" };
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            let with = if parts.is_empty() { String::new() } else { format!(", with {}", parts.join(", ")) };
            lines.push(format!("{} is {word}{with}", change.object));
        } else {
            lines.push(change.to_string());
        }
    }
    lines
}

fn is_part(part: &Change, table: &Change) -> bool {
    let (name, table) = (&*part.object.name, &*table.object.name);
    match part.object.kind {
        Kind::Column => name.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')),
        Kind::Constraint | Kind::Trigger | Kind::Policy | Kind::Rule => {
            name.strip_suffix(table).is_some_and(|rest| rest.ends_with(" on "))
        }
        Kind::Index => {
            let on = format!(" ON {table} ");
            part.was.as_deref().or(part.is.as_deref()).is_some_and(|definition| definition.contains(&on))
        }
        _ => false,
    }
}

/// Columns that came or went are told one by one; what is left is whether the others stand in the same order.
fn same_order(was: &str, is: &str) -> bool {
    let (was, is): (Vec<&str>, Vec<&str>) = (was.split(", ").collect(), is.split(", ").collect());
    was.iter().filter(|name| is.contains(name)).eq(is.iter().filter(|name| was.contains(name)))
}

/// `(ARRAY['a'::varchar, …])::text[]` comes out of a dump and its restoration as `ARRAY[('a'::varchar)::text, …]`. The two mean
/// the same, so both are read as the second.
pub(super) fn settled(kind: Kind, definition: &str) -> Cow<'_, str> {
    const OPEN: &str = "(ARRAY[";
    if kind == Kind::Function || !definition.contains(OPEN) {
        return definition.into();
    }
    let mut text = String::with_capacity(definition.len());
    let mut rest = definition;
    while let Some(at) = rest.find(OPEN) {
        let (before, array) = rest.split_at(at);
        let array = array.get(OPEN.len()..).unwrap_or_default();
        text.push_str(before);
        if let Some((elements, to, after)) = elements(array) {
            let cast: Vec<String> = elements.iter().map(|element| format!("({element})::{to}")).collect();
            text.extend(["ARRAY[", &cast.join(", "), "]"]);
            rest = after;
        } else {
            text.push_str(OPEN);
            rest = array;
        }
    }
    text.push_str(rest);
    text.into()
}

/// From `'a'::x, 'b'::x])::text[] …` the elements, the type and what follows.
fn elements(array: &str) -> Option<(Vec<&str>, &str, &str)> {
    let mut elements = Vec::new();
    let (mut begins, mut quoted, mut depth) = (0, false, 0_u32);
    for (at, sign) in array.char_indices() {
        match sign {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            ']' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                elements.push(array.get(begins..at)?.trim());
                begins = at + 1;
            }
            ']' => {
                elements.push(array.get(begins..at)?.trim());
                let (to, after) = array.get(at + 1..)?.strip_prefix(")::")?.split_once("[]")?;
                let named =
                    to.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '.' | '"' | '(' | ')'));
                return named.then_some((elements, to, after));
            }
            _ => {}
        }
    }
    None
}

fn one_line(definition: &str) -> String {
    definition.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn start(definition: &str) -> String {
    let line = one_line(definition);
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{} …", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// Both, from shortly before where they part.
fn apart(was: &str, is: &str) -> (String, String) {
    let (was, is) = (one_line(was), one_line(is));
    let same = was.chars().zip(is.chars()).take_while(|(one, other)| one == other).count();
    if was.chars().count().max(is.chars().count()) <= SHOWN || same < 40 {
        return (start(&was), start(&is));
    }
    let tail = |text: &str| start(&format!("… {}", text.chars().skip(same - 30).collect::<String>()));
    (tail(&was), tail(&is))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dump_rewrites_is_no_difference() {
        let before = "CHECK (((type)::text = ANY ((ARRAY['a, b'::character varying, 'it''s]'::character varying])::text[])))";
        let after = "CHECK (((type)::text = ANY (ARRAY[('a, b'::character varying)::text, ('it''s]'::character varying)::text])))";
        assert_eq!(settled(Kind::Constraint, before), after);
        assert_eq!(settled(Kind::Constraint, after), after);
        let half = "x (ARRAY['a'";
        assert_eq!(settled(Kind::Constraint, half), half);
    }

    #[test]
    fn long_definitions_are_shown_where_they_part() {
        let long = "a".repeat(300);
        let (was, is) = apart(&format!("{long} one"), &format!("{long} two"));
        assert!(was.ends_with("one") && is.ends_with("two") && was.chars().count() < 60, "{was} / {is}");
    }
}
