//! What an item asks for, out of its words alone: a tick, a value ("imported: ____"), or one of some words
//! ("GREEN / YELLOW / RED").
//!
//! A choice is only seen where nothing else can be meant: "CI/CD" and "HTTP/HTTPS" are no verdicts.

use super::ItemKind;

const BLANK: char = '\u{e000}';
const VERDICTS: [&str; 18] = [
    "GREEN", "YELLOW", "AMBER", "ORANGE", "RED", "GO", "NO-GO", "NO GO", "NOGO", "PASS", "FAIL", "PASSED",
    "FAILED", "YES", "NO", "OK", "N/A", "SUCCESS",
];

/// Replaces each blank to fill in (`____`, `\_\_\_`, `......`) by one character that Markdown leaves alone.
pub(super) fn mask_blanks(text: &str) -> String {
    let text = text.replace(BLANK, "");
    let mut masked = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let (length, count) = run(rest);
        let after = rest[length..].chars().next().unwrap_or(' ');
        let beside_a_word = before.is_alphanumeric() || after.is_alphanumeric();
        if count >= 4 || (count >= 2 && c != '.' && !beside_a_word && !matches!(after, '*' | '`')) {
            masked.push(BLANK);
            before = BLANK;
            rest = &rest[length..];
        } else {
            let taken = length.max(c.len_utf8());
            masked.push_str(&rest[..taken]);
            before = rest[..taken].chars().next_back().unwrap_or(' ');
            rest = &rest[taken..];
        }
    }
    masked
}

/// The bytes and the count of the underscores or dots that begin here.
fn run(text: &str) -> (usize, usize) {
    let mut rest = text;
    let mut count = 0;
    let dots = text.starts_with('.');
    while let Some(after) = if dots {
        rest.strip_prefix('.')
    } else {
        rest.strip_prefix("\\_").or_else(|| rest.strip_prefix('_'))
    } {
        rest = after;
        count += 1;
    }
    (text.len() - rest.len(), count)
}

/// The other way: every blank becomes `____`.
pub(super) fn unmask_blanks(text: &str) -> String {
    text.replace(BLANK, "____")
}

/// What answers an item of this text, and the text without the words to choose from.
pub(super) fn answer(text: &str) -> (String, ItemKind) {
    if let Some((text, of)) = choice(text) {
        return (text, ItemKind::Choice { of });
    }
    let kind =
        if text.contains("____") { ItemKind::Value { expect: expected(text) } } else { ItemKind::Tick };
    (text.to_owned(), kind)
}

/// "(expected: 1000+)", "(target < 0.5 %)" beside a blank.
fn expected(text: &str) -> Option<String> {
    let open = text.find('(')?;
    let inside = text[open + 1..].split(')').next()?.trim();
    let lower = inside.to_lowercase();
    for word in ["expected", "expect", "target", "should be", "must be", "goal"] {
        if lower.starts_with(word) {
            let said = inside.get(word.len()..)?.trim_start_matches([':', ' ', '=']).trim();
            return (!said.is_empty()).then(|| said.to_owned());
        }
    }
    inside.starts_with(['<', '>', '≤', '≥', '=']).then(|| inside.to_owned())
}

fn choice(text: &str) -> Option<(String, Vec<String>)> {
    // Bracketed options, as in "[GREEN / YELLOW / RED]".
    if let Some(open) = text.rfind('[')
        && let Some(inside) = text[open + 1..].trim_end_matches(['.', ' ']).strip_suffix(']')
        && let Some(of) = options(inside, |_| true)
    {
        return Some((label(&text[..open]), of));
    }
    // Verdicts in parentheses or at the end: "Status (GREEN / YELLOW / RED)", "Decision: GO / NO-GO".
    if let Some(open) = text.rfind('(')
        && let Some(inside) = text[open + 1..].strip_suffix(')')
        && let Some(of) = options(inside, verdict)
    {
        return Some((label(&text[..open]), of));
    }
    let (before, after) = text.rsplit_once([':', '—', '→', '='])?;
    let shouted = |word: &str| {
        verdict(word)
            || (word.len() > 1
                && word.chars().any(char::is_alphabetic)
                && !word.chars().any(char::is_lowercase))
    };
    let spaced = [" / ", " | ", " · "].iter().any(|separator| after.contains(separator));
    let of = if spaced { options(after, shouted) } else { options(after, verdict) }?;
    Some((label(before), of))
}

fn label(text: &str) -> String {
    text.trim_end_matches([':', '—', '-', '–', ' ', '→', '=']).to_owned()
}

fn verdict(word: &str) -> bool {
    VERDICTS.contains(&word)
}

/// The words of "GREEN / YELLOW / RED"; the emoji before them are not part of them.
fn options(text: &str, fits: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let words = if text.contains(" / ") {
        text.split(" / ").collect::<Vec<_>>()
    } else {
        let separator = ['|', '·', '/'].into_iter().find(|separator| text.contains(*separator))?;
        text.split(separator).collect()
    };
    let words = words
        .iter()
        .map(|word| word.trim_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '%' | '+'))).to_owned())
        .collect::<Vec<_>>();
    let fit = words.len() >= 2 && words.iter().all(|word| !word.is_empty() && word.len() < 40 && fits(word));
    fit.then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_seen_where_it_is_one() {
        for (text, rest, of) in [
            ("Status: GREEN / YELLOW / RED", "Status", vec!["GREEN", "YELLOW", "RED"]),
            ("Status [GREEN / YELLOW / RED]", "Status", vec!["GREEN", "YELLOW", "RED"]),
            ("Overall: 🟢 GREEN | 🟡 YELLOW | 🔴 RED", "Overall", vec!["GREEN", "YELLOW", "RED"]),
            ("Decision (GO/NO-GO)", "Decision", vec!["GO", "NO-GO"]),
            ("Mood [good / bad]", "Mood", vec!["good", "bad"]),
            (
                "Outcome: SUCCESS · PARTIAL ROLLBACK · FULL ROLLBACK",
                "Outcome",
                vec!["SUCCESS", "PARTIAL ROLLBACK", "FULL ROLLBACK"],
            ),
        ] {
            let (left, kind) = answer(text);
            assert_eq!(left, rest);
            assert_eq!(kind, ItemKind::Choice { of: of.into_iter().map(str::to_owned).collect() }, "{text}");
        }
    }

    #[test]
    fn and_not_where_it_is_none() {
        for text in [
            "CI/CD is green",
            "Protocols: HTTP/HTTPS",
            "Open ports (TCP/UDP)",
            "See [the docs]",
            "Read a/b: c/d",
        ] {
            assert_eq!(answer(text), (text.to_owned(), ItemKind::Tick));
        }
    }

    #[test]
    fn a_blank_asks_for_a_value() {
        let expects = |text: &str| match answer(text).1 {
            ItemKind::Value { expect } => Some(expect),
            _ => None,
        };
        assert_eq!(expects("Contacts imported: ____"), Some(None));
        assert_eq!(expects("Contacts imported: ____ (expected: 1000+)"), Some(Some("1000+".into())));
        assert_eq!(expects("Error rate: ____% (< 0.5 %)"), Some(Some("< 0.5 %".into())));
        assert_eq!(expects("Nothing to fill in"), None);
        assert_eq!(mask_blanks("Time: ........ done..."), format!("Time: {BLANK} done..."));
        assert_eq!(mask_blanks("__init__ and snake_case"), "__init__ and snake_case");
    }
}
