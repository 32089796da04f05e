//! The child is a real process: a shell script in the place of the program, which notes what it was asked.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

struct Docker {
    directory: tempfile::TempDir,
}

impl Docker {
    fn new(cases: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker");
        // Written by another process: a file that this one holds open for writing while a test beside forks cannot be run.
        let mut writer = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> \"$0.log\"\ncase \"$*\" in\n{cases}\n*) echo \"unexpected: $*\" >&2; exit 64;;\nesac\n"
        );
        writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        Self { directory }
    }

    fn compose(&self) -> Compose {
        let config = Config {
            program: self.directory.path().join("docker"),
            directory: self.directory.path().to_owned(),
            file: None,
            project: Some("crm".into()),
            service: "web".into(),
            image: "logos-vision-crm:latest".into(),
            timeout: Duration::from_secs(20),
        };
        Compose::new(config, Clock::paced("2026-10-03T14:30:00Z".parse().unwrap(), 2000.0))
    }

    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.path().join("docker.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

const PS: &str = r#""compose --project-name crm ps --all --format json")
  echo '{"ID":"old","Name":"crm-web-0","Service":"web","State":"exited","Health":"","ExitCode":1}'
  echo '{"ID":"abc","Name":"crm-web-1","Service":"web","State":"running","Health":"healthy","ExitCode":0,"Invented":[]}';;"#;

#[test]
fn both_shapes_of_ps_are_read() {
    let object = r#"{"ID":"abc","Service":"web","State":"running","Health":"starting"}"#;
    let lines = containers(&format!("{object}\n{object}\n")).unwrap();
    assert_eq!(lines, containers(&format!("[{object},{object}]")).unwrap());
    assert_eq!((lines.len(), lines[0].health.as_str()), (2, "starting"));
    assert!(containers("").unwrap().is_empty());
    assert!(containers("NAME  COMMAND").is_err());
}

#[tokio::test]
async fn a_switch_names_the_image_and_brings_the_service_up_without_building() {
    let docker = Docker::new(&format!(
        "{PS}\n\"inspect --format {{{{.Image}}}} abc\") echo sha256:0b1c;;\n\"tag \"*) ;;\n\"compose --project-name crm up \"*) ;;"
    ));
    let compose = docker.compose();
    assert_eq!(compose.current_image().await.unwrap().value, "sha256:0b1c");
    let answer = compose.switch_to("sha256:0b1c").await.unwrap();
    assert!(answer.receipt.path.contains("up --detach"));
    assert_eq!(
        docker.asked()[2..],
        [
            "tag sha256:0b1c logos-vision-crm:latest",
            "compose --project-name crm up --detach --no-deps --no-build --pull never web",
        ]
    );
}

#[tokio::test]
async fn health_is_waited_for() {
    let docker = Docker::new(&format!(
        "{PS}\n\"inspect --format {{{{json .State.Health}}}} abc\") n=$(cat \"$0.n\" 2>/dev/null); echo \"x$n\" > \"$0.n\"; \
         if [ \"$n\" = xx ]; then echo '{{\"Status\":\"healthy\",\"FailingStreak\":0,\"Log\":[]}}'; else echo '{{\"Status\":\"starting\"}}'; fi;;"
    ));
    assert_eq!(
        docker.compose().await_healthy(Duration::from_hours(10)).await.unwrap().value,
        ContainerHealth::Healthy
    );
    let sick =
        r#"{"Status":"unhealthy","FailingStreak":3,"Log":[{"Output":"curl: (7) refused","ExitCode":1}]}"#;
    assert_eq!(health(sick), ContainerHealth::Unhealthy { streak: 3, output: "curl: (7) refused".into() });
    assert_eq!(health("null"), ContainerHealth::NoCheck);
}

#[tokio::test]
async fn what_is_missing_is_told_apart_from_what_failed() {
    let mut config = Docker::new("").compose().config;
    config.program = "no-such-program-of-gonogo".into();
    config.directory = std::env::temp_dir();
    let error = Compose::new(config, Clock::wall()).version().await.unwrap_err();
    assert!(error.to_string().contains("was not found in PATH"), "{error}");

    for (says, expected) in [
        ("docker: unknown command: docker compose", "its Compose plugin is not"),
        (
            "unknown flag: --project-name'; echo \"Run 'docker --help' for more information\" >&2; echo '",
            "its Compose plugin is not",
        ),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "no connection"),
        ("pull access denied, repository does not exist", "not found"),
        (
            "service web: port is already allocated",
            "ended with code 3: service web: port is already allocated",
        ),
    ] {
        let docker = Docker::new(&format!("*) echo '{says}' >&2; exit 3;;"));
        let error = docker.compose().switch_to("logos-vision-crm:latest").await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_command_that_hangs_is_ended() {
    let docker = Docker::new("*) exec sleep 600;;");
    let mut compose = docker.compose();
    compose.config.timeout = Duration::from_millis(200);
    let error = compose.switch_to("logos-vision-crm:latest").await.unwrap_err();
    assert_eq!(
        (error.fault(), error.effect()),
        (&Fault::TimedOut(Duration::from_millis(200)), Effect::Unknown)
    );
}

#[tokio::test]
async fn nothing_running_is_not_found() {
    let docker = Docker::new("\"compose --project-name crm ps --all --format json\") ;;");
    assert!(docker.compose().running().await.unwrap_err().is_not_found());
}
