//! The rows of the journal as they come from the file: many in one answer, since each answer of the driver costs a change of
//! threads, and a start-up reads them all. A row that is not as it was written is named; what it says is not judged here.

use std::path::Path;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::StoreError;
use super::chain::{self, Hash};
use crate::plan::Role;
use crate::run::event::VERSION;
use crate::run::{Actor, Record};

/// How many rows one answer holds: enough that the change of threads no longer counts, little enough to fold with no pause
/// that could be felt.
pub(super) const BATCH: u32 = 512;

/// Each row is seven numbers with a blank after each, the last four being the lengths in bytes of what follows.
const SELECT: &str = "
    select cast(group_concat(
        seq || ' ' || at || ' ' || v || ' ' || octet_length(by) || ' ' || octet_length(role) || ' '
        || octet_length(body) || ' ' || 2 * octet_length(hash) || ' ' || by || role || body || hex(hash),
        '' order by seq) as blob)
    from (select * from journal where seq > ?1 order by seq limit ?2)";

/// Rows in one piece.
#[derive(Debug)]
pub(super) struct Rows<'p> {
    path: &'p Path,
    bytes: Vec<u8>,
}

impl<'p> Rows<'p> {
    /// The rows after number `after`, at most `limit`.
    pub(super) async fn after(
        path: &'p Path,
        connection: &mut SqliteConnection,
        after: u64,
        limit: u32,
    ) -> Result<Self, StoreError> {
        let bytes: Option<Vec<u8>> = sqlx::query_scalar(SELECT)
            .bind(after.cast_signed())
            .bind(limit)
            .fetch_one(connection)
            .await
            .map_err(|error| StoreError::from_sqlx(path, error))?;
        Ok(Self { path, bytes: bytes.unwrap_or_default() })
    }

    /// Each row, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Result<Stored<'_>, StoreError>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || (!rest.is_empty()).then(|| Stored::cut(self.path, &mut rest)))
    }
}

/// A row of the journal.
#[derive(Debug)]
pub(super) struct Stored<'r> {
    path: &'r Path,
    pub(super) seq: u64,
    at: i64,
    by: &'r str,
    role: &'r str,
    body: &'r str,
    hash: &'r [u8],
}

impl<'r> Stored<'r> {
    /// Takes the first row off.
    fn cut(path: &'r Path, rest: &mut &'r [u8]) -> Result<Self, StoreError> {
        let unreadable = || StoreError::Sqlite {
            path: path.to_owned(),
            message: "a row of the journal cannot be taken apart".into(),
        };
        let mut numbers = [0_i64; 7];
        for number in &mut numbers {
            let end = rest.iter().position(|byte| *byte == b' ').ok_or_else(unreadable)?;
            let digits = std::str::from_utf8(&rest[..end]).ok();
            *number = digits.and_then(|digits| digits.parse().ok()).ok_or_else(unreadable)?;
            *rest = &rest[end + 1..];
        }
        let [seq, at, version, by, role, body, hash] = numbers;
        let mut field = |length: i64| {
            let length = usize::try_from(length).ok()?;
            let (field, after) = rest.split_at_checked(length)?;
            *rest = after;
            Some(field)
        };
        let fields = (field(by), field(role), field(body), field(hash));
        let (Some(by), Some(role), Some(body), Some(hash)) = fields else { return Err(unreadable()) };
        if version > i64::from(VERSION) {
            let found = u32::try_from(version).unwrap_or(u32::MAX);
            return Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION });
        }
        let row = Self { path, seq: seq.cast_unsigned(), at, by: "", role: "", body: "", hash };
        let text = |bytes| std::str::from_utf8(bytes).map_err(|error| row.altered(error.to_string()));
        Ok(Self { by: text(by)?, role: text(role)?, body: text(body)?, ..row })
    }

    fn altered(&self, why: impl Into<String>) -> StoreError {
        StoreError::Altered { path: self.path.to_owned(), seq: self.seq, why: why.into() }
    }

    /// The hash of this event, if it is the next one and as it was written.
    pub(super) fn follows(&self, last: u64, before: &Hash) -> Result<Hash, StoreError> {
        if self.seq != last + 1 {
            return Err(self.altered(format!("event {} is missing", last + 1)));
        }
        let hash = chain::link(before, self.seq, self.at, self.by, self.role, self.body);
        if is_hex_of(self.hash, &hash) { Ok(hash) } else { Err(self.altered("its hash does not fit")) }
    }

    /// The event.
    pub(super) fn record(&self) -> Result<Record, StoreError> {
        let at = DateTime::<Utc>::from_timestamp_micros(self.at)
            .ok_or_else(|| self.altered(format!("{} is no time", self.at)))?;
        let role = if self.role == Role::Machine.word() {
            Role::Machine
        } else {
            Role::from_str(self.role).map_err(|error| self.altered(error.to_string()))?
        };
        let event = serde_json::from_str(self.body).map_err(|error| self.altered(error.to_string()))?;
        Ok(Record { seq: self.seq, at, by: Actor { name: self.by.into(), role }, event })
    }
}

fn is_hex_of(hex: &[u8], hash: &Hash) -> bool {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    hex.len() == 2 * hash.len()
        && hex.chunks_exact(2).zip(hash).all(|(pair, byte)| {
            pair[0] == DIGITS[usize::from(byte >> 4)] && pair[1] == DIGITS[usize::from(byte & 15)]
        })
}
