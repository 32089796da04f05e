//! The program in a terminal, as a person has it: time to the first frame, from a key to its paint while gauges stream, memory,
//! and what it costs when nothing happens; beside it the same of other terminal programs, measured in the same run.
//!
//! `script/bench terminal [--peer 'CMD']... [--starts N] [--keys N] [--idle SECONDS]`. Peers that are on the PATH are measured
//! unasked. Two rows are ours: the cockpit on a live run with eight services at the other end of its sockets, and a
//! whole rehearsal at speed 20, which is those eight services as well.

#[path = "terminal/process.rs"]
mod process;
#[path = "terminal/program.rs"]
mod program;

use std::path::Path;
use std::time::Duration;

use program::Program;

/// A program, and how it is measured.
struct Subject {
    name: String,
    command: Vec<String>,
    /// Two keys that undo each other, and a text that the first brings onto the screen and the second takes away. Without the
    /// text any change counts.
    keys: [&'static str; 2],
    brings: Option<&'static str>,
}

/// What was measured, in milliseconds, bytes, percent of a core and bytes a second.
#[derive(Default)]
struct Figures {
    first: Option<f64>,
    whole: Option<f64>,
    key: Option<(f64, f64)>,
    missed: usize,
    resident: Option<f64>,
    cpu: Option<f64>,
    wakes: Option<f64>,
    bytes: Option<f64>,
}

struct Wish {
    peers: Vec<String>,
    starts: usize,
    keys: usize,
    idle: Duration,
}

fn main() {
    let wish = wish();
    let dir = tempfile::tempdir().expect("a directory");
    // Where root runs this, PostgreSQL's own account must get in.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("its own directory");
    }
    let gonogo = env!("CARGO_BIN_EXE_gonogo").to_owned();
    let rehearse = "rehearse --dir rehearsal --speed 20 --contacts 500 --name lea";
    let command: Vec<String> =
        std::iter::once(gonogo.clone()).chain(rehearse.split(' ').map(Into::into)).collect();
    println!(
        "{}x{}; {} starts, {} keys, {} s idle; load {:.1} at the beginning",
        program::SIZE.0,
        program::SIZE.1,
        wish.starts,
        wish.keys,
        wish.idle.as_secs(),
        process::load().unwrap_or(f64::NAN)
    );
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>9} {:>8} {:>7} {:>7} {:>8}",
        "", "1st paint", "4/5 of it", "key p50", "key p95", "RSS MB", "cpu %", "wakes/s", "bytes/s"
    );
    let stage = Program::start(&command, dir.path());
    stage.wait_for(" next: ");
    let rehearsal = dir.path().join("rehearsal");
    go_live(&rehearsal);
    let live = Subject {
        name: "gonogo, live".into(),
        command: vec![gonogo, "--config".into(), "live.toml".into(), "--name".into(), "lea".into()],
        keys: ["2", "1"],
        brings: Some("╭ 2 Checklist"),
    };
    let ours = measure(&live, &rehearsal, &wish);
    show(&live.name, &ours);
    let whole = Subject { name: "gonogo rehearse, 20x".into(), command, ..live };
    let mut rehearsed = Figures::default();
    keys(&whole, &stage, &wish, &mut rehearsed);
    idle(&stage, &wish, &mut rehearsed);
    show(&whole.name, &rehearsed);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut peers = Vec::new();
    for subject in subjects(&wish) {
        let figures = measure(&subject, root, &wish);
        show(&subject.name, &figures);
        peers.push((subject.name, figures));
    }
    for (name, peer) in &peers {
        compare(name, &ours, peer);
    }
    if peers.is_empty() {
        println!("no peer on the PATH (btm, gitui) and none given with --peer");
    }
    aims(&ours, &rehearsed);
}

/// A run of its own against the rehearsal's services, by the wall's clock.
fn go_live(rehearsal: &Path) {
    let file = rehearsal.join("gonogo.toml");
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    // The first frame is there long before the stage is.
    while !file.exists() && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let text = std::fs::read_to_string(file).expect("the stage is set");
    let live = text.replace("journal.sqlite", "live-run.sqlite");
    assert_ne!(text, live, "the rehearsal names its journal");
    std::fs::write(rehearsal.join("live.toml"), live).expect("its own directory");
}

fn wish() -> Wish {
    let mut wish = Wish { peers: Vec::new(), starts: 11, keys: 60, idle: Duration::from_secs(20) };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = |name: &str| {
            let given =
                arguments.next().and_then(|given| given.parse::<u64>().ok()).filter(|given| *given > 0);
            given.unwrap_or_else(|| panic!("{name} wants a number"))
        };
        match argument.as_str() {
            "--bench" => {} // cargo's own
            "--starts" => wish.starts = usize::try_from(number("--starts")).expect("some"),
            "--keys" => wish.keys = usize::try_from(number("--keys")).expect("some"),
            "--idle" => wish.idle = Duration::from_secs(number("--idle")),
            "--peer" => wish.peers.push(arguments.next().expect("--peer wants a command")),
            other => panic!("{other}: there are --peer 'CMD', --starts N, --keys N and --idle SECONDS"),
        }
    }
    wish
}

/// The peers: those on the PATH, and those that were named.
fn subjects(wish: &Wish) -> Vec<Subject> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let known = ["btm", "gitui"].into_iter().filter(|name| found(name)).map(ToOwned::to_owned);
    known
        .chain(wish.peers.iter().cloned())
        .map(|command| {
            let command: Vec<String> = command.split_whitespace().map(Into::into).collect();
            let name = Path::new(&command[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
            let keys = if name == "gitui" { ["2", "1"] } else { ["\x1b[B", "\x1b[A"] };
            Subject { name, command, keys, brings: None }
        })
        .collect()
}

fn measure(subject: &Subject, dir: &Path, wish: &Wish) -> Figures {
    let mut figures = Figures::default();
    let settle = Duration::from_millis(1_200);
    let settled = Program::start(&subject.command, dir);
    std::thread::sleep(Duration::from_secs(4));
    let whole = settled.screen().cells();
    assert!(whole > 0, "{} shows nothing", subject.name);
    keys(subject, &settled, wish, &mut figures);
    idle(&settled, wish, &mut figures);
    drop(settled);
    let mut starts = Vec::new();
    for _ in 0..wish.starts {
        let program = Program::start(&subject.command, dir);
        std::thread::sleep(settle);
        starts.push(program.frames(whole));
    }
    let median =
        |frames: Vec<Option<Duration>>| quantile(frames.into_iter().flatten().map(millis).collect(), 0.5);
    let (first, whole): (Vec<_>, Vec<_>) = starts.into_iter().unzip();
    (figures.first, figures.whole) = (median(first), median(whole));
    figures
}

/// From a key to the last byte of the frame that shows what it did.
fn keys(subject: &Subject, program: &Program, wish: &Wish, figures: &mut Figures) {
    let mut screen = program.screen();
    let mut took = Vec::new();
    for turn in 0..wish.keys {
        // Not in step with anything that the program does by the clock.
        std::thread::sleep(Duration::from_millis(37 + 13 * (turn as u64 % 7)));
        program.when(&mut screen, Duration::ZERO, |_| false);
        let before = screen.formatted();
        let at = program.press(subject.keys[turn % 2]);
        let painted = program.when(&mut screen, Duration::from_secs(1), |screen| match subject.brings {
            Some(text) => screen.text().contains(text) == (turn % 2 == 0),
            None => screen.formatted() != before,
        });
        match painted {
            Some(painted) => took.push(millis(painted - at)),
            None => figures.missed += 1,
        }
    }
    figures.key = quantile(took.clone(), 0.5).zip(quantile(took, 0.95));
}

fn idle(program: &Program, wish: &Wish, figures: &mut Figures) {
    program.quiet(Duration::from_millis(200));
    let (busy, wakes, mark) = (process::busy(program.id()), process::wakes(program.id()), program.mark());
    std::thread::sleep(wish.idle);
    let seconds = wish.idle.as_secs_f64();
    let over =
        |before: Option<u64>, after: Option<u64>| Some(after?.saturating_sub(before?) as f64 / seconds);
    figures.cpu = over(busy, process::busy(program.id())).map(|nanos| nanos / 1e7);
    figures.wakes = over(wakes, process::wakes(program.id()));
    figures.bytes = Some(program.bytes_since(mark) as f64 / seconds);
    figures.resident = process::resident(program.id()).map(|bytes| bytes as f64 / 1e6);
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn quantile(mut numbers: Vec<f64>, q: f64) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank within the list")]
    let rank = (q * numbers.len() as f64).ceil() as usize;
    numbers.get(rank.saturating_sub(1)).copied()
}

fn show(name: &str, figures: &Figures) {
    let number =
        |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
    println!(
        "{name:<22} {:>9} {:>9} {:>9} {:>9} {:>8} {:>7} {:>7} {:>8}{}",
        number(figures.first, 1),
        number(figures.whole, 1),
        number(figures.key.map(|key| key.0), 2),
        number(figures.key.map(|key| key.1), 2),
        number(figures.resident, 1),
        number(figures.cpu, 2),
        number(figures.wakes, 0),
        number(figures.bytes, 0),
        if figures.missed > 0 {
            format!("  ({} keys without a paint)", figures.missed)
        } else {
            String::new()
        }
    );
}

fn compare(name: &str, ours: &Figures, peer: &Figures) {
    let ratio = |ours: Option<f64>, peer: Option<f64>| {
        ours.zip(peer).map_or("-".into(), |(ours, peer)| format!("{:.2}", ours / peer))
    };
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>9} {:>8} {:>7} {:>7} {:>8}",
        format!("gonogo : {name}"),
        ratio(ours.first, peer.first),
        ratio(ours.whole, peer.whole),
        ratio(ours.key.map(|key| key.0), peer.key.map(|key| key.0)),
        ratio(ours.key.map(|key| key.1), peer.key.map(|key| key.1)),
        ratio(ours.resident, peer.resident),
        ratio(ours.cpu, peer.cpu),
        ratio(ours.wakes, peer.wakes),
        ratio(ours.bytes, peer.bytes)
    );
}

fn aims(live: &Figures, rehearsed: &Figures) {
    let key = live.key.map(|key| key.1).zip(rehearsed.key.map(|key| key.1)).map(|(a, b)| a.max(b));
    for (what, value, most) in [
        ("first frame, ms", live.whole, 60.0),
        ("key to paint p95, ms, both rows", key, 5.0),
        ("RSS, MB", live.resident, 20.0),
        ("idle cpu, % of a core", live.cpu, 0.3),
        ("idle bytes a second", live.bytes, 300.0),
    ] {
        let verdict = match value {
            Some(value) if value <= most => "met",
            Some(_) => "MISSED",
            None => "not measured",
        };
        println!("aim {what} <= {most}: {verdict}");
    }
}
