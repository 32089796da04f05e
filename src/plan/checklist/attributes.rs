//! Pandoc's attributes at the end of a line: `{#id .class key=value key="some words"}`.
//!
//! Only the form is settled here; which keys there are is said in `meaning`.

/// The attributes of one item, heading or gate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Attributes {
    pub(super) id: Option<String>,
    pub(super) classes: Vec<String>,
    pub(super) pairs: Vec<(String, String)>,
    /// Words that are neither id, class nor pair.
    pub(super) stray: Vec<String>,
}

/// A text and the attributes that stood behind it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Split<'a> {
    pub(super) text: &'a str,
    pub(super) attributes: Attributes,
    /// The braces begin like attributes and never end.
    pub(super) broken: bool,
}

/// Splits the attributes off. Braces that do not begin like attributes (`{id}`, `{{name}}`) stay text.
pub(super) fn split(raw: &str) -> Split<'_> {
    let mut broken = false;
    let mut before = ' ';
    for (at, c) in raw.char_indices() {
        if c == '{' && !matches!(before, '{' | '$' | '`' | '/') && begins(&raw[at + 1..]) {
            match parse(&raw[at + 1..]) {
                Some((attributes, rest)) if rest.trim().is_empty() => {
                    return Split { text: raw[..at].trim_end(), attributes, broken: false };
                }
                Some(_) => {}
                None => broken = true,
            }
        }
        before = c;
    }
    Split { text: raw.trim_end(), attributes: Attributes::default(), broken }
}

fn begins(inside: &str) -> bool {
    let inside = inside.trim_start();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut chars = inside.chars();
    match chars.next() {
        Some('#' | '.') => chars.next().is_some_and(char::is_alphabetic),
        Some(c) if c.is_ascii_alphabetic() => inside.trim_start_matches(word).starts_with('='),
        _ => false,
    }
}

/// Reads up to the closing brace; `None` if there is none.
fn parse(inside: &str) -> Option<(Attributes, &str)> {
    let mut found = Attributes::default();
    let mut rest = inside;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '}'))?;
        let (word, after) = rest.split_at(end);
        rest = after;
        if let Some(after) = after.strip_prefix('=') {
            let (value, after) = value(after)?;
            found.pairs.push((word.to_owned(), value));
            rest = after;
        } else if let Some(id) = word.strip_prefix('#') {
            found.id = Some(id.to_owned());
        } else if let Some(class) = word.strip_prefix('.') {
            found.classes.push(class.to_owned());
        } else {
            found.stray.push(word.to_owned());
        }
    }
}

fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || c == '}')?;
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\n' => value.push(' '),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_class_pairs_and_quotes() {
        let found = split(r#"Load it {#load .big owner=qa expect="\"a\" } b" share=10}"#);
        assert_eq!(found.text, "Load it");
        assert_eq!(found.attributes.id.as_deref(), Some("load"));
        assert_eq!(found.attributes.classes, ["big"]);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            found.attributes.pairs,
            [pair("owner", "qa"), pair("expect", "\"a\" } b"), pair("share", "10")]
        );
    }

    #[test]
    fn other_braces_stay_text() {
        for text in [
            "GET /users/{id}",
            "{{name}} greets",
            "a {TBD}",
            "${HOME}",
            "json {\"a\": 1}",
            "{",
            "}",
            "x {a=b} y",
        ] {
            let found = split(text);
            assert_eq!((found.text, found.broken), (text, false), "{text}");
            assert_eq!(found.attributes, Attributes::default());
        }
    }

    #[test]
    fn what_never_ends_is_broken() {
        assert!(split("a {owner=qa").broken);
        assert!(split("a {expect=\"x}").broken);
    }
}
