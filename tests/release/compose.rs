//! Docker Compose: the program is a real process with images and a container of its own, kept in files; the application is a
//! server that says what the running image is.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::Router;
use axum::routing::get;
use gonogo::run::job::{Facts, JobStatus, StepStatus};
use gonogo::run::{JobKind, Mode, Outcome};

use crate::rig::Rig;

const DOCKER: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/log"
file() { echo "$here/tag-$(echo "$1" | tr '/:' '__')"; }
case "$*" in
"tag "*)
  case "$2" in sha256:*) id=$2;; *) id=$(cat "$(file "$2")" 2>/dev/null);; esac
  [ -n "$id" ] || { echo "Error response from daemon: No such image: $2" >&2; exit 1; }
  echo "$id" > "$(file "$3")";;
"pull "*) echo "manifest unknown" >&2; exit 1;;
*" up "*) cat "$(file logos-vision-crm)" > "$here/running";;
*" ps "*) echo '{"ID":"abc","Name":"crm-web-1","Service":"web","State":"running","Health":"healthy","ExitCode":0}';;
*".Image"*) cat "$here/running";;
*".State.Health"*) echo '{"Status":"healthy","FailingStreak":0,"Log":[]}';;
*) echo "unexpected: $*" >&2; exit 64;;
esac
"#;

fn install(dir: &Path) {
    // Written by another process: a file that this one holds open for writing while a test beside forks cannot be run.
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
        .arg(dir.join("docker"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(DOCKER.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    std::fs::write(dir.join("running"), "sha256:old\n").unwrap();
    std::fs::write(dir.join("tag-logos-vision-crm"), "sha256:old\n").unwrap();
    std::fs::write(dir.join("tag-logos-vision-crm_2.0.0"), "sha256:new\n").unwrap();
}

/// Serves what the running image is; answers with its address.
async fn application(dir: &Path) -> String {
    let running = dir.join("running");
    let answer = move || {
        let running = running.clone();
        async move {
            let old = std::fs::read_to_string(running).unwrap().starts_with("sha256:old");
            let version = if old { "1.9.4" } else { "2.0.0" };
            axum::Json(serde_json::json!({"status": "ok", "version": version}))
        }
    };
    let router = Router::new().route("/health", get(answer.clone())).route("/version.json", get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn the_image_before_is_kept_through_kills_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path());
    let url = application(dir.path()).await;
    let toml = format!(
        "[deployment]\nversion = \"2.0.0\"\n[app]\nurl = \"{url}\"\n[services.compose]\nprogram = \"{}\"\nservice = \"web\"\n\
         image = \"logos-vision-crm\"\n",
        dir.path().join("docker").display()
    );
    let rig = Rig::of(Mode::Rehearsal, |_| toml).await;
    let job = rig.request(JobKind::Deploy).await;
    for step in 0..4 {
        let crew = rig.crew(&format!("cockpit-{step}"));
        rig.until("the step", |state| {
            let job = &state.jobs[&job];
            job.is_over() || job.steps.get(step).is_some_and(|step| step.status != StepStatus::Waiting)
        })
        .await;
        crew.leave().await;
    }
    let _crew = rig.crew("last");
    rig.succeeds(job).await;
    assert_eq!(rig.version().await, "2.0.0");
    let JobStatus::Ended {
        outcome: Outcome::Succeeded { facts: Facts::Deployed { previous, .. }, .. }, ..
    } = rig.ended(job).await.status
    else {
        panic!("deployed")
    };
    let kept = previous.unwrap();
    assert!(kept.starts_with("logos-vision-crm:gonogo-before-"), "{kept}");
    let back = rig.roll_back(2, None).await;
    let summary = rig.succeeds(back).await;
    assert!(summary.contains("users get 1.9.4 again"), "{summary}");
    assert_eq!(rig.version().await, "1.9.4");
}
