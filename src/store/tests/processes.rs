//! Two processes on one file, and a writer that is killed. The other process is this very test program, asked for the one
//! ignored test below; what it says it says line by line on its standard output.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command as Process, Stdio};

use chrono::{DateTime, Utc};

use super::*;
use crate::run::Event;

const ROLE: &str = "GONOGO_TEST_ROLE";
const FILE: &str = "GONOGO_TEST_FILE";
/// Before each line of the other process, since the test harness prints lines of its own.
const MARK: &str = "said: ";

pub(super) struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    pub(super) fn start(role: &str, path: &Path) -> Self {
        Self::from(Process::new(std::env::current_exe().unwrap()), role, path)
    }

    pub(super) fn from(mut program: Process, role: &str, path: &Path) -> Self {
        program.args(["--exact", "store::tests::processes::the_other_process", "--ignored", "--nocapture"]);
        program.env(ROLE, role).env(FILE, path).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next thing it says; nothing once it is over.
    pub(super) fn says(&mut self) -> Option<String> {
        self.lines.find_map(|line| Some(line.ok()?.split_once(MARK)?.1.to_owned()))
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Over already, where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(what: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{what}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
#[ignore = "the other process of the tests in this file; they start it"]
async fn the_other_process() {
    let (Ok(role), Ok(path)) = (std::env::var(ROLE), std::env::var(FILE)) else { return };
    let store = match Store::open(Path::new(&path), Clock::wall()).await {
        Ok(store) => store,
        Err(error) => return say(&error.to_string()),
    };
    say("open");
    match role.as_str() {
        "open" => {}
        "write" => loop {
            let seq = write(&store, "kept").await;
            say(&seq.to_string());
        },
        "follow" => {
            let mut state = store.state();
            while state.changed().await.is_ok() {
                let seq = state.borrow_and_update().seq;
                say(&format!("{seq} {}", Utc::now().timestamp_micros()));
            }
        }
        "contend" => contend(&store).await,
        other => panic!("no role {other}"),
    }
}

/// Ticks and reopens one item, as fast as another process lets it; says the number of what it was granted.
async fn contend(store: &Store) {
    let by = Actor::person(&std::process::id().to_string(), Role::Lead);
    let wishes = [
        Command::Tick { item: "child".into(), value: None },
        Command::Reopen { item: "child".into(), reason: "again".into() },
    ];
    for wish in wishes.into_iter().cycle().take(120) {
        match store.submit(&by, wish).await {
            Ok(records) => records.iter().for_each(|record| say(&record.seq.to_string())),
            Err(SubmitError::Refused(_)) => {}
            Err(SubmitError::Store(error)) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn two_processes_that_want_the_same_never_both_win() {
    let (_dir, path) = journal(0).await;
    let mut others = [Other::start("contend", &path), Other::start("contend", &path)];
    let mut granted = Vec::new();
    for other in &mut others {
        assert_eq!(other.says().as_deref(), Some("open"));
    }
    for other in &mut others {
        while let Some(seq) = other.says() {
            granted.push(seq.parse::<u64>().unwrap());
        }
        assert!(other.child.wait().unwrap().success());
    }
    granted.sort_unstable();
    let records = open(&path).await.records(2, u32::MAX).await.unwrap();
    assert_eq!(granted, records.iter().map(|record| record.seq).collect::<Vec<_>>());
    for (number, record) in records.iter().enumerate() {
        // Whoever gave it: a tick is only granted where the item was open, and a reopening where it was not.
        let fits = if number % 2 == 0 {
            matches!(record.event, Event::ItemDone { .. })
        } else {
            matches!(record.event, Event::ItemReopened { .. })
        };
        assert!(fits, "{record:?}");
    }
    assert!(records.len() >= 2, "they had something to fight for");
}

#[tokio::test]
async fn another_process_sees_an_event_within_250_ms() {
    let (_dir, path) = journal(0).await;
    let store = open(&path).await;
    let mut other = Other::start("follow", &path);
    assert_eq!(other.says().as_deref(), Some("open"));
    let mut ways = Vec::new();
    for number in 0..20 {
        let seq = write(&store, &format!("look {number}")).await;
        let written = Utc::now();
        loop {
            let said = other.says().expect("it follows");
            let (seen, at) = said.split_once(' ').unwrap();
            if seen.parse::<u64>().unwrap() >= seq {
                let at = DateTime::from_timestamp_micros(at.parse().unwrap()).unwrap();
                ways.push((at - written).num_milliseconds());
                break;
            }
        }
    }
    ways.sort_unstable();
    // One of twenty may be the machine's own hiccup: the tests share it.
    assert!(ways[18] <= 250, "milliseconds to the other process: {ways:?}");
}

#[tokio::test]
async fn kill_9_at_any_moment_loses_nothing_that_was_acknowledged() {
    let (_dir, path) = journal(0).await;
    let mut acknowledged = Vec::new();
    for _ in 0..12 {
        let mut writer = Other::start("write", &path);
        assert_eq!(writer.says().as_deref(), Some("open"), "it opens after each kill");
        let [random, pause, ..] = *uuid::Uuid::new_v4().as_bytes();
        for _ in 0..=random % 24 {
            acknowledged.push(writer.says().expect("it writes").parse::<u64>().unwrap());
        }
        // Some microseconds on, so that the kill falls anywhere in what it is doing next.
        let until = std::time::Instant::now() + Duration::from_micros(u64::from(pause) * 8);
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        writer.kill();
        while let Some(seq) = writer.says() {
            acknowledged.push(seq.parse().unwrap());
        }
    }
    let store = open(&path).await;
    let records = store.records(2, u32::MAX).await.unwrap();
    let there: Vec<u64> = records.iter().map(|record| record.seq).collect();
    assert_eq!(there, (2..=store.now().seq).collect::<Vec<_>>(), "no gap");
    let lost: Vec<_> = acknowledged.iter().filter(|seq| !there.contains(seq)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(
        there.len() <= acknowledged.len() + 12,
        "at most one event of each writer was on disk before it could say so"
    );
    assert!(
        records.iter().all(|record| matches!(&record.event, Event::Noted { text, .. } if text == "kept"))
    );
    write(&store, "and it goes on").await;
}

#[tokio::test]
async fn many_processes_may_begin_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/down/run.sqlite");
    let mut others: Vec<_> = (0..4).map(|_| Other::start("open", &path)).collect();
    let said: Vec<_> = others.iter_mut().filter_map(Other::says).collect();
    assert_eq!(said, ["open"; 4]);
}
