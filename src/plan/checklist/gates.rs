//! Recognises the lines at which a runbook stops for somebody's name: checkpoints, sign-offs, Go/No-Go decisions.
//!
//! A sentence that merely speaks of a sign-off is not one.

use super::super::Role;
use super::outline::plain;

/// A line that is a gate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Its words; empty where the line is nothing but a place to sign.
    pub(super) title: String,
    /// The roles named on it.
    pub(super) roles: Vec<Role>,
    /// A place to sign ("Signed off by: ____") belongs to the checkpoint right above it.
    pub(super) place_to_sign: bool,
}

const WORDS: [&str; 10] = [
    "checkpoint",
    "final sign-off",
    "sign-off",
    "signoff",
    "sign off",
    "signed off by",
    "signed-off by",
    "approved by",
    "go/no-go",
    "gate",
];
const TO_SIGN: [&str; 6] =
    ["sign-off", "signoff", "sign off", "signed off by", "signed-off by", "approved by"];

/// Whether this heading makes its section a sign-off.
pub(super) fn heading(title: &str) -> bool {
    let words = lower_words(title);
    starts_with_keyword(&words).is_some_and(|keyword| stands_alone(&words, keyword))
        || ends_with_keyword(&words)
}

/// Reads a line (attributes taken off) as a gate.
pub(super) fn line(raw: &str) -> Option<Line> {
    let text =
        raw.trim_start_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '*' | '_' | '[' | '<' | '`'));
    let whole = lower_words(&plain(text));
    let bold = ["**", "__"].iter().find_map(|mark| text.strip_prefix(mark)?.split_once(mark));
    let keyword = if let Some((bold, _)) = bold {
        let bold = lower_words(&plain(bold));
        let named = starts_with_keyword(&bold).is_some_and(|keyword| stands_alone(&bold, keyword));
        (named || ends_with_keyword(&bold)).then_some(())?;
        starts_with_keyword(&whole).unwrap_or("checkpoint")
    } else {
        let keyword = starts_with_keyword(&whole)?;
        stands_alone(&whole, keyword).then_some(keyword)?
    };
    let text = plain(text);
    let roles =
        if TO_SIGN.contains(&keyword) || keyword == "final sign-off" { roles(&text) } else { Vec::new() };
    let mut title = before_the_blanks(&text);
    if title.is_empty() && !TO_SIGN.contains(&keyword) {
        text.replace("____", "").trim_end_matches([':', ' ']).clone_into(&mut title);
    }
    let title_words = lower_words(&title);
    let bare = title.is_empty() || TO_SIGN.contains(&title_words.as_str());
    Some(Line {
        place_to_sign: TO_SIGN.contains(&keyword) && (bare || text.contains("____")),
        title: if bare { String::new() } else { title },
        roles,
    })
}

fn lower_words(text: &str) -> String {
    let text = text.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '(' | ')' | '_'));
    text.to_lowercase().replace(['‑', '–', '—'], "-")
}

fn starts_with_keyword(words: &str) -> Option<&'static str> {
    WORDS.into_iter().find(|keyword| {
        words.strip_prefix(keyword).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    })
}

/// "Phase 1 checkpoint", "QA sign-off".
fn ends_with_keyword(words: &str) -> bool {
    ["checkpoint", "sign-off", "signoff", "sign off", "go/no-go"]
        .iter()
        .any(|keyword| words.ends_with(keyword))
}

/// "Checkpoint 1.2:" and "Sign-off by QA" stand alone; "Sign-off happens at five" does not.
fn stands_alone(words: &str, keyword: &str) -> bool {
    if keyword.ends_with(" by") {
        return true;
    }
    let rest = words[keyword.len()..].trim_start();
    // A number or a short name with one: "1.2", "#3", "M0".
    let (first, behind) = rest.split_at(rest.find([' ', ':', '-', '(']).unwrap_or(rest.len()));
    let numbered = first.len() <= 4 && first.contains(|c: char| c.is_ascii_digit());
    let rest = if numbered { behind.trim_start() } else { rest };
    let rest = rest.strip_prefix("decision").map_or(rest, str::trim_start);
    let opens = rest.is_empty() || rest.starts_with([':', '-', '(', '|']);
    let named = keyword != "gate"
        && (["required", "by ", "____"].iter().any(|word| rest.starts_with(word)) || role_at(rest).is_some());
    opens || named
}

fn before_the_blanks(text: &str) -> String {
    let Some(end) = text.find("____") else {
        return text.trim_end_matches([':', ' ', '—', '–', '-']).to_owned();
    };
    let before = text[..end].trim_end();
    // The label of the blank goes with it: "…complete — Signed off by:".
    let cut = before.strip_suffix(':').map_or(before, |before| {
        before.rfind(['—', '–', '.', ';', '|', ':', ',']).map_or("", |at| &before[..at])
    });
    cut.trim_end_matches([':', ' ', '—', '–', '-', '|', ',', ';']).to_owned()
}

/// The role named at the very beginning of a text, and what follows it.
pub(super) fn role_at(text: &str) -> Option<(Role, &str)> {
    let ends = text
        .char_indices()
        .filter(|(_, c)| !(c.is_alphanumeric() || *c == '-'))
        .map(|(at, _)| at)
        .chain([text.len()])
        .take(2)
        .collect::<Vec<_>>();
    ends.into_iter().rev().find_map(|end| Some((role(&text[..end])?, &text[end..])))
}

fn role(words: &str) -> Option<Role> {
    if let Ok(role) = words.parse() {
        return Some(role);
    }
    Some(match words.trim().to_lowercase().as_str() {
        "release manager" | "release lead" | "tech lead" | "team lead" | "project manager" => Role::Lead,
        "qa lead" | "qa engineer" | "test lead" | "quality assurance" => Role::Qa,
        "dev ops" | "sre" | "operations" | "ops" | "devops lead" => Role::Devops,
        "support lead" | "customer support" => Role::Support,
        "db admin" | "database admin" => Role::Dba,
        _ => return None,
    })
}

/// Every role named in a text, in its order.
pub(super) fn roles(text: &str) -> Vec<Role> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((role, after)) = role_at(rest) {
            if !found.contains(&role) {
                found.push(role);
            }
            rest = after;
        } else {
            rest = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '-');
        }
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_as_people_write_them() {
        for (raw, title) in [
            ("**Checkpoint 1:** Preparation complete", "Checkpoint 1: Preparation complete"),
            ("✅ **CHECKPOINT**: all green", "CHECKPOINT: all green"),
            ("**Phase 1 Checkpoint:** go on?", "Phase 1 Checkpoint: go on?"),
            ("Checkpoint — Signed off by: ________ Time: ____", "Checkpoint"),
            ("Go/No-Go decision: lead decides", "Go/No-Go decision: lead decides"),
            ("**Checkpoint M0:** docs build", "Checkpoint M0: docs build"),
            ("Sign-off (DBA)", "Sign-off (DBA)"),
            ("Signed off by: ____", ""),
            ("Sign-off: ____________", ""),
        ] {
            assert_eq!(line(raw).map(|line| line.title), Some(title.to_owned()), "{raw}");
        }
        assert_eq!(
            line("Sign-off (DBA, Deployment Lead)").map(|line| line.roles),
            Some(vec![Role::Dba, Role::Lead])
        );
        assert!(
            heading("Final Sign-Off")
                && heading("Phase 2 Checkpoint")
                && !heading("Checkpointing the database")
        );
    }

    #[test]
    fn what_only_speaks_of_one_is_none() {
        for raw in [
            "Sign-off happens at five",
            "**Note:** the checkpoint is below",
            "Checkpointing works",
            "Gate keepers",
        ] {
            assert_eq!(line(raw), None, "{raw}");
        }
    }
}
