//! The roles of a deployment. What each may do is a rule of the run (`run::permission`), not of the plan.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// In which role somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Oversees, calls GO, approves and arms the rollback.
    Lead,
    /// Deploys, monitors, imports, executes rollbacks.
    Devops,
    /// Backups, migrations, database rollback.
    Dba,
    /// Verification, rollback tests, success criteria.
    Qa,
    /// User feedback, status page, user communication.
    Support,
    /// Signs at the end.
    ProductOwner,
    /// Signs at the end.
    Cto,
    /// Watches.
    Observer,
    /// A worker of gonogo itself; never a person.
    Machine,
}

impl Role {
    /// Every role that a person can take.
    pub const PEOPLE: [Self; 8] = [
        Self::Lead,
        Self::Devops,
        Self::Dba,
        Self::Qa,
        Self::Support,
        Self::ProductOwner,
        Self::Cto,
        Self::Observer,
    ];

    /// The word used in files, on the command line and on the screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Devops => "devops",
            Self::Dba => "dba",
            Self::Qa => "qa",
            Self::Support => "support",
            Self::ProductOwner => "product-owner",
            Self::Cto => "cto",
            Self::Observer => "observer",
            Self::Machine => "gonogo",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The word is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; the roles are lead, devops, dba, qa, support, product-owner, cto and observer")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        let word = word.trim().to_ascii_lowercase().replace([' ', '_'], "-");
        Ok(match word.as_str() {
            "deployment-lead" => Self::Lead,
            "devops-engineer" => Self::Devops,
            "database-administrator" => Self::Dba,
            "product" => Self::ProductOwner,
            word => *Self::PEOPLE
                .iter()
                .find(|role| role.word() == word)
                .ok_or_else(|| UnknownRole(word.to_owned()))?,
        })
    }
}
