//! The chain of hashes: each event's hash covers its text and the hash before it, so that no event can be changed, taken
//! out or put in without every later hash being wrong.

use sha2::{Digest, Sha256};

/// A link of the chain.
pub type Hash = [u8; 32];

/// What stands before the first event.
pub const ROOT: Hash = [0; 32];

/// The hash of an event after `before`.
pub fn link(before: &Hash, seq: u64, at: i64, by: &str, role: &str, body: &str) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(seq.to_be_bytes());
    hasher.update(at.to_be_bytes());
    for text in [by, role, body] {
        // With its length, so that no letter can move from one field to the next.
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_can_move_between_fields() {
        assert_ne!(link(&ROOT, 1, 0, "ab", "c", ""), link(&ROOT, 1, 0, "a", "bc", ""));
    }

    #[test]
    fn every_field_counts() {
        let first = link(&ROOT, 1, 5, "a", "b", "c");
        for other in [
            link(&first, 1, 5, "a", "b", "c"),
            link(&ROOT, 2, 5, "a", "b", "c"),
            link(&ROOT, 1, 6, "a", "b", "c"),
            link(&ROOT, 1, 5, "x", "b", "c"),
            link(&ROOT, 1, 5, "a", "x", "c"),
            link(&ROOT, 1, 5, "a", "b", "x"),
        ] {
            assert_ne!(first, other);
        }
    }
}
