//! `gonogo plan`: what was understood, as an outline or as JSON. Bad input is said whole, with exit code 2.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::NaiveDate;
use serde::Serialize;

use super::{Exit, Files, print, refuse};
use crate::clock::Clock;
use crate::plan::load::Loaded;
use crate::plan::schedule::{Schedule, schedule};
use crate::plan::{Gate, Item, ItemKind, Metric, Operator, Phase, Plan, Role, Rung, Stage};

/// Nothing to say yet.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args, files: &Files, json: bool) -> color_eyre::Result<Exit> {
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, json),
    };
    let plan = &loaded.plan;
    let day = plan.day.unwrap_or_else(|| Clock::wall().now().with_timezone(&plan.timezone).date_naive());
    let text = if json { as_json(&loaded, day)? } else { outline(plan, day) };
    print(&text)?;
    Ok(Exit::Go)
}

/// The plan as JSON, version 1.
#[derive(Serialize)]
struct Shown<'a> {
    schema: u8,
    name: &'a str,
    version: &'a str,
    checklist: String,
    migrations: String,
    title: &'a str,
    day: NaiveDate,
    timezone: &'a str,
    phases: &'a [Phase],
    schedule: ShownSchedule<'a>,
    metrics: &'a [Metric],
    ladder: &'a [Rung],
    rollout: &'a [Stage],
    operators: &'a [Operator],
}

#[derive(Serialize)]
struct ShownSchedule<'a> {
    #[serde(flatten)]
    schedule: &'a Schedule,
    total_seconds: Option<i64>,
    /// Free seconds behind each phase.
    floats: Vec<(String, i64)>,
}

fn as_json(loaded: &Loaded, day: NaiveDate) -> serde_json::Result<String> {
    let plan = &loaded.plan;
    let schedule = schedule(plan, day);
    let floats = schedule.floats().map(|(phase, float)| (phase.to_string(), float.num_seconds())).collect();
    let shown = Shown {
        schema: 1,
        name: &plan.name,
        version: &plan.version,
        checklist: loaded.checklist.display().to_string(),
        migrations: loaded.path(&loaded.config.deployment.migrations).display().to_string(),
        title: &plan.checklist.title,
        day,
        timezone: plan.timezone.name(),
        phases: &plan.checklist.phases,
        schedule: ShownSchedule {
            schedule: &schedule,
            total_seconds: schedule.total().map(|total| total.num_seconds()),
            floats,
        },
        metrics: &plan.metrics,
        ladder: &plan.ladder,
        rollout: &plan.rollout,
        operators: &plan.operators,
    };
    serde_json::to_string_pretty(&shown).map(|text| text + "\n")
}

fn outline(plan: &Plan, day: NaiveDate) -> String {
    let mut out = String::new();
    let schedule = schedule(plan, day);
    let _ = writeln!(out, "{}", [plan.name.as_str(), plan.version.as_str()].join(" ").trim());
    let total = schedule
        .total()
        .and_then(|total| total.to_std().ok())
        .map(|total| format!(", {} in all", short(total)));
    let _ = writeln!(out, "{day}, {}{}", plan.timezone, total.unwrap_or_default());
    for phase in &plan.checklist.phases {
        outline_phase(&mut out, phase, plan, &schedule);
    }
    let items = plan.checklist.phases.iter().map(|phase| phase.items().count()).sum::<usize>();
    let gates = plan.checklist.phases.iter().map(|phase| phase.gates().count()).sum::<usize>();
    let phases = plan.checklist.phases.len();
    let _ = writeln!(out, "\n{}, {}, {}", count(phases, "phase"), count(items, "item"), count(gates, "gate"));
    out
}

fn outline_phase(out: &mut String, phase: &Phase, plan: &Plan, schedule: &Schedule) {
    let slot = schedule.slot(&phase.id);
    let clock = slot.map(|slot| slot.starts.with_timezone(&plan.timezone).format("%H:%M").to_string());
    let facts = [
        clock,
        phase.takes.map(short),
        phase.owner.map(|owner| owner.word().to_owned()),
        Some(count(phase.items().count(), "item")),
    ];
    let number = phase.number().map(|number| format!("{number} ")).unwrap_or_default();
    let _ = writeln!(
        out,
        "\n{number}{}  ({})",
        phase.title,
        facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    );
    for section in &phase.sections {
        if !section.title.is_empty() {
            let takes = section.takes.map(|takes| format!("  ({})", short(takes))).unwrap_or_default();
            let _ = writeln!(out, "  {}{takes}", section.title);
        }
        for item in &section.items {
            outline_item(out, item, phase.owner, 4);
        }
        for gate in &section.gates {
            let _ = writeln!(out, "    ◆ {}{}", gate.title, signers(gate));
        }
    }
}

fn outline_item(out: &mut String, item: &Item, owner: Option<Role>, indent: usize) {
    let mut facts = Vec::new();
    facts.extend(item.owner.filter(|own| Some(*own) != owner).map(|own| own.word().to_owned()));
    facts.extend(item.action.as_ref().and_then(|action| tagged(action, "do")));
    facts.extend(item.check.as_ref().and_then(|check| tagged(check, "prove")));
    match &item.kind {
        ItemKind::Choice { of } => facts.push(of.join(" | ")),
        ItemKind::Value { expect: Some(expect) } => facts.push(format!("expect {expect}")),
        ItemKind::Value { expect: None } | ItemKind::Tick => {}
    }
    facts.extend(item.due.map(|due| format!("due +{}", short(due))));
    facts.extend(item.wait.map(|wait| format!("wait {}", short(wait))));
    if !item.commands.is_empty() {
        facts.push(count(item.commands.len(), "command"));
    }
    let mark = if item.ticked { '✔' } else { '○' };
    let facts = if facts.is_empty() { String::new() } else { format!("  [{}]", facts.join(", ")) };
    let _ = writeln!(out, "{:indent$}{mark} {}{facts}", "", item.text);
    for child in &item.items {
        outline_item(out, child, item.owner.or(owner), indent + 2);
    }
}

/// "do migrate to=2": an action or check in the words of its JSON.
fn tagged(value: &impl Serialize, tag: &str) -> Option<String> {
    let serde_json::Value::Object(fields) = serde_json::to_value(value).ok()? else { return None };
    let word = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut text = format!("{tag} {}", word(fields.get(tag)?));
    for (key, value) in fields.iter().filter(|(key, value)| *key != tag && !value.is_null()) {
        let _ = write!(text, " {key}={}", word(value));
    }
    Some(text)
}

fn signers(gate: &Gate) -> String {
    let roles = gate.roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(", ");
    match (roles.is_empty(), gate.people) {
        (true, ..=1) => String::new(),
        (true, people) => format!("  [signed by {people} people]"),
        (false, ..=1) => format!("  [signed by {roles}]"),
        (false, people) => format!("  [signed by {roles}, {people} people]"),
    }
}

fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// "1h 30m", "3w".
fn short(span: Duration) -> String {
    let mut left = span.as_secs();
    let mut parts = Vec::new();
    for (unit, length) in [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if left >= length {
            parts.push(format!("{}{unit}", left / length));
            left %= length;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Config;
    use crate::plan::checklist::read::read;

    #[test]
    fn the_outline_tells_owner_action_time_and_gate() {
        let list = read(
            "# T\n## Phase 1: A (10:00, 90 min) {owner=dba}\n- [ ] a {action=migrate to=2}\n  - [x] b {owner=qa}\n\n**Checkpoint:** c {sign=\"dba qa\" people=2}\n",
            "a.md",
        );
        let plan = Config::default().plan(list.unwrap());
        let text = outline(&plan, "2026-09-21".parse().unwrap());
        assert_eq!(
            text,
            "T\n2026-09-21, UTC, 1h 30m in all\n\n1 A  (10:00, 1h 30m, dba, 2 items)\n    ○ a  [do migrate to=2]\n      ✔ b  [qa]\n    ◆ Checkpoint: c  [signed by dba, qa, 2 people]\n\n1 phase, 2 items, 1 gate\n"
        );
    }
}
