//! What a figure should be: `true`, a number, a comparison (`>= 19`), `1000+`, or a text. Pure.

use std::cmp::Ordering;

/// An expectation, as the plan words it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expect<'a> {
    /// A number, and how a value must stand to it.
    Number(Compare, f64),
    /// Exactly this; upper and lower case are one.
    Text(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

const SIGNS: [(&str, Compare); 9] = [
    (">=", Compare::AtLeast),
    ("≥", Compare::AtLeast),
    ("<=", Compare::AtMost),
    ("≤", Compare::AtMost),
    ("!=", Compare::NotEqual),
    ("==", Compare::Equal),
    ("=", Compare::Equal),
    (">", Compare::More),
    ("<", Compare::Less),
];

impl<'a> Expect<'a> {
    pub(super) fn read(words: &'a str) -> Self {
        let words = words.trim();
        for (sign, compare) in SIGNS {
            if let Some(number) = words.strip_prefix(sign).and_then(number) {
                return Self::Number(compare, number);
            }
        }
        if let Some(number) = words.strip_suffix('+').and_then(number) {
            return Self::Number(Compare::AtLeast, number);
        }
        number(words).map_or(Self::Text(words), |number| Self::Number(Compare::Equal, number))
    }

    pub(super) fn holds(&self, value: &str) -> bool {
        match self {
            Self::Text(wanted) => value.trim().eq_ignore_ascii_case(wanted),
            Self::Number(compare, wanted) => {
                let order = number(value).and_then(|value| value.partial_cmp(wanted));
                order.is_some_and(|order| match compare {
                    Compare::Equal => order == Ordering::Equal,
                    Compare::NotEqual => order != Ordering::Equal,
                    Compare::Less => order == Ordering::Less,
                    Compare::AtMost => order != Ordering::Greater,
                    Compare::More => order == Ordering::Greater,
                    Compare::AtLeast => order != Ordering::Less,
                })
            }
        }
    }
}

/// A number as people write it: with a sign of percent behind it, and commas or spaces between the thousands.
fn number(words: &str) -> Option<f64> {
    let plain: String =
        words.trim().trim_end_matches('%').chars().filter(|c| !matches!(c, ',' | ' ' | '_')).collect();
    let numeric = plain.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    plain.parse().ok().filter(|number: &f64| numeric && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_and_values() {
        let table = [
            ("true", "true", true),
            ("true", "TRUE", true),
            ("true", "t", false),
            ("19", "19", true),
            ("19", "19.0", true),
            ("19", "18", false),
            (">= 19", "19", true),
            (">=19", "18", false),
            ("> 0", "0", false),
            ("< 0.5 %", "0.49", true),
            ("<= 3", "3", true),
            ("!= 0", "1", true),
            ("1,000+", "3000", true),
            ("1000+", "999", false),
            (">= 1", "many", false),
            (">= 1", "NaN", false),
            ("GREEN", "green", true),
            ("= 2", "2", true),
        ];
        for (expect, value, holds) in table {
            assert_eq!(Expect::read(expect).holds(value), holds, "{value:?} {expect:?}");
        }
    }
}
