//! `[services.*]`: the outside world. A service whose table is absent is not used, and says so.
//!
//! Secrets stand here by the name of an environment variable only; base URLs can be pointed elsewhere.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

/// All services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// Where contacts are imported from.
    pub pulse: Option<Pulse>,
    /// Errors.
    pub sentry: Option<Sentry>,
    /// Page loads, usage and the feature flag.
    pub posthog: Option<Posthog>,
    /// Deployments on Vercel.
    pub vercel: Option<Vercel>,
    /// Deployments with Docker Compose.
    pub compose: Option<Compose>,
    /// Messages to the team.
    pub slack: Option<Slack>,
    /// Messages to users.
    pub statuspage: Option<Statuspage>,
    /// Emergencies.
    pub pagerduty: Option<Pagerduty>,
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("the default URLs are URLs; a test reads each of them")
}

fn word(text: &str) -> String {
    text.to_owned()
}

macro_rules! defaults {
    ($($name:ident: $kind:ty = $value:expr;)*) => {
        $(fn $name() -> $kind { $value })*
    };
}

defaults! {
    pulse_token: String = word("VITE_PULSE_API_KEY");
    sentry_api: Url = url("https://sentry.io/");
    sentry_token: String = word("SENTRY_AUTH_TOKEN");
    sentry_dsn: String = word("VITE_SENTRY_DSN");
    production: String = word("production");
    posthog_api: Url = url("https://us.posthog.com/");
    posthog_ingest: Url = url("https://us.i.posthog.com/");
    posthog_key: String = word("POSTHOG_API_KEY");
    posthog_project_key: String = word("VITE_POSTHOG_API_KEY");
    vercel_api: Url = url("https://api.vercel.com/");
    vercel_token: String = word("VERCEL_TOKEN");
    docker: PathBuf = "docker".into();
    compose_file: PathBuf = "docker-compose.yml".into();
    slack_api: Url = url("https://slack.com/api/");
    statuspage_api: Url = url("https://api.statuspage.io/v1/");
    statuspage_key: String = word("STATUSPAGE_API_KEY");
    pagerduty_api: Url = url("https://events.pagerduty.com/v2/");
    pagerduty_key: String = word("PAGERDUTY_ROUTING_KEY");
}

/// `[services.pulse]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulse {
    /// Its base URL.
    pub url: Url,
    /// The variable with its bearer token.
    #[serde(default = "pulse_token")]
    pub token_env: String,
}

/// `[services.sentry]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentry {
    /// The host of its API.
    #[serde(default = "sentry_api")]
    pub api: Url,
    /// The organization's slug.
    pub org: String,
    /// The project's slug.
    pub project: String,
    /// The variable with the auth token.
    #[serde(default = "sentry_token")]
    pub token_env: String,
    /// The variable with the DSN to which events are sent.
    #[serde(default = "sentry_dsn")]
    pub dsn_env: String,
    /// The environment that is read.
    #[serde(default = "production")]
    pub environment: String,
    /// The release that is read; `{version}` stands for the deployment's version.
    pub release: Option<String>,
}

/// `[services.posthog]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posthog {
    /// The private API's host.
    #[serde(default = "posthog_api")]
    pub api: Url,
    /// The host to which events are sent.
    #[serde(default = "posthog_ingest")]
    pub ingest: Url,
    /// The project's number.
    pub project_id: u64,
    /// The variable with the personal API key (`phx_…`).
    #[serde(default = "posthog_key")]
    pub key_env: String,
    /// The variable with the project's key (`phc_…`).
    #[serde(default = "posthog_project_key")]
    pub project_key_env: String,
    /// The exact key of the feature flag.
    pub flag: Option<String>,
}

/// `[services.vercel]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vercel {
    /// The API's host.
    #[serde(default = "vercel_api")]
    pub api: Url,
    /// The project's id or name.
    pub project: String,
    /// The team's id, if it belongs to one.
    pub team: Option<String>,
    /// The variable with the token.
    #[serde(default = "vercel_token")]
    pub token_env: String,
}

/// `[services.compose]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The program: `docker`, or one that takes its commands.
    #[serde(default = "docker")]
    pub program: PathBuf,
    /// The Compose file, from the directory of gonogo.toml.
    #[serde(default = "compose_file")]
    pub file: PathBuf,
    /// The service in it.
    pub service: String,
    /// Its image, without a tag.
    pub image: String,
}

/// `[services.slack]`: a token, or an incoming webhook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// The Web API's base.
    #[serde(default = "slack_api")]
    pub api: Url,
    /// The variable with the bot token.
    pub token_env: Option<String>,
    /// The variable with the URL of an incoming webhook, which posts to its one channel.
    pub webhook_env: Option<String>,
    /// Which channel is which.
    #[serde(default)]
    pub channels: Channels,
}

/// `[services.slack.channels]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channels {
    /// Status while deploying.
    pub deployment: String,
    /// Announcements.
    pub general: String,
    /// At once.
    pub incidents: String,
}

impl Default for Channels {
    fn default() -> Self {
        Self { deployment: word("#deployment"), general: word("#general"), incidents: word("#incidents") }
    }
}

/// `[services.statuspage]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statuspage {
    /// The API's base.
    #[serde(default = "statuspage_api")]
    pub api: Url,
    /// The page's id.
    pub page: String,
    /// The component's id.
    pub component: Option<String>,
    /// The variable with the key.
    #[serde(default = "statuspage_key")]
    pub key_env: String,
}

/// `[services.pagerduty]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagerduty {
    /// The host of the Events API.
    #[serde(default = "pagerduty_api")]
    pub api: Url,
    /// The variable with the routing key.
    #[serde(default = "pagerduty_key")]
    pub key_env: String,
}
