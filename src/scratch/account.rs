//! Whose the cluster is. PostgreSQL refuses to run as root, so there an unprivileged account of this machine owns the data
//! directory and runs the server; everywhere else that is the user who runs gonogo.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::ScratchError;

/// The account that runs the server programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// The one that runs this process.
    Own,
    /// Another, because this process is root.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// Decides by the owner of what this process creates, which is how the system sees it.
    pub(super) fn choose() -> Result<Self, ScratchError> {
        // A name for each call: two that ask at once in one process must not take the probe from each other.
        let probe = std::env::temp_dir().join(format!("gonogo-owner-{}", uuid::Uuid::new_v4()));
        fs::File::create_new(&probe)
            .map_err(|source| ScratchError::Directory { path: probe.clone(), source })?;
        let owner = fs::metadata(&probe).map(|file| file.uid());
        // A probe that stays behind is empty and in the way of nobody.
        drop(fs::remove_file(&probe));
        if owner.map_err(|source| ScratchError::Directory { path: probe, source })? != 0 {
            return Ok(Self::Own);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        unprivileged(&passwd).ok_or(ScratchError::NoAccount)
    }

    /// A directory only this account can enter, at `wanted` where the account can reach that, else under the system's
    /// directory for temporary files, always the same for the same `wanted`, so that a rehearsal finds its data again.
    pub(super) fn directory(self, wanted: &Path) -> Result<PathBuf, ScratchError> {
        let wanted = std::path::absolute(wanted)
            .map_err(|source| ScratchError::Directory { path: wanted.to_path_buf(), source })?;
        let dir = if self.can_reach(&wanted) {
            wanted
        } else {
            let digest = Sha256::digest(wanted.as_os_str().as_encoded_bytes());
            let mut name = String::from("gonogo-postgres-");
            for byte in digest.iter().take(8) {
                write!(name, "{byte:02x}").expect("a String takes all that is written to it");
            }
            std::env::temp_dir().join(name)
        };
        self.prepare(&dir).map_err(|source| ScratchError::Directory { path: dir.clone(), source })?;
        Ok(dir)
    }

    fn can_reach(self, dir: &Path) -> bool {
        let Self::Other { uid, .. } = self else { return true };
        dir.ancestors()
            .skip(1)
            .filter_map(|parent| fs::metadata(parent).ok())
            .all(|parent| parent.mode() & 0o001 != 0 || (parent.uid() == uid && parent.mode() & 0o100 != 0))
    }

    fn prepare(self, dir: &Path) -> std::io::Result<()> {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        // In a directory that all may write, a name can be taken by somebody else's link.
        let found = fs::symlink_metadata(dir)?;
        let mine = fs::metadata("/proc/self").map_or(found.uid(), |process| process.uid());
        let allowed = match self {
            Self::Own => found.uid() == mine,
            Self::Other { uid, .. } => found.uid() == uid || found.uid() == mine,
        };
        if !found.is_dir() || !allowed {
            return Err(std::io::Error::other("is not a directory of this user"));
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        self.give(dir)
    }

    /// Hands a file over to the account.
    pub(super) fn give(self, path: &Path) -> std::io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        }
    }

    /// A command that runs as the account, in `dir`, without this process's PostgreSQL settings.
    pub(super) fn command(self, program: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(dir);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn unprivileged(passwd: &str) -> Option<Account> {
    ["postgres", "_postgres", "nobody"].iter().find_map(|wanted| {
        let mut fields = passwd
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(wanted)).then_some(fields))?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(Account::Other { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_the_account_of_the_server_and_never_takes_root() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\npostgres:x:101:104:,,,:/var:/bin/sh\n";
        assert_eq!(unprivileged(passwd), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(unprivileged("postgres:x:0:0::/:/bin/sh\n"), None);
        assert_eq!(
            unprivileged("postgresql:x:7:7::/:/\nnobody:x:65534:65533::/:/bin/false"),
            Some(Account::Other { uid: 65534, gid: 65533 })
        );
    }

    #[test]
    fn a_directory_the_account_cannot_reach_is_replaced_always_by_the_same() {
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Account::Other { uid: 54_321, gid: 54_321 };
        assert!(!stranger.can_reach(&closed.path().join("pg")));
        assert!(Account::Own.can_reach(&closed.path().join("pg")));
    }

    #[test]
    fn many_at_once_get_one_answer() {
        let asked: Vec<_> =
            (0..16).map(|_| std::thread::spawn(|| (0..50).all(|_| Account::choose().is_ok()))).collect();
        assert!(asked.into_iter().all(|one| one.join().unwrap()));
    }

    #[test]
    fn refuses_a_link_in_place_of_the_directory() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", root.path().join("pg")).unwrap();
        assert!(Account::Own.prepare(&root.path().join("pg")).is_err());
    }
}
