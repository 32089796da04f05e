//! Flyway's versions. They are rows of numbers ("1.2.1"), and a migration has one number here: so the versions of a set are laid
//! out in one scheme that keeps their order. Its checksums too, which are of the lines and not of their ends.

use crc::{CRC_32_ISO_HDLC, Crc};

/// A version, its parts in order; trailing zeros say nothing, as Flyway sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(Vec<u64>);

impl Version {
    /// Reads "1", "1.2.1", "1_2" or a date.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let parts: Option<Vec<u64>> = text.split(['.', '_']).map(|part| part.parse().ok()).collect();
        let mut parts = parts.filter(|parts| !parts.is_empty())?;
        while parts.len() > 1 && parts.last() == Some(&0) {
            parts.pop();
        }
        Some(Self(parts))
    }

    /// As a person writes it.
    pub(crate) fn label(&self) -> String {
        self.0.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
    }
}

/// How many decimal digits each part after the first gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scheme([u32; 3]);

impl Scheme {
    /// Numbers without parts stay as they are.
    pub(crate) const PLAIN: Self = Self([0, 0, 0]);
    /// For versions such as 1.2.1.
    const PARTS: Self = Self([3, 3, 3]);
    /// For dates with a time of day as their last part.
    const DATES: Self = Self([3, 3, 6]);

    /// The first scheme that every one of these fits.
    pub(crate) fn of(versions: &[Version]) -> Option<Self> {
        [Self::PLAIN, Self::PARTS, Self::DATES]
            .into_iter()
            .find(|scheme| versions.iter().all(|version| scheme.number(version).is_some()))
    }

    /// The number of a version, in the same order as the versions.
    pub(crate) fn number(self, version: &Version) -> Option<u64> {
        let (first, rest) = version.0.split_first()?;
        if rest.len() > self.0.len() {
            return None;
        }
        let mut number = *first;
        for (at, digits) in self.0.into_iter().enumerate() {
            let room = 10_u64.checked_pow(digits)?;
            let part = rest.get(at).copied().unwrap_or(0);
            if part >= room {
                return None;
            }
            number = number.checked_mul(room)?.checked_add(part)?;
        }
        i64::try_from(number).is_ok().then_some(number)
    }
}

/// Flyway's checksum of a file: over its lines without their ends, and without a byte-order mark.
pub(crate) fn checksum(text: &str) -> i32 {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in text.split(['\n', '\r']) {
        digest.update(line.as_bytes());
    }
    digest.finalize().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(texts: &[&str]) -> Option<Vec<u64>> {
        let versions: Vec<Version> = texts.iter().filter_map(|text| Version::read(text)).collect();
        let scheme = Scheme::of(&versions)?;
        versions.iter().map(|version| scheme.number(version)).collect()
    }

    #[test]
    fn numbers_keep_the_order_of_versions() {
        assert_eq!(numbers(&["1", "2", "20240101120000"]), Some(vec![1, 2, 20_240_101_120_000]));
        assert_eq!(
            numbers(&["1", "1.2", "1.2.1", "1.10", "2"]),
            Some(vec![1_000_000_000, 1_002_000_000, 1_002_001_000, 1_010_000_000, 2_000_000_000])
        );
        let dated = numbers(&["2024.01.05.1200", "2024.01.05.153000"]).expect("they fit");
        assert!(dated.is_sorted());
        assert_eq!(numbers(&["1.2.3.4.5"]), None, "no room for a fifth part");
        assert_eq!(numbers(&["20240101120000", "1.1"]), None, "a date of 14 digits leaves no room for parts");
    }

    #[test]
    fn versions_are_read_as_flyway_reads_them() {
        assert_eq!(Version::read("1_2"), Version::read("1.2"));
        assert_eq!(Version::read("1.0"), Version::read("1"));
        assert_eq!(Version::read("01.2"), Version::read("1.2"));
        assert_eq!(Version::read("1.x"), None);
        assert_eq!(Version::read(""), None);
    }

    #[test]
    fn a_checksum_does_not_know_line_ends() {
        // CRC-32 of "123456789" is the check value of its definition.
        assert_eq!(checksum("123456789"), 0xcbf4_3926_u32.cast_signed());
        assert_eq!(checksum("\u{feff}1234\r\n56789\n"), checksum("123456789"));
    }
}
