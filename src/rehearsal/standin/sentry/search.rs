//! Sentry's search syntax, as far as questions about a deployment need it: `key:value`, `!key:value`, `has:key`, lists,
//! wildcards and comparisons, joined by "and".
//!
//! It guarantees that what is not understood is refused with the place, as Sentry does, and never ignored.

use serde_json::Value;

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    negated: bool,
    pub(super) key: String,
    pub(super) value: String,
}

/// All conditions of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Search(pub(super) Vec<Term>);

impl Search {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for (place, word) in words(text)? {
            if word == "AND" {
                continue;
            }
            if word == "OR" || word.starts_with('(') {
                return Err(format!(
                    "Parse error at '{}' (column {}). Boolean statements are not supported here.",
                    word,
                    place + 1
                ));
            }
            let (negated, bare) = word.strip_prefix('!').map_or((false, word.as_str()), |bare| (true, bare));
            let (key, value) = bare.split_once(':').unwrap_or(("message", bare));
            if key.is_empty() || value.is_empty() {
                return Err(format!(
                    "Parse error at '{}' (column {}). Empty string after '{key}:'",
                    word,
                    place + 1
                ));
            }
            let value = value.trim_matches('"').to_owned();
            terms.push(Term { negated, key: key.trim_matches('"').to_owned(), value });
        }
        Ok(Self(terms))
    }

    /// The first value that is asked of `key`.
    pub(super) fn value(&self, keys: &[&str]) -> Option<&str> {
        self.0
            .iter()
            .find(|term| !term.negated && keys.contains(&term.key.as_str()))
            .map(|term| term.value.as_str())
    }

    /// Whether something with these columns is meant.
    pub(super) fn matches(&self, column: impl Fn(&str) -> Value) -> bool {
        self.0.iter().all(|term| term.holds(&column) != term.negated)
    }
}

impl Term {
    fn holds(&self, column: impl Fn(&str) -> Value) -> bool {
        if self.key == "has" {
            return !matches!(column(&self.value), Value::Null);
        }
        let value = match column(&self.key) {
            Value::Null => return false,
            Value::String(text) => text,
            other => other.to_string(),
        };
        if self.key == "message" {
            return value.to_lowercase().contains(&self.value.to_lowercase());
        }
        let list = self.value.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
        match list {
            Some(list) => list.split(',').any(|one| one.trim().trim_matches('"') == value),
            None => compare(&value, &self.value),
        }
    }
}

fn compare(value: &str, wanted: &str) -> bool {
    let order = |than: &str| match (value.parse::<f64>(), than.trim_end_matches("ms").parse::<f64>()) {
        (Ok(a), Ok(b)) => a.partial_cmp(&b),
        _ => super::ask::moment(value).zip(super::ask::moment(than)).map(|(a, b)| a.cmp(&b)),
    };
    if let Some(than) = wanted.strip_prefix(">=") {
        order(than).is_some_and(std::cmp::Ordering::is_ge)
    } else if let Some(than) = wanted.strip_prefix("<=") {
        order(than).is_some_and(std::cmp::Ordering::is_le)
    } else if let Some(than) = wanted.strip_prefix('>') {
        order(than).is_some_and(std::cmp::Ordering::is_gt)
    } else if let Some(than) = wanted.strip_prefix('<') {
        order(than).is_some_and(std::cmp::Ordering::is_lt)
    } else if let Some((head, tail)) = wanted.split_once('*') {
        value.len() >= head.len() + tail.len() && value.starts_with(head) && value.ends_with(tail)
    } else {
        value == wanted
    }
}

/// The words of a search and where each begins; quotes and brackets hold words together.
fn words(text: &str) -> Result<Vec<(usize, String)>, String> {
    let mut words: Vec<(usize, String)> = Vec::new();
    let (mut open, mut quoted, mut bracket) = (false, false, false);
    for (place, letter) in text.char_indices() {
        quoted ^= letter == '"';
        bracket = (bracket || letter == '[') && letter != ']';
        if letter.is_whitespace() && !quoted && !bracket {
            open = false;
            continue;
        }
        if !open {
            words.push((place, String::new()));
            open = true;
        }
        if let Some((_, word)) = words.last_mut() {
            word.push(letter);
        }
    }
    if quoted || bracket {
        Err(format!("Parse error at column {}. An open quote or bracket.", text.len()))
    } else {
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(search: &str) -> bool {
        Search::parse(search).unwrap().matches(|column| match column {
            "release" => json!("logos-vision-crm@2.0.0"),
            "measurements.lcp" => json!(1480.5),
            "title" | "message" => json!("TypeError: no score"),
            _ => Value::Null,
        })
    }

    #[test]
    fn conditions_hold_as_sentry_reads_them() {
        assert!(holds("release:logos-vision-crm@2.0.0 !has:gonogo.check"));
        assert!(holds("release:\"logos-vision-crm@2.0.0\" AND has:measurements.lcp"));
        assert!(holds("release:[a, logos-vision-crm@2.0.0] measurements.lcp:>1000 typeerror"));
        assert!(holds("release:logos-*"));
        assert!(!holds("release:logos-vision-crm@1.9.4"));
        assert!(!holds("!release:logos-vision-crm@2.0.0"));
        assert!(!holds("measurements.lcp:<1000"));
        assert!(!holds("gonogo.check:7f3a"));
    }

    #[test]
    fn what_does_not_read_is_refused_with_its_place() {
        assert!(Search::parse("a:b OR c:d").unwrap_err().contains("column 5"));
        assert!(Search::parse("release:\"x").is_err());
        assert!(Search::parse("release:").is_err());
    }
}
