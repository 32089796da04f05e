//! Runs one command of the `docker` program.
//!
//! Guarantees no terminal and no shell, a time-out in wall time after which the child is killed, output without secrets or control
//! characters, and that what is missing (program, plugin, daemon) is told apart from what failed.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use super::Compose;
use crate::services::error::{Effect, Fault};
use crate::services::redact::Redactor;
use crate::services::{Answer, Outcome, Receipt, ServiceError};

const SERVICE: &str = "Docker Compose";

impl Compose {
    /// Runs `docker` with these arguments; `effect` is what a failure may have left behind.
    pub(super) async fn run(&self, asked: &str, args: &[String], effect: Effect) -> Outcome<String> {
        let redactor = Redactor::new();
        let program = self.config.program.display().to_string();
        let began = Instant::now();
        let mut receipt = Receipt {
            service: SERVICE.to_owned(),
            method: "run".to_owned(),
            path: redactor.clean(&format!("{program} {}", args.join(" "))),
            attempts: 1,
            at: self.clock.now(),
            ..Receipt::default()
        };
        let child = Command::new(&self.config.program)
            .args(args)
            .current_dir(&self.config.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let child = child.map_err(|error| {
            let problem = if !self.config.directory.is_dir() {
                format!("there is no directory {}", self.config.directory.display())
            } else if error.kind() == std::io::ErrorKind::NotFound {
                format!("the program {program} was not found in PATH")
            } else {
                format!("{program} cannot be run: {error}")
            };
            ServiceError::new(SERVICE, asked, Fault::Setup(problem), Effect::Nothing, receipt.clone())
                .advise("install Docker with the Compose plugin here, or correct the setting")
        })?;
        let ended = tokio::time::timeout(self.config.timeout, child.wait_with_output()).await;
        receipt.took = began.elapsed();
        let output = match ended {
            Err(_) => {
                let fault = Fault::TimedOut(self.config.timeout);
                return Err(ServiceError::new(SERVICE, asked, fault, effect, receipt));
            }
            Ok(Err(error)) => {
                let fault = Fault::Cut(redactor.clean(&error.to_string()));
                return Err(ServiceError::new(SERVICE, asked, fault, effect, receipt));
            }
            Ok(Ok(output)) => output,
        };
        tracing::debug!(?receipt, status = %output.status, "ran");
        if output.status.success() {
            return Ok(Answer { value: String::from_utf8_lossy(&output.stdout).into_owned(), receipt });
        }
        // The reason stands at the end; what goes before is progress.
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        let text = String::from_utf8_lossy(said);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(4)..].join(" / ");
        let detail = redactor.excerpt(tail.as_bytes(), 300);
        let lower = text.to_lowercase();
        // Without the plugin docker reads Compose's flags as its own, and points to its own help.
        let no_plugin = args.first().is_some_and(|first| first == "compose")
            && ["is not a docker command", "unknown command: docker compose", "run 'docker --help'"]
                .iter()
                .any(|sign| lower.contains(sign));
        let (fault, effect, next) = if no_plugin {
            let problem = "docker is here, but its Compose plugin is not".to_owned();
            (Fault::Setup(problem), Effect::Nothing, Some("install the Docker Compose plugin"))
        } else if lower.contains("cannot connect to the docker daemon")
            || lower.contains("permission denied while trying to connect")
        {
            (Fault::Unreachable(detail), Effect::Nothing, Some("start Docker, and let this user talk to it"))
        } else if lower.contains("no such image")
            || lower.contains("manifest unknown")
            || lower.contains("repository does not exist")
        {
            (
                Fault::NotFound(detail),
                Effect::Nothing,
                Some("check the image's name and tag, and the login to its registry"),
            )
        } else {
            (Fault::Process { program, code: output.status.code(), detail }, effect, None)
        };
        let error = ServiceError::new(SERVICE, asked, fault, effect, receipt);
        Err(match next {
            Some(next) => error.advise(next),
            None => error,
        })
    }
}
