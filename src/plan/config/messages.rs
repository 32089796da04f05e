//! `[messages.NAME]`: what is told to whom. Those of every deployment, changed or joined by the file's own.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Where it goes.
    pub channel: Channel,
    /// Its text, with placeholders in braces.
    pub text: String,
    /// The state a status page's incident moves to.
    pub status: Option<PageStatus>,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// The team's channel of the day.
    Deployment,
    /// Everybody in the house.
    General,
    /// At once.
    Incidents,
    /// Users, on the status page.
    StatusPage,
    /// Whoever is on call.
    Pager,
}

/// The states of an incident or a maintenance on the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageStatus {
    /// A maintenance to come.
    Scheduled,
    /// A maintenance that runs.
    InProgress,
    /// A maintenance being verified.
    Verifying,
    /// A maintenance that is over.
    Completed,
    /// An incident without a known cause.
    Investigating,
    /// Its cause is known.
    Identified,
    /// It is mended, and watched.
    Monitoring,
    /// It is over.
    Resolved,
}

/// The words that a message's braces may hold.
pub const PLACEHOLDERS: [&str; 18] = [
    "actions",
    "deployment",
    "done",
    "eta",
    "issue",
    "lead",
    "next_update",
    "outcome",
    "phase",
    "reason",
    "rung",
    "severity",
    "share",
    "time",
    "took",
    "total",
    "url",
    "version",
];

/// The text with each placeholder filled in. What is not known is said to be unknown.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = placeholder(rest) {
        filled.push_str(before);
        filled.push_str(&value(name).unwrap_or_else(|| "unknown".to_owned()));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The placeholders of a text.
pub(super) fn placeholders(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, name, after)) = placeholder(rest) {
        names.push(name);
        rest = after;
    }
    names
}

fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find('{')?;
    let close = open + text[open..].find('}')?;
    Some((&text[..open], text[open + 1..close].trim(), &text[close + 1..]))
}

/// The messages of every deployment.
pub fn defaults() -> BTreeMap<String, Message> {
    use Channel::{Deployment, General, Incidents, Pager, StatusPage};

    let message = |name: &str, channel, status, text: &str| {
        (name.to_owned(), Message { channel, status, text: text.to_owned() })
    };
    BTreeMap::from([
        message(
            "briefing",
            General,
            None,
            "{deployment} {version} goes live at {time}. Expect short interruptions; questions to {lead}.",
        ),
        message(
            "started",
            Deployment,
            None,
            "{deployment} {version} has begun. Lead: {lead}. Next update at {next_update}.",
        ),
        message("status", Deployment, None, "{phase}: {done} of {total} done. Next update at {next_update}."),
        message("success", General, None, "{deployment} {version} is live: {url}. Thank you all."),
        message("rollout", Deployment, None, "{deployment} is now on for {share} of users."),
        message(
            "incident",
            Incidents,
            None,
            "[{severity}] {deployment}, {time}: {issue}. Users affected: {share}. Actions: {actions}. ETA: {eta}. Lead: {lead}. Next update at {next_update}.",
        ),
        message(
            "rollback",
            Incidents,
            None,
            "{deployment} {version} is rolled back ({rung}), {time}. Reason: {reason}. Took {took}. Lead: {lead}. Next update at {next_update}.",
        ),
        message("page", Pager, None, "{deployment}: {issue}"),
        message(
            "maintenance-scheduled",
            StatusPage,
            Some(PageStatus::Scheduled),
            "Scheduled maintenance of {deployment}, beginning {time}.",
        ),
        message(
            "maintenance-started",
            StatusPage,
            Some(PageStatus::InProgress),
            "Maintenance in progress. Some pages may be briefly unavailable.",
        ),
        message(
            "operational",
            StatusPage,
            Some(PageStatus::Completed),
            "All systems operational. {deployment} {version} is live.",
        ),
        message(
            "investigating",
            StatusPage,
            Some(PageStatus::Investigating),
            "We are looking into a problem: {issue}",
        ),
        message(
            "identified",
            StatusPage,
            Some(PageStatus::Identified),
            "The cause is known. We are going back to the previous version.",
        ),
        message(
            "monitoring",
            StatusPage,
            Some(PageStatus::Monitoring),
            "The previous version is back. We are watching it.",
        ),
        message("resolved", StatusPage, Some(PageStatus::Resolved), "This is resolved."),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_said_to_be() {
        let filled = fill("{ version } at {eta}, {", |name| (name == "version").then(|| "2.0".to_owned()));
        assert_eq!(filled, "2.0 at unknown, {");
    }

    #[test]
    fn the_default_messages_use_known_placeholders_only() {
        for (name, message) in defaults() {
            for word in placeholders(&message.text) {
                assert!(PLACEHOLDERS.contains(&word), "{name}: {word}");
            }
        }
    }
}
