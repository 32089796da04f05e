//! Invented people: the same seed and index always give the same person, in the CRM and at Pulse alike.
//!
//! Pure: no clock, no randomness but the seed. Names are made of syllables, addresses end in a reserved domain and
//! telephone numbers lie in the range kept for fiction, so that nobody real can be met or written to by accident.

/// Everything about a person that two systems would agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The given name.
    pub first_name: String,
    /// The family name.
    pub last_name: String,
    /// A lower-case address under `example.org`, unique by index.
    pub email: String,
    /// A number of the range that is kept for fiction.
    pub phone: String,
    /// The employer.
    pub company: String,
    /// The position held there.
    pub title: &'static str,
}

const STARTS: [&str; 16] =
    ["Al", "Be", "Ca", "Do", "El", "Fa", "Ga", "Ho", "Il", "Jo", "Ka", "Lo", "Ma", "Ne", "Or", "Ta"];
const MIDDLES: [&str; 12] = ["ra", "li", "mo", "ne", "sa", "vi", "du", "ri", "ke", "lo", "ma", "te"];
const ENDS: [&str; 12] = ["n", "na", "ra", "s", "la", "do", "ne", "ric", "ta", "vin", "ly", "so"];
const FAMILIES: [&str; 12] =
    ["berg", "field", "ström", "ley", "ford", "mann", "well", "dorf", "ano", "wick", "sen", "hart"];
const TITLES: [&str; 6] =
    ["Director", "Programme Manager", "Volunteer", "Board Member", "Treasurer", "Engineer"];

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

/// The person of this index.
pub fn person(seed: u64, index: u32) -> Person {
    let at = |salt: u64| draw(seed, &[0x7065_7273, u64::from(index), salt]);
    let first_name = format!("{}{}{}", choose(&STARTS, at(1)), choose(&MIDDLES, at(2)), choose(&ENDS, at(3)));
    let last_name =
        format!("{}{}{}", choose(&STARTS, at(4)), choose(&MIDDLES, at(5)), choose(&FAMILIES, at(6)));
    let email = format!(
        "{}.{}{index}@example.org",
        first_name.to_lowercase(),
        last_name.to_lowercase().replace('ö', "oe")
    );
    let phone = format!("+1 {:03}-555-01{:02}", 201 + at(7) % 700, at(8) % 100);
    let company = format!(
        "{}{} {}",
        choose(&STARTS, at(9)),
        choose(&FAMILIES, at(10)),
        choose(&["Trust", "Fund", "Works"], at(11))
    );
    Person { first_name, last_name, email, phone, company, title: choose(&TITLES, at(12)) }
}

/// Whom Pulse's profile of this index is about. The CRM's contacts are the people from 0 on, one after the other; every
/// second profile is one of them, so that about half of Pulse is known to a CRM of half Pulse's size or more.
pub const fn of_profile(profile: u32) -> u32 {
    if profile.is_multiple_of(2) { profile / 2 } else { 10_000_000 + profile }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_and_index_give_the_same_person() {
        assert_eq!(person(7, 41), person(7, 41));
        assert_ne!(person(7, 41), person(8, 41));
    }

    #[test]
    fn half_of_the_profiles_are_people_of_the_crm() {
        let known = (0..1_000).filter(|profile| of_profile(*profile) < 500).count();
        assert_eq!(known, 500);
        assert_eq!((0..1_000).map(of_profile).collect::<BTreeSet<_>>().len(), 1_000);
    }

    #[test]
    fn addresses_are_unique_and_lower_case() {
        let emails: BTreeSet<_> = (0..5_000).map(|index| person(7, index).email).collect();
        assert_eq!(emails.len(), 5_000);
        assert!(emails.iter().all(|email| email.is_ascii() && *email == email.to_lowercase()));
    }
}
