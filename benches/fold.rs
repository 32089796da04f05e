//! Start-up: opening a journal of 100,000 events through the real file, hashes proven and state folded. Aim: half a second.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gonogo::clock::Clock;
use gonogo::plan::checklist::read::read;
use gonogo::plan::{Config, Role, bundled};
use gonogo::run::command::Report;
use gonogo::run::event::NoteKind;
use gonogo::run::judge::Verdict;
use gonogo::run::{Actor, Command, Mode, State, decide};
use gonogo::store::Store;
use gonogo::store::journal::Journal;
use tokio::runtime::Runtime;

const EVENTS: u64 = 100_000;

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// A journal as a long run leaves it: one plan, then verdicts, passes of the sync, alerts and notes.
async fn write(path: &Path) {
    let checklist = read(bundled::CHECKLIST, bundled::CHECKLIST_NAME).expect("it ships");
    let plan = Config::parse(bundled::CONFIG, bundled::CONFIG_NAME).expect("it ships").plan(checklist);
    let (lead, monitor) = (Actor::person("lea", Role::Lead), Actor::machine("monitor"));
    let clock = Clock::wall();
    let (mut journal, _) = Journal::open(path).await.expect("it opens");
    let open = Command::Open { plan: Arc::new(plan), mode: Mode::Rehearsal };
    let opened = journal.append(&clock, |state| Ok((lead.clone(), decide(state, &lead, open)?))).await;
    opened.expect("the run opens");
    let make = |number: u64, state: &State| {
        let report = |report| decide(state, &monitor, Command::Report(report));
        match number % 4 {
            0 | 2 => {
                let verdict = if number.is_multiple_of(4) { Verdict::Ok } else { Verdict::Warn };
                let reading = format!("0.{} %, n {}", number % 10, 400 + number % 100);
                report(Report::Verdict { metric: "error_rate".into(), verdict, reading })
            }
            1 => report(Report::Synced {
                imported: number % 7,
                updated: number % 11,
                unchanged: 0,
                failed: 0,
                conflicts: 0,
            }),
            _ => {
                let text = format!("remark {number}: nothing to see, and it is written down all the same");
                decide(state, &lead, Command::Note { item: None, kind: NoteKind::Note, text })
            }
        }
    };
    // Many in one transaction: how they got there is not what is measured.
    let mut number = 1;
    while number < EVENTS {
        let batch = 1_000.min(EVENTS - number);
        let appended = journal.append(&clock, |state| {
            let mut ahead = state.clone();
            ahead.tail.clear();
            let mut events = Vec::new();
            for number in number..number + batch {
                for event in make(number, &ahead)? {
                    let seq = ahead.seq + 1;
                    let record =
                        gonogo::run::Record { seq, at: ahead.at, by: lead.clone(), event: event.clone() };
                    ahead.apply(Arc::new(record));
                    events.push(event);
                }
            }
            Ok((lead.clone(), events))
        });
        number += appended.await.expect("it is taken").len() as u64;
    }
}

struct Run {
    _dir: tempfile::TempDir,
    path: PathBuf,
    runtime: Runtime,
}

fn long_run() -> Run {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("run.sqlite");
    let runtime = runtime();
    runtime.block_on(write(&path));
    Run { _dir: dir, path, runtime }
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn open_100_000_events(bencher: divan::Bencher<'_, '_>) {
    let run = long_run();
    bencher.counter(divan::counter::ItemsCount::new(EVENTS)).bench_local(|| {
        let store = run.runtime.block_on(Store::open(&run.path, Clock::wall())).expect("it opens");
        assert_eq!(store.now().seq, EVENTS);
        store
    });
}

#[divan::bench(sample_count = 20, sample_size = 10)]
fn submit_one_more(bencher: divan::Bencher<'_, '_>) {
    let run = long_run();
    let store = run.runtime.block_on(Store::open(&run.path, Clock::wall())).expect("it opens");
    let lead = Actor::person("lea", Role::Lead);
    bencher.bench_local(|| {
        let note = Command::Note { item: None, kind: NoteKind::Note, text: "one more".into() };
        run.runtime.block_on(store.submit(&lead, note)).expect("it is taken")
    });
}
