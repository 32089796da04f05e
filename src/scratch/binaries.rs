//! Where the PostgreSQL server programs are. Looks, never installs; what it returns exists and answered with its version.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ScratchError;

/// Names a directory of server programs to use before all others.
pub const OVERRIDE: &str = "GONOGO_PG_BINDIR";

/// A directory that holds `initdb`, `postgres` and `pg_ctl`, all of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// The first complete set: the directory named by [`OVERRIDE`], then `PATH`, then what `pg_config` says, then the places
    /// where packages put them, the newest version first.
    pub fn find() -> Result<Self, ScratchError> {
        if let Some(named) = std::env::var_os(OVERRIDE) {
            let dir = PathBuf::from(named);
            return Self::in_dir(&dir)
                .ok_or(ScratchError::NoBinaries { looked_in: dir.display().to_string() });
        }
        let candidates: Vec<PathBuf> =
            in_path().into_iter().chain(of_pg_config()).chain(packaged(&package_roots())).collect();
        candidates.iter().find_map(|dir| Self::in_dir(dir)).ok_or_else(|| ScratchError::NoBinaries {
            looked_in: "PATH, pg_config --bindir, /usr/lib/postgresql, /usr/pgsql-*, Homebrew, Postgres.app"
                .into(),
        })
    }

    fn in_dir(dir: &Path) -> Option<Self> {
        // A link in /usr/local/bin to one program says nothing of the others: they stand beside its target.
        let home = std::fs::canonicalize(dir.join("initdb")).ok()?.parent()?.to_path_buf();
        if !["initdb", "postgres", "pg_ctl"].iter().all(|name| home.join(name).is_file()) {
            return None;
        }
        let major = major_version(&home.join("postgres"))?;
        Some(Self { dir: home, major })
    }

    /// The full path of a program of this set.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Whether the server can preload `library`.
    pub(super) fn has_library(&self, library: &str) -> bool {
        let file = |dir: PathBuf| {
            [".so", ".dylib"].iter().any(|suffix| dir.join(format!("{library}{suffix}")).is_file())
        };
        let beside = [self.dir.join("../lib"), self.dir.join("../lib/postgresql")];
        beside.into_iter().any(file)
            || output_line(&self.program("pg_config"), "--pkglibdir").is_some_and(|dir| file(dir.into()))
    }
}

/// The major version that `program --version` prints, as in `postgres (PostgreSQL) 15.18 (Debian …)`.
pub(super) fn major_version(program: &Path) -> Option<u32> {
    parse_major(&output_line(program, "--version")?)
}

fn parse_major(line: &str) -> Option<u32> {
    let version = line.split_once("(PostgreSQL) ")?.1;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn output_line(program: &Path, argument: &str) -> Option<String> {
    let output =
        Command::new(program).arg(argument).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

fn in_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn of_pg_config() -> Option<PathBuf> {
    output_line(Path::new("pg_config"), "--bindir").map(PathBuf::from)
}

fn package_roots() -> Vec<PathBuf> {
    [
        "/usr/lib/postgresql",
        "/usr",
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/Applications/Postgres.app/Contents/Versions",
    ]
    .iter()
    .map(PathBuf::from)
    .collect()
}

/// Directories such as `/usr/lib/postgresql/17/bin`, `/usr/pgsql-16/bin` or `/opt/homebrew/opt/postgresql@16/bin`.
fn packaged(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = roots
        .iter()
        .filter_map(|root| std::fs::read_dir(root).ok())
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.rsplit(['@', '-']).next()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.is_dir())
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version_as_each_packager_prints_it() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(parse_major("pg_dump (PostgreSQL) 17.2"), Some(17));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("mysqld 8.0"), None);
    }

    #[test]
    fn takes_the_newest_packaged_version_by_number_not_by_name() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "17", "postgresql@16", "pgsql-18", "pgbouncer"] {
            std::fs::create_dir_all(root.path().join(name).join("bin")).unwrap();
        }
        let found = packaged(&[root.path().to_path_buf()]);
        let names: Vec<_> = found.iter().map(|bin| bin.parent().unwrap().file_name().unwrap()).collect();
        assert_eq!(names, ["pgsql-18", "17", "postgresql@16", "9"]);
    }

    #[test]
    fn a_directory_without_the_server_is_no_set() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("initdb"), "").unwrap();
        assert_eq!(Binaries::in_dir(root.path()), None);
    }
}
