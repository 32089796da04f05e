//! Who may do what. One table, asked by `decide` and by the panes that show only what can be done.

use super::job::{JobKind, WorkerId};
use crate::plan::{Role, RungKind};

/// What a rule asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Open the run, or take a plan as it was read again.
    Open,
    /// Call GO or NO-GO, and end the run.
    Call,
    /// Open or close the guard over the emergency key.
    Guard,
    /// Take a rung of that kind.
    Rollback(RungKind),
    /// Ask for work of that worker, pause it, cancel it.
    Work(WorkerId),
    /// End what another session of the database does.
    EndSession,
    /// Begin a phase with that owner; tick, skip, fail or reopen an item with that owner.
    Item(Option<Role>),
    /// Write a note, acknowledge an alert.
    Speak,
    /// Put mock data in the place of Pulse's.
    Mock,
    /// Throw a fault into a rehearsal.
    Fault,
    /// Report as a worker.
    Report,
}

impl Deed {
    /// What asking for a job is.
    pub const fn of_job(kind: &JobKind) -> Self {
        match kind {
            JobKind::Rollback { kind, .. } => Self::Rollback(*kind),
            JobKind::Mock { .. } => Self::Mock,
            other => Self::Work(other.worker()),
        }
    }

    /// The words for it in a refusal.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Open => "open the run",
            Self::Call => "call GO or NO-GO, or end the run",
            Self::Guard => "open or close the guard",
            Self::Rollback(RungKind::Flag) => "switch the flag off",
            Self::Rollback(RungKind::Deployment) => "take the deployment back",
            Self::Rollback(RungKind::Database) => "take the database back",
            Self::Work(WorkerId::Migrate) => "run migrations",
            Self::Work(WorkerId::Import) => "run the import",
            Self::Work(WorkerId::Deploy) => "deploy",
            Self::Work(WorkerId::Verify) => "run a check",
            Self::Work(WorkerId::Monitor) => "steer the monitor",
            Self::Work(WorkerId::Rollback) => "drill a rollback",
            Self::Work(WorkerId::Rollout) => "move the rollout",
            Self::Work(WorkerId::Announce) => "send an announcement",
            Self::Work(WorkerId::History) => "hold the history of interactions",
            Self::EndSession => "end what another session of the database does",
            Self::Item(_) => "change this item",
            Self::Speak => "write to the record",
            Self::Mock => "go on with mock data",
            Self::Fault => "throw a fault in",
            Self::Report => "report as a worker",
        }
    }
}

/// Who may do that, besides the lead.
pub fn allowed(role: Role, deed: Deed) -> bool {
    use Role::{Cto, Dba, Devops, Lead, Machine, Observer, ProductOwner, Qa, Support};
    match role {
        Machine => matches!(deed, Deed::Report | Deed::Open | Deed::Fault),
        Observer => false,
        Lead => deed != Deed::Report,
        _ => match deed {
            Deed::Open | Deed::Speak | Deed::Fault => true,
            Deed::Call | Deed::Guard | Deed::Mock | Deed::Report => false,
            Deed::Rollback(RungKind::Database) | Deed::Work(WorkerId::Migrate) | Deed::EndSession => {
                role == Dba
            }
            Deed::Work(WorkerId::Import | WorkerId::History) => matches!(role, Devops | Dba),
            Deed::Work(WorkerId::Verify) => !matches!(role, ProductOwner | Cto),
            Deed::Work(WorkerId::Announce) => matches!(role, Devops | Support),
            Deed::Rollback(RungKind::Flag | RungKind::Deployment) | Deed::Work(_) => role == Devops,
            Deed::Item(Some(owner)) => role == owner,
            Deed::Item(None) => matches!(role, Devops | Dba | Qa | Support | ProductOwner | Cto),
        },
    }
}

/// The roles that may, in words, for a refusal.
pub fn who(deed: Deed) -> String {
    let roles: Vec<&str> =
        Role::PEOPLE.iter().filter(|role| allowed(**role, deed)).map(|role| role.word()).collect();
    match roles.split_last() {
        None => "no person".into(),
        Some((last, [])) => (*last).into(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let yes: &[(Role, Deed)] = &[
            (Role::Lead, Deed::Call),
            (Role::Lead, Deed::Rollback(RungKind::Database)),
            (Role::Devops, Deed::Rollback(RungKind::Flag)),
            (Role::Dba, Deed::Work(WorkerId::Migrate)),
            (Role::Support, Deed::Work(WorkerId::Announce)),
            (Role::Qa, Deed::Item(Some(Role::Qa))),
            (Role::Machine, Deed::Report),
        ];
        let no: &[(Role, Deed)] = &[
            (Role::Devops, Deed::Call),
            (Role::Devops, Deed::Rollback(RungKind::Database)),
            (Role::Dba, Deed::Rollback(RungKind::Flag)),
            (Role::Devops, Deed::EndSession),
            (Role::Qa, Deed::Item(Some(Role::Dba))),
            (Role::Observer, Deed::Speak),
            (Role::Lead, Deed::Report),
            (Role::Machine, Deed::Call),
        ];
        for (role, deed) in yes {
            assert!(allowed(*role, *deed), "{role} may {}", deed.words());
        }
        for (role, deed) in no {
            assert!(!allowed(*role, *deed), "{role} may not {}", deed.words());
        }
    }

    #[test]
    fn a_refusal_names_who_may() {
        assert_eq!(who(Deed::Rollback(RungKind::Flag)), "lead or devops");
        assert_eq!(who(Deed::Report), "no person");
    }
}
