//! What the attributes of an item, heading or gate mean. An unknown word is a problem with the nearest right one.
//!
//! A new action or check is one arm here and its name in the list above it.

use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveTime;

use super::super::problem::{Problem, meant};
use super::super::{Role, checklist::times};
use super::attributes::Attributes;
use super::{Action, Check, ItemKind};

const KEYS: [&str; 22] = [
    "owner", "check", "action", "expect", "path", "contains", "to", "only", "share", "message", "rung",
    "name", "query", "due", "wait", "takes", "starts", "sign", "people", "choice", "file", "id",
];
/// The largest number of a migration that a bookkeeping table can hold; versions that are dates are far below it.
const LARGEST_NUMBER: u64 = i64::MAX.unsigned_abs();
const ACTIONS: [&str; 8] = ["backup", "migrate", "deploy", "import", "sync", "announce", "rollout", "drill"];
const CHECKS: [&str; 15] = [
    "http",
    "health",
    "version",
    "sql",
    "sentry",
    "posthog",
    "pulse",
    "migrations",
    "import",
    "contract",
    "new-errors",
    "metric",
    "flag",
    "env",
    "command",
];

/// What a heading says of its phase or section.
#[derive(Debug, Clone, Default)]
pub(super) struct OfHeading {
    pub(super) id: Option<String>,
    pub(super) owner: Option<Role>,
    pub(super) takes: Option<Duration>,
    pub(super) starts: Option<NaiveTime>,
    pub(super) gate: OfGate,
}

/// What a gate says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OfGate {
    pub(super) id: Option<String>,
    pub(super) sign: Vec<Role>,
    pub(super) people: Option<u8>,
}

/// What an item says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct OfItem {
    pub(super) id: Option<String>,
    pub(super) owner: Option<Role>,
    pub(super) action: Option<Action>,
    pub(super) check: Option<Check>,
    pub(super) kind: Option<ItemKind>,
    pub(super) due: Option<Duration>,
    pub(super) wait: Option<Duration>,
}

/// Takes keys one by one; what is left over at the end has no business there.
struct Keys<'a> {
    file: &'a str,
    line: usize,
    id: Option<String>,
    left: Vec<(String, String)>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Keys<'a> {
    fn new(attributes: Attributes, file: &'a str, line: usize, problems: &'a mut Vec<Problem>) -> Self {
        for word in &attributes.stray {
            let problem = Problem::at(file, line, format!("{word:?} among the attributes is no key=value"));
            problems.push(problem.instead("write key=value, key=\"some words\", #id or .class"));
        }
        let mut keys = Self { file, line, id: attributes.id, left: Vec::new(), problems };
        for (key, value) in attributes.pairs {
            if keys.left.iter().any(|(seen, _)| *seen == key) {
                keys.problem(format!("attribute {key:?} stands there twice"), "keep one".to_owned());
            } else {
                keys.left.push((key, value));
            }
        }
        if let Some(id) = keys.take("id") {
            keys.id = Some(id);
        }
        keys
    }

    fn problem(&mut self, what: String, instead: String) {
        self.problems.push(Problem::at(self.file, self.line, what).instead(instead));
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.left.iter().position(|(name, _)| name == key)?;
        Some(self.left.remove(at).1)
    }

    fn need(&mut self, key: &str, of: &str, example: &str) -> Option<String> {
        let value = self.take(key);
        if value.is_none() {
            self.problem(format!("{of} needs {key}"), format!("write {of} {key}={example}"));
        }
        value
    }

    fn span(&mut self, key: &str) -> Option<Duration> {
        let value = self.take(key)?;
        let span = times::span(&value);
        if span.is_none() {
            self.problem(
                format!("{key}={value:?} is no duration"),
                format!("write {key}=15m, {key}=2h or {key}=1w"),
            );
        }
        span
    }

    fn number<T: FromStr + PartialOrd>(
        &mut self,
        key: &str,
        value: &str,
        most: &T,
        example: &str,
    ) -> Option<T> {
        let number = value.trim_end_matches('%').parse().ok().filter(|number| number <= most);
        if number.is_none() {
            self.problem(format!("{key}={value:?} is no number that fits"), format!("write {key}={example}"));
        }
        number
    }

    fn role(&mut self, key: &str, word: &str) -> Option<Role> {
        let role = word.parse();
        if role.is_err() {
            let words = Role::PEOPLE.map(Role::word);
            self.problem(format!("{key}={word:?} is no role"), meant(word, words));
        }
        role.ok()
    }

    fn owner(&mut self) -> Option<Role> {
        let word = self.take("owner")?;
        self.role("owner", &word)
    }

    fn gate(&mut self) -> OfGate {
        let words = self.take("sign").unwrap_or_default();
        let words = words.split([' ', ',', '+']).filter(|word| !word.is_empty()).collect::<Vec<_>>();
        let sign = words.iter().filter_map(|word| self.role("sign", word)).collect::<Vec<_>>();
        let people = self.take("people").and_then(|value| self.number("people", &value, &20_u8, "2"));
        OfGate { id: self.id.clone(), sign, people: people.map(|people| people.max(1)) }
    }

    fn finish(mut self, place: &str) {
        for (key, value) in std::mem::take(&mut self.left) {
            if KEYS.contains(&key.as_str()) {
                self.problem(
                    format!("attribute {key:?} has nothing to say on {place}"),
                    format!("take {key}={value} away, or move it to where it belongs"),
                );
            } else {
                self.problem(format!("unknown attribute {key:?}"), meant(&key, KEYS));
            }
        }
    }
}

/// Reads the attributes of a heading.
pub(super) fn heading(found: Attributes, file: &str, line: usize, problems: &mut Vec<Problem>) -> OfHeading {
    let mut keys = Keys::new(found, file, line, problems);
    let owner = keys.owner();
    let takes = keys.span("takes");
    let starts = keys.take("starts").and_then(|value| {
        let starts = times::clock(&value);
        if starts.is_none() {
            keys.problem(format!("starts={value:?} is no time of day"), "write starts=10:00".to_owned());
        }
        starts
    });
    let gate = keys.gate();
    let id = keys.id.clone();
    keys.finish("a heading");
    OfHeading { id, owner, takes, starts, gate }
}

/// Reads the attributes of a checkpoint or sign-off.
pub(super) fn gate(found: Attributes, file: &str, line: usize, problems: &mut Vec<Problem>) -> OfGate {
    let mut keys = Keys::new(found, file, line, problems);
    if let Some(owner) = keys.owner() {
        let mut gate = keys.gate();
        if gate.sign.is_empty() {
            gate.sign.push(owner);
        }
        keys.finish("a checkpoint");
        return gate;
    }
    let gate = keys.gate();
    keys.finish("a checkpoint");
    gate
}

/// Reads the attributes of an item.
pub(super) fn item(found: Attributes, file: &str, line: usize, problems: &mut Vec<Problem>) -> OfItem {
    let mut keys = Keys::new(found, file, line, problems);
    let owner = keys.owner();
    let due = keys.span("due");
    let wait = keys.span("wait");
    let (action, check) = (keys.take("action"), keys.take("check"));
    let mut place = "a plain item".to_owned();
    let check = check.and_then(|word| {
        place = format!("an item with check={word}");
        check_of(&word, &mut keys)
    });
    let action = action.and_then(|word| {
        place = format!("an item with action={word}");
        action_of(&word, &mut keys)
    });
    let kind = kind_of(&mut keys);
    let id = keys.id.clone();
    keys.finish(&place);
    OfItem { id, owner, action, check, kind, due, wait }
}

fn kind_of(keys: &mut Keys<'_>) -> Option<ItemKind> {
    let expect = keys.take("expect");
    let Some(words) = keys.take("choice") else {
        return expect.map(|expect| ItemKind::Value { expect: Some(expect) });
    };
    let apart = ['|', '/', '·', ','].into_iter().find(|separator| words.contains(*separator)).unwrap_or(' ');
    let of = words.split(apart).map(|word| word.trim().to_owned()).filter(|word| !word.is_empty());
    let of = of.collect::<Vec<_>>();
    if of.len() < 2 {
        keys.problem(
            format!("choice={words:?} leaves no choice"),
            "write choice=\"GREEN YELLOW RED\", or with | between options of several words".to_owned(),
        );
    }
    Some(ItemKind::Choice { of })
}

fn action_of(word: &str, keys: &mut Keys<'_>) -> Option<Action> {
    Some(match word {
        "backup" => Action::Backup,
        "migrate" => {
            let to = keys.take("to");
            Action::Migrate { to: to.and_then(|to| keys.number("to", &to, &LARGEST_NUMBER, "3")) }
        }
        "deploy" => Action::Deploy,
        "import" => Action::Import,
        "sync" => Action::Sync,
        "announce" => Action::Announce { message: keys.need("message", "action=announce", "success")? },
        "rollout" => {
            let share = keys.need("share", "action=rollout", "10")?;
            Action::Rollout { share: keys.number("share", &share, &100, "10")? }
        }
        "drill" => {
            let rung = keys.need("rung", "action=drill", "1")?;
            Action::Drill { rung: keys.number("rung", &rung, &u8::MAX, "1")? }
        }
        other => {
            keys.problem(format!("unknown action {other:?}"), meant(other, ACTIONS));
            keys.left.clear();
            return None;
        }
    })
}

fn check_of(word: &str, keys: &mut Keys<'_>) -> Option<Check> {
    Some(match word {
        "http" => {
            let path = keys.take("path").unwrap_or_else(|| "/".to_owned());
            Check::Http { path, contains: keys.take("contains") }
        }
        "health" => Check::Health,
        "version" => Check::Version,
        "sql" => Check::Sql { query: keys.take("query"), expect: keys.take("expect") },
        "sentry" => Check::Sentry,
        "posthog" => Check::Posthog,
        "pulse" => Check::Pulse,
        "migrations" => {
            let only = keys.take("only");
            Check::Migrations { only: only.and_then(|only| keys.number("only", &only, &LARGEST_NUMBER, "1")) }
        }
        "import" => Check::Import,
        "contract" => Check::Contract,
        "new-errors" => Check::NewErrors,
        "metric" => Check::Metric { name: keys.need("name", "check=metric", "error_rate")? },
        "flag" => {
            let share = keys.need("share", "check=flag", "10")?;
            Check::Flag { share: keys.number("share", &share, &100, "10")? }
        }
        "env" => Check::Env { file: keys.take("file") },
        "command" => Check::Command,
        other => {
            keys.problem(format!("unknown check {other:?}"), meant(other, CHECKS));
            keys.left.clear();
            return None;
        }
    })
}
