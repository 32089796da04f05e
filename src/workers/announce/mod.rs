//! Tells people: the team on Slack, users on the status page, whoever is on call by the pager.
//!
//! Guarantees that a message counts as sent when the service says where it stands, that one whose answer was lost is sent once
//! more and says so, and that nobody outside is mailed in a rehearsal. What a message says comes from the configuration and from
//! what is known; what is not known is said to be unknown.

mod page;
mod words;

use futures_util::future::BoxFuture;

use super::stop::{self, Stop, failed, go_on};
use super::{Desk, End, Kit, Worker};
use crate::plan::config::{Channel, Message};
use crate::run::job::{Facts, JobStatus, StepStatus};
use crate::run::{Failure, JobKind, StepOutcome, WorkerId};
use crate::services::error::Effect;
use crate::services::pagerduty::{Alert, Severity};
use crate::services::slack;

const WRITE: u32 = 0;
const SEND: u32 = 1;
const CALL: u32 = 2;

/// Tells people.
#[derive(Debug)]
pub struct AnnounceWorker {
    kit: Kit,
}

impl AnnounceWorker {
    /// A worker that speaks through the services of this configuration.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }

    async fn announce(&self, desk: &Desk, name: &str, given: Option<&str>) -> Result<End, Stop> {
        let message = self.kit.config().message(name).ok_or_else(|| Failure {
            what: format!("there is no message {name:?}"),
            state: "nothing was sent".into(),
            next: format!("add [messages.{name}] to gonogo.toml"),
        })?;
        let called = message.channel == Channel::Incidents && self.kit.config().services.pagerduty.is_some();
        let send = match message.channel {
            Channel::StatusPage => "put it on the status page",
            Channel::Pager => "call whoever is on call",
            _ => "send it to Slack",
        };
        if called {
            desk.planned_names(["write the message", send, "call whoever is on call"]).await?;
        } else {
            desk.planned_names(["write the message", send]).await?;
        }
        let text = desk
            .step(WRITE, async {
                let text = match given.filter(|text| !text.trim().is_empty()) {
                    Some(confirmed) => confirmed.to_owned(),
                    None => words::fill(&self.kit, &desk.state(), desk, &message),
                };
                Ok((text.clone(), Some(text)))
            })
            .await?;
        go_on(desk, "nothing was sent").await?;
        let reference = desk
            .step(SEND, async {
                let reference = match message.channel {
                    Channel::StatusPage => page::post(&self.kit, desk, &message, &text).await?,
                    Channel::Pager => self.call(desk, &text).await?,
                    Channel::Deployment | Channel::General | Channel::Incidents => {
                        self.slack(desk, &message, &text).await?
                    }
                };
                Ok((reference.clone(), Some(reference)))
            })
            .await?;
        let mut summary = format!("{name}: {reference}");
        if called {
            // The message stands; a pager that does not answer is said, and does not unsay it.
            desk.step_started(CALL).await?;
            let outcome = match self.call(desk, &text).await {
                Ok(note) => StepOutcome::Done { note: Some(note) },
                Err(failure) => {
                    summary.push_str("; nobody was called: ");
                    summary.push_str(&failure.what);
                    StepOutcome::Failed { failure }
                }
            };
            desk.step_ended(CALL, outcome).await?;
        }
        Ok(End::Succeeded { summary, facts: Facts::Sent { reference } })
    }

    /// Posts to Slack: by the bot where a token is named, else through the webhook.
    async fn slack(&self, desk: &Desk, message: &Message, text: &str) -> Result<String, Failure> {
        let config = self.kit.config().services.slack.as_ref().ok_or_else(|| Failure {
            what: "Slack is not configured, so nobody was told".into(),
            state: "nothing was sent".into(),
            next: "add [services.slack] to gonogo.toml, or tell them by hand and tick the item".into(),
        })?;
        let channel = match message.channel {
            Channel::General => &config.channels.general,
            Channel::Incidents => &config.channels.incidents,
            _ => &config.channels.deployment,
        };
        // An attempt that was killed while sending may have sent: rather twice than never, and said.
        let begun = match &desk.job().status {
            JobStatus::Requested => false,
            // The steps of an attempt before the last are forgotten.
            JobStatus::Running(last) if last.number == 1 => {
                let send = desk.job().steps.get(SEND as usize);
                send.is_some_and(|step| step.status != StepStatus::Waiting)
            }
            _ => true,
        };
        let repeated = format!("(repeated) {text}");
        let first = self.post(channel, if begun { &repeated } else { text }).await?;
        let sent = match first {
            Err(lost) if lost.effect() == Effect::Unknown => {
                desk.doing(Some(SEND), "the answer was lost; sending it once more");
                self.post(channel, &repeated).await?
            }
            sent => sent,
        };
        sent.map_err(|error| failed(&error))
    }

    async fn post(
        &self,
        channel: &str,
        text: &str,
    ) -> Result<Result<String, crate::services::ServiceError>, Failure> {
        let message = slack::Message { text: slack::escape(text), ..slack::Message::default() };
        let by_token =
            self.kit.config().services.slack.as_ref().is_some_and(|slack| slack.token_env.is_some());
        if by_token {
            let posted = self.kit.slack()?.post(channel, &message).await;
            return Ok(posted.map(|at| format!("Slack {channel} ({}, ts {})", at.value.channel, at.value.ts)));
        }
        let posted = self.kit.webhook()?.post(&message).await;
        Ok(posted.map(|_| "Slack, through the webhook".to_owned()))
    }

    /// Raises the alert of this run; the same one however often.
    async fn call(&self, desk: &Desk, text: &str) -> Result<String, Failure> {
        let pager = self.kit.pagerduty()?;
        let state = desk.state();
        let opened = state.run.as_ref().map_or(0, |run| run.opened.timestamp());
        let dedup_key = format!("gonogo/{opened}/incident");
        let source = self.kit.config().app.url.as_ref().and_then(|url| url.host_str().map(str::to_owned));
        let alert = Alert {
            dedup_key: dedup_key.clone(),
            summary: text.to_owned(),
            source: source.unwrap_or_else(|| "gonogo".into()),
            severity: Severity::Critical,
            at: desk.clock().now(),
            details: serde_json::json!({"job": desk.job().id.0}),
        };
        pager.trigger(&alert).await.map_err(|error| failed(&error))?;
        Ok(format!(
            "PagerDuty accepted the alert {dedup_key}; whether somebody was called, a person must say"
        ))
    }
}

impl Worker for AnnounceWorker {
    fn id(&self) -> WorkerId {
        WorkerId::Announce
    }

    fn run<'a>(&'a self, desk: &'a Desk) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(async move {
            let JobKind::Announce { message, text } = &desk.job().kind else {
                return Err(Failure {
                    what: format!("{} is not a message", desk.job().kind.title()),
                    state: "nothing was sent".into(),
                    next: "this is a mistake in gonogo: please report it".into(),
                });
            };
            stop::end(self.announce(desk, message, text.as_deref()).await)
        })
    }
}
