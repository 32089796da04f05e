//! `gonogo init`: the commented gonogo.toml. It never writes over a file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::{Exit, print};
use crate::plan::config::DEFAULT;
use crate::plan::load::CONFIG_FILE;

/// Nothing to say yet.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> color_eyre::Result<Exit> {
    write(Path::new(CONFIG_FILE))
}

fn write(file: &Path) -> color_eyre::Result<Exit> {
    let shown = file.display();
    let created = OpenOptions::new().write(true).create_new(true).open(file);
    match created.and_then(|mut file| file.write_all(DEFAULT.as_bytes())) {
        Ok(()) => {
            print(&format!("{shown} is written. Name your checklist in it, then see `gonogo plan`.\n"))?;
            Ok(Exit::Go)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            eprintln!("{shown} is there already and was left as it is; move it away to have a new one");
            Ok(Exit::Usage)
        }
        Err(error) => {
            eprintln!("{shown} could not be written: {error}; run this in a directory that you may write to");
            Ok(Exit::NoGo)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_once_and_never_over_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gonogo.toml");
        assert_eq!(write(&file).unwrap(), Exit::Go);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), DEFAULT);
        std::fs::write(&file, "mine").unwrap();
        assert_eq!(write(&file).unwrap(), Exit::Usage);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        assert_eq!(write(&dir.path().join("nowhere/gonogo.toml")).unwrap(), Exit::NoGo);
    }
}
