//! Row-level security without a policy hides every row from everybody but the owner.

use crate::workers::migrate::classify::Kind;
use crate::workers::migrate::deed::{Deed, words_of};
use crate::workers::migrate::files::Unit;
use crate::workers::migrate::lint::finding::Severity;
use crate::workers::migrate::lint::known::Weight;
use crate::workers::migrate::lint::note::{Note, Said};
use crate::workers::migrate::lint::scene::{Line, Page, Scene};
use crate::workers::migrate::names::{canonical, last, shown};

pub(super) fn rows_hidden(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for line in page.lines.iter().filter(|line| line.is_alter()) {
        let Some(table) = line.table() else { continue };
        let Some(enables) = line.actions.iter().find(|action| action.deed == Deed::EnableRls) else {
            continue;
        };
        if scene.known.tables.get(&table).is_some_and(|table| table.policies > 0) {
            continue;
        }
        let policy = page.lines.iter().find(|other| makes_policy(other, &table));
        let new = scene.made(page, line.place).contains_key(&table);
        let (severity, what) = match policy {
            Some(policy) if policy.place < line.place || new || page.script.unit == Unit::File => continue,
            Some(policy) => (
                Severity::Breaks,
                format!(
                    "from here to the policy of line {} every row of {} is hidden from everybody but its owner",
                    policy.statement.line,
                    shown(&table)
                ),
            ),
            // Nobody was ever meant to see it.
            None if new && page.lines.iter().any(|other| revokes(other, &table)) => continue,
            None if new => (
                Severity::Hint,
                format!("{} has no policy, so nobody but its owner will see a row of it", shown(&table)),
            ),
            None => (
                Severity::Breaks,
                format!(
                    "{} has no policy, so every row is hidden from everybody but its owner",
                    shown(&table)
                ),
            ),
        };
        let said = Said {
            rule: "rls-without-policy",
            severity,
            weight: Weight::Always,
            tables: vec![table],
            what,
            safe: "CREATE POLICY first, then ENABLE ROW LEVEL SECURITY, in one transaction; REVOKE ALL where nobody is to see it"
                .into(),
        };
        notes.push(said.at(page, line, enables.at.start));
    }
    notes
}

/// CREATE POLICY on the table, also inside of a DO block.
fn makes_policy(line: &Line<'_>, table: &str) -> bool {
    let text = line.statement.text.to_ascii_lowercase();
    if line.statement.shape.kind == Kind::Block {
        return text.contains("create policy") && text.contains(&last(table));
    }
    let words = words_of(&text);
    words.first().is_some_and(|word| word.is("create"))
        && words.get(1).is_some_and(|word| word.is("policy"))
        && line.statement.shape.needs.iter().any(|need| canonical(&need.relation) == table)
}

fn revokes(line: &Line<'_>, table: &str) -> bool {
    let words = words_of(&line.statement.text);
    let at = words.iter().position(|word| word.is("on"));
    let name: String = words
        .iter()
        .skip(at.map_or(0, |at| at + 1))
        .take_while(|word| !word.is("from"))
        .filter(|word| !word.is("table"))
        .map(|word| word.text.as_str())
        .collect();
    words.first().is_some_and(|word| word.is("revoke"))
        && words.iter().any(|word| word.is("all"))
        && canonical(&name) == table
}
