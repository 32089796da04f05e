//! Drawing lots: numbers that depend on a seed and on what they are drawn for, and on nothing else.
//!
//! Pure, and without memory: whoever asks again, in whatever order and process, draws the same.

/// The splitmix64 step: a good hash of 64 bits.
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that depends on all of `parts` and on nothing else.
pub fn draw(seed: u64, parts: &[u64]) -> u64 {
    parts.iter().fold(mix(seed), |acc, part| mix(acc ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93)))
}

/// A drawn number as a fraction in `[0, 1)`.
pub fn fraction(drawn: u64) -> f64 {
    (drawn >> 11) as f64 / (1_u64 << 53) as f64
}

/// One of `choices`, by a drawn number.
pub fn choose<'a, T: ?Sized>(choices: &[&'a T], drawn: u64) -> &'a T {
    let len = choices.len() as u64;
    choices[usize::try_from(drawn % len).expect("a remainder of a length is an index")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_lot_is_drawn_again_and_another_is_another() {
        assert_eq!(draw(7, &[1, 2]), draw(7, &[1, 2]));
        assert_ne!(draw(7, &[1, 2]), draw(7, &[2, 1]));
        assert_ne!(draw(7, &[1, 2]), draw(8, &[1, 2]));
    }

    #[test]
    fn fractions_fill_the_whole_range_evenly() {
        let below = |share: f64| (0..10_000).filter(|n| fraction(draw(7, &[*n])) < share).count();
        assert_eq!(below(0.0), 0);
        assert!((4_800..5_200).contains(&below(0.5)), "{}", below(0.5));
        assert_eq!(below(1.0), 10_000);
    }
}
