//! What a message's braces stand for, out of the state, the plan and the clock. What is not known stays unknown.

use chrono::{DateTime, TimeDelta, Utc};

use crate::plan::config::{Channel, Message, PageStatus, messages};
use crate::plan::schedule::schedule;
use crate::plan::{PhaseKind, Plan, Role, Severity};
use crate::run::job::{Job, JobKind, JobStatus};
use crate::run::{Outcome, State};
use crate::workers::{Desk, Kit};

/// How long until the next word, in general and in an incident.
const STATUS_EVERY: TimeDelta = TimeDelta::minutes(30);
const INCIDENT_EVERY: TimeDelta = TimeDelta::minutes(15);

/// The message's text with everything filled in that is known.
pub(super) fn fill(kit: &Kit, state: &State, desk: &Desk, message: &Message) -> String {
    let Some(plan) = state.plan() else { return messages::fill(&message.text, |_| None) };
    let known = Known { kit, state, plan, desk, message };
    messages::fill(&message.text, |name| known.value(name))
}

struct Known<'a> {
    kit: &'a Kit,
    state: &'a State,
    plan: &'a Plan,
    desk: &'a Desk,
    message: &'a Message,
}

/// The planned time of the day: from the first phase's begin to the last one's end.
pub(super) fn planned(state: &State) -> Option<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    let plan = state.plan()?;
    let opened = state.run.as_ref()?.opened;
    let day = plan.day.unwrap_or_else(|| opened.with_timezone(&plan.timezone).date_naive());
    let schedule = schedule(plan, day);
    let begins = schedule.slots.first()?.starts;
    Some((begins, schedule.total().map(|total| begins + total)))
}

impl Known<'_> {
    fn value(&self, name: &str) -> Option<String> {
        let state = self.state;
        let now = self.desk.clock().now();
        match name {
            "deployment" => Some(self.plan.name.clone()),
            "version" => Some(self.plan.version.clone()).filter(|version| !version.is_empty()),
            "url" => self.kit.config().app.url.as_ref().map(ToString::to_string),
            "lead" => self.lead(),
            "time" => Some(self.time(now)),
            "next_update" => {
                let urgent = matches!(self.message.channel, Channel::Incidents | Channel::Pager);
                Some(self.clock(now + if urgent { INCIDENT_EVERY } else { STATUS_EVERY }))
            }
            "phase" => state.current_phase().map(|phase| phase.title.clone()),
            "done" => state.current_phase().map(|phase| state.tally(phase).0.to_string()),
            "total" => state.current_phase().map(|phase| state.tally(phase).1.to_string()),
            "share" => state.share.map(|share| format!("{share} %")),
            "issue" | "reason" => self.issue(),
            "severity" => self.severity(),
            "actions" => Some(self.actions()),
            "eta" => self.eta(),
            "rung" => self.rung(),
            "took" => self.took(),
            "outcome" => state.ended().map(|ending| format!("{ending:?}").to_lowercase()),
            _ => None,
        }
    }

    /// The plan's lead; else whoever called GO last as one, or asked for this message as one.
    fn lead(&self) -> Option<String> {
        let named = self.plan.operators.iter().find(|operator| operator.roles.contains(&Role::Lead));
        if let Some(operator) = named {
            return Some(operator.name.clone());
        }
        let by = &self.desk.job().by;
        let calls = self.state.phases.values().filter_map(|phase| phase.go.as_ref());
        let last = calls.filter(|go| go.by.role == Role::Lead).max_by_key(|go| go.at);
        let lead = (by.role == Role::Lead).then_some(by).or(last.map(|go| &go.by));
        lead.map(|lead| lead.name.to_string())
    }

    /// Before the day began, when it begins; from then on, now.
    fn time(&self, now: DateTime<Utc>) -> String {
        let numbered = |phase: &&crate::plan::Phase| matches!(phase.kind, PhaseKind::Numbered(_));
        let mut phases = self.plan.checklist.phases.iter().filter(numbered);
        let begun = phases.any(|phase| self.state.phases.contains_key(&phase.id));
        let to_come =
            self.message.channel == Channel::General || self.message.status == Some(PageStatus::Scheduled);
        match planned(self.state).filter(|_| to_come && !begun) {
            Some((begins, _)) => {
                let begins = begins.with_timezone(&self.plan.timezone);
                begins.format("%a %-d %b %H:%M %Z").to_string()
            }
            None => self.clock(now),
        }
    }

    fn clock(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.plan.timezone).format("%H:%M %Z").to_string()
    }

    /// What is wrong, by the alerts that fire.
    fn issue(&self) -> Option<String> {
        let alerts: Vec<_> = self
            .plan
            .metrics
            .iter()
            .filter_map(|metric| {
                Some(format!("{} {}", metric.label, self.state.alerts.get(&metric.id)?.reading))
            })
            .collect();
        if !alerts.is_empty() {
            return Some(alerts.join(", "));
        }
        let calls = self.state.phases.values().flat_map(|phase| &phase.no_gos);
        calls.max_by_key(|call| call.at).map(|call| call.words.clone())
    }

    fn severity(&self) -> Option<String> {
        let firing = |severity| {
            self.plan
                .metrics
                .iter()
                .any(|metric| metric.severity == severity && self.state.alerts.contains_key(&metric.id))
        };
        let word = if firing(Severity::Critical) {
            "critical"
        } else if firing(Severity::Warning) {
            "warning"
        } else {
            return None;
        };
        Some(word.to_owned())
    }

    fn title(&self, order: u8) -> String {
        let rung = self.plan.ladder.iter().find(|rung| rung.order == order);
        rung.map_or_else(|| format!("rung {order}"), |rung| rung.title.clone())
    }

    fn rollbacks(&self) -> impl DoubleEndedIterator<Item = (&Job, u8)> {
        self.state.jobs.values().filter_map(|job| match job.kind {
            JobKind::Rollback { rung, .. } => Some((job, rung)),
            _ => None,
        })
    }

    fn actions(&self) -> String {
        let under_way = self.rollbacks().filter(|(job, _)| !job.is_over());
        let mut actions: Vec<_> =
            self.state.taken_back.iter().map(|rung| format!("{} done", self.title(*rung))).collect();
        actions.extend(under_way.map(|(_, rung)| format!("{} under way", self.title(rung))));
        if actions.is_empty() { "being looked into".to_owned() } else { actions.join(", ") }
    }

    /// When a rollback that is under way should be over, by its bound.
    fn eta(&self) -> Option<String> {
        let (job, rung) = self.rollbacks().find(|(job, _)| !job.is_over())?;
        let bound = self.plan.ladder.iter().find(|one| one.order == rung)?.bound;
        Some(self.clock(job.requested + TimeDelta::from_std(bound).ok()?))
    }

    fn rung(&self) -> Option<String> {
        let (_, rung) = self.rollbacks().next_back()?;
        Some(self.title(rung))
    }

    fn took(&self) -> Option<String> {
        let (job, _) = self.rollbacks().rfind(|(job, _)| job.succeeded())?;
        let JobStatus::Ended { at, outcome: Outcome::Succeeded { .. } } = &job.status else { return None };
        let seconds = (*at - job.requested).num_seconds();
        Some(format!("{} min {} s", seconds / 60, seconds % 60))
    }
}
