//! Statements as tokens, each with the place it stands at.

use super::Refused;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    /// A name in back quotes or double quotes, which is never a keyword.
    Quoted(String),
    Number(f64),
    Text(String),
    /// `{name}`.
    Placeholder(String),
    Mark(&'static str),
}

const MARKS: [&str; 18] =
    ["<=", ">=", "!=", "<>", "==", "(", ")", ",", ".", "+", "-", "*", "/", "%", "=", "<", ">", ";"];

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// Where something is, as people count.
pub(super) fn place(text: &str, at: usize) -> String {
    let before = &text[..at.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

pub(super) fn lex(text: &str) -> Result<Vec<(usize, Token)>, Refused> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let wrong = |what: &str| Refused::Invalid(format!("Syntax error at {}: {what}", place(text, at)));
        let (token, length) = match first {
            '\'' | '`' | '"' => quoted(rest, first).ok_or_else(|| wrong("a quote that is not closed"))?,
            '{' => {
                let end = rest.find('}').ok_or_else(|| wrong("a placeholder that is not closed"))?;
                (Token::Placeholder(rest[1..end].trim().to_owned()), end + 1)
            }
            _ if first.is_ascii_digit() => {
                let end =
                    rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
                (Token::Number(rest[..end].parse().map_err(|_| wrong("not a number"))?), end)
            }
            _ if is_name(first) => {
                let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), end)
            }
            _ => {
                let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
                let mark = mark.ok_or_else(|| wrong(&format!("unexpected {first:?}")))?;
                (Token::Mark(mark), mark.len())
            }
        };
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

/// A quoted text or name and its length; a doubled or escaped quote stands for itself.
fn quoted(rest: &str, quote: char) -> Option<(Token, usize)> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            text.push(letters.next()?.1);
        } else if letter == quote {
            if letters.next_if(|(_, next)| *next == quote).is_some() {
                text.push(quote);
                continue;
            }
            let token = if quote == '\'' { Token::Text(text) } else { Token::Quoted(text) };
            return Some((token, at + 1));
        } else {
            text.push(letter);
        }
    }
    None
}
