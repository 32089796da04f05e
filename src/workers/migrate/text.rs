//! From the bytes of a file to text, or to a clear no: UTF-8 is read, with or without a byte-order mark, with any line ends; what is
//! something else says what it is and in which line.

use std::sync::Arc;

use sha2::{Digest as _, Sha384};

use super::files::refused;
use super::flyway;
use crate::run::job::Failure;

/// A file larger than this is data, and a migration of it would be one transaction for hours.
const LARGEST: usize = 64 * 1024 * 1024;

/// A file's text, and what other tools would call it by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text {
    /// Without a byte-order mark; line ends as they are, for they may stand within a literal.
    pub(crate) text: String,
    /// What other tools write down of such a file.
    pub(crate) prints: Prints,
}

/// Checksums of a whole file, as other tools make them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prints {
    /// sqlx's: SHA-384 of the bytes.
    pub(crate) sqlx: Arc<[u8]>,
    /// Flyway's: CRC-32 of the lines.
    pub(crate) flyway: i32,
}

impl Prints {
    /// Of the bytes of a file that is UTF-8.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let flyway = std::str::from_utf8(bytes).map_or(0, flyway::checksum);
        Self { sqlx: Sha384::digest(bytes).to_vec().into(), flyway }
    }
}

/// Reads the bytes of a file.
pub(crate) fn decode(file: &str, bytes: Vec<u8>) -> Result<Text, Failure> {
    if bytes.len() > LARGEST {
        return Err(refused(
            format!(
                "{file}: {} MB; more than {} MB is data, not a migration",
                bytes.len() >> 20,
                LARGEST >> 20
            ),
            "load the data with COPY or an import, and leave the changes of the schema in the file",
        ));
    }
    let utf16 = |how: &str| refused(format!("{file}:1: UTF-16 ({how}), not UTF-8"), "save the file as UTF-8");
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => return Err(utf16("little-endian, by its first two bytes")),
        [0xfe, 0xff, ..] => return Err(utf16("big-endian, by its first two bytes")),
        // SQL begins with a word or a dash: half of such a character in two bytes is a NUL.
        [0, 1..=127, 0, 1..=127, ..] => return Err(utf16("big-endian, by its NUL bytes")),
        [1..=127, 0, 1..=127, 0, ..] => return Err(utf16("little-endian, by its NUL bytes")),
        _ => {}
    }
    let prints = Prints::of(&bytes);
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        refused(
            format!("{file}:{line}: not UTF-8: byte {byte:#04x} at {at}"),
            "save the file as UTF-8; it may be Latin-1 or Windows-1252 now",
        )
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(Text { text, prints })
}
