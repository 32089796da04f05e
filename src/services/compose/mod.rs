//! Docker Compose: the other way to deploy, through the `docker` program as a child process.
//!
//! Guarantees that a release is an image by name or id, so that the one before can be put back; that nothing is built or pulled
//! unasked while switching; and that a missing program, plugin or daemon is said plainly. It needs no Docker library and no
//! socket of its own.

mod process;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::error::{Effect, Fault, seconds};
use super::retry::Poll;
use super::{Answer, Outcome, ServiceError, lenient};
use crate::clock::Clock;

/// Which Compose project, and which service in it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The program, `docker`, looked for in `PATH`.
    pub program: PathBuf,
    /// The directory of the Compose file.
    pub directory: PathBuf,
    /// The Compose file, if it has not the usual name.
    pub file: Option<PathBuf>,
    /// The project's name, if it is not the directory's.
    pub project: Option<String>,
    /// The service that the application is.
    pub service: String,
    /// The image as the Compose file names it, such as `logos-vision-crm:latest`.
    pub image: String,
    /// How long one command may take, in wall time.
    pub timeout: Duration,
}

/// A container of the project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its id.
    #[serde(rename = "ID", default, deserialize_with = "lenient::or_default")]
    pub id: String,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// The service it is of.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub service: String,
    /// running, exited, restarting…
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub state: String,
    /// healthy, unhealthy, starting, or empty where there is no check.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub health: String,
    /// The exit code of one that ended.
    #[serde(default)]
    pub exit_code: Option<i64>,
}

/// What a container's health check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerHealth {
    /// Its check passes.
    Healthy,
    /// The check has not passed yet.
    Starting,
    /// The check fails.
    Unhealthy {
        /// How often in a row.
        streak: u64,
        /// What the check said last.
        output: String,
    },
    /// The image has no health check: running is all that can be said.
    NoCheck,
    /// A word this client does not know.
    Unknown(String),
}

/// The client.
#[derive(Debug, Clone)]
pub struct Compose {
    config: Config,
    clock: Clock,
}

impl Compose {
    /// Prepares the client; nothing is run.
    pub fn new(config: Config, clock: Clock) -> Self {
        Self { config, clock }
    }

    /// The version of Compose: proves that program and plugin are there.
    pub async fn version(&self) -> Outcome<String> {
        let ran = self.compose("find Docker Compose", &["version", "--short"], Effect::Nothing).await?;
        Ok(ran.map(|out| out.trim().to_owned()))
    }

    /// The containers of the project, stopped ones too.
    pub async fn ps(&self) -> Outcome<Vec<Container>> {
        let asked = "list the containers";
        let ran = self.compose(asked, &["ps", "--all", "--format", "json"], Effect::Nothing).await?;
        match containers(&ran.value) {
            Ok(value) => Ok(Answer { value, receipt: ran.receipt }),
            Err(error) => {
                let fault = Fault::Unreadable { status: 0, detail: format!("docker compose ps: {error}") };
                Err(ServiceError::new("Docker Compose", asked, fault, Effect::Nothing, ran.receipt)
                    .advise("update Docker Compose"))
            }
        }
    }

    /// The running container of the service.
    pub async fn running(&self) -> Outcome<Container> {
        let list = self.ps().await?;
        let ours =
            list.value.into_iter().find(|one| one.service == self.config.service && one.state == "running");
        ours.map(|value| Answer { value, receipt: list.receipt.clone() }).ok_or_else(|| {
            let fault =
                Fault::NotFound(format!("no container of the service {} is running", self.config.service));
            ServiceError::new(
                "Docker Compose",
                "find the running container",
                fault,
                Effect::Nothing,
                list.receipt,
            )
            .advise("check the service's name, and read docker compose logs")
        })
    }

    /// The id of the image that the service runs now: remember it before deploying, it is what a rollback goes back to.
    pub async fn current_image(&self) -> Outcome<String> {
        let container = self.running().await?.value;
        let args = ["inspect", "--format", "{{.Image}}", &container.id];
        let ran = self.docker("read the image that runs", &args, Effect::Nothing).await?;
        Ok(ran.map(|out| out.trim().to_owned()))
    }

    /// Fetches an image; nothing that runs changes.
    pub async fn pull(&self, reference: &str) -> Outcome<()> {
        Ok(self.docker("pull the image", &["pull", "--quiet", reference], Effect::Nothing).await?.map(|_| ()))
    }

    /// Gives an image another name, so that it is kept and can be found.
    pub async fn tag(&self, image: &str, name: &str) -> Outcome<()> {
        Ok(self.docker("name the image", &["tag", image, name], Effect::Nothing).await?.map(|_| ()))
    }

    /// Runs the service on another image (a name that is here, or an id): deploying and rolling back are the same act. Safe to
    /// repeat.
    pub async fn switch_to(&self, image: &str) -> Outcome<()> {
        if image != self.config.image {
            self.tag(image, &self.config.image).await?;
        }
        let args = ["up", "--detach", "--no-deps", "--no-build", "--pull", "never", &self.config.service];
        Ok(self.compose("switch the image", &args, Effect::Unknown).await?.map(|_| ()))
    }

    /// What the running container's own check says.
    pub async fn health(&self) -> Outcome<ContainerHealth> {
        let container = self.running().await?.value;
        let args = ["inspect", "--format", "{{json .State.Health}}", &container.id];
        let ran = self.docker("read the container's health", &args, Effect::Nothing).await?;
        Ok(ran.map(|out| health(&out)))
    }

    /// Waits until the service's container is healthy. One without a health check is taken as it runs, and says so.
    pub async fn await_healthy(&self, patience: Duration) -> Outcome<ContainerHealth> {
        let pause = Duration::from_secs(2);
        let mut poll = Poll::new(&self.clock, pause, pause, patience);
        loop {
            let (last, receipt) = match self.health().await {
                Ok(Answer {
                    value: value @ (ContainerHealth::Healthy | ContainerHealth::NoCheck),
                    receipt,
                }) => {
                    return Ok(Answer { value, receipt });
                }
                Ok(Answer { value, receipt }) => (format!("the container is {value:?}"), receipt),
                // Between two containers there is none.
                Err(error) if error.is_not_found() => (error.fault().to_string(), error.receipt().clone()),
                Err(error) => return Err(error),
            };
            if !poll.again().await {
                let fault = Fault::NotProven(format!("{last} after {}", seconds(poll.waited())));
                let error =
                    ServiceError::new("Docker Compose", "see it healthy", fault, Effect::Accepted, receipt);
                return Err(error.advise("read docker compose logs, or go back to the image before"));
            }
        }
    }

    async fn compose(&self, asked: &str, args: &[&str], effect: Effect) -> Outcome<String> {
        let mut all = vec!["compose".to_owned()];
        if let Some(file) = &self.config.file {
            all.extend(["--file".to_owned(), file.display().to_string()]);
        }
        if let Some(project) = &self.config.project {
            all.extend(["--project-name".to_owned(), project.clone()]);
        }
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        self.run(asked, &all, effect).await
    }

    async fn docker(&self, asked: &str, args: &[&str], effect: Effect) -> Outcome<String> {
        let all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.run(asked, &all, effect).await
    }
}

/// One JSON object a line, or, in older releases, one array.
fn containers(out: &str) -> Result<Vec<Container>, serde_json::Error> {
    let out = out.trim();
    if out.starts_with('[') {
        return serde_json::from_str(out);
    }
    out.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect()
}

fn health(out: &str) -> ContainerHealth {
    let Ok(said) = serde_json::from_str::<Value>(out.trim()) else {
        return ContainerHealth::Unknown(super::redact::Redactor::new().excerpt(out.as_bytes(), 80));
    };
    match said.get("Status").and_then(Value::as_str) {
        None | Some("none") => ContainerHealth::NoCheck,
        Some("healthy") => ContainerHealth::Healthy,
        Some("starting") => ContainerHealth::Starting,
        Some("unhealthy") => {
            let streak = said.get("FailingStreak").and_then(Value::as_u64).unwrap_or_default();
            let last = said.get("Log").and_then(Value::as_array).and_then(|log| log.last());
            let output = last.and_then(|last| last.get("Output")).and_then(Value::as_str).unwrap_or_default();
            let output = super::redact::Redactor::new().excerpt(output.as_bytes(), 120);
            ContainerHealth::Unhealthy { streak, output }
        }
        Some(other) => ContainerHealth::Unknown(other.to_owned()),
    }
}
