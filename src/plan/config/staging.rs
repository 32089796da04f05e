//! `[staging]`: the place beside production where the ways out are drilled before the day, by a gonogo.toml of its own.
//!
//! It guarantees that a staging which is production after all is told by what both files name. No file is opened here.

use std::path::PathBuf;

use serde::Deserialize;

use super::Config;

/// `[staging]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Staging {
    /// Its gonogo.toml, from the directory of this one. Without it nothing is drilled on the day itself.
    pub config: Option<PathBuf>,
}

/// What a drill on staging would switch in production, in the words of the tables that name it in both files.
pub(in crate::plan) fn shared(production: &Config, staging: &Config) -> Vec<&'static str> {
    fn same<T: PartialEq>(of: impl Fn(&Config) -> Option<T>, production: &Config, staging: &Config) -> bool {
        of(production).is_some_and(|named| of(staging) == Some(named))
    }
    let app = |config: &Config| config.app.url.clone();
    let flag = |config: &Config| {
        let posthog = config.services.posthog.clone()?;
        Some((posthog.api, posthog.project_id, posthog.flag?))
    };
    let project = |config: &Config| {
        config.services.vercel.clone().map(|vercel| (vercel.api, vercel.project, vercel.team))
    };
    [
        (same(app, production, staging), "[app] url"),
        (same(flag, production, staging), "the flag of [services.posthog]"),
        (same(project, production, staging), "the project of [services.vercel]"),
    ]
    .into_iter()
    .filter_map(|(same, what)| same.then_some(what))
    .collect()
}
