//! Proof that the application's environment file is complete and free of placeholders.
//!
//! It guarantees that no value of the file reaches the evidence, only names; and that the one value which contradicts the plan,
//! a rollout share above its first stage, is a failure. What a browser could read of it is named as a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Case, Proof, Proven, failure};
use crate::plan::config::Services;
use crate::run::Failure;

/// Beside the environment file, a file of this name lists what must be in it.
const TEMPLATES: [&str; 4] =
    [".env.production.example", ".env.example", ".env.template", ".env.production.template"];
const SHARE: &str = "VITE_ROLLOUT_PERCENTAGE";
/// Parts of placeholders, in lower case.
const PLACEHOLDERS: [&str; 6] =
    ["your-project", "your_project", "yourcompany", "your-company", "changeme", "replace_me"];
/// Parts of names that speak of secrets.
const SECRET_NAMES: [&str; 6] = ["SECRET", "SERVICE_ROLE", "PRIVATE", "PASSWORD", "TOKEN", "API_KEY"];
/// Beginnings of values that are secret whatever their name.
const SECRET_VALUES: [&str; 9] =
    ["sntrys_", "sntryu_", "phx_", "phs_", "xoxb-", "xoxp-", "sbp_", "sk_live_", "postgres"];

pub(super) fn prove(case: &Case<'_>, file: Option<&str>) -> Proven {
    let config = case.kit.config();
    let path = case.kit.path(file.map_or(&*config.app.environment, Path::new));
    let values = load(&path)?;
    let wanted = wanted(&path, &config.services)?;
    let first = case.plan.rollout.first().map(|stage| stage.share);
    let shown = path.display().to_string();
    let at = case.clock().now().format("%H:%M:%SZ");
    let found = look(&values, &wanted, first);
    if found.bad.is_empty() {
        let warnings = if found.warnings.is_empty() {
            String::new()
        } else {
            format!("; warning: {}", found.warnings.join("; "))
        };
        return Ok(Proof::that(format!(
            "{} variables in {shown}, none a placeholder{warnings} (read at {at})",
            values.len()
        )));
    }
    Err(failure(format!("{shown}: {}", found.bad.join("; ")), "correct the file, build again, and ask again"))
}

fn load(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let shown = path.display();
    let broken = |read: usize, error: &dotenvy::Error| match error {
        dotenvy::Error::Io(error) => {
            failure(format!("{shown} cannot be read: {error}"), "put the file there")
        }
        // What the line holds is not said: it may be a secret.
        _ => {
            failure(format!("{shown}: a line after {read} variables is not NAME=value"), "correct that line")
        }
    };
    let mut values = BTreeMap::new();
    for line in dotenvy::from_path_iter(path).map_err(|error| broken(0, &error))? {
        let (name, value) = line.map_err(|error| broken(values.len(), &error))?;
        values.insert(name, value);
    }
    Ok(values)
}

/// The names that must be there: those of a template beside the file, and those by which gonogo.toml calls the application's own.
fn wanted(path: &Path, services: &Services) -> Result<BTreeSet<String>, Failure> {
    let mut names = BTreeSet::new();
    for template in TEMPLATES {
        let template = path.with_file_name(template);
        if template != path && template.exists() {
            names.extend(load(&template)?.into_keys());
        }
    }
    let configured = [
        services.sentry.as_ref().map(|sentry| &sentry.dsn_env),
        services.posthog.as_ref().map(|posthog| &posthog.project_key_env),
        services.pulse.as_ref().map(|pulse| &pulse.token_env),
    ];
    names.extend(configured.into_iter().flatten().filter(|name| name.starts_with("VITE_")).cloned());
    Ok(names)
}

#[derive(Debug, Default)]
struct Found {
    bad: Vec<String>,
    warnings: Vec<String>,
}

fn look(values: &BTreeMap<String, String>, wanted: &BTreeSet<String>, first_share: Option<u8>) -> Found {
    let mut found = Found::default();
    if values.is_empty() {
        found.bad.push("it holds no variable".into());
    }
    let list = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut say = |what: &str, names: Vec<&String>| {
        if !names.is_empty() {
            found.bad.push(format!("{what}: {}", list(names)));
        }
    };
    say("missing", wanted.iter().filter(|name| !values.contains_key(*name)).collect());
    let of = |which: fn(&str) -> bool| {
        values.iter().filter(|(_, v)| which(v)).map(|(name, _)| name).collect::<Vec<_>>()
    };
    say("placeholders", of(is_placeholder));
    let empty = of(|value| value.trim().is_empty()).into_iter();
    say("empty", empty.filter(|name| name.starts_with("VITE_") || wanted.contains(*name)).collect());
    if let (Some(share), Some(first)) = (values.get(SHARE), first_share) {
        match share.trim().trim_end_matches('%').trim().parse::<f64>() {
            Ok(share) if share > f64::from(first) => found.bad.push(format!(
                "{SHARE} is {share} %, and the plan begins with {first} %: everybody would have the feature at once"
            )),
            Ok(_) => {}
            Err(_) => found.bad.push(format!("{SHARE} is not a number")),
        }
    }
    let secret: Vec<&String> =
        values.iter().filter(|(name, value)| in_browsers(name, value)).map(|(name, _)| name).collect();
    if !secret.is_empty() {
        found.warnings.push(format!("every browser can read what looks like a secret in {}", list(secret)));
    }
    found
}

fn is_placeholder(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    let framed = (value.starts_with("your_") || value.starts_with("your-"))
        && (value.ends_with("_here") || value.ends_with("-here"));
    framed
        || value.contains("_here") && value.contains("your_")
        || value.starts_with('<') && value.ends_with('>')
        || PLACEHOLDERS.iter().any(|part| value.contains(part))
}

/// Whether a variable is baked into the page and looks like a secret. Keys that are made to be public are not.
fn in_browsers(name: &str, value: &str) -> bool {
    if !name.starts_with("VITE_") || value.trim().is_empty() {
        return false;
    }
    let public = name.contains("ANON_KEY") || name.contains("PUBLISHABLE") || value.starts_with("phc_");
    let named = SECRET_NAMES.iter().any(|part| name.contains(part));
    SECRET_VALUES.iter().any(|start| value.starts_with(start)) || (named && !public)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named_and_never_shown() {
        let good = ("VITE_SUPABASE_URL", "https://abcd.supabase.co");
        let table: [(&str, &str, &str); 11] = [
            ("VITE_PULSE_API_URL", "https://pulse.yourcompany.com", "placeholders: VITE_PULSE_API_URL"),
            ("VITE_SUPABASE_ANON_KEY", "your_supabase_anon_key_here", "placeholders: VITE_SUPABASE_ANON_KEY"),
            ("VITE_A", "https://your-project.supabase.co", "placeholders: VITE_A"),
            ("VITE_A", "<the key>", "placeholders: VITE_A"),
            ("VITE_A", "", "empty: VITE_A"),
            ("NODE_OPTIONS", "", ""),
            (
                "VITE_ROLLOUT_PERCENTAGE",
                "100",
                "VITE_ROLLOUT_PERCENTAGE is 100 %, and the plan begins with 10 %",
            ),
            ("VITE_ROLLOUT_PERCENTAGE", "10", ""),
            ("VITE_ROLLOUT_PERCENTAGE", "all", "is not a number"),
            ("VITE_GREETING", "you are here", ""),
            ("OTHER", "x", ""),
        ];
        for (name, value, expected) in table {
            let found = look(&values(&[good, (name, value)]), &BTreeSet::new(), Some(10));
            let said = found.bad.join("; ");
            assert!(
                said.contains(expected) && said.is_empty() == expected.is_empty(),
                "{name}={value}: {said:?}"
            );
        }
        let wanted = ["VITE_SENTRY_DSN".to_owned()].into();
        assert_eq!(look(&values(&[good]), &wanted, None).bad, ["missing: VITE_SENTRY_DSN"]);
        assert_eq!(look(&BTreeMap::new(), &BTreeSet::new(), None).bad, ["it holds no variable"]);
    }

    #[test]
    fn secrets_that_every_browser_gets_are_warned_of_by_name() {
        let table = [
            ("VITE_PULSE_API_KEY", "pk-123456", true),
            ("VITE_SUPABASE_SERVICE_ROLE_KEY", "eyJhbGciOi", true),
            ("VITE_ANYTHING", "sntrys_abcdef", true),
            ("VITE_DATABASE", "postgres://u:p@h/d", true),
            ("VITE_POSTHOG_API_KEY", "phc_abcdef", false),
            ("VITE_SUPABASE_ANON_KEY", "eyJhbGciOi", false),
            ("PULSE_SECRET", "hush-hush", false),
        ];
        for (name, value, warned) in table {
            let found = look(&values(&[(name, value)]), &BTreeSet::new(), None);
            assert_eq!(found.warnings.iter().any(|words| words.contains(name)), warned, "{name}");
            assert!(!format!("{found:?}").contains(value), "{name}'s value is not said");
        }
    }

    #[test]
    fn a_template_beside_the_file_says_what_is_wanted_and_a_broken_line_keeps_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env.production");
        assert!(load(&file).unwrap_err().what.contains("cannot be read"));
        std::fs::write(&file, "A=1\nhunter2 hunter2\n").unwrap();
        let said = load(&file).unwrap_err().to_string();
        assert!(said.contains("after 1 variables") && !said.contains("hunter2"), "{said}");
        std::fs::write(dir.path().join(".env.example"), "A=\nB=\n").unwrap();
        let wanted = wanted(&file, &Services::default()).unwrap();
        assert_eq!(wanted.into_iter().collect::<Vec<_>>(), ["A", "B"]);
    }
}
