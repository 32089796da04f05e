//! Parses gonogo.toml and judges its values: every problem with its line and the nearest right word.

use toml::de::{DeTable, DeValue};

mod rest;

use rest::Rest;

use super::super::problem::{Problem, meant, nearest};
use super::super::{Action, Better, Check, Checklist, Phase};
use super::{Config, guard, messages, metrics, ways};

/// The text, and where in it things stand.
struct Source<'a> {
    text: &'a str,
    file: &'a str,
    table: Option<&'a DeTable<'a>>,
}

pub(super) fn parse(text: &str, file: &str) -> Result<Config, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source { text, file, table: None };
    let table = DeTable::parse(text).map_err(|error| vec![source.explain(&error)])?;
    let source = Source { table: Some(table.get_ref()), ..source };
    let secrets = source.secrets();
    let mut rest = Rest::of(text);
    let mut problems = Vec::new();
    // The reader stops at the first problem; what it stopped at is taken out, and the rest is read again.
    let config: Option<Config> = loop {
        match toml::from_str(rest.text()) {
            Ok(config) => break Some(config),
            // What the reader says may quote the very secret.
            Err(_) if !secrets.is_empty() => return Err(secrets),
            // Taken out in the middle of a value that spans lines.
            Err(_) if rest.is_cut_through() => break None,
            Err(error) => {
                let follows = error.message().starts_with("missing field");
                if !(follows && error.span().is_some_and(|span| rest.is_torn(span.start))) {
                    problems.push(source.explain(&error));
                }
                if !error.span().is_some_and(|span| rest.take_out(span)) {
                    break None;
                }
            }
        }
    };
    problems.extend(secrets);
    if let Some(config) = &config {
        let whole = |problem: &Problem| !rest.is_torn(rest.offset(problem.line));
        problems.extend(source.values(config).into_iter().filter(whole));
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

impl Source<'_> {
    fn at(&self, offset: usize, what: impl Into<String>) -> Problem {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Problem::at(self.file, line, what).column(column)
    }

    /// Where a key stands, or the nearest table above it.
    fn place(&self, path: &[&str]) -> usize {
        let mut at = 0;
        let mut table = self.table;
        for key in path {
            let Some((found, value)) = table.and_then(|table| table.get_key_value(*key)) else { return at };
            at = found.span().start;
            table = match value.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            };
        }
        at
    }

    /// Where the n-th table of a list stands.
    fn entry(&self, list: &str, index: usize) -> usize {
        let value = self.table.and_then(|table| table.get(list)).map(toml::Spanned::get_ref);
        match value {
            Some(DeValue::Array(entries)) => entries.get(index).map_or(0, |entry| entry.span().start),
            _ => 0,
        }
    }

    fn explain(&self, error: &toml::de::Error) -> Problem {
        let message = error.message();
        let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
        let words = ticked(expected);
        let offset = error.span().map_or(0, |span| span.start);
        let problem = self.at(offset, what.replace('`', "\"").replace("unknown field", "unknown key"));
        match ticked(what).first() {
            Some(word) if !words.is_empty() && what.starts_with("unknown") => {
                problem.instead(meant(word, words.iter().copied()))
            }
            _ if what.starts_with("relative URL without a base") => {
                let what = what.replacen("relative URL without a base", "no whole address", 1);
                self.at(offset, what).instead("write it with its scheme, as in \"https://app.example.com/\"")
            }
            _ if what.starts_with("invalid basic string") => self
                .at(offset, "the text is not closed")
                .instead("end it with a quotation mark on the same line"),
            _ if !expected.is_empty() => problem.instead(format!("it should be {}", kind(expected))),
            _ => match what.split_once("; ") {
                Some((what, instead)) => self.at(offset, what).instead(instead),
                None => problem,
            },
        }
    }

    /// Secrets that stand in the file themselves, and names that can be none.
    fn secrets(&self) -> Vec<Problem> {
        let Some(table) = self.table else { return Vec::new() };
        let found = guard::strings(table).into_iter().filter_map(|found| {
            let key = found.path.last().map_or("", String::as_str);
            let path = found.path.join(".");
            let names_one = key.ends_with("_env");
            if guard::looks_secret(found.text) || (names_one && !guard::is_variable(found.text)) {
                let what = if names_one {
                    format!("{path} is not the name of an environment variable")
                } else {
                    format!("{path} holds what looks like a secret")
                };
                let instead = "put the secret into an environment variable or the env file, and write the variable's name here";
                return Some(self.at(found.at, what).instead(instead));
            }
            None
        });
        found.collect()
    }

    fn values(&self, config: &Config) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say =
            |at: usize, what: String, instead: &str| problems.push(self.at(at, what).instead(instead));

        let import = &config.import;
        if !(1..=1000).contains(&import.page_size) {
            say(
                self.place(&["import", "page_size"]),
                format!("page_size {} is out of bounds", import.page_size),
                "write 1 to 1000",
            );
        }
        if !(0.0..=1.0).contains(&import.quarantine_share) {
            say(
                self.place(&["import", "quarantine_share"]),
                format!("quarantine_share {} is no share", import.quarantine_share),
                "write 0 to 1 (0.01 is 1 %)",
            );
        }
        for (key, value) in [
            ("requests_per_minute", import.requests_per_minute),
            ("interactions_per_minute", import.interactions_per_minute),
            ("max_latency_ms", import.max_latency_ms),
            ("max_lag_ms", import.max_lag_ms),
            ("attempts", import.attempts),
        ] {
            if value == 0 {
                say(
                    self.place(&["import", key]),
                    format!("{key} is 0: nothing would be imported"),
                    "write 1 or more",
                );
            }
        }
        if import.sync_every.is_zero() {
            say(self.place(&["import", "sync_every"]), "sync_every is 0".to_owned(), "write \"15m\"");
        }
        if let Some(slack) = &config.services.slack
            && slack.token_env.is_none() == slack.webhook_env.is_none()
        {
            let what = "services.slack needs a way to post, and one only".to_owned();
            say(
                self.place(&["services", "slack"]),
                what,
                "write token_env = \"SLACK_BOT_TOKEN\", or webhook_env",
            );
        }
        for (name, table) in &config.metrics {
            let missing = table.missing();
            if !metrics::is_default(name) && !missing.is_empty() {
                let known = metrics::defaults();
                let near = nearest(name, known.iter().map(|metric| &*metric.id.0));
                let hint = near.map_or_else(String::new, |near| format!(", or did you mean {near:?}?"));
                say(
                    self.place(&["metrics", name]),
                    format!("the gauge {name:?} is new and lacks {}", missing.join(", ")),
                    &format!("write them{hint}"),
                );
            }
        }
        for metric in metrics::merged(&config.metrics) {
            let worse = match metric.better {
                Better::Lower => metric.alert < metric.target,
                Better::Higher => metric.alert > metric.target,
            };
            if worse || !metric.alert.is_finite() || !metric.target.is_finite() {
                say(
                    self.place(&["metrics", &metric.id.0, "alert"]),
                    format!(
                        "{}: alert {} is on the good side of target {}",
                        metric.id, metric.alert, metric.target
                    ),
                    "the alert must be worse than the target",
                );
            }
        }
        self.ways(config, &mut say);
        for (name, message) in &config.messages {
            for word in messages::placeholders(&message.text) {
                if !messages::PLACEHOLDERS.contains(&word) {
                    say(
                        self.place(&["messages", name, "text"]),
                        format!("unknown placeholder {{{word}}}"),
                        &meant(word, messages::PLACEHOLDERS),
                    );
                }
            }
        }
        problems
    }

    fn ways(&self, config: &Config, say: &mut impl FnMut(usize, String, &str)) {
        for (index, rung) in config.ladder.iter().enumerate() {
            let at = self.entry("ladder", index);
            if config.ladder[..index].iter().any(|before| before.kind == rung.kind) {
                say(at, "this kind of rung is on the ladder already".to_owned(), "name each kind once");
            }
            if rung.needs.is_some_and(|needs| needs == 0 || usize::from(needs) > index) {
                say(
                    at,
                    "needs names no rung before this one".to_owned(),
                    "rungs are counted from 1, in the file's order",
                );
            }
        }
        let mut before = 0;
        for (index, stage) in ways::rollout(&config.rollout).iter().enumerate() {
            if stage.share <= before || stage.share > 100 {
                let what = format!("share {} does not rise from {before} towards 100", stage.share);
                say(self.entry("rollout", index), what, "write the stages in rising order, at most 100");
            }
            before = stage.share;
        }
        for (index, operator) in config.operators.iter().enumerate() {
            if operator.name.trim().is_empty() || operator.roles.is_empty() {
                say(
                    self.entry("operators", index),
                    "an operator needs a name and a role".to_owned(),
                    "write name = \"…\", roles = [\"qa\"]",
                );
            }
        }
    }
}

/// What the reader calls a type, in words.
fn kind(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        other if other.starts_with("struct ") || other == "a map" => "a table".into(),
        other => other.replace('`', "\""),
    }
}

/// The words in backticks.
fn ticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

pub(super) fn cross(config: &Config, checklist: &Checklist, file: &str) -> Vec<Problem> {
    let metrics = metrics::merged(&config.metrics);
    let ladder = ways::ladder(&config.ladder, &config.database.name);
    let mut messages: Vec<String> = messages::defaults().into_keys().collect();
    messages.extend(config.messages.keys().cloned());
    let mut problems = Vec::new();
    for item in checklist.phases.iter().flat_map(Phase::items) {
        let unknown = match (&item.action, &item.check) {
            (Some(Action::Announce { message }), _) if !messages.contains(message) => Some((
                format!("no message {message:?} is known"),
                meant(message, messages.iter().map(String::as_str)),
            )),
            (Some(Action::Drill { rung }), _) if !ladder.iter().any(|way| way.order == *rung) => Some((
                format!("the ladder has no rung {rung}"),
                format!("it has rungs 1 to {}", ladder.len()),
            )),
            (_, Some(Check::Metric { name })) if !metrics.iter().any(|metric| *metric.id.0 == **name) => {
                Some((
                    format!("no gauge {name:?} is known"),
                    meant(name, metrics.iter().map(|metric| &*metric.id.0)),
                ))
            }
            _ => None,
        };
        problems.extend(unknown.map(|(what, instead)| Problem::at(file, item.line, what).instead(instead)));
    }
    problems
}
