//! Keeps secrets out of gonogo.toml: the file names variables, and never holds what is in them.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value, the key path to it, and where it stands.
pub(super) struct Found<'a> {
    pub(super) path: Vec<String>,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// Every string of a file.
pub(super) fn strings<'a>(table: &'a DeTable<'_>) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    for (key, value) in table {
        walk(value, &mut vec![key.get_ref().to_string()], &mut found);
    }
    found
}

fn walk<'a>(value: &'a Spanned<DeValue<'_>>, path: &mut Vec<String>, found: &mut Vec<Found<'a>>) {
    match value.get_ref() {
        DeValue::String(text) => found.push(Found { path: path.clone(), text, at: value.span().start }),
        DeValue::Array(values) => {
            for value in values {
                walk(value, path, found);
            }
        }
        DeValue::Table(table) => {
            for (key, value) in table {
                path.push(key.get_ref().to_string());
                walk(value, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

const PREFIXES: [&str; 20] = [
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxe-",
    "xapp-",
    "phx_",
    "sbp_",
    "sb_secret_",
    "sntrys_",
    "sntryu_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "sk-",
    "AKIA",
    "vcp_",
    "Bearer ",
    "-----BEGIN",
];

/// Whether a value looks like a secret itself.
pub(super) fn looks_secret(text: &str) -> bool {
    let text = text.trim();
    let known = PREFIXES.iter().any(|prefix| text.starts_with(prefix) && text.len() >= prefix.len() + 6);
    let token = text.starts_with("eyJ") && text.matches('.').count() == 2 && !text.contains(' ');
    let hook = text.contains("hooks.slack.com/services/");
    let password = text.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', ' ']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, word)| !word.is_empty()))
    });
    known || token || hook || password
}

/// Whether a word can be the name of an environment variable.
pub(super) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_names_and_addresses() {
        for secret in [
            "xoxb-123456-abcdef",
            "phx_abcdefghijk",
            "sbp_0123456789",
            "postgres://app:hunter2@db.example.com:5432/app",
            "https://hooks.slack.com/services/T0/B0/xyz",
            "eyJhbGciOi.eyJzdWIi.c2ln",
        ] {
            assert!(looks_secret(secret), "{secret}");
        }
        for plain in [
            "DATABASE_URL",
            "https://sentry.io",
            "postgres://db.example.com/app",
            "postgres://app@db/app",
            "sk-ip",
            "#general",
            "mail me@example.com",
        ] {
            assert!(!looks_secret(plain), "{plain}");
        }
    }
}
