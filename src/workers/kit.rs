//! What a cockpit's workers work with: the configuration, the secrets, and one client of each service.
//!
//! One client, because the limits of a vendor count for all workers together. A service that the configuration does not
//! name, or whose secret is missing here, is a failure in words; it is not a reason to start without the others.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use secrecy::SecretString;

use crate::clock::Clock;
use crate::plan::Config;
use crate::run::Failure;
use crate::secrets::Secrets;
use crate::services::ServiceError;
use crate::services::compose::{self, Compose};
use crate::services::pagerduty::{self, PagerDuty};
use crate::services::posthog::{self, PostHog};
use crate::services::probe::Probe;
use crate::services::pulse::{self, Pulse};
use crate::services::sentry::{self, Sentry};
use crate::services::slack::{self, Slack, Webhook};
use crate::services::statuspage::{self, Statuspage};
use crate::services::vercel::{self, Vercel};

/// How long a page of the application may take to answer, in wall time.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long Pulse may take to answer, in wall time: the bound of its own documentation.
const PULSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a Docker command may take, in wall time.
const COMPOSE_TIMEOUT: Duration = Duration::from_mins(5);

type Cell<T> = OnceLock<Result<Arc<T>, Failure>>;

/// What a cockpit's workers work with; clones share it.
#[derive(Debug, Clone)]
pub struct Kit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    root: PathBuf,
    secrets: Secrets,
    clock: Clock,
    sentry: Cell<Sentry>,
    posthog: Cell<PostHog>,
    vercel: Cell<Vercel>,
    compose: Cell<Compose>,
    pulse: Mutex<Option<(SecretString, Arc<Pulse>)>>,
    slack: Cell<Slack>,
    webhook: Cell<Webhook>,
    statuspage: Cell<Statuspage>,
    pagerduty: Cell<PagerDuty>,
    probe: Cell<Probe>,
}

impl Kit {
    /// Packs the kit. `root` is where the configuration's paths begin.
    pub fn new(config: Config, root: &Path, secrets: Secrets, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            config,
            root: root.to_owned(),
            secrets,
            clock,
            sentry: Cell::new(),
            posthog: Cell::new(),
            vercel: Cell::new(),
            compose: Cell::new(),
            pulse: Mutex::default(),
            slack: Cell::new(),
            webhook: Cell::new(),
            statuspage: Cell::new(),
            pagerduty: Cell::new(),
            probe: Cell::new(),
        }))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The run's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// A path of the configuration.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.0.root.join(path)
    }

    /// The release's name at Sentry.
    pub fn release(&self) -> Option<String> {
        let version = &self.0.config.deployment.version;
        let release = self.0.config.services.sentry.as_ref()?.release.as_ref()?;
        Some(release.replace("{version}", version))
    }

    /// A secret by the name of its variable.
    pub fn secret(&self, name: &str) -> Result<SecretString, Failure> {
        self.0.secrets.secret(name).map_err(|missing| Failure {
            what: missing.to_string(),
            state: "nothing was done".into(),
            next: format!("set {name} for this cockpit, or let one that has it do this"),
        })
    }

    /// The database's URL.
    pub fn database_url(&self) -> Result<SecretString, Failure> {
        self.secret(&self.0.config.database.url_env)
    }

    /// Sentry.
    pub fn sentry(&self) -> Result<Arc<Sentry>, Failure> {
        client(&self.0.sentry, || {
            let config = self.0.config.services.sentry.as_ref().ok_or_else(|| unnamed("sentry"))?;
            let dsn = self.secret(&config.dsn_env).ok();
            let config = sentry::Config {
                api: config.api.clone(),
                dsn,
                org: config.org.clone(),
                project: config.project.clone(),
                environment: Some(config.environment.clone()),
                token: self.secret(&config.token_env)?,
            };
            Sentry::new(config, self.0.clock.clone()).map_err(|error| failure(&error))
        })
    }

    /// PostHog.
    pub fn posthog(&self) -> Result<Arc<PostHog>, Failure> {
        client(&self.0.posthog, || {
            let config = self.0.config.services.posthog.as_ref().ok_or_else(|| unnamed("posthog"))?;
            let config = posthog::Config {
                api: config.api.clone(),
                ingest: config.ingest.clone(),
                project: config.project_id.to_string(),
                personal_key: self.secret(&config.key_env)?,
                project_key: self.secret(&config.project_key_env).ok(),
            };
            PostHog::new(&config, self.0.clock.clone()).map_err(|error| failure(&error))
        })
    }

    /// The key of the feature flag.
    pub fn flag(&self) -> Result<&str, Failure> {
        let config = self.0.config.services.posthog.as_ref().ok_or_else(|| unnamed("posthog"))?;
        config.flag.as_deref().ok_or_else(|| Failure {
            what: "no feature flag is named".into(),
            state: "nothing was done".into(),
            next: "set flag = \"…\" under [services.posthog] in gonogo.toml".into(),
        })
    }

    /// Vercel.
    pub fn vercel(&self) -> Result<Arc<Vercel>, Failure> {
        client(&self.0.vercel, || {
            let config = self.0.config.services.vercel.as_ref().ok_or_else(|| unnamed("vercel"))?;
            let config = vercel::Config {
                api: config.api.clone(),
                token: self.secret(&config.token_env)?,
                team: config.team.clone(),
                project: config.project.clone(),
            };
            Vercel::new(&config, self.0.clock.clone()).map_err(|error| failure(&error))
        })
    }

    /// Docker Compose.
    pub fn compose(&self) -> Result<Arc<Compose>, Failure> {
        client(&self.0.compose, || {
            let config = self.0.config.services.compose.as_ref().ok_or_else(|| unnamed("compose"))?;
            let config = compose::Config {
                program: config.program.clone(),
                directory: self.0.root.clone(),
                file: Some(config.file.clone()),
                project: None,
                service: config.service.clone(),
                image: config.image.clone(),
                timeout: COMPOSE_TIMEOUT,
            };
            Ok(Compose::new(config, self.0.clock.clone()))
        })
    }

    /// Pulse.
    pub fn pulse(&self) -> Result<Arc<Pulse>, Failure> {
        let mut held = self.held_pulse();
        if let Some((_, pulse)) = &*held {
            return Ok(Arc::clone(pulse));
        }
        let config = self.0.config.services.pulse.as_ref().ok_or_else(|| unnamed("pulse"))?;
        let token = self.secret(&config.token_env)?;
        let pulse = self.new_pulse(&token)?;
        *held = Some((token, Arc::clone(&pulse)));
        Ok(pulse)
    }

    /// Pulse with another token than the one of `refused`, if one was put into the environment's file since, or another
    /// worker found one.
    pub fn fresh_pulse(&self, refused: &Arc<Pulse>) -> Option<Arc<Pulse>> {
        let mut held = self.held_pulse();
        let (old, pulse) = held.as_ref()?;
        if !Arc::ptr_eq(pulse, refused) {
            return Some(Arc::clone(pulse));
        }
        let name = &self.0.config.services.pulse.as_ref()?.token_env;
        let file = self.path(&self.0.config.secrets.env_file);
        // A file that is being written just now reads better a moment later.
        let fresh = Secrets::load(&file).ok()?.other_than(name, old)?;
        let pulse = self.new_pulse(&fresh).ok()?;
        *held = Some((fresh, Arc::clone(&pulse)));
        Some(pulse)
    }

    /// Where a fresh token for Pulse is looked for, in words.
    pub fn pulse_token_place(&self) -> Result<String, Failure> {
        let config = self.0.config.services.pulse.as_ref().ok_or_else(|| unnamed("pulse"))?;
        Ok(format!("{} as {}", self.path(&self.0.config.secrets.env_file).display(), config.token_env))
    }

    fn new_pulse(&self, token: &SecretString) -> Result<Arc<Pulse>, Failure> {
        let config = self.0.config.services.pulse.as_ref().ok_or_else(|| unnamed("pulse"))?;
        let config = pulse::Config {
            api: config.url.clone(),
            token: token.clone(),
            timeout: PULSE_TIMEOUT,
            attempts: self.0.config.import.attempts,
        };
        Pulse::new(&config, &self.0.clock).map(Arc::new).map_err(|error| failure(&error))
    }

    fn held_pulse(&self) -> MutexGuard<'_, Option<(SecretString, Arc<Pulse>)>> {
        // It is replaced as a whole.
        self.0.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Slack, by its bot token.
    pub fn slack(&self) -> Result<Arc<Slack>, Failure> {
        client(&self.0.slack, || {
            let config = self.0.config.services.slack.as_ref().ok_or_else(|| unnamed("slack"))?;
            let name = config.token_env.as_deref().ok_or_else(|| unnamed("slack"))?;
            let config = slack::Config { api: config.api.clone(), token: self.secret(name)? };
            Slack::new(&config, self.0.clock.clone()).map_err(|error| failure(&error))
        })
    }

    /// Slack's incoming webhook, where one is named.
    pub fn webhook(&self) -> Result<Arc<Webhook>, Failure> {
        client(&self.0.webhook, || {
            let config = self.0.config.services.slack.as_ref().ok_or_else(|| unnamed("slack"))?;
            let name = config.webhook_env.as_deref().ok_or_else(|| unnamed("slack"))?;
            Webhook::new(&self.secret(name)?, self.0.clock.clone()).map_err(|error| failure(&error))
        })
    }

    /// The status page.
    pub fn statuspage(&self) -> Result<Arc<Statuspage>, Failure> {
        client(&self.0.statuspage, || {
            let config = self.0.config.services.statuspage.as_ref().ok_or_else(|| unnamed("statuspage"))?;
            let config = statuspage::Config {
                api: config.api.clone(),
                page: config.page.clone(),
                key: self.secret(&config.key_env)?,
                public: None,
            };
            Statuspage::new(&config, self.0.clock.clone()).map_err(|error| failure(&error))
        })
    }

    /// PagerDuty.
    pub fn pagerduty(&self) -> Result<Arc<PagerDuty>, Failure> {
        client(&self.0.pagerduty, || {
            let config = self.0.config.services.pagerduty.as_ref().ok_or_else(|| unnamed("pagerduty"))?;
            let config =
                pagerduty::Config { api: config.api.clone(), routing_key: self.secret(&config.key_env)? };
            PagerDuty::new(&config, self.0.clock.clone()).map_err(|error| failure(&error))
        })
    }

    /// The application, as its users reach it.
    pub fn probe(&self) -> Result<Arc<Probe>, Failure> {
        client(&self.0.probe, || {
            let url = self.0.config.app.url.clone().ok_or_else(|| Failure {
                what: "the application's address is not named".into(),
                state: "nothing was done".into(),
                next: "set url under [app] in gonogo.toml".into(),
            })?;
            Probe::new(url, PROBE_TIMEOUT, self.0.clock.clone()).map_err(|error| failure(&error))
        })
    }
}

/// The client, made when it is first asked for.
fn client<T>(cell: &Cell<T>, make: impl FnOnce() -> Result<T, Failure>) -> Result<Arc<T>, Failure> {
    cell.get_or_init(|| make().map(Arc::new)).clone()
}

fn unnamed(service: &str) -> Failure {
    Failure {
        what: format!("{service} is not used in this deployment"),
        state: "nothing was done".into(),
        next: format!("add [services.{service}] to gonogo.toml"),
    }
}

/// A service's error as a worker's failure.
pub fn failure(error: &ServiceError) -> Failure {
    use crate::services::Effect;
    let state = match error.effect() {
        Effect::Nothing => "nothing was changed",
        Effect::Unknown => "whether it took effect is not known",
        Effect::Accepted => "it was accepted, and is not proven",
    };
    Failure { what: error.to_string(), state: state.into(), next: error.next().to_owned() }
}
