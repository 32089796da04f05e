//! Names out of texts: stable across edits elsewhere in the file, and unique within it.

use std::collections::BTreeSet;

const LONGEST: usize = 56;

/// Lower-case words joined by hyphens, cut at a word; empty if the text has no letter and no digit.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        if !slug.is_empty() {
            if slug.len() + 1 + word.len() > LONGEST {
                break;
            }
            slug.push('-');
        }
        slug.extend(word.chars().take(LONGEST));
    }
    slug
}

/// The ids given so far.
#[derive(Debug, Default)]
pub(super) struct Ids(BTreeSet<String>);

impl Ids {
    /// Takes an id that the file names; false if another has it already.
    pub(super) fn claim(&mut self, id: &str) -> bool {
        self.0.insert(id.to_owned())
    }

    /// The id for a text: itself if free, else with the first free number behind it.
    pub(super) fn mint(&mut self, wanted: &str) -> String {
        let mut id = wanted.to_owned();
        let mut number = 2_u32;
        while !self.0.insert(id.clone()) {
            id = format!("{wanted}-{number}");
            number += 1;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_short_and_plain() {
        assert_eq!(slug("  Run `npm test` — all green! "), "run-npm-test-all-green");
        assert_eq!(slug("___"), "");
        assert!(slug(&"word ".repeat(40)).len() <= LONGEST);
    }

    #[test]
    fn a_second_of_the_same_name_gets_a_number_and_skips_what_is_taken() {
        let mut ids = Ids::default();
        assert!(ids.claim("a-2"));
        assert_eq!(ids.mint("a"), "a");
        assert_eq!(ids.mint("a"), "a-3");
        assert!(!ids.claim("a"));
    }
}
