//! `-- gonogo: allow RULE because WORDS` above a statement: a person has looked at what the linter says, and says why it may be.
//! An allowance without a reason, or for what is not there, is itself a finding; it never covers more than its statement.

use super::finding::{Finding, Severity, Standing};
use super::scene::Page;

const MARK: &str = "gonogo: allow ";

struct Allowance {
    rule: String,
    because: Option<String>,
    /// The place of the statement that it stands above or in.
    place: usize,
    /// Its byte in the file's text.
    at: usize,
}

/// Applies the allowances of a page to its findings, and adds what is wrong with them.
pub(crate) fn apply(page: &Page<'_>, findings: &mut Vec<Finding>) {
    for allowance in allowances(page) {
        let covered = findings.iter_mut().filter(|found| {
            found.place == allowance.place
                && found.rule == allowance.rule
                && !matches!(found.standing, Standing::Allowed { .. })
        });
        let mut hits = 0;
        for found in covered {
            hits += 1;
            if let Some(because) = &allowance.because {
                found.standing = Standing::Allowed { because: because.clone() };
            }
        }
        let (rule, what, safe) = match (&allowance.because, hits) {
            (None, _) => (
                "allow-without-reason",
                format!("the allowance of {} gives no reason, so it counts for nothing", allowance.rule),
                format!("-- gonogo: allow {} because …", allowance.rule),
            ),
            (Some(_), 0) => (
                "allow-unused",
                format!("{} is allowed here, but nothing here breaks it", allowance.rule),
                "take the line out: it would hide the next one".to_owned(),
            ),
            _ => continue,
        };
        let Some(line) = page.lines.get(allowance.place) else { continue };
        let text = page.script.text.get(..allowance.at).unwrap_or_default();
        let back = page
            .script
            .text
            .get(allowance.at..line.at.start)
            .map_or(0, |between| between.matches('\n').count());
        let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        findings.push(Finding {
            rule,
            severity: Severity::Hint,
            number: page.migration.number,
            direction: page.direction,
            file: page.script.file.clone(),
            line: line.statement.line.saturating_sub(u32::try_from(back).unwrap_or(0)),
            column: u32::try_from(column).unwrap_or(1),
            place: allowance.place,
            tables: Vec::new(),
            what,
            safe,
            forecast: None,
            standing: Standing::Raised,
        });
    }
}

fn allowances(page: &Page<'_>) -> Vec<Allowance> {
    let mut found = Vec::new();
    let mut before = 0;
    for line in &page.lines {
        let text = page.script.text.get(before..line.at.end).unwrap_or_default();
        let mut at = before;
        for row in text.split_inclusive('\n') {
            let said = row.trim().strip_prefix("--").map(str::trim_start);
            if let Some(rest) = said.and_then(|said| said.strip_prefix(MARK)) {
                let (rule, reason) = rest.split_once(" because ").unwrap_or((rest, ""));
                let reason = reason.trim();
                let indent = row.len() - row.trim_start().len();
                found.push(Allowance {
                    rule: rule.trim().to_owned(),
                    because: (!reason.is_empty()).then(|| reason.to_owned()),
                    place: line.place,
                    at: at + indent,
                });
            }
            at += row.len();
        }
        before = line.at.end;
    }
    found
}
