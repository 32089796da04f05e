//! Proof by a command of the checklist: it ends with exit code 0.
//!
//! It guarantees that a command stops at its first error (`sh -eu`), that one which hangs is ended with all that it started,
//! that its last lines are the evidence, and that no secret the cockpit knows is among them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::{Case, Proof, Proven, failure};
use crate::plan::Block;
use crate::run::Failure;
use crate::services::redact::Redactor;
use crate::workers::Kit;

/// How long a command may take, in wall time: a whole test suite, and no more.
const PATIENCE: Duration = Duration::from_mins(20);
/// How much of what a command says is kept, in bytes.
const KEPT: usize = 16 * 1024;
/// How many of its last lines are evidence, and how long they may be together.
const LINES: usize = 6;
const CHARS: usize = 600;

pub(super) async fn prove(case: &Case<'_>) -> Proven {
    let block =
        case.item().and_then(|item| item.commands.iter().find(|block| is_shell(block))).ok_or_else(|| {
            failure("there is no command under the item", "write one in a fenced block under it (```sh)")
        })?;
    run(&block.text, case.kit, PATIENCE).await
}

fn is_shell(block: &Block) -> bool {
    ["", "sh", "bash", "shell", "console"].iter().any(|lang| block.lang.eq_ignore_ascii_case(lang))
}

/// A child and all that it started, as long as they stay in its process group.
struct Group(Option<u32>);

impl Group {
    /// Ends what is left of the group. Asked of `kill`, because the program itself may do nothing unsafe.
    fn end(&mut self) {
        if let Some(id) = self.0.take() {
            let mut kill = std::process::Command::new("kill");
            kill.args(["-KILL", "--", &format!("-{id}")]).stdout(Stdio::null()).stderr(Stdio::null());
            if let Err(error) = kill.status() {
                tracing::warn!(%error, "a command's process group was not ended");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run(text: &str, kit: &Kit, patience: Duration) -> Proven {
    let root = kit.path("".as_ref());
    let root = if root.as_os_str().is_empty() { ".".into() } else { root };
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", text]).current_dir(&root).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let began = Instant::now();
    let mut child = command.spawn().map_err(|error| {
        failure(
            format!("the command did not start in {}: {error}", root.display()),
            "look whether sh and the directory are there",
        )
    })?;
    let mut group = Group(child.id());
    let mut tail = Tail::default();
    let ended = tokio::time::timeout(patience, attend(&mut child, &mut tail)).await;
    let (redactor, took) = (redactor(kit), began.elapsed());
    let said = tail.words(&redactor);
    let Ok(status) = ended else {
        group.end();
        let what = format!(
            "the command was not done after {} s and was ended; it last said: {said}",
            patience.as_secs()
        );
        let done = "what it did until then stays done".into();
        return Err(Failure { state: done, ..failure(what, "run it by hand") });
    };
    let status = status.map_err(|error| failure(format!("the command was lost: {error}"), "ask again"))?;
    // It ended by itself, and what it left running on purpose is its own.
    group.0 = None;
    if status.success() {
        return Ok(Proof::that(format!("exit code 0 after {:.1} s: {said}", took.as_secs_f64())));
    }
    let (code, next) = match status.code() {
        Some(127) => ("exit code 127".into(), "a program that it names is not installed here"),
        Some(126) => ("exit code 126".into(), "a program that it names may not be run"),
        Some(code) => (format!("exit code {code}"), "settle what it says, then ask again"),
        None => ("a signal".into(), "look who ended it"),
    };
    let what = format!("the command ended with {code} after {:.1} s: {said}", took.as_secs_f64());
    Err(Failure { state: "what it did until then stays done".into(), ..failure(what, next) })
}

/// Reads what the child says until it ends.
async fn attend(child: &mut Child, tail: &mut Tail) -> std::io::Result<std::process::ExitStatus> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Pipe::new(out), Pipe::new(err));
    loop {
        tokio::select! {
            read = out.read(), if out.is_open() => tail.add(&read?),
            read = err.read(), if err.is_open() => tail.add(&read?),
            status = child.wait(), if !(out.is_open() || err.is_open()) => return status,
        }
    }
}

/// One end of what a child says.
struct Pipe<R> {
    from: Option<R>,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    fn new(from: Option<R>) -> Self {
        Self { from }
    }

    const fn is_open(&self) -> bool {
        self.from.is_some()
    }

    async fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let Some(from) = &mut self.from else { return Ok(Vec::new()) };
        let mut some = vec![0; 4096];
        let read = from.read(&mut some).await?;
        some.truncate(read);
        if read == 0 {
            self.from = None;
        }
        Ok(some)
    }
}

/// The end of what was said.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn add(&mut self, more: &[u8]) {
        self.0.extend_from_slice(more);
        if self.0.len() > 2 * KEPT {
            self.0.drain(..self.0.len() - KEPT);
        }
    }

    /// The last lines, cleaned before they are cut.
    fn words(&self, redactor: &Redactor) -> String {
        let text = redactor.clean(&String::from_utf8_lossy(&self.0));
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join(" / ");
        let last: String = last.chars().filter(|c| !c.is_control()).collect();
        let skip = last.chars().count().saturating_sub(CHARS);
        match last.chars().skip(skip).collect::<String>() {
            none if none.is_empty() => "it said nothing".into(),
            some if skip > 0 => format!("…{some}"),
            some => some,
        }
    }
}

/// Knows every secret that the configuration names and this cockpit has.
fn redactor(kit: &Kit) -> Redactor {
    let config = kit.config();
    let services = &config.services;
    let mut names = vec![&config.database.url_env];
    names.extend(services.pulse.iter().map(|of| &of.token_env));
    names.extend(services.sentry.iter().flat_map(|of| [&of.token_env, &of.dsn_env]));
    names.extend(services.posthog.iter().flat_map(|of| [&of.key_env, &of.project_key_env]));
    names.extend(services.vercel.iter().map(|of| &of.token_env));
    names.extend(services.slack.iter().flat_map(|of| of.token_env.iter().chain(&of.webhook_env)));
    names.extend(services.statuspage.iter().map(|of| &of.key_env));
    names.extend(services.pagerduty.iter().map(|of| &of.key_env));
    names
        .into_iter()
        .filter_map(|name| kit.secret(name).ok())
        .fold(Redactor::new(), |all, one| all.with(&one))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::SecretString;

    use super::*;
    use crate::clock::Clock;
    use crate::plan::Config;
    use crate::secrets::Secrets;

    fn kit(root: &Path) -> Kit {
        let secret = ("DATABASE_URL".to_owned(), SecretString::from("postgres://crm:hunter2@db/crm"));
        Kit::new(Config::default(), root, Secrets::of([secret]), Clock::wall())
    }

    #[tokio::test]
    async fn the_exit_code_decides_and_the_last_lines_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let run = async |text: &str| run(text, &kit(dir.path()), Duration::from_secs(30)).await;
        let proof = run("for i in 1 2 3 4 5 6 7 8; do echo line $i; done; pwd >&2").await.unwrap();
        assert!(
            proof.evidence.contains("line 8") && !proof.evidence.contains("line 1 "),
            "{}",
            proof.evidence
        );
        let failed = run("echo before; false; echo after").await.unwrap_err();
        assert!(failed.what.contains("exit code 1") && failed.what.contains("before"), "{failed}");
        assert!(!failed.what.contains("after:") && !failed.what.contains("/ after"), "{failed}");
        assert!(run("echo $no_such_variable").await.is_err(), "unset is an error");
        assert!(run("no-such-program-here").await.unwrap_err().next.contains("not installed"));
        let secret = run("echo connecting to postgres://crm:hunter2@db/crm; exit 3").await.unwrap_err();
        assert!(secret.what.contains("exit code 3") && !secret.what.contains("hunter2"), "{secret}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let text = "sh -c 'echo $$ > child; exec sleep 600' & echo waiting; wait";
        let failed = run(text, &kit(dir.path()), Duration::from_secs(2)).await.unwrap_err();
        assert!(failed.what.contains("not done after 2 s") && failed.what.contains("waiting"), "{failed}");
        let child = std::fs::read_to_string(dir.path().join("child")).unwrap();
        let alive = || {
            // A zombie waits for its parent, and runs no more.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while alive() {
            assert!(Instant::now() < deadline, "the child lives");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
