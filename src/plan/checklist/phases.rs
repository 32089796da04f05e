//! Finds out which headings of an arbitrary file are its phases.
//!
//! "Phase N" headings are the phases where there are any, at whatever depth; else the shallowest headings below the title
//! that have items beneath them. Nothing with an item is ever left out.

use super::PhaseKind;

/// What is known of one heading.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// 1 to 6; 0 for what stands before the first heading.
    pub(super) level: usize,
    /// Its text, plain.
    pub(super) text: String,
    /// Whether an item or a gate stands directly under it.
    pub(super) has_items: bool,
}

/// A phase: where it stands, which headings (by index) belong to it, the first being its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) kind: PhaseKind,
    pub(super) title: String,
    pub(super) heads: Vec<usize>,
}

/// The title of the file, if a heading is it, and the phases.
pub(super) fn find(heads: &[Head]) -> (Option<usize>, Vec<Found>) {
    let title = title(heads);
    let form = form(heads, title);
    let numbers: Vec<Option<(u32, String)>> =
        heads.iter().map(|head| form.and_then(|form| number(&head.text, form))).collect();
    // "Phase 1" may also stand in an overview; the one with items is meant.
    let real = |at: usize| {
        let Some((number, _)) = &numbers[at] else { return false };
        full(heads, at)
            || !(0..heads.len())
                .any(|other| numbers[other].as_ref().is_some_and(|(n, _)| n == number) && full(heads, other))
    };
    let is_numbered = |at: usize| Some(at) != title && numbers[at].is_some() && real(at);

    let mut found: Vec<(Option<u32>, Found)> = Vec::new();
    let mut at = 0;
    while at < heads.len() {
        let below = subtree(heads, at);
        let holds_numbered = (at + 1..below).any(is_numbered);
        let own_phase = if is_numbered(at) {
            Some(at..below)
        } else if Some(at) == title || heads[at].level == 0 || holds_numbered {
            heads[at].has_items.then_some(at..at + 1)
        } else {
            let has = heads[at..below].iter().any(|head| head.has_items);
            has.then_some(at..below)
        };
        let passes = Some(at) == title || heads[at].level == 0 || (!is_numbered(at) && holds_numbered);
        if let Some(range) = own_phase {
            let (number, title) = match &numbers[at] {
                Some((number, rest)) if is_numbered(at) => (Some(*number), rest.clone()),
                _ => (None, heads[at].text.clone()),
            };
            let title = if title.is_empty() { heads[at].text.clone() } else { title };
            found.push((number, Found { kind: PhaseKind::Preparation, title, heads: range.collect() }));
        }
        at = if passes { at + 1 } else { below };
    }
    (title, kinds(found))
}

/// The level of the shallowest headings below the title with items beneath.
fn shallowest(heads: &[Head], title: Option<usize>) -> usize {
    (0..heads.len())
        .filter(|at| Some(*at) != title && heads[*at].level > 0 && full(heads, *at))
        .map(|at| heads[at].level)
        .min()
        .unwrap_or(0)
}

/// Gives each its place; unnumbered ones between two numbered ones become part of the one before.
fn kinds(found: Vec<(Option<u32>, Found)>) -> Vec<Found> {
    let first = found.iter().position(|(number, _)| number.is_some());
    let last = found.iter().rposition(|(number, _)| number.is_some());
    let (Some(first), Some(last)) = (first, last) else {
        let several = found.len() > 1;
        let mut next = 0_u8;
        return found
            .into_iter()
            .map(|(_, mut phase)| {
                // Items above every heading come before whatever has one.
                let preface = several && next == 0 && phase.heads.len() == 1 && phase.heads[0] == 0;
                phase.kind = if preface {
                    PhaseKind::Preparation
                } else {
                    next = next.saturating_add(1);
                    PhaseKind::Numbered(next)
                };
                phase
            })
            .collect();
    };
    let rising = found.iter().filter_map(|(number, _)| *number).is_sorted_by(|a, b| a < b)
        && found.iter().all(|(number, _)| number.is_none_or(|number| number <= 255));
    let mut phases: Vec<Found> = Vec::new();
    let mut count = 0_u8;
    for (at, (number, mut phase)) in found.into_iter().enumerate() {
        phase.kind = match number {
            Some(number) => {
                count = count.saturating_add(1);
                PhaseKind::Numbered(if rising { u8::try_from(number).unwrap_or(count) } else { count })
            }
            None if at < first => PhaseKind::Preparation,
            None if at > last => PhaseKind::AfterCare,
            None => {
                if let Some(before) = phases.last_mut() {
                    before.heads.extend(phase.heads);
                }
                continue;
            }
        };
        phases.push(phase);
    }
    phases
}

/// The end (exclusive) of what stands under a heading.
fn subtree(heads: &[Head], at: usize) -> usize {
    let level = heads[at].level;
    (at + 1..heads.len()).find(|below| heads[*below].level <= level).unwrap_or(heads.len())
}

fn full(heads: &[Head], at: usize) -> bool {
    heads[at..subtree(heads, at)].iter().any(|head| head.has_items)
}

/// The first heading, if it stands above all others or has nothing of its own beneath it.
fn title(heads: &[Head]) -> Option<usize> {
    let first = heads.iter().position(|head| head.level > 0)?;
    let level = heads[first].level;
    if number(&heads[first].text, Form::Phase).is_some() {
        return None;
    }
    let alone = heads[first + 1..].iter().all(|other| other.level > level);
    let empty = !full(heads, first);
    (alone || empty).then_some(first)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// "Phase 3: …"
    Phase,
    /// "Step 3: …", "Stage 3: …"
    Step,
    /// "3. …"
    Bare,
}

/// How this file numbers its phases, if it does.
fn form(heads: &[Head], title: Option<usize>) -> Option<Form> {
    let numbered = |form, levels: &dyn Fn(usize) -> bool| {
        heads
            .iter()
            .enumerate()
            .filter(|(at, head)| {
                Some(*at) != title && levels(head.level) && number(&head.text, form).is_some()
            })
            .count()
    };
    let level = shallowest(heads, title);
    if numbered(Form::Phase, &|level| level > 0) > 0 {
        return Some(Form::Phase);
    }
    [Form::Step, Form::Bare].into_iter().find(|form| numbered(*form, &|of| of == level) > 1)
}

/// The number of a heading, and its title behind it.
fn number(text: &str, form: Form) -> Option<(u32, String)> {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let rest = match form {
        Form::Bare => text,
        Form::Phase => word(text, &["phase"])?,
        Form::Step => word(text, &["step", "stage", "part"])?,
    };
    let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(end);
    let number = digits.parse().ok().or_else(|| if form == Form::Bare { None } else { spelled(digits) })?;
    let mut next = behind.chars();
    let (separator, after) = (next.next(), next.next());
    let fits = match separator {
        None => form != Form::Bare,
        Some('.') => after.is_none_or(|c| !c.is_ascii_digit()),
        Some(')' | ':') => form != Form::Bare || after.is_none_or(char::is_whitespace),
        Some(c) => form != Form::Bare && !c.is_alphanumeric(),
    };
    let title = behind.trim_start_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '(' | '"' | '`')));
    fits.then(|| (number, title.trim().to_owned()))
}

fn word<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    let end = text.find(|c: char| !c.is_alphabetic())?;
    let (first, rest) = text.split_at(end);
    words.contains(&first.to_lowercase().as_str()).then(|| rest.trim_start_matches([' ', '#', '-', '–']))
}

fn spelled(word: &str) -> Option<u32> {
    const WORDS: [[&str; 2]; 10] = [
        ["one", "i"],
        ["two", "ii"],
        ["three", "iii"],
        ["four", "iv"],
        ["five", "v"],
        ["six", "vi"],
        ["seven", "vii"],
        ["eight", "viii"],
        ["nine", "ix"],
        ["ten", "x"],
    ];
    let word = word.to_lowercase();
    let at = WORDS.iter().position(|words| words.contains(&word.as_str()))?;
    u32::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(outline: &[(usize, &str, bool)]) -> Vec<Head> {
        outline
            .iter()
            .map(|(level, text, has_items)| Head {
                level: *level,
                text: (*text).to_owned(),
                has_items: *has_items,
            })
            .collect()
    }

    fn read(outline: &[(usize, &str, bool)]) -> Vec<(PhaseKind, String, usize)> {
        find(&heads(outline))
            .1
            .into_iter()
            .map(|phase| (phase.kind, phase.title, phase.heads.len()))
            .collect()
    }

    use PhaseKind::{AfterCare, Numbered, Preparation};

    #[test]
    fn numbered_phases_between_preparation_and_after_care() {
        let phases = read(&[
            (1, "Go-live", false),
            (2, "Before", false),
            (3, "Environment", true),
            (2, "Deployment day", false),
            (3, "Phase 1: Database", true),
            (4, "Backup", true),
            (3, "Phase 2 — App", true),
            (2, "Afterwards", true),
        ]);
        let row = |kind, title: &str, count| (kind, title.to_owned(), count);
        assert_eq!(
            phases,
            [
                row(Preparation, "Before", 2),
                row(Numbered(1), "Database", 2),
                row(Numbered(2), "App", 1),
                row(AfterCare, "Afterwards", 1)
            ]
        );
    }

    #[test]
    fn sections_without_numbers_are_numbered_in_order() {
        let row = |kind, title: &str, count| (kind, title.to_owned(), count);
        assert_eq!(
            read(&[(1, "T", false), (2, "Pre", true), (2, "Prose", false), (2, "Go", false), (3, "x", true)]),
            [row(Numbered(1), "Pre", 1), row(Numbered(2), "Go", 2)]
        );
        assert_eq!(read(&[(0, "", true)]), [row(Numbered(1), "", 1)]);
        assert_eq!(read(&[(1, "Only", true)]), [row(Numbered(1), "Only", 1)]);
        assert_eq!(read(&[(1, "One", true), (1, "Two", true)]).len(), 2);
        assert_eq!(read(&[(3, "Deep", true), (1, "Shallow", true)]).len(), 2, "nothing is left out");
    }

    #[test]
    fn numbers_that_do_not_rise_are_given_anew_and_what_stands_between_is_kept() {
        let phases =
            read(&[(2, "Phase 1: staging", true), (2, "Decision", true), (2, "Phase 1: production", true)]);
        assert_eq!(phases[0], (Numbered(1), "staging".to_owned(), 2));
        assert_eq!(phases[1], (Numbered(2), "production".to_owned(), 1));
    }

    #[test]
    fn forms_of_numbers() {
        assert_eq!(number("🚀 PHASE 3 - Go", Form::Phase), Some((3, "Go".into())));
        assert_eq!(number("Phase Two: Go", Form::Phase), Some((2, "Go".into())));
        assert_eq!(number("Phase 1.1 Go", Form::Phase), None);
        assert_eq!(number("Phases of the moon", Form::Phase), None);
        assert_eq!(number("1. Go", Form::Bare), Some((1, "Go".into())));
        assert_eq!(number("2024 plan", Form::Bare), None);
    }
}
