//! The fault matrix: the runner is killed with signal 9, the server goes down, the connection is cut, before, in and after the
//! steps of the shipped migrations, there and back; a second run must come to the same catalogue and the same data.
//!
//! Here a sample of the points is played. `script/bench faults` plays all of them and prints the table.

mod ground;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;

use ground::{End, Ground, Way};

/// Every so many points in a normal run of the tests: a prime, so that begins, ends and lines of the bookkeeping all come up.
const SAMPLE: usize = 397;
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Kill,
    Restart,
    Cut,
}

impl Fault {
    const ALL: [Self; 3] = [Self::Kill, Self::Restart, Self::Cut];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill -9",
            Self::Restart => "restart",
            Self::Cut => "cut",
        })
    }
}

/// What a run printed.
#[derive(Debug, Default)]
struct Told {
    /// The steps that ended, in their order.
    ended: Vec<String>,
    said: String,
    code: Option<i32>,
}

async fn follow(child: &mut Child) -> Told {
    let mut told = Told::default();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        match (value["name"].as_str(), value["outcome"]["was"].as_str()) {
            (Some(name), Some("done" | "skipped")) => told.ended.push(name.to_owned()),
            (Some(_), Some("not-run")) => {}
            _ => told.said = line,
        }
    }
    child.stderr.take().unwrap().read_to_string(&mut told.said).await.unwrap();
    told.code = child.wait().await.unwrap().code();
    told
}

/// A whole run that nothing disturbs.
async fn undisturbed(ground: &Ground, way: Way) -> Told {
    let mut child = ground.gonogo(way);
    let told = tokio::time::timeout(PATIENCE, follow(&mut child)).await.unwrap();
    assert_eq!(told.code, Some(0), "{way:?}: {}", told.said);
    told
}

/// Plays one fault at one point. Answers with the number of steps that had ended before it, and what went wrong.
async fn play(
    ground: &mut Ground,
    way: Way,
    point: i64,
    fault: Fault,
    wanted: &End,
) -> (usize, Option<String>) {
    ground.begin(way, point).await;
    let mut child = ground.gonogo(way);
    held(ground, &mut child, way, point).await;
    match fault {
        Fault::Kill => child.start_kill().unwrap(),
        Fault::Restart => ground.restart().await,
        Fault::Cut => ground.proxy.cut(),
    }
    // A backend that was held goes on alone, or finds that nobody listens.
    ground.target(0).await;
    let first = tokio::time::timeout(PATIENCE, follow(&mut child)).await.unwrap();
    let step = first.ended.len();
    if first.code == Some(0) {
        return (step, Some("the fault came too late: the first run ended well".into()));
    }
    let mut child = ground.gonogo(way);
    let second = tokio::time::timeout(PATIENCE, follow(&mut child)).await.unwrap();
    if second.code != Some(0) {
        return (step, Some(format!("the second run failed: {}", second.said.trim())));
    }
    let end = ground.end(way).await;
    (step, difference(wanted, &end))
}

/// Waits until the runner stands at the point.
async fn held(ground: &Ground, child: &mut Child, way: Way, point: i64) {
    let at = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'run' AND application_name = 'gonogo migrate' AND wait_event = 'PgSleep'";
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while ground.number(at).await == 0 {
        assert!(child.try_wait().unwrap().is_none(), "{way:?}: it ended before point {point}");
        assert!(tokio::time::Instant::now() < deadline, "{way:?}: it never came to point {point}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn difference(wanted: &End, end: &End) -> Option<String> {
    if end.data != wanted.data {
        return Some(format!("other data: {:?}, wanted {:?}", end.data, wanted.data));
    }
    if end.aside != wanted.aside {
        return Some(format!("set aside otherwise: {:?}, wanted {:?}", end.aside, wanted.aside));
    }
    (end.catalogue != wanted.catalogue)
        .then(|| format!("another catalogue: {:?}", wanted.catalogue.diff(&end.catalogue)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_the_second_run_comes_to_the_same_end() {
    let every = match std::env::var("GONOGO_MATRIX").as_deref() {
        Ok("all") => 1,
        Ok(number) => number.parse().expect("GONOGO_MATRIX is all, or a number: every so many points"),
        Err(_) => SAMPLE,
    };
    let mut ground = Ground::new().await;
    let mut faults = Vec::new();
    for way in [Way::Up, Way::Down] {
        ground.begin(way, 0).await;
        let steps = undisturbed(&ground, way).await.ended;
        let points = ground.number("SELECT last_value FROM hold.points").await;
        let wanted = ground.end(way).await;
        let mut table: BTreeMap<usize, BTreeMap<Fault, (u32, u32)>> = BTreeMap::new();
        for (place, point) in (1..=points).enumerate() {
            for (turn, fault) in Fault::ALL.into_iter().enumerate() {
                // Each fault meets other points, so that a sample sees more of them.
                if (place + turn * every / 3) % every != 0 {
                    continue;
                }
                let (step, wrong) = play(&mut ground, way, point, fault, &wanted).await;
                let cell = table.entry(step).or_default().entry(fault).or_default();
                cell.0 += 1;
                match wrong {
                    None => cell.1 += 1,
                    Some(wrong) => {
                        faults.push(format!("{way:?} point {point}, {fault} in step {step}: {wrong}"));
                    }
                }
            }
        }
        print(way, points, &steps, &table);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn print(way: Way, points: i64, steps: &[String], table: &BTreeMap<usize, BTreeMap<Fault, (u32, u32)>>) {
    println!(
        "\n{way:?}: {} steps, {points} points; points that came to the same end, of those played",
        steps.len()
    );
    for (step, cells) in table {
        let name = steps.get(*step).map_or("after the last step", String::as_str);
        let name: String = name.chars().take(70).collect();
        print!("{:>3} {name:<70}", step + 1);
        for fault in Fault::ALL {
            match cells.get(&fault) {
                Some((played, good)) => print!("  {fault} {good}/{played}"),
                None => print!("  {fault} -"),
            }
        }
        println!();
    }
}
