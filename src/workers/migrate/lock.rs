//! PostgreSQL's table locks: their order, their names, and which stand in each other's way. Facts of the manual, nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// PostgreSQL's table locks, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    /// Stops only ACCESS EXCLUSIVE.
    AccessShare,
    /// What writers take.
    RowExclusive,
    /// Stops other DDL and VACUUM.
    ShareUpdateExclusive,
    /// Stops writers.
    Share,
    /// Stops writers and other schema changes.
    ShareRowExclusive,
    /// Stops everybody, readers too.
    AccessExclusive,
}

impl LockMode {
    /// Its name as PostgreSQL writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// Whether asking for it makes clients wait while somebody else holds the table.
    pub const fn stops_clients(self) -> bool {
        matches!(self, Self::Share | Self::ShareRowExclusive | Self::AccessExclusive)
    }

    /// By the name that `pg_locks` uses. ROW SHARE counts as ACCESS SHARE, and EXCLUSIVE as SHARE ROW EXCLUSIVE: each stops the
    /// same clients as the other.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "AccessShareLock" | "RowShareLock" => Self::AccessShare,
            "RowExclusiveLock" => Self::RowExclusive,
            "ShareUpdateExclusiveLock" => Self::ShareUpdateExclusive,
            "ShareLock" => Self::Share,
            "ShareRowExclusiveLock" | "ExclusiveLock" => Self::ShareRowExclusive,
            "AccessExclusiveLock" => Self::AccessExclusive,
            _ => return None,
        })
    }

    /// The modes, as pg_locks names them, that stand in its way.
    pub const fn conflicts(self) -> &'static [&'static str] {
        const AX: &str = "AccessExclusiveLock";
        const EX: &str = "ExclusiveLock";
        const SRX: &str = "ShareRowExclusiveLock";
        const S: &str = "ShareLock";
        const SUX: &str = "ShareUpdateExclusiveLock";
        const RX: &str = "RowExclusiveLock";
        const RS: &str = "RowShareLock";
        const AS: &str = "AccessShareLock";
        match self {
            Self::AccessShare => &[AX],
            Self::RowExclusive => &[AX, EX, SRX, S],
            Self::ShareUpdateExclusive => &[AX, EX, SRX, S, SUX],
            Self::Share => &[AX, EX, SRX, SUX, RX],
            Self::ShareRowExclusive => &[AX, EX, SRX, S, SUX, RX],
            Self::AccessExclusive => &[AX, EX, SRX, S, SUX, RX, RS, AS],
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
