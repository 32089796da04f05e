//! What a migration may hold only for psql: commands with a backslash, variables with a colon, rows after COPY … FROM STDIN. None of
//! it is SQL, and none is run here; each is named with its line, and with what to write instead.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::split::Lines;
use crate::run::job::Failure;

/// The first thing in a text that only psql understands.
pub(crate) fn only_for_psql(file: &str, text: &str, root: &SyntaxNode, lines: &Lines<'_>) -> Option<Failure> {
    let mut statement: Option<Seen> = None;
    let tokens = root.descendants_with_tokens().filter_map(squawk_syntax::SyntaxElement::into_token);
    for token in tokens {
        if matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT) {
            continue;
        }
        let at = usize::from(token.text_range().start());
        let word = token.text();
        if word.starts_with('\\') {
            let command: String = text.get(at..)?.chars().take_while(|c| !c.is_whitespace()).collect();
            return Some(refused(
                format!("{file}:{}: {command} is a command of psql, which is not run here", lines.line(at)),
                "write plain SQL, or take the line out",
            ));
        }
        statement = match statement {
            _ if word == ";" => None,
            None if word.eq_ignore_ascii_case("copy") => Some(Seen::Begun(at)),
            None => Some(Seen::None),
            Some(Seen::Begun(began)) if word.eq_ignore_ascii_case("from") => Some(Seen::From(began)),
            Some(Seen::From(began)) if word.eq_ignore_ascii_case("stdin") => {
                return Some(refused(
                    format!(
                        "{file}:{}: COPY … FROM STDIN takes its rows from psql's script, which is not run here",
                        lines.line(began)
                    ),
                    "write the rows as INSERT … VALUES, or load them from a file of the server or by an import",
                ));
            }
            Some(Seen::From(began)) => Some(Seen::Begun(began)),
            other => other,
        };
    }
    None
}

/// How far the statement at hand is on the way to COPY … FROM STDIN.
enum Seen {
    /// Another statement.
    None,
    /// COPY, which began there.
    Begun(usize),
    /// Its last word was FROM.
    From(usize),
}

/// Whether what does not parse is a variable of psql, `:name` or `:'name'`.
pub(crate) fn is_variable(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(':') else { return false };
    let rest = rest.strip_prefix(['\'', '"']).unwrap_or(rest);
    rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn refused(what: String, next: &str) -> Failure {
    Failure { what, state: "nothing was run".into(), next: next.into() }
}
