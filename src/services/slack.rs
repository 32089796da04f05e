//! Slack: messages by a bot, or through a webhook.
//!
//! Guarantees one message a second, that `ok: false` behind a 200 is a failure with its reason, and that no message is sent twice
//! by itself. What is said, and where, is not decided here.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::dialect::{Dialect, Words, usual_words};
use super::error::{Effect, Fault};
use super::http::Http;
use super::limits::{Gate, LimitHeaders};
use super::options::{Auth, Options};
use super::request::{Reply, Request};
use super::{Answer, Outcome, ServiceError};
use crate::clock::Clock;

const BOT: Dialect = Dialect {
    service: "Slack",
    throttled: &[],
    transient: &[],
    limits: LimitHeaders::None,
    ids: &["x-slack-req-id", "x-slack-unique-id"],
    words: usual_words,
};

static DIALECT: Dialect = BOT;

static WEBHOOK: Dialect = Dialect { words: webhook_words, ..BOT };

/// Slack's limit for each channel; kept for all of them together.
const SPACING: Duration = Duration::from_secs(1);

/// Where Slack is and who speaks.
#[derive(Debug, Clone)]
pub struct Config {
    /// The Web API, `https://slack.com/api`.
    pub api: Url,
    /// A bot token, `xoxb-…`.
    pub token: SecretString,
}

/// What to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The text, with `&`, `<` and `>` escaped (see [`escape`]); also what notifications show.
    pub text: String,
    /// Blocks, in Slack's form.
    pub blocks: Option<Value>,
    /// The `ts` of the parent, to answer in its thread.
    pub thread: Option<String>,
}

impl Message {
    fn body(&self) -> Value {
        let mut body = json!({"text": self.text, "unfurl_links": false});
        if let Some(blocks) = &self.blocks {
            body["blocks"] = blocks.clone();
        }
        if let Some(thread) = &self.thread {
            body["thread_ts"] = json!(thread);
        }
        body
    }
}

/// A message that stands in a channel: what is needed to answer or change it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Posted {
    /// The channel's id, whatever name was asked for.
    pub channel: String,
    /// The message's id.
    pub ts: String,
}

/// Who the token is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// The workspace.
    pub team: String,
    /// The bot's name.
    pub user: String,
}

/// Makes text safe to stand in a message.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The bot.
#[derive(Debug)]
pub struct Slack(Http);

impl Slack {
    /// Prepares the client; nothing is sent.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, ServiceError> {
        let options = Options { gate: Gate::new(1, SPACING), ..Options::default() };
        Ok(Self(Http::new(&DIALECT, config.api.clone(), &Auth::bearer(&config.token), clock, options)?))
    }

    /// Who the token is; posts nothing.
    pub async fn identity(&self) -> Outcome<Identity> {
        self.call(Request::ask("auth.test", "check the token").json(&json!({}))).await
    }

    /// Posts a message. After a time-out it may stand there: look, or post again and say that it is repeated.
    pub async fn post(&self, channel: &str, message: &Message) -> Outcome<Posted> {
        let mut body = message.body();
        body["channel"] = json!(channel);
        let asked = format!("post to {channel}");
        self.call(Request::post("chat.postMessage", asked).needs("chat:write").json(&body)).await
    }

    /// Changes a message; safe to repeat.
    pub async fn update(&self, posted: &Posted, message: &Message) -> Outcome<Posted> {
        let mut body = message.body();
        body["channel"] = json!(posted.channel);
        body["ts"] = json!(posted.ts);
        let request = Request::post("chat.update", "change a message").needs("chat:write").repeatable();
        self.call(request.json(&body)).await
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, request: Request) -> Outcome<T> {
        let reply = self.0.send(request).await?;
        let said: Answer<Value> = self.0.read(&reply)?;
        if said.value.get("ok").and_then(Value::as_bool) == Some(true) {
            return self.0.read(&reply);
        }
        let (fault, next) = refusal(&said.value);
        let error = self.0.fail(&reply, fault).with_effect(Effect::Nothing);
        Err(match next {
            Some(next) => error.advise(next),
            None => error,
        })
    }
}

fn refusal(said: &Value) -> (Fault, Option<&'static str>) {
    let text = |key: &str| said.get(key).and_then(Value::as_str);
    let code = text("error").unwrap_or("no reason given");
    match code {
        "not_authed" | "invalid_auth" | "account_inactive" | "token_revoked" | "token_expired" => {
            (Fault::Unauthenticated(code.to_owned()), Some("set a valid bot token (xoxb-…)"))
        }
        "missing_scope" => {
            let needed = text("needed").unwrap_or("one that Slack does not name");
            let provided = text("provided").unwrap_or("unknown");
            let detail = format!("the token lacks the scope {needed}; it has: {provided}");
            let fault = Fault::Forbidden { detail, missing: text("needed").map(str::to_owned) };
            (fault, Some("add the scope to the app and install it again"))
        }
        "channel_not_found" | "not_in_channel" => {
            (Fault::NotFound(code.to_owned()), Some("check the channel's id, and invite the bot to it"))
        }
        "ratelimited" | "rate_limited" => {
            (Fault::Throttled { detail: code.to_owned(), retry_after: None }, None)
        }
        _ => {
            let more = said.pointer("/response_metadata/messages").and_then(super::dialect::say);
            let detail = more.map_or_else(|| code.to_owned(), |more| format!("{code}: {more}"));
            (Fault::Refused { status: 200, code: Some(code.to_owned()), detail }, None)
        }
    }
}

/// A webhook: one channel, and no way to change what was said.
#[derive(Debug)]
pub struct Webhook(Http);

impl Webhook {
    /// Prepares the client; nothing is sent. The whole URL is a secret.
    pub fn new(url: &SecretString, clock: Clock) -> Result<Self, ServiceError> {
        let wrong = || {
            ServiceError::setup("Slack", "prepare the webhook", "the webhook is not a URL")
                .advise("copy it again from the app's page, Incoming Webhooks")
        };
        let base = Url::parse(url.expose_secret().trim()).map_err(|_| wrong())?;
        // A path alone would show the secret as well as the whole does.
        let secret = SecretString::from(base.path().trim_matches('/').to_owned());
        let options = Options { gate: Gate::new(1, SPACING), ..Options::default() };
        Ok(Self(Http::new(&WEBHOOK, base, &Auth::Elsewhere(secret), clock, options)?))
    }

    /// Posts a message.
    pub async fn post(&self, message: &Message) -> Outcome<()> {
        let reply = self.0.send(Request::post("", "post through the webhook").json(&message.body())).await?;
        let said = reply.text();
        if said.trim() == "ok" {
            return Ok(Answer { value: (), receipt: reply.receipt });
        }
        Err(self.0.unreadable(&reply, "a webhook that took the message answers ok"))
    }
}

fn webhook_words(reply: &Reply) -> Words {
    let code = reply.text().trim().to_owned();
    let next = match code.as_str() {
        "invalid_token" | "no_service" | "no_team" => Some("the webhook was removed: make a new one"),
        "channel_not_found" | "channel_is_archived" | "action_prohibited" => {
            Some("make a webhook for another channel")
        }
        _ => None,
    };
    Words { detail: Some(code.clone()), code: Some(code), next: next.map(str::to_owned), ..Words::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json as object;

    use super::*;
    use crate::services::testing::{SECRET, Say, Vendor, json, secret, text};

    fn slack(vendor: &Vendor) -> Slack {
        Slack::new(&Config { api: vendor.url.join("api").unwrap(), token: secret() }, vendor.clock.clone())
            .unwrap()
    }

    fn hello() -> Message {
        Message { text: escape("2.0.0 is <live> & well"), ..Message::default() }
    }

    #[tokio::test]
    async fn messages_are_a_second_apart_and_can_be_changed() {
        let said = object!({"ok": true, "channel": "C0DEPLOY01", "ts": "1759502280.000200", "message": {}, "warning": "missing_charset"});
        let vendor = Vendor::script(vec![json(200, &said)]).await;
        let clock = Clock::paced("2026-10-03T14:30:00Z".parse().unwrap(), 20.0);
        let config = Config { api: vendor.url.join("api").unwrap(), token: secret() };
        let slack = Slack::new(&config, clock.clone()).unwrap();
        let began = clock.now();
        let posted = slack.post("#deployment", &hello()).await.unwrap().value;
        let answer = Message { thread: Some(posted.ts.clone()), ..hello() };
        slack.post("#deployment", &answer).await.unwrap();
        slack.update(&posted, &hello()).await.unwrap();
        let seen = vendor.seen();
        assert_eq!(
            (seen[0].path.as_str(), &seen[0].json()["text"]),
            ("/api/chat.postMessage", &object!("2.0.0 is &lt;live&gt; &amp; well"))
        );
        assert_eq!(seen[1].json()["thread_ts"], "1759502280.000200");
        assert_eq!(
            (seen[2].path.as_str(), &seen[2].json()["channel"]),
            ("/api/chat.update", &object!("C0DEPLOY01"))
        );
        assert!(
            clock.now() - began >= chrono::TimeDelta::seconds(2),
            "the third starts two seconds after the first"
        );
    }

    #[tokio::test]
    async fn a_200_that_is_not_ok_is_a_failure_with_its_reason() {
        for (said, expected) in [
            (
                object!({"ok": false, "error": "missing_scope", "needed": "chat:write", "provided": "channels:read"}),
                "lacks the scope chat:write; it has: channels:read",
            ),
            (object!({"ok": false, "error": "invalid_auth"}), "not authenticated"),
            (object!({"ok": false, "error": "not_in_channel"}), "invite the bot"),
            (object!({"ok": false, "error": "ratelimited"}), "too many requests"),
            (
                object!({"ok": false, "error": "invalid_blocks", "response_metadata": {"messages": ["must be array"]}}),
                "invalid_blocks: must be array",
            ),
            (object!({}), "no reason given"),
        ] {
            let vendor = Vendor::script(vec![json(200, &said)]).await;
            let slack = slack(&vendor);
            let error = slack.post("C1", &hello()).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!((error.effect(), vendor.seen().len()), (Effect::Nothing, 1));
            assert!(!format!("{error} {error:?} {slack:?}").contains(SECRET));
        }
    }

    #[tokio::test]
    async fn a_message_is_not_sent_twice_unless_slack_said_later() {
        let vendor = Vendor::script(vec![Say::Reset]).await;
        let error = slack(&vendor).post("C1", &hello()).await.unwrap_err();
        assert_eq!((error.effect(), vendor.seen().len()), (Effect::Unknown, 1));
        let vendor = Vendor::script(vec![
            text(429, "").with("retry-after", 30),
            json(200, &object!({"ok": true, "channel": "C1", "ts": "1"})),
        ])
        .await;
        assert_eq!(slack(&vendor).post("C1", &hello()).await.unwrap().receipt.attempts, 2);
    }

    #[tokio::test]
    async fn a_webhook_says_ok_in_plain_text_and_never_shows_itself() {
        let vendor =
            Vendor::script(vec![text(200, "ok"), text(404, "no_service"), text(200, "<html>")]).await;
        let url = SecretString::from(format!("{}services/T000/B000/{SECRET}", vendor.url));
        let hook = Webhook::new(&url, vendor.clock.clone()).unwrap();
        let answer = hook.post(&hello()).await.unwrap();
        assert!(!format!("{:?}", answer.receipt).contains(SECRET));
        let gone = hook.post(&hello()).await.unwrap_err();
        assert!(gone.to_string().contains("make a new one"), "{gone}");
        let odd = hook.post(&hello()).await.unwrap_err();
        assert!(matches!(odd.fault(), Fault::Unreadable { .. }));
        assert!(!format!("{gone} {gone:?} {odd} {odd:?} {hook:?}").contains(SECRET));
        assert_eq!(vendor.seen()[0].path, format!("/services/T000/B000/{SECRET}"));
    }
}
