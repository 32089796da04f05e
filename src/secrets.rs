//! Looks secrets up by the name of their variable: the process environment first, then the deployment's env file.
//!
//! Nothing here writes to the environment, and no value leaves it but wrapped, so that no log, event or error can hold one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// Where secrets are found.
#[derive(Debug, Clone)]
pub struct Secrets {
    file: PathBuf,
    values: BTreeMap<String, SecretString>,
}

/// A secret that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not set: it is neither in the environment nor in {file}; set it there and try again")]
pub struct MissingSecret {
    /// The variable.
    pub name: String,
    /// The env file that was looked into.
    pub file: String,
}

/// The env file is there and cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// It cannot be opened.
    #[error("the env file {file} cannot be opened: {source}; nothing was read from it")]
    Open {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no NAME=value. What it holds is not said: it may be a secret.
    #[error(
        "the env file {file} has a line that is not NAME=value, after {read} that are; mend it and try again"
    )]
    Line {
        /// The file.
        file: String,
        /// How many variables came before it.
        read: usize,
    },
}

impl Secrets {
    /// Reads an env file. One that does not exist is empty.
    ///
    /// # Errors
    /// A file that cannot be opened, or a line that cannot be read.
    pub fn load(file: &Path) -> Result<Self, SecretsError> {
        let shown = || file.display().to_string();
        let mut values = BTreeMap::new();
        match dotenvy::from_path_iter(file) {
            Ok(lines) => {
                for line in lines {
                    let (name, value) =
                        line.map_err(|_| SecretsError::Line { file: shown(), read: values.len() })?;
                    values.insert(name, SecretString::from(value));
                }
            }
            Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(dotenvy::Error::Io(source)) => return Err(SecretsError::Open { file: shown(), source }),
            Err(_) => return Err(SecretsError::Line { file: shown(), read: 0 }),
        }
        Ok(Self { file: file.to_owned(), values })
    }

    /// Secrets from these values alone; the environment still goes first.
    pub fn of(values: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        Self { file: PathBuf::from("the given values"), values: values.into_iter().collect() }
    }

    /// The secret of that variable. An empty one counts as missing.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn secret(&self, name: &str) -> Result<SecretString, MissingSecret> {
        use secrecy::ExposeSecret;
        let environment = std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString::from);
        environment
            .or_else(|| self.values.get(name).filter(|value| !value.expose_secret().is_empty()).cloned())
            .ok_or_else(|| MissingSecret { name: name.to_owned(), file: self.file.display().to_string() })
    }
}

impl Secrets {
    /// A secret of that variable that is another than this one: the file's goes first, for the environment of a process
    /// that runs does not change.
    pub fn other_than(&self, name: &str, old: &SecretString) -> Option<SecretString> {
        use secrecy::ExposeSecret;
        let environment = std::env::var(name).ok().map(SecretString::from);
        let another = |value: &SecretString| {
            !value.expose_secret().is_empty() && value.expose_secret() != old.expose_secret()
        };
        [self.values.get(name).cloned(), environment].into_iter().flatten().find(another)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_environment_goes_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        std::fs::write(&file, "CARGO_MANIFEST_DIR=file\nGONOGO_TEST_TOKEN='to ken'\nGONOGO_TEST_EMPTY=\n")
            .unwrap();
        let secrets = Secrets::load(&file).unwrap();
        let value = |name| secrets.secret(name).map(|secret| secret.expose_secret().to_owned());
        assert_eq!(value("CARGO_MANIFEST_DIR").unwrap(), env!("CARGO_MANIFEST_DIR"));
        assert_eq!(value("GONOGO_TEST_TOKEN").unwrap(), "to ken");
        assert!(value("GONOGO_TEST_EMPTY").is_err());
        let other = |name, old: &str| secrets.other_than(name, &SecretString::from(old));
        assert!(
            other("GONOGO_TEST_TOKEN", "to ken").is_none() && other("GONOGO_TEST_EMPTY", "old").is_none()
        );
        assert_eq!(other("CARGO_MANIFEST_DIR", "old").unwrap().expose_secret(), "file");
        let said = value("GONOGO_TEST_NOWHERE").unwrap_err().to_string();
        assert!(said.contains("GONOGO_TEST_NOWHERE") && said.contains(".env"), "{said}");
        assert!(!format!("{secrets:?}").contains("to ken"));
    }

    #[test]
    fn a_broken_line_is_said_without_its_text_and_a_missing_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        assert!(Secrets::load(&file).is_ok());
        std::fs::write(&file, "A=1\nhunter2 hunter2\n").unwrap();
        let said = Secrets::load(&file).unwrap_err().to_string();
        assert!(said.contains("after 1") && !said.contains("hunter2"), "{said}");
    }
}
