//! The whole deployment with Pulse down for the whole of the import phase: it goes on with mock data, says so in its record, proves
//! nothing by them, and imports from Pulse before more than the first stage sees the release.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

#[tokio::test]
async fn with_pulse_down_the_deployment_goes_on_with_mock_data_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // Where root runs this, PostgreSQL's own account must get in.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
    command
        .args(["--json", "--config"])
        .arg(root.join("checklists/contacts-redesign.toml"))
        .arg("--checklist")
        .arg(root.join("tests/import/down.md"))
        .args([
            "rehearse",
            "--scenario",
            "pulse-down",
            "--contacts",
            "300",
            "--speed",
            "240",
            "--dir",
            "rehearsal",
        ])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output =
        tokio::time::timeout(Duration::from_mins(5), command.output()).await.expect("in time").unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, events) = lines.split_last().unwrap_or_else(|| panic!("{complaint}"));
    let words = |event: &Value| event["words"].as_str().unwrap().to_owned();
    let at = |which: &dyn Fn(&Value) -> bool| events.iter().position(which);
    let all = || events.iter().map(words).collect::<Vec<_>>().join("\n");

    // Who decided it and why, and what stands.
    let mocked = at(&|event| event["event"] == "mocked").unwrap_or_else(|| panic!("{}", all()));
    assert_eq!(events[mocked]["by"]["role"], "lead");
    assert!(words(&events[mocked]).contains("NOTHING is imported") && words(&events[mocked]).contains("503"));
    assert!(at(&|event| event["event"] == "pulse-failed").is_some_and(|failed| failed < mocked));
    assert!(all().contains("200 MOCK profiles stand in gonogo_mock.contacts, none among the real contacts"));

    // What Pulse alone could prove is left out, and nothing of it is done.
    for item in ["reachable", "limit", "import", "agrees", "mapped", "compared", "sync", "rate"] {
        let skipped = at(&|event| event["event"] == "item-skipped" && event["item"] == item);
        assert!(
            skipped.is_some_and(|at| words(&events[at]).contains("MOCK data prove nothing")),
            "{item}\n{}",
            all()
        );
        assert!(at(&|event| event["event"] == "item-done" && event["item"] == item).is_none(), "{item}");
    }
    assert!(at(&|event| event["event"] == "item-done" && event["item"] == "agreed").is_some());
    let go = at(&|event| event["event"] == "go" && words(event).contains("Pulse integration")).unwrap();
    assert!(
        words(&events[go]).contains("on MOCK data: Pulse's contacts are not imported"),
        "{}",
        words(&events[go])
    );
    assert!(words(&events[go]).contains("0 of them by a machine, 8 skipped"), "{}", words(&events[go]));
    assert!(all().contains("is signed on MOCK data: nothing of Pulse's is imported"), "{}", all());

    // The real ones come before the second stage, and the invented ones are gone.
    let ended = |kind: &str| {
        let asked =
            events.iter().filter(|event| event["event"] == "job-requested" && event["kind"]["do"] == kind);
        let jobs: Vec<&Value> = asked.map(|event| &event["job"]).collect();
        at(&|event| {
            event["event"] == "job-ended"
                && jobs.contains(&&event["job"])
                && event["outcome"]["was"] == "succeeded"
        })
    };
    let imported = ended("import").unwrap_or_else(|| panic!("{}", all()));
    let wider = at(&|event| event["event"] == "job-requested" && event["kind"]["share"] == 50).unwrap();
    assert!(go < imported && imported < wider, "{}", all());
    assert!(words(&events[imported]).contains("the mock profiles are gone"), "{}", words(&events[imported]));
    assert!(ended("sync").is_some_and(|sync| imported < sync), "{}", all());
    assert_eq!(summary["summary"]["ending"], "SUCCESS WITH MINOR ISSUES", "{summary}");
    assert!(summary["summary"]["mock"]["gone"].is_string(), "{summary}");
    let mapped = summary["proof"]["profiles_mapped"].as_u64().unwrap();
    assert!((290..=300).contains(&mapped), "{summary}");
    assert_eq!(output.status.code(), Some(0), "{complaint}");
}
