//! What a migration does at this moment, in lines: what the server or gonogo counts, what clients feel, who is in the way, and who
//! waits because of us. Each figure has its source; what nobody measured is said to be unknown. It is short while all is well.

use chrono::TimeDelta;

use super::super::Scene;
use crate::run::Progress;
use crate::run::live::{Asks, Batches, Blocker, MigrateLive, More, Replicas};
use crate::run::steer::{USUAL_PACE, hold, pace};
use crate::run::{Job, Steered};
use crate::tui::theme::Role;
use crate::tui::widgets::text::{Row, clock, count, span, whole};

/// How many columns a bar has.
const BAR: usize = 20;

/// All of it.
pub(super) fn facts<'a>(scene: &Scene<'_>, job: &Job, progress: &'a Progress) -> Vec<Row<'a>> {
    let mut page = Vec::new();
    let More::Migrate(live) = &progress.more else {
        page.push(doing(scene, progress, None));
        return page;
    };
    page.extend(asked(scene, live));
    if live.asks == Asks::Nothing {
        page.push(doing(scene, progress, Some(live)));
        page.extend(counted(scene, progress, live));
        page.extend(forecast(scene, progress, live));
    }
    page.extend(live.batches.as_ref().map(|batches| in_batches(scene, batches)));
    page.push(felt(scene, live));
    page.push(server(scene, live));
    page.extend(said(scene, &job.steered));
    page.extend(tree(scene, live));
    page
}

/// That it waits for a person, with the key.
fn asked<'a>(scene: &Scene<'_>, live: &MigrateLive) -> Option<Row<'a>> {
    let (what, lets) = match &live.asks {
        Asks::Nothing => return None,
        Asks::Lock { lock, .. } => (format!("HELD before {lock}"), "lets it ask"),
        Asks::NoReturn { .. } => ("POINT OF NO RETURN: it waits for a person".into(), "lets it go on"),
    };
    let row = Row::new().put(what, scene.of(Role::Warn)).put("   ", scene.of(Role::Text));
    Some(row.put("c", scene.of(Role::Accent)).put(format!(" {lets}"), scene.of(Role::Text)))
}

fn doing<'a>(scene: &Scene<'_>, progress: &'a Progress, live: Option<&MigrateLive>) -> Row<'a> {
    let slowed = live.and_then(|live| live.batches.as_ref()).is_some_and(|batches| batches.slowed.is_some());
    let role = if slowed { Role::Warn } else { Role::Text };
    let row = Row::new().put(progress.doing.as_str(), scene.of(role));
    let place = live.and_then(|live| live.phase.as_ref()).and_then(|phase| phase.place);
    let row = match place {
        Some((at, of)) => row.put(format!("  phase {at} of {of}"), scene.of(Role::Muted)),
        None => row,
    };
    row.end(progress.source.as_str(), scene.of(Role::Muted))
}

/// A bar where the whole is known, what is counted, how fast it goes, and when it would be over.
fn counted<'a>(scene: &Scene<'_>, progress: &Progress, live: &MigrateLive) -> Vec<Row<'a>> {
    let mut page = Vec::new();
    if progress.unit.is_empty() {
        return page;
    }
    let mut row = Row::new();
    match progress.total {
        Some(total) if total > 0 => {
            let share = (progress.done as f64 / total as f64).clamp(0.0, 1.0);
            let full = usize::try_from(whole(share * BAR as f64)).unwrap_or(BAR).min(BAR);
            row = row
                .put("█".repeat(full), scene.of(Role::Progress))
                .put("░".repeat(BAR - full), scene.of(Role::Faint));
            let words = format!(
                " {} of {} {}  {:.0} %",
                count(progress.done),
                count(total),
                progress.unit,
                (share * 100.0).floor()
            );
            row = row.put(words, scene.of(Role::Text));
        }
        _ => row = row.put(format!("{} {}", count(progress.done), progress.unit), scene.of(Role::Text)),
    }
    let others = live.phase.iter().flat_map(|phase| phase.counts.iter().skip(1));
    for (unit, done, total) in others {
        let of = total.map_or_else(String::new, |total| format!("/{}", count(total)));
        row = row.put(format!("   {}{of} {unit}", count(*done)), scene.of(Role::Muted));
    }
    page.push(row);
    let rate = progress.rate.map(|rate| format!("{} {}/s", count(whole(rate)), progress.unit));
    let left = progress.left.map(|(from, to)| {
        let seconds = |s: u64| TimeDelta::seconds(i64::try_from(s).unwrap_or(i64::MAX / 2_000));
        let until = clock(progress.at + seconds(to), scene.world.zone());
        format!("{} to {} left, by {until}", span(seconds(from)), span(seconds(to)))
    });
    if rate.is_some() || left.is_some() {
        let words: Vec<String> = rate.into_iter().chain(left).collect();
        page.push(Row::new().put(words.join("   "), scene.of(Role::Muted)));
    }
    page
}

/// What a rehearsal lets expect of the step and of the whole.
fn forecast<'a>(scene: &Scene<'_>, progress: &Progress, live: &MigrateLive) -> Option<Row<'a>> {
    let seconds = |ms: f64| if ms < 10_000.0 { format!("{:.1}s", ms / 1000.0) } else { age(ms / 1000.0) };
    let mut row = Row::new();
    let mut left = None;
    if let Some((from, to)) = live.forecast_ms {
        let role = if live.elapsed_ms > to { Role::Warn } else { Role::Muted };
        let words = format!("{} to {}, {} so far", seconds(from), seconds(to), seconds(live.elapsed_ms));
        row = row.put(words, scene.of(role));
        left = Some(((from - live.elapsed_ms).max(0.0), (to - live.elapsed_ms).max(0.0)));
    }
    if let (Some((from, to)), Some((after_from, after_to))) = (left, live.after_ms) {
        let (from, to) = (from + after_from, to + after_to);
        let until = progress.at + TimeDelta::milliseconds(i64::try_from(whole(to)).unwrap_or(0));
        let words =
            format!("   all {} to {}, by {}", seconds(from), seconds(to), clock(until, scene.world.zone()));
        row = row.put(words, scene.of(Role::Muted));
    }
    (left.is_some()).then(|| row.end("forecast", scene.of(Role::Muted)))
}

fn in_batches<'a>(scene: &Scene<'_>, batches: &Batches) -> Row<'a> {
    let mut words = format!(
        "{} batches, {} rows   next {} keys   last {:.0} ms, longest {:.0} ms",
        count(batches.number),
        count(batches.rows),
        count(batches.size.into()),
        batches.last_ms,
        batches.worst_ms
    );
    if batches.retries > 0 {
        words = format!("{words}   {} tried again", batches.retries);
    }
    Row::new().put(words, scene.of(Role::Muted))
}

/// What clients feel, against what they may.
fn felt<'a>(scene: &Scene<'_>, live: &MigrateLive) -> Row<'a> {
    let (Some(now), Some(worst)) = (live.canary_ms, live.worst_ms) else {
        return Row::new().put("client waits are not measured", scene.of(Role::Unknown));
    };
    let over = |ms: f64| live.budget_ms.is_some_and(|budget| ms > budget);
    let role = if over(now) {
        Role::Bad
    } else if over(worst) {
        Role::Warn
    } else {
        Role::Muted
    };
    let budget = live.budget_ms.map_or_else(String::new, |budget| format!(", budget {budget:.0}"));
    let row = Row::new().put(format!("clients wait {now:.0} ms, worst {worst:.0}{budget}"), scene.of(role));
    let mut more = String::new();
    if live.tries > 1 {
        more = format!("   try {}", live.tries);
    }
    if let Some(held) = live.held_ms {
        more = format!("{more}   locks asked and held {held:.0} ms");
    }
    row.put(more, scene.of(Role::Muted)).end("canary", scene.of(Role::Muted))
}

/// Log and standbys.
fn server<'a>(scene: &Scene<'_>, live: &MigrateLive) -> Row<'a> {
    let mut row = Row::new();
    row = match live.wal {
        Some(bytes) => {
            let rate = live.wal_rate.map_or_else(String::new, |rate| format!(", {}/s", size(rate)));
            row.put(format!("WAL {}{rate}", size(bytes)), scene.of(Role::Muted))
        }
        None => row.put("WAL unknown", scene.of(Role::Unknown)),
    };
    match &live.replicas {
        Replicas::Unknown => row.put("   standbys unknown", scene.of(Role::Unknown)),
        Replicas::None => row.put("   no standbys", scene.of(Role::Muted)),
        Replicas::Some(standbys) => {
            for standby in standbys {
                let seconds = standby.seconds.map(|seconds| format!("{seconds:.1} s"));
                let behind: Vec<String> = seconds.into_iter().chain(standby.bytes.map(size)).collect();
                let behind = if behind.is_empty() {
                    "lag not shown to this role".into()
                } else {
                    format!("{} behind", behind.join(", "))
                };
                let role = if standby.seconds.is_some_and(|seconds| seconds > 5.0) {
                    Role::Warn
                } else {
                    Role::Muted
                };
                row = row.put(format!("   {} {behind}", standby.name), scene.of(role));
            }
            row
        }
    }
}

/// What people have said that is in force.
fn said<'a>(scene: &Scene<'_>, steered: &[Steered]) -> Option<Row<'a>> {
    let mut words = Vec::new();
    if let Some(by) = hold(steered) {
        words.push(format!("held before each lock that stops clients, by {}", by.by.name));
    }
    let pace = pace(steered);
    if pace != USUAL_PACE {
        words.push(format!("pace {pace} %"));
    }
    (!words.is_empty()).then(|| Row::new().put(words.join("   "), scene.of(Role::Accent)))
}

/// Who is in the way, we, and who waits behind us: whoever waits stands under whom they wait for.
fn tree<'a>(scene: &Scene<'_>, live: &'a MigrateLive) -> Vec<Row<'a>> {
    if live.blockers.is_empty() && live.behind.is_empty() {
        return Vec::new();
    }
    let (warn, text, muted) = (scene.of(Role::Warn), scene.of(Role::Text), scene.of(Role::Muted));
    let mut page = Vec::new();
    let deepest = live.blockers.iter().map(|one| one.depth).max().unwrap_or(0);
    let branch = |depth: u8| {
        if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat(usize::from(depth) - 1)) }
    };
    let mut blockers: Vec<&Blocker> = live.blockers.iter().collect();
    blockers.sort_by_key(|one| std::cmp::Reverse(one.depth));
    for one in blockers {
        let indent = branch(deepest - one.depth);
        let who = match (one.app.as_str(), one.user.as_str()) {
            ("", user) => user.to_owned(),
            (app, "") => app.to_owned(),
            (app, user) => format!("{app} ({user})"),
        };
        let row = Row::new().put(format!("{indent}pid {} {who}", one.pid), warn);
        let row = if one.holds.is_empty() { row } else { row.put(format!("  {}", one.holds), muted) };
        page.push(row.end(format!("{} {}", one.state, age(one.age)), warn));
        if !one.query.is_empty() {
            page.push(
                Row::new().put(format!("{}  {}", " ".repeat(indent.chars().count()), one.query), muted),
            );
        }
    }
    let ours = if live.blockers.is_empty() { 0 } else { deepest + 1 };
    page.push(Row::new().put(format!("{}this step", branch(ours)), text));
    for one in &live.behind {
        let row =
            Row::new().put(format!("{}pid {} {}", branch(ours + 1 + one.depth), one.pid, one.app), text);
        page.push(row.put(format!("  {}", one.query), muted).end(format!("waits {}", age(one.waits)), warn));
    }
    let more = usize::try_from(live.queue).unwrap_or(0).saturating_sub(live.behind.len());
    if more > 0 {
        page.push(Row::new().put(format!("{}{more} more wait", branch(ours + 1)), warn));
    }
    page
}

/// An age in few letters, to a tenth of a second where that says something.
fn age(seconds: f64) -> String {
    if seconds < 60.0 {
        format!("{seconds:.1}s")
    } else {
        span(TimeDelta::seconds(i64::try_from(whole(seconds)).unwrap_or(0)))
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}
