//! Every version of the server that is on this machine: the engine's own tests again, on each that is not the first choice. What
//! depends on a version is gated in the engine, and a gate that was never passed through is a guess.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gonogo::scratch::{Binaries, OVERRIDE};

/// The rooms of this test that meet the server's catalogue, its locks and its progress views.
const AGAIN: [&str; 5] = ["shipped::up_is_proven", "faults::", "live::", "bad_input::", "theirs::"];

/// Server programs by major version: packaged ones, and those that `script/postgres` fetched.
fn found() -> BTreeMap<u32, PathBuf> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/postgres");
    let mut found = BTreeMap::new();
    for root in [Path::new("/usr/lib/postgresql"), &fetched] {
        let entries = std::fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
        for entry in entries {
            let bin = entry.path().join("bin");
            let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(version) = version.filter(|_| bin.join("initdb").exists()) {
                found.insert(version, bin);
            }
        }
    }
    found
}

#[test]
fn the_engine_holds_on_every_server_that_is_here() {
    if std::env::var_os(OVERRIDE).is_some() {
        println!("skipped: {OVERRIDE} names the one server that is meant");
        return;
    }
    let first = Binaries::find().unwrap().major();
    let others: BTreeMap<u32, PathBuf> =
        found().into_iter().filter(|(version, _)| *version != first).collect();
    if others.is_empty() {
        println!("skipped: no server but PostgreSQL {first} is here; script/postgres fetches another");
    }
    for (version, bin) in others {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args(AGAIN).args(["--test-threads", "2"]).env(OVERRIDE, &bin).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "on PostgreSQL {version}:\n{said}");
        assert!(said.matches(" ... ok").count() > 15, "on PostgreSQL {version} hardly anything ran:\n{said}");
        println!(
            "PostgreSQL {version}: {}",
            said.lines().rfind(|line| line.starts_with("test result")).unwrap_or("")
        );
    }
}
